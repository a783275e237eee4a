#include <assert.h>

#include "schemas/schema_registry.h"

#define DIALECT "https://json-schema.org/draft/2020-12/"

/* Vocabularies of which only annotations come have the bit 0. */
static const struct {
    const char *uri;
    uint32_t bit;
} vocabularies[] = {{DIALECT "vocab/core", CAIRN_VOCABULARY_CORE},
                    {DIALECT "vocab/applicator", CAIRN_VOCABULARY_APPLICATOR},
                    {DIALECT "vocab/unevaluated", CAIRN_VOCABULARY_UNEVALUATED},
                    {DIALECT "vocab/validation", CAIRN_VOCABULARY_VALIDATION},
                    {DIALECT "vocab/format-assertion", CAIRN_VOCABULARY_FORMAT},
                    {DIALECT "vocab/format-annotation", 0},
                    {DIALECT "vocab/meta-data", 0},
                    {DIALECT "vocab/content", 0}};

/* The files of metaschema/, embedded by the build. */
#define METASCHEMA_TABLE(X)                                                                        \
    X(schema, "schema")                                                                            \
    X(core, "meta/core")                                                                           \
    X(applicator, "meta/applicator")                                                               \
    X(unevaluated, "meta/unevaluated")                                                             \
    X(validation, "meta/validation")                                                               \
    X(meta_data, "meta/meta-data")                                                                 \
    X(format_annotation, "meta/format-annotation")                                                 \
    X(format_assertion, "meta/format-assertion")                                                   \
    X(content, "meta/content")

#define X(symbol, path)                                                                            \
    extern const unsigned char cairn_metaschema_##symbol[];                                        \
    extern const unsigned int cairn_metaschema_##symbol##_size;
METASCHEMA_TABLE(X)
#undef X

static const struct {
    const char *uri;
    const unsigned char *text;
    const unsigned int *size;
} metaschemas[] = {
#define X(symbol, path)                                                                            \
    {DIALECT path, cairn_metaschema_##symbol, &cairn_metaschema_##symbol##_size},
    METASCHEMA_TABLE(X)
#undef X
};

size_t cairn_schema_metaschema_count(void)
{
    return sizeof(metaschemas) / sizeof(metaschemas[0]);
}

void cairn_schema_metaschema(size_t index, const char **ret_uri, struct cairn_slice *ret_text)
{
    assert(index < cairn_schema_metaschema_count());
    *ret_uri = metaschemas[index].uri;
    *ret_text = cairn_slice_of((const char *)metaschemas[index].text, *metaschemas[index].size);
}

/* One row of `$vocabulary`: a vocabulary that we do not know may be ignored only when it says so.
 */
static enum cairn_rc add_vocabulary(const struct cairn_member *row, uint32_t *bits,
                                    struct cairn_err *err)
{
    struct cairn_slice uri = cairn_value_slice(&row->key);
    for (size_t i = 0; i < sizeof(vocabularies) / sizeof(vocabularies[0]); i++) {
        if (cairn_slice_is(uri, vocabularies[i].uri)) {
            *bits |= vocabularies[i].bit;
            return CAIRN_OK;
        }
    }
    if (row->value.type == CAIRN_BOOL && row->value.as.boolean) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "unknown vocabulary %.*s", CAIRN_SLICE_ARG(uri));
    }
    return CAIRN_OK;
}

static enum cairn_rc read_vocabularies(struct cairn_schema_registry *registry,
                                       const struct cairn_schema_resource *resource, uint32_t *bits,
                                       struct cairn_err *err)
{
    /* An embedded resource speaks the dialect around it unless it names one. */
    while (resource->around != NULL && cairn_value_at(resource->root, "$schema") == NULL) {
        resource = resource->around;
    }
    struct cairn_slice dialect = cairn_value_get_string(resource->root, "$schema");
    if (dialect.data == NULL) {
        *bits = CAIRN_VOCABULARY_ALL;
        return CAIRN_OK;
    }
    struct cairn_schema_target target;
    enum cairn_rc rc = cairn_schema_registry_find(registry, resource->uri, dialect, &target, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "$schema");
    }
    const struct cairn_value *rows = cairn_value_at(target.schema, "$vocabulary");
    *bits = rows == NULL ? CAIRN_VOCABULARY_ALL : CAIRN_VOCABULARY_CORE;
    for (uint32_t i = 0; rows != NULL && rows->type == CAIRN_MAP && i < rows->count; i++) {
        rc = add_vocabulary(&rows->as.members[i], bits, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "$schema %.*s", CAIRN_SLICE_ARG(dialect));
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_registry_vocabularies(struct cairn_schema_registry *registry,
                                                 struct cairn_schema_resource *resource,
                                                 uint32_t *ret_vocabularies, struct cairn_err *err)
{
    if (resource->vocabularies == 0) {
        enum cairn_rc rc = read_vocabularies(registry, resource, &resource->vocabularies, err);
        if (rc != CAIRN_OK) {
            resource->vocabularies = 0;
            return cairn_err_wrap(err, rc, "schema %.*s", CAIRN_SLICE_ARG(resource->uri));
        }
    }
    *ret_vocabularies = resource->vocabularies;
    return CAIRN_OK;
}
