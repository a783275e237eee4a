#include "projector/sql/runner.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "platform/fault.h"
#include "platform/mem.h"
#include "projector/pause.h"
#include "projector/sql/line.h"
#include "projector/sql/tidier.h"

/* One view's thread. */
struct runner_line {
    struct cairn_sql_line line;
    pthread_t thread;
    bool runs;
};

struct cairn_sql_runner {
    struct cairn_projector_options options;
    atomic_bool stopping;
    struct runner_line *lines;
    size_t count;
    struct cairn_sql_tidier *tidier;
};

static void *run(void *argument)
{
    struct cairn_sql_line *line = argument;
    int pause_ms = CAIRN_PAUSE_FIRST_MS;
    while (!atomic_load(line->stopping)) {
        struct cairn_err err;
        enum cairn_rc rc = cairn_sql_line_turn(line, &err);
        if (rc == CAIRN_OK) {
            pause_ms = CAIRN_PAUSE_FIRST_MS;
            line->waits_for_lock = false;
            continue;
        }
        (void)cairn_err_wrap(&err, rc, "view %.*s", CAIRN_SLICE_ARG(line->definition->name));
        bool crowded = cairn_sql_line_is_crowded(line, &err);
        cairn_sql_line_close(line);
        if (rc == CAIRN_EFENCED || rc == CAIRN_ESTOPPED) {
            continue; /* moved by another: go on from where that left it */
        }
        if (!crowded) {
            cairn_log_error(line->options->log, CAIRN_LOG_ERROR, "projector", "batch failed", &err);
        }
        cairn_pause_nap(line->stopping, pause_ms);
        pause_ms = crowded ? CAIRN_PAUSE_FIRST_MS : cairn_pause_next(pause_ms);
    }
    cairn_sql_line_close(line);
    return NULL;
}

/* ---- start and stop ---- */

static enum cairn_rc init_line(struct cairn_sql_runner *runner, struct cairn_views *views,
                               const struct cairn_domain_view *definition,
                               struct cairn_sql_line *line, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    line->options = &runner->options;
    line->views = views;
    line->stopping = &runner->stopping;
    line->definition = definition;
    cairn_view_hash_text(definition->code_hash, line->hash);
    if (runner->options.metrics != NULL) {
        cairn_follower_metrics_add(runner->options.metrics, definition->name, &line->metrics);
    }
    return cairn_sql_schema(cairn_domain_name(runner->options.domain), definition->name,
                            CAIRN_SIDE_NEXT, schema, err);
}

static enum cairn_rc init_lines(struct cairn_sql_runner *runner, struct cairn_views *views,
                                struct cairn_err *err)
{
    const struct cairn_domain *domain = runner->options.domain;
    enum cairn_rc rc = CAIRN_OK;
    runner->lines = cairn_mem_zalloc(cairn_domain_view_count(domain) + 1, sizeof(*runner->lines));
    if (runner->lines == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector of SQL views");
    }
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(domain); i++) {
        const struct cairn_domain_view *definition = cairn_domain_view_at(domain, i);
        if (definition->kind == CAIRN_VIEW_POSTGRES) {
            rc = init_line(runner, views, definition, &runner->lines[runner->count].line, err);
            runner->count += rc == CAIRN_OK;
        }
    }
    return rc;
}

static enum cairn_rc start_threads(struct cairn_sql_runner *runner, struct cairn_err *err)
{
    for (size_t i = 0; i < runner->count; i++) {
        struct runner_line *of = &runner->lines[i];
        if (cairn_fault_hit(CAIRN_FAULT_THREAD) ||
            pthread_create(&of->thread, NULL, run, &of->line) != 0) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the thread of view %.*s",
                              CAIRN_SLICE_ARG(of->line.definition->name));
        }
        of->runs = true;
    }
    return cairn_sql_tidier_start(&runner->options, &runner->tidier, err);
}

enum cairn_rc cairn_sql_runner_start(const struct cairn_projector_options *options,
                                     struct cairn_views *views,
                                     struct cairn_sql_runner **ret_runner, struct cairn_err *err)
{
    assert(options->postgres != NULL && views != NULL);
    struct cairn_sql_runner *runner = cairn_mem_zalloc(1, sizeof(*runner));
    if (runner == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start the projector of SQL views");
    }
    runner->options = *options;
    runner->options.clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    enum cairn_rc rc = init_lines(runner, views, err);
    rc = rc == CAIRN_OK ? start_threads(runner, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_sql_runner_stop(runner);
        return rc;
    }
    *ret_runner = runner;
    return CAIRN_OK;
}

void cairn_sql_runner_stop(struct cairn_sql_runner *runner)
{
    if (runner == NULL) {
        return;
    }
    atomic_store(&runner->stopping, true);
    for (size_t i = 0; i < runner->count; i++) {
        if (runner->lines[i].runs) {
            (void)pthread_join(runner->lines[i].thread, NULL);
        }
    }
    cairn_sql_tidier_stop(runner->tidier);
    cairn_mem_free(runner->lines);
    cairn_mem_free(runner);
}
