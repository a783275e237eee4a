/* The writing half of a generation of a SQL view: its statements, prepared on a connection.
 *
 * Rows are gathered in a parcel, packed, and sent in one pipeline behind the checkpoint's
 * compare-and-set, so rows and checkpoint commit together or not at all. thread: owner. */
#ifndef CAIRN_PROJECTOR_SQL_WRITER_H
#define CAIRN_PROJECTOR_SQL_WRITER_H

#include "projector/sql/lane.h"
#include "projector/sql/parcel.h"
#include "projector/sql/store.h"
#include "schemas/sql_view.h"

struct cairn_sql_writer;

struct cairn_sql_writer_options {
    struct cairn_pg *pg; /* its search_path is the generation's schema; borrowed */
    struct cairn_slice domain;
    enum cairn_view_side side;
    const struct cairn_sql_view *view; /* borrowed */
    const char *schema;                /* where the generation's tables are */
    const struct cairn_sql_lane *lane; /* whose checkpoint moves; NULL: the generation's */
};

/* Prepare everything. errors: EINVAL (a statement is refused: the text begins with
 * "line N: ", of the view's file), ENOMEM,
 * those of platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_open(const struct cairn_sql_writer_options *options,
                                                     struct cairn_sql_writer **ret_writer,
                                                     struct cairn_err *err);
/* Accepts NULL. The connection keeps what was prepared. */
void cairn_sql_writer_close(struct cairn_sql_writer *writer);

/* Can lanes feed the generation? Each row of each statement touches one row of a table, and reads
 * nothing else. */
bool cairn_sql_writer_divides(const struct cairn_sql_writer *writer);

/* Does the view handle the type? */
bool cairn_sql_writer_handles(const struct cairn_sql_writer *writer, struct cairn_slice type);
/* The rows of one event into the parcel. tag: given back where one of them fails. errors: ENOMEM,
 * ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_add(const struct cairn_sql_writer *writer,
                                                    const struct cairn_event *event,
                                                    const struct cairn_value *data, size_t tag,
                                                    struct cairn_sql_parcel *parcel,
                                                    struct cairn_err *err);
/* Plan the rows, after which none is added, and make their arrays. careful: row by row, no arrays:
 * behind a failure, which an array may make up. errors: ENOMEM, ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_pack(const struct cairn_sql_writer *writer,
                                                     bool careful, struct cairn_sql_parcel *parcel,
                                                     struct cairn_err *err);

/* Where the batch leads from and to. */
struct cairn_sql_step_to {
    const struct cairn_sql_head *from;
    struct cairn_slice place; /* text of the position behind the batch */
    uint64_t events;          /* of the batch */
};

/* Send a packed parcel behind the checkpoint, and commit them. errors: EFENCED (the generation
 * stands elsewhere by now: another projector was here, or it was switched), EINVAL (a statement or
 * a value of it is refused; *ret_tag: of the row, SIZE_MAX where it is not known which); nothing
 * was committed then. After any other, of platform/pg.h or ENOMEM, it is not known, the connection
 * must be closed, and the row of the generation tells. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_commit(struct cairn_sql_writer *writer,
                                                       struct cairn_sql_parcel *parcel,
                                                       const struct cairn_sql_step_to *to,
                                                       size_t *ret_tag, struct cairn_err *err);
/* The first half of it, not in a lane: where it succeeds the parcel is in flight, which the server
 * commits by itself, and neither it nor the connection may be used before
 * cairn_sql_writer_await. errors: EBUSY, ENOMEM (nothing is in flight). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_send(struct cairn_sql_writer *writer,
                                                     struct cairn_sql_parcel *parcel,
                                                     const struct cairn_sql_step_to *to,
                                                     struct cairn_err *err);
/* The second half: what became of it. ret_tag, errors: as of cairn_sql_writer_commit. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_await(struct cairn_sql_writer *writer,
                                                      struct cairn_sql_parcel *parcel,
                                                      size_t *ret_tag, struct cairn_err *err);
/* Send a packed parcel inside of the transaction that the caller began on the connection, whose
 * commit and checkpoint are the caller's. errors: as above but for EFENCED; after a failure the
 * caller rolls back. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_writer_apply(struct cairn_sql_writer *writer,
                                                      struct cairn_sql_parcel *parcel,
                                                      size_t *ret_tag, struct cairn_err *err);

#endif
