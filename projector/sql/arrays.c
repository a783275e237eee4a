#include "projector/sql/arrays.h"

#include <assert.h>

#include "platform/hash.h"
#include "platform/pg.h"
#include "projector/sql/spelling.h"

/* Places looked at for one row. Behind that, as where a stranger chose values that collide, it
 * travels by itself. */
#define PROBES_MAX 64

/* One row that travels. */
struct merged {
    const struct cairn_slice *values; /* of the last row that it stands for */
    uint64_t hash;                    /* of what tells rows apart; then of the key */
    uint64_t weight;                  /* rows that it stands for */
};

struct merge {
    const struct cairn_sql_shape *shape;
    size_t param_count;
    size_t summed[CAIRN_SQL_PARAMS_MAX]; /* numbers of parameters */
    size_t summed_count;
    struct merged *merged;
    int64_t *sums; /* summed_count of each merged row */
    size_t count;
    uint32_t *places; /* in merged, plus one; 0: free */
    size_t place_count;
    struct cairn_arena *arena;
};

/* ---- merging ---- */

static bool is_summed(const struct merge *merge, size_t param)
{
    return (merge->shape->summed >> param & 1) != 0;
}

/* Do rows that differ in the parameter stay apart? */
static bool tells_apart(const struct merge *merge, size_t param)
{
    return ((merge->shape->summed | merge->shape->lasting) >> param & 1) == 0;
}

static uint64_t hash_row(const struct merge *merge, const struct cairn_slice *values)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < merge->param_count; i++) {
        if (tells_apart(merge, i)) {
            hash = cairn_hash64_seeded(values[i], hash + (values[i].data == NULL ? 1 : 2));
        }
    }
    return hash;
}

static bool same_row(const struct merge *merge, const struct cairn_slice *a,
                     const struct cairn_slice *b)
{
    bool same = true;
    for (size_t i = 0; same && i < merge->param_count; i++) {
        same = !tells_apart(merge, i) ||
               ((a[i].data == NULL) == (b[i].data == NULL) && cairn_slice_equal(a[i], b[i]));
    }
    return same;
}

/* The place of the row's equals, or a free one. NULL: neither is near. */
static uint32_t *find_place(const struct merge *merge, const struct cairn_slice *values,
                            uint64_t hash)
{
    size_t mask = merge->place_count - 1;
    size_t at = (size_t)hash & mask;
    for (size_t probes = 0; probes < PROBES_MAX; probes++, at = (at + 1) & mask) {
        uint32_t place = merge->places[at];
        const struct merged *found = place == 0 ? NULL : &merge->merged[place - 1];
        if (found == NULL || (found->hash == hash && same_row(merge, found->values, values))) {
            return &merge->places[at];
        }
    }
    return NULL;
}

static bool is_null_or_refused(struct cairn_slice text)
{
    return text.data == NULL || cairn_slice_find(text, '\0') < text.size;
}

/* False: a value is null, or spelt in a way that the server alone reads. */
static bool read_numbers(const struct merge *merge, const struct cairn_slice *values,
                         int64_t *ret_numbers)
{
    bool read = true;
    for (size_t i = 0; read && i < merge->param_count; i++) {
        bool lasts = (merge->shape->lasting >> i & 1) != 0;
        read = !lasts || !is_null_or_refused(values[i]);
    }
    for (size_t i = 0; read && i < merge->summed_count; i++) {
        struct cairn_slice text = values[merge->summed[i]];
        read = text.data != NULL && cairn_slice_to_i64(text, &ret_numbers[i]) == CAIRN_OK;
    }
    return read;
}

/* The sums with one row more. False: one would pass the limit, or be of both signs; then the
 * server could not tell any more what the rows were on their way. */
static bool add_numbers(const struct merge *merge, int64_t *sums, const int64_t *numbers)
{
    for (size_t i = 0; i < merge->summed_count; i++) {
        int64_t limit = merge->shape->sum_limit;
        int64_t number = numbers[i];
        if ((sums[i] > 0 && number < 0) || (sums[i] < 0 && number > 0) ||
            (number >= 0 && sums[i] > limit - number) ||
            (number < 0 && sums[i] < -limit - number)) {
            return false;
        }
    }
    for (size_t i = 0; i < merge->summed_count; i++) {
        sums[i] += numbers[i];
    }
    return true;
}

/* A row that travels by itself as yet. place NULL: and will do so. */
static void push(struct merge *merge, const struct cairn_slice *values, uint64_t hash,
                 const int64_t *numbers, uint32_t *place)
{
    size_t at = merge->count++;
    merge->merged[at] = (struct merged){.values = values, .hash = hash, .weight = 1};
    if (place != NULL) {
        memcpy(&merge->sums[at * merge->summed_count], numbers,
               merge->summed_count * sizeof(*numbers));
        *place = (uint32_t)at + 1;
    }
}

/* Where its sums cannot take the row, that one takes its place: what comes is added to it. */
static void merge_row(struct merge *merge, const struct cairn_slice *values)
{
    int64_t numbers[CAIRN_SQL_PARAMS_MAX];
    if (!merge->shape->merges || !read_numbers(merge, values, numbers)) {
        push(merge, values, 0, NULL, NULL);
        return;
    }
    uint64_t hash = hash_row(merge, values);
    uint32_t *place = find_place(merge, values, hash);
    if (place != NULL && *place != 0 &&
        add_numbers(merge, &merge->sums[(*place - 1) * merge->summed_count], numbers)) {
        merge->merged[*place - 1].weight++;
        return;
    }
    push(merge, values, hash, numbers, place);
}

static enum cairn_rc begin(struct merge *merge, size_t rows, struct cairn_err *err)
{
    for (size_t i = 0; i < merge->param_count; i++) {
        if (is_summed(merge, i)) {
            merge->summed[merge->summed_count++] = i;
        }
    }
    merge->place_count = 2;
    while (merge->place_count < 2 * rows) {
        merge->place_count *= 2;
    }
    struct cairn_arena *arena = merge->arena;
    merge->merged = cairn_arena_alloc(arena, rows * sizeof(*merge->merged));
    merge->sums = cairn_arena_alloc(arena, (rows * merge->summed_count + 1) * sizeof(int64_t));
    merge->places = cairn_arena_zalloc(arena, merge->place_count, sizeof(*merge->places));
    if (merge->merged == NULL || merge->sums == NULL || merge->places == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    return CAIRN_OK;
}

static enum cairn_rc print_number(struct cairn_arena *arena, int64_t number,
                                  struct cairn_slice *ret_text)
{
    struct cairn_buf text = {.max = 32};
    enum cairn_rc rc = cairn_buf_append_i64(&text, number);
    rc = rc == CAIRN_OK ? cairn_arena_copy(arena, cairn_buf_slice(&text), ret_text) : rc;
    cairn_buf_fini(&text);
    return rc;
}

/* ---- keys ---- */

static bool spell_part(const struct merge *merge, size_t row, size_t part, int64_t *number,
                       struct cairn_slice *ret_bytes)
{
    const struct cairn_sql_key_part *key = &merge->shape->key[part];
    return cairn_sql_spell(key->type, merge->merged[row].values[key->param], number, ret_bytes);
}

/* False: it is not known. */
static bool hash_key(const struct merge *merge, size_t row, uint64_t *ret_hash)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < merge->shape->key_count; i++) {
        int64_t number = 0;
        struct cairn_slice bytes;
        if (!spell_part(merge, row, i, &number, &bytes)) {
            return false;
        }
        hash = cairn_hash64_seeded(bytes, hash);
    }
    *ret_hash = hash;
    return true;
}

static bool same_key(const struct merge *merge, size_t a, size_t b)
{
    bool same = true;
    for (size_t i = 0; same && i < merge->shape->key_count; i++) {
        int64_t numbers[2] = {0, 0};
        struct cairn_slice bytes[2];
        same = spell_part(merge, a, i, &numbers[0], &bytes[0]) &&
               spell_part(merge, b, i, &numbers[1], &bytes[1]) &&
               cairn_slice_equal(bytes[0], bytes[1]);
    }
    return same;
}

/* Put the row's key among those before. False: it is there, or not known, or too far away. */
static bool is_new_key(struct merge *merge, size_t row)
{
    size_t mask = merge->place_count - 1;
    if (!hash_key(merge, row, &merge->merged[row].hash)) {
        return false;
    }
    size_t at = (size_t)merge->merged[row].hash & mask;
    for (size_t probes = 0; merge->places[at] != 0; probes++, at = (at + 1) & mask) {
        size_t other = merge->places[at] - 1;
        bool same = merge->merged[other].hash == merge->merged[row].hash;
        if (probes == PROBES_MAX || (same && same_key(merge, other, row))) {
            return false;
        }
    }
    merge->places[at] = (uint32_t)row + 1;
    return true;
}

/* Does each of the rows that travel have a key of its own? */
static bool are_lone(struct merge *merge)
{
    bool lone = merge->shape->lone != NULL;
    assert(!lone || merge->shape->key_count > 0);
    memset(merge->places, 0, merge->place_count * sizeof(*merge->places));
    for (size_t row = 0; lone && row < merge->count; row++) {
        lone = is_new_key(merge, row);
    }
    return lone;
}

/* ---- arrays ---- */

/* Columns under construction. */
struct columns {
    struct cairn_slice *column; /* of one parameter */
    size_t row_count;
    struct cairn_arena *arena;
};

static enum cairn_rc put_column(const struct columns *columns, struct cairn_sql_array_list *arrays)
{
    struct cairn_buf text = {.max = CAIRN_PG_VALUES_BYTES_MAX};
    assert(arrays->count < CAIRN_SQL_ARRAYS_MAX);
    enum cairn_rc rc = cairn_pg_array(&text, columns->column, columns->row_count);
    rc = rc == CAIRN_OK ? cairn_arena_copy(columns->arena, cairn_buf_slice(&text),
                                           &arrays->texts[arrays->count++])
                        : rc;
    cairn_buf_fini(&text);
    return rc;
}

/* The last of what was merged is the first of the rows. */
static enum cairn_rc put_merged(const struct merge *merge, const struct columns *columns,
                                struct cairn_sql_array_list *arrays)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t sum = 0;
    for (size_t i = 0; rc == CAIRN_OK && i < merge->param_count; i++) {
        for (size_t r = 0; rc == CAIRN_OK && r < merge->count; r++) {
            size_t from = merge->count - 1 - r;
            columns->column[r] = merge->merged[from].values[i];
            if (is_summed(merge, i) && merge->merged[from].weight > 1) {
                rc = print_number(columns->arena, merge->sums[from * merge->summed_count + sum],
                                  &columns->column[r]);
            }
        }
        sum += is_summed(merge, i) ? 1 : 0;
        rc = rc == CAIRN_OK ? put_column(columns, arrays) : rc;
    }
    for (size_t r = 0; rc == CAIRN_OK && r < merge->count; r++) {
        rc = print_number(columns->arena, (int64_t)merge->merged[merge->count - 1 - r].weight,
                          &columns->column[r]);
    }
    return rc == CAIRN_OK ? put_column(columns, arrays) : rc;
}

static enum cairn_rc make_merged(const struct cairn_sql_shape *shape, size_t param_count,
                                 const struct cairn_sql_row *rows,
                                 const struct cairn_sql_step *step, struct columns *columns,
                                 struct cairn_sql_array_list *arrays, struct cairn_err *err)
{
    struct merge merge = {.shape = shape, .param_count = param_count, .arena = columns->arena};
    enum cairn_rc rc = begin(&merge, step->row_count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t r = step->row_count; r > 0; r--) {
        merge_row(&merge, rows[step->rows[r - 1]].values);
    }
    assert(merge.count > 0 && merge.count <= step->row_count);
    columns->row_count = merge.count;
    arrays->lone = are_lone(&merge);
    return put_merged(&merge, columns, arrays);
}

static enum cairn_rc make_plain(size_t param_count, const struct cairn_sql_row *rows,
                                const struct cairn_sql_step *step, const struct columns *columns,
                                struct cairn_sql_array_list *arrays)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < param_count; i++) {
        for (size_t r = 0; r < step->row_count; r++) {
            columns->column[r] = rows[step->rows[r]].values[i];
        }
        rc = put_column(columns, arrays);
    }
    return rc;
}

enum cairn_rc cairn_sql_arrays_make(const struct cairn_sql_shape *shape, size_t param_count,
                                    const struct cairn_sql_row *rows,
                                    const struct cairn_sql_step *step, struct cairn_arena *arena,
                                    struct cairn_sql_array_list *ret_arrays, struct cairn_err *err)
{
    assert(shape->arrays != CAIRN_SQL_ARRAYS_NONE && step->row_count > 0);
    assert(param_count > 0 && param_count <= CAIRN_SQL_PARAMS_MAX);
    struct cairn_sql_array_list arrays = {.count = 0};
    struct columns columns = {
        .column = cairn_arena_alloc(arena, step->row_count * sizeof(struct cairn_slice)),
        .row_count = step->row_count,
        .arena = arena};
    if (columns.column == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "rows of a batch");
    }
    enum cairn_rc rc = shape->folds
                           ? make_merged(shape, param_count, rows, step, &columns, &arrays, err)
                           : make_plain(param_count, rows, step, &columns, &arrays);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "an array of %zu rows", step->row_count);
    }
    *ret_arrays = arrays;
    return CAIRN_OK;
}
