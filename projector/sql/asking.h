/* One question to a SQL view: a connection from the pool, and the face of the generation that it is
 * asked of. For the projector's own files. thread: any; an asking belongs to one. */
#ifndef CAIRN_PROJECTOR_SQL_ASKING_H
#define CAIRN_PROJECTOR_SQL_ASKING_H

#include "projector/sql/face.h"
#include "projector/sql/read.h"

/* How long a request waits for a connection. */
#define CAIRN_SQL_ACQUIRE_MS 2000

struct cairn_sql_shared_face;

struct cairn_sql_asking {
    struct cairn_sql_reader *reader;
    size_t view; /* number in the domain */
    struct cairn_pg *pg;
    struct cairn_sql_shared_face *shared;
    const struct cairn_sql_face *face; /* inside shared; NULL before cairn_sql_asking_look */
};

/* A connection, for what needs no face. errors: ENOENT (no such view), those of the pool. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_asking_connect(struct cairn_sql_reader *reader,
                                                        struct cairn_slice view,
                                                        struct cairn_sql_asking *asking,
                                                        struct cairn_err *err);
/* The face, once for an asking. generation: the one that the live table is known to be of, 0: not
 * known. errors: those of cairn_sql_face_read; the asking is to be ended, too. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_asking_look(struct cairn_sql_asking *asking,
                                                     uint64_t generation, struct cairn_err *err);
/* Both. errors: of both; nothing is to be ended. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_asking_begin(struct cairn_sql_reader *reader,
                                                      struct cairn_slice view,
                                                      struct cairn_sql_asking *asking,
                                                      struct cairn_err *err);
void cairn_sql_asking_end(struct cairn_sql_asking *asking);
/* Columns 0 and 1 of an answer are position and generation. *ret_same false: the face is of another
 * generation; whoever asked asks again, and finds the right one. errors: ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_asking_check(struct cairn_sql_asking *asking,
                                                      const struct cairn_pg_result *rows,
                                                      struct cairn_position *position,
                                                      bool *ret_same, struct cairn_err *err);
/* A question failed: because the table is not there, or not as it was, for it was switched between
 * face and answer? Then ask again. */
bool cairn_sql_asking_missed(struct cairn_sql_asking *asking);

const struct cairn_domain *cairn_sql_reader_domain(const struct cairn_sql_reader *reader);
/* The number of a SQL view in the domain, SIZE_MAX: there is none of that name. */
size_t cairn_sql_reader_find(const struct cairn_sql_reader *reader, struct cairn_slice name);

#endif
