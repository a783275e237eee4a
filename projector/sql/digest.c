#include "projector/sql/digest.h"

#include "platform/pg_text.h"

#define STATEMENT_BYTES_MAX ((size_t)4096)

/* The sum of the rows' hashes modulo 2^64, which no order of the rows changes. Each table has a
 * seed of its own, so that a row which is in the wrong table counts as wrong. */
static void write_sum(struct cairn_pg_text *text, size_t table)
{
    cairn_pg_text_add(text, "mod(mod(coalesce(sum(hashtextextended(_cairn_row::text, ");
    cairn_pg_text_add_number(text, table);
    cairn_pg_text_add(text, ")), 0), 18446744073709551616) + 18446744073709551616, "
                            "18446744073709551616)");
}

static enum cairn_rc write_scan(struct cairn_pg_text *text, const char *schema,
                                struct cairn_slice name, size_t table, bool sum,
                                const char **ret_sql, struct cairn_err *err)
{
    cairn_pg_text_add(text, "SELECT count(*), ");
    if (sum) {
        write_sum(text, table);
    } else {
        cairn_pg_text_add(text, "0");
    }
    cairn_pg_text_add(text, " FROM ");
    cairn_pg_text_add_name(text, cairn_slice_str(schema));
    cairn_pg_text_add(text, ".");
    cairn_pg_text_add_name(text, name);
    cairn_pg_text_add(text, " AS _cairn_row");
    enum cairn_rc rc = cairn_pg_text_end(text, ret_sql);
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "sum the rows of a view");
}

static enum cairn_rc scan(struct cairn_pg *pg, const char *schema, struct cairn_slice name,
                          size_t table, bool sum, struct cairn_view_digest *digest,
                          struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(STATEMENT_BYTES_MAX);
    struct cairn_pg_result *result = NULL;
    const char *sql = NULL;
    uint64_t rows = 0;
    uint64_t hash = 0;
    enum cairn_rc rc = write_scan(&text, schema, name, table, sum, &sql, err);
    rc = rc == CAIRN_OK ? cairn_pg_query(pg, sql, NULL, 0, &result, err) : rc;
    if (rc == CAIRN_OK &&
        (cairn_slice_to_u64(cairn_pg_result_value(result, 0, 0), &rows) != CAIRN_OK ||
         cairn_slice_to_u64(cairn_pg_result_value(result, 0, 1), &hash) != CAIRN_OK)) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "sum the rows of a view");
    }
    cairn_pg_result_free(result);
    cairn_pg_text_fini(&text);
    digest->rows += rows;
    digest->sum += hash;
    return rc;
}

static enum cairn_rc scan_all(struct cairn_pg *pg, struct cairn_slice domain,
                              struct cairn_slice view, enum cairn_view_side side, bool sum,
                              struct cairn_view_digest *ret_digest, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    struct cairn_view_digest digest = {.rows = 0};
    struct cairn_pg_result *tables = NULL;
    cairn_pg_set_patience(pg, CAIRN_SQL_SCAN_MS);
    enum cairn_rc rc = cairn_sql_schema(domain, view, side, schema, err);
    rc = rc == CAIRN_OK ? cairn_sql_generation_tables(pg, domain, view, side, false, &tables, err)
                        : rc;
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(tables); i++) {
        rc = scan(pg, schema, cairn_pg_result_value(tables, i, 0), i, sum, &digest, err);
    }
    cairn_pg_result_free(tables);
    cairn_pg_set_patience(pg, CAIRN_PG_ANSWER_MS);
    if (rc == CAIRN_OK) {
        *ret_digest = digest;
    }
    return rc;
}

enum cairn_rc cairn_sql_digest(struct cairn_pg *pg, struct cairn_slice domain,
                               struct cairn_slice view, enum cairn_view_side side,
                               struct cairn_view_digest *ret_digest, struct cairn_err *err)
{
    return scan_all(pg, domain, view, side, true, ret_digest, err);
}

enum cairn_rc cairn_sql_count(struct cairn_pg *pg, struct cairn_slice domain,
                              struct cairn_slice view, enum cairn_view_side side,
                              struct cairn_view_digest *ret_digest, struct cairn_err *err)
{
    return scan_all(pg, domain, view, side, false, ret_digest, err);
}
