#include "tools/database.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/projector/world.h"
#include "tools/options.h"

static struct cairn_config *config_of(const char *uri)
{
    char flag[CAIRN_PATH_MAX + 64];
    const char *const none[] = {NULL};
    const char *const argv[] = {flag, NULL};
    struct cairn_config_input input = {
        .verb = 1u << CAIRN_VERB_query, .argc = uri == NULL ? 0 : 1, .argv = argv, .envp = none};
    struct cairn_config *config = NULL;
    struct cairn_err err;
    (void)snprintf(flag, sizeof(flag), "--postgres=%s", uri == NULL ? "" : uri);
    input.rows = cairn_options(&input.row_count);
    assert_ok(cairn_config_new(&input, &config, &err), &err);
    return config;
}

static enum cairn_rc init(const char *uri, struct cairn_database *database, struct cairn_err *err)
{
    struct cairn_config *config = config_of(uri);
    enum cairn_rc rc = cairn_database_init(database, config, err);
    cairn_config_free(config);
    return rc;
}

/* What --postgres=file:PATH makes of a file of this text. */
static enum cairn_rc init_file(const char *text, struct cairn_database *database,
                               struct cairn_err *err)
{
    char folder[TEST_FOLDER_SIZE];
    char uri[CAIRN_PATH_MAX];
    test_folder_make(folder, sizeof(folder), "database");
    test_folder_write(folder, "uri", text);
    (void)snprintf(uri, sizeof(uri), "file:%s/uri", folder);
    enum cairn_rc rc = init(uri, database, err);
    test_folder_remove(folder);
    return rc;
}

static void without_the_flag_there_is_none(void **state)
{
    struct cairn_database database;
    struct cairn_err err;
    (void)state;
    assert_ok(init(NULL, &database, &err), &err);
    assert_null(cairn_database_uri(&database));
    assert_null(database.reader);
    cairn_database_fini(&database);
}

static void a_uri_is_taken_as_it_stands(void **state)
{
    struct cairn_database database;
    struct cairn_err err;
    (void)state;
    assert_ok(init("postgresql://a:b%40@host/db?sslmode=require", &database, &err), &err);
    assert_string_equal(cairn_database_uri(&database),
                        "postgresql://a:b%40@host/db?sslmode=require");
    cairn_database_fini(&database);
}

static void a_file_gives_its_text_without_the_last_line_end(void **state)
{
    static const char *const texts[] = {"postgresql://a:secret@host/db\n",
                                        "postgresql://a:secret@host/db\r\n",
                                        "postgresql://a:secret@host/db"};
    struct cairn_database database;
    struct cairn_err err;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_ok(init_file(texts[i], &database, &err), &err);
        assert_string_equal(cairn_database_uri(&database), "postgresql://a:secret@host/db");
        cairn_database_fini(&database);
    }
    assert_null(cairn_database_uri(&database));
}

static void a_file_that_is_missing_or_too_long_is_told_by_the_flag(void **state)
{
    struct cairn_database database;
    struct cairn_err err;
    (void)state;
    assert_int_equal(init("file:/nonexistent/uri", &database, &err), CAIRN_ENOENT);
    assert_non_null(strstr(err.text, "--postgres"));
    assert_non_null(strstr(err.text, "/nonexistent/uri"));
    cairn_database_fini(&database);
    size_t size = (size_t)16 * 1024;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    assert_int_equal(init_file(text, &database, &err), CAIRN_ETOOBIG);
    assert_non_null(strstr(err.text, "--postgres"));
    assert_null(strstr(err.text, "xxxx"));
    cairn_database_fini(&database);
    free(text);
}

static void a_reader_needs_no_server_to_be_made(void **state)
{
    struct world world;
    struct cairn_database database;
    struct cairn_err err;
    (void)state;
    world_make(&world);
    world_load_domain(&world);
    assert_ok(init("postgresql://127.0.0.1:1/none", &database, &err), &err);
    assert_ok(cairn_database_open_reader(&database, world.domain, &err), &err);
    assert_non_null(database.reader);
    assert_string_equal(database.schema, "test");
    cairn_database_fini(&database);
    assert_int_equal(init("postgresql://[", &database, &err), CAIRN_EINVAL);
    cairn_database_fini(&database);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_flag_there_is_none),
        cmocka_unit_test(a_uri_is_taken_as_it_stands),
        cmocka_unit_test(a_file_gives_its_text_without_the_last_line_end),
        cmocka_unit_test(a_file_that_is_missing_or_too_long_is_told_by_the_flag),
        cmocka_unit_test(a_reader_needs_no_server_to_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
