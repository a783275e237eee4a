#include "eventstore/kafka_topic_rules.h"

#include <stdio.h>

#include "tests/support/cm.h"

enum { LANES = 4, TEXT_MAX = 4096 };

static const struct cairn_kafka_topic_wish one_broker = {
    .lanes = LANES, .replication = 1, .brokers = "127.0.0.1:9092"};

/* Fills the settings of a topic as the table makes it. */
static void take_setting(void *self, const char *name, const char *value)
{
    struct cairn_kafka_topic *topic = self;
    for (int i = 0; i < CAIRN_KAFKA_SETTING_COUNT; i++) {
        if (strcmp(cairn_kafka_setting_name((enum cairn_kafka_setting)i), name) == 0) {
            (void)snprintf(topic->settings[i], CAIRN_KAFKA_SETTING_VALUE_MAX, "%s", value);
        }
    }
}

static struct cairn_kafka_topic made(bool control, uint16_t replication)
{
    struct cairn_kafka_topic topic = {.name = "bank.account",
                                      .control = control,
                                      .found = true,
                                      .partitions = control ? 1 : LANES,
                                      .replication = replication};
    /* What Kafka has where nothing was said. */
    take_setting(&topic, "cleanup.policy", "delete");
    take_setting(&topic, "retention.ms", "604800000");
    take_setting(&topic, "retention.bytes", "-1");
    take_setting(&topic, "message.timestamp.type", "CreateTime");
    cairn_kafka_topic_settings(control, replication, take_setting, &topic);
    return topic;
}

static void join(void *self, const char *topic, const char *text)
{
    char *all = self;
    size_t size = strlen(all);
    (void)snprintf(all + size, TEXT_MAX - size, "%s: %s\n", topic, text);
}

static void assert_faults(const struct cairn_kafka_topic *topic,
                          const struct cairn_kafka_topic_wish *wish, size_t count,
                          const char *words)
{
    char text[TEXT_MAX] = "";
    assert_int_equal(cairn_kafka_topic_judge(topic, wish, join, text), count);
    assert_int_equal(cairn_kafka_topic_judge(topic, wish, NULL, NULL), count);
    if (strstr(text, words) == NULL) {
        fail_msg("\"%s\" says nothing of \"%s\"", text, words);
    }
}

static void a_topic_made_by_the_table_passes_it(void **state)
{
    (void)state;
    for (uint16_t replication = 1; replication <= 5; replication++) {
        struct cairn_kafka_topic_wish wish = one_broker;
        wish.replication = replication;
        struct cairn_kafka_topic events = made(false, replication);
        struct cairn_kafka_topic control = made(true, replication);
        assert_faults(&events, &wish, 0, "");
        assert_faults(&control, &wish, 0, "");
        assert_string_equal(events.settings[CAIRN_KAFKA_SETTING_MIN_INSYNC],
                            replication >= 3 ? "2" : "1");
        assert_string_equal(control.settings[CAIRN_KAFKA_SETTING_CLEANUP], "compact");
    }
}

static void each_wrong_setting_is_named_with_what_mends_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        const char *words;
    } cases[] = {
        {"cleanup.policy", "compact", "--add-config cleanup.policy=delete"},
        {"cleanup.policy", "compact,delete", "cleanup.policy is compact,delete and must be delete"},
        {"retention.ms", "604800000", "--add-config retention.ms=-1"},
        {"retention.bytes", "1000", "--add-config retention.bytes=-1"},
        {"unclean.leader.election.enable", "true", "unclean.leader.election.enable=false"},
        {"message.timestamp.type", "LogAppendTime", "message.timestamp.type=CreateTime"},
        {"min.insync.replicas", "0", "min.insync.replicas is 0 and must be 1"},
        {"min.insync.replicas", "2", "nothing can be written"},
        {"min.insync.replicas", "", "min.insync.replicas is not told"},
        {"retention.ms", "", "retention.ms is not told and must be -1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_kafka_topic topic = made(false, 1);
        take_setting(&topic, cases[i].name, cases[i].value);
        assert_faults(&topic, &one_broker, 1, cases[i].words);
    }
}

static void three_replicas_need_two_in_sync(void **state)
{
    (void)state;
    struct cairn_kafka_topic topic = made(false, 3);
    take_setting(&topic, "min.insync.replicas", "1");
    assert_faults(&topic, &one_broker, 1, "min.insync.replicas is 1 and must be 2");
    take_setting(&topic, "min.insync.replicas", "3");
    assert_faults(&topic, &one_broker, 0, "");
}

static void shape_and_lost_records_are_faults(void **state)
{
    (void)state;
    struct cairn_kafka_topic topic = made(false, 1);
    topic.partitions = LANES + 1;
    assert_faults(&topic, &one_broker, 1, "partitions are 5 and must be 4");
    topic.partitions = LANES;
    topic.low = 7;
    assert_faults(&topic, &one_broker, 1, "records were deleted");
    topic.low = 0;
    struct cairn_kafka_topic_wish wish = one_broker;
    wish.replication = 2;
    assert_faults(&topic, &wish, 1, "replication is 1 and must be at least 2");
    topic.found = false;
    assert_faults(&topic, &wish, 1, "cairn topics create");
    struct cairn_kafka_topic control = made(true, 1);
    control.low = 7;
    assert_faults(&control, &one_broker, 0, "");
    control.partitions = 2;
    assert_faults(&control, &one_broker, 1, "partitions are 2 and must be 1");
    take_setting(&control, "cleanup.policy", "delete");
    assert_faults(&control, &one_broker, 2, "cleanup.policy is delete and must be compact");
}

static void the_longest_fault_ends_with_its_command(void **state)
{
    (void)state;
    struct cairn_kafka_topic topic = made(false, 1);
    memset(topic.name, 'n', CAIRN_KAFKA_TOPIC_NAME_MAX);
    take_setting(&topic, "unclean.leader.election.enable", "true");
    assert_faults(&topic, &one_broker, 1, "--add-config unclean.leader.election.enable=false\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_made_by_the_table_passes_it),
        cmocka_unit_test(each_wrong_setting_is_named_with_what_mends_it),
        cmocka_unit_test(three_replicas_need_two_in_sync),
        cmocka_unit_test(shape_and_lost_records_are_faults),
        cmocka_unit_test(the_longest_fault_ends_with_its_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
