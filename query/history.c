#include "query/history.h"

#include <assert.h>

#include "platform/mem.h"

#define BATCH_EVENTS 256

/* One partition. */
struct source {
    struct cairn_log_reader *reader;  /* NULL until there is something to read; owned */
    const struct cairn_event *events; /* the reader's batch, borrowed */
    size_t count;                     /* of events */
    size_t at;                        /* next in events; at == count: nothing in hand */
};

struct cairn_history {
    struct cairn_store *store;
    struct cairn_position position;
    unsigned partitions;
    unsigned current;    /* the source whose command is being handed out */
    bool inside;         /* that command has further events */
    unsigned until_fill; /* events to hand out before dry partitions are asked again */
    struct source sources[];
};

enum cairn_rc cairn_history_open(struct cairn_store *store, const struct cairn_position *after,
                                 struct cairn_history **ret_history, struct cairn_err *err)
{
    assert(store != NULL && after != NULL);
    unsigned partitions = cairn_store_partitions(store);
    assert(partitions >= 1 && partitions <= CAIRN_PARTITIONS_MAX);
    struct cairn_history *history =
        cairn_mem_zalloc(1, sizeof(*history) + partitions * sizeof(history->sources[0]));
    if (history == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a history of the log");
    }
    history->store = store;
    history->position = *after;
    history->partitions = partitions;
    *ret_history = history;
    return CAIRN_OK;
}

void cairn_history_close(struct cairn_history *history)
{
    if (history == NULL) {
        return;
    }
    for (unsigned p = 0; p < history->partitions; p++) {
        cairn_log_reader_close(history->sources[p].reader);
    }
    cairn_mem_free(history);
}

const struct cairn_position *cairn_history_position(const struct cairn_history *history)
{
    return &history->position;
}

/* A reader gives whole commands; a history may begin inside one. */
static void skip_seen(struct source *source, uint64_t after)
{
    while (source->at < source->count && source->events[source->at].offset <= after) {
        source->at++;
    }
}

/* Fill the source of partition p, which has nothing in hand and whose log ends at end. */
static enum cairn_rc fill(struct cairn_history *history, unsigned p, uint64_t end,
                          struct cairn_err *err)
{
    struct source *source = &history->sources[p];
    assert(source->at == source->count);
    uint64_t after = history->position.offsets[p];
    if (source->reader == NULL) {
        enum cairn_rc rc =
            cairn_log_reader_open(history->store, (uint16_t)p, after, &source->reader, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    do {
        source->at = source->count = 0;
        enum cairn_rc rc = cairn_log_reader_next(source->reader, BATCH_EVENTS, &source->events,
                                                 &source->count, err);
        if (rc != CAIRN_OK) {
            source->count = 0;
            return rc;
        }
        skip_seen(source, after);
    } while (source->count > 0 && source->at == source->count);
    if (source->count == 0 && end > after) {
        /* Offsets may have gaps, at the end too: everything up to end has been looked at. */
        history->position.offsets[p] = end;
    }
    return CAIRN_OK;
}

/* Give every source that has nothing in hand, but more in the log, its next batch. */
static enum cairn_rc fill_all(struct cairn_history *history, struct cairn_err *err)
{
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(history->store, &end, err);
    for (unsigned p = 0; rc == CAIRN_OK && p < history->partitions; p++) {
        struct source *source = &history->sources[p];
        if (source->at == source->count && end.offsets[p] > history->position.offsets[p]) {
            rc = fill(history, p, end.offsets[p], err);
        }
    }
    return rc;
}

/* The source whose next command is the oldest; false when none has any. */
static bool choose(struct cairn_history *history)
{
    bool found = false;
    int64_t oldest_us = 0;
    for (unsigned p = 0; p < history->partitions; p++) {
        const struct source *source = &history->sources[p];
        if (source->at == source->count) {
            continue;
        }
        int64_t time_us = source->events[source->at].time_us;
        if (!found || time_us < oldest_us) {
            found = true;
            oldest_us = time_us;
            history->current = p;
        }
    }
    return found;
}

/* Is it time to ask the log? When the source in use is out of events the merge may not go on
 * without it; partitions that were dry are looked at again now and then. */
static bool wants_fill(const struct cairn_history *history)
{
    const struct source *source = &history->sources[history->current];
    return history->until_fill == 0 || source->at == source->count;
}

enum cairn_rc cairn_history_next(struct cairn_history *history,
                                 const struct cairn_event **ret_event, struct cairn_err *err)
{
    assert(history != NULL && ret_event != NULL);
    if (!history->inside) {
        if (wants_fill(history)) {
            enum cairn_rc rc = fill_all(history, err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            history->until_fill = BATCH_EVENTS;
        }
        if (!choose(history)) {
            history->until_fill = 0;
            *ret_event = NULL;
            return CAIRN_OK;
        }
    }
    history->until_fill -= history->until_fill > 0 ? 1u : 0u;
    struct source *source = &history->sources[history->current];
    assert(source->at < source->count);
    const struct cairn_event *event = &source->events[source->at++];
    assert(event->offset > history->position.offsets[history->current]);
    history->position.offsets[history->current] = event->offset;
    history->inside = !cairn_event_is_last(event);
    *ret_event = event;
    return CAIRN_OK;
}
