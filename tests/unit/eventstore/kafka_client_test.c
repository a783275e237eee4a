#include "eventstore/kafka_client.h"

#include <stdio.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "platform/fault.h"
#include "platform/file.h"
#include "platform/mem.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

enum { SEEN_MAX = 4096, LOG_MAX = 65536, WAIT_MS = 60000 };

/* What was handed over, "name=value;" each. */
struct seen {
    char text[SEEN_MAX];
    size_t size;
};

static enum cairn_rc take(void *self, const char *name, const char *value, struct cairn_err *err)
{
    (void)err;
    struct seen *seen = self;
    int used = snprintf(seen->text + seen->size, SEEN_MAX - seen->size, "%s=%s;", name, value);
    assert_true(used > 0 && (size_t)used < SEEN_MAX - seen->size);
    seen->size += (size_t)used;
    return CAIRN_OK;
}

static void assert_refused(const char *text, enum cairn_rc rc, const char *words)
{
    struct seen seen = {.size = 0};
    struct cairn_err err;
    assert_int_equal(cairn_kafka_properties_read(text, take, &seen, &err), rc);
    if (strstr(err.text, words) == NULL) {
        fail_msg("\"%s\" says nothing of \"%s\"", err.text, words);
    }
}

static void properties_are_lines_of_name_and_value(void **state)
{
    (void)state;
    struct seen seen = {.size = 0};
    struct cairn_err err;
    assert_ok(cairn_kafka_properties_read("a.b=1\n\n c = x=y \nempty=\n", take, &seen, &err), &err);
    assert_string_equal(seen.text, "a.b=1;c=x=y;empty=;");
    seen.size = 0;
    assert_ok(cairn_kafka_properties_read(NULL, take, &seen, &err), &err);
    assert_ok(cairn_kafka_properties_read("", take, &seen, &err), &err);
    assert_int_equal(seen.size, 0);
}

static void a_line_that_is_no_property_is_refused(void **state)
{
    (void)state;
    assert_refused("ssl", CAIRN_EINVAL, "NAME=VALUE");
    assert_refused("=x", CAIRN_EINVAL, "1 to 128 bytes");
    char text[CAIRN_KAFKA_PROPERTY_NAME_MAX + 4];
    memset(text, 'n', sizeof(text));
    memcpy(text + CAIRN_KAFKA_PROPERTY_NAME_MAX + 1, "=1", 3);
    assert_refused(text, CAIRN_EINVAL, "1 to 128 bytes");
    struct cairn_buf many = {.max = 65536};
    for (int i = 0; i <= CAIRN_KAFKA_PROPERTIES_MAX; i++) {
        assert_int_equal(cairn_buf_append_str(&many, "a=1\n"), CAIRN_OK);
    }
    assert_int_equal(cairn_buf_append_byte(&many, '\0'), CAIRN_OK);
    assert_refused(many.data, CAIRN_EINVAL, "more than 256");
    cairn_buf_fini(&many);
}

static void what_the_log_rests_on_cannot_be_set(void **state)
{
    (void)state;
    static const char *const names[] = {"bootstrap.servers",
                                        "isolation.level",
                                        "enable.idempotence",
                                        "acks",
                                        "transactional.id",
                                        "enable.auto.commit",
                                        "group.id",
                                        "request.required.acks",
                                        "auto.offset.reset",
                                        "message.timeout.ms",
                                        "metadata.broker.list"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char line[128];
        (void)snprintf(line, sizeof(line), "ssl.ca.location=/x\n%s=1", names[i]);
        assert_refused(line, CAIRN_EINVAL, names[i]);
        assert_true(cairn_kafka_property_is_fixed(names[i]));
    }
    assert_false(cairn_kafka_property_is_fixed("sasl.password"));
    assert_false(cairn_kafka_property_is_fixed("linger.ms"));
}

static void a_value_may_lie_in_a_file(void **state)
{
    (void)state;
    char folder[TEST_FOLDER_SIZE];
    char path[TEST_FOLDER_SIZE + 16];
    char line[TEST_FOLDER_SIZE + 64];
    struct cairn_err err;
    test_folder_make(folder, sizeof(folder), "kafka");
    (void)snprintf(path, sizeof(path), "%s/secret", folder);
    (void)snprintf(line, sizeof(line), "sasl.password=file:%s\nb=2", path);
    static const struct {
        const char *content;
        const char *seen;
    } cases[] = {
        {"s3cret\n", "sasl.password=s3cret;b=2;"},
        {"s3cret\r\n", "sasl.password=s3cret;b=2;"},
        {"two\nlines\n\n", "sasl.password=two\nlines\n;b=2;"},
        {"", "sasl.password=;b=2;"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen = {.size = 0};
        assert_ok(cairn_file_replace(path, cairn_slice_str(cases[i].content), &err), &err);
        assert_ok(cairn_kafka_properties_read(line, take, &seen, &err), &err);
        assert_string_equal(seen.text, cases[i].seen);
    }
    assert_ok(cairn_file_replace(path, cairn_slice_of("a\0b", 3), &err), &err);
    assert_refused(line, CAIRN_EINVAL, "zero byte");
    assert_int_equal(unlink(path), 0);
    assert_refused(line, CAIRN_ENOENT, "Kafka property sasl.password");
    assert_refused("sasl.password=file:", CAIRN_EINVAL, "needs a path");
    test_folder_remove(folder);
}

static const struct cairn_kafka_options nowhere = {.brokers = "127.0.0.1:1", .domain = {"bank", 4}};

static enum cairn_rc open_kind(const struct cairn_kafka_options *options,
                               enum cairn_kafka_kind kind, struct rd_kafka_s **ret_handle,
                               struct cairn_err *err)
{
    struct cairn_kafka_handle_options handle = {.kind = kind, .transactional_id = "cairn.bank.0.0"};
    return cairn_kafka_handle_new(options, &handle, ret_handle, err);
}

static void assert_setting(struct rd_kafka_s *handle, const char *name, const char *wanted)
{
    char value[64];
    size_t size = sizeof(value);
    assert_int_equal(rd_kafka_conf_get(rd_kafka_conf(handle), name, value, &size),
                     RD_KAFKA_CONF_OK);
    assert_string_equal(value, wanted);
}

static void each_kind_has_its_settings_and_the_operators(void **state)
{
    (void)state;
    static const struct {
        enum cairn_kafka_kind kind;
        const char *name;
        const char *value;
    } cases[] = {
        {CAIRN_KAFKA_ADMIN, "isolation.level", "read_uncommitted"},
        {CAIRN_KAFKA_READER, "isolation.level", "read_committed"},
        {CAIRN_KAFKA_READER, "enable.partition.eof", "true"},
        {CAIRN_KAFKA_READER, "enable.auto.commit", "false"},
        {CAIRN_KAFKA_READER, "check.crcs", "true"},
        {CAIRN_KAFKA_READER, "fetch.wait.max.ms", "40"},
        {CAIRN_KAFKA_READER, "group.id", "cairn.bank"},
        {CAIRN_KAFKA_PRODUCER, "enable.idempotence", "true"},
        {CAIRN_KAFKA_PRODUCER, "socket.nagle.disable", "true"},
        {CAIRN_KAFKA_TRANSACTIONS, "transaction.timeout.ms", "10000"},
        {CAIRN_KAFKA_TRANSACTIONS, "transactional.id", "cairn.bank.0.0"},
        {CAIRN_KAFKA_TRANSACTIONS, "client.id", "mine"},
    };
    struct cairn_kafka_options options = nowhere;
    options.properties = "client.id=mine\nfetch.wait.max.ms=40";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rd_kafka_s *handle = NULL;
        struct cairn_err err;
        assert_ok(open_kind(&options, cases[i].kind, &handle, &err), &err);
        assert_setting(handle, cases[i].name, cases[i].value);
        cairn_kafka_handle_free(handle);
    }
    cairn_kafka_handle_free(NULL);
}

static void a_bad_property_is_named_and_its_value_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *words;
    } cases[] = {
        {"no.such.thing=s3cret", "Kafka property no.such.thing: librdkafka"},
        {"linger.ms=s3cret", "Kafka property linger.ms: librdkafka"},
        {"security.protocol=s3cret", "Kafka property security.protocol: librdkafka"},
        {"log_cb=s3cret", "Kafka property log_cb: librdkafka"},
        {"acks=1", "Kafka property acks cannot be set"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_kafka_options options = nowhere;
        struct rd_kafka_s *handle = NULL;
        struct cairn_err err;
        options.properties = cases[i].line;
        assert_int_equal(open_kind(&options, CAIRN_KAFKA_READER, &handle, &err), CAIRN_EINVAL);
        assert_null(handle);
        assert_non_null(strstr(err.text, cases[i].words));
        assert_null(strstr(err.text, "s3cret"));
    }
    struct cairn_kafka_options options = nowhere;
    struct rd_kafka_s *handle = NULL;
    struct cairn_err err;
    options.properties = "security.protocol=ssl\nssl.ca.location=/no/such/file.pem";
    assert_int_equal(open_kind(&options, CAIRN_KAFKA_ADMIN, &handle, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "ssl.ca.location"));
}

static void a_handle_without_memory_is_none(void **state)
{
    skip_without_faults();
    (void)state;
    struct cairn_kafka_options options = nowhere;
    options.properties = "client.id=mine";
    bool fired = true;
    for (int after = 0; fired; after++) {
        struct rd_kafka_s *handle = NULL;
        struct cairn_err err;
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        enum cairn_rc rc = open_kind(&options, CAIRN_KAFKA_PRODUCER, &handle, &err);
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(rc, fired ? CAIRN_ENOMEM : CAIRN_OK);
        assert_int_equal(fired, handle == NULL);
        cairn_kafka_handle_free(handle);
    }
}

static void what_librdkafka_says_is_logged_and_kept_as_trouble(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    struct cairn_kafka_options options = nowhere;
    options.log_lines = cairn_log_new(fileno(file), CAIRN_LOG_WARN, cairn_clock_system());
    assert_non_null(options.log_lines);
    struct rd_kafka_s *handle = NULL;
    struct cairn_err err;
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    assert_ok(open_kind(&options, CAIRN_KAFKA_ADMIN, &handle, &err), &err);
    for (int i = 0; i < WAIT_MS; i++) {
        cairn_kafka_handle_trouble(handle, trouble);
        if (trouble[0] != '\0') {
            break;
        }
        (void)rd_kafka_poll(handle, 1);
    }
    if (strstr(trouble, "Connection refused") == NULL) {
        fail_msg("%s", trouble);
    }
    assert_int_equal(strncmp(trouble, "127.0.0.1:1", 11), 0);
    cairn_kafka_handle_free(handle);
    cairn_log_free(options.log_lines);
    char text[LOG_MAX];
    rewind(file);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    assert_non_null(strstr(text, "\"level\":\"warn\",\"component\":\"kafka\""));
    assert_non_null(strstr(text, "\"facility\":\"FAIL\""));
    (void)fclose(file);
}

static void codes_have_the_class_that_callers_ask_for(void **state)
{
    (void)state;
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR__FENCED), CAIRN_EFENCED);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH), CAIRN_EFENCED);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR__TIMED_OUT), CAIRN_ETIMEDOUT);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), CAIRN_ENOENT);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
                     CAIRN_EFORBIDDEN);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), CAIRN_ETOOBIG);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS), CAIRN_EIO);
    assert_int_equal(cairn_kafka_rc(RD_KAFKA_RESP_ERR_NO_ERROR), CAIRN_EINTERNAL);
    assert_int_equal(cairn_kafka_rc(9999), CAIRN_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_are_lines_of_name_and_value),
        cmocka_unit_test(a_line_that_is_no_property_is_refused),
        cmocka_unit_test(what_the_log_rests_on_cannot_be_set),
        cmocka_unit_test(a_value_may_lie_in_a_file),
        cmocka_unit_test(each_kind_has_its_settings_and_the_operators),
        cmocka_unit_test(a_bad_property_is_named_and_its_value_is_not),
        cmocka_unit_test(a_handle_without_memory_is_none),
        cmocka_unit_test(what_librdkafka_says_is_logged_and_kept_as_trouble),
        cmocka_unit_test(codes_have_the_class_that_callers_ask_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
