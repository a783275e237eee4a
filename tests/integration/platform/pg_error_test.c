/* How a real PostgreSQL refuses, and what is told of it. */
#include <stdio.h>
#include <unistd.h>

#include "tests/integration/platform/pg_stage.h"

#define PASSWORD "s3cret-word"
/* What a statement that sleeps exceeds, and no other, on a machine that stands still for a while.
 */
#define SHORT_MS 5000

/* ---- statements ---- */

/* Each has its own way to come about; as an exception of a function they all pass here. */
static void each_sqlstate_of_the_page_has_its_class(void **state)
{
    struct pg_stage *stage = *state;
    static const struct {
        const char *sqlstate;
        enum cairn_rc rc;
    } raised[] = {
        {"53100", CAIRN_EFULL},  {"53200", CAIRN_EFULL},    {"40001", CAIRN_EBUSY},
        {"40P01", CAIRN_EBUSY},  {"55P03", CAIRN_EBUSY},    {"57014", CAIRN_ETIMEDOUT},
        {"22012", CAIRN_EINVAL}, {"23514", CAIRN_EINVAL},   {"42501", CAIRN_EFORBIDDEN},
        {"58030", CAIRN_EIO},    {"XX001", CAIRN_ECORRUPT}, {"P0001", CAIRN_EINVAL},
    };
    for (size_t i = 0; i < sizeof(raised) / sizeof(raised[0]); i++) {
        char sql[STAGE_TEXT_MAX];
        (void)snprintf(sql, sizeof(sql),
                       "DO $$BEGIN RAISE EXCEPTION 'no more' USING ERRCODE = '%s',"
                       " DETAIL = 'a row', HINT = 'another way'; END$$",
                       raised[i].sqlstate);
        assert_int_equal(cairn_pg_query(stage->pg, sql, NULL, 0, NULL, &stage->err), raised[i].rc);
        assert_string_equal(cairn_pg_sqlstate(stage->pg), raised[i].sqlstate);
        assert_non_null(strstr(stage->err.text, "no more"));
        assert_non_null(strstr(stage->err.text, raised[i].sqlstate));
        assert_non_null(strstr(stage->err.text, "another way"));
        assert_null(strstr(stage->err.text, "a row"));
        assert_false(cairn_pg_is_broken(stage->pg));
    }
}

static void the_place_of_a_fault_is_a_byte(void **state)
{
    struct pg_stage *stage = *state;
    /* Two characters of two bytes stand before it. */
    static const char sql[] = "SELECT '\xc3\xbc\xc3\xbc', nowhere";
    assert_int_equal(cairn_pg_run(stage->pg, sql, &stage->err), CAIRN_EINVAL);
    assert_int_equal(cairn_pg_error_at(stage->pg), strstr(sql, "nowhere") - sql + 1);
    assert_int_equal(cairn_pg_prepare(stage->pg, "one", sql, NULL, 0, &stage->err), CAIRN_EINVAL);
    assert_int_equal(cairn_pg_error_at(stage->pg), strstr(sql, "nowhere") - sql + 1);
    assert_int_equal(cairn_pg_query(stage->pg, "SELECT (", NULL, 0, NULL, &stage->err),
                     CAIRN_EINVAL);
    assert_int_equal(cairn_pg_error_at(stage->pg), 9);
    assert_string_equal(pg_stage_value(stage->pg, "SELECT 1"), "1");
    assert_int_equal(cairn_pg_error_at(stage->pg), 0);
}

static void a_failed_query_leaves_its_output_alone(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_result *result = NULL;
    assert_int_equal(cairn_pg_query(stage->pg, "SELECT 1/0", NULL, 0, &result, &stage->err),
                     CAIRN_EINVAL);
    assert_null(result);
}

static struct cairn_pg *open_with(const struct cairn_pg_options *options)
{
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    assert_ok(cairn_pg_open(options, &pg, &err), &err);
    return pg;
}

static void the_servers_statement_timeout_ends_a_statement_alone(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_options options = pg_stage_options(stage);
    options.statement_timeout_ms = SHORT_MS;
    struct cairn_pg *pg = open_with(&options);
    assert_int_equal(cairn_pg_query(pg, "SELECT pg_sleep(60)", NULL, 0, NULL, &stage->err),
                     CAIRN_ETIMEDOUT);
    assert_string_equal(cairn_pg_sqlstate(pg), "57014");
    assert_string_equal(pg_stage_value(pg, "SELECT 1"), "1");
    cairn_pg_close(pg);
}

static void a_server_too_silent_loses_the_connection(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_options options = pg_stage_options(stage);
    options.answer_timeout_ms = SHORT_MS;
    struct cairn_pg *pg = open_with(&options);
    int64_t backend = pg_stage_backend(pg);
    assert_int_equal(cairn_pg_query(pg, "SELECT pg_sleep(60)", NULL, 0, NULL, &stage->err),
                     CAIRN_EBUSY);
    assert_non_null(strstr(stage->err.text, "5000 ms"));
    assert_string_equal(cairn_pg_sqlstate(pg), "");
    assert_true(cairn_pg_is_broken(pg));
    assert_int_equal(cairn_pg_run(pg, "SELECT 1", &stage->err), CAIRN_EBUSY);
    cairn_pg_close(pg);
    pg_stage_terminate(stage->pg, backend);
}

static void a_lock_that_another_holds_is_waited_for_as_long_as_told(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE locked (n int)");
    pg_stage_run(stage->pg, "BEGIN; LOCK TABLE locked");
    struct cairn_pg_options options = pg_stage_options(stage);
    options.lock_timeout_ms = 50;
    struct cairn_pg *pg = open_with(&options);
    assert_int_equal(cairn_pg_run(pg, "SELECT * FROM locked", &stage->err), CAIRN_EBUSY);
    assert_string_equal(cairn_pg_sqlstate(pg), "55P03");
    pg_stage_run(stage->pg, "COMMIT");
    pg_stage_run(pg, "SELECT * FROM locked");
    cairn_pg_close(pg);
}

static void of_two_serializable_writers_one_is_told_to_try_again(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)");
    struct cairn_pg *other = pg_stage_open(stage);
    static const char begin[] = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT n FROM counter";
    pg_stage_run(stage->pg, begin);
    pg_stage_run(other, begin);
    pg_stage_run(stage->pg, "UPDATE counter SET n = n + 1; COMMIT");
    assert_int_equal(cairn_pg_run(other, "UPDATE counter SET n = n + 1", &stage->err), CAIRN_EBUSY);
    assert_string_equal(cairn_pg_sqlstate(other), "40001");
    assert_false(cairn_pg_is_broken(other));
    cairn_pg_close(other);
}

static void a_read_only_session_refuses_to_write_as_the_statements_fault(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE kept (n int)");
    struct cairn_pg_options options = pg_stage_options(stage);
    options.read_only = true;
    struct cairn_pg *pg = open_with(&options);
    assert_int_equal(cairn_pg_run(pg, "INSERT INTO kept VALUES (1)", &stage->err), CAIRN_EINVAL);
    assert_string_equal(cairn_pg_sqlstate(pg), "25006");
    assert_false(cairn_pg_is_broken(pg));
    cairn_pg_close(pg);
}

static void a_session_that_means_to_write_leaves_a_server_that_only_reads(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE TABLE kept (n int)");
    struct cairn_pg *pg = pg_stage_open(stage);
    /* As a standby has it, for good. */
    pg_stage_run(pg, "SET default_transaction_read_only = on");
    assert_int_equal(cairn_pg_run(pg, "INSERT INTO kept VALUES (1)", &stage->err), CAIRN_EBUSY);
    assert_true(cairn_pg_is_broken(pg));
    cairn_pg_close(pg);
}

static void a_terminated_connection_tells_who_ended_it(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg *other = pg_stage_open(stage);
    pg_stage_terminate(stage->pg, pg_stage_backend(other));
    assert_int_equal(cairn_pg_query(other, "SELECT 1", NULL, 0, NULL, &stage->err), CAIRN_EBUSY);
    assert_string_equal(cairn_pg_sqlstate(other), "57P01");
    assert_true(cairn_pg_is_broken(other));
    cairn_pg_close(other);
}

static void notices_are_not_printed(void **state)
{
    struct pg_stage *stage = *state;
    int saved = dup(2);
    FILE *caught = tmpfile();
    assert_true(saved >= 0 && caught != NULL && dup2(fileno(caught), 2) == 2);
    pg_stage_run(stage->pg, "DO $$BEGIN RAISE WARNING 'a payload'; END$$");
    assert_int_equal(dup2(saved, 2), 2);
    (void)close(saved);
    assert_int_equal(fseek(caught, 0, SEEK_END), 0);
    assert_int_equal(ftell(caught), 0);
    (void)fclose(caught);
}

/* ---- logins ---- */

static void fail_to_open(const char *uri, enum cairn_rc rc, const char *words)
{
    struct cairn_pg_options options = {.uri = uri};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    enum cairn_rc got = cairn_pg_open(&options, &pg, &err);
    if (got != rc || strstr(err.text, words) == NULL || strstr(err.text, PASSWORD) != NULL) {
        fail_msg("%s: %s", cairn_err_info(got)->name, err.text);
    }
    assert_null(strstr(err.text, "LOCATION"));
    assert_null(strchr(err.text, '\n'));
    assert_null(pg);
}

static void a_wrong_password_is_forbidden_and_not_told(void **state)
{
    (void)state;
    char *uri = pg_stage_uri_as("nobody_here", PASSWORD);
    fail_to_open(uri, CAIRN_EFORBIDDEN, "28P01");
    test_free(uri);
}

static void a_missing_database_is_forbidden(void **state)
{
    (void)state;
    char uri[STAGE_TEXT_MAX];
    const char *path = strrchr(pg_stage_uri(), '/');
    (void)snprintf(uri, sizeof(uri), "%.*s/none_such", (int)(path - pg_stage_uri()),
                   pg_stage_uri());
    fail_to_open(uri, CAIRN_EFORBIDDEN, "none_such");
}

static void tls_that_the_server_does_not_speak_is_forbidden(void **state)
{
    (void)state;
    char uri[STAGE_TEXT_MAX];
    (void)snprintf(uri, sizeof(uri), "%s?sslmode=require", pg_stage_uri());
    fail_to_open(uri, CAIRN_EFORBIDDEN, "SSL");
}

static void a_server_that_is_full_is_tried_again(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD '" PASSWORD "'");
    char *uri = pg_stage_uri_as("crowded", PASSWORD);
    fail_to_open(uri, CAIRN_EBUSY, "53300");
    test_free(uri);
    pg_stage_run(stage->pg, "DROP ROLE crowded");
}

static void a_host_that_is_away_is_passed_over_for_the_next(void **state)
{
    struct pg_stage *stage = *state;
    char uri[STAGE_TEXT_MAX];
    const char *host = strrchr(pg_stage_uri(), '@') + 1;
    (void)snprintf(uri, sizeof(uri), "%.*s127.0.0.1:1,%s?target_session_attrs=read-write",
                   (int)(host - pg_stage_uri()), pg_stage_uri(), host);
    struct cairn_pg_options options = {.uri = uri};
    struct cairn_pg *pg = NULL;
    assert_ok(cairn_pg_open(&options, &pg, &stage->err), &stage->err);
    assert_string_equal(pg_stage_value(pg, "SELECT 1"), "1");
    cairn_pg_close(pg);
}

static void a_role_without_rights_is_forbidden(void **state)
{
    struct pg_stage *stage = *state;
    pg_stage_run(stage->pg, "CREATE ROLE poor LOGIN PASSWORD '" PASSWORD "'; CREATE TABLE rich ()");
    char *uri = pg_stage_uri_as("poor", PASSWORD);
    struct cairn_pg_options options = {.uri = uri, .schema = stage->schema};
    struct cairn_pg *pg = open_with(&options);
    char sql[STAGE_TEXT_MAX];
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM \"%s\".rich", stage->schema);
    assert_int_equal(cairn_pg_run(pg, sql, &stage->err), CAIRN_EFORBIDDEN);
    assert_string_equal(cairn_pg_sqlstate(pg), "42501");
    cairn_pg_close(pg);
    test_free(uri);
    pg_stage_run(stage->pg, "DROP ROLE poor");
}

static void a_schema_that_is_no_name_is_refused(void **state)
{
    struct pg_stage *stage = *state;
    struct cairn_pg_options options = {.uri = pg_stage_uri(), .schema = ""};
    struct cairn_pg *pg = NULL;
    assert_int_equal(cairn_pg_open(&options, &pg, &stage->err), CAIRN_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pg_stage_setup, pg_stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_sqlstate_of_the_page_has_its_class),
        TEST(the_place_of_a_fault_is_a_byte),
        TEST(a_failed_query_leaves_its_output_alone),
        TEST(the_servers_statement_timeout_ends_a_statement_alone),
        TEST(a_server_too_silent_loses_the_connection),
        TEST(a_lock_that_another_holds_is_waited_for_as_long_as_told),
        TEST(of_two_serializable_writers_one_is_told_to_try_again),
        TEST(a_read_only_session_refuses_to_write_as_the_statements_fault),
        TEST(a_session_that_means_to_write_leaves_a_server_that_only_reads),
        TEST(a_terminated_connection_tells_who_ended_it),
        TEST(notices_are_not_printed),
        TEST(a_wrong_password_is_forbidden_and_not_told),
        TEST(a_missing_database_is_forbidden),
        TEST(tls_that_the_server_does_not_speak_is_forbidden),
        TEST(a_server_that_is_full_is_tried_again),
        TEST(a_host_that_is_away_is_passed_over_for_the_next),
        TEST(a_role_without_rights_is_forbidden),
        TEST(a_schema_that_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
