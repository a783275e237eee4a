#include "platform/log.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/fault.h"
#include "platform/utf8.h"

#include "tests/support/cm.h"

static int64_t fixed_us(void *self)
{
    (void)self;
    return INT64_C(1769851800123456);
}

static const struct cairn_clock fixed_clock = {fixed_us, fixed_us, NULL};

#define HEAD(level)                                                                                \
    "{\"time\":\"2026-01-31T09:30:00.123456Z\",\"level\":\"" level                                 \
    "\",\"component\":\"unit\",\"event\":\"happened\""

/* A log into a pipe, and what was read back from it. */
struct world {
    struct cairn_log *log;
    int ends[2];
    char text[65536];
    size_t size;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    assert_int_equal(pipe2(world->ends, O_NONBLOCK), 0);
    world->log = cairn_log_new(world->ends[1], CAIRN_LOG_INFO, &fixed_clock);
    assert_non_null(world->log);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_log_free(world->log);
    (void)close(world->ends[0]);
    (void)close(world->ends[1]);
    free(world);
    return 0;
}

/* What one read(2) takes from the pipe, NUL-ended. */
static const char *take(struct world *world)
{
    ssize_t got = read(world->ends[0], world->text, sizeof(world->text) - 1);
    world->size = got < 0 ? 0 : (size_t)got;
    world->text[world->size] = '\0';
    return world->text;
}

static void a_line_has_time_level_component_event_and_the_fields_in_order(void **state)
{
    struct world *world = *state;
    cairn_log_event(world->log, CAIRN_LOG_INFO, "unit", "happened", CAIRN_F_STR("text", "a b"),
                    CAIRN_F_INT("least", INT64_MIN), CAIRN_F_UINT("most", UINT64_MAX),
                    CAIRN_F_BOOL("yes", true), CAIRN_F_BOOL("no", false),
                    CAIRN_F_SLICE("none", CAIRN_SLICE_NONE));
    assert_string_equal(take(world), HEAD("info") ",\"text\":\"a b\",\"least\":-9223372036854775808"
                                                  ",\"most\":18446744073709551615,\"yes\":true"
                                                  ",\"no\":false,\"none\":\"\"}\n");
    cairn_log_write(world->log, CAIRN_LOG_ERROR, "unit", "happened", NULL, 0);
    assert_string_equal(take(world), HEAD("error") "}\n");
}

static void numbers_are_the_shortest_that_read_back_and_nan_is_null(void **state)
{
    struct world *world = *state;
    cairn_log_event(world->log, CAIRN_LOG_WARN, "unit", "happened", CAIRN_F_FLOAT("a", 0.1),
                    CAIRN_F_FLOAT("b", 1.0), CAIRN_F_FLOAT("c", 1.0 / 3.0),
                    CAIRN_F_FLOAT("d", -1.5e300), CAIRN_F_FLOAT("e", (double)NAN),
                    CAIRN_F_FLOAT("f", (double)INFINITY));
    assert_string_equal(take(world), HEAD("warn") ",\"a\":0.1,\"b\":1,\"c\":0.3333333333333333"
                                                  ",\"d\":-1.5e+300,\"e\":null,\"f\":null}\n");
}

static void quotes_controls_and_bad_bytes_cannot_break_the_line(void **state)
{
    struct world *world = *state;
    cairn_log_event(world->log, CAIRN_LOG_INFO, "unit", "happened",
                    CAIRN_F_STR("a", "\"\\\n\x01\x7f"), CAIRN_F_STR("b", "x\xff\xe2\x82y\xc3\xa9"),
                    CAIRN_F_SLICE("c", cairn_slice_of("n\0l", 3)));
    assert_string_equal(take(world),
                        HEAD("info") ",\"a\":\"\\\"\\\\\\u000a\\u0001\\u007f\""
                                     ",\"b\":\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\xc3\xa9\""
                                     ",\"c\":\"n\\u0000l\"}\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    struct world *world = *state;
    cairn_log_write(world->log, CAIRN_LOG_DEBUG, "unit", "happened", NULL, 0);
    assert_string_equal(take(world), "");
    assert_false(cairn_log_on(world->log, CAIRN_LOG_DEBUG));
    assert_true(cairn_log_on(world->log, CAIRN_LOG_INFO));
    cairn_log_write(NULL, CAIRN_LOG_ERROR, "unit", "happened", NULL, 0);
    assert_false(cairn_log_on(NULL, CAIRN_LOG_ERROR));
}

static void a_long_text_is_cut_between_characters_and_the_line_says_so(void **state)
{
    struct world *world = *state;
    static const char *const units[] = {"a",  "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                        "\n", "\xff"};
    static char text[8192];
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        for (size_t pad = 0; pad < 7; pad++) {
            size_t size = strlen(units[i]);
            memset(text, 'p', pad);
            for (size_t at = pad; at + size < sizeof(text); at += size) {
                memcpy(text + at, units[i], size);
            }
            cairn_log_event(world->log, CAIRN_LOG_INFO, "unit", "happened",
                            CAIRN_F_SLICE("text", cairn_slice_of(text, 8000)));
            (void)take(world);
            assert_true(world->size <= CAIRN_LOG_LINE_MAX);
            assert_true(world->size > CAIRN_LOG_LINE_MAX - 16);
            assert_string_equal(world->text + world->size - 14, "\",\"cut\":true}\n");
            assert_true(cairn_utf8_is_valid(cairn_slice_of(world->text, world->size)));
        }
    }
}

static void a_field_that_does_not_fit_is_left_out_whole(void **state)
{
    struct world *world = *state;
    static char text[4096];
    memset(text, 'a', sizeof(text));
    for (size_t size = 3900; size < 4096; size++) {
        cairn_log_event(world->log, CAIRN_LOG_INFO, "unit", "happened",
                        CAIRN_F_SLICE("text", cairn_slice_of(text, size)),
                        CAIRN_F_INT("number", 1234567));
        (void)take(world);
        bool cut = strstr(world->text, ",\"cut\":true}\n") != NULL;
        bool whole = strstr(world->text, "\",\"number\":1234567}\n") != NULL;
        assert_true(cut != whole);
        assert_true(whole || strstr(world->text, "number") == NULL);
    }
}

static void an_error_is_logged_with_its_code_detail_and_place(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    (void)cairn_err_set_at(&err, CAIRN_EFULL, 28, "file.c", 7, "write");
    cairn_log_error(world->log, CAIRN_LOG_ERROR, "unit", "happened", &err);
    assert_string_equal(
        take(world), HEAD("error") ",\"code\":\"disk-full\",\"detail\":\"write: No space left on "
                                   "device\",\"os\":28,\"file\":\"file.c\",\"line\":7}\n");
}

static void level_names_are_read_and_others_refused(void **state)
{
    (void)state;
    enum cairn_log_level level = CAIRN_LOG_DEBUG;
    assert_int_equal(cairn_log_level_parse(CAIRN_SLICE_LIT("warn"), &level), CAIRN_OK);
    assert_int_equal(level, CAIRN_LOG_WARN);
    assert_int_equal(cairn_log_level_parse(CAIRN_SLICE_LIT("WARN"), &level), CAIRN_EINVAL);
    assert_int_equal(cairn_log_level_parse(CAIRN_SLICE_NONE, &level), CAIRN_EINVAL);
    assert_int_equal(level, CAIRN_LOG_WARN);
}

static void a_full_pipe_loses_the_line_and_nothing_else(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 5000; i++) {
        cairn_log_write(world->log, CAIRN_LOG_INFO, "unit", "happened", NULL, 0);
    }
    size_t line = strlen(HEAD("info") "}\n");
    size_t all = 0;
    while (*take(world) != '\0') {
        all += world->size;
    }
    assert_true(all > line);
    assert_int_equal(all % line, 0);
}

enum { WRITERS = 4, LINES_EACH = 2000 };

static void *write_lines(void *argument)
{
    struct cairn_log *log = argument;
    static const char text[] = "a text long enough for a torn line to show itself, were there one";
    for (int i = 0; i < LINES_EACH; i++) {
        cairn_log_event(log, CAIRN_LOG_INFO, "unit", "happened", CAIRN_F_STR("text", text));
    }
    return NULL;
}

static void lines_of_many_threads_never_mix(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fcntl(fileno(file), F_SETFL, O_APPEND), 0);
    struct cairn_log *log = cairn_log_new(fileno(file), CAIRN_LOG_INFO, &fixed_clock);
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    char line[CAIRN_LOG_LINE_MAX];
    char first[CAIRN_LOG_LINE_MAX];
    int count = 0;
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (count++ == 0) {
            memcpy(first, line, sizeof(first));
        }
        assert_string_equal(line, first);
    }
    assert_int_equal(count, WRITERS * LINES_EACH);
    cairn_log_free(log);
    (void)fclose(file);
}

static void new_without_memory_is_null(void **state)
{
    (void)state;
    cairn_fault_arm(CAIRN_FAULT_MEM, 0);
    struct cairn_log *log = cairn_log_new(2, CAIRN_LOG_INFO, &fixed_clock);
    assert_int_equal(cairn_fault_fired(CAIRN_FAULT_MEM), log == NULL);
    cairn_fault_disarm();
    cairn_log_free(log);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_line_has_time_level_component_event_and_the_fields_in_order),
        T(numbers_are_the_shortest_that_read_back_and_nan_is_null),
        T(quotes_controls_and_bad_bytes_cannot_break_the_line),
        T(lines_below_the_level_are_not_written),
        T(a_long_text_is_cut_between_characters_and_the_line_says_so),
        T(a_field_that_does_not_fit_is_left_out_whole),
        T(an_error_is_logged_with_its_code_detail_and_place),
        cmocka_unit_test(level_names_are_read_and_others_refused),
        T(a_full_pipe_loses_the_line_and_nothing_else),
        cmocka_unit_test(lines_of_many_threads_never_mix),
        cmocka_unit_test(new_without_memory_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
