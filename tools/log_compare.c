#include "tools/log_compare.h"

#include <inttypes.h>

#include "platform/mem.h"

/* Events that a partition's reader takes at a time. */
#define SIDE_EVENTS 1000

/* A partition of the whole, read in step with the part. */
struct side {
    struct cairn_log_reader *reader;
    const struct cairn_event *events; /* the reader's last batch */
    size_t count, next;
    bool apart; /* another order: its commands are looked up from here on */
};

struct comparison {
    struct cairn_store *whole;
    struct side *sides; /* a partition each */
    struct cairn_arena arena;
};

/* How many of a command's events are the same; found[0..count). */
static size_t count_same(const struct cairn_event *wanted, const struct cairn_event *found,
                         size_t count)
{
    size_t same = 0;
    while (same < count && cairn_event_difference(&wanted[same], &found[same]) == NULL) {
        same++;
    }
    return same;
}

static enum cairn_rc tell_difference(const struct cairn_event *event, struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_ECONFLICT, "version %" PRIu64 " of %.*s differs", event->version,
                      CAIRN_SLICE_ARG(event->stream));
}

/* A page may hold less than a large command. */
static enum cairn_rc look_up(struct comparison *comparison, const struct cairn_event *events,
                             struct cairn_err *err)
{
    for (size_t done = 0; done < events->count;) {
        struct cairn_event_page page = {0};
        size_t left = events->count - done;
        cairn_arena_reset(&comparison->arena);
        enum cairn_rc rc =
            cairn_store_read_stream(comparison->whole, events->stream, events[done].version - 1,
                                    left, CAIRN_FORWARD, &comparison->arena, &page, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        size_t same = count_same(&events[done], page.events, page.count);
        done += same;
        if (same == 0 || same < page.count) {
            return tell_difference(&events[done], err);
        }
    }
    return CAIRN_OK;
}

/* The next command of a partition; *ret_next NULL at its end. */
static enum cairn_rc peek(struct comparison *comparison, uint16_t partition,
                          const struct cairn_event **ret_next, struct cairn_err *err)
{
    struct side *side = &comparison->sides[partition];
    enum cairn_rc rc = CAIRN_OK;
    if (side->reader == NULL) {
        rc = cairn_log_reader_open(comparison->whole, partition, 0, &side->reader, err);
    }
    if (rc == CAIRN_OK && side->next == side->count) {
        side->next = 0;
        rc = cairn_log_reader_next(side->reader, SIDE_EVENTS, &side->events, &side->count, err);
    }
    if (rc == CAIRN_OK) {
        *ret_next = side->count == 0 ? NULL : &side->events[side->next];
    }
    return rc;
}

static enum cairn_rc compare_command(void *self, const struct cairn_event *events,
                                     struct cairn_err *err)
{
    struct comparison *comparison = self;
    uint16_t partition = cairn_store_partition_of(comparison->whole, events->stream);
    if (partition == CAIRN_PARTITION_NONE) {
        return tell_difference(events, err);
    }
    struct side *side = &comparison->sides[partition];
    if (side->apart) {
        return look_up(comparison, events, err);
    }
    const struct cairn_event *next = NULL;
    enum cairn_rc rc = peek(comparison, partition, &next, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (next == NULL || next->version != events->version ||
        !cairn_slice_equal(next->stream, events->stream)) {
        side->apart = true;
        cairn_log_reader_close(side->reader);
        side->reader = NULL;
        return look_up(comparison, events, err);
    }
    side->next += next->count;
    size_t count = next->count < events->count ? next->count : events->count;
    size_t same = count_same(events, next, count);
    return same == events->count ? CAIRN_OK : tell_difference(&events[same], err);
}

enum cairn_rc cairn_log_compare(const struct cairn_log_compare *compare, struct cairn_err *err)
{
    uint16_t partitions = cairn_store_partitions(compare->whole);
    struct comparison comparison = {
        .whole = compare->whole,
        .sides = cairn_mem_zalloc(partitions, sizeof(struct side)),
        .arena = {.max = 2 * (size_t)CAIRN_GROUP_BYTES_MAX},
    };
    if (comparison.sides == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    const struct cairn_log_walk walk = {.store = compare->part,
                                        .stop = compare->stop,
                                        .what = compare->what,
                                        .command = compare_command,
                                        .self = &comparison};
    enum cairn_rc rc = cairn_log_walk(&walk, err);
    for (uint16_t p = 0; p < partitions; p++) {
        cairn_log_reader_close(comparison.sides[p].reader);
    }
    cairn_mem_free(comparison.sides);
    cairn_arena_fini(&comparison.arena);
    return rc;
}

enum cairn_rc cairn_log_compare_all(const struct cairn_log_compare *compare, struct cairn_err *err)
{
    struct cairn_store_stats part = {0};
    struct cairn_store_stats whole = {0};
    enum cairn_rc rc = cairn_log_compare(compare, err);
    rc = rc == CAIRN_OK ? cairn_store_stats(compare->part, &part, err) : rc;
    rc = rc == CAIRN_OK ? cairn_store_stats(compare->whole, &whole, err) : rc;
    if (rc == CAIRN_OK && (part.events != whole.events || part.streams != whole.streams)) {
        rc = CAIRN_FAIL(err, CAIRN_ECONFLICT,
                        "%" PRIu64 " events in %" PRIu64 " streams, not %" PRIu64 " in %" PRIu64,
                        whole.events, whole.streams, part.events, part.streams);
    }
    return rc;
}
