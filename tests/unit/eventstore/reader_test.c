/* A process that only reads, beside a writer that comes, goes and loses its index. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eventstore/index.h"
#include "eventstore/store.h"

#include "tests/support/cm.h"

/* More than the memory of a reader's index holds. */
enum {
    FEW = 10,
    GROUP = CAIRN_GROUP_APPENDS_MAX,
    GROUPS = 5 + CAIRN_INDEX_GENERATIONS_MAX * CAIRN_INDEX_GENERATION_ROWS / GROUP +
             CAIRN_INDEX_GENERATIONS_MAX
};

struct world {
    char folder[64];
    int orders[2]; /* to the writer: one letter for each deed */
    int done[2];   /* from it */
    pid_t child;
    struct cairn_store *store; /* the reader, or in the child the writer */
    struct cairn_arena arena;
};

static enum cairn_rc open_store(struct world *world, bool writer, struct cairn_err *err)
{
    struct cairn_store_options options = {
        .data_folder = world->folder, .writer = writer, .manual_flush = true};
    return cairn_store_open(&options, &world->store, err);
}

/* One event for each of `count` streams, or `count` events of one stream where `stream` says so. */
static enum cairn_rc append(struct world *world, const char *stream, size_t count,
                            struct cairn_err *err)
{
    static struct cairn_append appends[GROUP];
    static struct cairn_event events[GROUP];
    static char names[GROUP][24];
    struct cairn_uuid_source ids = {0};
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "account-%zu", i + 100);
        events[i] = (struct cairn_event){.id = cairn_uuid_next(&ids, 1, cairn_random_system()),
                                         .type = CAIRN_SLICE_LIT("Deposited"),
                                         .schema_version = 1};
        appends[i] =
            (struct cairn_append){.stream = cairn_slice_str(stream == NULL ? names[i] : stream),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = &events[i],
                                  .count = 1};
    }
    return cairn_store_append(world->store, 0, appends, count, err);
}

static enum cairn_rc append_many(struct world *world, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (int i = 0; rc == CAIRN_OK && i < GROUPS; i++) {
        rc = append(world, NULL, GROUP, err);
    }
    return rc;
}

static enum cairn_rc obey(struct world *world, char order, struct cairn_err *err)
{
    char index[128];
    (void)snprintf(index, sizeof(index), "%s/index", world->folder);
    switch (order) {
    case 'o':
        return open_store(world, true, err);
    case 'c':
        cairn_store_close(world->store);
        world->store = NULL;
        return CAIRN_OK;
    case 'a':
        return append(world, "account-1", FEW, err);
    case 'm':
        return append_many(world, err);
    case 'f':
        return cairn_store_flush(world->store, err);
    case 'd':
        return cairn_file_remove_tree(index, err);
    default:
        return CAIRN_EINVAL;
    }
}

static void run_writer(struct world *world)
{
    char order = 0;
    while (read(world->orders[0], &order, 1) == 1) {
        struct cairn_err err;
        char said = obey(world, order, &err) == CAIRN_OK ? 'k' : 'x';
        if (write(world->done[1], &said, 1) != 1) {
            _exit(1);
        }
    }
    cairn_store_close(world->store);
    _exit(0);
}

/* Have the writer do that, and wait until it has. */
static void order(struct world *world, const char *orders)
{
    for (; *orders != '\0'; orders++) {
        char said = 0;
        assert_int_equal(write(world->orders[1], orders, 1), 1);
        assert_int_equal(read(world->done[0], &said, 1), 1);
        assert_int_equal(said, 'k');
    }
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.arena = {.max = 1u << 26}};
    (void)snprintf(world.folder, sizeof(world.folder), "/tmp/cairn-reader-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    assert_int_equal(pipe(world.orders), 0);
    assert_int_equal(pipe(world.done), 0);
    world.child = fork();
    assert_true(world.child >= 0);
    if (world.child == 0) {
        (void)close(world.orders[1]);
        (void)close(world.done[0]);
        run_writer(&world);
    }
    assert_int_equal(close(world.orders[0]), 0);
    assert_int_equal(close(world.done[1]), 0);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    int status = 1;
    cairn_store_close(world->store);
    cairn_arena_fini(&world->arena);
    assert_int_equal(close(world->orders[1]), 0);
    assert_int_equal(waitpid(world->child, &status, 0), world->child);
    assert_int_equal(status, 0);
    assert_int_equal(close(world->done[0]), 0);
    assert_ok(cairn_file_remove_tree(world->folder, &err), &err);
    return 0;
}

/* The stream and another one have so many events, and each can be read. */
static void expect(struct world *world, uint64_t few, uint64_t many)
{
    struct cairn_err err;
    uint64_t version = UINT64_MAX;
    struct cairn_event_page page = {0};
    cairn_arena_reset(&world->arena);
    assert_ok(cairn_store_head(world->store, CAIRN_SLICE_LIT("account-1"), &version, &err), &err);
    assert_int_equal(version, few);
    assert_ok(cairn_store_head(world->store, CAIRN_SLICE_LIT("account-107"), &version, &err), &err);
    assert_int_equal(version, many);
    assert_ok(cairn_store_read_stream(world->store, CAIRN_SLICE_LIT("account-1"), 0, 1000,
                                      CAIRN_FORWARD, &world->arena, &page, &err),
              &err);
    assert_int_equal(page.count, few);
    assert_ok(cairn_store_read_stream(world->store, CAIRN_SLICE_LIT("account-107"), 0, 1000,
                                      CAIRN_BACKWARD, &world->arena, &page, &err),
              &err);
    assert_int_equal(page.count, many);
}

static void a_reader_opened_before_the_first_commit_sees_it(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_log_reader *reader = NULL;
    const struct cairn_event *events = NULL;
    size_t count = 1;
    assert_int_equal(open_store(world, false, &err), CAIRN_ENOENT);
    order(world, "o");
    assert_ok(open_store(world, false, &err), &err);
    expect(world, 0, 0);
    assert_ok(cairn_log_reader_open(world->store, 0, 0, &reader, &err), &err);
    assert_ok(cairn_log_reader_next(reader, 100, &events, &count, &err), &err);
    assert_int_equal(count, 0);
    order(world, "a");
    expect(world, FEW, 0);
    assert_ok(cairn_log_reader_next(reader, 100, &events, &count, &err), &err);
    assert_int_equal(count, FEW);
    cairn_log_reader_close(reader);
}

static void a_reader_goes_on_when_the_index_is_deleted_and_built_again(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    order(world, "oaf");
    assert_ok(open_store(world, false, &err), &err);
    expect(world, FEW, 0);
    order(world, "a");
    expect(world, 2 * FEW, 0);
    order(world, "cdo"); /* built anew, in memory only */
    expect(world, 2 * FEW, 0);
    order(world, "a");
    expect(world, 3 * FEW, 0);
    order(world, "cdoafa");
    expect(world, 5 * FEW, 0);
    order(world, "mf"); /* more than the reader keeps: it turns to the new file */
    expect(world, 5 * FEW, GROUPS);
    order(world, "cdoa");
    expect(world, 6 * FEW, GROUPS);
}

static void a_reader_too_far_behind_says_so_until_the_index_is_built(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    uint64_t version = 99;
    order(world, "oaf");
    assert_ok(open_store(world, false, &err), &err);
    expect(world, FEW, 0);
    order(world, "cdo"); /* what the reader has open is no longer what the writer fills */
    order(world, "mcd");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            cairn_store_head(world->store, CAIRN_SLICE_LIT("account-1"), &version, &err),
            CAIRN_EBUSY);
        assert_non_null(strstr(err.text, "rebuilding"));
        assert_int_equal(version, 99);
    }
    order(world, "of");
    expect(world, FEW, GROUPS);
    order(world, "a");
    expect(world, 2 * FEW, GROUPS);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_reader_opened_before_the_first_commit_sees_it),
        CASE(a_reader_goes_on_when_the_index_is_deleted_and_built_again),
        CASE(a_reader_too_far_behind_says_so_until_the_index_is_built),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
