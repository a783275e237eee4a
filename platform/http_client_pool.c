#include <assert.h>
#include <pthread.h>

#include "platform/http_client.h"
#include "platform/http_client_int.h"
#include "platform/mem.h"

#define IDLE_MAX 8u
#define LENT_MAX 512u
#define IDLE_NS  ((int64_t)CAIRN_HTTP_CLIENT_IDLE_S_MAX * INT64_C(1000000000))

/* A client of the pool. Its tag points here. */
struct slot {
    struct cairn_http_client *client;
    struct target *target;
    struct slot *older;  /* while it is idle, or on its way to be closed */
    int64_t released_ns; /* monotonic */
};

struct target {
    char name[CAIRN_HTTP_POOL_TARGET_BYTES_MAX];
    size_t size;       /* of name; 0: the place is free */
    struct slot *idle; /* given back last first */
    unsigned idle_count;
    unsigned lent_count;
    int64_t used_ns; /* monotonic */
};

struct cairn_http_pool {
    struct cairn_http_pool_options options;
    pthread_mutex_t lock; /* over targets; not held while a connection is made or closed */
    struct target targets[CAIRN_HTTP_POOL_TARGETS_MAX];
};

enum cairn_rc cairn_http_pool_new(const struct cairn_http_pool_options *options,
                                  struct cairn_http_pool **ret_pool, struct cairn_err *err)
{
    assert(options != NULL && ret_pool != NULL);
    struct cairn_http_pool *pool = cairn_mem_zalloc(1, sizeof(*pool));
    if (pool == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a pool of HTTP clients");
    }
    pool->options = *options;
    pool->options.idle_max = options->idle_max == 0 ? IDLE_MAX : options->idle_max;
    pool->options.lent_max = options->lent_max == 0 ? LENT_MAX : options->lent_max;
    pool->options.clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    (void)pthread_mutex_init(&pool->lock, NULL);
    *ret_pool = pool;
    return CAIRN_OK;
}

static void close_slots(struct slot *slot)
{
    while (slot != NULL) {
        struct slot *older = slot->older;
        cairn_http_client_free(slot->client);
        cairn_mem_free(slot);
        slot = older;
    }
}

void cairn_http_pool_free(struct cairn_http_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        assert(pool->targets[i].lent_count == 0);
        close_slots(pool->targets[i].idle);
    }
    (void)pthread_mutex_destroy(&pool->lock);
    cairn_mem_free(pool);
}

static struct target *find_target(struct cairn_http_pool *pool, struct cairn_slice name)
{
    for (size_t i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        struct target *target = &pool->targets[i];
        if (target->size > 0 &&
            cairn_slice_equal(cairn_slice_of(target->name, target->size), name)) {
            return target;
        }
    }
    return NULL;
}

/* A free place, or that of the target unused for longest, whose idle clients go to *dropped. NULL:
 * every target has clients out. */
static struct target *make_target(struct cairn_http_pool *pool, struct cairn_slice name,
                                  struct slot **dropped)
{
    struct target *place = NULL;
    for (size_t i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        struct target *target = &pool->targets[i];
        if (target->size == 0) {
            place = target;
            break;
        }
        if (target->lent_count == 0 && (place == NULL || target->used_ns < place->used_ns)) {
            place = target;
        }
    }
    if (place == NULL) {
        return NULL;
    }
    assert(*dropped == NULL && place->lent_count == 0);
    *dropped = place->idle;
    *place = (struct target){.size = name.size};
    memcpy(place->name, name.data, name.size);
    return place;
}

/* Takes the slots that were given back before a time off the target, and counts those that stay.
 * They are the tail of its list, which is put before *dropped. */
static void cut_tail(struct target *target, int64_t before_ns, struct slot **dropped)
{
    struct slot **link = &target->idle;
    unsigned kept = 0;
    while (*link != NULL && (*link)->released_ns >= before_ns) {
        link = &(*link)->older;
        kept++;
    }
    struct slot *tail = *link;
    *link = NULL;
    target->idle_count = kept;
    while (tail != NULL) {
        struct slot *older = tail->older;
        tail->older = *dropped;
        *dropped = tail;
        tail = older;
    }
}

/* A client of its own for a place that is already counted as lent. */
static enum cairn_rc make_slot(struct cairn_http_pool *pool, struct target *target,
                               struct slot **ret_slot, struct cairn_err *err)
{
    struct slot *slot = cairn_mem_zalloc(1, sizeof(*slot));
    if (slot == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "an HTTP client");
    }
    enum cairn_rc rc = cairn_http_client_new(&pool->options.client, &slot->client, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(slot);
        return rc;
    }
    slot->target = target;
    cairn_http_client_tag(slot->client, slot);
    *ret_slot = slot;
    return CAIRN_OK;
}

/* Counts one more as lent: *ret_slot is an idle one, or NULL where one must be made. NULL: none may
 * be lent. */
static struct target *reserve(struct cairn_http_pool *pool, struct cairn_slice name,
                              struct slot **dropped, struct slot **ret_slot)
{
    int64_t now_ns = cairn_clock_monotonic_ns(pool->options.clock);
    struct target *target = find_target(pool, name);
    target = target == NULL ? make_target(pool, name, dropped) : target;
    if (target == NULL || target->lent_count >= pool->options.lent_max) {
        return NULL;
    }
    cut_tail(target, now_ns - IDLE_NS, dropped);
    target->lent_count++;
    target->used_ns = now_ns;
    *ret_slot = target->idle;
    if (target->idle != NULL) {
        target->idle = target->idle->older;
        target->idle_count--;
    }
    return target;
}

enum cairn_rc cairn_http_pool_acquire(struct cairn_http_pool *pool, struct cairn_slice target,
                                      struct cairn_http_client **ret_client, struct cairn_err *err)
{
    if (target.size == 0 || target.size > CAIRN_HTTP_POOL_TARGET_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a target of %zu bytes, not 1 to %d", target.size,
                          CAIRN_HTTP_POOL_TARGET_BYTES_MAX);
    }
    struct slot *dropped = NULL;
    struct slot *slot = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    struct target *place = reserve(pool, target, &dropped, &slot);
    (void)pthread_mutex_unlock(&pool->lock);
    close_slots(dropped);
    if (place == NULL) {
        return CAIRN_FAIL(err, CAIRN_EBUSY, "%.*s: too many calls are under way",
                          CAIRN_SLICE_ARG(target));
    }
    enum cairn_rc rc = slot == NULL ? make_slot(pool, place, &slot, err) : CAIRN_OK;
    if (rc != CAIRN_OK) {
        (void)pthread_mutex_lock(&pool->lock);
        place->lent_count--;
        (void)pthread_mutex_unlock(&pool->lock);
        return rc;
    }
    *ret_client = slot->client;
    return CAIRN_OK;
}

void cairn_http_pool_release(struct cairn_http_pool *pool, struct cairn_http_client *client)
{
    if (client == NULL) {
        return;
    }
    struct slot *slot = cairn_http_client_tagged(client);
    assert(slot != NULL && slot->client == client);
    struct slot *dropped = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    struct target *target = slot->target;
    assert(target->lent_count > 0);
    target->lent_count--;
    slot->released_ns = cairn_clock_monotonic_ns(pool->options.clock);
    bool kept = target->idle_count < pool->options.idle_max;
    struct slot **list = kept ? &target->idle : &dropped;
    slot->older = *list;
    *list = slot;
    for (size_t i = 0; i < CAIRN_HTTP_POOL_TARGETS_MAX; i++) {
        cut_tail(&pool->targets[i], slot->released_ns - IDLE_NS, &dropped);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    close_slots(dropped);
}

size_t cairn_http_pool_idle(struct cairn_http_pool *pool, struct cairn_slice target)
{
    (void)pthread_mutex_lock(&pool->lock);
    const struct target *found = find_target(pool, target);
    size_t count = found == NULL ? 0 : found->idle_count;
    (void)pthread_mutex_unlock(&pool->lock);
    return count;
}
