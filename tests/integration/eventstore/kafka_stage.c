#include "tests/integration/eventstore/kafka_stage.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "tests/support/cm.h"

enum { WAIT_MS = 30000, OPEN_MS = 20000, COMMIT_MS = 20000 };

static const char *const aggregates[] = {"account", "transfer"};

double kafka_stage_now_ms(void)
{
    return (double)cairn_clock_monotonic_ns(cairn_clock_system()) / 1e6;
}

static void describe(struct kafka_stage *stage, uint16_t lanes, const char *domain)
{
    *stage = (struct kafka_stage){.arena = {.max = (size_t)1 << 30}};
    stage->layout.lanes = lanes;
    stage->layout.topic_count = 2;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(stage->layout.aggregates[i], sizeof(stage->layout.aggregates[i]), "%s",
                       aggregates[i]);
    }
    (void)snprintf(stage->layout.domain, sizeof(stage->layout.domain), "%s", domain);
    stage->options.brokers = getenv("CAIRN_KAFKA");
    stage->options.domain = cairn_slice_str(stage->layout.domain);
}

static rd_kafka_t *open_handle(struct kafka_stage *stage, enum cairn_kafka_kind kind)
{
    struct cairn_err err;
    rd_kafka_t *handle = NULL;
    const struct cairn_kafka_handle_options options = {.kind = kind};
    assert_ok(cairn_kafka_handle_new(&stage->options, &options, &handle, &err), &err);
    return handle;
}

/* Wait for the answer to an admin request and check that it is no failure as a whole. */
static rd_kafka_event_t *await(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail_msg("%s", rd_kafka_event_error_string(event));
    }
    return event;
}

static void create_topics(struct kafka_stage *stage)
{
    rd_kafka_t *admin = open_handle(stage, CAIRN_KAFKA_ADMIN);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_NewTopic_t *topics[2];
    for (uint16_t i = 0; i < 2; i++) {
        char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
        char text[256];
        cairn_kafka_layout_topic_name(&stage->layout, i, name);
        topics[i] = rd_kafka_NewTopic_new(name, stage->layout.lanes, 1, text, sizeof(text));
        assert_non_null(topics[i]);
    }
    assert_int_equal(
        rd_kafka_NewTopic_set_config(topics[1], "max.message.bytes", KAFKA_STAGE_BATCH_BYTES),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_CreateTopics(admin, topics, 2, NULL, queue);
    rd_kafka_event_t *event = await(queue);
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rd_kafka_topic_result_error(results[i]), RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(topics, 2);
    rd_kafka_queue_destroy(queue);
    cairn_kafka_handle_free(admin);
}

static void delete_topics(struct kafka_stage *stage)
{
    rd_kafka_t *admin = open_handle(stage, CAIRN_KAFKA_ADMIN);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_DeleteTopic_t *topics[2];
    for (uint16_t i = 0; i < 2; i++) {
        char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
        cairn_kafka_layout_topic_name(&stage->layout, i, name);
        topics[i] = rd_kafka_DeleteTopic_new(name);
    }
    rd_kafka_DeleteTopics(admin, topics, 2, NULL, queue);
    rd_kafka_event_destroy(await(queue));
    rd_kafka_DeleteTopic_destroy_array(topics, 2);
    rd_kafka_queue_destroy(queue);
    cairn_kafka_handle_free(admin);
}

void kafka_stage_init(struct kafka_stage *stage, uint16_t lanes)
{
    if (getenv("CAIRN_KAFKA") == NULL) {
        print_message("SKIPPED: CAIRN_KAFKA=host:port names no broker\n");
        skip();
    }
    struct cairn_uuid_source ids = {0};
    struct cairn_uuid id =
        cairn_uuid_next(&ids, cairn_clock_now_us(cairn_clock_system()), cairn_random_system());
    char text[CAIRN_UUID_TEXT_SIZE + 1] = {0};
    cairn_uuid_format(&id, text);
    describe(stage, lanes, text);
    create_topics(stage);
}

void kafka_stage_join(struct kafka_stage *stage, uint16_t lanes, const char *domain)
{
    describe(stage, lanes, domain);
}

void kafka_stage_fini(struct kafka_stage *stage)
{
    delete_topics(stage);
    cairn_arena_fini(&stage->arena);
}

struct cairn_kafka_writer_options kafka_stage_writer(struct kafka_stage *stage, uint16_t lane)
{
    return (struct cairn_kafka_writer_options){.kafka = stage->options,
                                               .layout = &stage->layout,
                                               .lane = lane,
                                               .ids = 2,
                                               .open_timeout_ms = OPEN_MS,
                                               .commit_timeout_ms = COMMIT_MS};
}

struct cairn_kafka_writer *kafka_stage_open(struct kafka_stage *stage, uint16_t lane)
{
    struct cairn_err err;
    struct cairn_kafka_writer *writer = NULL;
    const struct cairn_kafka_writer_options options = kafka_stage_writer(stage, lane);
    assert_ok(cairn_kafka_writer_open(&options, &writer, &err), &err);
    return writer;
}

struct cairn_event kafka_stage_event(struct kafka_stage *stage, const char *stream,
                                     uint64_t version, uint16_t index, uint16_t count)
{
    int64_t now = cairn_clock_now_us(cairn_clock_system());
    struct cairn_event event = {
        .id = cairn_uuid_next(&stage->ids, now, cairn_random_system()),
        .type = CAIRN_SLICE_LIT("Deposited"),
        .version = version,
        .time_us = now,
        .schema_version = 1,
        .index = index,
        .count = count,
        .data = CAIRN_SLICE_LIT("\x81\xa6"
                                "amount\x05"),
        .key = CAIRN_SLICE_LIT("key-1"),
        .fingerprint = {1, 2, 3},
    };
    assert_ok(cairn_arena_copy(&stage->arena, cairn_slice_str(stream), &event.stream),
              &(struct cairn_err){0});
    return event;
}

enum cairn_rc kafka_stage_add(struct kafka_stage *stage, struct cairn_kafka_writer *writer,
                              uint16_t lane, const struct cairn_event *event, struct cairn_err *err)
{
    struct cairn_kafka_record record;
    assert_ok(
        cairn_kafka_record_write(event, stage->options.domain, false, &stage->arena, &record, err),
        err);
    int topic = cairn_kafka_layout_topic(&stage->layout, cairn_stream_aggregate(event->stream));
    assert_true(topic >= 0);
    uint16_t partition = (uint16_t)(topic * stage->layout.lanes + lane);
    return cairn_kafka_writer_add(writer, partition, &record, err);
}

void kafka_stage_put(struct kafka_stage *stage, struct cairn_kafka_writer *writer, uint16_t lane,
                     const char *stream, uint64_t version, uint16_t count)
{
    struct cairn_err err;
    const int64_t *offsets;
    size_t offset_count;
    for (uint16_t i = 0; i < count; i++) {
        struct cairn_event event = kafka_stage_event(stage, stream, version + i, i, count);
        assert_ok(kafka_stage_add(stage, writer, lane, &event, &err), &err);
    }
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &offset_count, &err), &err);
    assert_int_equal(offset_count, count);
}

void kafka_stage_put_many(struct kafka_stage *stage, struct cairn_kafka_writer *writer,
                          uint16_t lane, const char *stream, uint64_t version, size_t count)
{
    struct cairn_err err;
    const int64_t *offsets;
    size_t offset_count;
    for (size_t i = 0; i < count; i++) {
        struct cairn_event event = kafka_stage_event(stage, stream, version + i, 0, 1);
        assert_ok(kafka_stage_add(stage, writer, lane, &event, &err), &err);
    }
    assert_ok(cairn_kafka_writer_commit(writer, &offsets, &offset_count, &err), &err);
    cairn_arena_reset(&stage->arena);
}

static void name_topic(struct kafka_stage *stage, const char *aggregate,
                       char out[CAIRN_KAFKA_TOPIC_NAME_MAX + 1])
{
    int index = cairn_kafka_layout_topic(&stage->layout, cairn_slice_str(aggregate));
    assert_true(index >= 0);
    cairn_kafka_layout_topic_name(&stage->layout, (uint16_t)index, out);
}

/* The end of what is committed moves some time behind the commit: that of the markers. So this
 * waits until it has met the high watermark. */
size_t kafka_stage_read(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                        int64_t *offsets, size_t max)
{
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    name_topic(stage, aggregate, name);
    int64_t high = kafka_stage_high(stage, aggregate, lane);
    rd_kafka_t *reader = open_handle(stage, CAIRN_KAFKA_READER);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader, name, NULL);
    assert_int_equal(rd_kafka_consume_start(topic, lane, 0), 0);
    size_t count = 0;
    double until = kafka_stage_now_ms() + WAIT_MS;
    for (bool at_end = false; !at_end;) {
        assert_true(kafka_stage_now_ms() < until);
        rd_kafka_message_t *message = rd_kafka_consume(topic, lane, WAIT_MS);
        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            at_end = message->offset >= high;
        } else {
            assert_int_equal(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
            if (count < max) {
                offsets[count] = message->offset;
            }
            count++;
        }
        rd_kafka_message_destroy(message);
    }
    assert_int_equal(rd_kafka_consume_stop(topic, lane), 0);
    rd_kafka_topic_destroy(topic);
    cairn_kafka_handle_free(reader);
    return count;
}

int64_t kafka_stage_high(struct kafka_stage *stage, const char *aggregate, uint16_t lane)
{
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    name_topic(stage, aggregate, name);
    rd_kafka_t *admin = open_handle(stage, CAIRN_KAFKA_ADMIN);
    int64_t low = -1;
    int64_t high = -1;
    double until = kafka_stage_now_ms() + WAIT_MS;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FAIL;
    while (code != RD_KAFKA_RESP_ERR_NO_ERROR) { /* a topic just made may have no leader yet */
        code = rd_kafka_query_watermark_offsets(admin, name, lane, &low, &high, WAIT_MS);
        assert_true(kafka_stage_now_ms() < until);
    }
    cairn_kafka_handle_free(admin);
    return high;
}

void kafka_stage_await_high(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                            int64_t high)
{
    double until = kafka_stage_now_ms() + WAIT_MS;
    while (kafka_stage_high(stage, aggregate, lane) < high) {
        assert_true(kafka_stage_now_ms() < until);
    }
}

void kafka_stage_delete_before(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                               int64_t offset)
{
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    name_topic(stage, aggregate, name);
    rd_kafka_t *admin = open_handle(stage, CAIRN_KAFKA_ADMIN);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, lane)->offset = offset;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(admin, &request, 1, NULL, queue);
    rd_kafka_event_destroy(await(queue));
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    cairn_kafka_handle_free(admin);
}

double kafka_stage_drain(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                         size_t count)
{
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    name_topic(stage, aggregate, name);
    rd_kafka_t *reader = open_handle(stage, CAIRN_KAFKA_READER);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(reader);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader, name, NULL);
    double began = kafka_stage_now_ms();
    assert_int_equal(rd_kafka_consume_start_queue(topic, lane, 0, queue), 0);
    for (size_t got = 0; got < count;) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, WAIT_MS);
        assert_non_null(message);
        got += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_message_destroy(message);
    }
    double took = kafka_stage_now_ms() - began;
    assert_int_equal(rd_kafka_consume_stop(topic, lane), 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    cairn_kafka_handle_free(reader);
    return took;
}

pid_t kafka_stage_start_victim(struct kafka_stage *stage, uint16_t lane)
{
    char program[] = "/proc/self/exe";
    char word[] = "victim";
    char lanes[8];
    char number[8];
    (void)snprintf(lanes, sizeof(lanes), "%u", (unsigned)stage->layout.lanes);
    (void)snprintf(number, sizeof(number), "%u", (unsigned)lane);
    char *arguments[] = {program, word, stage->layout.domain, lanes, number, NULL};
    pid_t pid = -1;
    assert_int_equal(posix_spawn(&pid, program, NULL, NULL, arguments, environ), 0);
    return pid;
}

void kafka_stage_victim_main(int argc, char **argv)
{
    if (argc != 5 || strcmp(argv[1], "victim") != 0) {
        return;
    }
    struct kafka_stage stage;
    struct cairn_err err;
    struct cairn_kafka_writer *writer = NULL;
    uint16_t lane = (uint16_t)strtoul(argv[4], NULL, 10);
    kafka_stage_join(&stage, (uint16_t)strtoul(argv[3], NULL, 10), argv[2]);
    const struct cairn_kafka_writer_options options = kafka_stage_writer(&stage, lane);
    if (cairn_kafka_writer_open(&options, &writer, &err) == CAIRN_OK) {
        struct cairn_event event = kafka_stage_event(&stage, "account-victim", 1, 0, 1);
        if (kafka_stage_add(&stage, writer, lane, &event, &err) == CAIRN_OK) {
            (void)pause();
        }
    }
    (void)fprintf(stderr, "victim: %s\n", err.text);
    _exit(1);
}
