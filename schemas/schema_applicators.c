#include <assert.h>

#include "schemas/schema_compile.h"

/* Keywords that apply subschemas: to members and items, or in place. */

/* A keyword that must be a map of schemas, of patterns or of lists; absent is empty. */
static enum cairn_rc expect_map(struct cairn_schema_compiler *compiler, const char *keyword,
                                const struct cairn_value *value, uint32_t *ret_count)
{
    if (value != NULL && value->type != CAIRN_MAP) {
        compiler->keyword = keyword;
        return cairn_schema_wrong(compiler, "must be an object");
    }
    *ret_count = value == NULL ? 0 : value->count;
    return CAIRN_OK;
}

static enum cairn_rc expect_names(struct cairn_schema_compiler *compiler, const char *keyword,
                                  const struct cairn_value *value)
{
    bool fits = value->type == CAIRN_ARRAY;
    for (uint32_t i = 0; fits && i < value->count; i++) {
        fits = value->as.items[i].type == CAIRN_STRING;
    }
    if (!fits) {
        compiler->keyword = keyword;
        return cairn_schema_wrong(compiler, "must be a list of names");
    }
    return CAIRN_OK;
}

/* A plan that is being laid out. */
struct object_draft {
    struct cairn_schema_object *object;
    struct cairn_schema_property *properties; /* room for all */
    uint32_t *slots;
};

static struct cairn_schema_property *find_property(const struct object_draft *draft,
                                                   struct cairn_slice name, uint32_t *ret_slot)
{
    uint32_t slot =
        cairn_schema_hash_name(name.data, (uint32_t)name.size) & draft->object->slot_mask;
    while (draft->slots[slot] != 0) {
        struct cairn_schema_property *property = &draft->properties[draft->slots[slot] - 1];
        if (cairn_slice_equal(property->name, name)) {
            return property;
        }
        slot = (slot + 1) & draft->object->slot_mask;
    }
    *ret_slot = slot;
    return NULL;
}

static struct cairn_schema_property *put_property(struct object_draft *draft,
                                                  struct cairn_slice name)
{
    uint32_t slot = 0;
    struct cairn_schema_property *property = find_property(draft, name, &slot);
    if (property == NULL) {
        property = &draft->properties[draft->object->property_count++];
        *property = (struct cairn_schema_property){.name = name, .node = CAIRN_SCHEMA_NONE};
        draft->slots[slot] = draft->object->property_count;
    }
    return property;
}

static enum cairn_rc draft_object(struct cairn_schema_compiler *compiler, size_t names,
                                  uint32_t patterns, struct object_draft *draft,
                                  struct cairn_schema_pattern **ret_patterns)
{
    uint32_t slots = 2;
    while (slots < 2 * names) {
        slots *= 2;
    }
    draft->object = cairn_schema_alloc(compiler, sizeof(*draft->object));
    draft->properties = cairn_schema_alloc(compiler, names * sizeof(*draft->properties) + 1);
    draft->slots = cairn_schema_alloc(compiler, slots * sizeof(*draft->slots));
    *ret_patterns = cairn_schema_alloc(compiler, patterns * sizeof(**ret_patterns) + 1);
    if (draft->object == NULL || draft->properties == NULL || draft->slots == NULL ||
        *ret_patterns == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    *draft->object = (struct cairn_schema_object){.properties = draft->properties,
                                                  .patterns = *ret_patterns,
                                                  .slots = draft->slots,
                                                  .slot_mask = slots - 1,
                                                  .additional = CAIRN_SCHEMA_NONE};
    return CAIRN_OK;
}

static enum cairn_rc add_properties(struct cairn_schema_compiler *compiler,
                                    struct object_draft *draft,
                                    const struct cairn_value *properties,
                                    const struct cairn_value *required)
{
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; properties != NULL && i < properties->count && rc == CAIRN_OK; i++) {
        const struct cairn_member *member = &properties->as.members[i];
        struct cairn_slice name = cairn_value_slice(&member->key);
        rc = cairn_schema_child(compiler, &member->value, "properties", name,
                                &put_property(draft, name)->node);
    }
    for (uint32_t i = 0; required != NULL && i < required->count; i++) {
        struct cairn_schema_property *property =
            put_property(draft, cairn_value_slice(&required->as.items[i]));
        draft->object->required_count += property->is_required ? 0 : 1;
        property->is_required = true;
    }
    return rc;
}

static enum cairn_rc add_patterns(struct cairn_schema_compiler *compiler,
                                  struct object_draft *draft, const struct cairn_value *map,
                                  struct cairn_schema_pattern *patterns)
{
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; map != NULL && i < map->count && rc == CAIRN_OK; i++) {
        const struct cairn_member *member = &map->as.members[i];
        struct cairn_slice source = cairn_value_slice(&member->key);
        rc = cairn_schema_registry_regex(compiler->registry, source, &patterns[i].regex,
                                         compiler->err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(compiler->err, rc, "schema %s/patternProperties/%.*s",
                                  compiler->at->location, CAIRN_SLICE_ARG(source));
        }
        rc = cairn_schema_child(compiler, &member->value, "patternProperties", source,
                                &patterns[i].node);
        draft->object->pattern_count = i + 1;
    }
    return rc;
}

enum cairn_rc cairn_schema_compile_object(struct cairn_schema_compiler *compiler,
                                          const struct cairn_value *value)
{
    assert(value != NULL);
    if (compiler->has_object) {
        return CAIRN_OK;
    }
    const struct cairn_value *properties = cairn_schema_keyword(compiler, "properties");
    const struct cairn_value *patterns = cairn_schema_keyword(compiler, "patternProperties");
    const struct cairn_value *additional = cairn_schema_keyword(compiler, "additionalProperties");
    const struct cairn_value *required = cairn_schema_keyword(compiler, "required");
    struct object_draft draft = {.object = NULL};
    struct cairn_schema_pattern *plan = NULL;
    uint32_t property_count = 0;
    uint32_t pattern_count = 0;
    enum cairn_rc rc = expect_map(compiler, "properties", properties, &property_count);
    if (rc == CAIRN_OK) {
        rc = expect_map(compiler, "patternProperties", patterns, &pattern_count);
    }
    if (rc == CAIRN_OK && required != NULL) {
        rc = expect_names(compiler, "required", required);
    }
    if (rc == CAIRN_OK) {
        size_t names = (size_t)property_count + (required == NULL ? 0 : required->count);
        rc = draft_object(compiler, names, pattern_count, &draft, &plan);
    }
    if (rc == CAIRN_OK) {
        rc = add_properties(compiler, &draft, properties, required);
    }
    if (rc == CAIRN_OK) {
        rc = add_patterns(compiler, &draft, patterns, plan);
    }
    if (rc == CAIRN_OK && additional != NULL) {
        rc = cairn_schema_child(compiler, additional, "additionalProperties", CAIRN_SLICE_NONE,
                                &draft.object->additional);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    compiler->has_object = true;
    return cairn_schema_emit(compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_OBJECT,
                                                                   .as = {.object = draft.object}});
}

/* The nodes of a list of schemas. */
static enum cairn_rc compile_nodes(struct cairn_schema_compiler *compiler, const char *keyword,
                                   const struct cairn_value *list,
                                   const struct cairn_schema_nodes **ret_nodes)
{
    uint32_t count = list == NULL ? 0 : list->count;
    if (list != NULL && list->type != CAIRN_ARRAY) {
        return cairn_schema_wrong(compiler, "must be a list of schemas");
    }
    struct cairn_schema_nodes *nodes =
        cairn_schema_alloc(compiler, sizeof(*nodes) + count * sizeof(nodes->at[0]));
    if (nodes == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    nodes->count = count;
    for (uint32_t i = 0; i < count; i++) {
        char number[16];
        struct cairn_buf text = {.data = number, .cap = sizeof(number), .max = sizeof(number)};
        enum cairn_rc rc = cairn_buf_append_u64(&text, i);
        if (rc == CAIRN_OK) {
            rc = cairn_schema_child(compiler, &list->as.items[i], keyword, cairn_buf_slice(&text),
                                    &nodes->at[i]);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    *ret_nodes = nodes;
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_compile_items(struct cairn_schema_compiler *compiler,
                                         const struct cairn_value *value)
{
    assert(value != NULL);
    if (compiler->has_items) {
        return CAIRN_OK;
    }
    const struct cairn_value *rest = cairn_schema_keyword(compiler, "items");
    struct cairn_schema_items *items = cairn_schema_alloc(compiler, sizeof(*items));
    if (items == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    items->rest = CAIRN_SCHEMA_NONE;
    enum cairn_rc rc = compile_nodes(compiler, "prefixItems",
                                     cairn_schema_keyword(compiler, "prefixItems"), &items->prefix);
    if (rc == CAIRN_OK && rest != NULL) {
        rc = cairn_schema_child(compiler, rest, "items", CAIRN_SLICE_NONE, &items->rest);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    compiler->has_items = true;
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_ITEMS, .as = {.items = items}});
}

/* minContains or maxContains; absent leaves *count. */
static enum cairn_rc read_count(struct cairn_schema_compiler *compiler, const char *keyword,
                                uint64_t *count)
{
    const struct cairn_value *value = cairn_schema_keyword(compiler, keyword);
    if (value == NULL || cairn_schema_to_count(value, count)) {
        return CAIRN_OK;
    }
    compiler->keyword = keyword;
    return cairn_schema_wrong(compiler, "must be an integer of at least 0");
}

enum cairn_rc cairn_schema_compile_contains(struct cairn_schema_compiler *compiler,
                                            const struct cairn_value *value)
{
    struct cairn_schema_contains *contains = cairn_schema_alloc(compiler, sizeof(*contains));
    if (contains == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    contains->min = 1;
    contains->max = UINT64_MAX;
    enum cairn_rc rc =
        cairn_schema_child(compiler, value, "contains", CAIRN_SLICE_NONE, &contains->node);
    if (rc == CAIRN_OK) {
        rc = read_count(compiler, "minContains", &contains->min);
    }
    if (rc == CAIRN_OK) {
        rc = read_count(compiler, "maxContains", &contains->max);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    return cairn_schema_emit(compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_CONTAINS,
                                                                   .as = {.contains = contains}});
}

/* `then` and `else` mean nothing without `if`, and `if` nothing without them but its marks. */
enum cairn_rc cairn_schema_compile_if(struct cairn_schema_compiler *compiler,
                                      const struct cairn_value *value)
{
    static const char *const branches[] = {"if", "then", "else"};
    assert(value != NULL);
    struct cairn_schema_nodes *nodes =
        cairn_schema_alloc(compiler, sizeof(*nodes) + 3 * sizeof(nodes->at[0]));
    if (nodes == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    nodes->count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        const struct cairn_value *branch = cairn_schema_keyword(compiler, branches[i]);
        nodes->at[i] = CAIRN_SCHEMA_NONE;
        enum cairn_rc rc = branch == NULL ? CAIRN_OK
                                          : cairn_schema_child(compiler, branch, branches[i],
                                                               CAIRN_SLICE_NONE, &nodes->at[i]);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_IF, .as = {.nodes = nodes}});
}

enum cairn_rc cairn_schema_compile_list(struct cairn_schema_compiler *compiler,
                                        const struct cairn_value *value)
{
    const struct cairn_schema_nodes *nodes = NULL;
    if (value->count == 0) {
        return cairn_schema_wrong(compiler, "must be a list of at least one schema");
    }
    enum cairn_rc rc = compile_nodes(compiler, compiler->keyword, value, &nodes);
    if (rc != CAIRN_OK) {
        return rc;
    }
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = (uint16_t)cairn_schema_own_op(compiler),
                                              .as = {.nodes = nodes}});
}

enum cairn_rc cairn_schema_compile_one(struct cairn_schema_compiler *compiler,
                                       const struct cairn_value *value)
{
    struct cairn_schema_instr instr = {.op = (uint16_t)cairn_schema_own_op(compiler)};
    enum cairn_rc rc =
        cairn_schema_child(compiler, value, compiler->keyword, CAIRN_SLICE_NONE, &instr.node);
    return rc == CAIRN_OK ? cairn_schema_emit(compiler, instr) : rc;
}

enum cairn_rc cairn_schema_compile_dependents(struct cairn_schema_compiler *compiler,
                                              const struct cairn_value *value)
{
    uint32_t count = 0;
    bool names = cairn_schema_own_op(compiler) == CAIRN_SCHEMA_DEPENDENT_REQUIRED;
    enum cairn_rc rc = expect_map(compiler, compiler->keyword, value, &count);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_schema_dependents *dependents =
        cairn_schema_alloc(compiler, sizeof(*dependents) + count * sizeof(dependents->at[0]));
    if (dependents == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    dependents->count = count;
    for (uint32_t i = 0; i < count && rc == CAIRN_OK; i++) {
        const struct cairn_member *member = &value->as.members[i];
        struct cairn_schema_dependent *row = &dependents->at[i];
        *row = (struct cairn_schema_dependent){.name = cairn_value_slice(&member->key),
                                               .required = names ? &member->value : NULL,
                                               .node = CAIRN_SCHEMA_NONE};
        rc = names ? expect_names(compiler, compiler->keyword, &member->value)
                   : cairn_schema_child(compiler, &member->value, compiler->keyword, row->name,
                                        &row->node);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    return cairn_schema_emit(
        compiler, (struct cairn_schema_instr){.op = (uint16_t)cairn_schema_own_op(compiler),
                                              .as = {.dependents = dependents}});
}

static enum cairn_rc find_target(struct cairn_schema_compiler *compiler,
                                 const struct cairn_value *value,
                                 struct cairn_schema_target *ret_target, uint32_t *ret_node)
{
    if (value->type != CAIRN_STRING) {
        return cairn_schema_wrong(compiler, "must be a URI reference");
    }
    enum cairn_rc rc =
        cairn_schema_registry_find(compiler->registry, compiler->at->resource->uri,
                                   cairn_value_slice(value), ret_target, compiler->err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(compiler->err, rc, "schema %s/%s", compiler->at->location,
                              compiler->keyword);
    }
    const char *location =
        cairn_arena_printf(&compiler->scratch, "%s/%s -> %.*s", compiler->at->location,
                           compiler->keyword, CAIRN_SLICE_ARG(cairn_value_slice(value)));
    return location == NULL ? cairn_schema_no_memory(compiler)
                            : cairn_schema_node_of(compiler, ret_target, location, ret_node);
}

enum cairn_rc cairn_schema_compile_ref(struct cairn_schema_compiler *compiler,
                                       const struct cairn_value *value)
{
    struct cairn_schema_target target;
    struct cairn_schema_instr instr = {.op = CAIRN_SCHEMA_REF};
    enum cairn_rc rc = find_target(compiler, value, &target, &instr.node);
    return rc == CAIRN_OK ? cairn_schema_emit(compiler, instr) : rc;
}

/* Without a $dynamicAnchor at its other end a $dynamicRef is a $ref. */
enum cairn_rc cairn_schema_compile_dynamic_ref(struct cairn_schema_compiler *compiler,
                                               const struct cairn_value *value)
{
    struct cairn_schema_target target = {.schema = NULL};
    struct cairn_schema_instr instr = {.op = CAIRN_SCHEMA_REF};
    enum cairn_rc rc = find_target(compiler, value, &target, &instr.node);
    if (rc != CAIRN_OK || target.dynamic.data == NULL) {
        return rc == CAIRN_OK ? cairn_schema_emit(compiler, instr) : rc;
    }
    struct cairn_schema_dynamic *dynamic = cairn_schema_alloc(compiler, sizeof(*dynamic));
    if (dynamic == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    dynamic->name = target.dynamic;
    dynamic->fallback = instr.node;
    instr.op = CAIRN_SCHEMA_DYNAMIC_REF;
    instr.as.dynamic = dynamic;
    return cairn_schema_emit(compiler, instr);
}
