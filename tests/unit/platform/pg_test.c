/* What needs no server: names, arrays, classes of failures, URIs, a pool that finds nobody. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/fault.h"
#include "platform/pg_int.h"

#include "tests/support/cm.h"

/* ---- names and arrays ---- */

static void a_quote_in_a_name_is_doubled(void **state)
{
    (void)state;
    struct cairn_buf out = {.max = 64};
    assert_int_equal(cairn_pg_quote_name(&out, CAIRN_SLICE_LIT("a\"b")), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&out), "\"a\"\"b\""));
    cairn_buf_fini(&out);
}

static void names_that_the_server_would_cut_or_refuse_are_refused(void **state)
{
    (void)state;
    struct cairn_buf out = {.max = 1024};
    char name[CAIRN_PG_NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof(name));
    assert_int_equal(cairn_pg_quote_name(&out, cairn_slice_of(name, sizeof(name))), CAIRN_EINVAL);
    assert_int_equal(cairn_pg_quote_name(&out, CAIRN_SLICE_NONE), CAIRN_EINVAL);
    assert_int_equal(cairn_pg_quote_name(&out, CAIRN_SLICE_LIT("a\0b")), CAIRN_EINVAL);
    assert_int_equal(out.size, 0);
    assert_int_equal(cairn_pg_quote_name(&out, cairn_slice_of(name, sizeof(name) - 1)), CAIRN_OK);
    assert_int_equal(out.size, sizeof(name) + 1);
    cairn_buf_fini(&out);
}

static void an_array_quotes_each_element_but_null(void **state)
{
    (void)state;
    const struct cairn_slice values[] = {CAIRN_SLICE_LIT("a"), CAIRN_SLICE_NONE,
                                         CAIRN_SLICE_LIT(""), CAIRN_SLICE_LIT("x\"y\\z,{}")};
    struct cairn_buf out = {.max = 64};
    assert_int_equal(cairn_pg_array(&out, values, 4), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&out), "{\"a\",NULL,\"\",\"x\\\"y\\\\z,{}\"}"));
    cairn_buf_truncate(&out, 0);
    assert_int_equal(cairn_pg_array(&out, NULL, 0), CAIRN_OK);
    assert_true(cairn_slice_is(cairn_buf_slice(&out), "{}"));
    cairn_buf_fini(&out);
}

static void an_array_fits_to_the_byte_or_leaves_nothing(void **state)
{
    (void)state;
    const struct cairn_slice values[] = {CAIRN_SLICE_LIT("a\"b"), CAIRN_SLICE_NONE};
    const char *whole = "{\"a\\\"b\",NULL}";
    for (size_t max = 1; max <= strlen(whole); max++) {
        struct cairn_buf out = {.max = max};
        enum cairn_rc rc = cairn_pg_array(&out, values, 2);
        assert_int_equal(rc, max == strlen(whole) ? CAIRN_OK : CAIRN_ETOOBIG);
        assert_int_equal(out.size, rc == CAIRN_OK ? max : 0);
        cairn_buf_fini(&out);
    }
}

/* ---- classes ---- */

static void each_sqlstate_has_the_class_of_the_page(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        enum cairn_rc rc;
    } expected[] = {
        {"", CAIRN_EBUSY},           {"08006", CAIRN_EBUSY},      {"57P01", CAIRN_EBUSY},
        {"57P02", CAIRN_EBUSY},      {"57P03", CAIRN_EBUSY},      {"53300", CAIRN_EBUSY},
        {"40001", CAIRN_EBUSY},      {"40P01", CAIRN_EBUSY},      {"55P03", CAIRN_EBUSY},
        {"53100", CAIRN_EFULL},      {"53200", CAIRN_EFULL},      {"42501", CAIRN_EFORBIDDEN},
        {"28P01", CAIRN_EFORBIDDEN}, {"28000", CAIRN_EFORBIDDEN}, {"3D000", CAIRN_EFORBIDDEN},
        {"57014", CAIRN_ETIMEDOUT},  {"22003", CAIRN_EINVAL},     {"23505", CAIRN_EINVAL},
        {"42601", CAIRN_EINVAL},     {"42P01", CAIRN_EINVAL},     {"40002", CAIRN_EINVAL},
        {"25P02", CAIRN_EINVAL},     {"0A000", CAIRN_EINVAL},     {"P0001", CAIRN_EINVAL},
        {"58030", CAIRN_EIO},        {"XX001", CAIRN_ECORRUPT},   {"XX000", CAIRN_EINTERNAL},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(cairn_pg_class(expected[i].sqlstate, false), expected[i].rc);
        assert_int_equal(cairn_pg_class(expected[i].sqlstate, true),
                         expected[i].rc == CAIRN_EFORBIDDEN ? CAIRN_EUNREACHABLE : expected[i].rc);
    }
}

static void a_standby_is_tried_again_by_who_means_to_write(void **state)
{
    (void)state;
    assert_int_equal(cairn_pg_class("25006", false), CAIRN_EBUSY);
    assert_int_equal(cairn_pg_class("25006", true), CAIRN_EINVAL);
}

static void words_of_a_failed_login_have_a_class(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum cairn_rc rc;
        const char *sqlstate;
    } expected[] = {
        {"connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
         "\tIs the server running on that host and accepting TCP/IP connections?\n",
         CAIRN_EBUSY, ""},
        {"connection to server at \"db\", port 1 failed: FATAL:  28P01: password authentication "
         "failed for user \"u\"\nLOCATION:  auth_failed, auth.c:326\n",
         CAIRN_EFORBIDDEN, "28P01"},
        {"connection to server at \"db\", port 1 failed: FATAL:  57P03: the database system is "
         "starting up\n",
         CAIRN_EBUSY, "57P03"},
        {"connection to server at \"db\", port 1 failed: FATAL:  53300: sorry, too many clients\n",
         CAIRN_EBUSY, "53300"},
        {"connection to server at \"db\", port 1 failed: FATAL:  3D000: database \"x\" does not "
         "exist\n",
         CAIRN_EFORBIDDEN, "3D000"},
        {"connection to server at \"a\", port 1 failed: FATAL:  28P01: no\nconnection to server at "
         "\"b\", port 1 failed: FATAL:  57P03: the database system is starting up\n",
         CAIRN_EBUSY, "57P03"},
        {"connection to server at \"db\", port 1 failed: SSL error: certificate verify failed\n",
         CAIRN_EFORBIDDEN, ""},
        {"connection to server at \"db\", port 1 failed: server does not support SSL, but SSL was "
         "required\n",
         CAIRN_EFORBIDDEN, ""},
        {"connection to server at \"db\", port 1 failed: SSL SYSCALL error: Connection reset\n",
         CAIRN_EBUSY, ""},
        {"connection to server at \"db\", port 1 failed: fe_sendauth: no password supplied\n",
         CAIRN_EFORBIDDEN, ""},
        {"could not translate host name \"db\" to address: Name or service not known\n",
         CAIRN_EBUSY, ""},
        {"invalid sslmode value: \"maybe\"\n", CAIRN_EINVAL, ""},
        {"could not match 2 port numbers to 3 hosts\n", CAIRN_EINVAL, ""},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char sqlstate[CAIRN_PG_SQLSTATE_BYTES + 1];
        assert_int_equal(cairn_pg_class_connect(expected[i].words, sqlstate), expected[i].rc);
        assert_string_equal(sqlstate, expected[i].sqlstate);
    }
}

/* ---- URIs ---- */

#define SECRET "s3cr"

/* Each holds the password whole or cut by its own characters, and none is one that libpq reads as
 * it was meant. */
static const char *const bad_uris[] = {
    "postgresql://u:" SECRET "/et@127.0.0.1:1/db",
    "postgresql://u:" SECRET "@et@127.0.0.1:1/db",
    "postgresql://u:" SECRET "%zz@127.0.0.1:1/db",
    "postgresql://u:" SECRET "/1@127.0.0.1:1/db",
    "postgresql://u:pass@127.0.0.1:" SECRET "/db",
    "postgresql://u:pass@127.0.0.1:1/db?password=" SECRET "&" SECRET,
    "postgresql://u:pass@127.0.0.1:1/db?" SECRET "=1",
    "host=127.0.0.1 password=a " SECRET,
    "host=127.0.0.1 password='" SECRET,
    "host=127.0.0.1 " SECRET "=1",
    "http://u:" SECRET "@127.0.0.1/",
};

static void a_uri_that_is_none_is_refused_and_its_password_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_uris) / sizeof(bad_uris[0]); i++) {
        struct cairn_pg_options options = {.uri = bad_uris[i]};
        struct cairn_pg *pg = NULL;
        struct cairn_pg_pool *pool = NULL;
        struct cairn_err err;
        assert_int_equal(cairn_pg_open(&options, &pg, &err), CAIRN_EINVAL);
        assert_null(strstr(err.text, SECRET));
        assert_null(pg);
        assert_int_equal(cairn_pg_pool_new(&options, 1, &pool, &err), CAIRN_EINVAL);
        assert_null(strstr(err.text, SECRET));
        assert_null(pool);
    }
}

static void uris_of_every_form_are_taken(void **state)
{
    (void)state;
    struct cairn_err err;
    static const char *const good[] = {
        "",
        "postgresql:///db?host=/tmp",
        "postgresql://u:p%40ss%2Fword@a:1,b:2/db?target_session_attrs=read-write",
        "postgres://[::1]:5432/db",
        "host=a,b port=1,2 dbname=x user=u@v password='a b'",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(cairn_pg_check_uri(good[i], &err), &err);
    }
}

/* ---- nobody there ---- */

/* A port of this machine that nobody listens at while the socket is open. */
static int take_port(char uri[128])
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(uri, 128, "postgresql://u:" SECRET "@127.0.0.1:%u/db", ntohs(address.sin_port));
    return fd;
}

static int64_t now_ms(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) / 1000000;
}

static void no_server_is_busy_at_once(void **state)
{
    (void)state;
    char uri[128];
    int fd = take_port(uri);
    struct cairn_pg_options options = {.uri = uri};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    assert_int_equal(cairn_pg_open(&options, &pg, &err), CAIRN_EBUSY);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_null(strstr(err.text, SECRET));
    assert_null(pg);
    (void)close(fd);
}

static void a_server_that_takes_the_connection_and_says_nothing_is_left(void **state)
{
    (void)state;
    char uri[128];
    int fd = take_port(uri);
    assert_int_equal(listen(fd, 1), 0);
    struct cairn_pg_options options = {.uri = uri, .connect_timeout_ms = 200};
    struct cairn_pg *pg = NULL;
    struct cairn_err err;
    int64_t began_ms = now_ms();
    assert_int_equal(cairn_pg_open(&options, &pg, &err), CAIRN_EBUSY);
    assert_true(now_ms() - began_ms >= 200);
    assert_non_null(strstr(err.text, "200 ms"));
    assert_null(strstr(err.text, SECRET));
    (void)close(fd);
}

/* How many connections wait at a socket that listens. */
static int64_t count_connections(int listener)
{
    int64_t count = 0;
    assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    for (int fd = accept(listener, NULL, NULL); fd >= 0; fd = accept(listener, NULL, NULL)) {
        (void)close(fd);
        count++;
    }
    return count;
}

static void a_pool_asks_a_server_that_is_away_once_a_second(void **state)
{
    (void)state;
    char uri[128];
    int fd = take_port(uri);
    assert_int_equal(listen(fd, CAIRN_PG_POOL_MAX), 0);
    struct cairn_pg_options options = {.uri = uri, .connect_timeout_ms = 300};
    struct cairn_pg_pool *pool = NULL;
    struct cairn_err err;
    assert_ok(cairn_pg_pool_new(&options, 4, &pool, &err), &err);
    struct cairn_pg *pg = NULL;
    int64_t began_ms = now_ms();
    assert_int_equal(cairn_pg_pool_acquire(pool, 10000, &pg, &err), CAIRN_EBUSY);
    for (int i = 0; i < 100; i++) {
        memset(&err, 0, sizeof(err));
        assert_int_equal(cairn_pg_pool_acquire(pool, 10000, &pg, &err), CAIRN_EBUSY);
        assert_non_null(strstr(err.text, "300 ms"));
    }
    assert_true(count_connections(fd) <= 1 + (now_ms() - began_ms) / 1000);
    unsigned open = 1;
    unsigned lent = 1;
    cairn_pg_pool_count(pool, &open, &lent);
    assert_int_equal(open, 0);
    assert_int_equal(lent, 0);
    cairn_pg_pool_free(pool);
    (void)close(fd);
}

static void a_pool_of_none_or_too_many_is_refused(void **state)
{
    (void)state;
    struct cairn_pg_options options = {.uri = ""};
    struct cairn_pg_pool *pool = NULL;
    struct cairn_err err;
    assert_int_equal(cairn_pg_pool_new(&options, 0, &pool, &err), CAIRN_EINVAL);
    assert_int_equal(cairn_pg_pool_new(&options, CAIRN_PG_POOL_MAX + 1, &pool, &err), CAIRN_EINVAL);
    cairn_pg_pool_free(NULL);
    cairn_pg_close(NULL);
    cairn_pg_result_free(NULL);
}

static void a_pool_without_memory_is_none(void **state)
{
    (void)state;
    skip_without_faults();
    struct cairn_pg_options options = {.uri = "host=a", .application = "b", .schema = "c"};
    for (int after = 0; after == 0 || cairn_fault_fired(CAIRN_FAULT_MEM); after++) {
        struct cairn_pg_pool *pool = NULL;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = cairn_pg_pool_new(&options, 1, &pool, &err);
        assert_int_equal(rc, cairn_fault_fired(CAIRN_FAULT_MEM) ? CAIRN_ENOMEM : CAIRN_OK);
        assert_int_equal(pool == NULL, rc != CAIRN_OK);
        cairn_pg_pool_free(pool);
    }
    cairn_fault_disarm();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quote_in_a_name_is_doubled),
        cmocka_unit_test(names_that_the_server_would_cut_or_refuse_are_refused),
        cmocka_unit_test(an_array_quotes_each_element_but_null),
        cmocka_unit_test(an_array_fits_to_the_byte_or_leaves_nothing),
        cmocka_unit_test(each_sqlstate_has_the_class_of_the_page),
        cmocka_unit_test(a_standby_is_tried_again_by_who_means_to_write),
        cmocka_unit_test(words_of_a_failed_login_have_a_class),
        cmocka_unit_test(a_uri_that_is_none_is_refused_and_its_password_kept),
        cmocka_unit_test(uris_of_every_form_are_taken),
        cmocka_unit_test(no_server_is_busy_at_once),
        cmocka_unit_test(a_server_that_takes_the_connection_and_says_nothing_is_left),
        cmocka_unit_test(a_pool_asks_a_server_that_is_away_once_a_second),
        cmocka_unit_test(a_pool_of_none_or_too_many_is_refused),
        cmocka_unit_test(a_pool_without_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
