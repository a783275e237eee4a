/* Input: a schema, a line feed, an instance. Whatever compiles decides about whatever parses; the
 * verdict is the same with and without faults gathered; a schema and its negation never agree. */
#include "schemas/schema.h"

#include "platform/json.h"
#include "tests/fuzz/fuzz.h"

#define URI     "https://fuzz.test/schema"
#define NOT_URI "https://fuzz.test/not"

enum { ARENA_MAX = 64 * 1024 * 1024 };

static enum cairn_rc verdict(const struct cairn_schema *schema, const struct cairn_value *value,
                             struct cairn_arena *arena)
{
    struct cairn_err err;
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_schema_check(schema, value, arena, &faults, &count, &err);
    assert(rc == CAIRN_OK || rc == CAIRN_ESCHEMA || rc == CAIRN_EINTERNAL);
    assert((count > 0) == (rc == CAIRN_ESCHEMA));
    assert(count <= CAIRN_SCHEMA_FAULTS_MAX);
    enum cairn_rc quick = cairn_schema_check(schema, value, arena, NULL, NULL, &err);
    assert(quick == rc);
    return rc;
}

static void check(struct cairn_schema_registry *registry, struct cairn_slice instance,
                  struct cairn_arena *arena)
{
    struct cairn_err err;
    struct cairn_value value;
    const struct cairn_schema *schema = NULL;
    const struct cairn_schema *negation = NULL;
    if (cairn_schema_compile(registry, URI, &schema, &err) != CAIRN_OK) {
        return;
    }
    enum cairn_rc rc = cairn_schema_add(registry, NOT_URI,
                                        CAIRN_SLICE_LIT("{\"not\":{\"$ref\":\"" URI "\"}}"), &err);
    if (rc != CAIRN_OK || cairn_schema_compile(registry, NOT_URI, &negation, &err) != CAIRN_OK ||
        cairn_json_read(instance, arena, &value, NULL, &err) != CAIRN_OK) {
        return;
    }
    rc = verdict(schema, &value, arena);
    enum cairn_rc opposite = verdict(negation, &value, arena);
    if (rc != CAIRN_EINTERNAL && opposite != CAIRN_EINTERNAL) {
        assert((rc == CAIRN_OK) != (opposite == CAIRN_OK));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_schema_registry *registry = NULL;
    struct cairn_err err;
    const struct cairn_schema_options options = {.assert_format = true};
    struct cairn_slice input = cairn_slice_of((const char *)data, size);
    size_t line = cairn_slice_find(input, '\n');
    if (line == size) {
        return 0;
    }
    enum cairn_rc rc = cairn_schema_registry_new(&options, &registry, &err);
    assert(rc == CAIRN_OK);
    if (cairn_schema_add(registry, URI, cairn_slice_of(input.data, line), &err) == CAIRN_OK) {
        check(registry, cairn_slice_of(input.data + line + 1, size - line - 1), &arena);
    }
    cairn_schema_registry_free(registry);
    cairn_arena_fini(&arena);
    return 0;
}
