/* The reading half of the view store: what the query side may see of the projector.
 *
 * Views live in one LMDB environment (<data>/views). A view is a table of rows (key -> document)
 * and its declared secondary indexes; which generation of it is live, and its checkpoint, are rows
 * of the same environment, so every answer is from one snapshot: rows, indexes, position and state
 * belong together. */
#ifndef CAIRN_PROJECTOR_VIEW_READ_H
#define CAIRN_PROJECTOR_VIEW_READ_H

#include "eventstore/position.h"
#include "platform/clock.h"
#include "platform/value.h"

#define CAIRN_VIEW_KEY_BYTES_MAX 400 /* UTF-8 */
#define CAIRN_VIEW_INDEXES_MAX   16
#define CAIRN_VIEW_FILTERS_MAX   32
#define CAIRN_VIEW_VALUES_MAX    500 /* of one IN */
#define CAIRN_VIEW_PARTS_MAX     128 /* of all AND and OR of a query together */
#define CAIRN_VIEW_DEPTH_MAX     8   /* of AND and OR inside each other */
#define CAIRN_VIEW_SELECT_MAX    64  /* members named */
#define CAIRN_VIEW_LIMIT_MAX     1000
#define CAIRN_VIEW_LIMIT_DEFAULT 50

struct cairn_views; /* an open view store */

/* Open for reading. ENOENT while no projector has made it yet. Caller closes. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_views_open(const char *data_folder, struct cairn_views **ret_views, struct cairn_err *err);
void cairn_views_close(struct cairn_views *views);

struct cairn_sql_reader; /* projector/sql/read.h */
/* Let views that lie in PostgreSQL be read, too: with this every function below knows them.
 * Borrowed, outlives views. Before the first request. */
void cairn_views_attach_sql(struct cairn_views *views, struct cairn_sql_reader *reader);

enum cairn_view_state {
    CAIRN_VIEW_LIVE,       /* following the log */
    CAIRN_VIEW_BUILDING,   /* its first build, or a changed definition with no older rows to serve:
                              not readable yet */
    CAIRN_VIEW_STOPPED,    /* its projection failed at an event; readable as of its position */
    CAIRN_VIEW_UNAVAILABLE /* its database does not answer: nothing is known of it */
};

struct cairn_view_column {
    struct cairn_slice name; /* a declared index; "key" is always there and not listed */
};

/* A view's state. Everything in arena. */
struct cairn_view_status {
    struct cairn_slice name;
    enum cairn_view_state state;
    uint64_t generation;
    uint64_t rows;
    struct cairn_position position;
    struct cairn_slice code_hash;       /* hex */
    uint64_t parked;                    /* streams whose events wait */
    bool rebuilding;                    /* there is a build of another generation beside this one */
    bool rebuild_active;                /* somebody is at it now, or at the first build */
    uint64_t rebuild_done, rebuild_all; /* events */
    struct cairn_slice error;           /* of STOPPED: what happened, and where in the script */
    struct cairn_slice error_event;     /* id of the event it failed at */
    uint64_t error_offset;
    uint16_t error_partition;
    const struct cairn_view_column *columns;
    size_t column_count;
};

CAIRN_MUST_CHECK enum cairn_rc cairn_views_list(struct cairn_views *views,
                                                struct cairn_arena *arena,
                                                struct cairn_view_status **ret_status,
                                                size_t *ret_count, struct cairn_err *err);
/* ENOENT: no such view. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_status(struct cairn_views *views, struct cairn_slice view,
                                                 struct cairn_arena *arena,
                                                 struct cairn_view_status *ret_status,
                                                 struct cairn_err *err);

/* One row. ret_row: the document (CAIRN_MAP) without its key; ret_position: of the same snapshot.
 * errors: ENOENT (no such view or row: *ret_known tells which, false for no view), EBEHIND
 * (building), ECORRUPT, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_get(struct cairn_views *views, struct cairn_slice view,
                                              struct cairn_slice key, struct cairn_arena *arena,
                                              struct cairn_value *ret_row,
                                              struct cairn_position *ret_position, bool *ret_known,
                                              struct cairn_err *err);

enum cairn_view_operator {
    CAIRN_OP_EQ,
    CAIRN_OP_NEQ,
    CAIRN_OP_GT,
    CAIRN_OP_GTE,
    CAIRN_OP_LT,
    CAIRN_OP_LTE,
    CAIRN_OP_IN,
    CAIRN_OP_LIKE, /* the value is a pattern: '*' is any text, everything else itself */
    CAIRN_OP_IS,   /* the value is null, true, false or unknown (which is null) */
    CAIRN_OP_AND,  /* of parts, as the next */
    CAIRN_OP_OR
};

/* A test of a row, or several tests joined. Values are compared with a row's value by type: a
 * number with numbers, else as text; "true", "false" and "null" match those too. A test may be
 * neither true nor false, of a value that is not there; then its negation is neither, too, and the
 * row does not pass. */
struct cairn_view_filter {
    enum cairn_view_operator op;
    bool negated;                     /* not. in front */
    struct cairn_slice column;        /* an index of the view, or "key"; not of AND, OR */
    const struct cairn_slice *values; /* as text; one, or several for IN */
    size_t value_count;
    const struct cairn_view_filter *parts; /* of AND, OR: one or more */
    size_t part_count;
};

struct cairn_view_query {
    struct cairn_slice view;
    struct cairn_view_filter filters[CAIRN_VIEW_FILTERS_MAX]; /* all must hold */
    size_t filter_count;
    const struct cairn_slice *select; /* members that a row is to have; NULL: all */
    size_t select_count;
    struct cairn_slice order; /* an index, or "key"; empty: "key" */
    bool descending;
    size_t limit;              /* 1..CAIRN_VIEW_LIMIT_MAX */
    struct cairn_slice cursor; /* what an earlier page gave as next; empty: the first page */
};

struct cairn_view_row {
    struct cairn_slice key;
    struct cairn_value document;
};

struct cairn_view_page {
    struct cairn_view_row *rows;
    size_t count;
    struct cairn_slice next; /* cursor, base64url; empty at the end */
    struct cairn_position position;
};

/* A page, ordered by (order, key), total even between equal values. Rows without the ordering
 * column come last in ascending order. errors: ENOENT (no view), EQUERY (unknown column, bad
 * cursor; err names it), EBEHIND (building), ECORRUPT, EIO. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_list(struct cairn_views *views, const struct cairn_view_query *query,
                struct cairn_arena *arena, struct cairn_view_page *ret_page, struct cairn_err *err);

/* Wait until the view holds position, at most timeout_ms; returns the position it holds then. OK
 * also on time-out: compare. A stopped view returns at once; one that is being
 * built is waited for until it can be read. ENOENT: no such view. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_wait(struct cairn_views *views, struct cairn_slice view,
                                               const struct cairn_position *position,
                                               int timeout_ms, struct cairn_position *ret_position,
                                               struct cairn_err *err);
/* Make every present and future wait return at once: for stopping. */
void cairn_views_wake(struct cairn_views *views);

#endif
