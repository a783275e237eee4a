#include "projector/sql/value.h"

#include <stdio.h>
#include <stdlib.h>

#include "platform/json.h"

#include "tests/support/cm.h"

#define EVENT_ID "0190f3a1-7c2b-7def-8abc-0123456789ab"

enum { ARENA_MAX = 1 << 22 };

struct stage {
    struct cairn_arena arena;
    struct cairn_event event;
    struct cairn_value data;
};

static void begin(struct stage *stage, const char *json)
{
    struct cairn_err err;
    *stage = (struct stage){.arena = {.max = ARENA_MAX},
                            .event = {.stream = CAIRN_SLICE_LIT("account-4-2"),
                                      .type = CAIRN_SLICE_LIT("Deposited"),
                                      .version = UINT64_MAX,
                                      .time_us = INT64_C(1769851800123456),
                                      .partition = 255,
                                      .offset = UINT64_MAX}};
    assert_int_equal(cairn_uuid_parse(CAIRN_SLICE_LIT(EVENT_ID), &stage->event.id), CAIRN_OK);
    assert_ok(cairn_json_read(cairn_slice_str(json), &stage->arena, &stage->data, NULL, &err),
              &err);
}

static struct cairn_slice read_param(struct stage *stage, const char *param)
{
    struct cairn_sql_source source;
    struct cairn_slice text = CAIRN_SLICE_LIT("untouched");
    struct cairn_err err;
    assert_ok(cairn_sql_source_find(cairn_slice_str(param), &source, &err), &err);
    assert_ok(
        cairn_sql_source_read(&source, &stage->event, &stage->data, &stage->arena, &text, &err),
        &err);
    return text;
}

static void param_is(struct stage *stage, const char *param, const char *text)
{
    struct cairn_slice found = read_param(stage, param);
    if (text == NULL) {
        assert_null(found.data);
        return;
    }
    assert_non_null(found.data);
    if (!cairn_slice_is(found, text)) {
        fail_msg(":%s is %.*s, not %s", param, CAIRN_SLICE_ARG(found), text);
    }
}

static void each_member_of_the_envelope_has_its_text(void **state)
{
    struct stage stage;
    (void)state;
    begin(&stage, "{\"a\":1}");
    param_is(&stage, "stream", "account-4-2");
    param_is(&stage, "id", EVENT_ID);
    param_is(&stage, "type", "Deposited");
    param_is(&stage, "version", "18446744073709551615");
    param_is(&stage, "time", "2026-01-31T09:30:00.123456Z");
    param_is(&stage, "position", "255:18446744073709551615");
    param_is(&stage, "aggregate", "account");
    param_is(&stage, "aggregate_id", "4-2");
    param_is(&stage, "principal", NULL);
    stage.event.principal = CAIRN_SLICE_LIT("zo\xc3\xab");
    param_is(&stage, "principal", "zo\xc3\xab");
    param_is(&stage, "data", "{\"a\":1}");
    cairn_arena_fini(&stage.arena);
}

static void the_envelope_wins_over_the_data_but_not_inside_of_it(void **state)
{
    struct stage stage;
    (void)state;
    begin(&stage, "{\"stream\":\"mine\",\"data\":7,\"a\":{\"stream\":\"inner\"},\"Stream\":\"S\"}");
    param_is(&stage, "stream", "account-4-2");
    param_is(&stage, "a.stream", "inner");
    param_is(&stage, "Stream", "S");
    param_is(&stage, "data",
             "{\"stream\":\"mine\",\"data\":7,\"a\":{\"stream\":\"inner\"},\"Stream\":\"S\"}");
    cairn_arena_fini(&stage.arena);
}

static void what_is_missing_is_null(void **state)
{
    struct stage stage;
    (void)state;
    begin(&stage, "{\"a\":{\"b\":null},\"n\":null,\"list\":[{\"c\":1}],\"text\":\"x\"}");
    param_is(&stage, "missing", NULL);
    param_is(&stage, "n", NULL);
    param_is(&stage, "a.b", NULL);
    param_is(&stage, "a.c", NULL);
    param_is(&stage, "a.b.c", NULL);
    param_is(&stage, "n.b", NULL);
    param_is(&stage, "text.b", NULL);
    param_is(&stage, "list.c", NULL);
    param_is(&stage, "list.0", NULL);
    cairn_arena_fini(&stage.arena);
}

static void texts_arrive_as_they_are(void **state)
{
    static const char quoted[] = "{\"q\":\"' \\\" $1 :a \\\\ \\n -- /* ;\"}";
    struct stage stage;
    (void)state;
    begin(&stage, "{\"empty\":\"\",\"word\":\"null\",\"wide\":\"na\xc3\xafve \xf0\x9f\x9a\x80\"}");
    struct cairn_slice empty = read_param(&stage, "empty");
    assert_non_null(empty.data);
    assert_int_equal(empty.size, 0);
    param_is(&stage, "word", "null");
    param_is(&stage, "wide", "na\xc3\xafve \xf0\x9f\x9a\x80");
    cairn_arena_fini(&stage.arena);
    begin(&stage, quoted);
    param_is(&stage, "q", "' \" $1 :a \\ \n -- /* ;");
    cairn_arena_fini(&stage.arena);
}

static void numbers_are_exact(void **state)
{
    struct stage stage;
    (void)state;
    begin(&stage, "{\"max\":18446744073709551615,\"min\":-9223372036854775808,\"tenth\":0.1,"
                  "\"third\":0.3333333333333333,\"big\":9007199254740993,\"zero\":0,\"minus\":-0.0,"
                  "\"far\":1.7976931348623157e308,\"yes\":true,\"no\":false}");
    param_is(&stage, "max", "18446744073709551615");
    param_is(&stage, "min", "-9223372036854775808");
    param_is(&stage, "tenth", "0.1");
    param_is(&stage, "third", "0.3333333333333333");
    param_is(&stage, "big", "9007199254740993");
    param_is(&stage, "zero", "0");
    param_is(&stage, "minus", "-0.0");
    param_is(&stage, "yes", "true");
    param_is(&stage, "no", "false");
    struct cairn_slice far = read_param(&stage, "far");
    char text[64];
    (void)snprintf(text, sizeof(text), "%.*s", CAIRN_SLICE_ARG(far));
    assert_true(strtod(text, NULL) == 1.7976931348623157e308);
    cairn_arena_fini(&stage.arena);
}

static void lists_and_maps_are_their_json(void **state)
{
    struct stage stage;
    (void)state;
    begin(&stage, "{\"list\":[1,\"a\\\"b\",null,{\"x\":[]}],\"map\":{\"k\":\"\xc3\xa9\",\"n\":{}},"
                  "\"none\":[]}");
    param_is(&stage, "list", "[1,\"a\\\"b\",null,{\"x\":[]}]");
    param_is(&stage, "map", "{\"k\":\"\xc3\xa9\",\"n\":{}}");
    param_is(&stage, "map.n", "{}");
    param_is(&stage, "none", "[]");
    cairn_arena_fini(&stage.arena);
}

static void a_path_has_so_many_names_and_no_more(void **state)
{
    struct cairn_sql_source source;
    struct cairn_err err;
    (void)state;
    assert_ok(
        cairn_sql_source_find(CAIRN_SLICE_LIT("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p"), &source, &err),
        &err);
    assert_int_equal(source.path_count, CAIRN_SQL_PATH_MAX);
    assert_true(cairn_slice_is(source.path[15], "p"));
    assert_int_equal(
        cairn_sql_source_find(CAIRN_SLICE_LIT("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"), &source, &err),
        CAIRN_EINVAL);
}

static void an_arena_that_is_full_is_told(void **state)
{
    struct stage stage;
    struct cairn_sql_source source;
    struct cairn_slice text;
    struct cairn_err err;
    struct cairn_arena none = {.max = 1};
    (void)state;
    begin(&stage, "{\"a\":[1]}");
    assert_ok(cairn_sql_source_find(CAIRN_SLICE_LIT("a"), &source, &err), &err);
    assert_int_equal(cairn_sql_source_read(&source, &stage.event, &stage.data, &none, &text, &err),
                     CAIRN_ENOMEM);
    cairn_arena_fini(&none);
    cairn_arena_fini(&stage.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_member_of_the_envelope_has_its_text),
        cmocka_unit_test(the_envelope_wins_over_the_data_but_not_inside_of_it),
        cmocka_unit_test(what_is_missing_is_null),
        cmocka_unit_test(texts_arrive_as_they_are),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(lists_and_maps_are_their_json),
        cmocka_unit_test(a_path_has_so_many_names_and_no_more),
        cmocka_unit_test(an_arena_that_is_full_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
