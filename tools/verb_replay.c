#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "projector/replay.h"
#include "tools/log_access.h"
#include "tools/progress.h"
#include "tools/replay_dry.h"
#include "tools/replay_scope.h"
#include "tools/stop.h"
#include "tools/verbs.h"

/* The rebuild as its hooks see it. */
struct replay {
    const struct cairn_config *config;
    struct cairn_slice view;
    struct cairn_log_access access;
    struct cairn_progress progress;
    struct cairn_stop stop;
};

static void show(void *self, const struct cairn_rebuild_progress *progress)
{
    struct replay *replay = self;
    double part = progress->all == 0 ? -1.0 : (double)progress->done / (double)progress->all;
    cairn_progress_show(&replay->progress, progress->done, part);
}

/* A stop signal that is blocked and pending: what is built so far stays, to be gone on with. */
static bool cancelled(void *self)
{
    struct replay *replay = self;
    return cairn_stop_came(&replay->stop, 0);
}

/* ---- what is said at the end ---- */

static bool is_same(const struct cairn_rebuild_result *result)
{
    return result->before.rows == result->after.rows && result->before.sum == result->after.sum;
}

/* "before" and "after" of generations that were held against each other. */
static void print_digest(const char *name, const struct cairn_view_digest *digest)
{
    (void)printf(",\"%s\":{\"rows\":%" PRIu64 ",\"checksum\":\"%016" PRIx64 "\"}", name,
                 digest->rows, digest->sum);
}

static void print_json(const struct replay *replay, const struct cairn_rebuild_result *result)
{
    static const char *const words[] = {"false", "true"};
    (void)printf("{\"view\":\"%.*s\",\"generation\":%" PRIu64 ",\"events\":%" PRIu64
                 ",\"rows\":%" PRIu64 ",\"parked\":%" PRIu64
                 ",\"workers\":%u,\"seconds\":%.3f,\"resumed\":%s,\"kept\":%s,\"same\":%s",
                 CAIRN_SLICE_ARG(replay->view), result->generation, result->events, result->rows,
                 result->parked, result->workers, result->seconds, words[result->resumed],
                 words[result->kept], result->compared ? words[is_same(result)] : "null");
    if (result->not_compared != NULL) {
        (void)printf(",\"not_compared\":\"%s\"", result->not_compared);
    }
    if (result->compared) {
        print_digest("before", &result->before);
        print_digest("after", &result->after);
    }
    (void)printf("}\n");
}

/* What a rebuild gives is what the log gives. Behind a rollback, either of the two may be. */
static void print_other_rows(const struct replay *replay, const struct cairn_rebuild_result *result)
{
    bool back = cairn_config_bool(replay->config, "rollback");
    (void)printf("%s: %" PRIu64 ", checksum %016" PRIx64 "%s now %" PRIu64 ", checksum %016" PRIx64
                 "%s\n",
                 back ? "the generation that was live had other rows"
                      : "the rows before were NOT what the log gives",
                 result->before.rows, result->before.sum, back ? ";" : ", and", result->after.rows,
                 result->after.sum, back ? "; cairn verify says which is what the log gives" : "");
}

static void print_text(const struct replay *replay, const struct cairn_rebuild_result *result)
{
    (void)printf("%.*s: %" PRIu64 " rows from %" PRIu64 " events, generation %" PRIu64
                 " is live%s\n",
                 CAIRN_SLICE_ARG(replay->view), result->rows, result->events, result->generation,
                 result->resumed ? "; an interrupted build was gone on with" : "");
    if (result->compared && is_same(result)) {
        (void)printf("the rows before were the same: %" PRIu64 ", checksum %016" PRIx64 "\n",
                     result->before.rows, result->before.sum);
    } else if (result->compared) {
        print_other_rows(replay, result);
    } else if (result->not_compared != NULL) {
        (void)printf("the rows before were not compared: %s\n", result->not_compared);
    }
    if (result->workers > 1) {
        (void)printf("the log was applied by %u workers, by partition\n", result->workers);
    }
    if (result->parked > 0) {
        (void)printf("%" PRIu64 " streams are parked: cairn parked list\n", result->parked);
    }
    if (result->kept) {
        (void)printf("what was live before is kept: --rollback puts it back, --drop frees its "
                     "space\n");
    }
}

/* ---- what can be done ---- */

static enum cairn_rc build(struct replay *replay, struct cairn_err *err)
{
    const struct cairn_rebuild_hooks hooks = {
        .progress = show, .cancelled = cancelled, .self = replay};
    const struct cairn_rebuild_request request = {
        .view = replay->view,
        .throttle = cairn_config_uint(replay->config, "throttle"),
        .workers = (unsigned)cairn_config_uint(replay->config, "workers")};
    struct cairn_rebuild_result result;
    bool json = cairn_config_bool(replay->config, "json");
    bool back = cairn_config_bool(replay->config, "rollback");
    cairn_progress_begin(&replay->progress, cairn_clock_system(), "events", json);
    enum cairn_rc rc =
        back ? cairn_view_rollback(&replay->access.projector, &request, &hooks, &result, err)
             : cairn_view_rebuild(&replay->access.projector, &request, &hooks, &result, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_progress_end(&replay->progress, result.events);
    if (json) {
        print_json(replay, &result);
    } else {
        print_text(replay, &result);
    }
    return CAIRN_OK;
}

static enum cairn_rc drop(struct replay *replay, struct cairn_err *err)
{
    bool dropped = false;
    enum cairn_rc rc = cairn_view_drop_kept(&replay->access.projector, replay->view, &dropped, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (cairn_config_bool(replay->config, "json")) {
        (void)printf("{\"view\":\"%.*s\",\"dropped\":%s}\n", CAIRN_SLICE_ARG(replay->view),
                     dropped ? "true" : "false");
    } else {
        (void)printf("%.*s: %s\n", CAIRN_SLICE_ARG(replay->view),
                     dropped ? "dropped what was kept beside the live rows"
                             : "nothing is kept beside the live rows");
    }
    return CAIRN_OK;
}

static enum cairn_rc dry_run(struct replay *replay, struct cairn_err *err)
{
    return cairn_replay_dry_run(replay->config, &replay->access, replay->view, &replay->stop, err);
}

/* ---- which of them ---- */

/* Flags that name another thing to do than to build and switch. */
static const struct {
    const char *flag;
    enum cairn_rc (*run)(struct replay *replay, struct cairn_err *err);
} ways[] = {{"dry-run", dry_run}, {"rollback", build}, {"drop", drop}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static enum cairn_rc check_flags(const struct cairn_config *config, struct cairn_err *err)
{
    static const char *const of_dry_runs[] = {"diff", "rows"};
    const char *first = NULL;
    for (size_t i = 0; i < COUNT(ways); i++) {
        if (!cairn_config_bool(config, ways[i].flag)) {
            continue;
        }
        if (first != NULL) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "--%s and --%s are two different things to do",
                              first, ways[i].flag);
        }
        first = ways[i].flag;
    }
    if (cairn_config_bool(config, "dry-run")) {
        return CAIRN_OK;
    }
    for (size_t i = 0; i < COUNT(of_dry_runs); i++) {
        if (cairn_config_bool(config, of_dry_runs[i])) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "--%s goes with --dry-run", of_dry_runs[i]);
        }
    }
    if (cairn_replay_scope_given(config)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "a part of the log gives no version of a view that could be served; add "
                          "--dry-run to see what --from, --until or --stream give");
    }
    return CAIRN_OK;
}

int cairn_verb_replay(const struct cairn_config *config, struct cairn_err *err)
{
    struct replay replay = {.config = config,
                            .view = cairn_slice_str(cairn_config_operand(config, 0))};
    enum cairn_rc (*run)(struct replay * replay, struct cairn_err * err) = build;
    if (check_flags(config, err) != CAIRN_OK) {
        return 2;
    }
    /* Whoever reads the rows may go: a write fails then, and what is in the database is removed. */
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT(ways); i++) {
        run = cairn_config_bool(config, ways[i].flag) ? ways[i].run : run;
    }
    cairn_stop_begin(&replay.stop);
    enum cairn_rc rc =
        cairn_log_access_open(config, cairn_config_operand(config, 1), &replay.access, err);
    rc = rc == CAIRN_OK ? run(&replay, err) : rc;
    cairn_log_access_close(&replay.access);
    return rc == CAIRN_OK ? 0 : 1;
}
