#include <assert.h>
#include <inttypes.h>

#include "schemas/schema_run.h"

/* Operations that apply subschemas. */

static const struct cairn_schema_property *find_property(const struct cairn_schema_object *object,
                                                         const struct cairn_value *key)
{
    uint32_t slot = cairn_schema_hash_name(key->as.bytes, key->count) & object->slot_mask;
    while (object->slots[slot] != 0) {
        const struct cairn_schema_property *property = &object->properties[object->slots[slot] - 1];
        if (property->name.size == key->count &&
            memcmp(property->name.data, key->as.bytes, key->count) == 0) {
            return property;
        }
        slot = (slot + 1) & object->slot_mask;
    }
    return NULL;
}

/* A subschema `false` under additionalProperties or unevaluated...: the keyword says more than
 * "false" would. */
static bool run_rest(struct cairn_schema_run *run, uint32_t node,
                     const struct cairn_schema_visit *visit, const struct cairn_member *member,
                     const char *keyword)
{
    if (!run->schema->nodes[node].is_false) {
        return cairn_schema_run_member(run, node, visit, &member->key, &member->value);
    }
    struct cairn_schema_step step = {visit->step, &member->key, 0};
    struct cairn_schema_visit inner = {&member->value, &step, visit->scope, NULL};
    return cairn_schema_fault(run, &inner, keyword, "is not a property that the schema knows");
}

static bool run_patterns(struct cairn_schema_run *run, const struct cairn_schema_object *object,
                         const struct cairn_schema_visit *visit, const struct cairn_member *member,
                         bool *is_known)
{
    bool valid = true;
    for (uint32_t i = 0; i < object->pattern_count; i++) {
        bool matches = false;
        enum cairn_rc rc = cairn_schema_regex_match(
            object->patterns[i].regex, cairn_value_slice(&member->key), &run->matcher, &matches);
        if (rc != CAIRN_OK) {
            run->rc = rc;
            return false;
        }
        *is_known = *is_known || matches;
        if (matches && !cairn_schema_run_member(run, object->patterns[i].node, visit, &member->key,
                                                &member->value)) {
            valid = false;
        }
    }
    return valid;
}

static bool run_one_member(struct cairn_schema_run *run, const struct cairn_schema_object *object,
                           const struct cairn_schema_visit *visit, uint32_t index,
                           uint32_t *required_seen)
{
    const struct cairn_member *member = &visit->value->as.members[index];
    const struct cairn_schema_property *property = find_property(object, &member->key);
    bool is_known = property != NULL && property->node != CAIRN_SCHEMA_NONE;
    bool valid = true;
    if (property != NULL) {
        *required_seen += property->is_required ? 1 : 0;
    }
    if (is_known) {
        valid = cairn_schema_run_member(run, property->node, visit, &member->key, &member->value);
    }
    if (object->pattern_count > 0 && !run_patterns(run, object, visit, member, &is_known)) {
        valid = false;
    }
    if (!is_known && object->additional != CAIRN_SCHEMA_NONE) {
        is_known = true;
        valid = run_rest(run, object->additional, visit, member, "additionalProperties") && valid;
    }
    if (is_known) {
        cairn_schema_mark(visit->marks, index);
    }
    return valid;
}

static bool fault_missing(struct cairn_schema_run *run, const struct cairn_schema_object *object,
                          const struct cairn_schema_visit *visit)
{
    for (uint32_t i = 0; i < object->property_count && cairn_schema_collects(run); i++) {
        const struct cairn_schema_property *property = &object->properties[i];
        if (property->is_required && cairn_value_get(visit->value, property->name) == NULL) {
            (void)cairn_schema_fault(run, visit, "required", "must have the property \"%.*s\"",
                                     CAIRN_SLICE_ARG(property->name));
        }
    }
    return false;
}

bool cairn_schema_check_object(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                               const struct cairn_schema_visit *visit)
{
    const struct cairn_schema_object *object = instr->as.object;
    uint32_t required_seen = 0;
    bool valid = true;
    for (uint32_t i = 0; i < visit->value->count; i++) {
        if (!run_one_member(run, object, visit, i, &required_seen)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                return false;
            }
        }
    }
    if (required_seen < object->required_count) {
        return fault_missing(run, object, visit);
    }
    return valid;
}

bool cairn_schema_check_property_names(struct cairn_schema_run *run,
                                       const struct cairn_schema_instr *instr,
                                       const struct cairn_schema_visit *visit)
{
    bool valid = true;
    for (uint32_t i = 0; i < visit->value->count; i++) {
        const struct cairn_value *key = &visit->value->as.members[i].key;
        if (!cairn_schema_run_member(run, instr->node, visit, key, key)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                return false;
            }
        }
    }
    return valid;
}

bool cairn_schema_check_items(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                              const struct cairn_schema_visit *visit)
{
    const struct cairn_schema_items *items = instr->as.items;
    bool valid = true;
    for (uint32_t i = 0; i < visit->value->count; i++) {
        uint32_t node = i < items->prefix->count ? items->prefix->at[i] : items->rest;
        if (node == CAIRN_SCHEMA_NONE) {
            break;
        }
        cairn_schema_mark(visit->marks, i);
        if (!cairn_schema_run_item(run, node, visit, i)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                return false;
            }
        }
    }
    return valid;
}

bool cairn_schema_check_contains(struct cairn_schema_run *run,
                                 const struct cairn_schema_instr *instr,
                                 const struct cairn_schema_visit *visit)
{
    const struct cairn_schema_contains *contains = instr->as.contains;
    uint64_t found = 0;
    run->quiet++;
    for (uint32_t i = 0; i < visit->value->count; i++) {
        if (cairn_schema_run_item(run, contains->node, visit, i)) {
            cairn_schema_mark(visit->marks, i);
            found++;
        }
    }
    run->quiet--;
    if (found < contains->min) {
        return cairn_schema_fault(run, visit, contains->min == 1 ? "contains" : "minContains",
                                  "must contain at least %" PRIu64
                                  " items of the wanted kind, has %" PRIu64,
                                  contains->min, found);
    }
    return found <= contains->max || cairn_schema_fault(run, visit, "maxContains",
                                                        "must contain at most %" PRIu64
                                                        " items of the wanted kind, has %" PRIu64,
                                                        contains->max, found);
}

bool cairn_schema_check_ref(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                            const struct cairn_schema_visit *visit)
{
    return cairn_schema_run_node(run, instr->node, visit);
}

bool cairn_schema_check_dynamic_ref(struct cairn_schema_run *run,
                                    const struct cairn_schema_instr *instr,
                                    const struct cairn_schema_visit *visit)
{
    const struct cairn_schema_dynamic *dynamic = instr->as.dynamic;
    uint32_t node = dynamic->fallback;
    /* From the inside out, so the outermost resource has the last word. */
    for (const struct cairn_schema_scope *at = visit->scope; at != NULL; at = at->outer) {
        for (uint32_t i = 0; i < dynamic->count; i++) {
            if (dynamic->resources[i] == at->resource) {
                node = dynamic->nodes[i];
            }
        }
    }
    return cairn_schema_run_node(run, node, visit);
}

bool cairn_schema_check_all_of(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                               const struct cairn_schema_visit *visit)
{
    bool valid = true;
    for (uint32_t i = 0; i < instr->as.nodes->count; i++) {
        if (!cairn_schema_run_node(run, instr->as.nodes->at[i], visit)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                return false;
            }
        }
    }
    return valid;
}

/* Try a subschema: its faults are not reported, and its marks count only when it holds. */
static bool try_node(struct cairn_schema_run *run, uint32_t node,
                     const struct cairn_schema_visit *visit)
{
    struct cairn_schema_marks marks;
    struct cairn_schema_visit inner = *visit;
    if (visit->marks != NULL) {
        if (!cairn_schema_marks_init(run, &marks, visit->value->count)) {
            return false;
        }
        inner.marks = &marks;
    }
    run->quiet++;
    bool valid = cairn_schema_run_node(run, node, &inner);
    run->quiet--;
    if (valid && visit->marks != NULL) {
        cairn_schema_marks_merge(visit->marks, &marks);
    }
    return valid;
}

bool cairn_schema_check_any_of(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                               const struct cairn_schema_visit *visit)
{
    bool valid = false;
    for (uint32_t i = 0; i < instr->as.nodes->count; i++) {
        if (try_node(run, instr->as.nodes->at[i], visit)) {
            valid = true;
            if (visit->marks == NULL) {
                break;
            }
        }
    }
    return valid || cairn_schema_fault(run, visit, "anyOf", "must match one of %u alternatives",
                                       instr->as.nodes->count);
}

bool cairn_schema_check_one_of(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                               const struct cairn_schema_visit *visit)
{
    uint32_t matches = 0;
    for (uint32_t i = 0; i < instr->as.nodes->count; i++) {
        matches += try_node(run, instr->as.nodes->at[i], visit) ? 1 : 0;
    }
    return matches == 1 || cairn_schema_fault(run, visit, "oneOf",
                                              "must match exactly one of %u alternatives, matches "
                                              "%u",
                                              instr->as.nodes->count, matches);
}

bool cairn_schema_check_not(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                            const struct cairn_schema_visit *visit)
{
    struct cairn_schema_visit inner = *visit;
    inner.marks = NULL;
    run->quiet++;
    bool matches = cairn_schema_run_node(run, instr->node, &inner);
    run->quiet--;
    if (run->rc != CAIRN_OK) {
        return false;
    }
    return !matches || cairn_schema_fault(run, visit, "not", "must not match what `not` describes");
}

bool cairn_schema_check_if(struct cairn_schema_run *run, const struct cairn_schema_instr *instr,
                           const struct cairn_schema_visit *visit)
{
    const struct cairn_schema_nodes *nodes = instr->as.nodes;
    assert(nodes->count == 3);
    bool holds = try_node(run, nodes->at[0], visit);
    uint32_t branch = holds ? nodes->at[1] : nodes->at[2];
    if (run->rc != CAIRN_OK) {
        return false;
    }
    return branch == CAIRN_SCHEMA_NONE || cairn_schema_run_node(run, branch, visit);
}

bool cairn_schema_check_dependent_schemas(struct cairn_schema_run *run,
                                          const struct cairn_schema_instr *instr,
                                          const struct cairn_schema_visit *visit)
{
    bool valid = true;
    for (uint32_t i = 0; i < instr->as.dependents->count; i++) {
        const struct cairn_schema_dependent *row = &instr->as.dependents->at[i];
        if (cairn_value_get(visit->value, row->name) != NULL &&
            !cairn_schema_run_node(run, row->node, visit)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                return false;
            }
        }
    }
    return valid;
}

static bool has_dependents(struct cairn_schema_run *run, const struct cairn_schema_dependent *row,
                           const struct cairn_schema_visit *visit)
{
    bool valid = true;
    for (uint32_t i = 0; i < row->required->count; i++) {
        struct cairn_slice name = cairn_value_slice(&row->required->as.items[i]);
        if (cairn_value_get(visit->value, name) == NULL) {
            valid = cairn_schema_fault(run, visit, "dependentRequired",
                                       "must have the property \"%.*s\" beside \"%.*s\"",
                                       CAIRN_SLICE_ARG(name), CAIRN_SLICE_ARG(row->name));
        }
    }
    return valid;
}

bool cairn_schema_check_dependent_required(struct cairn_schema_run *run,
                                           const struct cairn_schema_instr *instr,
                                           const struct cairn_schema_visit *visit)
{
    bool valid = true;
    for (uint32_t i = 0; i < instr->as.dependents->count; i++) {
        const struct cairn_schema_dependent *row = &instr->as.dependents->at[i];
        if (cairn_value_get(visit->value, row->name) != NULL && !has_dependents(run, row, visit)) {
            valid = false;
        }
    }
    return valid;
}

typedef bool (*run_one_fn)(struct cairn_schema_run *run, uint32_t node,
                           const struct cairn_schema_visit *visit, uint32_t index);

static bool run_unevaluated_member(struct cairn_schema_run *run, uint32_t node,
                                   const struct cairn_schema_visit *visit, uint32_t index)
{
    return run_rest(run, node, visit, &visit->value->as.members[index], "unevaluatedProperties");
}

/* Run the node on what no other keyword has marked, and mark that. */
static bool run_unmarked(struct cairn_schema_run *run, uint32_t node,
                         const struct cairn_schema_visit *visit, run_one_fn run_one)
{
    assert(visit->marks != NULL);
    bool valid = true;
    for (uint32_t i = 0; i < visit->value->count; i++) {
        if (cairn_schema_is_marked(visit->marks, i)) {
            continue;
        }
        cairn_schema_mark(visit->marks, i);
        if (!run_one(run, node, visit, i)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                return false;
            }
        }
    }
    return valid;
}

bool cairn_schema_check_unevaluated_items(struct cairn_schema_run *run,
                                          const struct cairn_schema_instr *instr,
                                          const struct cairn_schema_visit *visit)
{
    return run_unmarked(run, instr->node, visit, cairn_schema_run_item);
}

bool cairn_schema_check_unevaluated_properties(struct cairn_schema_run *run,
                                               const struct cairn_schema_instr *instr,
                                               const struct cairn_schema_visit *visit)
{
    return run_unmarked(run, instr->node, visit, run_unevaluated_member);
}
