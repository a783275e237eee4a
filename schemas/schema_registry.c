#include "schemas/schema_registry.h"

#include <assert.h>
#include <stdio.h>

#include "platform/json.h"
#include "platform/mem.h"
#include "schemas/schema_uri.h"

static enum cairn_rc add_metaschemas(struct cairn_schema_registry *registry, struct cairn_err *err)
{
    for (size_t i = 0; i < cairn_schema_metaschema_count(); i++) {
        const char *uri = NULL;
        struct cairn_slice text;
        cairn_schema_metaschema(i, &uri, &text);
        enum cairn_rc rc = cairn_schema_add(registry, uri, text, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_registry_new(const struct cairn_schema_options *options,
                                        struct cairn_schema_registry **ret_registry,
                                        struct cairn_err *err)
{
    assert(options != NULL);
    struct cairn_schema_registry *registry = cairn_mem_zalloc(1, sizeof(*registry));
    if (registry == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a schema registry");
    }
    registry->options = *options;
    registry->arena.max = CAIRN_SCHEMA_REGISTRY_BYTES_MAX;
    registry->resources.max = 2 * CAIRN_SCHEMA_RESOURCES_MAX;
    registry->anchors.max = CAIRN_SCHEMA_NODES_MAX;
    registry->regexes.max = CAIRN_SCHEMA_NODES_MAX;
    registry->roots.max = CAIRN_SCHEMA_RESOURCES_MAX;
    enum cairn_rc rc = add_metaschemas(registry, err);
    if (rc != CAIRN_OK) {
        cairn_schema_registry_free(registry);
        return rc;
    }
    *ret_registry = registry;
    return CAIRN_OK;
}

void cairn_schema_registry_free(struct cairn_schema_registry *registry)
{
    if (registry == NULL) {
        return;
    }
    size_t cursor = 0;
    struct cairn_slice pattern;
    union cairn_map_value value;
    while (cairn_map_next(&registry->regexes, &cursor, &pattern, &value)) {
        cairn_schema_regex_free(value.pointer);
    }
    cairn_map_fini(&registry->regexes);
    cairn_map_fini(&registry->anchors);
    cairn_map_fini(&registry->resources);
    cairn_map_fini(&registry->roots);
    cairn_mem_free(registry->list);
    cairn_arena_fini(&registry->arena);
    cairn_mem_free(registry);
}

static enum cairn_rc no_memory(struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a schema");
}

/* The address of a schema as a key. */
static struct cairn_slice address_key(const struct cairn_value *const *schema)
{
    return cairn_slice_of((const char *)schema, sizeof(*schema));
}

static enum cairn_rc list_resource(struct cairn_schema_registry *registry,
                                   struct cairn_schema_resource *resource)
{
    if (registry->count == CAIRN_SCHEMA_RESOURCES_MAX) {
        return CAIRN_ETOOBIG;
    }
    if (registry->count == registry->cap) {
        uint32_t cap = registry->cap == 0 ? 16 : registry->cap * 2;
        struct cairn_schema_resource **list =
            cairn_mem_realloc(registry->list, cap * sizeof(*list));
        if (list == NULL) {
            return CAIRN_ENOMEM;
        }
        registry->list = list;
        registry->cap = cap;
    }
    resource->index = registry->count;
    registry->list[registry->count++] = resource;
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_registry_add(struct cairn_schema_registry *registry,
                                        struct cairn_slice uri, const struct cairn_value *root,
                                        struct cairn_schema_resource **ret_resource,
                                        struct cairn_err *err)
{
    assert(root != NULL);
    if (cairn_map_get(&registry->resources, uri) != NULL) {
        return CAIRN_FAIL(err, CAIRN_EEXIST, "there is a schema %.*s already",
                          CAIRN_SLICE_ARG(uri));
    }
    struct cairn_schema_resource *resource =
        cairn_arena_zalloc(&registry->arena, 1, sizeof(*resource));
    if (resource == NULL || list_resource(registry, resource) != CAIRN_OK) {
        return no_memory(err);
    }
    resource->uri = uri;
    resource->root = root;
    union cairn_map_value *by_uri = cairn_map_put(&registry->resources, uri, NULL);
    if (by_uri == NULL) {
        return no_memory(err);
    }
    by_uri->pointer = resource;
    union cairn_map_value *by_root = cairn_map_put(&registry->roots, address_key(&root), NULL);
    if (by_root == NULL) {
        return no_memory(err);
    }
    by_root->pointer = resource;
    *ret_resource = resource;
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_registry_enter(struct cairn_schema_registry *registry,
                                          struct cairn_schema_resource *around,
                                          const struct cairn_value *schema,
                                          struct cairn_schema_resource **ret_resource,
                                          struct cairn_err *err)
{
    const struct cairn_value *id = cairn_value_at(schema, "$id");
    if (id == NULL) {
        *ret_resource = around;
        return CAIRN_OK;
    }
    union cairn_map_value *known = cairn_map_get(&registry->roots, address_key(&schema));
    if (known != NULL) {
        *ret_resource = known->pointer;
        return CAIRN_OK;
    }
    struct cairn_slice uri = CAIRN_SLICE_NONE;
    struct cairn_slice fragment = CAIRN_SLICE_NONE;
    enum cairn_rc rc = CAIRN_EINVAL;
    if (id->type == CAIRN_STRING) {
        rc = cairn_schema_uri_resolve(around->uri, cairn_value_slice(id), &registry->arena, &uri,
                                      &fragment);
    }
    if (rc == CAIRN_ENOMEM) {
        return no_memory(err);
    }
    if (rc != CAIRN_OK || fragment.size > 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "schema %.*s: $id: must be a URI without a fragment",
                          CAIRN_SLICE_ARG(around->uri));
    }
    rc = cairn_schema_registry_add(registry, uri, schema, ret_resource, err);
    if (rc == CAIRN_OK && around->root != NULL) {
        (*ret_resource)->around = around;
    }
    return rc;
}

/* The document's own $id counts too, and is the base; the address it came by still finds it. */
static enum cairn_rc add_root(struct cairn_schema_registry *registry, struct cairn_slice uri,
                              const struct cairn_value *root, struct cairn_err *err)
{
    struct cairn_schema_resource given = {.uri = uri};
    struct cairn_schema_resource *resource = NULL;
    bool has_id = cairn_value_at(root, "$id") != NULL;
    enum cairn_rc rc = has_id ? cairn_schema_registry_enter(registry, &given, root, &resource, err)
                              : cairn_schema_registry_add(registry, uri, root, &resource, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool added = false;
    union cairn_map_value *place = cairn_map_put(&registry->resources, uri, &added);
    if (place == NULL) {
        return no_memory(err);
    }
    if (added) {
        place->pointer = resource;
    }
    return cairn_schema_scan(registry, resource, root, err);
}

enum cairn_rc cairn_schema_add(struct cairn_schema_registry *registry, const char *uri,
                               struct cairn_slice text, struct cairn_err *err)
{
    struct cairn_slice own_uri;
    struct cairn_slice own_text;
    struct cairn_slice given = cairn_slice_str(uri);
    if (!cairn_schema_uri_is_absolute(given) || cairn_slice_find(given, '#') != given.size) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "schema %s: not an absolute URI without fragment",
                          uri);
    }
    if (text.size > CAIRN_SCHEMA_DOCUMENT_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "schema %s: %zu bytes", uri, text.size);
    }
    if (cairn_map_get(&registry->resources, given) != NULL) {
        return CAIRN_FAIL(err, CAIRN_EEXIST, "there is a schema %s already", uri);
    }
    struct cairn_value *root = cairn_arena_alloc(&registry->arena, sizeof(*root));
    if (root == NULL || cairn_arena_copy(&registry->arena, given, &own_uri) != CAIRN_OK ||
        cairn_arena_copy(&registry->arena, text, &own_text) != CAIRN_OK) {
        return no_memory(err);
    }
    enum cairn_rc rc = cairn_json_read(own_text, &registry->arena, root, NULL, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "schema %s", uri);
    }
    return add_root(registry, own_uri, root, err);
}

const struct cairn_schema_anchor *
cairn_schema_registry_anchor(const struct cairn_schema_registry *registry, uint32_t resource,
                             struct cairn_slice name)
{
    char key[256];
    int size = snprintf(key, sizeof(key), "%u#%.*s", resource, CAIRN_SLICE_ARG(name));
    if (size < 0 || (size_t)size >= sizeof(key)) {
        return NULL;
    }
    union cairn_map_value *place =
        cairn_map_get(&registry->anchors, cairn_slice_of(key, (size_t)size));
    return place == NULL ? NULL : place->pointer;
}

/* The child that one token of a JSON Pointer names, NULL when there is none. */
static const struct cairn_value *step_into(const struct cairn_value *value,
                                           struct cairn_slice token)
{
    char key[256];
    size_t size = 0;
    if (token.size >= sizeof(key)) {
        return NULL;
    }
    for (size_t i = 0; i < token.size; i++) {
        bool escape = token.data[i] == '~' && i + 1 < token.size;
        key[size++] = !escape ? token.data[i] : token.data[i + 1] == '1' ? '/' : '~';
        i += escape ? 1 : 0;
    }
    if (value->type != CAIRN_ARRAY) {
        return cairn_value_get(value, cairn_slice_of(key, size));
    }
    uint64_t index = 0;
    if (cairn_slice_to_u64(token, &index) != CAIRN_OK || index >= value->count) {
        return NULL;
    }
    return &value->as.items[index];
}

/* Follow a JSON Pointer from a resource's root, and into the resources that it crosses. */
static enum cairn_rc follow(struct cairn_schema_registry *registry, struct cairn_slice pointer,
                            struct cairn_schema_target *target, struct cairn_err *err)
{
    while (pointer.size > 0) {
        struct cairn_slice rest = cairn_slice_of(pointer.data + 1, pointer.size - 1);
        size_t size = cairn_slice_find(rest, '/');
        target->schema = step_into(target->schema, cairn_slice_of(rest.data, size));
        if (target->schema == NULL) {
            return CAIRN_EINVAL;
        }
        pointer = cairn_slice_of(rest.data + size, rest.size - size);
        enum cairn_rc rc = cairn_schema_registry_enter(registry, target->resource, target->schema,
                                                       &target->resource, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_registry_find(struct cairn_schema_registry *registry,
                                         struct cairn_slice base, struct cairn_slice reference,
                                         struct cairn_schema_target *ret_target,
                                         struct cairn_err *err)
{
    struct cairn_slice uri = CAIRN_SLICE_NONE;
    struct cairn_slice fragment = CAIRN_SLICE_NONE;
    enum cairn_rc rc = cairn_schema_uri_resolve(base, reference, &registry->arena, &uri, &fragment);
    if (rc == CAIRN_ENOMEM) {
        return no_memory(err);
    }
    union cairn_map_value *place = rc == CAIRN_OK ? cairn_map_get(&registry->resources, uri) : NULL;
    if (place == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%.*s: no such schema", CAIRN_SLICE_ARG(reference));
    }
    struct cairn_schema_resource *resource = place->pointer;
    struct cairn_schema_target target = {.schema = resource->root, .resource = resource};
    if (fragment.size > 0 && fragment.data[0] == '/') {
        rc = follow(registry, fragment, &target, err);
    } else if (fragment.size > 0) {
        const struct cairn_schema_anchor *anchor =
            cairn_schema_registry_anchor(registry, resource->index, fragment);
        rc = anchor == NULL ? CAIRN_EINVAL : CAIRN_OK;
        target.schema = anchor == NULL ? NULL : anchor->schema;
        target.dynamic = anchor != NULL && anchor->is_dynamic ? fragment : CAIRN_SLICE_NONE;
    }
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOMEM ? rc
                                  : CAIRN_FAIL(err, CAIRN_EINVAL, "%.*s: leads nowhere",
                                               CAIRN_SLICE_ARG(reference));
    }
    *ret_target = target;
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_registry_regex(struct cairn_schema_registry *registry,
                                          struct cairn_slice pattern,
                                          const struct cairn_schema_regex **ret_regex,
                                          struct cairn_err *err)
{
    union cairn_map_value *place = cairn_map_get(&registry->regexes, pattern);
    if (place != NULL) {
        *ret_regex = place->pointer;
        return CAIRN_OK;
    }
    struct cairn_schema_regex *regex = NULL;
    enum cairn_rc rc = cairn_schema_regex_new(pattern, &regex, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    place = cairn_map_put(&registry->regexes, pattern, NULL);
    if (place == NULL) {
        cairn_schema_regex_free(regex);
        return no_memory(err);
    }
    place->pointer = regex;
    *ret_regex = regex;
    return CAIRN_OK;
}
