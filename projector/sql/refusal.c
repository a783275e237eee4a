#include "projector/sql/refusal.h"

#include <assert.h>
#include <stdio.h>

#define NUMBER_SIZE 16
/* A SQLSTATE. */
#define UNDEFINED_TABLE "42P01"

enum cairn_rc cairn_sql_refusal_write(struct cairn_pg *pg, struct cairn_slice domain,
                                      struct cairn_slice view, const char *error,
                                      struct cairn_err *err)
{
    static const char sql[] =
        "INSERT INTO %s._cairn_refusal (view, error) VALUES ($1, $2) ON CONFLICT (view) DO UPDATE "
        "SET error = excluded.error, updated = excluded.updated";
    assert(error[0] != '\0');
    const struct cairn_slice values[] = {view, cairn_slice_str(error)};
    return cairn_sql_query_in(pg, domain, sql, values, 2, NULL, err);
}

enum cairn_rc cairn_sql_refusal_clear(struct cairn_pg *pg, struct cairn_slice domain,
                                      struct cairn_slice view, unsigned older_ms,
                                      struct cairn_err *err)
{
    static const char sql[] = "DELETE FROM %s._cairn_refusal WHERE view = $1 AND updated <= now() "
                              "- $2::integer * interval '1 ms'";
    char older[NUMBER_SIZE];
    (void)snprintf(older, sizeof(older), "%u", older_ms);
    const struct cairn_slice values[] = {view, cairn_slice_str(older)};
    return cairn_sql_query_in(pg, domain, sql, values, 2, NULL, err);
}

enum cairn_rc cairn_sql_refusal_read(struct cairn_pg *pg, struct cairn_slice domain,
                                     struct cairn_slice view, struct cairn_arena *arena,
                                     struct cairn_slice *ret_error, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    struct cairn_slice error = CAIRN_SLICE_LIT("");
    struct cairn_err why;
    enum cairn_rc rc = cairn_sql_query_in(
        pg, domain, "SELECT error FROM %s._cairn_refusal WHERE view = $1", &view, 1, &rows, &why);
    if (rc != CAIRN_OK && strcmp(cairn_pg_sqlstate(pg), UNDEFINED_TABLE) != 0) {
        *err = why;
        return rc;
    }
    if (rc == CAIRN_OK && cairn_pg_result_rows(rows) > 0 &&
        cairn_arena_copy(arena, cairn_pg_result_value(rows, 0, 0), &error) != CAIRN_OK) {
        cairn_pg_result_free(rows);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read why a view is refused");
    }
    cairn_pg_result_free(rows);
    *ret_error = error;
    return CAIRN_OK;
}
