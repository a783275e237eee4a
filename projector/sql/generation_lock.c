/* Who builds or compares a view: one process at a time. */
#include <assert.h>

#include "projector/sql/generation.h"

#define HEAD_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* The key of a lock that lasts as long as its connection. */
#define LOCK_KEY "hashtextextended('cairn.' || $1 || '.' || $2 || '.' || $3, 0)"

/* Who has the lock builds. Where the row says what keeps the build from being switched in, that is
 * what whoever comes wants to know. */
static enum cairn_rc tell_builder(struct cairn_pg *pg, struct cairn_slice domain,
                                  struct cairn_slice view, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = HEAD_BYTES_MAX};
    struct cairn_sql_head next = {.generation = 0};
    struct cairn_err ignored;
    enum cairn_rc rc =
        cairn_sql_head_read(pg, domain, view, CAIRN_SIDE_NEXT, &arena, &next, &ignored);
    if (rc == CAIRN_OK && next.error.size > 0 && next.error_event.size == 0) {
        rc = CAIRN_FAIL(err, CAIRN_ELOCKED,
                        "another process has built it and will switch it in by itself as soon as "
                        "it can, but: %.*s",
                        CAIRN_SLICE_ARG(next.error));
    } else if (rc == CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ELOCKED,
                        "view %.*s is being built by another process, which has applied %llu of "
                        "%llu events",
                        CAIRN_SLICE_ARG(view), (unsigned long long)next.events,
                        (unsigned long long)next.all);
    } else {
        rc = CAIRN_FAIL(err, CAIRN_ELOCKED, "view %.*s is being built by another process",
                        CAIRN_SLICE_ARG(view));
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* The only value, a boolean, of a statement about the lock. */
static enum cairn_rc ask(struct cairn_pg *pg, const char *sql, struct cairn_slice domain,
                         struct cairn_slice view, enum cairn_view_side side, bool *ret_answer,
                         struct cairn_err *err)
{
    const struct cairn_slice values[] = {cairn_sql_side_name(side), domain, view};
    struct cairn_pg_result *result = NULL;
    assert(side == CAIRN_SIDE_NEXT || side == CAIRN_SIDE_CHECK);
    enum cairn_rc rc = cairn_pg_query(pg, sql, values, 3, &result, err);
    if (rc == CAIRN_OK) {
        *ret_answer = cairn_slice_is(cairn_pg_result_value(result, 0, 0), "t");
    }
    cairn_pg_result_free(result);
    return rc;
}

enum cairn_rc cairn_sql_generation_lock(struct cairn_pg *pg, struct cairn_slice domain,
                                        struct cairn_slice view, enum cairn_view_side side,
                                        struct cairn_err *err)
{
    bool taken = false;
    enum cairn_rc rc =
        ask(pg, "SELECT pg_try_advisory_lock(" LOCK_KEY ")", domain, view, side, &taken, err);
    if (rc != CAIRN_OK || taken) {
        return rc;
    }
    return side == CAIRN_SIDE_NEXT
               ? tell_builder(pg, domain, view, err)
               : CAIRN_FAIL(err, CAIRN_ELOCKED, "view %.*s is being compared by another process",
                            CAIRN_SLICE_ARG(view));
}

void cairn_sql_generation_unlock(struct cairn_pg *pg, struct cairn_slice domain,
                                 struct cairn_slice view, enum cairn_view_side side)
{
    bool given_back = false;
    struct cairn_err ignored; /* it goes with the connection at the latest */
    if (!cairn_pg_is_broken(pg)) {
        (void)ask(pg, "SELECT pg_advisory_unlock(" LOCK_KEY ")", domain, view, side, &given_back,
                  &ignored);
    }
}

enum cairn_rc cairn_sql_generation_is_locked(struct cairn_pg *pg, struct cairn_slice domain,
                                             struct cairn_slice view, enum cairn_view_side side,
                                             bool *ret_locked, struct cairn_err *err)
{
    /* The server shows the key in two halves. */
    static const char sql[] =
        "SELECT EXISTS (SELECT FROM pg_locks l, (SELECT " LOCK_KEY " AS key) k "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND l.classid::bigint = (k.key >> 32) & 4294967295 "
        "AND l.objid::bigint = k.key & 4294967295)";
    return ask(pg, sql, domain, view, side, ret_locked, err);
}
