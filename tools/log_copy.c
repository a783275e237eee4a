#include "tools/log_copy.h"

#include <assert.h>
#include <inttypes.h>

#include "eventstore/record.h"
#include "platform/mem.h"

/* Bytes of a group, unless one command alone is larger. */
#define SHARE_BYTES ((size_t)CAIRN_GROUP_BYTES_MAX / 2)
/* The copied events of one batch of the walk, without what they point to. */
#define ARENA_BYTES_MAX ((size_t)64 << 20)

/* Appends of one lane that wait to go together. */
struct share {
    struct cairn_append *appends; /* CAIRN_GROUP_APPENDS_MAX */
    size_t count;
    size_t bytes;
};

struct copying {
    struct cairn_store *to;
    struct share *shares; /* a lane of `to` each */
    struct cairn_arena arena;
    uint64_t written; /* events */
};

static enum cairn_rc write_share(struct copying *copying, uint16_t lane, struct cairn_err *err)
{
    struct share *share = &copying->shares[lane];
    if (share->count == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_store_append(copying->to, lane, share->appends, share->count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    for (size_t i = 0; i < share->count; i++) {
        const struct cairn_append *append = &share->appends[i];
        if (append->rc != CAIRN_OK) {
            return CAIRN_FAIL(
                err, CAIRN_ECONFLICT,
                "--to has %.*s at version %" PRIu64 ", not %" PRId64 ": something else writes it",
                CAIRN_SLICE_ARG(append->stream), append->actual_version, append->expected);
        }
        copying->written += append->count;
    }
    share->count = 0;
    share->bytes = 0;
    return CAIRN_OK;
}

static enum cairn_rc write_shares(void *self, struct cairn_err *err)
{
    struct copying *copying = self;
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t lane = 0; rc == CAIRN_OK && lane < cairn_store_lanes(copying->to); lane++) {
        rc = write_share(copying, lane, err);
    }
    cairn_arena_reset(&copying->arena);
    return rc;
}

/* Behind what waits already; what would not fit with it goes first. */
static enum cairn_rc add(struct copying *copying, const struct cairn_event *events,
                         struct cairn_err *err)
{
    uint16_t lane = cairn_store_lane_of(copying->to, events->stream);
    struct share *share = &copying->shares[lane];
    size_t size = 0;
    for (uint16_t i = 0; i < events->count; i++) {
        size += cairn_record_size(&events[i]);
    }
    enum cairn_rc rc = CAIRN_OK;
    if (share->count == CAIRN_GROUP_APPENDS_MAX || share->bytes + size > SHARE_BYTES) {
        rc = write_share(copying, lane, err);
    }
    struct cairn_event *copy = cairn_arena_alloc(&copying->arena, events->count * sizeof(*copy));
    if (rc == CAIRN_OK && copy == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    memcpy(copy, events, events->count * sizeof(*copy));
    share->appends[share->count++] =
        (struct cairn_append){.stream = events->stream,
                              .expected = (int64_t)(events->version - 1),
                              .events = copy,
                              .count = events->count};
    share->bytes += size;
    return CAIRN_OK;
}

static enum cairn_rc copy_command(void *self, const struct cairn_event *events,
                                  struct cairn_err *err)
{
    struct copying *copying = self;
    uint64_t head = 0;
    if (cairn_store_partition_of(copying->to, events->stream) == CAIRN_PARTITION_NONE) {
        return CAIRN_FAIL(err, CAIRN_ENOAGGREGATE,
                          "--to has no place for %.*s: is its aggregate still in the domain?",
                          CAIRN_SLICE_ARG(events->stream));
    }
    enum cairn_rc rc = cairn_store_head(copying->to, events->stream, &head, err);
    bool there = rc == CAIRN_OK && events->version + events->count - 1 <= head;
    return rc != CAIRN_OK || there ? rc : add(copying, events, err);
}

static enum cairn_rc make_shares(struct copying *copying, struct cairn_err *err)
{
    uint16_t lanes = cairn_store_lanes(copying->to);
    copying->shares = cairn_mem_zalloc(lanes, sizeof(*copying->shares));
    bool made = copying->shares != NULL;
    for (uint16_t lane = 0; made && lane < lanes; lane++) {
        struct share *share = &copying->shares[lane];
        share->appends = cairn_mem_zalloc(CAIRN_GROUP_APPENDS_MAX, sizeof(*share->appends));
        made = share->appends != NULL;
    }
    return made ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
}

static void free_shares(struct copying *copying)
{
    for (uint16_t lane = 0; copying->shares != NULL && lane < cairn_store_lanes(copying->to);
         lane++) {
        cairn_mem_free(copying->shares[lane].appends);
    }
    cairn_mem_free(copying->shares);
}

enum cairn_rc cairn_log_copy(const struct cairn_log_copy *copy, uint64_t *ret_written,
                             struct cairn_err *err)
{
    struct copying copying = {.to = copy->to, .arena = {.max = ARENA_BYTES_MAX}};
    const struct cairn_log_walk walk = {.store = copy->from,
                                        .stop = copy->stop,
                                        .what = "events moved",
                                        .command = copy_command,
                                        .batch = write_shares,
                                        .self = &copying};
    enum cairn_rc rc = make_shares(&copying, err);
    rc = rc == CAIRN_OK ? cairn_log_walk(&walk, err) : rc;
    *ret_written = copying.written;
    free_shares(&copying);
    cairn_arena_fini(&copying.arena);
    return rc;
}
