#include <assert.h>
#include <stdio.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_fence.h"
#include "eventstore/kafka_writer_int.h"
#include "platform/fault.h"
#include "platform/mem.h"

enum {
    NEWS_MS = 2000, /* for a topic to become known to all brokers */
    NEWS_POLL_MS = 20
};

/* What the cluster says of a topic: OK where its partition of the lane has a leader. */
static enum cairn_rc check_topic(const struct cairn_kafka_writer *writer,
                                 const struct rd_kafka_metadata_topic *topic, struct cairn_err *err)
{
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return CAIRN_FAIL(err, cairn_kafka_rc(topic->err), "topic %s: %s", topic->topic,
                          rd_kafka_err2str(topic->err));
    }
    for (int i = 0; i < topic->partition_cnt; i++) {
        if (topic->partitions[i].id == writer->options.lane && topic->partitions[i].leader >= 0) {
            return CAIRN_OK;
        }
    }
    return CAIRN_FAIL(err, CAIRN_ENOENT, "topic %s: partition %u is missing, or has no leader",
                      topic->topic, (unsigned)writer->options.lane);
}

/* Ask once for the leaders of all topics of the handle. */
static enum cairn_rc ask_topics(const struct cairn_kafka_producer *producer, int timeout_ms,
                                struct cairn_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(producer->handle, 0, NULL, &metadata, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return CAIRN_FAIL(err, CAIRN_ETIMEDOUT, "no topic metadata: %s", rd_kafka_err2str(code));
    }
    enum cairn_rc rc = CAIRN_OK;
    for (int i = 0; rc == CAIRN_OK && i < metadata->topic_cnt; i++) {
        rc = check_topic(producer->writer, &metadata->topics[i], err);
    }
    rd_kafka_metadata_destroy(metadata);
    return rc;
}

static enum cairn_rc open_topics(struct cairn_kafka_producer *producer, struct cairn_err *err)
{
    const struct cairn_kafka_layout *layout = producer->writer->options.layout;
    for (uint16_t i = 0; i < layout->topic_count; i++) {
        char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
        cairn_kafka_layout_topic_name(layout, i, name);
        producer->topics[i] = rd_kafka_topic_new(producer->handle, name, NULL);
        if (producer->topics[i] == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "topic %s: %s", name,
                              rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    return CAIRN_OK;
}

/* Learn the leaders of all topics: a producer that meets a topic for the first time waits a second
 * before it sends. A broker may hear of a new topic, or of a new leader, a moment later. */
static enum cairn_rc warm_up(struct cairn_kafka_producer *producer, int timeout_ms,
                             struct cairn_err *err)
{
    int64_t until = cairn_kafka_now_ms() + (timeout_ms < NEWS_MS ? timeout_ms : NEWS_MS);
    enum cairn_rc rc = open_topics(producer, err);
    while (rc == CAIRN_OK) {
        rc = ask_topics(producer, timeout_ms, err);
        if (rc != CAIRN_ENOENT || cairn_kafka_left_ms(until) == 0) {
            break;
        }
        rc = CAIRN_OK;
        const struct timespec pause = {.tv_nsec = NEWS_POLL_MS * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return rc;
}

static void close_producer(struct cairn_kafka_producer *producer)
{
    for (size_t i = 0; i < CAIRN_KAFKA_TOPICS_MAX; i++) {
        if (producer->topics[i] != NULL) {
            rd_kafka_topic_destroy(producer->topics[i]);
            producer->topics[i] = NULL;
        }
    }
    cairn_kafka_handle_free(producer->handle);
    producer->handle = NULL;
}

static enum cairn_rc open_producer(struct cairn_kafka_producer *producer, struct cairn_err *err)
{
    const struct cairn_kafka_writer_options *options = &producer->writer->options;
    int64_t until = cairn_kafka_now_ms() + options->open_timeout_ms;
    const struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_TRANSACTIONS,
                                                      .transactional_id = producer->id,
                                                      .delivered = cairn_kafka_writer_note,
                                                      .self = producer->writer};
    enum cairn_rc rc = cairn_kafka_fence(&options->kafka, &handle, options->open_timeout_ms,
                                         &producer->handle, err);
    if (rc == CAIRN_OK && producer->keeps) {
        int left = cairn_kafka_left_ms(until);
        rc = warm_up(producer, left > 0 ? left : 1, err);
    }
    if (rc != CAIRN_OK || !producer->keeps) {
        close_producer(producer);
    }
    return rc;
}

static void *run_open(void *self)
{
    struct cairn_kafka_producer *producer = self;
    producer->rc = open_producer(producer, &producer->err);
    return NULL;
}

static void *run_close(void *self)
{
    close_producer(self);
    return NULL;
}

/* Each producer on a thread of its own; where a thread cannot be had, on this one. Opening and
 * closing wait for brokers and for threads to end: one after the other they would add up. */
static void run_all(struct cairn_kafka_writer *writer, unsigned count, void *(*run)(void *))
{
    bool started[CAIRN_KAFKA_IDS_MAX] = {false};
    assert(count <= CAIRN_KAFKA_IDS_MAX);
    for (unsigned i = 1; i < count; i++) {
        struct cairn_kafka_producer *producer = &writer->producers[i];
        started[i] = !cairn_fault_hit(CAIRN_FAULT_THREAD) &&
                     pthread_create(&producer->thread, NULL, run, producer) == 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (started[i]) {
            (void)pthread_join(writer->producers[i].thread, NULL);
        } else {
            (void)run(&writer->producers[i]);
        }
    }
}

enum cairn_rc cairn_kafka_writer_open(const struct cairn_kafka_writer_options *options,
                                      struct cairn_kafka_writer **ret_writer, struct cairn_err *err)
{
    assert(options->ids >= 1 && options->ids <= CAIRN_KAFKA_IDS_MAX);
    assert(options->fence_ids <= CAIRN_KAFKA_IDS_MAX);
    assert(options->lane < options->layout->lanes);
    assert(options->open_timeout_ms > 0 && options->commit_timeout_ms > 0);
    struct cairn_kafka_writer *writer = cairn_mem_zalloc(1, sizeof(*writer));
    if (writer == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a writer");
    }
    writer->options = *options;
    unsigned count = options->fence_ids > options->ids ? options->fence_ids : options->ids;
    for (unsigned i = 0; i < count; i++) {
        struct cairn_kafka_producer *producer = &writer->producers[i];
        producer->writer = writer;
        producer->keeps = i < options->ids;
        (void)snprintf(producer->id, sizeof(producer->id), "cairn.%s.%u.%u",
                       options->layout->domain, (unsigned)options->lane, i);
    }
    run_all(writer, count, run_open);
    for (unsigned i = 0; i < count; i++) {
        if (writer->producers[i].rc != CAIRN_OK) {
            *err = writer->producers[i].err;
            enum cairn_rc rc =
                cairn_err_wrap(err, writer->producers[i].rc, "lane %u", (unsigned)options->lane);
            cairn_kafka_writer_close(writer);
            return rc;
        }
    }
    *ret_writer = writer;
    return CAIRN_OK;
}

void cairn_kafka_writer_close(struct cairn_kafka_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    run_all(writer, writer->options.ids, run_close);
    cairn_mem_free(writer->offsets);
    cairn_mem_free(writer);
}
