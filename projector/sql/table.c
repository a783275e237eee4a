#include "projector/sql/table.h"

#include <assert.h>

/* One row a column. What makes touching a row do more than that is looked for broadly: a view's
 * table rarely has any of it.
 *
 * shadowed: a function, type or operator of the schema itself would be found before pg_catalog's.
 * Built-in functions have no entry in pg_depend, so what is found there behind a check, a default,
 * an index or a domain may read whatever it likes. A default is constant where it is one literal,
 * under casts at most. A key is the table's only unique index, and a plain one. */
static const char tables_sql[] =
    "WITH home AS (SELECT n.oid AS schema, "
    "EXISTS (SELECT FROM pg_proc o JOIN pg_proc c ON c.proname = o.proname "
    "AND c.pronamespace = 'pg_catalog'::regnamespace WHERE o.pronamespace = n.oid) "
    "OR EXISTS (SELECT FROM pg_type o JOIN pg_type c ON c.typname = o.typname "
    "AND c.typnamespace = 'pg_catalog'::regnamespace WHERE o.typnamespace = n.oid) "
    "OR EXISTS (SELECT FROM pg_operator o WHERE o.oprnamespace = n.oid) AS shadowed "
    "FROM pg_namespace n WHERE n.nspname = $1), "
    /* Constraints, defaults and indexes of a table, as pg_depend names them. */
    "parts AS (SELECT conrelid AS rel, 'pg_constraint'::regclass AS class, oid AS part "
    "FROM pg_constraint UNION ALL SELECT adrelid, 'pg_attrdef'::regclass, oid FROM pg_attrdef "
    "UNION ALL SELECT indrelid, 'pg_class'::regclass, indexrelid FROM pg_index), "
    "tables AS (SELECT t.oid, t.relname, "
    "NOT h.shadowed AND t.relkind = 'r' AND NOT t.relispartition AND NOT t.relrowsecurity "
    "AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid) "
    "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' "
    "AND t.oid IN (k.conrelid, k.confrelid)) "
    "AND NOT EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = t.oid) "
    "AND NOT EXISTS (SELECT FROM pg_inherits i WHERE t.oid IN (i.inhrelid, i.inhparent)) "
    "AND NOT EXISTS (SELECT FROM parts p JOIN pg_depend d ON d.classid = p.class "
    "AND d.objid = p.part AND d.refclassid = 'pg_proc'::regclass WHERE p.rel = t.oid) "
    "AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid "
    "AND y.typtype = 'd' WHERE a.attrelid = t.oid AND NOT a.attisdropped) AS local, "
    "EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'c' AND k.conrelid = t.oid) "
    "OR EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid "
    "WHERE i.indrelid = t.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL "
    "OR (NOT i.indisunique AND a.attlen = -1))) AS checked, "
    "(SELECT count(*) FROM pg_index i WHERE i.indrelid = t.oid "
    "AND (i.indisunique OR i.indisexclusion)) > 1 "
    "OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid "
    "AND (i.indisexclusion OR (i.indisunique AND NOT i.indimmediate))) "
    "OR EXISTS (SELECT FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid "
    "AND d.adnum = a.attnum WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "AND (a.attidentity <> '' OR a.attgenerated <> '' OR (a.atthasdef "
    "AND pg_get_expr(d.adbin, d.adrelid) !~ "
    "'^(''([^'']|'''')*''|-?[0-9.]+|true|false|NULL)(::[a-z ]+)?$'))) AS ordered, "
    "(SELECT CASE WHEN count(*) = 1 AND bool_and(i.indimmediate AND i.indisvalid "
    "AND i.indexprs IS NULL AND i.indpred IS NULL) "
    "THEN min((SELECT string_agg(i.indkey[p]::text, ' ' ORDER BY p) "
    "FROM generate_series(0, i.indnkeyatts - 1) p)) END "
    "FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique) AS key "
    "FROM pg_class t JOIN home h ON h.schema = t.relnamespace WHERE t.relkind IN ('r', 'p')) "
    "SELECT t.relname, t.local, t.checked, t.ordered, coalesce(t.key, ''), a.attnum, a.attname, "
    "CASE WHEN l.collisdeterministic IS FALSE THEN '?' "
    "ELSE format_type(a.atttypid, a.atttypmod) END, a.attnotnull, "
    "count(*) OVER (PARTITION BY t.oid) "
    "FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 "
    "AND NOT a.attisdropped LEFT JOIN pg_collation l ON l.oid = a.attcollation "
    "ORDER BY t.relname, a.attnum";

enum field { NAME, LOCAL, CHECKED, ORDERED, KEY, NUMBER, COLUMN, TYPE, NOT_NULL, COUNT };

static bool is_true(const struct cairn_pg_result *result, size_t row, enum field field)
{
    return cairn_slice_is(cairn_pg_result_value(result, row, field), "t");
}

static uint64_t number_at(const struct cairn_pg_result *result, size_t row, enum field field)
{
    uint64_t number = 0;
    enum cairn_rc rc = cairn_slice_to_u64(cairn_pg_result_value(result, row, field), &number);
    assert(rc == CAIRN_OK); /* count() and attnum > 0 */
    (void)rc;
    return number;
}

/* "3 1": attribute numbers of the key, as numbers of columns, whose rows begin at `first`. */
static void read_key(const struct cairn_pg_result *result, size_t first,
                     struct cairn_sql_table *table)
{
    struct cairn_slice text = cairn_pg_result_value(result, first, KEY);
    size_t count = 0;
    while (text.size > 0) {
        size_t end = cairn_slice_find(text, ' ');
        struct cairn_slice number = cairn_slice_of(text.data, end);
        size_t column = 0;
        while (column < table->column_count &&
               !cairn_slice_equal(cairn_pg_result_value(result, first + column, NUMBER), number)) {
            column++;
        }
        if (count == CAIRN_SQL_KEY_COLUMNS_MAX || column == table->column_count) {
            return; /* too wide to be of use, or over a system column */
        }
        table->key[count++] = (unsigned)column;
        end += end < text.size ? 1 : 0;
        text = cairn_slice_of(text.data + end, text.size - end);
    }
    table->key_count = count;
}

static enum cairn_rc read_table(const struct cairn_pg_result *result, size_t first,
                                struct cairn_arena *arena, struct cairn_sql_table *ret_table)
{
    struct cairn_sql_table table = {.column_count = (size_t)number_at(result, first, COUNT),
                                    .local = is_true(result, first, LOCAL),
                                    .checked = is_true(result, first, CHECKED),
                                    .ordered = is_true(result, first, ORDERED)};
    struct cairn_sql_column *columns =
        cairn_arena_zalloc(arena, table.column_count, sizeof(*columns));
    if (columns == NULL) {
        return CAIRN_ENOMEM;
    }
    enum cairn_rc rc =
        cairn_arena_copy(arena, cairn_pg_result_value(result, first, NAME), &table.name);
    for (size_t i = 0; i < table.column_count && rc == CAIRN_OK; i++) {
        columns[i].not_null = is_true(result, first + i, NOT_NULL);
        rc = cairn_arena_copy(arena, cairn_pg_result_value(result, first + i, COLUMN),
                              &columns[i].name);
        rc = rc != CAIRN_OK
                 ? rc
                 : cairn_arena_copy(arena, cairn_pg_result_value(result, first + i, TYPE),
                                    &columns[i].type);
    }
    table.columns = columns;
    read_key(result, first, &table);
    *ret_table = table;
    return rc;
}

static enum cairn_rc read_tables(const struct cairn_pg_result *result, struct cairn_arena *arena,
                                 struct cairn_sql_table **ret_tables, size_t *ret_count,
                                 struct cairn_err *err)
{
    struct cairn_sql_table *tables =
        cairn_arena_zalloc(arena, CAIRN_SQL_TABLES_MAX, sizeof(*tables));
    size_t count = 0;
    enum cairn_rc rc = tables == NULL ? CAIRN_ENOMEM : CAIRN_OK;
    for (size_t row = 0; row < cairn_pg_result_rows(result) && rc == CAIRN_OK; count++) {
        if (count == CAIRN_SQL_TABLES_MAX) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "more than %d tables in one schema",
                              CAIRN_SQL_TABLES_MAX);
        }
        rc = read_table(result, row, arena, &tables[count]);
        row += rc == CAIRN_OK ? tables[count].column_count : 0;
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "what the catalogue says of tables");
    }
    *ret_tables = tables;
    *ret_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_tables_read(struct cairn_pg *pg, struct cairn_slice schema,
                                    struct cairn_arena *arena, struct cairn_sql_table **ret_tables,
                                    size_t *ret_count, struct cairn_err *err)
{
    struct cairn_pg_result *result = NULL;
    assert(arena != NULL && ret_tables != NULL && ret_count != NULL);
    enum cairn_rc rc = cairn_pg_query(pg, tables_sql, &schema, 1, &result, err);
    if (rc == CAIRN_OK) {
        rc = read_tables(result, arena, ret_tables, ret_count, err);
    }
    cairn_pg_result_free(result);
    return rc;
}

/* ---- types ---- */

static enum cairn_rc write_oids(const uint32_t *oids, size_t count, struct cairn_buf *list)
{
    enum cairn_rc rc = cairn_buf_append_byte(list, '{');
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = cairn_buf_append_str(list, i == 0 ? "" : ",");
        rc = rc == CAIRN_OK ? cairn_buf_append_u64(list, oids[i]) : rc;
    }
    return rc == CAIRN_OK ? cairn_buf_append_byte(list, '}') : rc;
}

static enum cairn_rc read_types(const struct cairn_pg_result *result, size_t count,
                                struct cairn_arena *arena, struct cairn_slice *ret_names,
                                struct cairn_err *err)
{
    if (cairn_pg_result_rows(result) != count) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a parameter's type is not in the catalogue");
    }
    for (size_t i = 0; i < count; i++) {
        enum cairn_rc rc =
            cairn_arena_copy(arena, cairn_pg_result_value(result, i, 0), &ret_names[i]);
        if (rc != CAIRN_OK) {
            return CAIRN_FAIL(err, rc, "names of types");
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_types_read(struct cairn_pg *pg, const uint32_t *oids, size_t count,
                                   struct cairn_arena *arena, struct cairn_slice *ret_names,
                                   struct cairn_err *err)
{
    static const char sql[] =
        "SELECT format_type(t.oid, -1) FROM unnest($1::oid[]) WITH ORDINALITY AS p(oid, n) "
        "JOIN pg_type t ON t.oid = p.oid ORDER BY p.n";
    struct cairn_buf list = {.max = 16 * CAIRN_SQL_PARAMS_MAX};
    struct cairn_pg_result *result = NULL;
    assert(count <= CAIRN_SQL_PARAMS_MAX && ret_names != NULL);
    if (count == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = write_oids(oids, count, &list);
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "numbers of types");
    } else {
        struct cairn_slice value = cairn_buf_slice(&list);
        rc = cairn_pg_query(pg, sql, &value, 1, &result, err);
    }
    rc = rc == CAIRN_OK ? read_types(result, count, arena, ret_names, err) : rc;
    cairn_pg_result_free(result);
    cairn_buf_fini(&list);
    return rc;
}
