/* What is to be done for a view: found out, and opened. */
#include <assert.h>

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

enum cairn_rc cairn_sql_line_build(struct cairn_sql_line *line, struct cairn_err *err)
{
    assert(line->build == NULL);
    enum cairn_rc rc =
        cairn_sql_build_open(line->options, line->definition, false, &line->build, err);
    line->waits = rc == CAIRN_ELOCKED;
    line->build_ns = 0; /* at the next look */
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

/* Open what is to be followed and built. */
static enum cairn_rc open_found(struct cairn_sql_line *line, struct cairn_pg *pg,
                                const struct found *found, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    bool outdated = is_outdated(line, found);
    if (!found->live_same && !outdated && !is_refused(line, found)) {
        rc = cairn_sql_line_build(line, err);
    } else if (found->live_same && !outdated) {
        rc = drop_left_over(line, pg, found, err);
    }
    if (rc == CAIRN_OK && found->live) {
        rc = open_live(line, err);
    }
    if (rc == CAIRN_EINVAL && line->build != NULL) {
        /* Its tables are not what they were: what is built takes its place. */
        cairn_log_error(line->options->log, CAIRN_LOG_ERROR, "projector",
                        "live generation is not followed", err);
        rc = CAIRN_OK;
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
