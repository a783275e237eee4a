#include "projector/sql/plan.h"

#include <assert.h>

#include "platform/hash.h"
#include "projector/sql/spelling.h"

#define NOBODY  UINT32_MAX       /* no group: nothing came yet */
#define SEVERAL (UINT32_MAX - 1) /* there are more groups than one */
/* Keys looked at for one row. Behind that, as where a stranger chose keys that collide, the row is
 * taken for one that may touch any. */
#define PROBES_MAX 64

static_assert(CAIRN_SQL_PLAN_ROWS_MAX < UINT32_MAX / 4, "a place in the table of keys fits");

/* Statements that may change places with each other are a group, which bears the number of one of
 * them; any other is a group of its own. */

/* The highest wave among some rows, and whose it is. */
struct last {
    uint32_t wave;
    uint32_t group;
};

static const struct last nothing_yet = {.wave = 0, .group = NOBODY};

/* A scope is the view or one of its tables. */
struct scope {
    struct last any;    /* of all its rows */
    struct last widest; /* of those that may touch any row in it */
    uint32_t group;     /* which alone touches it in this batch, or SEVERAL */
    uint32_t commuting; /* the group of several statements, if there is one */
    size_t members;     /* statements in it */
};

/* Rows that touch the same table row. */
struct key {
    uint64_t hash;
    uint32_t row; /* the first of them */
    struct last last;
};

struct batch {
    const struct cairn_sql_shape *shapes;
    size_t shape_count;
    const struct cairn_sql_row *rows;
    size_t row_count;
};

struct planner {
    const struct batch *batch;
    struct scope view;
    struct scope *tables;
    size_t table_count;
    struct key *keys;
    size_t key_count;
    uint32_t *places; /* in keys, plus one; 0: free */
    size_t place_count;
    uint32_t *groups; /* of each statement of the batch; NOBODY: of another */
    uint32_t *waves;  /* of each row */
    uint32_t wave_count;
    uint32_t *order; /* rows by wave, statement, number */
};

/* ---- keys ---- */

static const struct cairn_sql_shape *shape_of(const struct planner *planner, uint32_t row)
{
    assert(planner->batch->rows[row].statement < planner->batch->shape_count);
    return &planner->batch->shapes[planner->batch->rows[row].statement];
}

static bool spell_part(const struct planner *planner, uint32_t row, size_t part, int64_t *number,
                       struct cairn_slice *ret_bytes)
{
    const struct cairn_sql_key_part *key = &shape_of(planner, row)->key[part];
    return cairn_sql_spell(key->type, planner->batch->rows[row].values[key->param], number,
                           ret_bytes);
}

/* False: the row it touches is not known. */
static bool hash_key(const struct planner *planner, uint32_t row, uint64_t *ret_hash)
{
    const struct cairn_sql_shape *shape = shape_of(planner, row);
    uint64_t hash = shape->table;
    int64_t number = 0;
    struct cairn_slice bytes;
    for (size_t i = 0; i < shape->key_count; i++) {
        if (!spell_part(planner, row, i, &number, &bytes)) {
            return false;
        }
        hash = cairn_hash64_seeded(bytes, hash);
    }
    *ret_hash = hash;
    return shape->key_count > 0;
}

static bool same_key(const struct planner *planner, uint32_t a, uint32_t b)
{
    const struct cairn_sql_shape *shape = shape_of(planner, a);
    bool same = shape->table == shape_of(planner, b)->table;
    for (size_t i = 0; i < shape->key_count && same; i++) {
        int64_t numbers[2] = {0, 0};
        struct cairn_slice bytes[2];
        same = spell_part(planner, a, i, &numbers[0], &bytes[0]) &&
               spell_part(planner, b, i, &numbers[1], &bytes[1]) &&
               cairn_slice_equal(bytes[0], bytes[1]);
    }
    return same;
}

/* The key that the row touches, made when it is new. NULL: it is not known. */
static struct key *key_of(struct planner *planner, uint32_t row)
{
    uint64_t hash = 0;
    if (!hash_key(planner, row, &hash)) {
        return NULL;
    }
    size_t mask = planner->place_count - 1;
    size_t at = (size_t)hash & mask;
    for (size_t probes = 0; planner->places[at] != 0; at = (at + 1) & mask, probes++) {
        struct key *key = &planner->keys[planner->places[at] - 1];
        if (probes == PROBES_MAX) {
            return NULL;
        }
        if (key->hash == hash && same_key(planner, key->row, row)) {
            return key;
        }
    }
    assert(planner->key_count < planner->batch->row_count);
    struct key *key = &planner->keys[planner->key_count++];
    *key = (struct key){.hash = hash, .row = row, .last = nothing_yet};
    planner->places[at] = (uint32_t)planner->key_count;
    return key;
}

/* ---- waves ---- */

/* Rows of one statement that touch the same row may share a step where they run in their order;
 * only an array of distinct keys forbids it. */
static bool may_share(const struct cairn_sql_shape *shape)
{
    return shape->arrays != CAIRN_SQL_ARRAYS_DISTINCT;
}

/* The first wave for a row of the group that comes behind these. */
static uint32_t wave_behind(struct last last, uint32_t group, bool shares)
{
    if (last.group == NOBODY) {
        return 0;
    }
    return last.group == group && shares ? last.wave : last.wave + 1;
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void note(struct last *last, uint32_t wave, uint32_t group)
{
    if (last->group == NOBODY || wave > last->wave) {
        *last = (struct last){.wave = wave, .group = group};
    } else if (wave == last->wave && last->group != group) {
        last->group = SEVERAL;
    }
}

/* The wave of a row that may touch any row of the scope. */
static uint32_t take_wide(struct scope *scope, uint32_t wave, uint32_t group, bool shares)
{
    wave = later(wave, wave_behind(scope->any, group, shares));
    scope->widest = (struct last){.wave = wave, .group = group};
    return wave;
}

static uint32_t take_keyed(struct scope *table, struct key *key, uint32_t wave, uint32_t group,
                           bool shares)
{
    wave = later(wave, wave_behind(table->widest, group, shares));
    wave = later(wave, wave_behind(key->last, group, shares));
    note(&key->last, wave, group);
    return wave;
}

static uint32_t place_row(struct planner *planner, uint32_t row)
{
    uint32_t group = planner->groups[planner->batch->rows[row].statement];
    const struct cairn_sql_shape *shape = shape_of(planner, row);
    bool shares = may_share(shape);
    uint32_t wave = wave_behind(planner->view.widest, group, shares);
    if (shape->kind == CAIRN_SQL_ANYTHING) {
        wave = take_wide(&planner->view, wave, group, shares);
    } else {
        struct scope *table = &planner->tables[shape->table];
        /* Rows of the only group of a table need not be held apart where they may share. */
        bool alone = shares && table->group == group;
        struct key *key = alone ? NULL : key_of(planner, row);
        wave = key == NULL ? take_wide(table, wave, group, shares)
                           : take_keyed(table, key, wave, group, shares);
        note(&table->any, wave, group);
    }
    note(&planner->view.any, wave, group);
    return wave;
}

static bool has_sums(const struct cairn_sql_shape *shape)
{
    static const uint64_t none[CAIRN_SQL_COLUMNS_MAX / 64] = {0};
    return memcmp(shape->sums, none, sizeof(none)) != 0;
}

/* The group of a statement that this batch has. */
static uint32_t group_of(const struct batch *batch, struct scope *table, uint32_t statement)
{
    const struct cairn_sql_shape *shape = &batch->shapes[statement];
    if (batch->row_count < CAIRN_SQL_PLAN_COMMUTE_MIN || !has_sums(shape)) {
        return statement;
    }
    if (table->commuting == NOBODY) {
        table->commuting = statement;
    }
    const struct cairn_sql_shape *first = &batch->shapes[table->commuting];
    if (memcmp(shape->sums, first->sums, sizeof(shape->sums)) != 0 ||
        table->members == CAIRN_SQL_COMMUTE_MAX) {
        return statement;
    }
    table->members++;
    return table->commuting;
}

static void group_statements(struct planner *planner)
{
    const struct batch *batch = planner->batch;
    for (size_t i = 0; i < batch->row_count; i++) {
        uint32_t statement = batch->rows[i].statement;
        assert(statement < batch->shape_count);
        if (planner->groups[statement] != NOBODY) {
            continue;
        }
        size_t table = batch->shapes[statement].table;
        if (table == SIZE_MAX) {
            planner->groups[statement] = statement;
            continue;
        }
        struct scope *scope = &planner->tables[table];
        uint32_t group = group_of(batch, scope, statement);
        scope->group = scope->group == NOBODY || scope->group == group ? group : SEVERAL;
        planner->groups[statement] = group;
    }
}

static void place_rows(struct planner *planner)
{
    const struct batch *batch = planner->batch;
    group_statements(planner);
    for (size_t i = 0; i < batch->row_count; i++) {
        planner->waves[i] = place_row(planner, (uint32_t)i);
        planner->wave_count = later(planner->wave_count, planner->waves[i] + 1);
    }
    assert(planner->wave_count <= batch->row_count);
}

/* ---- steps ---- */

static uint32_t statement_of(const struct planner *planner, uint32_t row)
{
    return planner->batch->rows[row].statement;
}

static uint32_t wave_of(const struct planner *planner, uint32_t row)
{
    return planner->waves[row];
}

/* Stable: from into to, by a number below `limit`; counts has limit + 1 zeroed places. */
static void sort_by(const struct planner *planner,
                    uint32_t (*number)(const struct planner *planner, uint32_t row), size_t limit,
                    uint32_t *counts, const uint32_t *from, uint32_t *to)
{
    size_t count = planner->batch->row_count;
    for (size_t i = 0; i < count; i++) {
        counts[number(planner, from[i]) + 1]++;
    }
    for (size_t i = 1; i <= limit; i++) {
        counts[i] += counts[i - 1];
    }
    for (size_t i = 0; i < count; i++) {
        to[counts[number(planner, from[i])]++] = from[i];
    }
}

static enum cairn_rc order_rows(struct planner *planner, struct cairn_arena *arena,
                                struct cairn_err *err)
{
    const struct batch *batch = planner->batch;
    size_t waves = planner->wave_count;
    uint32_t *other = cairn_arena_zalloc(arena, batch->row_count + 1, sizeof(*other));
    uint32_t *by_statement = cairn_arena_zalloc(arena, batch->shape_count + 1, sizeof(*other));
    uint32_t *by_wave = cairn_arena_zalloc(arena, waves + 1, sizeof(*other));
    planner->order = cairn_arena_zalloc(arena, batch->row_count + 1, sizeof(*other));
    if (other == NULL || by_statement == NULL || by_wave == NULL || planner->order == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the order of a batch");
    }
    for (size_t i = 0; i < batch->row_count; i++) {
        planner->order[i] = (uint32_t)i;
    }
    sort_by(planner, statement_of, batch->shape_count, by_statement, planner->order, other);
    sort_by(planner, wave_of, waves, by_wave, other, planner->order);
    return CAIRN_OK;
}

static bool begins_step(const struct planner *planner, size_t at)
{
    if (at == 0) {
        return true;
    }
    uint32_t row = planner->order[at];
    uint32_t before = planner->order[at - 1];
    return wave_of(planner, row) != wave_of(planner, before) ||
           statement_of(planner, row) != statement_of(planner, before);
}

/* Rows that changed places are guarded by their arrays alone, however few they are. */
static bool takes_arrays(const struct planner *planner, const struct cairn_sql_step *step)
{
    const struct cairn_sql_shape *shape = &planner->batch->shapes[step->statement];
    uint32_t group = planner->groups[step->statement];
    if (shape->arrays == CAIRN_SQL_ARRAYS_NONE) {
        return false;
    }
    bool moved = shape->table != SIZE_MAX && planner->tables[shape->table].members > 1 &&
                 planner->tables[shape->table].commuting == group;
    return moved || step->row_count >= CAIRN_SQL_PLAN_ARRAYS_MIN;
}

static enum cairn_rc cut_steps(const struct planner *planner, struct cairn_arena *arena,
                               struct cairn_sql_plan *ret_plan, struct cairn_err *err)
{
    struct cairn_sql_plan plan = {.step_count = 0};
    size_t count = planner->batch->row_count;
    for (size_t i = 0; i < count; i++) {
        plan.step_count += begins_step(planner, i) ? 1 : 0;
    }
    plan.steps = cairn_arena_zalloc(arena, plan.step_count + 1, sizeof(*plan.steps));
    if (plan.steps == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the steps of a batch");
    }
    struct cairn_sql_step *step = plan.steps;
    for (size_t i = 0; i < count; i++, step->row_count++) {
        if (begins_step(planner, i)) {
            step += i == 0 ? 0 : 1;
            step->statement = statement_of(planner, planner->order[i]);
            step->rows = &planner->order[i];
        }
    }
    for (size_t i = 0; i < plan.step_count; i++) {
        plan.steps[i].arrays = takes_arrays(planner, &plan.steps[i]);
    }
    *ret_plan = plan;
    return CAIRN_OK;
}

static enum cairn_rc begin(struct planner *planner, const struct batch *batch,
                           struct cairn_arena *arena, struct cairn_err *err)
{
    *planner = (struct planner){.batch = batch, .place_count = 2};
    planner->view = (struct scope){.any = nothing_yet, .widest = nothing_yet};
    while (planner->place_count < 2 * batch->row_count) {
        planner->place_count *= 2;
    }
    for (size_t i = 0; i < batch->shape_count; i++) {
        size_t table = batch->shapes[i].table;
        assert((table == SIZE_MAX) == (batch->shapes[i].kind == CAIRN_SQL_ANYTHING));
        if (table != SIZE_MAX && table >= planner->table_count) {
            planner->table_count = table + 1;
        }
    }
    size_t rows = batch->row_count + 1;
    planner->tables = cairn_arena_zalloc(arena, planner->table_count + 1, sizeof(struct scope));
    planner->keys = cairn_arena_alloc(arena, rows * sizeof(struct key));
    planner->waves = cairn_arena_zalloc(arena, rows, sizeof(uint32_t));
    planner->groups = cairn_arena_zalloc(arena, batch->shape_count + 1, sizeof(uint32_t));
    planner->places = cairn_arena_zalloc(arena, planner->place_count, sizeof(uint32_t));
    if (planner->tables == NULL || planner->keys == NULL || planner->waves == NULL ||
        planner->groups == NULL || planner->places == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the plan of a batch");
    }
    for (size_t i = 0; i < planner->table_count; i++) {
        planner->tables[i] = (struct scope){
            .any = nothing_yet, .widest = nothing_yet, .group = NOBODY, .commuting = NOBODY};
    }
    memset(planner->groups, 0xff, batch->shape_count * sizeof(uint32_t)); /* NOBODY */
    return CAIRN_OK;
}

static enum cairn_rc check_count(size_t row_count, struct cairn_err *err)
{
    if (row_count > CAIRN_SQL_PLAN_ROWS_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "a batch of more than %u rows",
                          CAIRN_SQL_PLAN_ROWS_MAX);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_plan_make(const struct cairn_sql_shape *shapes, size_t shape_count,
                                  const struct cairn_sql_row *rows, size_t row_count,
                                  struct cairn_arena *arena, struct cairn_sql_plan *ret_plan,
                                  struct cairn_err *err)
{
    struct batch batch = {shapes, shape_count, rows, row_count};
    struct planner planner;
    assert(arena != NULL && ret_plan != NULL);
    assert(row_count == 0 || (rows != NULL && shape_count > 0));
    enum cairn_rc rc = check_count(row_count, err);
    rc = rc == CAIRN_OK ? begin(&planner, &batch, arena, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    place_rows(&planner);
    rc = order_rows(&planner, arena, err);
    return rc == CAIRN_OK ? cut_steps(&planner, arena, ret_plan, err) : rc;
}

enum cairn_rc cairn_sql_plan_careful(const struct cairn_sql_row *rows, size_t row_count,
                                     struct cairn_arena *arena, struct cairn_sql_plan *ret_plan,
                                     struct cairn_err *err)
{
    assert(arena != NULL && ret_plan != NULL);
    assert(row_count == 0 || rows != NULL);
    enum cairn_rc rc = check_count(row_count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    uint32_t *order = cairn_arena_zalloc(arena, row_count + 1, sizeof(*order));
    struct cairn_sql_step *steps = cairn_arena_zalloc(arena, row_count + 1, sizeof(*steps));
    if (order == NULL || steps == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the steps of a batch");
    }
    for (size_t i = 0; i < row_count; i++) {
        order[i] = (uint32_t)i;
        steps[i] = (struct cairn_sql_step){
            .statement = rows[i].statement, .rows = &order[i], .row_count = 1};
    }
    *ret_plan = (struct cairn_sql_plan){.steps = steps, .step_count = row_count};
    return CAIRN_OK;
}
