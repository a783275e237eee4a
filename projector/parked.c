#include "projector/parked.h"

#include <assert.h>

#include "platform/mem.h"

/* A stretch of a stream. A stream has few: one for each time that somebody gave some of its events
 * up, and at most one without end. */
struct range {
    uint64_t version;
    uint64_t until_version; /* 0: without end */
    struct range *next;
};

void cairn_parked_init(struct cairn_parked_set *set)
{
    *set = (struct cairn_parked_set){.streams = {.max = CAIRN_PARKED_RANGES_MAX}};
}

void cairn_parked_fini(struct cairn_parked_set *set)
{
    size_t cursor = 0;
    struct cairn_slice stream;
    union cairn_map_value value;
    while (cairn_map_next(&set->streams, &cursor, &stream, &value)) {
        struct range *range = value.pointer;
        while (range != NULL) {
            struct range *next = range->next;
            cairn_mem_free(range);
            range = next;
        }
    }
    cairn_map_fini(&set->streams);
    cairn_parked_init(set);
}

/* The stream's range of that version, NULL: it has none. */
static struct range *range_of(const struct cairn_parked_set *set, struct cairn_slice stream,
                              uint64_t version)
{
    const union cairn_map_value *ranges = cairn_map_get(&set->streams, stream);
    struct range *range = ranges == NULL ? NULL : ranges->pointer;
    while (range != NULL && range->version != version) {
        range = range->next;
    }
    return range;
}

static enum cairn_rc add_range(struct cairn_parked_set *set, struct cairn_slice stream,
                               uint64_t version, struct range **ret_range, struct cairn_err *err)
{
    if (set->ranges == CAIRN_PARKED_RANGES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "more than %d ends of streams were given up",
                          CAIRN_PARKED_RANGES_MAX);
    }
    struct range *range = cairn_mem_zalloc(1, sizeof *range);
    union cairn_map_value *place =
        range == NULL ? NULL : cairn_map_put(&set->streams, stream, NULL);
    if (place == NULL) {
        cairn_mem_free(range);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "park %.*s", CAIRN_SLICE_ARG(stream));
    }
    *range = (struct range){.version = version, .next = place->pointer};
    place->pointer = range;
    set->ranges++;
    *ret_range = range;
    return CAIRN_OK;
}

enum cairn_rc cairn_parked_put(struct cairn_parked_set *set, struct cairn_slice stream,
                               uint64_t version, uint64_t until_version, struct cairn_err *err)
{
    assert(set->streams.max > 0 && stream.size > 0);
    assert(version > 0 && (until_version == 0 || until_version >= version));
    struct range *range = range_of(set, stream, version);
    bool waited = range != NULL && range->until_version == 0;
    if (until_version == 0 && !waited && set->waiting == CAIRN_PARKED_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "more than %d streams are parked", CAIRN_PARKED_MAX);
    }
    if (range == NULL) {
        enum cairn_rc rc = add_range(set, stream, version, &range, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    range->until_version = until_version;
    set->waiting += until_version == 0;
    set->waiting -= waited;
    return CAIRN_OK;
}

bool cairn_parked_find(const struct cairn_parked_set *set, const struct cairn_event *event)
{
    const union cairn_map_value *ranges = cairn_map_get(&set->streams, event->stream);
    const struct range *range = ranges == NULL ? NULL : ranges->pointer;
    while (range != NULL &&
           (event->version < range->version ||
            (range->until_version != 0 && event->version > range->until_version))) {
        range = range->next;
    }
    return range != NULL;
}
