#include "platform/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/fault.h"
#include "platform/file.h"

#include "tests/support/cm.h"

enum { SERVE = 1, SEND = 2, BOTH = SERVE | SEND };

static const struct cairn_config_row rows[] = {
    {"data", CAIRN_CONFIG_TEXT, "DIR", "./cairn-data", 0, 0, NULL, BOTH, "The data folder."},
    {"config", CAIRN_CONFIG_TEXT, "FILE", NULL, 0, 0, NULL, BOTH, "A file of settings."},
    {"postgres", CAIRN_CONFIG_TEXT, "URI", NULL, 0, 0, NULL, SERVE, "Where SQL views live."},
    {"threads", CAIRN_CONFIG_UINT, "N", "4", 1, 64, NULL, SERVE, "Threads that answer."},
    {"map-size", CAIRN_CONFIG_BYTES, "SIZE", "1G", 4096, UINT64_C(1) << 40, NULL, SERVE,
     "Most bytes of the index."},
    {"idle-timeout", CAIRN_CONFIG_DURATION, "TIME", "30s", 0, 3600000, NULL, SERVE,
     "How long a connection may be idle before it is closed by the server; short values free "
     "threads, long ones save handshakes."},
    {"fsync", CAIRN_CONFIG_BOOL, NULL, "true", 0, 0, NULL, SERVE, "Wait for the disk."},
    {"json", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, SEND, "One line of JSON."},
    {"log-level", CAIRN_CONFIG_CHOICE, NULL, "info", 0, 0, "debug|info|warn|error", BOTH,
     "The least level that is logged."},
    {"token-secret", CAIRN_CONFIG_TEXT, "TEXT", NULL, 0, 0, NULL, SERVE, "Signs tokens."},
    {"property", CAIRN_CONFIG_LIST, "NAME=VALUE", NULL, 0, 0, NULL, SERVE, "Passed through."},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

/* Arguments and environment as lists that end with NULL. */
static enum cairn_rc parse(unsigned verb, const char *const *args, const char *const *env,
                           struct cairn_config **ret_config, struct cairn_err *err)
{
    struct cairn_config_input input = {
        .rows = rows, .row_count = ROW_COUNT, .verb = verb, .argv = args, .envp = env};
    while (args != NULL && args[input.argc] != NULL) {
        input.argc++;
    }
    return cairn_config_new(&input, ret_config, err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct cairn_config *parse_ok(const char *const *args, const char *const *env)
{
    struct cairn_config *config = NULL;
    struct cairn_err err;
    assert_ok(parse(SERVE, args, env, &config, &err), &err);
    return config;
}

static void assert_refused(const char *const *args, const char *const *env, const char *text)
{
    struct cairn_config *config = NULL;
    struct cairn_err err;
    assert_int_equal(parse(SERVE, args, env, &config, &err), CAIRN_EINVAL);
    assert_null(config);
    assert_string_equal(err.text, text);
}

/* A file of settings under a name that mkstemp made. */
static const char *write_file(char path[64], const char *content)
{
    struct cairn_err err;
    (void)snprintf(path, 64, "/tmp/cairn-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_ok(cairn_file_replace(path, cairn_slice_str(content), &err), &err);
    return path;
}

static void without_input_the_defaults_are_in_force(void **state)
{
    (void)state;
    struct cairn_config *config = parse_ok(NULL, NULL);
    assert_string_equal(cairn_config_text(config, "data"), "./cairn-data");
    assert_null(cairn_config_text(config, "postgres"));
    assert_int_equal(cairn_config_uint(config, "threads"), 4);
    assert_int_equal(cairn_config_uint(config, "map-size"), 1 << 30);
    assert_int_equal(cairn_config_uint(config, "idle-timeout"), 30000);
    assert_true(cairn_config_bool(config, "fsync"));
    assert_int_equal(cairn_config_uint(config, "log-level"), 1);
    assert_int_equal(cairn_config_source_of(config, "data"), CAIRN_FROM_DEFAULT);
    assert_int_equal(cairn_config_operand_count(config), 0);
    assert_false(cairn_config_wants_help(config));
    cairn_config_free(config);
    cairn_config_free(NULL);
}

static void a_flag_wins_over_environment_over_file_over_default(void **state)
{
    (void)state;
    char path[64];
    write_file(path, "threads = 10\nidle-timeout = 1m\nlog-level = warn\n");
    struct cairn_config *config =
        parse_ok(ARGS("--threads", "30", "--config", path),
                 ARGS("CAIRN_THREADS=20", "CAIRN_IDLE_TIMEOUT=2s", "HOME=/", "CAIRNS=1",
                      "CAIRN_PORT=tcp://10.0.0.1:80"));
    assert_int_equal(cairn_config_uint(config, "threads"), 30);
    assert_int_equal(cairn_config_source_of(config, "threads"), CAIRN_FROM_FLAG);
    assert_int_equal(cairn_config_uint(config, "idle-timeout"), 2000);
    assert_int_equal(cairn_config_source_of(config, "idle-timeout"), CAIRN_FROM_ENVIRONMENT);
    assert_string_equal(cairn_config_text(config, "log-level"), "warn");
    assert_int_equal(cairn_config_source_of(config, "log-level"), CAIRN_FROM_FILE);
    assert_int_equal(cairn_config_source_of(config, "data"), CAIRN_FROM_DEFAULT);
    cairn_config_free(config);
    char name[80];
    (void)snprintf(name, sizeof(name), "CAIRN_CONFIG=%s", path);
    config = parse_ok(NULL, ARGS(name));
    assert_int_equal(cairn_config_uint(config, "threads"), 10);
    cairn_config_free(config);
    (void)unlink(path);
}

static void flags_take_values_behind_a_space_or_an_equals_sign(void **state)
{
    (void)state;
    struct cairn_config *config = parse_ok(
        ARGS("dom", "--threads=7", "--data", "-odd", "--no-fsync", "-", "--", "--json", "-x"),
        NULL);
    assert_int_equal(cairn_config_uint(config, "threads"), 7);
    assert_string_equal(cairn_config_text(config, "data"), "-odd");
    assert_false(cairn_config_bool(config, "fsync"));
    assert_int_equal(cairn_config_operand_count(config), 4);
    assert_string_equal(cairn_config_operand(config, 0), "dom");
    assert_string_equal(cairn_config_operand(config, 1), "-");
    assert_string_equal(cairn_config_operand(config, 2), "--json");
    assert_string_equal(cairn_config_operand(config, 3), "-x");
    cairn_config_free(config);
    config = parse_ok(ARGS("--fsync=false", "--data=", "--postgres=a=b", "--threads=1",
                           "--threads=2", "--fsync", "dom"),
                      NULL);
    assert_true(cairn_config_bool(config, "fsync"));
    assert_string_equal(cairn_config_text(config, "data"), "");
    assert_string_equal(cairn_config_text(config, "postgres"), "a=b");
    assert_int_equal(cairn_config_uint(config, "threads"), 2);
    assert_int_equal(cairn_config_operand_count(config), 1);
    cairn_config_free(config);
}

static void operands_are_counted_once_when_a_file_is_read_too(void **state)
{
    (void)state;
    char path[64];
    write_file(path, "threads = 3\n");
    struct cairn_config *config = parse_ok(ARGS("one", "--config", path, "two"), NULL);
    assert_int_equal(cairn_config_operand_count(config), 2);
    assert_string_equal(cairn_config_operand(config, 1), "two");
    assert_int_equal(cairn_config_uint(config, "threads"), 3);
    cairn_config_free(config);
    (void)unlink(path);
}

static void help_is_a_wish_and_needs_no_file(void **state)
{
    (void)state;
    struct cairn_config *config = parse_ok(ARGS("--config", "/nowhere/at/all", "--help"), NULL);
    assert_true(cairn_config_wants_help(config));
    cairn_config_free(config);
    config = parse_ok(ARGS("-h"), NULL);
    assert_true(cairn_config_wants_help(config));
    cairn_config_free(config);
}

static void numbers_sizes_and_times_are_read_within_their_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        const char *name;
        uint64_t wanted;
    } good[] = {
        {"--threads=1", "threads", 1},
        {"--threads=64", "threads", 64},
        {"--map-size=4096", "map-size", 4096},
        {"--map-size=512K", "map-size", 512 << 10},
        {"--map-size=3M", "map-size", 3 << 20},
        {"--map-size=1024G", "map-size", UINT64_C(1) << 40},
        {"--idle-timeout=0s", "idle-timeout", 0},
        {"--idle-timeout=250ms", "idle-timeout", 250},
        {"--idle-timeout=5m", "idle-timeout", 300000},
        {"--idle-timeout=1h", "idle-timeout", 3600000},
        {"--log-level=error", "log-level", 3},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct cairn_config *config = parse_ok(ARGS(good[i].flag), NULL);
        assert_true(cairn_config_uint(config, good[i].name) == good[i].wanted);
        cairn_config_free(config);
    }
    static const char *const bad[] = {
        "--threads=0",
        "--threads=65",
        "--threads=",
        "--threads=-1",
        "--threads=4 ",
        "--threads=4K",
        "--threads=0x4",
        "--map-size=4095",
        "--map-size=1025G",
        "--map-size=1g",
        "--map-size=K",
        "--map-size=1KB",
        "--map-size=1.5G",
        "--idle-timeout=5",
        "--idle-timeout=2h",
        "--idle-timeout=5 s",
        "--idle-timeout=s",
        "--fsync=yes",
        "--fsync=",
        "--log-level=inf",
        "--log-level=",
        "--log-level=a|b",
        "--log-level=debug|",
        "--no-fsync=true",
        "--data=a\nb",
        "--data=\x7f",
        "--map-size=99999999999999999999",
        "--map-size=18446744073709551615G",
        "--map-size=17179869185G", /* 2^64 + 1 GiB, which would wrap into bounds */

        "--idle-timeout=18446744073709551615h",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cairn_config *config = NULL;
        struct cairn_err err;
        if (parse(SERVE, ARGS(bad[i]), NULL, &config, &err) != CAIRN_EINVAL || config != NULL) {
            fail_msg("%s is refused", bad[i]);
        }
    }
}

static void a_refusal_names_the_flag_what_was_wrong_and_what_is_allowed(void **state)
{
    (void)state;
    assert_refused(ARGS("--threads", "many"), NULL,
                   "--threads takes a number from 1 to 64, not \"many\"");
    assert_refused(ARGS("--map-size=big"), NULL,
                   "--map-size takes a size like 512K, 64M or 1G, from 4096 to 1099511627776 "
                   "bytes, not \"big\"");
    assert_refused(NULL, ARGS("CAIRN_IDLE_TIMEOUT=5"),
                   "CAIRN_IDLE_TIMEOUT takes a time like 250ms, 30s, 5m or 1h, from 0 to 3600000 "
                   "ms, not \"5\"");
    assert_refused(ARGS("--log-level", "loud"), NULL,
                   "--log-level takes one of debug|info|warn|error, not \"loud\"");
    assert_refused(ARGS("--fsync=1"), NULL, "--fsync takes true or false, not \"1\"");
    assert_refused(ARGS("--data"), NULL, "--data needs a value: --data DIR");
    assert_refused(ARGS("-x"), NULL, "unknown flag -x; see --help");
}

static void an_unknown_name_is_answered_with_a_near_one(void **state)
{
    (void)state;
    assert_refused(ARGS("--thread", "4"), NULL, "unknown flag --thread; did you mean --threads?");
    assert_refused(ARGS("--idle_timeuot=4s"), NULL, "unknown flag --idle_timeuot; see --help");
    assert_refused(ARGS("--idle_timeout=4s"), NULL,
                   "unknown flag --idle_timeout; did you mean --idle-timeout?");
    assert_refused(ARGS("--dat", "x"), NULL, "unknown flag --dat; did you mean --data?");
    assert_refused(ARGS("--zzzz"), NULL, "unknown flag --zzzz; see --help");
    assert_refused(ARGS("--no-threads"), NULL, "unknown flag --no-threads; see --help");
}

static void a_flag_of_another_verb_is_unknown_but_its_environment_is_not(void **state)
{
    (void)state;
    assert_refused(ARGS("--json"), NULL, "unknown flag --json; see --help");
    struct cairn_config *config = parse_ok(NULL, ARGS("CAIRN_JSON=true"));
    assert_true(cairn_config_bool(config, "json"));
    cairn_config_free(config);
}

static void a_file_takes_comments_blank_lines_and_either_line_end(void **state)
{
    (void)state;
    char path[64];
    write_file(path, "# settings\r\n\n  threads=9   # nine\r\n\tdata = /a#b # c\npostgres = \n"
                     "#threads = 1\njson = true");
    struct cairn_config *config = parse_ok(ARGS("--config", path), NULL);
    assert_int_equal(cairn_config_uint(config, "threads"), 9);
    assert_string_equal(cairn_config_text(config, "data"), "/a#b");
    assert_string_equal(cairn_config_text(config, "postgres"), "");
    assert_true(cairn_config_bool(config, "json"));
    cairn_config_free(config);
    (void)unlink(path);
}

static void a_faulty_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        const char *wanted;
    } cases[] = {
        {"threads = 4\nnonsense\n", ":2: a line is NAME = VALUE"},
        {"threads = 0\n", ":1 takes a number from 1 to 64, not \"0\""},
        {"threads = 4\nthreads = 5\n", ":2: threads is said twice, first at "},
        {"\nthread = 4\n", ":2: unknown name thread; did you mean threads?"},
        {"config = other\n", ":1: a file cannot name another one"},
        {"data = a\x01z\n", ":1 holds a control character"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[64];
        struct cairn_config *config = NULL;
        struct cairn_err err;
        write_file(path, cases[i].content);
        assert_int_equal(parse(SERVE, ARGS("--config", path), NULL, &config, &err), CAIRN_EINVAL);
        if (strstr(err.text, cases[i].wanted) == NULL) {
            fail_msg("\"%s\" says \"%s\"", err.text, cases[i].wanted);
        }
        (void)unlink(path);
    }
    struct cairn_config *config = NULL;
    struct cairn_err err;
    assert_int_equal(parse(SERVE, ARGS("--config", "/nowhere/at/all"), NULL, &config, &err),
                     CAIRN_EINVAL);
    assert_string_equal(err.text, "--config: open /nowhere/at/all: No such file or directory");
}

static void assert_text(struct cairn_buf *out, const char *wanted)
{
    assert_int_equal(cairn_buf_append_byte(out, '\0'), CAIRN_OK);
    assert_string_equal(out->data, wanted);
    cairn_buf_fini(out);
}

static void print_tells_each_value_and_its_source(void **state)
{
    (void)state;
    char path[64];
    char wanted[1024];
    write_file(path, "# a comment\nmap-size = 2G\n");
    struct cairn_config *config = parse_ok(
        ARGS("--config", path, "--threads=8", "--token-secret=abc"), ARGS("CAIRN_FSYNC=false"));
    struct cairn_buf out = {.max = 4096};
    assert_int_equal(cairn_config_print(config, &out), CAIRN_OK);
    (void)snprintf(wanted, sizeof(wanted),
                   "data = ./cairn-data   # from the default\n"
                   "config = %s   # from the flag --config\n"
                   "# postgres is not set\n"
                   "threads = 8   # from the flag --threads\n"
                   "map-size = 2G   # from the file %s:2\n"
                   "idle-timeout = 30s   # from the default\n"
                   "fsync = false   # from the environment CAIRN_FSYNC\n"
                   "log-level = info   # from the default\n"
                   "token-secret = ********   # from the flag --token-secret\n"
                   "# property is not set\n",
                   path, path);
    assert_text(&out, wanted);
    cairn_config_free(config);
    (void)unlink(path);
}

static void print_never_shows_a_password(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *shown;
    } cases[] = {
        {"postgresql://ann:s3cret@db/x", "postgresql://ann:********@db/x"},
        {"postgresql://ann:s3@cr/et@db/x", "postgresql://ann:********@db/x"},
        {"postgresql://ann@db:5432/x", "postgresql://ann@db:5432/x"},
        {"postgresql://db:5432/x", "postgresql://db:5432/x"},
        {"postgresql://db/x?password=s3cret", "postgresql://db/x?password=********"},
        {"postgresql://a:s3cret@db/x?password=s3cret", "postgresql://a:********@db/x?password="
                                                       "********"},
        {"host=db password=s3cret", "host=db password=********"},
        {"://", "://"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char wanted[128];
        struct cairn_config *config = parse_ok(ARGS("--postgres", cases[i].given), NULL);
        struct cairn_buf out = {.max = 4096};
        assert_int_equal(cairn_config_print(config, &out), CAIRN_OK);
        assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
        (void)snprintf(wanted, sizeof(wanted), "\npostgres = %s   #", cases[i].shown);
        assert_non_null(strstr(out.data, wanted));
        assert_null(strstr(out.data, "s3"));
        cairn_buf_fini(&out);
        cairn_config_free(config);
    }
}

static void a_list_is_what_one_source_says_in_all(void **state)
{
    (void)state;
    char path[64];
    write_file(path, "property = a=1\nthreads = 9\nproperty = b=x,y\n");
    struct cairn_config *config = parse_ok(ARGS("--config", path), NULL);
    assert_string_equal(cairn_config_text(config, "property"), "a=1\nb=x,y");
    assert_int_equal(cairn_config_source_of(config, "property"), CAIRN_FROM_FILE);
    cairn_config_free(config);
    config = parse_ok(ARGS("--config", path), ARGS("CAIRN_PROPERTY=c=2\nd=3\n"));
    assert_string_equal(cairn_config_text(config, "property"), "c=2\nd=3\n");
    assert_int_equal(cairn_config_source_of(config, "property"), CAIRN_FROM_ENVIRONMENT);
    cairn_config_free(config);
    config = parse_ok(ARGS("--property", "e=4", "--config", path, "--property=f=5"),
                      ARGS("CAIRN_PROPERTY=c=2"));
    assert_string_equal(cairn_config_text(config, "property"), "e=4\nf=5");
    cairn_config_free(config);
    write_file(path, "threads = 9\n"); /* read twice, counted once */
    config = parse_ok(ARGS("--property", "e=4", "--config", path, "--property=f=5"), NULL);
    assert_string_equal(cairn_config_text(config, "property"), "e=4\nf=5");
    cairn_config_free(config);
    config = parse_ok(NULL, NULL);
    assert_null(cairn_config_text(config, "property"));
    cairn_config_free(config);
    assert_refused(ARGS("--property", "a=\x01"), NULL, "--property holds a control character");
    assert_refused(ARGS("--data", "a\nb"), NULL, "--data holds a control character");
    (void)unlink(path);
}

static void print_tells_a_list_item_by_item_without_secrets(void **state)
{
    (void)state;
    struct cairn_config *config =
        parse_ok(ARGS("--property", "sasl.password=s3cret", "--property", "ssl.key.pem=s3cret",
                      "--property", "sasl.oauthbearer.config=s3cret", "--property",
                      "my.secret.value=s3cret", "--property", "sasl.mechanisms=PLAIN"),
                 NULL);
    struct cairn_buf out = {.max = 4096};
    assert_int_equal(cairn_config_print(config, &out), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_non_null(strstr(out.data,
                           "property = sasl.password=********   # from the flag --property\n"
                           "property = ssl.key.pem=********   # from the flag --property\n"
                           "property = sasl.oauthbearer.config=********   # from the flag "
                           "--property\n"
                           "property = my.secret.value=********   # from the flag --property\n"
                           "property = sasl.mechanisms=PLAIN   # from the flag --property\n"));
    assert_null(strstr(out.data, "s3"));
    cairn_buf_fini(&out);
    cairn_config_free(config);
}

static void help_lists_the_verbs_flags_within_80_columns(void **state)
{
    (void)state;
    struct cairn_buf out = {.max = 8192};
    assert_int_equal(cairn_config_help(rows, ROW_COUNT, SEND, &out), CAIRN_OK);
    assert_text(&out, "  --data DIR              The data folder. Default: ./cairn-data\n"
                      "  --config FILE           A file of settings.\n"
                      "  --json                  One line of JSON.\n"
                      "  --log-level debug|info|warn|error\n"
                      "                          The least level that is logged. Default: info\n");
    out = (struct cairn_buf){.max = 8192};
    assert_int_equal(cairn_config_help(rows, ROW_COUNT, SERVE, &out), CAIRN_OK);
    struct cairn_slice rest = cairn_buf_slice(&out);
    while (rest.size > 0) {
        size_t size = cairn_slice_find(rest, '\n');
        assert_true(size <= 80);
        assert_true(rest.data[size - 1] != ' ');
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
    }
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_non_null(strstr(out.data, "  --[no-]fsync            Wait for the disk.\n"));
    cairn_buf_fini(&out);
}

static void the_reference_is_a_table_of_all_rows(void **state)
{
    (void)state;
    struct cairn_buf out = {.max = 8192};
    assert_int_equal(cairn_config_reference(rows, ROW_COUNT, &out), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_non_null(strstr(out.data, "| `--log-level` | `CAIRN_LOG_LEVEL` | "
                                     "`debug\\|info\\|warn\\|error` | `info` | The least level "
                                     "that is logged. |\n"));
    assert_non_null(strstr(out.data, "| `--postgres` | `CAIRN_POSTGRES` | text | none | "));
    cairn_buf_fini(&out);
}

static void roff_escapes_what_roff_would_read(void **state)
{
    (void)state;
    static const struct cairn_config_row odd[] = {
        {"dry-run", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, SEND, ".starts with a \\ dot."},
        {"out", CAIRN_CONFIG_TEXT, "FILE", "a-b", 0, 0, NULL, SEND, "Where to."},
    };
    struct cairn_buf out = {.max = 4096};
    assert_int_equal(cairn_config_roff(odd, 2, SEND, &out), CAIRN_OK);
    assert_text(&out, ".TP\n\\fB\\-\\-dry\\-run\\fR\n\\&.starts with a \\e dot.\n"
                      ".TP\n\\fB\\-\\-out\\fR \\fIFILE\\fR\nWhere to.\nDefault: a\\-b\n");
}

static void a_parse_without_memory_fails_whole(void **state)
{
    (void)state;
    char path[64];
    write_file(path, "threads = 9\n");
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct cairn_config *config = NULL;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = parse(SERVE, ARGS("--config", path, "--property=a", "--property=b"),
                                 NULL, &config, NULL);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(rc, fired ? CAIRN_ENOMEM : CAIRN_OK);
        assert_int_equal(fired, config == NULL);
        cairn_config_free(config);
    }
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_input_the_defaults_are_in_force),
        cmocka_unit_test(a_flag_wins_over_environment_over_file_over_default),
        cmocka_unit_test(flags_take_values_behind_a_space_or_an_equals_sign),
        cmocka_unit_test(operands_are_counted_once_when_a_file_is_read_too),
        cmocka_unit_test(help_is_a_wish_and_needs_no_file),
        cmocka_unit_test(numbers_sizes_and_times_are_read_within_their_bounds),
        cmocka_unit_test(a_refusal_names_the_flag_what_was_wrong_and_what_is_allowed),
        cmocka_unit_test(an_unknown_name_is_answered_with_a_near_one),
        cmocka_unit_test(a_flag_of_another_verb_is_unknown_but_its_environment_is_not),
        cmocka_unit_test(a_file_takes_comments_blank_lines_and_either_line_end),
        cmocka_unit_test(a_faulty_file_is_refused_with_its_line),
        cmocka_unit_test(print_tells_each_value_and_its_source),
        cmocka_unit_test(print_never_shows_a_password),
        cmocka_unit_test(a_list_is_what_one_source_says_in_all),
        cmocka_unit_test(print_tells_a_list_item_by_item_without_secrets),
        cmocka_unit_test(help_lists_the_verbs_flags_within_80_columns),
        cmocka_unit_test(the_reference_is_a_table_of_all_rows),
        cmocka_unit_test(roff_escapes_what_roff_would_read),
        cmocka_unit_test(a_parse_without_memory_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
