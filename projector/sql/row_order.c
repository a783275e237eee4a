#include "projector/sql/row_order.h"

#include <assert.h>
#include <stdlib.h>

#include "platform/hash.h"
#include "projector/sql/spelling.h"

/* A row with what its place is decided by. */
struct placed {
    uint64_t hash; /* of its key */
    uint32_t row;
};

static bool spell_part(const struct cairn_sql_shape *shape, const struct cairn_sql_row *row,
                       size_t part, int64_t *number, struct cairn_slice *ret_bytes)
{
    const struct cairn_sql_key_part *key = &shape->key[part];
    return cairn_sql_spell(key->type, row->values[key->param], number, ret_bytes);
}

/* False: the key is not known. */
static bool hash_key(const struct cairn_sql_shape *shape, const struct cairn_sql_row *row,
                     uint64_t *ret_hash)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < shape->key_count; i++) {
        int64_t number = 0;
        struct cairn_slice bytes;
        if (!spell_part(shape, row, i, &number, &bytes)) {
            return false;
        }
        hash = cairn_hash64_seeded(bytes, hash);
    }
    *ret_hash = hash;
    return shape->key_count > 0;
}

static bool same_key(const struct cairn_sql_shape *shape, const struct cairn_sql_row *a,
                     const struct cairn_sql_row *b)
{
    bool same = true;
    for (size_t i = 0; same && i < shape->key_count; i++) {
        int64_t numbers[2] = {0, 0};
        struct cairn_slice bytes[2];
        same = spell_part(shape, a, i, &numbers[0], &bytes[0]) &&
               spell_part(shape, b, i, &numbers[1], &bytes[1]) &&
               cairn_slice_equal(bytes[0], bytes[1]);
    }
    return same;
}

/* Rows ascend in a step, so those of one key keep their order. */
static int compare(const void *a, const void *b)
{
    const struct placed *one = a;
    const struct placed *other = b;
    if (one->hash != other->hash) {
        return one->hash < other->hash ? -1 : 1;
    }
    return one->row < other->row ? -1 : one->row > other->row ? 1 : 0;
}

/* Of rows in order; two keys of one hash that take turns count too often, never too seldom. */
static uint64_t count_keys(const struct cairn_sql_shape *shape, const struct cairn_sql_row *rows,
                           const struct placed *placed, size_t count)
{
    uint64_t keys = count > 0 ? 1 : 0;
    for (size_t i = 1; i < count; i++) {
        bool same = placed[i].hash == placed[i - 1].hash &&
                    same_key(shape, &rows[placed[i].row], &rows[placed[i - 1].row]);
        keys += same ? 0 : 1;
    }
    return keys;
}

enum cairn_rc cairn_sql_rows_order(const struct cairn_sql_shape *shape,
                                   const struct cairn_sql_row *rows, struct cairn_sql_step *step,
                                   struct cairn_arena *arena, uint64_t *ret_touched,
                                   struct cairn_err *err)
{
    assert(shape != NULL && step->row_count > 0);
    struct placed *placed = cairn_arena_alloc(arena, step->row_count * sizeof(*placed));
    uint32_t *order = cairn_arena_alloc(arena, step->row_count * sizeof(*order));
    if (placed == NULL || order == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the order of a batch");
    }
    for (size_t i = 0; i < step->row_count; i++) {
        placed[i].row = step->rows[i];
        if (!hash_key(shape, &rows[step->rows[i]], &placed[i].hash)) {
            *ret_touched = step->row_count;
            return CAIRN_OK;
        }
    }
    qsort(placed, step->row_count, sizeof(*placed), compare);
    for (size_t i = 0; i < step->row_count; i++) {
        order[i] = placed[i].row;
    }
    step->rows = order;
    *ret_touched = count_keys(shape, rows, placed, step->row_count);
    return CAIRN_OK;
}
