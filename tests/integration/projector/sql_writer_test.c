#include "platform/json.h"
#include "projector/sql/writer.h"
#include "tests/integration/projector/sql_stage.h"

/* A view whose batches mix what travels as arrays with what goes by itself. */
static const char mixed[] =
    "-- view: mixed\n"
    "-- version: 1\n"
    "-- table:\n"
    "CREATE TABLE mixed (who text PRIMARY KEY, sum bigint NOT NULL CHECK (sum < 1000), note "
    "text);\n"
    "CREATE TABLE journal (n serial, who text, total bigint);\n"
    "-- on: Added\n"
    "INSERT INTO mixed VALUES (:to, :n) ON CONFLICT (who) DO UPDATE SET sum = mixed.sum + "
    "excluded.sum;\n"
    "-- on: Noted\n"
    "UPDATE mixed SET note = :text WHERE who = :to;\n"
    "INSERT INTO journal (who, total) SELECT who, sum FROM mixed WHERE who = :to;\n"
    "-- on: Divided\n"
    "UPDATE mixed SET sum = sum / :by WHERE who = :to;\n";

enum { LINE_OF_ADDED = 7, LINE_OF_DIVIDED = 12 };

struct writing {
    struct sql_stage *stage;
    struct cairn_pg *pg; /* in the build's schema */
    struct cairn_sql_writer *writer;
    struct cairn_sql_view view;
    struct cairn_sql_head head;
    struct cairn_arena arena;
    struct cairn_sql_parcel parcel;
    size_t events;
};

static enum cairn_rc open_writer(struct writing *writing, struct cairn_err *err)
{
    const struct cairn_sql_writer_options options = {.pg = writing->pg,
                                                     .domain = CAIRN_SLICE_LIT("test"),
                                                     .side = CAIRN_SIDE_NEXT,
                                                     .view = &writing->view,
                                                     .schema = "test_build_mixed"};
    return cairn_sql_writer_open(&options, &writing->writer, err);
}

static void begin(struct writing *writing, struct sql_stage *stage)
{
    *writing = (struct writing){.stage = stage, .arena = {.max = 1u << 24}};
    cairn_sql_parcel_init(&writing->parcel, (size_t)1 << 26);
    test_folder_write(stage->world.domain_folder, "schemas/events/Noted.json", "{}");
    test_folder_write(stage->world.domain_folder, "schemas/events/Divided.json", "{}");
    test_folder_write(stage->world.domain_folder, "box.lua",
                      "local box = aggregate 'box'\n"
                      "function box.decide.Add(state, cmd) return event('Added', cmd) end\n"
                      "function box.evolve.Added(state, data) end\n"
                      "function box.evolve.Noted(state, data) end\n"
                      "function box.evolve.Divided(state, data) end\n");
    sql_stage_view(stage, "mixed", mixed);
    world_load_domain(&stage->world);
    sql_stage_build(stage, "mixed", &writing->arena, &writing->head);
    const struct cairn_pg_options options = {.uri = stage->uri, .schema = "test_build_mixed"};
    assert_ok(cairn_pg_open(&options, &writing->pg, &stage->err), &stage->err);
    assert_ok(cairn_sql_view_read(CAIRN_SLICE_LIT("mixed"), CAIRN_SLICE_LIT(mixed), &writing->arena,
                                  &writing->view, &stage->err),
              &stage->err);
    assert_ok(open_writer(writing, &stage->err), &stage->err);
}

static void end(struct writing *writing)
{
    cairn_sql_writer_close(writing->writer);
    cairn_pg_close(writing->pg);
    cairn_arena_fini(&writing->arena);
    cairn_sql_parcel_fini(&writing->parcel);
}

static void begin_batch(struct writing *writing)
{
    cairn_sql_parcel_begin(&writing->parcel);
    writing->events = 0;
}

/* An event with this data; its tag is its number in the batch. */
static void add(struct writing *writing, const char *type, const char *json)
{
    const struct cairn_event event = {.stream = CAIRN_SLICE_LIT("box-1"),
                                      .type = cairn_slice_str(type)};
    struct cairn_value data;
    struct cairn_slice copy;
    struct cairn_err err;
    assert_true(cairn_sql_writer_handles(writing->writer, event.type));
    assert_int_equal(cairn_arena_copy(&writing->parcel.arena, cairn_slice_str(json), &copy),
                     CAIRN_OK);
    assert_ok(cairn_json_read(copy, &writing->parcel.arena, &data, NULL, &err), &err);
    assert_ok(cairn_sql_writer_add(writing->writer, &event, &data, writing->events++,
                                   &writing->parcel, &err),
              &err);
}

static enum cairn_rc commit(struct writing *writing, const char *place, size_t *ret_tag)
{
    const struct cairn_sql_step_to to = {
        .from = &writing->head, .place = cairn_slice_str(place), .events = writing->events};
    if (!writing->parcel.packed) { /* else it is sent again */
        assert_ok(
            cairn_sql_writer_pack(writing->writer, false, &writing->parcel, &writing->stage->err),
            &writing->stage->err);
    }
    return cairn_sql_writer_commit(writing->writer, &writing->parcel, &to, ret_tag,
                                   &writing->stage->err);
}

static void commit_well(struct writing *writing, const char *place)
{
    size_t tag = 0;
    assert_ok(commit(writing, place, &tag), &writing->stage->err);
    writing->head.place = cairn_slice_str(place);
}

static void row_is(struct writing *writing, const char *who, int64_t sum)
{
    assert_int_equal(sql_stage_number(writing->stage,
                                      "SELECT coalesce(max(sum), -1) FROM test_build_mixed.mixed "
                                      "WHERE who = '%s'",
                                      who),
                     sum);
}

static void place_is(struct writing *writing, const char *place, int64_t events)
{
    assert_string_equal(sql_stage_value(writing->stage, "SELECT position FROM _cairn_view"), place);
    assert_int_equal(sql_stage_number(writing->stage, "SELECT events FROM _cairn_view"), events);
}

static void rows_and_checkpoint_commit_together(void **state)
{
    struct writing writing;
    begin(&writing, *state);
    begin_batch(&writing);
    add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
    add(&writing, "Added", "{\"to\":\"a\",\"n\":4}");
    place_is(&writing, "0:0", 0);
    commit_well(&writing, "0:2");
    place_is(&writing, "0:2", 2);
    row_is(&writing, "a", 7);
    end(&writing);
}

static void a_batch_without_rows_moves_the_checkpoint(void **state)
{
    struct writing writing;
    begin(&writing, *state);
    begin_batch(&writing);
    assert_false(cairn_sql_writer_handles(writing.writer, CAIRN_SLICE_LIT("Removed")));
    assert_int_equal(writing.parcel.row_count, 0);
    writing.events = 5;
    commit_well(&writing, "0:5");
    place_is(&writing, "0:5", 5);
    end(&writing);
}

static void arrays_and_single_rows_keep_their_order(void **state)
{
    struct writing writing;
    char json[64];
    begin(&writing, *state);
    begin_batch(&writing);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(json, sizeof(json), "{\"to\":\"%c\",\"n\":%d}", 'a' + i % 3, i);
        add(&writing, "Added", json);
        if (i % 10 == 9) {
            add(&writing, "Noted", "{\"to\":\"a\",\"text\":\"it's \\\"so\\\", {NULL}\"}");
        }
    }
    assert_int_equal(writing.parcel.row_count, 48);
    commit_well(&writing, "0:44");
    /* a gets 0, 3 .. 39; the journal saw it after 9, 18, 27 and 39. */
    row_is(&writing, "a", 273);
    row_is(&writing, "b", 247);
    assert_string_equal(sql_stage_value(writing.stage,
                                        "SELECT string_agg(total::text, ' ' ORDER BY n) FROM "
                                        "test_build_mixed.journal"),
                        "18 63 135 273");
    assert_string_equal(
        sql_stage_value(writing.stage, "SELECT note FROM test_build_mixed.mixed WHERE who = 'a'"),
        "it's \"so\", {NULL}");
    end(&writing);
}

static void a_checkpoint_elsewhere_fences_and_writes_nothing(void **state)
{
    struct writing writing;
    size_t tag = 0;
    begin(&writing, *state);
    static const char *const moves[] = {
        "position = '0:1'", "position = '0:0', generation = 2", "side = 'live', generation = 1",
        "side = 'next', parks = 1" /* a stream that flows again is in no set of this follower's */};
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        sql_stage_run(writing.stage, "UPDATE _cairn_view SET %s", moves[i]);
        begin_batch(&writing);
        add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
        assert_int_equal(commit(&writing, "0:1", &tag), CAIRN_EFENCED);
        row_is(&writing, "a", -1);
        assert_int_equal(sql_stage_number(writing.stage, "SELECT events FROM _cairn_view"), 0);
    }
    sql_stage_run(writing.stage, "UPDATE _cairn_view SET parks = 0");
    commit_well(&writing, "0:1");
    row_is(&writing, "a", 3);
    sql_stage_run(writing.stage, "DELETE FROM _cairn_view");
    assert_int_equal(commit(&writing, "0:2", &tag), CAIRN_EFENCED);
    end(&writing);
}

static void a_refused_row_names_its_event_and_writes_nothing(void **state)
{
    struct writing writing;
    size_t tag = 0;
    char line[32];
    begin(&writing, *state);
    begin_batch(&writing);
    add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
    add(&writing, "Noted", "{\"to\":\"a\",\"text\":\"x\"}");
    add(&writing, "Added", "{\"to\":\"b\",\"n\":\"three\"}");
    add(&writing, "Added", "{\"to\":\"c\",\"n\":3}");
    assert_int_equal(commit(&writing, "0:4", &tag), CAIRN_EINVAL);
    assert_int_equal(tag, 2);
    (void)snprintf(line, sizeof(line), "line %d: ", LINE_OF_ADDED);
    assert_non_null(strstr(writing.stage->err.text, line));
    assert_non_null(strstr(writing.stage->err.text, "three"));
    place_is(&writing, "0:0", 0);
    row_is(&writing, "a", -1);
    begin_batch(&writing);
    add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
    commit_well(&writing, "0:1");
    row_is(&writing, "a", 3);
    end(&writing);
}

static void a_division_by_zero_of_a_statement_is_its_own(void **state)
{
    struct writing writing;
    size_t tag = 0;
    char line[32];
    begin(&writing, *state);
    begin_batch(&writing);
    add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
    add(&writing, "Divided", "{\"to\":\"a\",\"by\":0}");
    assert_int_equal(commit(&writing, "0:2", &tag), CAIRN_EINVAL);
    assert_int_equal(tag, 1);
    (void)snprintf(line, sizeof(line), "line %d: ", LINE_OF_DIVIDED);
    assert_non_null(strstr(writing.stage->err.text, line));
    end(&writing);
}

static void a_text_that_no_column_can_hold_names_its_event(void **state)
{
    struct writing writing;
    size_t tag = 0;
    begin(&writing, *state);
    begin_batch(&writing);
    add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
    add(&writing, "Noted", "{\"to\":\"a\",\"text\":\"a\\u0000b\"}");
    assert_int_equal(commit(&writing, "0:2", &tag), CAIRN_EINVAL);
    assert_int_equal(tag, 1);
    place_is(&writing, "0:0", 0);
    row_is(&writing, "a", -1);
    end(&writing);
}

static void a_checkpoint_that_moves_on_makes_a_stopped_view_live(void **state)
{
    struct writing writing;
    begin(&writing, *state);
    sql_stage_run(writing.stage, "UPDATE _cairn_view SET error = 'x', error_event = 'y'");
    begin_batch(&writing);
    add(&writing, "Added", "{\"to\":\"a\",\"n\":3}");
    commit_well(&writing, "0:1");
    assert_string_equal(
        sql_stage_value(writing.stage, "SELECT state || error || error_event FROM _cairn_view"),
        "building");
    end(&writing);
}

static void a_statement_that_is_refused_is_told_with_its_line(void **state)
{
    struct writing writing;
    char line[32];
    begin(&writing, *state);
    cairn_sql_writer_close(writing.writer);
    writing.writer = NULL;
    cairn_pg_close(writing.pg);
    const struct cairn_pg_options options = {.uri = writing.stage->uri,
                                             .schema = "test_build_mixed"};
    assert_ok(cairn_pg_open(&options, &writing.pg, &writing.stage->err), &writing.stage->err);
    sql_stage_run(writing.stage, "DROP TABLE test_build_mixed.mixed");
    assert_int_equal(open_writer(&writing, &writing.stage->err), CAIRN_EINVAL);
    (void)snprintf(line, sizeof(line), "line %d: ", LINE_OF_ADDED);
    assert_non_null(strstr(writing.stage->err.text, line));
    end(&writing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQL_STAGE_TEST(rows_and_checkpoint_commit_together),
        SQL_STAGE_TEST(a_batch_without_rows_moves_the_checkpoint),
        SQL_STAGE_TEST(arrays_and_single_rows_keep_their_order),
        SQL_STAGE_TEST(a_checkpoint_elsewhere_fences_and_writes_nothing),
        SQL_STAGE_TEST(a_refused_row_names_its_event_and_writes_nothing),
        SQL_STAGE_TEST(a_division_by_zero_of_a_statement_is_its_own),
        SQL_STAGE_TEST(a_text_that_no_column_can_hold_names_its_event),
        SQL_STAGE_TEST(a_checkpoint_that_moves_on_makes_a_stopped_view_live),
        SQL_STAGE_TEST(a_statement_that_is_refused_is_told_with_its_line),
    };
    return cmocka_run_group_tests(tests, sql_stage_group_setup, sql_stage_group_teardown);
}
