#include "command/state_read.h"

#include <assert.h>
#include <pthread.h>

#include "command/fold.h"
#include "platform/mem.h"

/* One decider and what it folds with. */
struct reader {
    bool made;
    bool busy;
    struct cairn_decider decider;
    struct cairn_upcaster *upcaster;
    struct cairn_fold fold;
};

struct cairn_state_pool {
    struct cairn_state_pool_options options;
    pthread_mutex_t lock; /* guards `busy` of the readers */
    pthread_cond_t given_back;
    struct reader readers[CAIRN_STATE_READERS_MAX];
};

static void close_reader(struct reader *reader)
{
    if (reader->made) {
        cairn_fold_fini(&reader->fold);
    }
    cairn_upcaster_free(reader->upcaster);
    if (reader->decider.free != NULL) {
        reader->decider.free(reader->decider.self);
    }
    reader->made = false;
    reader->upcaster = NULL;
    reader->decider = (struct cairn_decider){0};
}

static enum cairn_rc make_reader(const struct cairn_state_pool *pool, struct reader *reader,
                                 struct cairn_err *err)
{
    const struct cairn_state_pool_options *options = &pool->options;
    enum cairn_rc rc = cairn_decider_lua(options->domain, &options->lua, &reader->decider, err);
    if (rc == CAIRN_OK) {
        rc = cairn_upcaster_new(options->domain, &reader->upcaster, err);
    }
    if (rc != CAIRN_OK) {
        close_reader(reader);
        return rc;
    }
    cairn_fold_init(&reader->fold, options->store, &reader->decider, reader->upcaster);
    reader->made = true;
    return CAIRN_OK;
}

enum cairn_rc cairn_state_pool_new(const struct cairn_state_pool_options *options,
                                   struct cairn_state_pool **ret_pool, struct cairn_err *err)
{
    assert(options->domain != NULL && options->store != NULL);
    struct cairn_state_pool *pool = cairn_mem_zalloc(1, sizeof(*pool));
    if (pool == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory to read states");
    }
    pool->options = *options;
    int fault = pthread_mutex_init(&pool->lock, NULL);
    assert(fault == 0);
    fault = pthread_cond_init(&pool->given_back, NULL);
    assert(fault == 0);
    *ret_pool = pool;
    return CAIRN_OK;
}

void cairn_state_pool_free(struct cairn_state_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < CAIRN_STATE_READERS_MAX; i++) {
        assert(!pool->readers[i].busy);
        close_reader(&pool->readers[i]);
    }
    (void)pthread_cond_destroy(&pool->given_back);
    (void)pthread_mutex_destroy(&pool->lock);
    cairn_mem_free(pool);
}

static struct reader *acquire(struct cairn_state_pool *pool)
{
    size_t free = 0;
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->readers[free].busy) {
        free++;
        if (free == CAIRN_STATE_READERS_MAX) {
            (void)pthread_cond_wait(&pool->given_back, &pool->lock);
            free = 0;
        }
    }
    pool->readers[free].busy = true;
    (void)pthread_mutex_unlock(&pool->lock);
    return &pool->readers[free];
}

static void release(struct cairn_state_pool *pool, struct reader *reader)
{
    (void)pthread_mutex_lock(&pool->lock);
    assert(reader->busy);
    reader->busy = false;
    (void)pthread_cond_signal(&pool->given_back);
    (void)pthread_mutex_unlock(&pool->lock);
}

static enum cairn_rc fail_missing(struct cairn_slice stream, uint64_t version,
                                  struct cairn_err *err)
{
    if (version == UINT64_MAX) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "there is no stream \"%.*s\"",
                          CAIRN_SLICE_ARG(stream));
    }
    return CAIRN_FAIL(err, CAIRN_ENOENT, "stream \"%.*s\" has no version %llu",
                      CAIRN_SLICE_ARG(stream), (unsigned long long)version);
}

static enum cairn_rc read_with(struct reader *reader,
                               const struct cairn_domain_aggregate *aggregate,
                               struct cairn_slice stream, uint64_t version,
                               struct cairn_arena *arena, struct cairn_value *ret_state,
                               uint64_t *ret_version, struct cairn_err *err)
{
    struct cairn_folded folded = {0};
    enum cairn_rc rc = cairn_fold_load(&reader->fold, aggregate, stream, version, &folded, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (folded.version == 0 || (version != UINT64_MAX && folded.version != version)) {
        rc = fail_missing(stream, version, err);
    } else {
        rc = reader->decider.save(reader->decider.self, folded.state, arena, ret_state, err);
    }
    reader->decider.close_state(reader->decider.self, folded.state);
    if (rc == CAIRN_OK) {
        *ret_version = folded.version;
    }
    return rc;
}

enum cairn_rc cairn_state_read(void *self, struct cairn_slice stream, uint64_t version,
                               struct cairn_arena *arena, struct cairn_value *ret_state,
                               uint64_t *ret_version, struct cairn_err *err)
{
    struct cairn_state_pool *pool = self;
    const struct cairn_domain_aggregate *aggregate = NULL;
    if (version > 0 && cairn_stream_is_valid(stream)) {
        aggregate = cairn_domain_aggregate(pool->options.domain, cairn_stream_aggregate(stream));
    }
    if (aggregate == NULL) {
        return fail_missing(stream, version, err);
    }
    struct reader *reader = acquire(pool);
    enum cairn_rc rc = reader->made ? CAIRN_OK : make_reader(pool, reader, err);
    if (rc == CAIRN_OK) {
        rc = read_with(reader, aggregate, stream, version, arena, ret_state, ret_version, err);
    }
    release(pool, reader);
    return rc;
}
