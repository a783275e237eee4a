#include "command/keys.h"

#include <assert.h>
#include <pthread.h>

#include "platform/map.h"
#include "platform/mem.h"

struct cairn_keys {
    pthread_mutex_t lock;
    struct cairn_map held; /* key -> lane in the upper half, holds in the lower */
};

static uint64_t hold_of(uint16_t lane, uint32_t holds)
{
    return (uint64_t)lane << 32 | holds;
}

struct cairn_keys *cairn_keys_new(size_t max)
{
    assert(max > 0);
    struct cairn_keys *keys = cairn_mem_zalloc(1, sizeof(*keys));
    if (keys == NULL) {
        return NULL;
    }
    int fault = pthread_mutex_init(&keys->lock, NULL);
    assert(fault == 0); /* Linux never refuses a plain mutex */
    keys->held.max = max;
    return keys;
}

void cairn_keys_free(struct cairn_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    assert(keys->held.count == 0);
    cairn_map_fini(&keys->held);
    (void)pthread_mutex_destroy(&keys->lock);
    cairn_mem_free(keys);
}

enum cairn_rc cairn_keys_acquire(struct cairn_keys *keys, struct cairn_slice key, uint16_t lane,
                                 struct cairn_err *err)
{
    assert(key.size > 0);
    enum cairn_rc rc = CAIRN_OK;
    bool added = false;
    (void)pthread_mutex_lock(&keys->lock);
    union cairn_map_value *place = cairn_map_put(&keys->held, key, &added);
    if (place == NULL) {
        rc = CAIRN_ENOMEM;
    } else if (added) {
        place->number = hold_of(lane, 1);
    } else if (place->number >> 32 == lane) {
        place->number++;
    } else {
        rc = CAIRN_EBUSY;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (rc == CAIRN_EBUSY) {
        return CAIRN_FAIL(err, rc, "another command with this Idempotency-Key is under way");
    }
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "no memory to hold an Idempotency-Key");
}

void cairn_keys_release(struct cairn_keys *keys, struct cairn_slice key, uint16_t lane)
{
    (void)pthread_mutex_lock(&keys->lock);
    union cairn_map_value *place = cairn_map_get(&keys->held, key);
    assert(place != NULL && place->number >> 32 == lane);
    if (place->number == hold_of(lane, 1)) {
        bool removed = cairn_map_remove(&keys->held, key);
        assert(removed);
    } else {
        place->number--;
    }
    (void)pthread_mutex_unlock(&keys->lock);
}
