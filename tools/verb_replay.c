#include <stdio.h>

#include "projector/replay.h"
#include "tools/log_access.h"
#include "tools/progress.h"
#include "tools/stop.h"
#include "tools/verbs.h"

/* The rebuild as its hooks see it. */
struct replay {
    struct cairn_progress progress;
    struct cairn_stop stop;
};

static void show(void *self, const struct cairn_rebuild_progress *progress)
{
    struct replay *replay = self;
    double part = progress->all == 0 ? -1.0 : (double)progress->done / (double)progress->all;
    cairn_progress_show(&replay->progress, progress->done, part);
}

/* A stop signal that is blocked and pending: the half-built generation is dropped, the live one
 * stays. */
static bool cancelled(void *self)
{
    struct replay *replay = self;
    return cairn_stop_came(&replay->stop, 0);
}

int cairn_verb_replay(const struct cairn_config *config, struct cairn_err *err)
{
    struct replay replay;
    cairn_stop_begin(&replay.stop);
    struct cairn_log_access access;
    enum cairn_rc rc = cairn_log_access_open(config, cairn_config_operand(config, 1), &access, err);
    if (rc == CAIRN_OK) {
        struct cairn_rebuild_hooks hooks = {
            .progress = show, .cancelled = cancelled, .self = &replay};
        struct cairn_rebuild_result result = {.events = 0};
        struct cairn_slice view = cairn_slice_str(cairn_config_operand(config, 0));
        cairn_progress_begin(&replay.progress, cairn_clock_system(), "events", false);
        const struct cairn_rebuild_request request = {.view = view};
        rc = cairn_view_rebuild(&access.projector, &request, &hooks, &result, err);
        if (rc == CAIRN_OK) {
            cairn_progress_end(&replay.progress, result.events);
            (void)printf("%.*s: %llu rows from %llu events, generation %llu is live\n",
                         CAIRN_SLICE_ARG(view), (unsigned long long)result.rows,
                         (unsigned long long)result.events, (unsigned long long)result.generation);
        }
    }
    cairn_log_access_close(&access);
    return rc == CAIRN_OK ? 0 : 1;
}
