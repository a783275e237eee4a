/* What a generation of a SQL view looks like to readers: its columns, its key, and the statements
 * that follow from them. Made once for each generation, then read only. thread: any (read). */
#ifndef CAIRN_PROJECTOR_SQL_FACE_H
#define CAIRN_PROJECTOR_SQL_FACE_H

#include "platform/pg.h"
#include "projector/view_read.h"
#include "schemas/sql_view.h"

#define CAIRN_SQL_FACE_COLUMNS_MAX 256

struct cairn_sql_face {
    struct cairn_arena arena; /* holds everything below; fini frees it */
    struct cairn_slice view;
    uint64_t generation;
    struct cairn_view_column *columns; /* all of the table's */
    size_t column_count;
    size_t keys[CAIRN_SQL_VIEW_KEYS_MAX]; /* numbers of the columns that make a row's key */
    size_t key_count;
    const char *table;    /* quoted */
    const char *control;  /* the table of generations, quoted */
    const char *key_text; /* the expression that gives a row's key; the row is called r */
    const char *get_sql;  /* $1 view, $2.. the key's columns: position, generation, document, key */
};

/* Read the live generation's. domain: the schema. errors: EBEHIND (there is no live generation),
 * EUNSUPPORTED (the table has no key, or the view's is none: projector/sql/key.h), those of
 * platform/pg.h. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_face_read(struct cairn_pg *pg, struct cairn_slice domain,
                                                   const struct cairn_sql_view *view,
                                                   struct cairn_sql_face *ret_face,
                                                   struct cairn_err *err);
void cairn_sql_face_fini(struct cairn_sql_face *face);

/* The number of a column by its name, SIZE_MAX: it has none of that name. */
size_t cairn_sql_face_column(const struct cairn_sql_face *face, struct cairn_slice name);
/* A row's key as the values of its columns: the key itself, or, where several columns make it, the
 * texts of a JSON list. ENOENT (no err): it cannot be one. values[CAIRN_SQL_VIEW_KEYS_MAX], in
 * arena or borrowed. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_face_key(const struct cairn_sql_face *face,
                                                  struct cairn_slice key, struct cairn_arena *arena,
                                                  struct cairn_slice *values);
/* A document of the server's making. errors: ECORRUPT, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_face_document(struct cairn_slice json,
                                                       struct cairn_arena *arena,
                                                       struct cairn_value *ret_document,
                                                       struct cairn_err *err);

#endif
