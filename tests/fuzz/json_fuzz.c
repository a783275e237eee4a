/* What the JSON door accepts, it writes so that it reads back the same, and then the same text. */
#include "platform/json.h"

#include "tests/fuzz/fuzz.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_buf once = {.max = ARENA_MAX};
    struct cairn_buf twice = {.max = ARENA_MAX};
    struct cairn_value value;
    struct cairn_value again;
    struct cairn_err err;
    size_t offset = SIZE_MAX;
    struct cairn_slice text = cairn_slice_of((const char *)data, size);
    enum cairn_rc rc = cairn_json_read(text, &arena, &value, &offset, &err);
    if (rc != CAIRN_OK) {
        assert(rc == CAIRN_EMALFORMED);
        assert(offset <= size);
    } else {
        unsigned char print[16];
        unsigned char print_again[16];
        rc = cairn_json_write(&value, &once);
        assert(rc == CAIRN_OK);
        rc = cairn_json_read(cairn_buf_slice(&once), &arena, &again, NULL, &err);
        assert(rc == CAIRN_OK);
        assert(cairn_value_equal(&value, &again));
        cairn_value_fingerprint(&value, print);
        cairn_value_fingerprint(&again, print_again);
        assert(memcmp(print, print_again, sizeof(print)) == 0);
        rc = cairn_json_write(&again, &twice);
        assert(rc == CAIRN_OK);
        assert(cairn_slice_equal(cairn_buf_slice(&once), cairn_buf_slice(&twice)));
    }
    cairn_buf_fini(&twice);
    cairn_buf_fini(&once);
    cairn_arena_fini(&arena);
    return 0;
}
