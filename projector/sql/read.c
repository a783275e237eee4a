#include "projector/sql/read.h"

#include <assert.h>

#include "projector/sql/asking.h"
#include "projector/sql/list.h"

/* A generation that is switched while a request runs is looked at again, this often. */
#define TRIES_MAX 3

static enum cairn_rc switched_too_often(struct cairn_slice view, struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_EBUSY, "the view %.*s was switched while it was read",
                      CAIRN_SLICE_ARG(view));
}

/* ---- a row ---- */

/* A key that is no value of its column's type cannot be there; one with a NUL is refused before it
 * comes to the server. */
static bool is_no_value(const struct cairn_pg *pg, enum cairn_rc rc)
{
    const char *state = cairn_pg_sqlstate(pg);
    return strncmp(state, "22", 2) == 0 || (rc == CAIRN_EINVAL && state[0] == '\0');
}

static enum cairn_rc get_once(struct cairn_sql_asking *asking, struct cairn_slice view,
                              const struct cairn_slice *keys, struct cairn_pg_result **ret_rows,
                              struct cairn_err *err)
{
    const struct cairn_sql_face *face = asking->face;
    struct cairn_slice values[1 + CAIRN_SQL_VIEW_KEYS_MAX] = {view};
    for (size_t i = 0; i < face->key_count; i++) {
        values[i + 1] = keys[i];
    }
    return cairn_pg_query(asking->pg, face->get_sql, values, face->key_count + 1, ret_rows, err);
}

/* The answer for a key that no row can have: where the view is. */
static enum cairn_rc get_nothing(struct cairn_sql_asking *asking, struct cairn_slice view,
                                 struct cairn_pg_result **ret_rows, struct cairn_err *err)
{
    static const char sql[] = "SELECT position, generation, NULL::text FROM _cairn_view "
                              "WHERE view = $1 AND side = 'live'";
    return cairn_pg_query(asking->pg, sql, &view, 1, ret_rows, err);
}

static enum cairn_rc find_row(struct cairn_sql_asking *asking, struct cairn_slice view,
                              struct cairn_slice key, struct cairn_arena *arena,
                              struct cairn_pg_result **ret_rows, struct cairn_err *err)
{
    struct cairn_slice keys[CAIRN_SQL_VIEW_KEYS_MAX];
    enum cairn_rc rc = cairn_sql_face_key(asking->face, key, arena, keys);
    if (rc == CAIRN_ENOENT) {
        return get_nothing(asking, view, ret_rows, err);
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "read a row");
    }
    rc = get_once(asking, view, keys, ret_rows, err);
    return rc != CAIRN_OK && is_no_value(asking->pg, rc) ? get_nothing(asking, view, ret_rows, err)
                                                         : rc;
}

/* *ret_done false: ask again. */
static enum cairn_rc try_get(struct cairn_sql_asking *asking, struct cairn_slice view,
                             struct cairn_slice key, struct cairn_arena *arena,
                             struct cairn_value *ret_row, struct cairn_position *position,
                             bool *ret_done, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    *ret_done = true;
    enum cairn_rc rc = find_row(asking, view, key, arena, &rows, err);
    if (rc != CAIRN_OK) {
        *ret_done = !cairn_sql_asking_missed(asking);
        return *ret_done ? rc : CAIRN_OK;
    }
    rc = cairn_sql_asking_check(asking, rows, position, ret_done, err);
    if (rc == CAIRN_OK && *ret_done) {
        struct cairn_slice document = cairn_pg_result_value(rows, 0, 2);
        rc = document.data == NULL
                 ? CAIRN_FAIL(err, CAIRN_ENOENT, "view %.*s has no row with that key",
                              CAIRN_SLICE_ARG(view))
                 : cairn_sql_face_document(document, arena, ret_row, err);
    }
    cairn_pg_result_free(rows);
    return rc;
}

enum cairn_rc cairn_sql_view_get(struct cairn_sql_reader *reader, struct cairn_slice view,
                                 struct cairn_slice key, struct cairn_arena *arena,
                                 struct cairn_value *ret_row, struct cairn_position *ret_position,
                                 bool *ret_known, struct cairn_err *err)
{
    struct cairn_position position = {{0}};
    *ret_known = cairn_sql_reader_has(reader, view);
    for (int i = 0; i < TRIES_MAX; i++) {
        struct cairn_sql_asking asking;
        bool done = false;
        enum cairn_rc rc = cairn_sql_asking_begin(reader, view, &asking, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = try_get(&asking, view, key, arena, ret_row, &position, &done, err);
        cairn_sql_asking_end(&asking);
        if (done) {
            if (ret_position != NULL && (rc == CAIRN_OK || rc == CAIRN_ENOENT)) {
                *ret_position = position;
            }
            return rc;
        }
    }
    return switched_too_often(view, err);
}

/* ---- a page ---- */

enum cairn_rc cairn_sql_view_list(struct cairn_sql_reader *reader,
                                  const struct cairn_view_query *query, struct cairn_arena *arena,
                                  struct cairn_view_page *ret_page, struct cairn_err *err)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct cairn_sql_asking asking;
        struct cairn_pg_result *rows = NULL;
        bool done = false;
        enum cairn_rc rc = cairn_sql_asking_begin(reader, query->view, &asking, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = cairn_sql_list_ask(asking.pg, asking.face, query, arena, &rows, err);
        if (rc == CAIRN_OK) {
            rc = cairn_sql_asking_check(&asking, rows, &ret_page->position, &done, err);
        } else if (cairn_sql_asking_missed(&asking)) {
            rc = CAIRN_OK;
        }
        if (rc == CAIRN_OK && done) {
            rc = cairn_sql_list_take(asking.face, query, rows, arena, ret_page, err);
        }
        cairn_pg_result_free(rows);
        cairn_sql_asking_end(&asking);
        if (rc != CAIRN_OK || done) {
            return rc;
        }
    }
    return switched_too_often(query->view, err);
}
