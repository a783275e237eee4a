#include "projector/sql/key.h"

#include <assert.h>

#define KEY_BYTES_MAX ((size_t)CAIRN_SQL_VIEW_KEYS_MAX * 1024)

/* One row a column of the key, in its order: is it there, is it NOT NULL, and, the same in each, is
 * there an index. indkey counts from 0; an expression in it is 0, which no column is. */
static const char key_sql[] =
    "SELECT a.attnum IS NOT NULL, coalesce(a.attnotnull, false), "
    "EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid "
    "AND i.indpred IS NULL AND (i.indkey::int2[])[0:i.indnkeyatts - 1] <@ "
    "ARRAY(SELECT b.attnum FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attname = ANY ($3))) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "CROSS JOIN unnest($3::name[]) WITH ORDINALITY k (name, place) "
    "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = k.name AND a.attnum > 0 "
    "AND NOT a.attisdropped WHERE n.nspname = $1 AND c.relname = $2 ORDER BY k.place";

enum field { IS_THERE, NOT_NULL, IS_UNIQUE };

static bool is_true(const struct cairn_pg_result *rows, size_t row, enum field field)
{
    return cairn_slice_is(cairn_pg_result_value(rows, row, field), "t");
}

static enum cairn_rc judge(const struct cairn_sql_view *view, const struct cairn_pg_result *rows,
                           struct cairn_err *err)
{
    size_t count = cairn_pg_result_rows(rows);
    if (count == 0) {
        return CAIRN_FAIL(err, CAIRN_EBEHIND, "the view \"%.*s\" is being built",
                          CAIRN_SLICE_ARG(view->name));
    }
    assert(count == view->key_count);
    for (size_t i = 0; i < count; i++) {
        if (!is_true(rows, i, IS_THERE) || !is_true(rows, i, NOT_NULL)) {
            return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                              "the key of view \"%.*s\" names a column that is not %s: %.*s",
                              CAIRN_SLICE_ARG(view->name),
                              is_true(rows, i, IS_THERE) ? "NOT NULL" : "there",
                              CAIRN_SLICE_ARG(view->keys[i]));
        }
    }
    return is_true(rows, 0, IS_UNIQUE)
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                            "the key of view \"%.*s\" is not unique: neither the primary key nor a "
                            "unique index is over its columns or fewer of them",
                            CAIRN_SLICE_ARG(view->name));
}

/* A row is served with its key as "key", which would hide a column of that name, unless it is that
 * column. */
static const char hidden_sql[] =
    "SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary "
    "WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = 'key' AND a.attnum > 0 AND "
    "NOT a.attisdropped AND NOT CASE WHEN cardinality($3::name[]) > 0 THEN $3 = '{key}' "
    "ELSE coalesce(i.indnkeyatts = 1 AND i.indkey[0] = a.attnum, true) END";

static enum cairn_rc refuse_hidden(struct cairn_pg *pg, const struct cairn_slice values[3],
                                   struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_pg_query(pg, hidden_sql, values, 3, &rows, err);
    if (rc == CAIRN_OK && cairn_pg_result_rows(rows) > 0) {
        rc = CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                        "view \"%.*s\" has a column \"key\" that is not its key: rows are served "
                        "with their key under that name, so call the column something else",
                        CAIRN_SLICE_ARG(values[1]));
    }
    cairn_pg_result_free(rows);
    return rc;
}

enum cairn_rc cairn_sql_key_check(struct cairn_pg *pg, struct cairn_slice schema,
                                  const struct cairn_sql_view *view, struct cairn_err *err)
{
    assert(view->key_count <= CAIRN_SQL_VIEW_KEYS_MAX);
    struct cairn_buf names = {.max = KEY_BYTES_MAX};
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_pg_array(&names, view->keys, view->key_count);
    if (rc == CAIRN_OK) {
        const struct cairn_slice values[] = {schema, view->name, cairn_buf_slice(&names)};
        rc = refuse_hidden(pg, values, err);
        rc = rc == CAIRN_OK && view->key_count > 0
                 ? cairn_pg_query(pg, key_sql, values, 3, &rows, err)
                 : rc;
    } else {
        rc = CAIRN_FAIL(err, rc, "the key of a view");
    }
    rc = rc == CAIRN_OK && rows != NULL ? judge(view, rows, err) : rc;
    cairn_pg_result_free(rows);
    cairn_buf_fini(&names);
    return rc;
}
