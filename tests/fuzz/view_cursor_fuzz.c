/* A cursor that is accepted is the text that its place is written as. */
#include "projector/view_cursor.h"

#include <assert.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = 1u << 16};
    struct cairn_view_place place;
    struct cairn_err err;
    struct cairn_view_query query = {.view = CAIRN_SLICE_LIT("v"),
                                     .order = CAIRN_SLICE_LIT("total"),
                                     .limit = 1,
                                     .cursor = cairn_slice_of((const char *)data, size)};
    for (int by_key = 0; by_key < 2 && size > 0; by_key++) {
        query.order = by_key != 0 ? CAIRN_SLICE_NONE : CAIRN_SLICE_LIT("total");
        enum cairn_rc rc = cairn_view_cursor_read(&query, &arena, &place, &err);
        assert(rc == CAIRN_OK || rc == CAIRN_EQUERY);
        if (rc == CAIRN_OK) {
            struct cairn_slice text;
            rc = cairn_view_cursor_write(&query, &place, &arena, &text);
            assert(rc == CAIRN_OK && cairn_slice_equal(text, query.cursor));
        }
        cairn_arena_reset(&arena);
    }
    cairn_arena_fini(&arena);
    return 0;
}
