/* PostgreSQL: libpq behind our errors, and so that no SQL is ever built from data.
 *
 * A connection belongs to one thread at a time. Values travel as text parameters, never inside a
 * statement; NULL is a slice whose data is NULL. A failure tells three things: its class as a
 * cairn_rc, the server's SQLSTATE, and the server's words. Calls that wait for the server end after
 * the connection's timeout at the latest. */
#ifndef CAIRN_PLATFORM_PG_H
#define CAIRN_PLATFORM_PG_H

#include <stdint.h>

#include "platform/bytes.h"
#include "platform/err.h"

#define CAIRN_PG_PARAMS_MAX       256         /* of one statement */
#define CAIRN_PG_VALUES_BYTES_MAX (256 << 20) /* of one statement */
#define CAIRN_PG_PIPELINE_MAX     (1 << 20)   /* statements */
#define CAIRN_PG_POOL_MAX         64          /* connections */
#define CAIRN_PG_ANSWER_MS        600000
#define CAIRN_PG_SQLSTATE_BYTES   5
/* Of a name that we give to something in the database; PostgreSQL cuts longer ones. */
#define CAIRN_PG_NAME_BYTES_MAX 63

struct cairn_pg;        /* a connection */
struct cairn_pg_result; /* of one statement */

struct cairn_pg_options {
    const char *uri;          /* URI or "key=value ..."; what it leaves out comes from the usual PG*
                                 variables, .pgpass and service files, as libpq says */
    const char *application;  /* application_name, "cairn" and the role; NULL: "cairn" */
    const char *schema;       /* search_path: this schema, then pg_catalog; NULL: the server's */
    int connect_timeout_ms;   /* for each host that the URI names; 0: 10000 */
    int statement_timeout_ms; /* the server's statement_timeout; 0: what the server has */
    int lock_timeout_ms;      /* 0: what the server has */
    int answer_timeout_ms;    /* silence of a server that owes an answer, which ends the connection;
                                 a pipeline's answers come in lumps, so leave room for many of its
                                 statements. 0: statement_timeout_ms and 5 s, CAIRN_PG_ANSWER_MS
                                 where that is 0 and in pipelines */
    bool read_only;           /* default_transaction_read_only */
};

/* Can there be a connection by this URI? It is read, nobody is asked. "": libpq's own defaults.
 * EINVAL also where libpq would read it as something that its author cannot have meant, and would
 * quote a piece of the password when it says so. errors: EINVAL, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_check_uri(const char *uri, struct cairn_err *err);
/* Connect. Texts are UTF-8, times ISO 8601 in UTC, bytea hex, floats as short as they are exact,
 * whatever the server's defaults. Notices are dropped. errors: EBUSY (no server there, or it is
 * starting, full, shutting down: try again), EFORBIDDEN (login, database, TLS: the text is
 * libpq's), EINVAL (the URI is none), ENOMEM. No text ever holds the password. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_open(const struct cairn_pg_options *options,
                                             struct cairn_pg **ret_pg, struct cairn_err *err);
/* Accepts NULL. */
void cairn_pg_close(struct cairn_pg *pg);
/* From now on the server may be silent for so long, in place of options.answer_timeout_ms; for a
 * connection of a pool: until it is given back. answer_timeout_ms: > 0. */
void cairn_pg_set_patience(struct cairn_pg *pg, int answer_timeout_ms);
/* Is the connection gone, or in a state that only closing mends? */
bool cairn_pg_is_broken(const struct cairn_pg *pg);
/* SQLSTATE of the last failure, NUL-ended; "" when it came from libpq and not from the server. */
const char *cairn_pg_sqlstate(const struct cairn_pg *pg);
/* Byte in the statement that the last failure points at, from 1; 0: none. */
unsigned cairn_pg_error_at(const struct cairn_pg *pg);

/* How a failure is answered, from the table in docs/architecture/sql-views.md: EBUSY (try again:
 * connection, serialization, deadlock, lock timeout, a server too silent, a standby where the
 * session means to write), EFULL (disk, memory of the server), EFORBIDDEN (rights; to a session
 * that only reads, for somebody else, EUNREACHABLE), ETIMEDOUT (statement_timeout), EIO, ECORRUPT,
 * EINTERNAL (the server's own trouble), EINVAL (the statement or its values; a value that holds a
 * NUL, which no text of PostgreSQL can), ETOOBIG (values), ENOMEM (here). The text is the server's
 * message, its SQLSTATE and its hint; not its detail, which holds rows. */

/* Several statements without parameters, one after the other, as they stand in a file of the
 * operator's or the domain's. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_run(struct cairn_pg *pg, const char *sql,
                                            struct cairn_err *err);
/* One statement with $1.. parameters. ret_result: caller frees; NULL: nobody wants it. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_query(struct cairn_pg *pg, const char *sql,
                                              const struct cairn_slice *values, size_t count,
                                              struct cairn_pg_result **ret_result,
                                              struct cairn_err *err);
/* Prepare under a name, at most CAIRN_PG_NAME_BYTES_MAX bytes, on this connection. types: OIDs of
 * the parameters, 0: the server infers; may be NULL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_prepare(struct cairn_pg *pg, const char *name,
                                                const char *sql, const uint32_t *types,
                                                size_t count, struct cairn_err *err);
/* What the server inferred: ret_types[count] are the parameters' OIDs. count must be the
 * statement's. ret_columns: OIDs of the result's columns are asked for by cairn_pg_result_type on
 * a result without rows; caller frees it; may be NULL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_describe(struct cairn_pg *pg, const char *name,
                                                 uint32_t *ret_types, size_t count,
                                                 struct cairn_pg_result **ret_columns,
                                                 struct cairn_err *err);

/* ---- results ---- */

void cairn_pg_result_free(struct cairn_pg_result *result); /* accepts NULL */
size_t cairn_pg_result_rows(const struct cairn_pg_result *result);
size_t cairn_pg_result_columns(const struct cairn_pg_result *result);
/* Rows that the statement touched, 0 where it counts none. */
uint64_t cairn_pg_result_touched(const struct cairn_pg_result *result);
/* Data NULL: SQL's NULL. Borrowed from the result. */
struct cairn_slice cairn_pg_result_value(const struct cairn_pg_result *result, size_t row,
                                         size_t column);
struct cairn_slice cairn_pg_result_name(const struct cairn_pg_result *result, size_t column);
uint32_t cairn_pg_result_type(const struct cairn_pg_result *result, size_t column);

/* ---- pipelines (libpq's pipeline mode, PostgreSQL 14) ---- */

/* Statements are sent as they come, and their answers are looked at by end alone; what a full
 * socket brings back meanwhile is taken in, so neither side waits for the other for good. The
 * statements up to end are one implicit transaction unless they say BEGIN and COMMIT. Behind a
 * BEGIN a failure leaves the transaction open for the caller's ROLLBACK, and COMMIT goes the same
 * way. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_pipeline_begin(struct cairn_pg *pg, struct cairn_err *err);
/* Send an execution of a prepared statement. *ret_index: its number in the pipeline, from 0. Where
 * an earlier one is known to have failed it is counted and not sent. A failure (EINVAL, ETOOBIG,
 * ENOMEM, EBUSY) is told by end once more: nothing is sent any more, and end rolls back what was.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_pipeline_send(struct cairn_pg *pg, const char *name,
                                                      const struct cairn_slice *values,
                                                      size_t count, size_t *ret_index,
                                                      struct cairn_err *err);
/* No more statements are to come: from here on the server needs nothing to go through with all of
 * them, and the caller may do something else before it calls end. A failure is told by end. */
void cairn_pg_pipeline_sync(struct cairn_pg *pg);
/* Sync, where that was not done, and take all answers. touched: called for each statement with its
 * number and the rows it touched; NULL: nobody wants to know. On failure *ret_failed is the first
 * statement that failed, SIZE_MAX: none in particular; those behind it did nothing. The connection
 * is out of pipeline mode then, whatever came. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_pg_pipeline_end(struct cairn_pg *pg, void (*touched)(void *self, size_t index, uint64_t rows),
                      void *self, size_t *ret_failed, struct cairn_err *err);

/* ---- a pool: for the threads of the query side ---- */

struct cairn_pg_pool;

/* Connections are opened when they are needed, at most `max` of them; one that broke, or that has
 * idled for a minute, is closed. Does not connect. ENOMEM, EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_pool_new(const struct cairn_pg_options *options,
                                                 unsigned max, struct cairn_pg_pool **ret_pool,
                                                 struct cairn_err *err);
/* All connections must have been given back. Accepts NULL. */
void cairn_pg_pool_free(struct cairn_pg_pool *pool);
/* A connection for this thread, in no transaction. Waits at most timeout_ms for one to become free.
 * A server that refused is not asked again for a second: each request would wait for it. errors:
 * EBUSY, ENOMEM, EUNREACHABLE (the server does not let this service in). thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_pool_acquire(struct cairn_pg_pool *pool, int timeout_ms,
                                                     struct cairn_pg **ret_pg,
                                                     struct cairn_err *err);
/* A connection that is inside a transaction or broken is closed. */
void cairn_pg_pool_release(struct cairn_pg_pool *pool, struct cairn_pg *pg);
/* How many connections are open or being opened, and how many of these are lent. thread: any. */
void cairn_pg_pool_count(struct cairn_pg_pool *pool, unsigned *ret_open, unsigned *ret_lent);

/* ---- names ---- */

/* Append name as a quoted identifier. For the few names of ours that cannot be parameters. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_quote_name(struct cairn_buf *out, struct cairn_slice name);
/* Append the text form of a one-dimensional array of values, NULLs included. */
CAIRN_MUST_CHECK enum cairn_rc cairn_pg_array(struct cairn_buf *out,
                                              const struct cairn_slice *values, size_t count);

#endif
