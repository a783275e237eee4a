/* What verifying a log on Kafka finds: in its topics, and between them and a replica. */
#include "eventstore/kafka_verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "eventstore/kafka_topics.h"
#include "eventstore/replica.h"
#include "platform/json.h"
#include "schemas/msgpack.h"
#include "tests/integration/eventstore/kafka_stage.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

enum { LANES = 2, WAIT_MS = 20000, EVENTS_MAX = 4, FAULTS_MAX = 4, TEXT_SIZE = 512 };

struct bench {
    struct kafka_stage stage;
    struct cairn_slice aggregates[2];
    char folder[TEST_FOLDER_SIZE];
    struct cairn_backend *replica;
    char ids[LANES][8]; /* of each lane */
    size_t fault_count;
    char faults[FAULTS_MAX][TEXT_SIZE];
    struct cairn_kafka_verify_report report;
};

/* ---- topics and a replica of them ---- */

static void make_topics(struct bench *bench)
{
    struct cairn_err err;
    const struct cairn_kafka_topics_options options = {.kafka = bench->stage.options,
                                                       .aggregates = bench->aggregates,
                                                       .aggregate_count = 2,
                                                       .lanes = LANES,
                                                       .create = true,
                                                       .timeout_ms = WAIT_MS};
    assert_ok(cairn_kafka_topics_open(&options, &bench->stage.layout, &err), &err);
}

static void open_replica(struct bench *bench)
{
    struct cairn_err err;
    bool good = false;
    const struct cairn_store_options options = {.data_folder = bench->folder,
                                                .writer = true,
                                                .domain = bench->stage.options.domain,
                                                .clock = cairn_clock_system(),
                                                .manual_flush = true};
    struct cairn_replica replica = {
        .lanes = LANES, .aggregate_count = 2, .aggregates = bench->aggregates};
    memcpy(replica.log_id, bench->stage.layout.log_id, sizeof(replica.log_id));
    assert_ok(cairn_replica_open(&options, &replica, &bench->replica, &err), &err);
    const struct cairn_resume from = {0, 0};
    for (uint16_t p = 0; p < 2 * LANES; p++) {
        assert_ok(bench->replica->ops->recover(bench->replica, p, from, &good, &err), &err);
    }
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    char domain[32];
    assert_non_null(bench);
    *state = bench;
    if (getenv("CAIRN_KAFKA") == NULL) {
        return 0; /* each test says so */
    }
    (void)snprintf(domain, sizeof(domain), "verify%llx",
                   (unsigned long long)cairn_clock_now_us(cairn_clock_system()));
    kafka_stage_join(&bench->stage, LANES, domain);
    bench->aggregates[0] = CAIRN_SLICE_LIT("account");
    bench->aggregates[1] = CAIRN_SLICE_LIT("transfer");
    test_folder_make(bench->folder, sizeof(bench->folder), "kafka_verify");
    make_topics(bench);
    open_replica(bench);
    for (unsigned i = 0; bench->ids[0][0] == '\0' || bench->ids[1][0] == '\0'; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "%u", i % 1000);
        memcpy(bench->ids[cairn_lane_of_id(cairn_slice_str(id), LANES)], id, sizeof(id));
    }
    return 0;
}

static struct bench *bench_of(void **state)
{
    struct bench *bench = *state;
    if (bench->replica == NULL) {
        print_message("SKIPPED: CAIRN_KAFKA=host:port names no broker\n");
        skip();
    }
    return bench;
}

static void close_replica(struct bench *bench)
{
    if (bench->replica != NULL) {
        bench->replica->ops->close(bench->replica);
    }
    bench->replica = NULL;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    close_replica(bench);
    if (getenv("CAIRN_KAFKA") != NULL) {
        kafka_stage_fini(&bench->stage);
        test_folder_remove(bench->folder);
    }
    free(bench);
    return 0;
}

/* A command of `account` in a lane, from version on; the topic gets it with values as JSON or
 * msgpack. */
struct put {
    uint16_t lane;
    const char *id; /* NULL: one that belongs there */
    uint64_t version;
    uint16_t count;
    bool json;
    struct cairn_slice data; /* empty: any */
};

static void make_events(struct bench *bench, const struct put *put,
                        struct cairn_event events[EVENTS_MAX])
{
    char stream[32];
    const char *id = put->id != NULL ? put->id : bench->ids[put->lane];
    (void)snprintf(stream, sizeof(stream), "account-%s", id);
    assert_true(put->count <= EVENTS_MAX);
    for (uint16_t i = 0; i < put->count; i++) {
        events[i] = kafka_stage_event(&bench->stage, stream, put->version + i, i, put->count);
        events[i].data = put->data.size > 0 ? put->data : events[i].data;
    }
}

static void put_topic(struct bench *bench, const struct put *put,
                      const struct cairn_event events[EVENTS_MAX])
{
    struct cairn_err err;
    const int64_t *offsets;
    size_t offset_count;
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench->stage, put->lane);
    for (uint16_t i = 0; i < put->count; i++) {
        struct cairn_kafka_record record;
        assert_ok(cairn_kafka_record_write(&events[i], bench->stage.options.domain, put->json,
                                           &bench->stage.arena, &record, &err),
                  &err);
        assert_ok(cairn_kafka_writer_add(writer, put->lane, &record, &err), &err);
    }
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &offset_count, &err), &err);
    cairn_kafka_writer_close(writer);
}

static void put_replica(struct bench *bench, const struct put *put,
                        struct cairn_event events[EVENTS_MAX])
{
    struct cairn_err err;
    uint64_t locator = 0;
    struct cairn_commit_part part;
    struct cairn_append append = {
        .stream = events[0].stream, .events = events, .count = put->count};
    struct cairn_append *appends[] = {&append};
    struct cairn_commit commit = {.lane = put->lane,
                                  .appends = appends,
                                  .partitions = &put->lane, /* account is the first topic */
                                  .count = 1,
                                  .locators = &locator,
                                  .parts = &part};
    assert_ok(cairn_replica_append(bench->replica, &commit, put->version + 1, &err), &err);
    bench->replica->ops->publish(bench->replica, put->lane, part.end);
}

/* Into both, alike. */
static void put_both(struct bench *bench, const struct put *put)
{
    struct cairn_event events[EVENTS_MAX];
    make_events(bench, put, events);
    put_topic(bench, put, events);
    put_replica(bench, put, events);
}

/* ---- verifying ---- */

static void note(void *self, const char *place, const char *text)
{
    struct bench *bench = self;
    if (bench->fault_count < FAULTS_MAX) {
        (void)snprintf(bench->faults[bench->fault_count], TEXT_SIZE, "%s: %s", place, text);
    }
    bench->fault_count++;
}

static enum cairn_rc verify(struct bench *bench)
{
    struct cairn_err err;
    const struct cairn_kafka_verify_options options = {.kafka = bench->stage.options,
                                                       .data_folder = bench->folder};
    const struct cairn_verify_hooks hooks = {.fault = note, .self = bench};
    bench->fault_count = 0;
    enum cairn_rc rc = cairn_kafka_verify(&options, &hooks, &bench->report, &err);
    if (rc != CAIRN_OK && rc != CAIRN_ECORRUPT) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(bench->report.faults, bench->fault_count);
    assert_int_equal(rc == CAIRN_ECORRUPT, bench->fault_count > 0);
    return rc;
}

static void assert_well(struct bench *bench, uint64_t events, uint64_t compared)
{
    if (verify(bench) != CAIRN_OK) {
        fail_msg("%s", bench->faults[0]);
    }
    assert_int_equal(bench->report.events, events);
    assert_int_equal(bench->report.compared, compared);
}

/* place: behind the domain's name. */
static void assert_one_fault(struct bench *bench, const char *place, const char *text)
{
    char wanted[TEXT_SIZE];
    (void)snprintf(wanted, sizeof(wanted), "topic %s.%s: %s", bench->stage.layout.domain, place,
                   text);
    assert_int_equal(verify(bench), CAIRN_ECORRUPT);
    assert_string_equal(bench->faults[0], wanted);
    assert_int_equal(bench->fault_count, 1);
}

static void a_replica_that_is_the_same_or_behind_is_well(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_event events[EVENTS_MAX];
    assert_well(bench, 0, 0);
    put_both(bench, &(struct put){.lane = 0, .version = 1, .count = 2});
    put_both(bench, &(struct put){.lane = 1, .version = 1, .count = 1});
    put_both(bench, &(struct put){.lane = 0, .version = 3, .count = 4});
    assert_well(bench, 7, 7);
    assert_int_equal(bench->report.commands, 3);
    assert_int_equal(bench->report.streams, 2);
    assert_int_equal(bench->report.topics, 2);
    assert_int_equal(bench->report.lanes, LANES);
    const struct put more = {.lane = 1, .version = 2, .count = 3};
    make_events(bench, &more, events);
    put_topic(bench, &more, events);
    assert_well(bench, 10, 7);
    close_replica(bench);
    assert_well(bench, 10, 7);
    test_folder_remove(bench->folder);
    assert_well(bench, 10, 0);
    assert_false(bench->report.replica);
    test_folder_make(bench->folder, sizeof(bench->folder), "kafka_verify");
}

static void json_in_the_topic_is_the_same_as_msgpack_in_the_replica(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_err err;
    struct cairn_value value;
    struct cairn_buf data = {.max = 1000};
    const struct cairn_slice text = CAIRN_SLICE_LIT(
        "{\"a\":5.0,\"b\":-0.1,\"c\":1e300,\"d\":9007199254740993,\"e\":null,\"f\":[\"x\"]}");
    assert_ok(cairn_json_read(text, &bench->stage.arena, &value, NULL, &err), &err);
    assert_int_equal(cairn_msgpack_write(&value, &data), CAIRN_OK);
    put_both(bench,
             &(struct put){.version = 1, .count = 2, .json = true, .data = cairn_buf_slice(&data)});
    cairn_buf_fini(&data);
    assert_well(bench, 2, 2);
}

static void a_changed_event_in_the_replica_is_found(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_event events[EVENTS_MAX];
    const struct put put = {.lane = 1, .version = 1, .count = 3};
    make_events(bench, &put, events);
    put_topic(bench, &put, events);
    events[1].data = CAIRN_SLICE_LIT("\x81\xa6"
                                     "amount\x06");
    put_replica(bench, &put, events); /* its checksums are right */
    put_both(bench, &(struct put){.lane = 0, .version = 1, .count = 1});
    assert_one_fault(bench, "account, partition 1, event 2",
                     "the replica holds the event with another data");
    assert_int_equal(bench->report.events, 4);
    assert_int_equal(bench->report.compared, 3);
}

static void another_event_in_the_replica_is_found_once(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_event events[EVENTS_MAX];
    const struct put put = {.lane = 0, .version = 1, .count = 3};
    put_both(bench, &put);
    const struct put next = {.lane = 0, .version = 4, .count = 3};
    make_events(bench, &next, events);
    put_topic(bench, &next, events);
    make_events(bench, &next, events);
    put_replica(bench, &next, events);
    assert_one_fault(bench, "account, partition 0, event 4",
                     "the replica holds another event here, and may from here on");
    assert_int_equal(bench->report.compared, 3);
}

static void an_event_that_only_the_replica_has_is_found(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_event events[EVENTS_MAX];
    put_both(bench, &(struct put){.version = 1, .count = 2});
    const struct put more = {.version = 3, .count = 2};
    make_events(bench, &more, events);
    put_replica(bench, &more, events);
    assert_one_fault(bench, "account, partition 0, event 3",
                     "the replica holds 2 events that the topic has not");
}

static void a_version_left_out_of_the_topic_is_found(void **state)
{
    struct bench *bench = bench_of(state);
    char text[64];
    put_both(bench, &(struct put){.version = 1, .count = 2});
    put_both(bench, &(struct put){.version = 4, .count = 1});
    (void)snprintf(text, sizeof(text), "version 4 of account-%s follows version 2", bench->ids[0]);
    assert_one_fault(bench, "account, partition 0, event 3", text);
    assert_int_equal(bench->report.compared, 3);
}

static void a_stream_in_the_wrong_partition_is_found(void **state)
{
    struct bench *bench = bench_of(state);
    char text[64];
    put_both(bench, &(struct put){.lane = 0, .id = bench->ids[1], .version = 1, .count = 2});
    (void)snprintf(text, sizeof(text), "account-%s belongs to another partition", bench->ids[1]);
    assert_one_fault(bench, "account, partition 0, event 1", text);
}

static void what_is_no_event_is_found_and_the_rest_still_read(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_err err;
    const int64_t *offsets;
    size_t offset_count;
    const struct cairn_kafka_record record = {.key = CAIRN_SLICE_LIT("k"),
                                              .value = CAIRN_SLICE_LIT("v")};
    put_both(bench, &(struct put){.lane = 0, .version = 1, .count = 2});
    struct cairn_kafka_writer *writer = kafka_stage_open(&bench->stage, 0);
    assert_ok(cairn_kafka_writer_add(writer, 0, &record, &err), &err);
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &offset_count, &err), &err);
    cairn_kafka_writer_close(writer);
    put_both(bench, &(struct put){.lane = 1, .version = 1, .count = 3});
    assert_int_equal(verify(bench), CAIRN_ECORRUPT);
    assert_int_equal(bench->fault_count, 1);
    assert_non_null(strstr(bench->faults[0], "account, partition 0: offset "));
    assert_true(bench->report.events >= 3);
    assert_true(bench->report.compared >= 3);
}

static void the_replica_of_another_log_is_not_compared(void **state)
{
    struct bench *bench = bench_of(state);
    put_both(bench, &(struct put){.version = 1, .count = 2});
    close_replica(bench);
    bench->stage.layout.log_id[0] ^= 1;
    open_replica(bench);
    assert_int_equal(verify(bench), CAIRN_ECORRUPT);
    assert_int_equal(bench->fault_count, 1);
    assert_non_null(strstr(bench->faults[0], "the replica is that of another log"));
    assert_int_equal(bench->report.events, 2);
    assert_int_equal(bench->report.compared, 0);
}

static void where_no_log_was_made_it_says_so(void **state)
{
    struct bench *bench = bench_of(state);
    struct cairn_err err;
    struct cairn_kafka_verify_options options = {.kafka = bench->stage.options,
                                                 .data_folder = bench->folder};
    options.kafka.domain = CAIRN_SLICE_LIT("nobody_made_this");
    assert_int_equal(cairn_kafka_verify(&options, NULL, &bench->report, &err), CAIRN_ENOENT);
    assert_non_null(strstr(err.text, "there is no topic nobody_made_this._cairn"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_replica_that_is_the_same_or_behind_is_well),
        CASE(json_in_the_topic_is_the_same_as_msgpack_in_the_replica),
        CASE(a_changed_event_in_the_replica_is_found),
        CASE(another_event_in_the_replica_is_found_once),
        CASE(an_event_that_only_the_replica_has_is_found),
        CASE(a_version_left_out_of_the_topic_is_found),
        CASE(a_stream_in_the_wrong_partition_is_found),
        CASE(what_is_no_event_is_found_and_the_rest_still_read),
        CASE(the_replica_of_another_log_is_not_compared),
        CASE(where_no_log_was_made_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
