#include <assert.h>
#include <stdio.h>

#include <libpq-fe.h>

#include "platform/clock.h"
#include "platform/mem.h"
#include "platform/pg_int.h"

enum cairn_rc cairn_pg_bind(struct cairn_pg *pg, const struct cairn_slice *values, size_t count,
                            const char **ret_texts, struct cairn_err *err)
{
    if (count > CAIRN_PG_PARAMS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%zu parameters, at most %d", count,
                          CAIRN_PG_PARAMS_MAX);
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (values[i].size >= CAIRN_PG_VALUES_BYTES_MAX - bytes) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the values have more than %d bytes",
                              CAIRN_PG_VALUES_BYTES_MAX);
        }
        bytes += values[i].size + 1;
        if (cairn_slice_find(values[i], '\0') < values[i].size) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "$%zu holds a NUL, which PostgreSQL cannot store in a text", i + 1);
        }
    }
    /* One reservation, so that the texts stay where they are. */
    cairn_buf_truncate(&pg->values, 0);
    enum cairn_rc rc = cairn_buf_reserve(&pg->values, bytes);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%zu bytes of values", bytes);
    }
    char *at = pg->values.data;
    for (size_t i = 0; i < count; i++) {
        ret_texts[i] = values[i].data == NULL ? NULL : at;
        if (values[i].data != NULL && values[i].size > 0) {
            memcpy(at, values[i].data, values[i].size);
        }
        at += values[i].size;
        *at++ = '\0';
    }
    return CAIRN_OK;
}

/* ---- answers ---- */

/* Until a result can be taken without waiting. A connection that breaks has one that says so. */
static enum cairn_rc await_result(struct cairn_pg *pg, struct cairn_err *err)
{
    for (;;) {
        int unsent = PQflush(pg->raw);
        if (unsent <= 0 && PQisBusy(pg->raw) == 0) {
            return CAIRN_OK;
        }
        enum cairn_rc rc = cairn_pg_wait(pg, unsent > 0, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (PQconsumeInput(pg->raw) == 0) {
            return CAIRN_OK;
        }
    }
}

/* What one result says. The connection is of no use behind a COPY, whose rows nobody has. */
static enum cairn_rc judge(struct cairn_pg *pg, const PGresult *result, const char *sql,
                           struct cairn_err *err)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return CAIRN_OK;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        pg->broken = true;
        return CAIRN_FAIL(err, CAIRN_EINVAL, "COPY from or to the client");
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:
    default:
        return cairn_pg_fail_result(pg, result, sql, err);
    }
}

enum cairn_rc cairn_pg_collect(struct cairn_pg *pg, const char *sql, struct pg_result **ret_raw,
                               struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    PGresult *last = NULL;
    while (!pg->broken) {
        enum cairn_rc waited = await_result(pg, err);
        if (waited != CAIRN_OK) {
            rc = waited;
            break;
        }
        PGresult *result = PQgetResult(pg->raw);
        if (result == NULL) {
            break;
        }
        /* Behind the first failure nothing new is told. */
        rc = rc == CAIRN_OK ? judge(pg, result, sql, err) : rc;
        PQclear(last);
        last = result;
    }
    if (rc == CAIRN_OK && last == NULL) {
        rc = cairn_pg_fail_raw(pg, err);
    }
    if (rc != CAIRN_OK || ret_raw == NULL) {
        PQclear(last);
        return rc;
    }
    *ret_raw = last;
    return CAIRN_OK;
}

/* ---- statements ---- */

static enum cairn_rc start(struct cairn_pg *pg, struct cairn_err *err)
{
    assert(!pg->pipeline.open);
    cairn_pg_forgive(pg);
    if (cairn_pg_is_broken(pg)) {
        return CAIRN_FAIL(err, CAIRN_EBUSY, "the connection is lost");
    }
    pg->heard_ns = cairn_clock_monotonic_ns(cairn_clock_system());
    return CAIRN_OK;
}

/* As cairn_pg_collect into a result of ours, which is made before: nothing is done that could not
 * be told. */
static enum cairn_rc collect_result(struct cairn_pg *pg, const char *sql,
                                    struct cairn_pg_result *result,
                                    struct cairn_pg_result **ret_result, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_pg_collect(pg, sql, result == NULL ? NULL : &result->raw, err);
    if (rc == CAIRN_OK && result != NULL) {
        *ret_result = result;
    }
    return rc;
}

static enum cairn_rc make_result(struct cairn_pg_result **wanted,
                                 struct cairn_pg_result **ret_result, struct cairn_err *err)
{
    if (wanted == NULL) {
        return CAIRN_OK;
    }
    *ret_result = cairn_mem_zalloc(1, sizeof(**ret_result));
    return *ret_result == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "a result") : CAIRN_OK;
}

enum cairn_rc cairn_pg_run(struct cairn_pg *pg, const char *sql, struct cairn_err *err)
{
    enum cairn_rc rc = start(pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (PQsendQuery(pg->raw, sql) == 0) {
        return cairn_pg_fail_raw(pg, err);
    }
    return cairn_pg_collect(pg, sql, NULL, err);
}

enum cairn_rc cairn_pg_query(struct cairn_pg *pg, const char *sql, const struct cairn_slice *values,
                             size_t count, struct cairn_pg_result **ret_result,
                             struct cairn_err *err)
{
    const char *texts[CAIRN_PG_PARAMS_MAX];
    struct cairn_pg_result *result = NULL;
    enum cairn_rc rc = start(pg, err);
    rc = rc == CAIRN_OK ? cairn_pg_bind(pg, values, count, texts, err) : rc;
    rc = rc == CAIRN_OK ? make_result(ret_result, &result, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (PQsendQueryParams(pg->raw, sql, (int)count, NULL, texts, NULL, NULL, 0) == 0) {
        rc = cairn_pg_fail_raw(pg, err);
    } else {
        rc = collect_result(pg, sql, result, ret_result, err);
    }
    if (rc != CAIRN_OK) {
        cairn_pg_result_free(result);
    }
    return rc;
}

static enum cairn_rc check_name(const char *name, struct cairn_err *err)
{
    size_t size = strlen(name);
    if (size == 0 || size > CAIRN_PG_NAME_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the name of a statement has %zu bytes, not 1 to %d",
                          size, CAIRN_PG_NAME_BYTES_MAX);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_pg_prepare(struct cairn_pg *pg, const char *name, const char *sql,
                               const uint32_t *types, size_t count, struct cairn_err *err)
{
    static_assert(sizeof(Oid) == sizeof(uint32_t), "an OID is one of ours");
    enum cairn_rc rc = start(pg, err);
    rc = rc == CAIRN_OK ? check_name(name, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (count > CAIRN_PG_PARAMS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%zu parameters, at most %d", count,
                          CAIRN_PG_PARAMS_MAX);
    }
    if (PQsendPrepare(pg->raw, name, sql, types == NULL ? 0 : (int)count, types) == 0) {
        return cairn_pg_fail_raw(pg, err);
    }
    return cairn_pg_collect(pg, sql, NULL, err);
}

enum cairn_rc cairn_pg_describe(struct cairn_pg *pg, const char *name, uint32_t *ret_types,
                                size_t count, struct cairn_pg_result **ret_columns,
                                struct cairn_err *err)
{
    struct cairn_pg_result *result = cairn_mem_zalloc(1, sizeof(*result));
    if (result == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a result");
    }
    enum cairn_rc rc = start(pg, err);
    rc = rc == CAIRN_OK ? check_name(name, err) : rc;
    if (rc == CAIRN_OK && PQsendDescribePrepared(pg->raw, name) == 0) {
        rc = cairn_pg_fail_raw(pg, err);
    }
    rc = rc == CAIRN_OK ? cairn_pg_collect(pg, NULL, &result->raw, err) : rc;
    if (rc == CAIRN_OK && (size_t)PQnparams(result->raw) != count) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "statement %s has %d parameters, not %zu", name,
                        PQnparams(result->raw), count);
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        ret_types[i] = PQparamtype(result->raw, (int)i);
    }
    if (rc == CAIRN_OK && ret_columns != NULL) {
        *ret_columns = result;
        return CAIRN_OK;
    }
    cairn_pg_result_free(result);
    return rc;
}
