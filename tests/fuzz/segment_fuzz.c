/* Whatever bytes lie in a segment, reading them is an answer: a record, a group, or damage. The
 * input is taken as a record, as a segment header, and as a group whose header and checksums are
 * made to fit, so that the fuzzer gets behind them. */
#include "eventstore/segment.h"

#include <assert.h>

#include "eventstore/record.h"
#include "platform/hash.h"
#include "platform/mem.h"
#include "tests/fuzz/fuzz.h"

#define EVENTS_MAX 64u

/* A record that reads must write to the same bytes. */
static void read_record(struct cairn_slice input)
{
    struct cairn_event event;
    size_t size = 0;
    const char *why = NULL;
    if (cairn_record_read(input, false, &event, &size, &why) != CAIRN_OK) {
        assert(why != NULL);
        return;
    }
    assert(size == cairn_record_size(&event) && size <= input.size);
    char *again = cairn_mem_alloc(size);
    assert(again != NULL);
    cairn_record_write(&event, again, size);
    assert(event.key.size == 0 || memcmp(again + 4, input.data + 4, size - 4) == 0);
    assert(cairn_record_read(cairn_slice_of(again, size), true, &event, &size, &why) == CAIRN_OK);
    cairn_mem_free(again);
}

static void read_group(struct cairn_slice input)
{
    struct cairn_event events[EVENTS_MAX];
    uint64_t locators[EVENTS_MAX];
    const char *why = NULL;
    size_t at = 0;
    if (input.size < 2) {
        return;
    }
    struct cairn_slice records = cairn_slice_of(input.data + 2, (input.size - 2) & ~(size_t)7);
    struct cairn_group_head head = {
        .size = (uint32_t)records.size,
        .records_hash = cairn_hash64(records),
        .first_offset = 1,
        .events = 1 + (uint32_t)((unsigned char)input.data[0] % EVENTS_MAX),
        .appends = 1 + (uint32_t)((unsigned char)input.data[1] % EVENTS_MAX),
        .locator = cairn_locator(1, CAIRN_SEGMENT_HEADER_BYTES)};
    if (head.size / CAIRN_RECORD_HEADER_BYTES < head.events || head.appends > head.events) {
        return;
    }
    char bytes[CAIRN_GROUP_HEADER_BYTES];
    struct cairn_group_head again;
    cairn_group_head_write(&head, 7, bytes);
    assert(cairn_group_head_read(bytes, 7, head.locator, &again));
    assert(!cairn_group_head_read(bytes, 8, head.locator, &again));
    (void)cairn_group_read(&head, records.data, 0, false, events, locators, &at, &why);
    assert(at <= records.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_slice input = cairn_slice_of((const char *)data, size);
    struct cairn_segment_head head;
    const char *why = NULL;
    read_record(input);
    read_group(input);
    if (size >= CAIRN_SEGMENT_HEADER_BYTES) {
        (void)cairn_segment_head_read(input.data, &head, &why);
    }
    return 0;
}
