#include "eventstore/kafka_writer.h"

#include <assert.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_writer_int.h"
#include "platform/mem.h"

enum {
    QUEUE_POLL_MS = 10, /* while librdkafka's queue is full */
    COMMIT_SLICE_MS = 1000,
    OFFSETS_MIN = 256
};

#define NO_OFFSET (-1)

void cairn_kafka_writer_note(void *self, void *opaque, int failed, int64_t offset)
{
    struct cairn_kafka_writer *writer = self;
    size_t index = (size_t)(uintptr_t)opaque;
    assert(index < writer->count);
    if (failed == 0) {
        writer->offsets[index] = offset;
    } else if (writer->refused == 0) {
        writer->refused = failed;
    }
}

/* The group failed, and the writer with it. Fenced is known for certain, and so is a record that is
 * too large: both end a transaction before its commit is asked for, or refuse the commit. */
static enum cairn_rc break_off(struct cairn_kafka_writer *writer, rd_kafka_resp_err_t code,
                               const char *text, struct cairn_err *err)
{
    const struct cairn_kafka_producer *producer = &writer->producers[writer->turn];
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

/* A record's number in its group, as the message's opaque. */
union opaque {
    void *pointer;
    uintptr_t index;
};

/* librdkafka only reads what it copies, though its types do not say so. */
static void *unconst(struct cairn_slice bytes)
{
    const union {
        const char *given;
        void *taken;
    } pointer = {.given = bytes.data};
    return pointer.taken;
}

/* librdkafka copies the record, and takes the headers where it succeeds. */
static rd_kafka_error_t *produce(const struct cairn_kafka_writer *writer, uint16_t partition,
                                 const struct cairn_kafka_record *record,
                                 rd_kafka_headers_t *headers)
{
    const struct cairn_kafka_producer *producer = &writer->producers[writer->turn];
    const struct cairn_kafka_layout *layout = writer->options.layout;
    rd_kafka_topic_t *topic = producer->topics[partition / layout->lanes];
    const union opaque opaque = {.index = writer->count};
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition % layout->lanes},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(record->key), record->key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unconst(record->value), record->value.size}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque.pointer},
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
    writer->refused = 0;
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
    int64_t until = cairn_kafka_now_ms() + writer->options.commit_timeout_ms;
    rd_kafka_error_t *error = produce(writer, partition, record, headers);
    while (error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           cairn_kafka_left_ms(until) > 0) {
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

/* A commit that timed out goes on where it stood when it is called again: so it is asked for in
 * slices, and between them whether there is still somebody to wait for. */
static rd_kafka_error_t *commit_until(const struct cairn_kafka_writer *writer, int64_t until_ms)
{
    const struct cairn_kafka_writer_options *options = &writer->options;
    rd_kafka_t *handle = writer->producers[writer->turn].handle;
    for (;;) {
        int left = cairn_kafka_left_ms(until_ms);
        int slice = left < COMMIT_SLICE_MS ? left : COMMIT_SLICE_MS;
        rd_kafka_error_t *error = rd_kafka_commit_transaction(handle, slice > 0 ? slice : 1);
        bool again = error != NULL && rd_kafka_error_is_retriable(error) &&
                     rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__TIMED_OUT && left > 0 &&
                     (options->lost == NULL || !options->lost(options->self));
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
    rd_kafka_error_t *error =
        commit_until(writer, cairn_kafka_now_ms() + writer->options.commit_timeout_ms);
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
