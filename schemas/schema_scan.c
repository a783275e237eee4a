#include <assert.h>
#include <stdio.h>

#include "schemas/schema_registry.h"
#include "schemas/schema_uri.h"

/* Finding the resources and anchors of a document: only where schemas can stand, so that an `$id`
 * inside an `enum` or an `example` is the data that it is. */

enum place { PLACE_SCHEMA, PLACE_LIST, PLACE_MAP };

static const struct {
    const char *keyword;
    enum place place;
} places[] = {{"$defs", PLACE_MAP},
              {"definitions", PLACE_MAP},
              {"properties", PLACE_MAP},
              {"patternProperties", PLACE_MAP},
              {"dependentSchemas", PLACE_MAP},
              {"allOf", PLACE_LIST},
              {"anyOf", PLACE_LIST},
              {"oneOf", PLACE_LIST},
              {"prefixItems", PLACE_LIST},
              {"additionalProperties", PLACE_SCHEMA},
              {"propertyNames", PLACE_SCHEMA},
              {"unevaluatedProperties", PLACE_SCHEMA},
              {"unevaluatedItems", PLACE_SCHEMA},
              {"items", PLACE_SCHEMA},
              {"contains", PLACE_SCHEMA},
              {"contentSchema", PLACE_SCHEMA},
              {"not", PLACE_SCHEMA},
              {"if", PLACE_SCHEMA},
              {"then", PLACE_SCHEMA},
              {"else", PLACE_SCHEMA}};

static enum cairn_rc note_anchor(struct cairn_schema_registry *registry,
                                 struct cairn_schema_resource *resource,
                                 const struct cairn_value *schema, const char *keyword,
                                 struct cairn_err *err)
{
    const struct cairn_value *name = cairn_value_at(schema, keyword);
    if (name == NULL) {
        return CAIRN_OK;
    }
    if (name->type != CAIRN_STRING || name->count == 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "schema %.*s: %s: must be a name",
                          CAIRN_SLICE_ARG(resource->uri), keyword);
    }
    const char *key = cairn_arena_printf(&registry->arena, "%u#%.*s", resource->index,
                                         CAIRN_SLICE_ARG(cairn_value_slice(name)));
    struct cairn_schema_anchor *anchor = cairn_arena_zalloc(&registry->arena, 1, sizeof(*anchor));
    bool added = false;
    union cairn_map_value *place =
        key == NULL || anchor == NULL
            ? NULL
            : cairn_map_put(&registry->anchors, cairn_slice_str(key), &added);
    if (place == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for an anchor");
    }
    if (!added) {
        const struct cairn_schema_anchor *other = place->pointer;
        if (other->schema == schema) {
            return CAIRN_OK;
        }
        return CAIRN_FAIL(err, CAIRN_EEXIST, "schema %.*s: the anchor %.*s stands twice",
                          CAIRN_SLICE_ARG(resource->uri), CAIRN_SLICE_ARG(cairn_value_slice(name)));
    }
    *anchor =
        (struct cairn_schema_anchor){schema, resource, strcmp(keyword, "$dynamicAnchor") == 0};
    place->pointer = anchor;
    return CAIRN_OK;
}

static enum cairn_rc scan_children(struct cairn_schema_registry *registry,
                                   struct cairn_schema_resource *resource, enum place place,
                                   const struct cairn_value *value, struct cairn_err *err)
{
    if (place == PLACE_SCHEMA) {
        return cairn_schema_scan(registry, resource, value, err);
    }
    bool fits = value->type == (place == PLACE_MAP ? CAIRN_MAP : CAIRN_ARRAY);
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; fits && i < value->count && rc == CAIRN_OK; i++) {
        rc = cairn_schema_scan(
            registry, resource,
            place == PLACE_MAP ? &value->as.members[i].value : &value->as.items[i], err);
    }
    return rc;
}

/* Recursion is bounded by the depth of a value. */
enum cairn_rc cairn_schema_scan(struct cairn_schema_registry *registry,
                                struct cairn_schema_resource *around,
                                const struct cairn_value *schema, struct cairn_err *err)
{
    if (schema->type != CAIRN_MAP) {
        return CAIRN_OK;
    }
    struct cairn_schema_resource *resource = NULL;
    enum cairn_rc rc = cairn_schema_registry_enter(registry, around, schema, &resource, err);
    if (rc == CAIRN_OK) {
        rc = note_anchor(registry, resource, schema, "$anchor", err);
    }
    if (rc == CAIRN_OK) {
        rc = note_anchor(registry, resource, schema, "$dynamicAnchor", err);
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && rc == CAIRN_OK; i++) {
        const struct cairn_value *value = cairn_value_at(schema, places[i].keyword);
        if (value != NULL) {
            rc = scan_children(registry, resource, places[i].place, value, err);
        }
    }
    return rc;
}
