#include "projector/source.h"

#include <assert.h>

#include "platform/mem.h"

#define CHUNK_EVENTS_MIN 64u

struct cairn_source {
    struct cairn_store *store;
    unsigned partitions;
    struct cairn_log_reader *readers[CAIRN_PARTITIONS_MAX];
    uint64_t at[CAIRN_PARTITIONS_MAX]; /* offset of the last event given */
    bool ahead[CAIRN_PARTITIONS_MAX];  /* the reader is beyond that: a chunk of it was cut */
};

enum cairn_rc cairn_source_open(struct cairn_store *store, const struct cairn_position *after,
                                struct cairn_source **ret_source, struct cairn_err *err)
{
    assert(store != NULL && after != NULL && ret_source != NULL);
    struct cairn_source *source = cairn_mem_zalloc(1, sizeof *source);
    if (source == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "follow the log");
    }
    source->store = store;
    source->partitions = cairn_store_partitions(store);
    assert(source->partitions > 0 && source->partitions <= CAIRN_PARTITIONS_MAX);
    for (unsigned i = 0; i < source->partitions; i++) {
        enum cairn_rc rc =
            cairn_log_reader_open(store, (uint16_t)i, after->offsets[i], &source->readers[i], err);
        if (rc != CAIRN_OK) {
            cairn_source_close(source);
            return rc;
        }
        source->at[i] = after->offsets[i];
    }
    *ret_source = source;
    return CAIRN_OK;
}

void cairn_source_close(struct cairn_source *source)
{
    if (source == NULL) {
        return;
    }
    for (unsigned i = 0; i < source->partitions; i++) {
        if (source->readers[i] != NULL) {
            cairn_log_reader_close(source->readers[i]);
        }
    }
    cairn_mem_free(source);
}

/* Cut off what lies behind offset `last`. Was there something? */
static bool cut_chunk(struct cairn_chunk *chunk, uint64_t last)
{
    size_t before = chunk->count;
    while (chunk->count > 0 && chunk->events[chunk->count - 1].offset > last) {
        chunk->count--;
    }
    return chunk->count < before;
}

/* What its reader has next of a partition. */
static enum cairn_rc read_chunk(struct cairn_source *source, unsigned partition, size_t share,
                                struct cairn_chunk *chunk, struct cairn_err *err)
{
    struct cairn_log_reader *reader = source->readers[partition];
    enum cairn_rc rc = CAIRN_OK;
    if (source->ahead[partition]) {
        rc = cairn_log_reader_seek(reader, source->at[partition], err);
        source->ahead[partition] = rc != CAIRN_OK;
    }
    return rc == CAIRN_OK ? cairn_log_reader_next(reader, share, &chunk->events, &chunk->count, err)
                          : rc;
}

enum cairn_rc cairn_source_next(struct cairn_source *source, size_t max_events,
                                const struct cairn_position *until, struct cairn_chunks *ret_chunks,
                                struct cairn_err *err)
{
    assert(source != NULL && max_events > 0);
    size_t share = max_events / source->partitions;
    share = share < CHUNK_EVENTS_MIN ? CHUNK_EVENTS_MIN : share;
    ret_chunks->count = 0;
    ret_chunks->events = 0;
    for (unsigned i = 0; i < source->partitions; i++) {
        struct cairn_chunk chunk = {NULL, 0};
        if (until != NULL && source->at[i] >= until->offsets[i]) {
            continue;
        }
        enum cairn_rc rc = read_chunk(source, i, share, &chunk, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "read partition %u", i);
        }
        if (until != NULL) {
            source->ahead[i] = cut_chunk(&chunk, until->offsets[i]);
        }
        if (chunk.count > 0) {
            source->at[i] = chunk.events[chunk.count - 1].offset;
            assert(cairn_event_is_last(&chunk.events[chunk.count - 1]));
            ret_chunks->items[ret_chunks->count++] = chunk;
            ret_chunks->events += chunk.count;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_source_seek(struct cairn_source *source, const struct cairn_position *after,
                                struct cairn_err *err)
{
    for (unsigned i = 0; i < source->partitions; i++) {
        enum cairn_rc rc = cairn_log_reader_seek(source->readers[i], after->offsets[i], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        source->at[i] = after->offsets[i];
        source->ahead[i] = false;
    }
    return CAIRN_OK;
}
