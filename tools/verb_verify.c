#include <inttypes.h>
#include <stdio.h>

#include "eventstore/kafka_verify.h"
#include "projector/replay.h"
#include "tools/log_access.h"
#include "tools/log_open.h"
#include "tools/progress.h"
#include "tools/verbs.h"

/* Differences of a view that are told one by one. */
#define TOLD_MAX 100

static void log_fault(void *self, const char *place, const char *text)
{
    (void)self;
    (void)printf("log: %s: %s\n", place, text);
}

static void topics_fault(void *self, const char *place, const char *text)
{
    (void)self;
    (void)printf("topics: %s: %s\n", place, text);
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

static void print_topics(const struct cairn_kafka_verify_report *report)
{
    (void)printf("topics: %" PRIu64 " events of %" PRIu64 " commands in %" PRIu64
                 " streams, %u topics of %u partitions, %" PRIu64 " faults; ",
                 report->events, report->commands, report->streams, (unsigned)report->topics,
                 (unsigned)report->lanes, report->faults);
    if (report->replica) {
        (void)printf("the replica holds the same %" PRIu64 " of them\n", report->compared);
    } else {
        (void)printf("there is no replica to compare\n");
    }
}

static enum cairn_rc verify_topics(const struct cairn_config *config, struct cairn_err *err)
{
    struct cairn_progress progress;
    struct cairn_domain *domain = NULL;
    struct cairn_kafka_verify_report report = {.events = 0};
    enum cairn_rc rc = cairn_domain_load(cairn_config_operand(config, 0), &domain, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_kafka_verify_options options = {
        .kafka = {.brokers = cairn_config_text(config, "log") + strlen(CAIRN_LOG_KAFKA_PREFIX),
                  .properties = cairn_config_text(config, "kafka-property"),
                  .domain = cairn_domain_name(domain)},
        .data_folder = cairn_config_text(config, "data")};
    struct cairn_verify_hooks hooks = {
        .fault = topics_fault, .progress = log_progress, .self = &progress};
    cairn_progress_begin(&progress, cairn_clock_system(), "events", false);
    rc = cairn_kafka_verify(&options, &hooks, &report, err);
    if (rc == CAIRN_OK || rc == CAIRN_ECORRUPT) {
        print_topics(&report);
    }
    cairn_domain_free(domain);
    return rc;
}

/* The folder's log; where that is on Kafka the replica, if there is one, and then the topics, also
 * where the replica is faulty: an operator wants to know which of the two is wrong. */
static enum cairn_rc verify_source(const struct cairn_config *config, struct cairn_err *err)
{
    struct cairn_err replica = {.rc = CAIRN_OK};
    bool kafka = cairn_log_is_kafka(config);
    enum cairn_rc rc = verify_log(cairn_config_text(config, "data"), &replica);
    bool goes_on = rc == CAIRN_OK || rc == CAIRN_ECORRUPT || rc == CAIRN_ENOENT;
    enum cairn_rc topics = kafka && goes_on ? verify_topics(config, err) : CAIRN_OK;
    if (topics != CAIRN_OK || rc == CAIRN_OK || (kafka && rc == CAIRN_ENOENT)) {
        return topics;
    }
    *err = replica;
    return rc == CAIRN_ENOENT
               ? CAIRN_FAIL(err, rc, "there is no log in %s; name the data folder with --data",
                            cairn_config_text(config, "data"))
               : rc;
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

static void row_differs(void *self, const struct cairn_row_difference *difference)
{
    static const char *const whats[] = {[CAIRN_ROW_MISSING] = "the row is missing",
                                        [CAIRN_ROW_EXTRA] = "the row is too many",
                                        [CAIRN_ROW_DIFFERS] = "the row differs",
                                        [CAIRN_INDEX_DIFFERS] = "an index entry differs"};
    const struct comparison *comparison = self;
    (void)printf("view %.*s: row %.*s: %s\n", CAIRN_SLICE_ARG(comparison->view),
                 CAIRN_SLICE_ARG(difference->key), whats[difference->kind]);
}

static enum cairn_rc verify_view(const struct cairn_log_access *access,
                                 const struct cairn_domain_view *view, uint64_t throttle,
                                 struct cairn_err *err)
{
    struct comparison comparison = {.view = view->name};
    struct cairn_compare_report report = {.rows = 0};
    cairn_progress_begin(&comparison.progress, cairn_clock_system(), "events", false);
    struct cairn_compare_hooks hooks = {
        .progress = view_progress, .different = row_differs, .self = &comparison};
    const struct cairn_compare_request request = {
        .view = view->name, .stored = true, .throttle = throttle, .told_max = TOLD_MAX};
    enum cairn_rc rc = cairn_view_compare(&access->projector, &request, &hooks, &report, err);
    if (rc == CAIRN_OK) {
        (void)printf("view %.*s: %" PRIu64 " rows against %" PRIu64 " events, %" PRIu64
                     " differences\n",
                     CAIRN_SLICE_ARG(view->name), report.rows, report.events, report.differences);
    }
    if (rc == CAIRN_EBEHIND) {
        (void)printf("view %.*s: not compared: %s\n", CAIRN_SLICE_ARG(view->name), err->text);
    }
    if (rc == CAIRN_OK && report.differences > 0) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "view %.*s: %" PRIu64 " differences from the log",
                        CAIRN_SLICE_ARG(view->name), report.differences);
    }
    return rc;
}

/* A view that was asked for by its name can be looked at: known before the log is read, which may
 * take long. */
static enum cairn_rc check_view(const struct cairn_config *config, struct cairn_err *err)
{
    struct cairn_domain *domain = NULL;
    const char *only = cairn_config_text(config, "view");
    if (only == NULL) {
        return CAIRN_OK;
    }
    if (cairn_config_bool(config, "skip-views")) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "--view and --skip-views do not go together");
    }
    enum cairn_rc rc = cairn_domain_load(cairn_config_operand(config, 0), &domain, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_domain_view *view = cairn_domain_view(domain, cairn_slice_str(only));
    if (view == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOENT, "the domain has no view \"%.64s\"", only);
    } else if (view->kind == CAIRN_VIEW_POSTGRES && cairn_config_text(config, "postgres") == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "the view \"%.64s\" is in PostgreSQL: give --postgres",
                        only);
    }
    cairn_domain_free(domain);
    return rc;
}

/* Views that nobody can look at are named, so that nobody takes them for verified. */
static bool is_wanted(const struct cairn_config *config, const struct cairn_log_access *access,
                      const struct cairn_domain_view *view)
{
    const char *only = cairn_config_text(config, "view");
    if (only != NULL && !cairn_slice_is(view->name, only)) {
        return false;
    }
    if (view->kind == CAIRN_VIEW_POSTGRES && access->projector.postgres == NULL) {
        (void)printf("view %.*s: in PostgreSQL, not verified without --postgres\n",
                     CAIRN_SLICE_ARG(view->name));
        return false;
    }
    return true;
}

static enum cairn_rc verify_views(const struct cairn_config *config, struct cairn_err *err)
{
    struct cairn_log_access access;
    enum cairn_rc worst = CAIRN_OK;
    enum cairn_rc rc = cairn_log_access_open(config, cairn_config_operand(config, 0), &access, err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(access.domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(access.domain, i);
        if (!is_wanted(config, &access, view)) {
            continue;
        }
        rc = verify_view(&access, view, cairn_config_uint(config, "throttle"), err);
        if (rc == CAIRN_ECORRUPT || rc == CAIRN_EBEHIND) {
            worst = rc; /* told: go on, an operator wants to know all of them */
            rc = CAIRN_OK;
        }
    }
    cairn_log_access_close(&access);
    return rc == CAIRN_OK ? worst : rc;
}

int cairn_verb_verify(const struct cairn_config *config, struct cairn_err *err)
{
    enum cairn_rc rc = check_view(config, err);
    rc = rc == CAIRN_OK ? verify_source(config, err) : rc;
    if (rc == CAIRN_OK && !cairn_config_bool(config, "skip-views")) {
        rc = verify_views(config, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("all is well\n");
    }
    return rc == CAIRN_OK ? 0 : 1;
}
