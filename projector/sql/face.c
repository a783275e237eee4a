#include "projector/sql/face.h"

#include <assert.h>

#include "platform/json.h"
#include "platform/pg_text.h"
#include "projector/sql/key.h"
#include "projector/sql/store.h"

#define FACE_BYTES_MAX ((size_t)1024 * 1024)
#define SQL_BYTES_MAX  ((size_t)256 * 1024)

/* ---- columns ---- */

/* One row a column: generation, name, place in the primary key's index or -1, how many of that are
 * the key (behind them stands what it includes). */
static const char columns_sql[] =
    "SELECT (SELECT generation FROM %s._cairn_view WHERE view = $2 AND side = 'live'), a.attname, "
    "coalesce(array_position(i.indkey::int2[], a.attnum), -1), coalesce(i.indnkeyatts, 0) "
    "FROM pg_attribute a "
    "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary "
    "WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped "
    "ORDER BY a.attnum";

static enum cairn_rc take_columns(const struct cairn_pg_result *rows, struct cairn_sql_face *face,
                                  struct cairn_err *err)
{
    size_t count = cairn_pg_result_rows(rows);
    if (count == 0 || cairn_pg_result_value(rows, 0, 0).data == NULL) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view \"%.*s\" is being built",
                          CAIRN_SLICE_ARG(face->view));
    }
    if (count > CAIRN_SQL_FACE_COLUMNS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "the view \"%.*s\" has more than %d columns",
                          CAIRN_SLICE_ARG(face->view), CAIRN_SQL_FACE_COLUMNS_MAX);
    }
    face->columns = cairn_arena_zalloc(&face->arena, count, sizeof(*face->columns));
    enum cairn_rc rc = face->columns == NULL ? CAIRN_ENOMEM
                                             : cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0),
                                                                  &face->generation);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        uint64_t place = 0;
        uint64_t keys = 0;
        rc = cairn_arena_copy(&face->arena, cairn_pg_result_value(rows, i, 1),
                              &face->columns[i].name);
        if (cairn_slice_to_u64(cairn_pg_result_value(rows, i, 3), &keys) == CAIRN_OK &&
            keys <= CAIRN_SQL_VIEW_KEYS_MAX &&
            cairn_slice_to_u64(cairn_pg_result_value(rows, i, 2), &place) == CAIRN_OK &&
            place < keys) {
            face->keys[place] = i;
            face->key_count++;
        }
    }
    face->column_count = count;
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "read the columns of a view");
}

size_t cairn_sql_face_column(const struct cairn_sql_face *face, struct cairn_slice name)
{
    for (size_t i = 0; i < face->column_count; i++) {
        if (cairn_slice_equal(face->columns[i].name, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* The columns that the file names as its key, which are there, or else the primary key's. */
static enum cairn_rc choose_keys(struct cairn_sql_face *face, const struct cairn_sql_view *view,
                                 struct cairn_err *err)
{
    for (size_t i = 0; i < view->key_count; i++) {
        face->keys[i] = cairn_sql_face_column(face, view->keys[i]);
        if (face->keys[i] == SIZE_MAX) {
            return CAIRN_FAIL(err, CAIRN_EBUSY, "the view \"%.*s\" was switched while it was read",
                              CAIRN_SLICE_ARG(face->view));
        }
    }
    face->key_count = view->key_count > 0 ? view->key_count : face->key_count;
    return face->key_count > 0
               ? CAIRN_OK
               : CAIRN_FAIL(
                     err, CAIRN_EUNSUPPORTED,
                     "the table of view \"%.*s\" has no primary key of up to %d columns, and the "
                     "view names none (-- key:), so its rows cannot be served",
                     CAIRN_SLICE_ARG(face->view), CAIRN_SQL_VIEW_KEYS_MAX);
}

/* ---- statements ---- */

/* The text in the arena; NULL when memory is out. */
static const char *finish(struct cairn_pg_text *sql, struct cairn_arena *arena)
{
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    const char *text = NULL;
    enum cairn_rc rc = cairn_pg_text_end(sql, &text);
    rc = rc == CAIRN_OK ? cairn_arena_copy(arena, cairn_slice_of(text, strlen(text) + 1), &copy)
                        : rc;
    cairn_pg_text_fini(sql);
    return rc == CAIRN_OK ? copy.data : NULL;
}

static const char *make_key_text(struct cairn_sql_face *face)
{
    struct cairn_pg_text sql = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    bool several = face->key_count > 1;
    cairn_pg_text_add(&sql, several ? "json_build_array(" : "");
    for (size_t i = 0; i < face->key_count; i++) {
        cairn_pg_text_add(&sql, i > 0 ? ", r." : "r.");
        cairn_pg_text_add_name(&sql, face->columns[face->keys[i]].name);
        cairn_pg_text_add(&sql, "::text");
    }
    cairn_pg_text_add(&sql, several ? ")::text" : "");
    return finish(&sql, &face->arena);
}

/* One row always, so that the position is known of a row that is not there, too. */
static const char *make_get(struct cairn_sql_face *face)
{
    struct cairn_pg_text sql = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    cairn_pg_text_add(&sql, "SELECT v.position, v.generation, t.document, t.key FROM ");
    cairn_pg_text_add(&sql, face->control);
    cairn_pg_text_add(&sql, " v LEFT JOIN LATERAL (SELECT row_to_json(r.*)::text AS document, ");
    cairn_pg_text_add(&sql, face->key_text);
    cairn_pg_text_add(&sql, " AS key FROM ");
    cairn_pg_text_add(&sql, face->table);
    for (size_t i = 0; i < face->key_count; i++) {
        cairn_pg_text_add(&sql, i == 0 ? " r WHERE r." : " AND r.");
        cairn_pg_text_add_name(&sql, face->columns[face->keys[i]].name);
        cairn_pg_text_add(&sql, " = ");
        cairn_pg_text_add_param(&sql, i + 2);
    }
    cairn_pg_text_add(&sql, ") t ON true WHERE v.view = $1 AND v.side = 'live'");
    return finish(&sql, &face->arena);
}

/* With its schema, so that a role that may not look into that hears so. */
static const char *make_table(struct cairn_sql_face *face, struct cairn_slice domain,
                              struct cairn_slice table)
{
    struct cairn_pg_text sql = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    cairn_pg_text_add_name(&sql, domain);
    cairn_pg_text_add(&sql, ".");
    cairn_pg_text_add_name(&sql, table);
    return finish(&sql, &face->arena);
}

static enum cairn_rc make_statements(struct cairn_sql_face *face, struct cairn_slice domain,
                                     struct cairn_err *err)
{
    face->table = make_table(face, domain, face->view);
    face->control = make_table(face, domain, CAIRN_SLICE_LIT("_cairn_view"));
    face->key_text = face->table == NULL || face->control == NULL ? NULL : make_key_text(face);
    face->get_sql = face->key_text == NULL ? NULL : make_get(face);
    return face->get_sql != NULL ? CAIRN_OK
                                 : CAIRN_FAIL(err, CAIRN_ENOMEM, "read the columns of a view");
}

enum cairn_rc cairn_sql_face_read(struct cairn_pg *pg, struct cairn_slice domain,
                                  const struct cairn_sql_view *view,
                                  struct cairn_sql_face *ret_face, struct cairn_err *err)
{
    const struct cairn_slice values[] = {domain, view->name};
    struct cairn_sql_face face = {.arena = {.max = FACE_BYTES_MAX}, .view = view->name};
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, columns_sql, values, 2, &rows, err);
    if (rc != CAIRN_OK && strcmp(cairn_pg_sqlstate(pg), "42P01") == 0) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view \"%.*s\" is being built",
                          CAIRN_SLICE_ARG(view->name)); /* no projector has been here yet */
    }
    rc = rc == CAIRN_OK ? take_columns(rows, &face, err) : rc;
    cairn_pg_result_free(rows);
    rc = rc == CAIRN_OK ? cairn_sql_key_check(pg, domain, view, err) : rc;
    rc = rc == CAIRN_OK ? choose_keys(&face, view, err) : rc;
    rc = rc == CAIRN_OK ? make_statements(&face, domain, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_sql_face_fini(&face);
        return rc;
    }
    *ret_face = face;
    return CAIRN_OK;
}

void cairn_sql_face_fini(struct cairn_sql_face *face)
{
    cairn_arena_fini(&face->arena);
}

/* ---- keys and documents ---- */

enum cairn_rc cairn_sql_face_key(const struct cairn_sql_face *face, struct cairn_slice key,
                                 struct cairn_arena *arena, struct cairn_slice *values)
{
    struct cairn_value list;
    struct cairn_err ignored;
    if (face->key_count == 1) {
        values[0] = key;
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_json_read(key, arena, &list, NULL, &ignored);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOMEM ? rc : CAIRN_ENOENT;
    }
    if (list.type != CAIRN_ARRAY || list.count != face->key_count) {
        return CAIRN_ENOENT;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.as.items[i].type != CAIRN_STRING) {
            return CAIRN_ENOENT;
        }
        values[i] = cairn_value_slice(&list.as.items[i]);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_face_document(struct cairn_slice json, struct cairn_arena *arena,
                                      struct cairn_value *ret_document, struct cairn_err *err)
{
    struct cairn_slice copy;
    struct cairn_value row;
    enum cairn_rc rc = cairn_arena_copy(arena, json, &copy);
    rc = rc == CAIRN_OK ? cairn_json_read_decimal(copy, arena, &row, err)
                        : CAIRN_FAIL(err, rc, "read a row");
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOMEM ? rc : cairn_err_wrap(err, CAIRN_ECORRUPT, "a row as JSON");
    }
    assert(row.type == CAIRN_MAP);
    *ret_document = row;
    return CAIRN_OK;
}
