#include "tools/spec_events.h"

#include <assert.h>

#include "schemas/msgpack.h"

/* xorshift64*: small, and the same on every machine. */
static uint64_t draw(uint64_t *seed)
{
    uint64_t x = *seed == 0 ? 1 : *seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *seed = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

static enum cairn_rc pack(const struct cairn_spec_event *given, struct cairn_arena *arena,
                          struct cairn_slice *ret_data)
{
    struct cairn_buf buf = {.max = CAIRN_EVENT_DATA_BYTES_MAX};
    enum cairn_rc rc = cairn_msgpack_write(&given->data, &buf);
    rc = rc == CAIRN_OK ? cairn_arena_copy(arena, cairn_buf_slice(&buf), ret_data) : rc;
    cairn_buf_fini(&buf);
    return rc;
}

enum cairn_rc cairn_spec_events_pack(const struct cairn_spec_event *given, size_t count,
                                     struct cairn_arena *arena, struct cairn_event **ret_events,
                                     struct cairn_err *err)
{
    struct cairn_event *events = cairn_arena_zalloc(arena, count, sizeof(*events));
    if (events == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory for a spec's events");
    }
    for (size_t i = 0; i < count; i++) {
        struct cairn_event *event = &events[i];
        event->stream = given[i].stream;
        event->type = given[i].type;
        event->version = given[i].version;
        event->time_us = given[i].time_us;
        event->schema_version = given[i].schema_version;
        event->offset = i + 1;
        event->count = 1;
        /* An id of its own for each, the same in every run. */
        for (size_t byte = 0; byte < sizeof(uint64_t); byte++) {
            event->id.bytes[15 - byte] = (unsigned char)((i + 1) >> (8 * byte));
        }
        enum cairn_rc rc = pack(&given[i], arena, &event->data);
        if (rc != CAIRN_OK) {
            return CAIRN_FAIL(err, rc, "cannot pack the data of event %zu", i + 1);
        }
    }
    *ret_events = events;
    return CAIRN_OK;
}

bool cairn_spec_events_shuffle(struct cairn_event *events, size_t count, uint64_t *seed)
{
    bool several = false;
    /* Swapping neighbours of different streams reaches every order that keeps the streams' own. */
    for (size_t round = 0; round < 2 * count; round++) {
        for (size_t i = 1; i < count; i++) {
            if (cairn_slice_equal(events[i - 1].stream, events[i].stream)) {
                continue;
            }
            several = true;
            if ((draw(seed) >> 63) != 0) {
                struct cairn_event other = events[i - 1];
                events[i - 1] = events[i];
                events[i] = other;
            }
        }
        if (!several || round >= 64) {
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        events[i].offset = i + 1;
    }
    return several;
}
