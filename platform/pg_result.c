#include <assert.h>

#include <libpq-fe.h>

#include "platform/mem.h"
#include "platform/pg_int.h"

void cairn_pg_result_free(struct cairn_pg_result *result)
{
    if (result != NULL) {
        PQclear(result->raw);
        cairn_mem_free(result);
    }
}

size_t cairn_pg_result_rows(const struct cairn_pg_result *result)
{
    assert(result != NULL);
    return (size_t)PQntuples(result->raw);
}

size_t cairn_pg_result_columns(const struct cairn_pg_result *result)
{
    assert(result != NULL);
    return (size_t)PQnfields(result->raw);
}

uint64_t cairn_pg_result_touched(const struct cairn_pg_result *result)
{
    assert(result != NULL);
    uint64_t touched = 0;
    struct cairn_slice text = cairn_slice_str(PQcmdTuples(result->raw));
    return cairn_slice_to_u64(text, &touched) == CAIRN_OK ? touched : 0;
}

struct cairn_slice cairn_pg_result_value(const struct cairn_pg_result *result, size_t row,
                                         size_t column)
{
    assert(row < cairn_pg_result_rows(result));
    assert(column < cairn_pg_result_columns(result));
    if (PQgetisnull(result->raw, (int)row, (int)column) == 1) {
        return CAIRN_SLICE_NONE;
    }
    return cairn_slice_of(PQgetvalue(result->raw, (int)row, (int)column),
                          (size_t)PQgetlength(result->raw, (int)row, (int)column));
}

struct cairn_slice cairn_pg_result_name(const struct cairn_pg_result *result, size_t column)
{
    assert(column < cairn_pg_result_columns(result));
    return cairn_slice_str(PQfname(result->raw, (int)column));
}

uint32_t cairn_pg_result_type(const struct cairn_pg_result *result, size_t column)
{
    assert(column < cairn_pg_result_columns(result));
    return PQftype(result->raw, (int)column);
}
