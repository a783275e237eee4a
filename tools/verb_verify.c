#include <inttypes.h>
#include <stdio.h>

#include "platform/file.h"
#include "tools/log_access.h"
#include "tools/progress.h"
#include "tools/verbs.h"

static void log_fault(void *self, const char *place, const char *text)
{
    (void)self;
    (void)printf("log: %s: %s\n", place, text);
}

static void log_progress(void *self, uint64_t done, uint64_t all)
{
    cairn_progress_show(self, done, all == 0 ? -1.0 : (double)done / (double)all);
}

static enum cairn_rc verify_log(const char *data, struct cairn_err *err)
{
    struct cairn_progress progress;
    struct cairn_verify_report report = {.events = 0};
    cairn_progress_begin(&progress, cairn_clock_system(), "bytes", false);
    struct cairn_verify_hooks hooks = {
        .fault = log_fault, .progress = log_progress, .self = &progress};
    enum cairn_rc rc = cairn_store_verify(data, &hooks, &report, err);
    if (rc == CAIRN_OK || rc == CAIRN_ECORRUPT) {
        (void)printf("log: %" PRIu64 " events of %" PRIu64 " commands in %" PRIu64
                     " streams, %" PRIu64 " segments, %" PRIu64 " bytes, %" PRIu64 " faults%s\n",
                     report.events, report.commands, report.streams, report.segments, report.bytes,
                     report.faults,
                     report.torn_tail ? "; an unfinished last group, which the next start cuts"
                                      : "");
    }
    return rc;
}

/* One view against a replay of it. */
struct comparison {
    struct cairn_progress progress;
    struct cairn_slice view;
};

static void view_progress(void *self, const struct cairn_rebuild_progress *progress)
{
    struct comparison *comparison = self;
    double part = progress->all == 0 ? -1.0 : (double)progress->done / (double)progress->all;
    cairn_progress_show(&comparison->progress, progress->done, part);
}

static void row_differs(void *self, struct cairn_slice key, const char *what)
{
    const struct comparison *comparison = self;
    (void)printf("view %.*s: row %.*s: %s\n", CAIRN_SLICE_ARG(comparison->view),
                 CAIRN_SLICE_ARG(key), what);
}

static enum cairn_rc verify_view(const struct cairn_log_access *access,
                                 const struct cairn_domain_view *view, struct cairn_err *err)
{
    struct comparison comparison = {.view = view->name};
    struct cairn_compare_report report = {.rows = 0};
    cairn_progress_begin(&comparison.progress, cairn_clock_system(), "events", false);
    struct cairn_compare_hooks hooks = {
        .progress = view_progress, .different = row_differs, .self = &comparison};
    enum cairn_rc rc = cairn_view_compare(&access->projector, view->name, &hooks, &report, err);
    if (rc == CAIRN_OK || rc == CAIRN_ECORRUPT) {
        (void)printf("view %.*s: %" PRIu64 " rows against %" PRIu64 " events, %" PRIu64
                     " differences\n",
                     CAIRN_SLICE_ARG(view->name), report.rows, report.events, report.differences);
    }
    return rc;
}

static enum cairn_rc verify_views(const struct cairn_config *config, struct cairn_err *err)
{
    struct cairn_log_access access;
    enum cairn_rc worst = CAIRN_OK;
    enum cairn_rc rc = cairn_log_access_open(config, cairn_config_operand(config, 0), &access, err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(access.domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(access.domain, i);
        if (view->kind != CAIRN_VIEW_LMDB) {
            continue;
        }
        rc = verify_view(&access, view, err);
        if (rc == CAIRN_ECORRUPT) {
            worst = rc; /* go on: an operator wants to know all of them */
            rc = CAIRN_OK;
        }
    }
    cairn_log_access_close(&access);
    return rc == CAIRN_OK ? worst : rc;
}

int cairn_verb_verify(const struct cairn_config *config, struct cairn_err *err)
{
    const char *data = cairn_config_text(config, "data");
    enum cairn_rc rc = verify_log(data, err);
    char views[CAIRN_PATH_MAX];
    if (rc == CAIRN_OK && !cairn_config_bool(config, "skip-views") &&
        cairn_file_join(views, data, "views") == CAIRN_OK && cairn_file_is_folder(views)) {
        rc = verify_views(config, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("all is well\n");
    }
    return rc == CAIRN_OK ? 0 : 1;
}
