#include <assert.h>
#include <stdio.h>

#include <libpq-fe.h>

#include "platform/clock.h"
#include "platform/mem.h"
#include "platform/pg_int.h"

/* After about so many bytes what is not yet sent is waited for, and answers that came are taken. */
#define DRAIN_BYTES 16384
/* Of Bind, Describe and Execute around the values of a statement, about. */
#define EXECUTE_BYTES 64
#define TOUCHED_FIRST 256

static void hear(struct cairn_pg *pg)
{
    pg->heard_ns = cairn_clock_monotonic_ns(cairn_clock_system());
}

enum cairn_rc cairn_pg_pipeline_begin(struct cairn_pg *pg, struct cairn_err *err)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    assert(!line->open);
    cairn_pg_forgive(pg);
    if (cairn_pg_is_broken(pg)) {
        return CAIRN_FAIL(err, CAIRN_EBUSY, "the connection is lost");
    }
    if (PQenterPipelineMode(pg->raw) == 0) {
        return cairn_pg_fail_raw(pg, err);
    }
    *line = (struct cairn_pg_pipeline){.open = true,
                                       .failed = SIZE_MAX,
                                       .touched = line->touched,
                                       .touched_cap = line->touched_cap};
    return CAIRN_OK;
}

/* ---- answers ---- */

static void keep_failure(struct cairn_pg *pg, const PGresult *result)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    if (line->rc != CAIRN_OK && !line->refused) {
        return;
    }
    line->refused = false;
    line->rc = cairn_pg_fail_result(pg, result, NULL, &line->err);
    /* A connection that is lost says so in the place of the next answer, whosever that is. */
    line->failed = pg->broken || line->answered >= line->sent ? SIZE_MAX : line->answered;
}

static void keep_touched(struct cairn_pg_pipeline *line, PGresult *result)
{
    if (line->answered < line->sent) {
        uint64_t rows = 0;
        bool counted = cairn_slice_to_u64(cairn_slice_str(PQcmdTuples(result)), &rows) == CAIRN_OK;
        line->touched[line->answered] = counted ? rows : 0;
    }
}

static void take_one(struct cairn_pg *pg, PGresult *result)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    line->inside = true;
    switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC:
        line->synced = true;
        line->inside = false;
        break;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        keep_touched(line, result);
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        pg->broken = true;
        line->failed = line->answered;
        line->rc = CAIRN_FAIL(&line->err, CAIRN_EINVAL, "COPY from or to the client");
        break;
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
    case PGRES_SINGLE_TUPLE:
    default:
        keep_failure(pg, result);
        break;
    }
    PQclear(result);
}

/* Take the answers that are here. Each statement's result is followed by a mark. */
static void take_ready(struct cairn_pg *pg)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    while (!pg->broken && PQisBusy(pg->raw) == 0) {
        PGresult *result = PQgetResult(pg->raw);
        if (result != NULL) {
            take_one(pg, result);
        } else if (line->inside) {
            line->inside = false;
            line->answered++;
        } else {
            return;
        }
    }
}

/* The connection broke: the server's last words are among the answers, or else libpq has some. */
static void take_farewell(struct cairn_pg *pg)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    pg->broken = false;
    take_ready(pg);
    if (line->rc == CAIRN_OK || line->refused) {
        line->refused = false;
        line->failed = SIZE_MAX;
        line->rc = cairn_pg_fail_raw(pg, &line->err);
    }
    pg->broken = true;
}

/* Reads what the socket has, and takes the answers in it. false: the connection broke. */
static bool take_in(struct cairn_pg *pg)
{
    bool lives = PQconsumeInput(pg->raw) != 0;
    if (lives) {
        take_ready(pg);
    } else {
        take_farewell(pg);
    }
    return lives && !pg->broken;
}

/* Waits once for the socket. false: the connection broke, or is taken as if it had. */
static bool turn(struct cairn_pg *pg, bool write)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    struct cairn_err err;
    enum cairn_rc rc = cairn_pg_wait(pg, write, &err);
    if (rc != CAIRN_OK) {
        pg->broken = true;
        line->failed = SIZE_MAX;
        line->rc = rc;
        line->err = err;
        return false;
    }
    return take_in(pg);
}

/* ---- sending ---- */

static enum cairn_rc grow(struct cairn_pg_pipeline *line, struct cairn_err *err)
{
    if (line->sent < line->touched_cap) {
        return CAIRN_OK;
    }
    if (line->sent >= CAIRN_PG_PIPELINE_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "a pipeline of more than %d statements",
                          CAIRN_PG_PIPELINE_MAX);
    }
    size_t cap = line->touched_cap == 0 ? TOUCHED_FIRST : line->touched_cap * 2;
    uint64_t *touched = cairn_mem_realloc(line->touched, cap * sizeof(*touched));
    if (touched == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a pipeline of %zu statements", cap);
    }
    line->touched = touched;
    line->touched_cap = cap;
    return CAIRN_OK;
}

/* libpq's buffer of what is not sent grows without bound while the server does not read, and the
 * server does not read while its answers find no room: both are moved here. */
static void drain(struct cairn_pg *pg)
{
    hear(pg);
    while (!pg->broken && PQflush(pg->raw) > 0) {
        if (!turn(pg, true)) {
            return;
        }
    }
    if (!pg->broken) {
        (void)take_in(pg);
    }
}

static enum cairn_rc send_one(struct cairn_pg *pg, const char *name,
                              const struct cairn_slice *values, size_t count, struct cairn_err *err)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    const char *texts[CAIRN_PG_PARAMS_MAX];
    enum cairn_rc rc = grow(line, err);
    rc = rc == CAIRN_OK ? cairn_pg_bind(pg, values, count, texts, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (PQsendQueryPrepared(pg->raw, name, (int)count, texts, NULL, NULL, 0) == 0) {
        return cairn_pg_fail_raw(pg, err);
    }
    line->touched[line->sent] = 0;
    return CAIRN_OK;
}

enum cairn_rc cairn_pg_pipeline_send(struct cairn_pg *pg, const char *name,
                                     const struct cairn_slice *values, size_t count,
                                     size_t *ret_index, struct cairn_err *err)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    assert(line->open && !line->ended);
    assert(name != NULL && name[0] != '\0');
    if (line->rc == CAIRN_OK) {
        enum cairn_rc rc = send_one(pg, name, values, count, err);
        if (rc != CAIRN_OK) {
            line->refused = true;
            line->failed = line->sent;
            line->rc = rc;
            line->err = *err;
            return rc;
        }
    }
    *ret_index = line->count++;
    if (line->rc != CAIRN_OK) {
        return CAIRN_OK;
    }
    line->sent++;
    line->undrained += pg->values.size + EXECUTE_BYTES;
    if (line->undrained >= DRAIN_BYTES) {
        line->undrained = 0;
        drain(pg);
    }
    return CAIRN_OK;
}

/* ---- the end ---- */

static void break_off(struct cairn_pg *pg)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    enum cairn_rc rc = cairn_pg_fail_raw(pg, &line->err);
    line->rc = rc;
    line->failed = SIZE_MAX;
    pg->broken = true;
}

/* A statement that never left would be missing from what the sync commits: the rest goes too. */
static void send_end(struct cairn_pg *pg)
{
    bool sent = !pg->pipeline.refused ||
                PQsendQueryParams(pg->raw, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0) != 0;
    if (!sent || PQpipelineSync(pg->raw) == 0) {
        break_off(pg);
    }
}

void cairn_pg_pipeline_sync(struct cairn_pg *pg)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    assert(line->open && !line->ended);
    line->ended = true;
    if (!pg->broken) {
        send_end(pg);
        drain(pg);
    }
}

static void await_end(struct cairn_pg *pg)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    hear(pg);
    take_ready(pg);
    while (!pg->broken && !line->synced) {
        if (!turn(pg, PQflush(pg->raw) > 0)) {
            return;
        }
    }
    if (!pg->broken && PQexitPipelineMode(pg->raw) == 0) {
        break_off(pg);
    }
}

enum cairn_rc cairn_pg_pipeline_end(struct cairn_pg *pg,
                                    void (*touched)(void *self, size_t index, uint64_t rows),
                                    void *self, size_t *ret_failed, struct cairn_err *err)
{
    struct cairn_pg_pipeline *line = &pg->pipeline;
    assert(line->open);
    if (!line->ended) {
        cairn_pg_pipeline_sync(pg);
    }
    if (!pg->broken) {
        await_end(pg);
    }
    line->open = false;
    if (line->rc != CAIRN_OK) {
        *ret_failed = line->failed;
        if (err != NULL) {
            *err = line->err;
        }
        return line->rc;
    }
    assert(line->synced && line->answered == line->sent && line->sent == line->count);
    for (size_t i = 0; touched != NULL && i < line->sent; i++) {
        touched(self, i, line->touched[i]);
    }
    return CAIRN_OK;
}
