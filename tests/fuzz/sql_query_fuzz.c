/* The file of a named query, as anyone may write it: it ends in a query within its limits, whose
 * statement uses only what it declares, or in a fault that names a line. Any bytes are tried as a
 * value of each type, too. */
#include "schemas/sql_query.h"

#include <assert.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { ARENA_MAX = 1 << 23, INPUT_MAX = 65536 };

static bool is_declared(const struct cairn_sql_query *query, struct cairn_slice name)
{
    for (size_t i = 0; i < query->param_count; i++) {
        if (cairn_slice_equal(query->params[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void check_query(const struct cairn_sql_query *query)
{
    assert(query->param_count <= CAIRN_SQL_PARAMS_MAX);
    assert(query->order_count <= CAIRN_SQL_QUERY_ORDERS_MAX);
    assert(query->timeout_ms >= 1 && query->timeout_ms <= CAIRN_SQL_QUERY_TIMEOUT_MAX);
    assert(query->limit >= 1 && query->limit <= CAIRN_SQL_QUERY_LIMIT_MAX);
    for (size_t i = 0; i < query->statement.param_count; i++) {
        assert(is_declared(query, query->statement.params[i]));
    }
    for (size_t i = 0; i < query->param_count; i++) {
        const struct cairn_sql_param *param = &query->params[i];
        assert(param->required || param->fallback.data == NULL ||
               cairn_sql_type_holds(param->type, param->fallback));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice source = cairn_slice_of((const char *)data, size);
    struct cairn_sql_query query;
    struct cairn_err err = {0};
    if (size > INPUT_MAX) {
        return 0;
    }
    for (int type = CAIRN_SQL_INTEGER; type <= CAIRN_SQL_JSON; type++) {
        bool holds = cairn_sql_type_holds((enum cairn_sql_type)type, source);
        assert(!holds || type == CAIRN_SQL_TEXT || size > 0);
    }
    enum cairn_rc rc = cairn_sql_query_read(CAIRN_SLICE_LIT("q"), source, &arena, &query, &err);
    if (rc == CAIRN_OK) {
        check_query(&query);
    } else {
        assert(rc == CAIRN_EINVAL || rc == CAIRN_EMALFORMED || rc == CAIRN_ETOOBIG);
        assert(strncmp(err.text, "line ", 5) == 0);
    }
    cairn_arena_fini(&arena);
    return 0;
}
