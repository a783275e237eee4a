/* What the registry knows: documents, the resources inside them, their anchors. For the files of
 * this folder.
 *
 * A resource is a schema with a URI of its own: a document's root, or a subschema with `$id`. */
#ifndef CAIRN_SCHEMAS_SCHEMA_REGISTRY_H
#define CAIRN_SCHEMAS_SCHEMA_REGISTRY_H

#include "platform/map.h"
#include "schemas/schema_program.h"

#define CAIRN_SCHEMA_REGISTRY_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define CAIRN_SCHEMA_RESOURCES_MAX      ((size_t)65536)
#define CAIRN_SCHEMA_DOCUMENT_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Bits of the vocabularies of 2020-12 that change what a schema asserts. */
enum cairn_schema_vocabulary {
    CAIRN_VOCABULARY_CORE = 1,
    CAIRN_VOCABULARY_APPLICATOR = 2,
    CAIRN_VOCABULARY_UNEVALUATED = 4,
    CAIRN_VOCABULARY_VALIDATION = 8,
    CAIRN_VOCABULARY_FORMAT = 16, /* format-assertion: asserted whatever the option says */
    CAIRN_VOCABULARY_ALL = 15
};

struct cairn_schema_resource {
    struct cairn_slice uri; /* absolute, no fragment; base of the references inside */
    const struct cairn_value *root;
    struct cairn_schema_resource *around; /* the one it is embedded in, NULL for a document */
    uint32_t index;
    uint32_t vocabularies; /* bits; 0 until asked for */
};

struct cairn_schema_anchor {
    const struct cairn_value *schema;
    struct cairn_schema_resource *resource;
    bool is_dynamic;
};

/* Where a reference leads. */
struct cairn_schema_target {
    const struct cairn_value *schema;
    struct cairn_schema_resource *resource; /* that the schema lies in */
    struct cairn_slice dynamic; /* name of the $dynamicAnchor by which it was found, else no data */
};

struct cairn_schema_registry {
    struct cairn_schema_options options;
    struct cairn_arena arena;   /* documents, resources, programs */
    struct cairn_map resources; /* by URI: struct cairn_schema_resource */
    struct cairn_map anchors;   /* by "index#name": struct cairn_schema_anchor */
    struct cairn_map regexes;   /* by pattern: struct cairn_schema_regex, owned */
    struct cairn_map roots;     /* by address of a schema: the resource it is the root of */
    struct cairn_schema_resource **list; /* by index; owned */
    uint32_t count;
    uint32_t cap;
};

/* reference (in `from`) to a schema. EINVAL when it leads nowhere, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_registry_find(struct cairn_schema_registry *registry,
                                                          struct cairn_slice base,
                                                          struct cairn_slice reference,
                                                          struct cairn_schema_target *ret_target,
                                                          struct cairn_err *err);
/* The resource that a subschema of `around` belongs to: its own where it has an `$id`. EINVAL,
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_schema_registry_enter(struct cairn_schema_registry *registry,
                            struct cairn_schema_resource *around, const struct cairn_value *schema,
                            struct cairn_schema_resource **ret_resource, struct cairn_err *err);
/* The anchor `name` of a resource, NULL when it has none. */
const struct cairn_schema_anchor *
cairn_schema_registry_anchor(const struct cairn_schema_registry *registry, uint32_t resource,
                             struct cairn_slice name);
/* Which vocabularies apply in a resource, by the meta-schema that its `$schema` names. EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_schema_registry_vocabularies(struct cairn_schema_registry *registry,
                                   struct cairn_schema_resource *resource,
                                   uint32_t *ret_vocabularies, struct cairn_err *err);
/* The compiled pattern, shared by all that use it. EINVAL, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_schema_registry_regex(struct cairn_schema_registry *registry, struct cairn_slice pattern,
                            const struct cairn_schema_regex **ret_regex, struct cairn_err *err);
/* Walk schema and all below it, and note every `$id` and anchor. EINVAL, EEXIST, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_scan(struct cairn_schema_registry *registry,
                                                 struct cairn_schema_resource *around,
                                                 const struct cairn_value *schema,
                                                 struct cairn_err *err);
/* A resource under uri, which must be new: EEXIST. root: its schema. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_schema_registry_add(struct cairn_schema_registry *registry, struct cairn_slice uri,
                          const struct cairn_value *root,
                          struct cairn_schema_resource **ret_resource, struct cairn_err *err);

/* The meta-schemas of 2020-12: count of them, and URI and text of each. */
size_t cairn_schema_metaschema_count(void);
void cairn_schema_metaschema(size_t index, const char **ret_uri, struct cairn_slice *ret_text);

#endif
