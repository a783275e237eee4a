#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "platform/utf8.h"
#include "schemas/schema_run.h"

/* Operations that look at the value itself. */

bool cairn_schema_check_false(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                              const struct cairn_schema_visit *visit)
{
    assert(instr->op == CAIRN_SCHEMA_FALSE);
    return cairn_schema_fault(run, visit, "false", "must not be here");
}

/* "string or null", for a message. */
static const char *type_names(struct cairn_schema_run *run, uint64_t mask)
{
    static const struct {
        const char *name;
        uint64_t bit;
    } rows[] = {{"null", CAIRN_SCHEMA_BIT(CAIRN_NULL)},
                {"boolean", CAIRN_SCHEMA_BIT(CAIRN_BOOL)},
                {"number", CAIRN_SCHEMA_BIT(CAIRN_FLOAT)},
                {"integer", CAIRN_SCHEMA_WHOLE_FLOAT},
                {"string", CAIRN_SCHEMA_STRINGS},
                {"array", CAIRN_SCHEMA_ARRAYS},
                {"object", CAIRN_SCHEMA_MAPS}};
    struct cairn_buf text = {.max = 128};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rc == CAIRN_OK && (mask & rows[i].bit) != 0) {
            rc = cairn_buf_printf(&text, "%s%s", text.size > 0 ? " or " : "", rows[i].name);
        }
    }
    const char *names = NULL;
    if (rc == CAIRN_OK) {
        names = cairn_arena_printf(run->arena, "%.*s", CAIRN_SLICE_ARG(cairn_buf_slice(&text)));
    }
    cairn_buf_fini(&text);
    return names == NULL ? "another type" : names;
}

bool cairn_schema_check_type(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                             const struct cairn_schema_visit *visit)
{
    uint64_t mask = instr->as.limit;
    const struct cairn_value *value = visit->value;
    if ((mask & CAIRN_SCHEMA_BIT(value->type)) != 0) {
        return true;
    }
    if (value->type == CAIRN_FLOAT && (mask & CAIRN_SCHEMA_WHOLE_FLOAT) != 0 &&
        floor(value->as.number) == value->as.number) {
        return true;
    }
    if (!cairn_schema_collects(run)) {
        return false;
    }
    return cairn_schema_fault(run, visit, "type", "must be of type %s, is %s",
                              type_names(run, mask), cairn_value_type_name(value));
}

bool cairn_schema_check_const(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                              const struct cairn_schema_visit *visit)
{
    return cairn_value_equal(visit->value, instr->as.value) ||
           cairn_schema_fault(run, visit, "const", "must be %s",
                              cairn_schema_show(run, instr->as.value));
}

bool cairn_schema_check_enum(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                             const struct cairn_schema_visit *visit)
{
    const struct cairn_value *list = instr->as.value;
    for (uint32_t i = 0; i < list->count; i++) {
        if (cairn_value_equal(visit->value, &list->as.items[i])) {
            return true;
        }
    }
    return cairn_schema_fault(run, visit, "enum", "must be one of %s",
                              cairn_schema_show(run, list));
}

bool cairn_schema_check_multiple_of(struct cairn_schema_run *run,
                                    const struct cairn_schema_instr *instr,
                                    const struct cairn_schema_visit *visit)
{
    return cairn_schema_is_multiple(visit->value, instr->as.value) ||
           cairn_schema_fault(run, visit, "multipleOf", "must be a multiple of %s",
                              cairn_schema_show(run, instr->as.value));
}

static int compare(const struct cairn_schema_instr *instr, const struct cairn_schema_visit *visit)
{
    return cairn_value_compare_numbers(visit->value, instr->as.value);
}

bool cairn_schema_check_maximum(struct cairn_schema_run *run,
                                const struct cairn_schema_instr *instr,
                                const struct cairn_schema_visit *visit)
{
    return compare(instr, visit) <= 0 ||
           cairn_schema_fault(run, visit, "maximum", "must be at most %s",
                              cairn_schema_show(run, instr->as.value));
}

bool cairn_schema_check_exclusive_maximum(struct cairn_schema_run *run,
                                          const struct cairn_schema_instr *instr,
                                          const struct cairn_schema_visit *visit)
{
    return compare(instr, visit) < 0 ||
           cairn_schema_fault(run, visit, "exclusiveMaximum", "must be less than %s",
                              cairn_schema_show(run, instr->as.value));
}

bool cairn_schema_check_minimum(struct cairn_schema_run *run,
                                const struct cairn_schema_instr *instr,
                                const struct cairn_schema_visit *visit)
{
    return compare(instr, visit) >= 0 ||
           cairn_schema_fault(run, visit, "minimum", "must be at least %s",
                              cairn_schema_show(run, instr->as.value));
}

bool cairn_schema_check_exclusive_minimum(struct cairn_schema_run *run,
                                          const struct cairn_schema_instr *instr,
                                          const struct cairn_schema_visit *visit)
{
    return compare(instr, visit) > 0 ||
           cairn_schema_fault(run, visit, "exclusiveMinimum", "must be more than %s",
                              cairn_schema_show(run, instr->as.value));
}

/* Lengths count code points; bytes decide where they can. */
bool cairn_schema_check_max_length(struct cairn_schema_run *run,
                                   const struct cairn_schema_instr *instr,
                                   const struct cairn_schema_visit *visit)
{
    return visit->value->count <= instr->as.limit ||
           cairn_utf8_count(cairn_value_slice(visit->value)) <= instr->as.limit ||
           cairn_schema_fault(run, visit, "maxLength", "must have at most %" PRIu64 " characters",
                              instr->as.limit);
}

bool cairn_schema_check_min_length(struct cairn_schema_run *run,
                                   const struct cairn_schema_instr *instr,
                                   const struct cairn_schema_visit *visit)
{
    bool enough = visit->value->count / 4 >= instr->as.limit ||
                  (visit->value->count >= instr->as.limit &&
                   cairn_utf8_count(cairn_value_slice(visit->value)) >= instr->as.limit);
    return enough ||
           cairn_schema_fault(run, visit, "minLength", "must have at least %" PRIu64 " characters",
                              instr->as.limit);
}

bool cairn_schema_check_pattern(struct cairn_schema_run *run,
                                const struct cairn_schema_instr *instr,
                                const struct cairn_schema_visit *visit)
{
    bool matches = false;
    enum cairn_rc rc = cairn_schema_regex_match(instr->as.regex, cairn_value_slice(visit->value),
                                                &run->matcher, &matches);
    if (rc != CAIRN_OK) {
        run->rc = rc;
        return false;
    }
    return matches ||
           cairn_schema_fault(run, visit, "pattern", "must match the pattern %.*s",
                              CAIRN_SLICE_ARG(cairn_schema_regex_source(instr->as.regex)));
}

bool cairn_schema_check_format(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                               const struct cairn_schema_visit *visit)
{
    const struct cairn_format *format = instr->as.format;
    return format->matches(cairn_value_slice(visit->value)) ||
           cairn_schema_fault(run, visit, "format", "must be %s", format->says);
}

bool cairn_schema_check_max_items(struct cairn_schema_run *run,
                                  const struct cairn_schema_instr *instr,
                                  const struct cairn_schema_visit *visit)
{
    return visit->value->count <= instr->as.limit ||
           cairn_schema_fault(run, visit, "maxItems", "must have at most %" PRIu64 " items",
                              instr->as.limit);
}

bool cairn_schema_check_min_items(struct cairn_schema_run *run,
                                  const struct cairn_schema_instr *instr,
                                  const struct cairn_schema_visit *visit)
{
    return visit->value->count >= instr->as.limit ||
           cairn_schema_fault(run, visit, "minItems", "must have at least %" PRIu64 " items",
                              instr->as.limit);
}

bool cairn_schema_check_max_properties(struct cairn_schema_run *run,
                                       const struct cairn_schema_instr *instr,
                                       const struct cairn_schema_visit *visit)
{
    return visit->value->count <= instr->as.limit ||
           cairn_schema_fault(run, visit, "maxProperties",
                              "must have at most %" PRIu64 " properties", instr->as.limit);
}

bool cairn_schema_check_min_properties(struct cairn_schema_run *run,
                                       const struct cairn_schema_instr *instr,
                                       const struct cairn_schema_visit *visit)
{
    return visit->value->count >= instr->as.limit ||
           cairn_schema_fault(run, visit, "minProperties",
                              "must have at least %" PRIu64 " properties", instr->as.limit);
}

/* Up to here comparing every pair is quicker than hashing. */
enum { PAIRWISE_MAX = 12 };

struct print {
    unsigned char hash[16];
    const struct cairn_value *item;
};

static int compare_prints(const void *a, const void *b)
{
    const struct print *left = a;
    const struct print *right = b;
    return memcmp(left->hash, right->hash, sizeof(left->hash));
}

static bool unique_pairwise(const struct cairn_value *array)
{
    for (uint32_t later = 1; later < array->count; later++) {
        for (uint32_t earlier = 0; earlier < later; earlier++) {
            if (cairn_value_equal(&array->as.items[earlier], &array->as.items[later])) {
                return false;
            }
        }
    }
    return true;
}

/* Equal values have equal fingerprints, and sorted they are neighbours: n log n for any input. */
static bool unique_sorted(struct cairn_schema_run *run, const struct cairn_value *array)
{
    struct print *prints = cairn_arena_alloc(run->arena, array->count * sizeof(*prints));
    if (prints == NULL) {
        run->rc = CAIRN_ENOMEM;
        return false;
    }
    for (uint32_t i = 0; i < array->count; i++) {
        prints[i].item = &array->as.items[i];
        cairn_value_fingerprint(prints[i].item, prints[i].hash);
    }
    qsort(prints, array->count, sizeof(*prints), compare_prints);
    for (uint32_t i = 1; i < array->count; i++) {
        if (compare_prints(&prints[i - 1], &prints[i]) == 0 &&
            cairn_value_equal(prints[i - 1].item, prints[i].item)) {
            return false;
        }
    }
    return true;
}

bool cairn_schema_check_unique_items(struct cairn_schema_run *run,
                                     const struct cairn_schema_instr *instr,
                                     const struct cairn_schema_visit *visit)
{
    assert(instr->as.limit == 1);
    bool unique = visit->value->count <= PAIRWISE_MAX ? unique_pairwise(visit->value)
                                                      : unique_sorted(run, visit->value);
    return unique || cairn_schema_fault(run, visit, "uniqueItems", "must not have equal items");
}
