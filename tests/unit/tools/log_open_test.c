/* Places of logs as they are written in flags: which are opened, how, and what is said of others.
 */
#include "tools/log_open.h"

#include <stdio.h>

#include "tests/support/folder.h"
#include "tools/options.h"

#include "tests/support/cm.h"

enum { PLACE_MAX = 128 };

struct world {
    char folder[TEST_FOLDER_SIZE];
    char data_flag[PLACE_MAX]; /* "--data=<folder>/data" */
    struct cairn_domain *domain;
    struct cairn_config *config;
};

/* As the command line of a verb would; log NULL: the flag is left out. */
static void configure(struct world *world, enum cairn_verb verb, const char *log)
{
    struct cairn_err err;
    size_t count = 0;
    char log_flag[PLACE_MAX + 8];
    const char *const none[] = {NULL};
    (void)snprintf(log_flag, sizeof(log_flag), "--log=%s", log == NULL ? "" : log);
    const char *const flags[] = {world->data_flag, log_flag};
    const struct cairn_config_row *rows = cairn_options(&count);
    const struct cairn_config_input input = {.rows = rows,
                                             .row_count = count,
                                             .verb = 1u << verb,
                                             .argc = log == NULL ? 1 : 2,
                                             .argv = flags,
                                             .envp = none};
    cairn_config_free(world->config);
    assert_ok(cairn_config_new(&input, &world->config, &err), &err);
}

static int set_up(void **state)
{
    static struct world world;
    struct cairn_err err;
    world = (struct world){.config = NULL};
    test_folder_make(world.folder, sizeof(world.folder), "log-open");
    (void)snprintf(world.data_flag, sizeof(world.data_flag), "--data=%s/data", world.folder);
    assert_ok(cairn_domain_load(CAIRN_SOURCE_DIR "/examples/bank", &world.domain, &err), &err);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    cairn_config_free(world->config);
    cairn_domain_free(world->domain);
    test_folder_remove(world->folder);
    return 0;
}

/* Open a place, NULL for --log, and close it again. */
static enum cairn_rc try_open(const struct world *world, enum cairn_log_access_kind kind,
                              const char *place, struct cairn_err *err)
{
    struct cairn_store *store = NULL;
    const struct cairn_log_open open = {.config = world->config,
                                        .domain = world->domain,
                                        .kind = kind,
                                        .place = place,
                                        .flag = place == NULL ? NULL : "--from"};
    enum cairn_rc rc = cairn_log_open(&open, &store, err);
    assert_int_equal(store != NULL, rc == CAIRN_OK);
    cairn_store_close(store);
    return rc;
}

static bool is_there(const struct world *world, const char *path)
{
    char whole[PLACE_MAX];
    (void)snprintf(whole, sizeof(whole), "%s/%s", world->folder, path);
    return cairn_file_exists(whole);
}

static void files_is_under_data_and_files_dir_elsewhere(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char place[PLACE_MAX];
    configure(world, CAIRN_VERB_serve, NULL);
    assert_ok(try_open(world, CAIRN_LOG_APPEND, NULL, &err), &err);
    assert_true(is_there(world, "data/log"));
    (void)snprintf(place, sizeof(place), "files:%s/other", world->folder);
    assert_ok(try_open(world, CAIRN_LOG_APPEND, place, &err), &err);
    assert_true(is_there(world, "other/log"));
    configure(world, CAIRN_VERB_events, place);
    assert_false(cairn_log_is_kafka(world->config));
    assert_ok(try_open(world, CAIRN_LOG_READ, NULL, &err), &err);
    assert_ok(try_open(world, CAIRN_LOG_FOLLOW, "files", &err), &err);
}

static void what_is_no_place_is_refused_with_its_flag(void **state)
{
    struct world *world = *state;
    static const char *const wrong[] = {"",       "file",   "files:",        "filesystem",
                                        "kafka",  "kafka:", "Kafka:host:1",  "http://host:1",
                                        "kafka;", " files", "files /folder", "postgres:host"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct cairn_err err = {.rc = CAIRN_OK};
        char text[PLACE_MAX];
        configure(world, CAIRN_VERB_serve, wrong[i]);
        assert_int_equal(try_open(world, CAIRN_LOG_APPEND, NULL, &err), CAIRN_EINVAL);
        (void)snprintf(text, sizeof(text), "--log: `%s` is no log", wrong[i]);
        assert_ptr_equal(strstr(err.text, text), err.text);
        assert_int_equal(try_open(world, CAIRN_LOG_READ, wrong[i], &err), CAIRN_EINVAL);
        (void)snprintf(text, sizeof(text), "--from: `%s` is no log", wrong[i]);
        assert_ptr_equal(strstr(err.text, text), err.text);
    }
    assert_false(is_there(world, "data"));
}

static void only_one_who_appends_makes_a_log(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    char place[PLACE_MAX];
    (void)snprintf(place, sizeof(place), "files:%s/data", world->folder);
    configure(world, CAIRN_VERB_serve, NULL);
    static const enum cairn_log_access_kind kinds[] = {CAIRN_LOG_READ, CAIRN_LOG_FOLLOW,
                                                       CAIRN_LOG_HOLD};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_int_equal(try_open(world, kinds[i], place, &err), CAIRN_ENOENT);
        assert_ptr_equal(strstr(err.text, "--from: "), err.text);
        assert_non_null(strstr(err.text, world->folder));
        assert_false(is_there(world, "data/log"));
    }
    assert_ok(try_open(world, CAIRN_LOG_APPEND, place, &err), &err);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_ok(try_open(world, kinds[i], place, &err), &err);
    }
}

static void a_log_that_is_held_has_no_writer_beside(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    struct cairn_store *held = NULL;
    configure(world, CAIRN_VERB_serve, NULL);
    assert_ok(try_open(world, CAIRN_LOG_APPEND, NULL, &err), &err);
    const struct cairn_log_open hold = {
        .config = world->config, .domain = world->domain, .kind = CAIRN_LOG_HOLD};
    assert_ok(cairn_log_open(&hold, &held, &err), &err);
    assert_int_equal(try_open(world, CAIRN_LOG_APPEND, "files", &err), CAIRN_ELOCKED);
    assert_ptr_equal(strstr(err.text, "--from: "), err.text);
    assert_ok(try_open(world, CAIRN_LOG_READ, NULL, &err), &err);
    cairn_store_close(held);
    assert_ok(try_open(world, CAIRN_LOG_APPEND, NULL, &err), &err);
}

static void a_place_on_kafka_is_known_by_its_first_letters(void **state)
{
    struct world *world = *state;
    struct cairn_err err = {.rc = CAIRN_OK};
    configure(world, CAIRN_VERB_events, "kafka:127.0.0.1:1");
    assert_true(cairn_log_is_kafka(world->config));
    assert_true(cairn_log_place_is_kafka("kafka:a:1,b:2"));
    assert_false(cairn_log_place_is_kafka("files:kafka:1"));
    /* A reader asks no broker, only the folder. */
    assert_int_equal(try_open(world, CAIRN_LOG_READ, NULL, &err), CAIRN_ENOENT);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(files_is_under_data_and_files_dir_elsewhere),
        CASE(what_is_no_place_is_refused_with_its_flag),
        CASE(only_one_who_appends_makes_a_log),
        CASE(a_log_that_is_held_has_no_writer_beside),
        CASE(a_place_on_kafka_is_known_by_its_first_letters),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
