#include "eventstore/kafka_writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_fence.h"
#include "platform/clock.h"
#include "platform/fault.h"
#include "platform/mem.h"

enum {
    ID_SIZE = CAIRN_KAFKA_DOMAIN_SIZE_MAX + 32,
    QUEUE_POLL_MS = 10, /* while librdkafka's queue is full */
    NEWS_MS = 2000,     /* for a topic to become known to all brokers */
    NEWS_POLL_MS = 20,
    OFFSETS_MIN = 256
};

#define NO_OFFSET (-1)

struct producer {
    const struct cairn_kafka_writer *writer;
    char id[ID_SIZE]; /* transactional id */
    rd_kafka_t *handle;
    rd_kafka_topic_t *topics[CAIRN_KAFKA_TOPICS_MAX]; /* in the layout's order */
    /* While it is opened. */
    pthread_t thread;
    bool keeps; /* it is one of the rotation, not only fenced */
    enum cairn_rc rc;
    struct cairn_err err;
};

struct cairn_kafka_writer {
    struct cairn_kafka_writer_options options;
    struct producer producers[CAIRN_KAFKA_IDS_MAX];
    unsigned turn; /* the producer that has rested longest: they take turns in a ring */
    bool begun;    /* the group has a transaction */
    bool broken;
    rd_kafka_resp_err_t refused; /* why the first record of the group was not delivered */
    int64_t *offsets;            /* of the group's records, NO_OFFSET until delivered */
    size_t count, cap;
};

static int64_t now_ms(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) / 1000000;
}

static int left_until(int64_t until_ms)
{
    int64_t left = until_ms - now_ms();
    return left > 0 ? (int)left : 0;
}

/* A delivery report, from within commit or poll, thus on the owner's thread. */
static void note_delivery(void *self, void *opaque, int failed, int64_t offset)
{
    struct cairn_kafka_writer *writer = self;
    size_t index = (size_t)(uintptr_t)opaque;
    assert(index < writer->count);
    if (failed == 0) {
        writer->offsets[index] = offset;
    } else if (writer->refused == RD_KAFKA_RESP_ERR_NO_ERROR) {
        writer->refused = (rd_kafka_resp_err_t)failed;
    }
}

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
static enum cairn_rc ask_topics(const struct producer *producer, int timeout_ms,
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

static enum cairn_rc open_topics(struct producer *producer, struct cairn_err *err)
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
static enum cairn_rc warm_up(struct producer *producer, int timeout_ms, struct cairn_err *err)
{
    int64_t until = now_ms() + (timeout_ms < NEWS_MS ? timeout_ms : NEWS_MS);
    enum cairn_rc rc = open_topics(producer, err);
    while (rc == CAIRN_OK) {
        rc = ask_topics(producer, timeout_ms, err);
        if (rc != CAIRN_ENOENT || left_until(until) == 0) {
            break;
        }
        rc = CAIRN_OK;
        const struct timespec pause = {.tv_nsec = NEWS_POLL_MS * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    return rc;
}

static void close_producer(struct producer *producer)
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

static enum cairn_rc open_producer(struct producer *producer, struct cairn_err *err)
{
    const struct cairn_kafka_writer_options *options = &producer->writer->options;
    int64_t until = now_ms() + options->open_timeout_ms;
    const struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_TRANSACTIONS,
                                                      .transactional_id = producer->id,
                                                      .delivered = note_delivery,
                                                      .self = (void *)(uintptr_t)producer->writer};
    enum cairn_rc rc = cairn_kafka_fence(&options->kafka, &handle, options->open_timeout_ms,
                                         &producer->handle, err);
    if (rc == CAIRN_OK && producer->keeps) {
        int left = left_until(until);
        rc = warm_up(producer, left > 0 ? left : 1, err);
    }
    if (rc != CAIRN_OK || !producer->keeps) {
        close_producer(producer);
    }
    return rc;
}

static void *run_open(void *self)
{
    struct producer *producer = self;
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
        struct producer *producer = &writer->producers[i];
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
        struct producer *producer = &writer->producers[i];
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

/* The group failed, and the writer with it. Fenced is known for certain, and so is a record that is
 * too large: both end a transaction before its commit is asked for, or refuse the commit. */
static enum cairn_rc break_off(struct cairn_kafka_writer *writer, rd_kafka_resp_err_t code,
                               const char *text, struct cairn_err *err)
{
    const struct producer *producer = &writer->producers[writer->turn];
    char fatal[CAIRN_ERR_TEXT_MAX];
    writer->broken = true;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(producer->handle, fatal, sizeof(fatal));
        text = fatal;
    }
    enum cairn_rc rc = cairn_kafka_rc(code);
    if (code == RD_KAFKA_RESP_ERR_INVALID_TXN_STATE) {
        rc = CAIRN_EFENCED; /* the broker ended the transaction, and takes nothing more of it */
    } else if (writer->refused == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && rc != CAIRN_EFENCED) {
        rc = CAIRN_ETOOBIG;
    } else if (rc != CAIRN_EFENCED && rc != CAIRN_ETOOBIG) {
        rc = CAIRN_EUNKNOWN;
    }
    return CAIRN_FAIL(err, rc, "%s: %s", producer->id, text);
}

static enum cairn_rc break_off_error(struct cairn_kafka_writer *writer, rd_kafka_error_t *error,
                                     struct cairn_err *err)
{
    enum cairn_rc rc =
        break_off(writer, rd_kafka_error_code(error), rd_kafka_error_string(error), err);
    rd_kafka_error_destroy(error);
    return rc;
}

/* Room for one more offset. */
static bool grow_offsets(struct cairn_kafka_writer *writer)
{
    if (writer->count < writer->cap) {
        return true;
    }
    size_t cap = writer->cap == 0 ? OFFSETS_MIN : writer->cap * 2;
    if (cap > CAIRN_KAFKA_GROUP_RECORDS_MAX) {
        return false;
    }
    int64_t *grown = cairn_mem_realloc(writer->offsets, cap * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    writer->offsets = grown;
    writer->cap = cap;
    return true;
}

/* NULL when memory is out. */
static rd_kafka_headers_t *make_headers(const struct cairn_kafka_record *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; headers != NULL && i < record->header_count; i++) {
        const struct cairn_kafka_header *header = &record->headers[i];
        if (rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.size,
                                header->value.data,
                                (ssize_t)header->value.size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_headers_destroy(headers);
            headers = NULL;
        }
    }
    return headers;
}

/* librdkafka copies, and takes headers where it succeeds; its pointers are not const. */
static rd_kafka_error_t *produce(const struct cairn_kafka_writer *writer, uint16_t partition,
                                 const struct cairn_kafka_record *record,
                                 rd_kafka_headers_t *headers)
{
    const struct producer *producer = &writer->producers[writer->turn];
    const struct cairn_kafka_layout *layout = writer->options.layout;
    rd_kafka_topic_t *topic = producer->topics[partition / layout->lanes];
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition % layout->lanes},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)record->key.data, record->key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)record->value.data, record->value.size}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)writer->count},
    };
    assert(topic != NULL);
    return rd_kafka_produceva(producer->handle, parts, sizeof(parts) / sizeof(parts[0]));
}

static enum cairn_rc begin(struct cairn_kafka_writer *writer, struct cairn_err *err)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(writer->producers[writer->turn].handle);
    if (error != NULL) {
        return break_off_error(writer, error, err);
    }
    writer->begun = true;
    writer->count = 0;
    writer->refused = RD_KAFKA_RESP_ERR_NO_ERROR;
    return CAIRN_OK;
}

enum cairn_rc cairn_kafka_writer_add(struct cairn_kafka_writer *writer, uint16_t partition,
                                     const struct cairn_kafka_record *record, struct cairn_err *err)
{
    const struct cairn_kafka_layout *layout = writer->options.layout;
    assert(!writer->broken);
    assert(partition < cairn_kafka_layout_partitions(layout));
    assert(partition % layout->lanes == writer->options.lane);
    if (!writer->begun) {
        enum cairn_rc rc = begin(writer, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    rd_kafka_headers_t *headers = grow_offsets(writer) ? make_headers(record) : NULL;
    if (headers == NULL) {
        return break_off(writer, RD_KAFKA_RESP_ERR__FAIL, "no room for another record", err);
    }
    int64_t until = now_ms() + writer->options.commit_timeout_ms;
    rd_kafka_error_t *error = produce(writer, partition, record, headers);
    while (error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           left_until(until) > 0) {
        rd_kafka_error_destroy(error);
        (void)rd_kafka_poll(writer->producers[writer->turn].handle, QUEUE_POLL_MS);
        error = produce(writer, partition, record, headers);
    }
    if (error != NULL) {
        rd_kafka_headers_destroy(headers);
        return break_off_error(writer, error, err);
    }
    writer->offsets[writer->count++] = NO_OFFSET;
    return CAIRN_OK;
}

/* A commit that timed out goes on where it stood when it is called again. */
static rd_kafka_error_t *commit_until(rd_kafka_t *handle, int64_t until_ms)
{
    for (;;) {
        int left = left_until(until_ms);
        rd_kafka_error_t *error = rd_kafka_commit_transaction(handle, left > 0 ? left : 1);
        bool again = error != NULL && rd_kafka_error_is_retriable(error) &&
                     !rd_kafka_error_is_fatal(error) && !rd_kafka_error_txn_requires_abort(error) &&
                     left > 0;
        if (!again) {
            return error;
        }
        rd_kafka_error_destroy(error);
    }
}

enum cairn_rc cairn_kafka_writer_commit(struct cairn_kafka_writer *writer,
                                        const int64_t **ret_offsets, size_t *ret_count,
                                        struct cairn_err *err)
{
    assert(!writer->broken);
    assert(writer->begun && writer->count > 0);
    rd_kafka_error_t *error = commit_until(writer->producers[writer->turn].handle,
                                           now_ms() + writer->options.commit_timeout_ms);
    if (error != NULL) {
        return break_off_error(writer, error, err);
    }
    for (size_t i = 0; i < writer->count; i++) {
        if (writer->offsets[i] < 0) {
            return break_off(writer, RD_KAFKA_RESP_ERR__FAIL, "committed at unknown offsets", err);
        }
    }
    writer->begun = false;
    writer->turn = (writer->turn + 1) % writer->options.ids;
    *ret_offsets = writer->offsets;
    *ret_count = writer->count;
    return CAIRN_OK;
}

bool cairn_kafka_writer_is_broken(const struct cairn_kafka_writer *writer)
{
    return writer->broken;
}
