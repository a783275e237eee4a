/* JSON Schema 2020-12, compiled once at start into a compact program that runs over a parsed value.
 *
 * Sources are kept in a registry by absolute URI, so that $ref, $dynamicRef, $anchor and $id
 * resolve; nothing is ever fetched. The 2020-12 meta-schemas are built in. `format` is asserted for
 * the formats listed in docs/reference/schemas.md. */
#ifndef CAIRN_SCHEMAS_SCHEMA_H
#define CAIRN_SCHEMAS_SCHEMA_H

#include "platform/value.h"

struct cairn_schema_registry; /* documents by URI, and the schemas compiled from them */
struct cairn_schema;          /* a compiled program; read-only. thread: any */

struct cairn_schema_options {
    bool assert_format; /* true in Cairn; the test suite's required part wants false */
};

CAIRN_MUST_CHECK enum cairn_rc
cairn_schema_registry_new(const struct cairn_schema_options *options,
                          struct cairn_schema_registry **ret_registry, struct cairn_err *err);
/* Frees every schema compiled from it. Accepts NULL. */
void cairn_schema_registry_free(struct cairn_schema_registry *registry);

/* Add a document (JSON text, copied) under uri: absolute, no fragment. Its own $id, where it has
 * one, counts too. errors: EMALFORMED, EEXIST, EINVAL, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_add(struct cairn_schema_registry *registry,
                                                const char *uri, struct cairn_slice text,
                                                struct cairn_err *err);
/* Compile the schema at uri (a fragment may name an anchor or a JSON Pointer). Every reference must
 * resolve. errors: EINVAL with the pointer of the fault inside the schema (unknown $ref, keyword of
 * a wrong type, bad pattern). */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_compile(struct cairn_schema_registry *registry,
                                                    const char *uri,
                                                    const struct cairn_schema **ret_schema,
                                                    struct cairn_err *err);

#define CAIRN_SCHEMA_FAULTS_MAX 100

/* One thing wrong with a value. Strings are in the arena or static. */
struct cairn_schema_fault {
    struct cairn_slice pointer; /* JSON Pointer into the value: "/items/3/price"; "" is the whole */
    const char *keyword;        /* "minimum"; "false" for a false schema */
    struct cairn_slice message; /* for people: "must be at least 1" */
};

/* Check value. ret_faults: NULL to stop at the first fault, else all of them (at most
 * CAIRN_SCHEMA_FAULTS_MAX), in arena. errors: ESCHEMA (there are faults), ENOMEM; EINTERNAL when
 * matching a pattern exceeds its limits. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_check(const struct cairn_schema *schema,
                                                  const struct cairn_value *value,
                                                  struct cairn_arena *arena,
                                                  const struct cairn_schema_fault **ret_faults,
                                                  size_t *ret_count, struct cairn_err *err);
/* The faults as a value: [{"pointer":...,"keyword":...,"message":...}], for a problem's `errors`.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_faults_value(const struct cairn_schema_fault *faults,
                                                         size_t count, struct cairn_arena *arena,
                                                         struct cairn_value *ret_value);

#endif
