#include "command/cache.h"

#include <assert.h>

#include "platform/mem.h"

static void unlink_hot(struct cairn_cache *cache, struct cairn_hot *hot)
{
    if (hot->newer != NULL) {
        hot->newer->older = hot->older;
    } else {
        assert(cache->newest == hot);
        cache->newest = hot->older;
    }
    if (hot->older != NULL) {
        hot->older->newer = hot->newer;
    } else {
        assert(cache->oldest == hot);
        cache->oldest = hot->newer;
    }
    hot->newer = NULL;
    hot->older = NULL;
}

static void link_newest(struct cairn_cache *cache, struct cairn_hot *hot)
{
    assert(hot->newer == NULL && hot->older == NULL);
    hot->older = cache->newest;
    if (cache->newest != NULL) {
        cache->newest->newer = hot;
    } else {
        cache->oldest = hot;
    }
    cache->newest = hot;
}

/* Drop unpinned aggregates from the cold end: at most `most` of them. */
static void drop_coldest(struct cairn_cache *cache, size_t most)
{
    struct cairn_hot *hot = cache->oldest;
    while (hot != NULL && most > 0) {
        struct cairn_hot *newer = hot->newer;
        if (!hot->pinned) {
            cairn_cache_drop(cache, hot);
            most--;
        }
        hot = newer;
    }
}

void cairn_cache_init(struct cairn_cache *cache, const struct cairn_decider *decider,
                      size_t count_max, size_t memory_max)
{
    assert(decider != NULL);
    assert(count_max > 0 && memory_max > 0);
    *cache = (struct cairn_cache){
        .decider = decider,
        .by_stream = {.max = count_max + CAIRN_CACHE_SLACK_MAX},
        .count_max = count_max,
        .memory_max = memory_max,
    };
}

void cairn_cache_fini(struct cairn_cache *cache)
{
    while (cache->newest != NULL) {
        cairn_cache_drop(cache, cache->newest);
    }
    assert(cache->count == 0);
    cairn_map_fini(&cache->by_stream);
}

struct cairn_hot *cairn_cache_find(struct cairn_cache *cache, struct cairn_slice stream)
{
    assert(stream.size > 0);
    const union cairn_map_value *place = cairn_map_get(&cache->by_stream, stream);
    if (place == NULL) {
        return NULL;
    }
    struct cairn_hot *hot = place->pointer;
    assert(cairn_slice_equal(hot->stream, stream));
    if (cache->newest != hot) {
        unlink_hot(cache, hot);
        link_newest(cache, hot);
    }
    return hot;
}

struct cairn_hot *cairn_cache_add(struct cairn_cache *cache, struct cairn_slice stream,
                                  const struct cairn_domain_aggregate *aggregate)
{
    assert(stream.size > 0 && stream.size <= CAIRN_STREAM_BYTES_MAX);
    assert(aggregate != NULL);
    struct cairn_hot *hot = cairn_mem_zalloc(1, sizeof(*hot) + stream.size);
    if (hot == NULL) {
        return NULL;
    }
    bool added = false;
    union cairn_map_value *place = cairn_map_put(&cache->by_stream, stream, &added);
    if (place == NULL) {
        cairn_mem_free(hot);
        return NULL;
    }
    assert(added);
    place->pointer = hot;
    memcpy(hot->name, stream.data, stream.size);
    hot->stream = cairn_slice_of(hot->name, stream.size);
    hot->aggregate = aggregate;
    link_newest(cache, hot);
    cache->count++;
    return hot;
}

void cairn_cache_close_state(struct cairn_cache *cache, struct cairn_hot *hot)
{
    if (hot->state != 0) {
        cache->decider->close_state(cache->decider->self, hot->state);
        hot->state = 0;
    }
}

void cairn_cache_drop(struct cairn_cache *cache, struct cairn_hot *hot)
{
    assert(cache->count > 0);
    cairn_cache_close_state(cache, hot);
    bool removed = cairn_map_remove(&cache->by_stream, hot->stream);
    assert(removed);
    unlink_hot(cache, hot);
    cache->count--;
    cairn_mem_free(hot);
}

void cairn_cache_trim(struct cairn_cache *cache)
{
    if (cache->decider->memory(cache->decider->self) > cache->memory_max) {
        drop_coldest(cache, cache->count / 4 + 1);
    }
    if (cache->count > cache->count_max) {
        drop_coldest(cache, cache->count - cache->count_max);
    }
}

void cairn_cache_shed(struct cairn_cache *cache)
{
    drop_coldest(cache, cache->count);
}
