#include <assert.h>
#include <math.h>

#include "schemas/schema_compile.h"

/* Keywords that assert something of the value itself, and the table of all. */

static enum cairn_rc emit_value(struct cairn_schema_compiler *compiler, enum cairn_schema_op op,
                                const struct cairn_value *value)
{
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = (uint16_t)op, .as = {.value = value}});
}

static enum cairn_rc emit_limit(struct cairn_schema_compiler *compiler, enum cairn_schema_op op,
                                uint64_t limit)
{
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = (uint16_t)op, .as = {.limit = limit}});
}

static bool add_type(struct cairn_slice name, uint64_t *mask)
{
    static const struct {
        const char *name;
        uint32_t types;
    } rows[] = {{"null", CAIRN_SCHEMA_BIT(CAIRN_NULL)},
                {"boolean", CAIRN_SCHEMA_BIT(CAIRN_BOOL)},
                {"integer", CAIRN_SCHEMA_BIT(CAIRN_INT) | CAIRN_SCHEMA_BIT(CAIRN_UINT) |
                                CAIRN_SCHEMA_WHOLE_FLOAT},
                {"number", CAIRN_SCHEMA_NUMBERS},
                {"string", CAIRN_SCHEMA_STRINGS},
                {"array", CAIRN_SCHEMA_ARRAYS},
                {"object", CAIRN_SCHEMA_MAPS}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (cairn_slice_is(name, rows[i].name)) {
            *mask |= rows[i].types;
            return true;
        }
    }
    return false;
}

static enum cairn_rc compile_type(struct cairn_schema_compiler *compiler,
                                  const struct cairn_value *value)
{
    uint64_t mask = 0;
    bool is_list = value->type == CAIRN_ARRAY && value->count > 0;
    uint32_t count = is_list ? value->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct cairn_value *name = is_list ? &value->as.items[i] : value;
        if (name->type != CAIRN_STRING || !add_type(cairn_value_slice(name), &mask)) {
            return cairn_schema_wrong(compiler, "must be a type's name or a list of such");
        }
    }
    return emit_limit(compiler, CAIRN_SCHEMA_TYPE, mask);
}

static enum cairn_rc compile_const(struct cairn_schema_compiler *compiler,
                                   const struct cairn_value *value)
{
    return emit_value(compiler, CAIRN_SCHEMA_CONST, value);
}

static enum cairn_rc compile_enum(struct cairn_schema_compiler *compiler,
                                  const struct cairn_value *value)
{
    if (value->type != CAIRN_ARRAY) {
        return cairn_schema_wrong(compiler, "must be a list of values");
    }
    return emit_value(compiler, CAIRN_SCHEMA_ENUM, value);
}

static enum cairn_rc compile_multiple_of(struct cairn_schema_compiler *compiler,
                                         const struct cairn_value *value)
{
    struct cairn_value zero = cairn_value_int(0);
    if (!cairn_value_is_number(value) || cairn_value_compare_numbers(value, &zero) <= 0) {
        return cairn_schema_wrong(compiler, "must be a number above 0");
    }
    return emit_value(compiler, CAIRN_SCHEMA_MULTIPLE_OF, value);
}

static enum cairn_rc compile_bound(struct cairn_schema_compiler *compiler,
                                   const struct cairn_value *value)
{
    if (!cairn_value_is_number(value)) {
        return cairn_schema_wrong(compiler, "must be a number");
    }
    return emit_value(compiler, cairn_schema_own_op(compiler), value);
}

bool cairn_schema_to_count(const struct cairn_value *value, uint64_t *ret_count)
{
    if (value->type == CAIRN_INT && value->as.integer >= 0) {
        *ret_count = (uint64_t)value->as.integer;
        return true;
    }
    if (value->type == CAIRN_FLOAT && value->as.number >= 0 && value->as.number < 1e15 &&
        floor(value->as.number) == value->as.number) {
        *ret_count = (uint64_t)value->as.number;
        return true;
    }
    return false;
}

static enum cairn_rc compile_count(struct cairn_schema_compiler *compiler,
                                   const struct cairn_value *value)
{
    uint64_t limit = 0;
    if (!cairn_schema_to_count(value, &limit)) {
        return cairn_schema_wrong(compiler, "must be an integer of at least 0");
    }
    return emit_limit(compiler, cairn_schema_own_op(compiler), limit);
}

static enum cairn_rc compile_unique_items(struct cairn_schema_compiler *compiler,
                                          const struct cairn_value *value)
{
    if (value->type != CAIRN_BOOL) {
        return cairn_schema_wrong(compiler, "must be a boolean");
    }
    return value->as.boolean ? emit_limit(compiler, CAIRN_SCHEMA_UNIQUE_ITEMS, 1) : CAIRN_OK;
}

static enum cairn_rc compile_pattern(struct cairn_schema_compiler *compiler,
                                     const struct cairn_value *value)
{
    const struct cairn_schema_regex *regex = NULL;
    if (value->type != CAIRN_STRING) {
        return cairn_schema_wrong(compiler, "must be a string");
    }
    enum cairn_rc rc = cairn_schema_registry_regex(compiler->registry, cairn_value_slice(value),
                                                   &regex, compiler->err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(compiler->err, rc, "schema %s/pattern", compiler->at->location);
    }
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_PATTERN, .as = {.regex = regex}});
}

static enum cairn_rc compile_format(struct cairn_schema_compiler *compiler,
                                    const struct cairn_value *value)
{
    if (value->type != CAIRN_STRING) {
        return cairn_schema_wrong(compiler, "must be a string");
    }
    const struct cairn_format *format = cairn_format_find(cairn_value_slice(value));
    bool asserted = compiler->registry->options.assert_format ||
                    (compiler->vocabularies & CAIRN_VOCABULARY_FORMAT) != 0;
    if (format == NULL || !asserted) {
        return CAIRN_OK;
    }
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_FORMAT, .as = {.format = format}});
}

/* A keyword that another one reads along. */
static enum cairn_rc compile_nothing(struct cairn_schema_compiler *compiler,
                                     const struct cairn_value *value)
{
    assert(compiler != NULL && value != NULL);
    return CAIRN_OK;
}

#define CORE        CAIRN_VOCABULARY_CORE
#define APPLICATOR  CAIRN_VOCABULARY_APPLICATOR
#define UNEVALUATED CAIRN_VOCABULARY_UNEVALUATED
#define VALIDATION  CAIRN_VOCABULARY_VALIDATION

const struct cairn_schema_keyword cairn_schema_keyword_table[] = {
    {"type", VALIDATION, compile_type, CAIRN_SCHEMA_TYPE},
    {"const", VALIDATION, compile_const, CAIRN_SCHEMA_CONST},
    {"enum", VALIDATION, compile_enum, CAIRN_SCHEMA_ENUM},
    {"multipleOf", VALIDATION, compile_multiple_of, CAIRN_SCHEMA_MULTIPLE_OF},
    {"maximum", VALIDATION, compile_bound, CAIRN_SCHEMA_MAXIMUM},
    {"exclusiveMaximum", VALIDATION, compile_bound, CAIRN_SCHEMA_EXCLUSIVE_MAXIMUM},
    {"minimum", VALIDATION, compile_bound, CAIRN_SCHEMA_MINIMUM},
    {"exclusiveMinimum", VALIDATION, compile_bound, CAIRN_SCHEMA_EXCLUSIVE_MINIMUM},
    {"maxLength", VALIDATION, compile_count, CAIRN_SCHEMA_MAX_LENGTH},
    {"minLength", VALIDATION, compile_count, CAIRN_SCHEMA_MIN_LENGTH},
    {"pattern", VALIDATION, compile_pattern, CAIRN_SCHEMA_PATTERN},
    {"format", CORE, compile_format, CAIRN_SCHEMA_FORMAT},
    {"maxItems", VALIDATION, compile_count, CAIRN_SCHEMA_MAX_ITEMS},
    {"minItems", VALIDATION, compile_count, CAIRN_SCHEMA_MIN_ITEMS},
    {"uniqueItems", VALIDATION, compile_unique_items, CAIRN_SCHEMA_UNIQUE_ITEMS},
    {"maxProperties", VALIDATION, compile_count, CAIRN_SCHEMA_MAX_PROPERTIES},
    {"minProperties", VALIDATION, compile_count, CAIRN_SCHEMA_MIN_PROPERTIES},
    {"dependentRequired", VALIDATION, cairn_schema_compile_dependents,
     CAIRN_SCHEMA_DEPENDENT_REQUIRED},
    {"required", VALIDATION, cairn_schema_compile_object, CAIRN_SCHEMA_OBJECT},
    {"properties", APPLICATOR, cairn_schema_compile_object, CAIRN_SCHEMA_OBJECT},
    {"patternProperties", APPLICATOR, cairn_schema_compile_object, CAIRN_SCHEMA_OBJECT},
    {"additionalProperties", APPLICATOR, cairn_schema_compile_object, CAIRN_SCHEMA_OBJECT},
    {"propertyNames", APPLICATOR, cairn_schema_compile_one, CAIRN_SCHEMA_PROPERTY_NAMES},
    {"prefixItems", APPLICATOR, cairn_schema_compile_items, CAIRN_SCHEMA_ITEMS},
    {"items", APPLICATOR, cairn_schema_compile_items, CAIRN_SCHEMA_ITEMS},
    {"contains", APPLICATOR, cairn_schema_compile_contains, CAIRN_SCHEMA_CONTAINS},
    {"minContains", VALIDATION, compile_nothing, CAIRN_SCHEMA_CONTAINS},
    {"maxContains", VALIDATION, compile_nothing, CAIRN_SCHEMA_CONTAINS},
    {"$ref", CORE, cairn_schema_compile_ref, CAIRN_SCHEMA_REF},
    {"$dynamicRef", CORE, cairn_schema_compile_dynamic_ref, CAIRN_SCHEMA_DYNAMIC_REF},
    {"allOf", APPLICATOR, cairn_schema_compile_list, CAIRN_SCHEMA_ALL_OF},
    {"anyOf", APPLICATOR, cairn_schema_compile_list, CAIRN_SCHEMA_ANY_OF},
    {"oneOf", APPLICATOR, cairn_schema_compile_list, CAIRN_SCHEMA_ONE_OF},
    {"not", APPLICATOR, cairn_schema_compile_one, CAIRN_SCHEMA_NOT},
    {"if", APPLICATOR, cairn_schema_compile_if, CAIRN_SCHEMA_IF},
    {"then", APPLICATOR, compile_nothing, CAIRN_SCHEMA_IF},
    {"else", APPLICATOR, compile_nothing, CAIRN_SCHEMA_IF},
    {"dependentSchemas", APPLICATOR, cairn_schema_compile_dependents,
     CAIRN_SCHEMA_DEPENDENT_SCHEMAS},
    {"unevaluatedItems", UNEVALUATED, cairn_schema_compile_one, CAIRN_SCHEMA_UNEVALUATED_ITEMS},
    {"unevaluatedProperties", UNEVALUATED, cairn_schema_compile_one,
     CAIRN_SCHEMA_UNEVALUATED_PROPERTIES},
};

const size_t cairn_schema_keyword_count =
    sizeof(cairn_schema_keyword_table) / sizeof(cairn_schema_keyword_table[0]);
