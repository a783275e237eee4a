#include "projector/sql/parcel.h"

#include <assert.h>

#include "platform/mem.h"

#define ROWS_MIN 256

void cairn_sql_parcel_init(struct cairn_sql_parcel *parcel, size_t bytes_max)
{
    assert(bytes_max > 0);
    *parcel = (struct cairn_sql_parcel){.arena = {.max = bytes_max}};
}

void cairn_sql_parcel_fini(struct cairn_sql_parcel *parcel)
{
    cairn_mem_free(parcel->rows);
    cairn_mem_free(parcel->tags);
    cairn_arena_fini(&parcel->arena);
}

void cairn_sql_parcel_begin(struct cairn_sql_parcel *parcel)
{
    cairn_arena_reset(&parcel->arena);
    parcel->row_count = 0;
    parcel->packed = false;
}

static enum cairn_rc make_room(struct cairn_sql_parcel *parcel, struct cairn_err *err)
{
    if (parcel->row_count < parcel->row_cap) {
        return CAIRN_OK;
    }
    size_t cap = parcel->row_cap == 0 ? ROWS_MIN : parcel->row_cap * 2;
    if (cap > CAIRN_SQL_PLAN_ROWS_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "more than %u rows in a batch",
                          CAIRN_SQL_PLAN_ROWS_MAX);
    }
    struct cairn_sql_row *rows = cairn_mem_realloc(parcel->rows, cap * sizeof(*rows));
    if (rows != NULL) {
        parcel->rows = rows;
    }
    size_t *tags = rows == NULL ? NULL : cairn_mem_realloc(parcel->tags, cap * sizeof(*tags));
    if (tags == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    parcel->tags = tags;
    parcel->row_cap = cap;
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_parcel_put(struct cairn_sql_parcel *parcel, struct cairn_sql_row row,
                                   size_t tag, struct cairn_err *err)
{
    assert(!parcel->packed && row.values != NULL);
    enum cairn_rc rc = make_room(parcel, err);
    if (rc == CAIRN_OK) {
        parcel->rows[parcel->row_count] = row;
        parcel->tags[parcel->row_count++] = tag;
    }
    return rc;
}
