/* What the sources of platform/pg.h share. */
#ifndef CAIRN_PLATFORM_PG_INT_H
#define CAIRN_PLATFORM_PG_INT_H

#include "platform/pg.h"

/* libpq's PGconn and PGresult, whose header does not cross ours. */
struct pg_conn;
struct pg_result;

/* What is known of the pipeline that is open, or of the last one. */
struct cairn_pg_pipeline {
    bool open;
    bool inside;       /* a statement's result was taken, and not yet the mark behind it */
    bool ended;        /* the sync was sent */
    bool synced;       /* the answer to it was taken */
    size_t count;      /* statements; those behind a failure are counted and not sent */
    size_t sent;       /* statements that were */
    size_t answered;   /* of those, and of what end adds */
    size_t undrained;  /* bytes of values since the last look at the socket */
    uint64_t *touched; /* rows by statement that was sent; owned */
    size_t touched_cap;
    size_t failed;        /* the first that failed; SIZE_MAX: none */
    bool refused;         /* it failed here and never reached the server */
    enum cairn_rc rc;     /* CAIRN_OK: nothing failed */
    struct cairn_err err; /* why, where rc is not CAIRN_OK */
};

struct cairn_pg {
    struct pg_conn *raw;
    struct cairn_buf values; /* of the statement under way, each NUL-ended */
    struct cairn_pg_pipeline pipeline;
    int64_t heard_ns; /* monotonic: when the server said something last, or was asked */
    int answer_ms;    /* silence that ends the wait for an answer */
    int usual_ms;     /* what answer_ms is where nobody sets another */
    int pipeline_ms;  /* the same inside a pipeline */
    bool broken;
    bool read_only;
    unsigned error_at;
    char sqlstate[CAIRN_PG_SQLSTATE_BYTES + 1];
    struct cairn_pg *older; /* while it idles in a pool */
    int64_t released_ns;    /* monotonic; as above */
};

struct cairn_pg_result {
    struct pg_result *raw;
};

/* Take the answer to what was sent, one result or several, of which the last is kept. sql: what was
 * sent, for the place of the failure; NULL: not known. ret_raw: as ret_result of cairn_pg_query. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_collect(struct cairn_pg *pg, const char *sql,
                                                struct pg_result **ret_raw, struct cairn_err *err);
/* Wait until the socket has something to read, or takes something where write is set. EBUSY: the
 * server was silent for too long, and the connection is broken. May return for nothing. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_wait(struct cairn_pg *pg, bool write,
                                             struct cairn_err *err);
/* Make each value a NUL-ended text: ret_texts[count] are borrowed until the next call. EINVAL: too
 * many, or one that holds a NUL, which no text of PostgreSQL can. ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_bind(struct cairn_pg *pg, const struct cairn_slice *values,
                                             size_t count, const char **ret_texts,
                                             struct cairn_err *err);
/* The connection idles: has the server not hung up, and does no transaction stand open? */
CAIRN_MUST_CHECK bool cairn_pg_is_idle(struct cairn_pg *pg);

/* ---- failures ---- */

/* What an SQLSTATE means; "" is none. read_only: the session may write nothing. */
enum cairn_rc cairn_pg_class(const char *sqlstate, bool read_only);
/* Forget the last failure. */
void cairn_pg_forgive(struct cairn_pg *pg);
/* The failure that a result tells. sql: as for cairn_pg_collect. */
enum cairn_rc cairn_pg_fail_result(struct cairn_pg *pg, const struct pg_result *raw,
                                   const char *sql, struct cairn_err *err);
/* A failure that libpq tells of the connection. */
enum cairn_rc cairn_pg_fail_raw(struct cairn_pg *pg, struct cairn_err *err);
/* No connection came about. */
enum cairn_rc cairn_pg_fail_connect(struct cairn_pg *pg, struct cairn_err *err);
/* The class of libpq's words of a connection that did not come about, in its verbose form. */
enum cairn_rc cairn_pg_class_connect(const char *words, char ret_sqlstate[6]);

#endif
