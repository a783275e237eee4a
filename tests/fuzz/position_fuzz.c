/* A position that parses is written as the same text. */
#include "eventstore/position.h"

#include <assert.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_slice input = cairn_slice_of((const char *)data, size);
    struct cairn_position position;
    struct cairn_buf text = {.max = CAIRN_POSITION_TEXT_MAX};
    if (cairn_position_parse(input, &position) == CAIRN_OK) {
        enum cairn_rc rc = cairn_position_write(&position, &text);
        assert(rc == CAIRN_OK);
        assert(cairn_slice_equal(cairn_buf_slice(&text), input));
    }
    cairn_buf_fini(&text);
    return 0;
}
