/* Where the SQL views of a domain lie in the database, and how far each is.
 *
 * The schema of the domain's name holds the tables of the live generations and the control table
 * `_cairn_view`, one row for each generation, `_cairn_parked`, one for each stream that a
 * generation leaves out, `_cairn_lane`, one for each lane of a build, and `_cairn_refusal`
 * (docs/architecture/sql-views.md draws them). Every other generation has a schema of its own;
 * generation.h makes, moves and drops them, claim.h tells whose one is. Every function works on the
 * caller's connection; thread: its owner. Failures are those of platform/pg.h. */
#ifndef CAIRN_PROJECTOR_SQL_STORE_H
#define CAIRN_PROJECTOR_SQL_STORE_H

#include "platform/pg.h"
#include "projector/lmdb/view_meta.h"

#define CAIRN_SQL_SCHEMA_SIZE (CAIRN_PG_NAME_BYTES_MAX + 1)

/* A generation's row. Texts in the arena that it was read into. */
struct cairn_sql_head {
    enum cairn_view_state state;
    bool returning;      /* an old generation on its way back (side next) */
    uint64_t generation; /* from 1 */
    uint32_t version;    /* of the definition */
    uint64_t events;     /* applied to it since it was begun, by lanes too */
    uint64_t all;        /* events the log held when its build began */
    struct cairn_position position;
    struct cairn_slice place;      /* the position's text, as it stands in the row */
    struct cairn_slice hash;       /* of the definition, hex */
    struct cairn_slice definition; /* its text */
    struct cairn_slice error;      /* of a stopped one, or of a build that failed; else empty */
    struct cairn_slice error_event;
    uint16_t error_partition;
    uint64_t error_offset;      /* 0: no event's */
    struct cairn_slice refused; /* hash of a definition that a live generation was rolled back from;
                                   empty: none */
    uint64_t parks;             /* how often the set of its parked streams changed */
    uint64_t parked;            /* streams of them that wait */
};

/* The schema of a view's generation: the domain's for the live one, else one of its own. EINVAL:
 * the names are too long for PostgreSQL together, or the domain's is one that it keeps for itself.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_schema(struct cairn_slice domain, struct cairn_slice view,
                                                enum cairn_view_side side,
                                                char ret_schema[CAIRN_SQL_SCHEMA_SIZE],
                                                struct cairn_err *err);

/* As it stands in the column `side`. */
struct cairn_slice cairn_sql_side_name(enum cairn_view_side side);
/* A statement of ours with parameters; every %s in format is the domain's schema. ret_result: as of
 * cairn_pg_query. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_query_in(struct cairn_pg *pg, struct cairn_slice domain,
                                                  const char *format,
                                                  const struct cairn_slice *values, size_t count,
                                                  struct cairn_pg_result **ret_result,
                                                  struct cairn_err *err);
/* Commit, or where rc is a failure roll back and keep it. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_end(struct cairn_pg *pg, enum cairn_rc rc,
                                             struct cairn_err *err);

/* Make the domain's schema and control tables where they are missing. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_store_prepare(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_err *err);
/* ENOENT (err untouched): there is no such generation, or no store yet. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_head_read(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                    enum cairn_view_side side, struct cairn_arena *arena,
                    struct cairn_sql_head *ret_head, struct cairn_err *err);

/* For trying definitions: open a transaction with an empty schema of this name in it, which is
 * first in the search_path, and the control table; nobody else ever sees it. The caller ends it
 * with cairn_sql_scratch_end. EINVAL: there is a schema of that name. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_scratch_begin(struct cairn_pg *pg, struct cairn_slice schema, struct cairn_err *err);
/* Undo all of it. */
void cairn_sql_scratch_end(struct cairn_pg *pg);

/* What stopped a projection. */
struct cairn_sql_stop {
    const char *error;
    struct cairn_slice event; /* its id; empty: it is no event's fault */
    uint16_t partition;
    uint64_t offset; /* of the event; 0: none */
};
/* Say that a projection failed: a live generation is stopped, a build only notes it. Only where the
 * row still stands at this place; otherwise nothing happens. stop NULL: it goes on again. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_stop_write(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                     enum cairn_view_side side, const struct cairn_sql_head *head,
                     const struct cairn_sql_stop *stop, struct cairn_err *err);
/* Delete what the database holds of views that are not among these. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_store_keep(struct cairn_pg *pg, struct cairn_slice domain,
                                                    const struct cairn_slice *views, size_t count,
                                                    struct cairn_err *err);

#endif
