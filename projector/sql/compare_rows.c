#include "projector/sql/compare_rows.h"

#include <assert.h>

#include "platform/pg_text.h"
#include "projector/replay_store.h"
#include "projector/sql/digest.h"

#define STATEMENT_BYTES_MAX ((size_t)16 * 1024)
/* Rows in memory of each side. */
#define ROWS_AT_A_TIME "500"

/* One side of a table: its rows by key. */
struct walk {
    struct cairn_pg *pg;
    struct cairn_pg_result *rows; /* of the last FETCH */
    size_t at;                    /* the row in hand */
    bool open;                    /* there is a cursor */
    bool ended;
    struct cairn_slice key; /* borrowed from rows */
    struct cairn_slice json;
};

/* ---- keys ---- */

static enum cairn_rc read_key(struct cairn_pg *pg, const struct cairn_sql_compare_rows *rows,
                              enum cairn_view_side side, struct cairn_slice table,
                              struct cairn_pg_result **ret_columns, struct cairn_err *err)
{
    static const char sql[] =
        "SELECT a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place) "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum "
        "WHERE i.indisprimary AND n.nspname = $1 AND c.relname = $2 ORDER BY k.place";
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = cairn_sql_schema(rows->domain, rows->view, side, schema, err);
    const struct cairn_slice values[] = {cairn_slice_str(schema), table};
    return rc == CAIRN_OK ? cairn_pg_query(pg, sql, values, 2, ret_columns, err) : rc;
}

static bool same_names(const struct cairn_pg_result *a, const struct cairn_pg_result *b)
{
    bool same = cairn_pg_result_rows(a) == cairn_pg_result_rows(b);
    for (size_t i = 0; same && i < cairn_pg_result_rows(a); i++) {
        same = cairn_slice_equal(cairn_pg_result_value(a, i, 0), cairn_pg_result_value(b, i, 0));
    }
    return same;
}

/* ---- walking ---- */

static void write_key(struct cairn_pg_text *text, const struct cairn_pg_result *columns)
{
    if (columns == NULL || cairn_pg_result_rows(columns) == 0) {
        cairn_pg_text_add(text, "row_to_json(_cairn_row)");
        return;
    }
    for (size_t i = 0; i < cairn_pg_result_rows(columns); i++) {
        cairn_pg_text_add(text, i == 0 ? "json_build_array(_cairn_row." : ", _cairn_row.");
        cairn_pg_text_add_name(text, cairn_pg_result_value(columns, i, 0));
    }
    cairn_pg_text_add(text, ")");
}

static enum cairn_rc fetch(struct walk *walk, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_pg_query(walk->pg, "FETCH FORWARD " ROWS_AT_A_TIME " FROM _cairn_walk",
                                      NULL, 0, &rows, err);
    if (rc == CAIRN_OK) {
        cairn_pg_result_free(walk->rows);
        walk->rows = rows;
        walk->at = 0;
        walk->ended = cairn_pg_result_rows(rows) == 0;
    }
    return rc;
}

static void look_at_row(struct walk *walk)
{
    walk->key = walk->ended ? CAIRN_SLICE_NONE : cairn_pg_result_value(walk->rows, walk->at, 0);
    walk->json = walk->ended ? CAIRN_SLICE_NONE : cairn_pg_result_value(walk->rows, walk->at, 1);
}

static enum cairn_rc begin_walk(struct walk *walk, const char *schema, struct cairn_slice table,
                                const struct cairn_pg_result *key, struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(STATEMENT_BYTES_MAX);
    const char *sql = NULL;
    cairn_pg_text_add(&text, "DECLARE _cairn_walk NO SCROLL CURSOR FOR SELECT key, json FROM "
                             "(SELECT ");
    write_key(&text, key);
    cairn_pg_text_add(&text, "::text COLLATE \"C\" AS key, row_to_json(_cairn_row)::text AS json "
                             "FROM ");
    cairn_pg_text_add_name(&text, cairn_slice_str(schema));
    cairn_pg_text_add(&text, ".");
    cairn_pg_text_add_name(&text, table);
    cairn_pg_text_add(&text, " AS _cairn_row) _cairn_rows ORDER BY key");
    enum cairn_rc rc = cairn_pg_text_end(&text, &sql);
    rc = rc == CAIRN_OK ? cairn_pg_run(walk->pg, sql, err)
                        : CAIRN_FAIL(err, rc, "compare rows of a view");
    cairn_pg_text_fini(&text);
    walk->open = rc == CAIRN_OK;
    rc = rc == CAIRN_OK ? fetch(walk, err) : rc;
    if (rc == CAIRN_OK) {
        look_at_row(walk);
    }
    return rc;
}

static enum cairn_rc next_row(struct walk *walk, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    assert(!walk->ended);
    if (++walk->at == cairn_pg_result_rows(walk->rows)) {
        rc = fetch(walk, err);
    }
    if (rc == CAIRN_OK) {
        look_at_row(walk);
    }
    return rc;
}

static enum cairn_rc end_walk(struct walk *walk, enum cairn_rc rc, struct cairn_err *err)
{
    cairn_pg_result_free(walk->rows);
    walk->rows = NULL;
    return rc == CAIRN_OK && walk->open ? cairn_pg_run(walk->pg, "CLOSE _cairn_walk", err) : rc;
}

/* ---- telling ---- */

static void tell(const struct cairn_sql_compare_rows *rows, struct cairn_compare_report *report,
                 const struct cairn_row_difference *difference)
{
    report->differences++;
    if (report->differences <= rows->told_max && rows->hooks != NULL &&
        rows->hooks->different != NULL) {
        rows->hooks->different(rows->hooks->self, difference);
    }
}

static void tell_pair(const struct cairn_sql_compare_rows *rows, struct cairn_slice table,
                      int order, const struct walk *live, const struct walk *replayed,
                      struct cairn_compare_report *report)
{
    struct cairn_row_difference difference = {.table = table,
                                              .key = order <= 0 ? live->key : replayed->key,
                                              .live = order <= 0 ? live->json : CAIRN_SLICE_NONE,
                                              .replayed =
                                                  order >= 0 ? replayed->json : CAIRN_SLICE_NONE};
    report->live_rows += order <= 0 ? 1 : 0;
    report->rows += order >= 0 ? 1 : 0;
    if (order >= 0 && rows->hooks != NULL && rows->hooks->row != NULL) {
        rows->hooks->row(rows->hooks->self, table, replayed->key, replayed->json);
    }
    if (order < 0 && rows->partial) {
        report->left_out++;
        return;
    }
    if (order == 0 && cairn_slice_equal(live->json, replayed->json)) {
        return;
    }
    difference.kind = order < 0   ? CAIRN_ROW_EXTRA
                      : order > 0 ? CAIRN_ROW_MISSING
                                  : CAIRN_ROW_DIFFERS;
    tell(rows, report, &difference);
}

static enum cairn_rc walk_pair(const struct cairn_sql_compare_rows *rows, struct cairn_slice table,
                               struct walk *live, struct walk *replayed,
                               struct cairn_compare_report *report, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && !(live->ended && replayed->ended)) {
        int order = live->ended       ? 1
                    : replayed->ended ? -1
                                      : cairn_slice_compare(live->key, replayed->key);
        tell_pair(rows, table, order, live, replayed, report);
        if (cairn_compare_is_cancelled(rows->hooks)) {
            return CAIRN_FAIL(err, CAIRN_ESTOPPED, "cancelled");
        }
        rc = order <= 0 ? next_row(live, err) : CAIRN_OK;
        rc = rc == CAIRN_OK && order >= 0 ? next_row(replayed, err) : rc;
    }
    return rc;
}

/* ---- tables ---- */

/* A table, and which sides have it. */
struct common {
    struct cairn_slice name;
    bool live, replayed;
};

static enum cairn_rc begin_both(const struct cairn_sql_compare_rows *rows,
                                const struct common *table, struct walk *live,
                                struct walk *replayed, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_pg_result *live_key = NULL;
    struct cairn_pg_result *key = NULL;
    enum cairn_rc rc = read_key(rows->live, rows, CAIRN_SIDE_LIVE, table->name, &live_key, err);
    rc = rc == CAIRN_OK ? read_key(rows->replayed, rows, CAIRN_SIDE_CHECK, table->name, &key, err)
                        : rc;
    const struct cairn_pg_result *by = table->replayed ? key : live_key;
    by = rc == CAIRN_OK && table->live && table->replayed && !same_names(live_key, key) ? NULL : by;
    if (rc == CAIRN_OK && table->live) {
        rc = cairn_sql_schema(rows->domain, rows->view, CAIRN_SIDE_LIVE, schema, err);
        rc = rc == CAIRN_OK ? begin_walk(live, schema, table->name, by, err) : rc;
    }
    if (rc == CAIRN_OK && table->replayed) {
        rc = cairn_sql_schema(rows->domain, rows->view, CAIRN_SIDE_CHECK, schema, err);
        rc = rc == CAIRN_OK ? begin_walk(replayed, schema, table->name, by, err) : rc;
    }
    cairn_pg_result_free(live_key);
    cairn_pg_result_free(key);
    return rc;
}

static enum cairn_rc compare_table(const struct cairn_sql_compare_rows *rows,
                                   const struct common *table, struct cairn_compare_report *report,
                                   struct cairn_err *err)
{
    struct walk live = {.pg = rows->live, .ended = true};
    struct walk replayed = {.pg = rows->replayed, .ended = true};
    enum cairn_rc rc = begin_both(rows, table, &live, &replayed, err);
    rc = rc == CAIRN_OK ? walk_pair(rows, table->name, &live, &replayed, report, err) : rc;
    rc = end_walk(&live, rc, err);
    return end_walk(&replayed, rc, err);
}

static struct cairn_slice nth(const struct cairn_pg_result *tables, size_t n)
{
    return n < cairn_pg_result_rows(tables) ? cairn_pg_result_value(tables, n, 0)
                                            : CAIRN_SLICE_NONE;
}

/* The tables of both sides, each once, by name. */
static enum cairn_rc compare_tables(const struct cairn_sql_compare_rows *rows,
                                    const struct cairn_pg_result *live,
                                    const struct cairn_pg_result *replayed,
                                    struct cairn_compare_report *report, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t l = 0;
    size_t r = 0;
    while (rc == CAIRN_OK &&
           (l < cairn_pg_result_rows(live) || r < cairn_pg_result_rows(replayed))) {
        struct cairn_slice a = nth(live, l);
        struct cairn_slice b = nth(replayed, r);
        int order = a.data == NULL ? 1 : b.data == NULL ? -1 : cairn_slice_compare(a, b);
        const struct common table = {order <= 0 ? a : b, order <= 0, order >= 0};
        rc = compare_table(rows, &table, report, err);
        l += table.live ? 1 : 0;
        r += table.replayed ? 1 : 0;
    }
    return rc;
}

enum cairn_rc cairn_sql_compare_rows(const struct cairn_sql_compare_rows *rows,
                                     struct cairn_compare_report *report, struct cairn_err *err)
{
    struct cairn_pg_result *live = NULL;
    struct cairn_pg_result *replayed = NULL;
    assert(rows->live != NULL && rows->replayed != NULL);
    cairn_pg_set_patience(rows->live, CAIRN_SQL_SCAN_MS);
    cairn_pg_set_patience(rows->replayed, CAIRN_SQL_SCAN_MS);
    enum cairn_rc rc = cairn_sql_generation_tables(rows->live, rows->domain, rows->view,
                                                   CAIRN_SIDE_LIVE, false, &live, err);
    rc = rc == CAIRN_OK ? cairn_sql_generation_tables(rows->replayed, rows->domain, rows->view,
                                                      CAIRN_SIDE_CHECK, false, &replayed, err)
                        : rc;
    rc = rc == CAIRN_OK ? compare_tables(rows, live, replayed, report, err) : rc;
    cairn_pg_result_free(live);
    cairn_pg_result_free(replayed);
    return rc;
}
