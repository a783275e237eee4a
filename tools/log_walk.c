#include "tools/log_walk.h"

#include <assert.h>

#include "tools/progress.h"

/* How far a walk has come. */
struct pace {
    struct cairn_progress progress;
    uint64_t done, all; /* events */
};

static enum cairn_rc walk_batch(const struct cairn_log_walk *walk, const struct cairn_event *events,
                                size_t count, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i += events[i].count) {
        assert(events[i].index == 0 && events[i].count <= count - i);
        rc = walk->command(walk->self, &events[i], err);
    }
    return rc == CAIRN_OK && walk->batch != NULL ? walk->batch(walk->self, err) : rc;
}

static enum cairn_rc walk_partition(const struct cairn_log_walk *walk, uint16_t partition,
                                    struct pace *pace, struct cairn_err *err)
{
    struct cairn_log_reader *reader = NULL;
    enum cairn_rc rc = cairn_log_reader_open(walk->store, partition, 0, &reader, err);
    while (rc == CAIRN_OK) {
        const struct cairn_event *events = NULL;
        size_t count = 0;
        rc = cairn_log_reader_next(reader, CAIRN_LOG_WALK_EVENTS, &events, &count, err);
        if (rc != CAIRN_OK || count == 0) {
            break;
        }
        rc = walk_batch(walk, events, count, err);
        pace->done += count;
        cairn_progress_show(&pace->progress, pace->done,
                            pace->all == 0 ? -1.0 : (double)pace->done / (double)pace->all);
        if (rc == CAIRN_OK && cairn_stop_came(walk->stop, 0)) {
            rc = CAIRN_FAIL(err, CAIRN_ESTOPPED, "ended by a signal");
        }
    }
    cairn_log_reader_close(reader);
    return rc;
}

enum cairn_rc cairn_log_walk(const struct cairn_log_walk *walk, struct cairn_err *err)
{
    struct cairn_store_stats stats = {0};
    struct pace pace = {.done = 0};
    enum cairn_rc rc = cairn_store_stats(walk->store, &stats, err);
    pace.all = stats.events;
    cairn_progress_begin(&pace.progress, cairn_clock_system(), walk->what, false);
    for (uint16_t p = 0; rc == CAIRN_OK && p < cairn_store_partitions(walk->store); p++) {
        rc = walk_partition(walk, p, &pace, err);
    }
    cairn_progress_end(&pace.progress, pace.done);
    return rc;
}
