#include "projector/lmdb/view_parked.h"

#include "tests/unit/projector/world.h"

static const char id[] = "0190d6a3-0000-7000-8000-0123456789ab";

/* A store with nothing but `meta`, and a write that is dropped at the end. */
struct stage {
    char folder[64];
    struct cairn_kv *kv;
    struct cairn_kv_txn *txn;
    struct cairn_parked_place place;
    struct cairn_arena arena;
};

static void stage_begin(struct stage *stage)
{
    const struct cairn_kv_options options = {.writer = true};
    struct cairn_err err;
    *stage = (struct stage){.arena = {.max = 1u << 20},
                            .place = {.view = CAIRN_SLICE_LIT("v"), .slot = 1}};
    test_folder_make(stage->folder, sizeof stage->folder, "parked");
    assert_ok(cairn_kv_open(stage->folder, &options, &stage->kv, &err), &err);
    assert_ok(cairn_kv_table(stage->kv, "meta", &stage->place.meta, &err), &err);
    assert_ok(cairn_kv_write_begin(stage->kv, &stage->txn, &err), &err);
}

static void stage_end(struct stage *stage)
{
    cairn_kv_end(stage->txn);
    cairn_kv_close(stage->kv);
    cairn_arena_fini(&stage->arena);
    test_folder_remove(stage->folder);
}

static void put(struct stage *stage, const char *stream, uint64_t version, uint64_t until_version)
{
    struct cairn_err err;
    const struct cairn_parked parked = {.stream = cairn_slice_str(stream),
                                        .version = version,
                                        .until_version = until_version,
                                        .event = cairn_slice_str(id),
                                        .partition = 513,
                                        .offset = 70000 + version,
                                        .parked_us = 1700000000123456,
                                        .error = CAIRN_SLICE_LIT("views/v.lua:3: no")};
    assert_ok(cairn_view_parked_put(stage->txn, &stage->place, &parked, &err), &err);
}

/* `STREAM/VERSION ` of every row, in a text. */
static enum cairn_rc spell(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    char *text = self;
    size_t used = strlen(text);
    (void)err;
    (void)snprintf(text + used, 256 - used, "%.*s/%llu ", CAIRN_SLICE_ARG(parked->stream),
                   (unsigned long long)parked->version);
    return CAIRN_OK;
}

static void expect(struct stage *stage, const char *stream, const char *wanted)
{
    char text[256] = "";
    struct cairn_err err;
    assert_ok(cairn_view_parked_each(stage->txn, &stage->place, cairn_slice_str(stream), spell,
                                     text, &err),
              &err);
    assert_string_equal(text, wanted);
}

static void a_row_comes_back_as_it_was_written(void **state)
{
    struct stage stage;
    struct cairn_parked parked;
    struct cairn_err err;
    (void)state;
    stage_begin(&stage);
    put(&stage, "box-a", 3, 5);
    put(&stage, "box-a", 12, 0);
    assert_ok(cairn_view_parked_get(stage.txn, &stage.place, CAIRN_SLICE_LIT("box-a"), &stage.arena,
                                    &parked, &err),
              &err);
    assert_true(cairn_slice_is(parked.stream, "box-a"));
    assert_int_equal(parked.version, 12);
    assert_int_equal(parked.until_version, 0);
    assert_true(cairn_slice_is(parked.event, id));
    assert_int_equal(parked.partition, 513);
    assert_int_equal(parked.offset, 70012);
    assert_int_equal(parked.parked_us, 1700000000123456);
    assert_true(cairn_slice_is(parked.error, "views/v.lua:3: no"));
    stage_end(&stage);
}

static void a_stream_that_was_given_up_does_not_wait(void **state)
{
    struct stage stage;
    struct cairn_parked parked;
    struct cairn_parked_set set;
    struct cairn_err err;
    uint64_t waiting = 7;
    (void)state;
    stage_begin(&stage);
    put(&stage, "box-a", 3, 5);
    assert_int_equal(cairn_view_parked_get(stage.txn, &stage.place, CAIRN_SLICE_LIT("box-a"),
                                           &stage.arena, &parked, &err),
                     CAIRN_ENOENT);
    assert_ok(cairn_view_parked_count(stage.txn, &stage.place, &waiting, &err), &err);
    assert_int_equal(waiting, 0);
    cairn_parked_init(&set);
    assert_ok(cairn_view_parked_load(stage.txn, &stage.place, &set, &err), &err);
    assert_int_equal(set.ranges, 1);
    assert_int_equal(set.waiting, 0);
    cairn_parked_fini(&set);
    stage_end(&stage);
}

/* Neither a longer name, nor another view or slot, nor more digits of a version mix them up. */
static void rows_belong_to_one_stream_of_one_generation(void **state)
{
    struct stage stage;
    struct stage other;
    struct cairn_err err;
    (void)state;
    stage_begin(&stage);
    put(&stage, "box-a", 10, 10);
    put(&stage, "box-a", 9, 9);
    put(&stage, "box-a", UINT64_MAX, 0);
    put(&stage, "box-a~1", 1, 0);
    put(&stage, "box-a-b", 2, 0);
    other = stage;
    other.place.slot = 2;
    put(&other, "box-a", 4, 0);
    other.place.slot = 1;
    other.place.view = CAIRN_SLICE_LIT("v_2");
    put(&other, "box-a", 5, 0);
    expect(&stage, "box-a", "box-a/9 box-a/10 box-a/18446744073709551615 ");
    expect(&stage, "box-a-b", "box-a-b/2 ");
    expect(&stage, "box-", "");
    expect(&other, "", "box-a/5 ");
    assert_ok(cairn_view_parked_delete(stage.txn, &stage.place, CAIRN_SLICE_LIT("box-a"), 10, &err),
              &err);
    expect(&stage, "box-a", "box-a/9 box-a/18446744073709551615 ");
    assert_ok(cairn_view_parked_clear(stage.txn, &stage.place, &err), &err);
    expect(&stage, "", "");
    expect(&other, "", "box-a/5 ");
    other.place = stage.place;
    other.place.slot = 2;
    expect(&other, "", "box-a/4 ");
    stage_end(&stage);
}

static void the_longest_names_have_a_row(void **state)
{
    struct stage stage;
    char view[CAIRN_VIEW_NAME_BYTES_MAX + 1];
    char stream[CAIRN_STREAM_BYTES_MAX + 1];
    uint64_t waiting = 0;
    struct cairn_err err;
    (void)state;
    stage_begin(&stage);
    memset(view, 'v', sizeof view - 1);
    memset(stream, 's', sizeof stream - 1);
    view[sizeof view - 1] = 0;
    stream[sizeof stream - 1] = 0;
    stage.place.view = cairn_slice_str(view);
    put(&stage, stream, UINT64_MAX, 0);
    assert_ok(cairn_view_parked_count(stage.txn, &stage.place, &waiting, &err), &err);
    assert_int_equal(waiting, 1);
    stage_end(&stage);
}

static void a_damaged_row_is_told_and_not_believed(void **state)
{
    static const struct {
        const char *key;
        size_t cut; /* bytes of the value that are kept */
    } cases[] = {{"parked/v/1/box-a/0000000000000000000x", 80},
                 {"parked/v/1/box-a/00000000000000000000", 80},
                 {"parked/v/1/box-a00000000000000000001", 80},
                 {"parked/v/1/1", 80},
                 {"parked/v/1/box-a/00000000000000000001", 61}};
    const char value[80] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage stage;
        struct cairn_err err;
        uint64_t waiting = 0;
        stage_begin(&stage);
        assert_ok(cairn_kv_put(stage.txn, stage.place.meta, cairn_slice_str(cases[i].key),
                               cairn_slice_of(value, cases[i].cut), &err),
                  &err);
        assert_int_equal(cairn_view_parked_count(stage.txn, &stage.place, &waiting, &err),
                         CAIRN_ECORRUPT);
        stage_end(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back_as_it_was_written),
        cmocka_unit_test(a_stream_that_was_given_up_does_not_wait),
        cmocka_unit_test(rows_belong_to_one_stream_of_one_generation),
        cmocka_unit_test(the_longest_names_have_a_row),
        cmocka_unit_test(a_damaged_row_is_told_and_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
