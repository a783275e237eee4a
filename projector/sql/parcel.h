/* Rows on their way into the tables of a view, in one transaction: gathered, packed, sent.
 *
 * A writer (projector/sql/writer.h) does all of that; until it sends one it needs no server, so one
 * parcel can be filled while another is in flight. thread: owner. */
#ifndef CAIRN_PROJECTOR_SQL_PARCEL_H
#define CAIRN_PROJECTOR_SQL_PARCEL_H

#include "projector/sql/arrays.h"
#include "projector/sql/plan.h"

struct cairn_sql_parcel {
    struct cairn_arena arena; /* owned: values of the rows, and what packing makes of them */
    struct cairn_sql_row *rows;
    size_t *tags; /* of each row */
    size_t row_count, row_cap;

    /* Packed. All of it is made before it is sent: what is half sent and then ended would be
     * committed. */
    bool packed;
    struct cairn_sql_plan plan;
    struct cairn_sql_array_list *arrays; /* of each step that goes so */
    /* Of each statement in the pipeline: the tag of its row, SIZE_MAX where it has several; its
     * line in the view's file. */
    size_t *statement_tags;
    unsigned *lines;
    size_t statement_max; /* room in both */
    /* In a lane: how many rows each step touches if it misses none, and the same of each statement
     * in the pipeline; 0: whatever it misses is nobody else's. */
    uint64_t *musts;
    uint64_t *touches;

    /* On its way. */
    bool looks_up; /* what goes next is planned so */
    size_t first;  /* number of the first row's statement, behind the checkpoint's */
    size_t sent;   /* the checkpoint's among them */
    bool missed;   /* one did not touch so many */
};

/* bytes_max: of a parcel, with all that packing makes. */
void cairn_sql_parcel_init(struct cairn_sql_parcel *parcel, size_t bytes_max);
void cairn_sql_parcel_fini(struct cairn_sql_parcel *parcel);
/* Empty it; what is in its arena is gone. */
void cairn_sql_parcel_begin(struct cairn_sql_parcel *parcel);
/* One row more, whose values lie in the arena. errors: ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_parcel_put(struct cairn_sql_parcel *parcel,
                                                    struct cairn_sql_row row, size_t tag,
                                                    struct cairn_err *err);

#endif
