/* Reading: streams through the index, the log in order, receipts, snapshots. */
#include <assert.h>

#include "eventstore/store_int.h"
#include "platform/mem.h"

/* Rows of the index looked up at once. */
#define READ_ROWS_MAX 128u
/* A page ends after about so many bytes. */
#define READ_PAGE_BYTES (4u * 1024u * 1024u)

enum cairn_rc cairn_store_head(struct cairn_store *store, struct cairn_slice stream,
                               uint64_t *ret_version, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_store_catch_up(store, err);
    return rc == CAIRN_OK ? cairn_index_head(store->index, stream, ret_version, err) : rc;
}

/* A page of a stream in the making. */
struct page {
    struct cairn_store *store;
    struct cairn_slice stream;
    struct cairn_arena *arena;
    enum cairn_direction direction;
    uint64_t version; /* the next one wanted */
    size_t limit;
    struct cairn_event *events;
    size_t count, cap;
    size_t bytes;
};

static enum cairn_rc push(struct page *page, const struct cairn_event *event, struct cairn_err *err)
{
    if (page->count == page->cap) {
        size_t cap = page->cap == 0 ? 16 : page->cap * 2;
        cap = cap < page->limit ? cap : page->limit;
        struct cairn_event *events = cairn_arena_alloc(page->arena, cap * sizeof(*events));
        if (events == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a stream");
        }
        if (page->count > 0) {
            memcpy(events, page->events, page->count * sizeof(*events));
        }
        page->events = events;
        page->cap = cap;
    }
    page->events[page->count++] = *event;
    page->bytes += event->data.size + sizeof(*event);
    return CAIRN_OK;
}

static bool is_full(const struct page *page)
{
    return page->count == page->limit || page->bytes >= READ_PAGE_BYTES;
}

/* The events of one append that belong to the page. */
static enum cairn_rc add_row(struct page *page, const struct cairn_index_row *row,
                             struct cairn_err *err)
{
    struct cairn_store *store = page->store;
    uint16_t partition = cairn_store_partition_of(store, page->stream);
    if (partition == CAIRN_PARTITION_NONE) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                          "the index has events of %.*s, which has no place in the log; delete the "
                          "index",
                          CAIRN_SLICE_ARG(page->stream));
    }
    struct cairn_event *events =
        cairn_arena_alloc(page->arena, (size_t)row->count * sizeof(*events));
    if (events == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a stream");
    }
    enum cairn_rc rc = store->backend->ops->read_append(store->backend, partition, row->locator,
                                                        row->count, page->arena, events, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "%.*s", CAIRN_SLICE_ARG(page->stream));
    }
    for (uint16_t i = 0; rc == CAIRN_OK && i < row->count && !is_full(page); i++) {
        bool forward = page->direction == CAIRN_FORWARD;
        const struct cairn_event *event = &events[forward ? i : row->count - 1 - i];
        uint64_t wanted = row->first_version + event->index;
        if (event->version != wanted || !cairn_slice_equal(event->stream, page->stream)) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                              "the index says that version %llu of %.*s lies at offset %llu of "
                              "partition %u, and it does not; delete the index",
                              (unsigned long long)wanted, CAIRN_SLICE_ARG(page->stream),
                              (unsigned long long)event->offset, (unsigned)partition);
        }
        if (forward ? event->version < page->version : event->version > page->version) {
            continue;
        }
        if (forward && event->version != page->version) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "version %llu of %.*s is missing in the index",
                              (unsigned long long)page->version, CAIRN_SLICE_ARG(page->stream));
        }
        rc = push(page, event, err);
        page->version = forward ? event->version + 1 : event->version - 1;
    }
    return rc;
}

static enum cairn_rc fill(struct page *page, struct cairn_err *err)
{
    struct cairn_index_row rows[READ_ROWS_MAX];
    while (!is_full(page) && page->version > 0) {
        size_t count = 0;
        size_t left = page->limit - page->count;
        enum cairn_rc rc =
            cairn_index_rows(page->store->index, page->stream, page->version, page->direction, rows,
                             left < READ_ROWS_MAX ? left : READ_ROWS_MAX, &count, err);
        if (rc != CAIRN_OK || count == 0) {
            return rc;
        }
        for (size_t i = 0; rc == CAIRN_OK && i < count && !is_full(page); i++) {
            rc = add_row(page, &rows[i], err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_store_read_stream(struct cairn_store *store, struct cairn_slice stream,
                                      uint64_t after, size_t limit, enum cairn_direction direction,
                                      struct cairn_arena *arena, struct cairn_event_page *ret_page,
                                      struct cairn_err *err)
{
    assert(limit > 0 && stream.size > 0 && stream.size <= CAIRN_STREAM_BYTES_MAX);
    struct page page = {
        .store = store, .stream = stream, .arena = arena, .direction = direction, .limit = limit};
    uint64_t head = 0;
    enum cairn_rc rc = cairn_store_head(store, stream, &head, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (direction == CAIRN_FORWARD) {
        page.version = after < head ? after + 1 : 0;
    } else {
        page.version = after == 0 || after > head ? head : after - 1;
    }
    rc = cairn_store_blame(store, fill(&page, err), err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_event_page filled = {.events = page.events, .count = page.count};
    if (page.count > 0) {
        uint64_t last = page.events[page.count - 1].version;
        filled.more = direction == CAIRN_FORWARD ? last < head : last > 1;
    }
    *ret_page = filled;
    return CAIRN_OK;
}

struct cairn_log_reader {
    struct cairn_store *store;
    struct cairn_backend_reader *reader;
    struct cairn_batch batch; /* borrowed from reader */
    size_t at;                /* in batch */
    uint16_t partition;
};

static enum cairn_rc nearest(struct cairn_store *store, uint16_t partition, uint64_t after,
                             struct cairn_resume *ret_from, struct cairn_err *err)
{
    *ret_from = (struct cairn_resume){0, 0};
    return after == 0 ? CAIRN_OK : cairn_index_near(store->index, partition, after, ret_from, err);
}

enum cairn_rc cairn_log_reader_open(struct cairn_store *store, uint16_t partition, uint64_t after,
                                    struct cairn_log_reader **ret_reader, struct cairn_err *err)
{
    struct cairn_resume from;
    if (partition >= store->partitions) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the log has %u partitions, none with number %u",
                          (unsigned)store->partitions, (unsigned)partition);
    }
    enum cairn_rc rc = nearest(store, partition, after, &from, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_log_reader *reader = cairn_mem_zalloc(1, sizeof(*reader));
    if (reader == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open a reader of the log");
    }
    reader->store = store;
    reader->partition = partition;
    rc = store->backend->ops->reader_open(store->backend, partition, after, from, &reader->reader,
                                          err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(reader);
        return rc;
    }
    *ret_reader = reader;
    return CAIRN_OK;
}

enum cairn_rc cairn_log_reader_next(struct cairn_log_reader *reader, size_t max_events,
                                    const struct cairn_event **ret_events, size_t *ret_count,
                                    struct cairn_err *err)
{
    assert(max_events > 0);
    if (reader->at == reader->batch.count) {
        struct cairn_backend *backend = reader->store->backend;
        enum cairn_rc rc =
            backend->ops->reader_next(reader->reader, max_events, &reader->batch, err);
        reader->at = 0;
        if (rc != CAIRN_OK) {
            reader->batch.count = 0;
            return cairn_store_blame(reader->store, rc, err);
        }
    }
    /* Up to max_events, then on to the end of a command. */
    size_t left = reader->batch.count - reader->at;
    if (left == 0) {
        *ret_events = NULL;
        *ret_count = 0;
        return CAIRN_OK;
    }
    size_t count = left < max_events ? left : max_events;
    const struct cairn_event *events = reader->batch.events + reader->at;
    while (count > 0 && count < left && !cairn_event_is_last(&events[count - 1])) {
        count++;
    }
    reader->at += count;
    *ret_events = events;
    *ret_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_log_reader_seek(struct cairn_log_reader *reader, uint64_t after,
                                    struct cairn_err *err)
{
    struct cairn_resume from;
    enum cairn_rc rc = nearest(reader->store, reader->partition, after, &from, err);
    reader->batch.count = 0;
    reader->at = 0;
    return rc == CAIRN_OK
               ? reader->store->backend->ops->reader_seek(reader->reader, after, from, err)
               : rc;
}

void cairn_log_reader_close(struct cairn_log_reader *reader)
{
    if (reader != NULL) {
        reader->store->backend->ops->reader_close(reader->reader);
        cairn_mem_free(reader);
    }
}

static enum cairn_rc find_receipt(struct cairn_store *store, struct cairn_slice key,
                                  uint16_t preferred, struct cairn_arena *arena,
                                  struct cairn_receipt *ret_receipt, struct cairn_err *err)
{
    uint16_t partition = 0;
    uint64_t locator = 0;
    struct cairn_event event;
    enum cairn_rc rc = cairn_store_catch_up(store, err);
    if (rc == CAIRN_OK) {
        rc = cairn_index_receipt(store->index, key, preferred, &partition, &locator, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (partition >= store->partitions) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "a receipt in the index names partition %u",
                          (unsigned)partition);
    }
    rc =
        store->backend->ops->read_append(store->backend, partition, locator, 0, arena, &event, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "read a receipt");
    }
    if (event.index != 0 || !cairn_slice_equal(event.key, key)) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                          "the index has a key at offset %llu of partition %u that is not there; "
                          "delete the index",
                          (unsigned long long)event.offset, (unsigned)partition);
    }
    struct cairn_receipt receipt = {.stream = event.stream,
                                    .partition = partition,
                                    .first_offset = event.offset,
                                    .first_version = event.version,
                                    .count = event.count};
    memcpy(receipt.fingerprint, event.fingerprint, sizeof(receipt.fingerprint));
    *ret_receipt = receipt;
    return CAIRN_OK;
}

enum cairn_rc cairn_store_receipt(struct cairn_store *store, struct cairn_slice key,
                                  uint16_t preferred, struct cairn_arena *arena,
                                  struct cairn_receipt *ret_receipt, struct cairn_err *err)
{
    enum cairn_rc rc = find_receipt(store, key, preferred, arena, ret_receipt, err);
    return rc == CAIRN_ENOENT ? rc : cairn_store_blame(store, rc, err);
}

enum cairn_rc cairn_store_snapshot_get(struct cairn_store *store, struct cairn_slice stream,
                                       const unsigned char code_hash[16], struct cairn_arena *arena,
                                       uint64_t *ret_version, struct cairn_slice *ret_state,
                                       struct cairn_err *err)
{
    return cairn_index_snapshot_get(store->index, stream, code_hash, arena, ret_version, ret_state,
                                    err);
}

enum cairn_rc cairn_store_snapshot_put(struct cairn_store *store, struct cairn_slice stream,
                                       const unsigned char code_hash[16], uint64_t version,
                                       struct cairn_slice state, struct cairn_err *err)
{
    return cairn_index_snapshot_put(store->index, stream, code_hash, version, state, err);
}
