/* What is to be done for a view: found out, and opened. */
#include <assert.h>
#include <stdio.h>

#include "projector/pause.h"
#include "projector/sql/line.h"

void cairn_sql_line_close(struct cairn_sql_line *line)
{
    cairn_sql_follower_close(line->live);
    cairn_sql_build_close(line->build);
    line->live = NULL;
    line->build = NULL;
    line->open = false;
    line->waits = false;
}

static enum cairn_rc open_live(struct cairn_sql_line *line, struct cairn_err *err)
{
    const struct cairn_projector_options *options = line->options;
    const struct cairn_sql_follower_options follower = {.uri = options->postgres,
                                                        .domain = options->domain,
                                                        .store = options->store,
                                                        .view = line->definition->name,
                                                        .side = CAIRN_SIDE_LIVE,
                                                        .log = options->log};
    return cairn_sql_follower_open(&follower, &line->live, err);
}

static void try_later(struct cairn_sql_line *line)
{
    line->build_ns =
        cairn_clock_monotonic_ns(line->options->clock) + CAIRN_PAUSE_MAX_MS * INT64_C(1000000);
}

enum cairn_rc cairn_sql_line_build(struct cairn_sql_line *line, struct cairn_err *err)
{
    assert(line->build == NULL);
    enum cairn_rc rc =
        cairn_sql_build_open(line->options, line->definition, false, &line->build, err);
    line->hindered = cairn_sql_line_is_refusal(rc);
    line->build_failed = false;
    line->waits = rc == CAIRN_ELOCKED || line->hindered;
    line->build_ns = 0; /* at the next look */
    if (line->hindered) {
        cairn_sql_line_note(line, CAIRN_LOG_ERROR, "view is not built", err->text);
        try_later(line);
    }
    return line->waits ? CAIRN_OK : rc;
}

/* What the database has of the view, against its definition. */
struct found {
    bool live, next;           /* there is such a generation */
    bool live_same, next_same; /* by this definition */
    struct cairn_sql_head live_head, next_head;
};

static enum cairn_rc find_one(struct cairn_sql_line *line, struct cairn_pg *pg,
                              enum cairn_view_side side, struct cairn_arena *arena,
                              struct cairn_sql_head *head, bool *there, bool *same,
                              struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_head_read(pg, cairn_domain_name(line->options->domain),
                                           line->definition->name, side, arena, head, err);
    *there = rc == CAIRN_OK;
    *same = *there && cairn_slice_is(head->hash, line->hash);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

static enum cairn_rc find(struct cairn_sql_line *line, struct cairn_pg *pg,
                          struct cairn_arena *arena, struct found *found, struct cairn_err *err)
{
    *found = (struct found){.live = false};
    enum cairn_rc rc = find_one(line, pg, CAIRN_SIDE_LIVE, arena, &found->live_head, &found->live,
                                &found->live_same, err);
    return rc == CAIRN_OK ? find_one(line, pg, CAIRN_SIDE_NEXT, arena, &found->next_head,
                                     &found->next, &found->next_same, err)
                          : rc;
}

/* A projector that runs an older definition beside a newer one must not take the view back. */
static bool is_outdated(const struct cairn_sql_line *line, const struct found *found)
{
    return (found->live && found->live_head.version > line->definition->sql->version) ||
           (found->next && found->next_head.version > line->definition->sql->version);
}

/* Nobody else would notice that the file is passed over. */
static void tell_outdated(struct cairn_sql_line *line, const struct found *found)
{
    bool live = found->live && found->live_head.version > line->definition->sql->version;
    unsigned version = live ? found->live_head.version : found->next_head.version;
    char text[CAIRN_ERR_TEXT_MAX];
    (void)snprintf(text, sizeof(text),
                   "a projector's file says version %u, and version %u is %s: raise the version in "
                   "the file, or go back with cairn replay %.*s --rollback",
                   (unsigned)line->definition->sql->version, version, live ? "live" : "being built",
                   CAIRN_SLICE_ARG(line->definition->name));
    cairn_sql_line_note(line, CAIRN_LOG_WARN, "definition is outdated and is not built", text);
}

/* The definition was rolled back from: it is not built again by itself. */
static bool is_refused(struct cairn_sql_line *line, const struct found *found)
{
    bool refused = found->live && cairn_slice_is(found->live_head.refused, line->hash);
    if (refused && !line->refused) {
        cairn_log_event(line->options->log, CAIRN_LOG_WARN, "projector",
                        "definition was rolled back from and is not built",
                        CAIRN_F_SLICE("view", line->definition->name),
                        CAIRN_F_UINT("generation", found->live_head.generation));
    }
    line->refused = refused;
    return refused;
}

/* A build that nobody will go on with: the definition has changed, or changed back. */
static enum cairn_rc drop_left_over(struct cairn_sql_line *line, struct cairn_pg *pg,
                                    const struct found *found, struct cairn_err *err)
{
    struct cairn_slice domain = cairn_domain_name(line->options->domain);
    struct cairn_slice view = line->definition->name;
    if (!found->next || found->next_same || found->next_head.returning ||
        cairn_slice_equal(found->next_head.hash, found->live_head.refused)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_sql_generation_lock(pg, domain, view, CAIRN_SIDE_NEXT, err);
    if (rc == CAIRN_OK) {
        rc = cairn_sql_generation_drop(pg, domain, view, CAIRN_SIDE_NEXT, NULL, err);
        cairn_sql_generation_unlock(pg, domain, view, CAIRN_SIDE_NEXT);
    }
    return rc == CAIRN_ELOCKED ? CAIRN_OK : rc;
}

/* The live generation cannot be followed, as where its tables are not what they were: its row says
 * so, and what is built, now or once that can be, takes its place. */
static enum cairn_rc stop_live(struct cairn_sql_line *line, struct cairn_pg *pg,
                               const struct found *found, struct cairn_err *err)
{
    const struct cairn_err why = *err;
    const struct cairn_sql_stop stop = {.error = why.text};
    enum cairn_rc rc =
        cairn_sql_stop_write(pg, cairn_domain_name(line->options->domain), line->definition->name,
                             CAIRN_SIDE_LIVE, &found->live_head, &stop, err);
    if (line->build != NULL) {
        cairn_log_error(line->options->log, CAIRN_LOG_ERROR, "projector",
                        "live generation is not followed", &why);
    } else if (!line->hindered) {
        cairn_sql_line_note(line, CAIRN_LOG_ERROR, "live generation is not followed", why.text);
        line->hindered = true;
        line->waits = true;
        try_later(line);
    }
    return rc;
}

/* Follow the live generation. One that could not be followed, and was stopped at no event, goes on
 * again. */
static enum cairn_rc resume_live(struct cairn_sql_line *line, struct cairn_pg *pg,
                                 const struct found *found, struct cairn_err *err)
{
    const struct cairn_sql_head *head = &found->live_head;
    enum cairn_rc rc = open_live(line, err);
    if (cairn_sql_line_is_refusal(rc)) {
        return stop_live(line, pg, found, err);
    }
    return rc == CAIRN_OK && head->state == CAIRN_VIEW_STOPPED && head->error_event.size == 0
               ? cairn_sql_stop_write(pg, cairn_domain_name(line->options->domain),
                                      line->definition->name, CAIRN_SIDE_LIVE, head, NULL, err)
               : rc;
}

/* Open what is to be followed and built. */
static enum cairn_rc open_found(struct cairn_sql_line *line, struct cairn_pg *pg,
                                const struct found *found, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    line->hindered = false;
    line->build_failed = false;
    line->outdated = is_outdated(line, found);
    line->held = found->live   ? found->live_head.position
                 : found->next ? found->next_head.position
                               : (struct cairn_position){{0}};
    if (line->outdated) {
        tell_outdated(line, found);
    } else if (found->live_same) {
        rc = drop_left_over(line, pg, found, err);
    } else if (!is_refused(line, found)) {
        rc = cairn_sql_line_build(line, err);
    }
    if (rc == CAIRN_OK && found->live) {
        rc = resume_live(line, pg, found, err);
    }
    line->open = rc == CAIRN_OK;
    return rc;
}

enum cairn_rc cairn_sql_line_open(struct cairn_sql_line *line, struct cairn_err *err)
{
    const struct cairn_pg_options options = {.uri = line->options->postgres,
                                             .application = "cairn projector"};
    struct cairn_arena arena = {.max = (size_t)4 * 1024 * 1024};
    struct cairn_pg *pg = NULL;
    struct found found;
    enum cairn_rc rc = cairn_pg_open(&options, &pg, err);
    rc = rc == CAIRN_OK ? cairn_sql_store_prepare(pg, cairn_domain_name(line->options->domain), err)
                        : rc;
    rc = rc == CAIRN_OK ? find(line, pg, &arena, &found, err) : rc;
    rc = rc == CAIRN_OK ? open_found(line, pg, &found, err) : rc;
    line->looked_ns = cairn_clock_monotonic_ns(line->options->clock);
    cairn_pg_close(pg);
    cairn_arena_fini(&arena);
    return rc;
}
