#include "tools/replay_dry.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "platform/json.h"
#include "projector/replay.h"
#include "tools/progress.h"
#include "tools/replay_scope.h"

#define LINE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define NOTES_MAX      4
#define NOTE_SIZE      (CAIRN_POSITION_TEXT_MAX + 160)

/* A dry run as its hooks see it. */
struct dry_run {
    struct cairn_progress progress;
    struct cairn_stop *stop;
    bool json;
    bool partial;     /* rows of a part of the log */
    uint64_t workers; /* that were asked for */
    struct cairn_buf line;
    enum cairn_rc rc; /* of what could not be printed */
};

static void show(void *self, const struct cairn_rebuild_progress *progress)
{
    struct dry_run *run = self;
    double part = progress->all == 0 ? -1.0 : (double)progress->done / (double)progress->all;
    cairn_progress_show(&run->progress, progress->done, part);
}

static bool cancelled(void *self)
{
    struct dry_run *run = self;
    return run->rc != CAIRN_OK || cairn_stop_came(run->stop, 0);
}

/* ---- lines ---- */

static void begin_line(struct dry_run *run)
{
    cairn_buf_truncate(&run->line, 0);
}

static void add(struct dry_run *run, const char *text)
{
    run->rc = run->rc == CAIRN_OK ? cairn_buf_append_str(&run->line, text) : run->rc;
}

static void add_slice(struct dry_run *run, struct cairn_slice text)
{
    run->rc = run->rc == CAIRN_OK ? cairn_buf_append(&run->line, text) : run->rc;
}

static void end_line(struct dry_run *run)
{
    add(run, "\n");
    if (run->rc == CAIRN_OK &&
        fwrite(run->line.data, 1, run->line.size, stdout) != run->line.size) {
        run->rc = CAIRN_EIO;
    }
}

/* A member whose value is JSON already, or a text; left out where there is none. */
static void add_member(struct dry_run *run, const char *name, struct cairn_slice value,
                       bool is_text)
{
    if (value.size == 0) {
        return;
    }
    add(run, run->line.size == 0 ? "{\"" : ",\"");
    add(run, name);
    add(run, "\":");
    if (is_text) {
        run->rc = run->rc == CAIRN_OK ? cairn_json_write_string(value, &run->line) : run->rc;
    } else {
        add_slice(run, value);
    }
}

static void print_row(void *self, struct cairn_slice table, struct cairn_slice key,
                      struct cairn_slice json)
{
    struct dry_run *run = self;
    begin_line(run);
    add_member(run, "table", table, true);
    add_member(run, "key", key, true);
    add_member(run, "row", json, false);
    add(run, "}");
    end_line(run);
}

static void print_side(struct dry_run *run, const char *sign,
                       const struct cairn_row_difference *difference, struct cairn_slice json)
{
    begin_line(run);
    add(run, sign);
    if (difference->table.size > 0) {
        add_slice(run, difference->table);
        add(run, " ");
    }
    add_slice(run, difference->key);
    add(run, " ");
    add_slice(run, json);
    end_line(run);
}

static void print_difference(void *self, const struct cairn_row_difference *difference)
{
    struct dry_run *run = self;
    if (difference->kind == CAIRN_INDEX_DIFFERS) {
        return; /* it follows from a row, or `cairn verify` tells */
    }
    if (run->json) {
        begin_line(run);
        add_member(run, "table", difference->table, true);
        add_member(run, "key", difference->key, true);
        add_member(run, "live", difference->live, false);
        add_member(run, "replayed", difference->replayed, false);
        add(run, "}");
        end_line(run);
        return;
    }
    if (difference->live.size > 0) {
        print_side(run, "- ", difference, difference->live);
    }
    if (difference->replayed.size > 0) {
        print_side(run, "+ ", difference, difference->replayed);
    }
}

/* ---- the run ---- */

/* What must be known beside the numbers, each as a line. */
struct notes {
    char lines[NOTES_MAX][NOTE_SIZE];
    size_t count;
};

__attribute__((format(printf, 2, 3))) static void note(struct notes *notes, const char *format, ...)
{
    va_list arguments;
    assert(notes->count < NOTES_MAX);
    va_start(arguments, format);
    (void)vsnprintf(notes->lines[notes->count++], NOTE_SIZE, format, arguments);
    va_end(arguments);
}

static void take_notes(const struct dry_run *run, const struct cairn_compare_report *report,
                       const char *live, struct notes *notes)
{
    if (!report->level) {
        note(notes, "the live rows are as of %s: what came between makes rows differ, too", live);
    }
    if (run->partial) {
        note(notes,
             "left out of the comparison are %" PRIu64 " rows that only the live view has: --from "
             "and --stream do not give all rows",
             report->left_out);
    }
    if (report->parked > 0) {
        note(notes,
             "%" PRIu64 " streams were parked: what their events give from there on is not in it",
             report->parked);
    }
    if (run->workers > 1) {
        note(notes, "a dry run is done by one worker");
    }
}

static void print_json(const struct notes *notes, struct cairn_slice view, FILE *out,
                       const struct cairn_compare_report *report, const char *at, const char *live)
{
    (void)fprintf(
        out,
        "{\"view\":\"%.*s\",\"position\":\"%s\",\"live_position\":\"%s\",\"events\":%" PRIu64
        ",\"rows\":%" PRIu64 ",\"live_rows\":%" PRIu64 ",\"differences\":%" PRIu64
        ",\"left_out\":%" PRIu64 ",\"parked\":%" PRIu64 ",\"workers\":1,\"notes\":[",
        CAIRN_SLICE_ARG(view), at, live, report->events, report->rows, report->live_rows,
        report->differences, report->left_out, report->parked);
    for (size_t i = 0; i < notes->count; i++) {
        (void)fprintf(out, "%s\"%s\"", i == 0 ? "" : ",", notes->lines[i]);
    }
    (void)fprintf(out, "]}\n");
}

static void print_text(const struct notes *notes, struct cairn_slice view, FILE *out,
                       const struct cairn_compare_report *report, const char *at)
{
    (void)fprintf(out,
                  "%.*s: %" PRIu64 " rows from %" PRIu64 " events up to %s, %" PRIu64
                  " differ from the live ones; nothing was switched\n",
                  CAIRN_SLICE_ARG(view), report->rows, report->events, at, report->differences);
    for (size_t i = 0; i < notes->count; i++) {
        (void)fprintf(out, "%s\n", notes->lines[i]);
    }
}

static enum cairn_rc print_summary(const struct dry_run *run, struct cairn_slice view, FILE *out,
                                   const struct cairn_compare_report *report, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = 4u * CAIRN_POSITION_TEXT_MAX};
    struct notes notes = {.count = 0};
    const char *at = cairn_position_text(&report->position, &arena);
    const char *live = cairn_position_text(&report->live, &arena);
    enum cairn_rc rc = CAIRN_OK;
    if (at == NULL || live == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    } else {
        take_notes(run, report, live, &notes);
        if (run->json) {
            print_json(&notes, view, out, report, at, live);
        } else {
            print_text(&notes, view, out, report, at);
        }
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_replay_dry_run(const struct cairn_config *config,
                                   const struct cairn_log_access *access, struct cairn_slice view,
                                   struct cairn_stop *stop, struct cairn_err *err)
{
    struct dry_run run = {.stop = stop,
                          .json = cairn_config_bool(config, "json"),
                          .workers = cairn_config_uint(config, "workers"),
                          .line = {.max = LINE_BYTES_MAX}};
    bool rows = cairn_config_bool(config, "rows");
    bool diff = cairn_config_bool(config, "diff");
    struct cairn_compare_request request = {.view = view,
                                            .throttle = cairn_config_uint(config, "throttle"),
                                            .told_max = diff ? UINT64_MAX : 0};
    struct cairn_compare_report report;
    enum cairn_rc rc = cairn_replay_scope_read(config, &request.scope, err);
    rc = rc == CAIRN_OK ? cairn_replay_scope_place(access->store, &request.scope, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    run.partial = cairn_replay_scope_is_partial(&request.scope);
    const struct cairn_compare_hooks hooks = {.progress = show,
                                              .cancelled = cancelled,
                                              .different = diff ? print_difference : NULL,
                                              .row = rows ? print_row : NULL,
                                              .self = &run};
    cairn_progress_begin(&run.progress, cairn_clock_system(), "events", run.json);
    rc = cairn_view_compare(&access->projector, &request, &hooks, &report, err);
    if (run.rc != CAIRN_OK || (rc == CAIRN_OK && fflush(stdout) != 0)) {
        rc = CAIRN_FAIL(err, CAIRN_EIO, "the rows could not be printed to their end");
    }
    if (rc == CAIRN_OK) {
        cairn_progress_end(&run.progress, report.events);
        rc = print_summary(&run, view, rows || diff ? stderr : stdout, &report, err);
    }
    cairn_buf_fini(&run.line);
    return rc;
}
