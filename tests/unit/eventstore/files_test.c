/* What the embedded log refuses at open, and that a refusal changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "eventstore/backend.h"

#include "tests/support/cm.h"

struct world {
    char folder[64];
    struct cairn_store_options options;
};

static int set_up(void **state)
{
    static struct world world;
    struct cairn_err err;
    struct cairn_backend *backend = NULL;
    (void)snprintf(world.folder, sizeof(world.folder), "/tmp/cairn-files-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    world.options = (struct cairn_store_options){.data_folder = world.folder,
                                                 .writer = true,
                                                 .partitions = 2,
                                                 .domain = CAIRN_SLICE_LIT("bank"),
                                                 .manual_flush = true};
    assert_ok(cairn_files_open(&world.options, &backend, &err), &err);
    for (uint16_t p = 0; p < 2; p++) {
        bool good = false;
        assert_ok(backend->ops->recover(backend, p, (struct cairn_resume){0, 0}, &good, &err),
                  &err);
        assert_true(good);
    }
    backend->ops->close(backend);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    return 0;
}

/* The log is refused with that code and reason. */
static void expect_refusal(const struct world *world, enum cairn_rc rc, const char *text)
{
    struct cairn_err err;
    struct cairn_backend *backend = NULL;
    assert_int_equal(cairn_files_open(&world->options, &backend, &err), rc);
    assert_null(backend);
    if (strstr(err.text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, text);
    }
}

static void expect_opens(const struct world *world)
{
    struct cairn_err err;
    struct cairn_backend *backend = NULL;
    assert_ok(cairn_files_open(&world->options, &backend, &err), &err);
    assert_int_equal(backend->ops->partitions(backend), 2);
    backend->ops->close(backend);
}

static void options_of_another_log_are_refused(void **state)
{
    struct world *world = *state;
    world->options.partitions = 3;
    expect_refusal(world, CAIRN_EINVAL, "was made with 2 partitions");
    world->options.partitions = 0;
    expect_opens(world);
    world->options.domain = CAIRN_SLICE_LIT("shop");
    expect_refusal(world, CAIRN_EINVAL, "holds the log of domain bank, not of shop");
    world->options.domain = CAIRN_SLICE_NONE;
    expect_opens(world);
}

static void a_second_writer_is_refused_and_a_reader_is_not(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_backend *backend = NULL;
    assert_ok(cairn_files_open(&world->options, &backend, &err), &err);
    expect_refusal(world, CAIRN_ELOCKED, "");
    world->options.writer = false;
    expect_opens(world);
    backend->ops->close(backend);
}

static void segments_without_a_description_are_refused(void **state)
{
    struct world *world = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/log/log.txt", world->folder);
    assert_int_equal(unlink(path), 0);
    expect_refusal(world, CAIRN_ECORRUPT, "holds segments but no log.txt");
    world->options.writer = false;
    expect_refusal(world, CAIRN_ENOENT, "log");
}

static void a_missing_first_segment_is_refused(void **state)
{
    struct world *world = *state;
    char from[128];
    char to[128];
    (void)snprintf(from, sizeof(from), "%s/log/1/00000000000000000001.seg", world->folder);
    (void)snprintf(to, sizeof(to), "%s/log/1/00000000000000000009.seg", world->folder);
    assert_int_equal(rename(from, to), 0);
    expect_refusal(world, CAIRN_ECORRUPT, "/log/1: the first segment is missing");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(options_of_another_log_are_refused),
        CASE(a_second_writer_is_refused_and_a_reader_is_not),
        CASE(segments_without_a_description_are_refused),
        CASE(a_missing_first_segment_is_refused),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
