/* Pages of a view against a slow model: all rows, filtered one by one, sorted, cut. */
#include "platform/json.h"
#include "projector/lmdb/view_key.h"
#include "tests/unit/projector/world.h"

#define ROWS    1500
#define QUERIES 1200

/* Rows from a seed: `a` is a small integer, `b` any kind of value or none, `c` a string, often one
 * that shares more than an index key holds. */
static const char mixed[] =
    "local mixed = view 'mixed'\n"
    "mixed.indexes = { 'a', 'b', 'c' }\n"
    "function mixed.on.Added(view, event)\n"
    "  local seed = event.data.n\n"
    "  local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648\n"
    "    return (seed // 65536) % n end\n"
    "  for i = 1, 100 do\n"
    "    local row = { a = random(20) - 10 }\n"
    "    local kinds = { 5, 2.5, true, false, null, 'abc', '5', -3, 9007199254740993,\n"
    "      9007199254740992.0, 'true', { 1 }, random(1000), tostring(random(50)) }\n"
    "    local kind = random(#kinds + 2) + 1\n"
    "    row.b = kinds[kind]\n"
    "    local c = ('p'):rep(random(3) * 60) .. random(30)\n"
    "    if random(4) > 0 then row.c = c end\n"
    "    local key = (random(3) == 0 and 'k' or 'row-') .. random(100000)\n"
    "    if random(10) == 0 then view:delete(key) else view:put(key, row) end\n"
    "  end\n"
    "end\n";

#define SIXTY     "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
#define LONG_TEXT SIXTY SIXTY "17"

static const char *const columns[] = {"a", "b", "c", "key"};
static const char *const texts[] = {"5",
                                    "2.5",
                                    "true",
                                    "false",
                                    "null",
                                    "abc",
                                    "-3",
                                    "0",
                                    "9007199254740993",
                                    "row-5",
                                    "k4242",
                                    "7",
                                    "1e2",
                                    "9007199254740992",
                                    LONG_TEXT,
                                    ""};

static const char *const patterns[] = {"*",         "",      "abc",      "p*",
                                       "*5",        "*p*1*", "**",       "row-1*",
                                       "k*2*3",     "*ro*",  "null",     SIXTY SIXTY "*",
                                       SIXTY "*7*", "a*c*b", "row-*-*9", "*pp" SIXTY "*",
                                       "1*",        "tr*e",  "row-500*"};
static const char *const words[] = {"null", "true", "false", "unknown"};

#define DEPTH_MAX       3
#define PARTS_MAX       4
#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

struct model {
    struct cairn_view_row *rows; /* by key */
    size_t count;
    const char *order;
    bool descending;
};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static bool read_number(const char *text, long double *number)
{
    char *end = NULL;
    *number = strtold(text, &end);
    return *text != 0 && *end == 0;
}

static bool holds(enum cairn_view_operator op, int order)
{
    switch ((int)op) {
    case CAIRN_OP_GT:
        return order > 0;
    case CAIRN_OP_GTE:
        return order >= 0;
    case CAIRN_OP_LT:
        return order < 0;
    case CAIRN_OP_LTE:
        return order <= 0;
    default:
        return order == 0;
    }
}

/* One value against one text, the long way round. */
static bool slow_match(const struct cairn_value *value, enum cairn_view_operator op,
                       const char *text)
{
    long double wanted = 0;
    long double have = 0;
    if (value == NULL || value->type == CAIRN_NULL) {
        return strcmp(text, "null") == 0 && holds(op, 0);
    }
    switch ((int)value->type) {
    case CAIRN_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return false;
        }
        return holds(op, (int)value->as.boolean - (strcmp(text, "true") == 0));
    case CAIRN_STRING:
        return holds(op, cairn_slice_compare(cairn_value_slice(value), cairn_slice_str(text)));
    case CAIRN_INT:
        have = (long double)value->as.integer;
        break;
    case CAIRN_FLOAT:
        have = (long double)value->as.number;
        break;
    default:
        return false;
    }
    return read_number(text, &wanted) && holds(op, have < wanted ? -1 : have > wanted);
}

static bool slow_like(const char *pattern, struct cairn_slice text)
{
    if (*pattern == 0) {
        return text.size == 0;
    }
    struct cairn_slice rest = cairn_slice_of(text.data + 1, text.size - 1);
    if (*pattern == '*') {
        return slow_like(pattern + 1, text) || (text.size > 0 && slow_like(pattern, rest));
    }
    return text.size > 0 && *pattern == text.data[0] && slow_like(pattern + 1, rest);
}

static bool slow_is(const struct cairn_value *value, const char *word)
{
    bool absent = value == NULL || value->type == CAIRN_NULL;
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
        return !absent && value->type == CAIRN_BOOL &&
               value->as.boolean == (strcmp(word, "true") == 0);
    }
    return absent;
}

/* 1 true, 0 false, -1 unknown; of one column, before any negation. */
static int slow_test(const struct cairn_value *value, const struct cairn_view_filter *filter)
{
    bool absent = value == NULL || value->type == CAIRN_NULL;
    bool names_null = false;
    if (filter->op == CAIRN_OP_IS) {
        return slow_is(value, filter->values[0].data);
    }
    if (filter->op == CAIRN_OP_NEQ) {
        return !slow_match(value, CAIRN_OP_EQ, filter->values[0].data);
    }
    if (filter->op == CAIRN_OP_LIKE) {
        return absent ? -1
                      : value->type == CAIRN_STRING &&
                            slow_like(filter->values[0].data, cairn_value_slice(value));
    }
    for (size_t i = 0; i < filter->value_count; i++) {
        if (slow_match(value, filter->op, filter->values[i].data)) {
            return 1;
        }
        names_null = names_null || cairn_slice_is(filter->values[i], "null");
    }
    return absent && !names_null ? -1 : 0;
}

/* 1 true, 0 false, -1 unknown */
static int slow_filter(const struct cairn_view_row *row, const struct cairn_view_filter *filter)
{
    bool joined = filter->op == CAIRN_OP_AND || filter->op == CAIRN_OP_OR;
    struct cairn_value key = cairn_value_string(row->key);
    int said[3] = {0, 0, 0}; /* how many parts are unknown, false, true */
    int truth = 0;
    for (size_t i = 0; i < filter->part_count; i++) {
        said[slow_filter(row, &filter->parts[i]) + 1]++;
    }
    if (!joined) {
        truth = slow_test(cairn_slice_is(filter->column, "key")
                              ? &key
                              : cairn_value_get(&row->document, filter->column),
                          filter);
    } else if (filter->op == CAIRN_OP_AND) {
        truth = said[1] > 0 ? 0 : said[0] > 0 ? -1 : 1;
    } else {
        truth = said[2] > 0 ? 1 : said[0] > 0 ? -1 : 0;
    }
    return truth >= 0 && filter->negated ? 1 - truth : truth;
}

static const struct model *sorting; /* qsort takes no argument; the test has one thread */

static int compare_rows(const void *a, const void *b)
{
    const struct cairn_view_row *left = *(const struct cairn_view_row *const *)a;
    const struct cairn_view_row *right = *(const struct cairn_view_row *const *)b;
    int order = 0;
    if (strcmp(sorting->order, "key") != 0) {
        struct cairn_view_form forms[2];
        cairn_view_form_of(cairn_value_at(&left->document, sorting->order), &forms[0]);
        cairn_view_form_of(cairn_value_at(&right->document, sorting->order), &forms[1]);
        order =
            cairn_slice_compare(cairn_view_form_slice(&forms[0]), cairn_view_form_slice(&forms[1]));
    }
    order = order != 0 ? order : cairn_slice_compare(left->key, right->key);
    return sorting->descending ? -order : order;
}

/* Every page of the query, one after the other, against the model's rows in order. */
static void check_query(struct cairn_views *views, const struct model *model,
                        struct cairn_view_query *query)
{
    struct cairn_arena arena = {.max = 1u << 26};
    struct cairn_err err;
    const struct cairn_view_row **wanted =
        cairn_arena_zalloc(&arena, model->count + 1, sizeof *wanted);
    size_t count = 0;
    size_t at = 0;
    assert_non_null(wanted);
    for (size_t i = 0; i < model->count; i++) {
        bool passes = true;
        for (size_t j = 0; j < query->filter_count; j++) {
            passes = passes && slow_filter(&model->rows[i], &query->filters[j]) == 1;
        }
        if (passes) {
            wanted[count++] = &model->rows[i];
        }
    }
    sorting = model;
    qsort(wanted, count, sizeof *wanted, compare_rows);
    do {
        struct cairn_view_page page;
        assert_ok(cairn_view_list(views, query, &arena, &page, &err), &err);
        assert_true(page.count <= query->limit);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(at < count);
            if (!cairn_slice_equal(page.rows[i].key, wanted[at]->key)) {
                fail_msg("row %zu is %.*s, wanted %.*s", at, CAIRN_SLICE_ARG(page.rows[i].key),
                         CAIRN_SLICE_ARG(wanted[at]->key));
            }
            assert_true(cairn_value_equal(&page.rows[i].document, &wanted[at]->document));
            at++;
        }
        assert_true(page.next.size > 0 || at == count);
        query->cursor = page.next;
    } while (query->cursor.size > 0);
    assert_int_equal(at, count);
    cairn_arena_fini(&arena);
}

static struct cairn_slice random_text(uint64_t *seed, enum cairn_view_operator op)
{
    uint64_t random = next_random(seed);
    if (op == CAIRN_OP_IS) {
        return cairn_slice_str(words[random % COUNT_OF(words)]);
    }
    return cairn_slice_str(op == CAIRN_OP_LIKE ? patterns[random % COUNT_OF(patterns)]
                                               : texts[random % COUNT_OF(texts)]);
}

static void random_filter(uint64_t *seed, size_t depth, struct cairn_arena *arena,
                          struct cairn_view_filter *filter)
{
    bool joined = depth < DEPTH_MAX && next_random(seed) % 3 == 0;
    filter->negated = next_random(seed) % 4 == 0;
    if (joined) {
        struct cairn_view_filter *parts = cairn_arena_zalloc(arena, PARTS_MAX, sizeof *parts);
        assert_non_null(parts);
        filter->op = next_random(seed) % 2 == 0 ? CAIRN_OP_AND : CAIRN_OP_OR;
        filter->part_count = 1 + next_random(seed) % PARTS_MAX;
        for (size_t i = 0; i < filter->part_count; i++) {
            random_filter(seed, depth + 1, arena, &parts[i]);
        }
        filter->parts = parts;
        return;
    }
    struct cairn_slice *values = cairn_arena_zalloc(arena, 3, sizeof *values);
    assert_non_null(values);
    filter->column = cairn_slice_str(columns[next_random(seed) % COUNT_OF(columns)]);
    filter->op = (enum cairn_view_operator)(next_random(seed) % (CAIRN_OP_IS + 1));
    filter->value_count = filter->op == CAIRN_OP_IN ? 1 + next_random(seed) % 3 : 1;
    for (size_t i = 0; i < filter->value_count; i++) {
        values[i] = random_text(seed, filter->op);
    }
    filter->values = values;
}

static void read_all(struct cairn_views *views, struct cairn_arena *arena, struct model *model)
{
    struct cairn_view_query query = {.view = CAIRN_SLICE_LIT("mixed"), .limit = 1000};
    struct cairn_err err;
    model->rows = cairn_arena_zalloc(arena, ROWS, sizeof *model->rows);
    assert_non_null(model->rows);
    do {
        struct cairn_view_page page;
        assert_ok(cairn_view_list(views, &query, arena, &page, &err), &err);
        memcpy(model->rows + model->count, page.rows, page.count * sizeof *page.rows);
        model->count += page.count;
        query.cursor = page.next;
    } while (query.cursor.size > 0);
    assert_int_equal(world_status(views, "mixed", arena).rows, model->count);
    assert_true(model->count > 1200);
}

static void pages_equal_the_slow_model(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 26};
    struct model model = {.count = 0};
    uint64_t seed = 0x9E3779B97F4A7C15u;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    world_make(&world);
    world_view(&world, "mixed", mixed);
    world_begin(&world, 1);
    for (int i = 1; i <= ROWS / 100; i++) {
        world_add(&world, "a", i * 7919, "x", 1);
    }
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    world_wait(&world, views, "mixed");
    read_all(views, &arena, &model);
    for (int i = 0; i < QUERIES; i++) {
        struct cairn_arena filters = {.max = 1u << 20};
        struct cairn_view_query query = {.view = CAIRN_SLICE_LIT("mixed"),
                                         .filter_count = next_random(&seed) % 4,
                                         .descending = next_random(&seed) % 2 == 0,
                                         .limit = 1 + next_random(&seed) % 200};
        for (size_t j = 0; j < query.filter_count; j++) {
            random_filter(&seed, 0, &filters, &query.filters[j]);
        }
        model.order = columns[next_random(&seed) % COUNT_OF(columns)];
        model.descending = query.descending;
        query.order = cairn_slice_str(model.order);
        check_query(views, &model, &query);
        cairn_arena_fini(&filters);
    }
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void a_query_that_cannot_be_is_refused(void **state)
{
    static const struct cairn_slice text[] = {{"x", 1}};
    struct world world;
    struct cairn_arena arena = {.max = 1u << 22};
    struct cairn_view_page page;
    struct cairn_err err;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 1);
    world_add(&world, "a", 1, "y", 1);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    world_wait(&world, views, "sums");
    struct cairn_view_query query = {
        .view = CAIRN_SLICE_LIT("sums"), .order = CAIRN_SLICE_LIT("total"), .limit = 1};
    assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_EQUERY);
    assert_non_null(strstr(err.text, "\"total\""));
    assert_non_null(strstr(err.text, "key, sum, count"));
    query.order = CAIRN_SLICE_NONE;
    query.filters[0] = (struct cairn_view_filter){
        .column = CAIRN_SLICE_LIT("to"), .values = text, .value_count = 1};
    query.filter_count = 1;
    assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_EQUERY);
    query.filter_count = 0;
    query.view = CAIRN_SLICE_LIT("none");
    assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_ENOENT);
    query.view = CAIRN_SLICE_LIT("sums");
    assert_ok(cairn_view_list(views, &query, &arena, &page, &err), &err);
    assert_true(page.next.size > 0);
    /* Every other text of a cursor is refused, and so is the cursor of another order. */
    struct cairn_slice good = page.next;
    for (size_t i = 0; i < good.size; i++) {
        char bad[512];
        memcpy(bad, good.data, good.size);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        query.cursor = cairn_slice_of(bad, good.size);
        assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_EQUERY);
        query.cursor = cairn_slice_of(good.data, i);
        if (i > 0) {
            assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_EQUERY);
        }
    }
    query.cursor = good;
    query.order = CAIRN_SLICE_LIT("sum");
    assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_EQUERY);
    query.order = CAIRN_SLICE_NONE;
    query.descending = true;
    assert_int_equal(cairn_view_list(views, &query, &arena, &page, &err), CAIRN_EQUERY);
    query.descending = false;
    assert_ok(cairn_view_list(views, &query, &arena, &page, &err), &err);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.next.size, 0);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

static void a_get_tells_a_missing_view_from_a_missing_row(void **state)
{
    struct world world;
    struct cairn_arena arena = {.max = 1u << 22};
    struct cairn_position position;
    struct cairn_value row;
    struct cairn_err err;
    bool known = true;
    (void)state;
    world_make(&world);
    world_view(&world, "sums", world_sums);
    world_begin(&world, 1);
    world_add(&world, "a", 1, "x", 1);
    struct cairn_projector *projector = world_projector(&world);
    struct cairn_views *views = cairn_projector_views(projector);
    world_wait(&world, views, "sums");
    assert_int_equal(cairn_view_get(views, CAIRN_SLICE_LIT("none"), CAIRN_SLICE_LIT("x"), &arena,
                                    &row, NULL, &position, &known, &err),
                     CAIRN_ENOENT);
    assert_false(known);
    assert_int_equal(cairn_view_get(views, CAIRN_SLICE_LIT("sums"), CAIRN_SLICE_LIT("z"), &arena,
                                    &row, NULL, &position, &known, &err),
                     CAIRN_ENOENT);
    assert_true(known);
    assert_int_equal(position.offsets[0], 1);
    cairn_projector_stop(projector);
    cairn_arena_fini(&arena);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_equal_the_slow_model),
        cmocka_unit_test(a_query_that_cannot_be_is_refused),
        cmocka_unit_test(a_get_tells_a_missing_view_from_a_missing_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
