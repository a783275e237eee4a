/* What keeps a view from what its file says, told: in the log, in the metrics, in the database. */
#include <assert.h>

#include "projector/sql/line.h"
#include "projector/sql/refusal.h"

#define MS_NS INT64_C(1000000)
/* Whoever is told can wait no longer: the view is not followed meanwhile. */
#define CONNECT_MS 2000

bool cairn_sql_line_is_refusal(enum cairn_rc rc)
{
    return rc != CAIRN_OK && rc != CAIRN_EBUSY && rc != CAIRN_ELOCKED && rc != CAIRN_EFENCED &&
           rc != CAIRN_ESTOPPED && rc != CAIRN_ENOMEM;
}

/* A connection of its own: the one that failed may be in a state of its own. */
static void store(const struct cairn_sql_line *line, const char *text)
{
    const struct cairn_pg_options options = {.uri = line->options->postgres,
                                             .application = "cairn projector",
                                             .lock_timeout_ms = CONNECT_MS};
    struct cairn_err ignored; /* the log has the reason, and it is tried again */
    struct cairn_pg *pg = NULL;
    if (cairn_pg_open(&options, &pg, &ignored) == CAIRN_OK) {
        (void)cairn_sql_refusal_write(pg, cairn_domain_name(line->options->domain),
                                      line->definition->name, text, &ignored);
    }
    cairn_pg_close(pg);
}

void cairn_sql_line_note(struct cairn_sql_line *line, enum cairn_log_level level, const char *event,
                         const char *text)
{
    int64_t now_ns = cairn_clock_monotonic_ns(line->options->clock);
    if (cairn_repeat_is_due(&line->repeat, text, now_ns)) {
        cairn_log_event(line->options->log, level, "projector", event,
                        CAIRN_F_SLICE("view", line->definition->name), CAIRN_F_STR("detail", text));
    }
    store(line, text);
    line->noted = true;
    line->noted_ns = now_ns;
}

void cairn_sql_line_fail(struct cairn_sql_line *line, enum cairn_rc rc, const struct cairn_err *err)
{
    assert(rc != CAIRN_OK && !line->open);
    line->hindered = cairn_sql_line_is_refusal(rc);
    if (line->hindered) {
        cairn_sql_line_note(line, CAIRN_LOG_ERROR, "batch failed", err->text);
    } else if (cairn_repeat_is_due(&line->repeat, err->text,
                                   cairn_clock_monotonic_ns(line->options->clock))) {
        cairn_log_event(line->options->log, CAIRN_LOG_ERROR, "projector", "batch failed",
                        CAIRN_F_SLICE("view", line->definition->name),
                        CAIRN_F_STR("detail", err->text));
    }
    cairn_sql_line_show(line);
}

/* A connection of the line's, NULL: it has none that is good. */
static struct cairn_pg *lend(const struct cairn_sql_line *line)
{
    struct cairn_pg *pg = line->live != NULL    ? line->live->pg
                          : line->build != NULL ? line->build->follower->pg
                                                : NULL;
    return pg != NULL && !cairn_pg_is_broken(pg) ? pg : NULL;
}

void cairn_sql_line_settle(struct cairn_sql_line *line)
{
    struct cairn_slice domain = cairn_domain_name(line->options->domain);
    int64_t since_ns = cairn_clock_monotonic_ns(line->options->clock) - line->noted_ns;
    struct cairn_err ignored; /* it is tried again */
    struct cairn_pg *pg = lend(line);
    if (line->hindered) {
        return; /* the next try says whether it still is */
    }
    if (line->outdated) {
        if (since_ns >= CAIRN_SQL_REFUSAL_WRITE_MS * MS_NS) {
            store(line, line->repeat.said);
            line->noted_ns = cairn_clock_monotonic_ns(line->options->clock);
        }
        return;
    }
    cairn_repeat_end(&line->repeat);
    if (pg == NULL || (!line->noted && since_ns < CAIRN_SQL_REFUSAL_WRITE_MS * MS_NS)) {
        return;
    }
    if (cairn_sql_refusal_clear(pg, domain, line->definition->name,
                                line->noted ? 0 : CAIRN_SQL_REFUSAL_STALE_MS,
                                &ignored) == CAIRN_OK) {
        line->noted = false;
        line->noted_ns = cairn_clock_monotonic_ns(line->options->clock);
    }
}

void cairn_sql_line_show(struct cairn_sql_line *line)
{
    struct cairn_position end;
    struct cairn_err err;
    const struct cairn_sql_head *build = line->build == NULL ? NULL : &line->build->follower->head;
    bool stopped = line->live != NULL ? line->live->failed : line->hindered || line->build_failed;
    if (line->live != NULL || build != NULL) {
        line->held = line->live != NULL ? line->live->head.position : build->position;
    }
    if (!line->build_failed || build != NULL) {
        cairn_metric_set(line->metrics.build_done, build == NULL ? 0 : (int64_t)build->events);
        cairn_metric_set(line->metrics.build_all, build == NULL ? 0 : (int64_t)build->all);
    }
    cairn_metric_set(line->metrics.stopped, stopped ? 1 : 0);
    if (line->live != NULL) {
        cairn_metric_set(line->metrics.parked, (int64_t)line->live->parked.waiting);
    }
    if (cairn_store_end(line->options->store, &end, &err) == CAIRN_OK) {
        cairn_metric_set(line->metrics.lag, (int64_t)cairn_position_lag(&line->held, &end));
    }
}
