/* What the data door accepts, the other doors read as the same value; it survives msgpack and JSON;
 * and the tree never takes more memory than the bytes that are there explain. */
#include "schemas/msgpack.h"

#include "platform/json.h"
#include "tests/fuzz/fuzz.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

/* A byte is at most one value; arrays and maps round up, and are one of those values each. */
static const size_t BYTES_PER_BYTE = 2 * sizeof(struct cairn_value);

static void round_trip(const struct cairn_value *value, struct cairn_arena *arena)
{
    struct cairn_value again;
    struct cairn_err err;
    struct cairn_buf packed = {.max = ARENA_MAX};
    struct cairn_buf text = {.max = ARENA_MAX};
    enum cairn_rc rc = cairn_msgpack_write(value, &packed);
    assert(rc == CAIRN_OK);
    rc = cairn_msgpack_read(cairn_buf_slice(&packed), CAIRN_MSGPACK_TRUSTED, arena, &again, NULL,
                            &err);
    assert(rc == CAIRN_OK);
    assert(cairn_value_equal(value, &again));
    rc = cairn_json_write(value, &text);
    assert(rc == CAIRN_OK);
    rc = cairn_json_read(cairn_buf_slice(&text), arena, &again, NULL, &err);
    assert(rc == CAIRN_OK);
    assert(cairn_value_equal(value, &again));
    cairn_buf_fini(&text);
    cairn_buf_fini(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_value value;
    struct cairn_value any;
    struct cairn_err err;
    size_t offset = SIZE_MAX;
    struct cairn_slice bytes = cairn_slice_of((const char *)data, size);
    enum cairn_rc rc = cairn_msgpack_read(bytes, CAIRN_MSGPACK_DATA, &arena, &value, &offset, &err);
    assert(arena.used <= size * BYTES_PER_BYTE);
    assert(rc == CAIRN_OK || (rc == CAIRN_EMALFORMED && offset <= size));
    enum cairn_rc any_rc = cairn_msgpack_read(bytes, CAIRN_MSGPACK_ANY, &arena, &any, NULL, &err);
    if (rc == CAIRN_OK) {
        assert(any_rc == CAIRN_OK);
        assert(cairn_value_equal(&value, &any));
        round_trip(&value, &arena);
    } else if (any_rc == CAIRN_OK) {
        struct cairn_buf packed = {.max = ARENA_MAX};
        rc = cairn_msgpack_write(&any, &packed);
        assert(rc == CAIRN_OK);
        assert(packed.size <= size);
        rc = cairn_msgpack_read(cairn_buf_slice(&packed), CAIRN_MSGPACK_ANY, &arena, &value, NULL,
                                &err);
        assert(rc == CAIRN_OK);
        cairn_buf_fini(&packed);
    }
    cairn_arena_fini(&arena);
    return 0;
}
