#include "projector/lmdb/parallel.h"

#include <assert.h>
#include <pthread.h>

#include "platform/fault.h"
#include "platform/mem.h"
#include "projector/replay.h"

/* Batches that are left to one worker after some met: 1, doubled up to this. */
#define PENALTY_MAX 64u

struct worker {
    struct cairn_parallel *parallel;
    unsigned index;
    struct cairn_view_group group; /* its upcaster, arenas and follower; it reads no log */
    struct cairn_kv_txn *snapshot;
    pthread_t thread;
    bool runs;
    bool refused; /* an event could not be applied */
    enum cairn_rc rc;
    struct cairn_err err;
};

/* What the workers do with their share. */
enum job { JOB_APPLY, JOB_SEAL, JOB_END };

struct cairn_parallel {
    struct worker *workers; /* the first is the owner's thread */
    unsigned count;
    unsigned skip;    /* batches that are left to one worker */
    unsigned penalty; /* so many, when they meet the next time */
    bool fresh;       /* nothing of the batch was applied yet */
    bool helped;      /* a batch was sealed */
    const struct cairn_chunks *chunks;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t begun, done;
    enum job job;
    uint64_t round; /* of jobs, so that a thread does each once */
    unsigned running;
};

/* ---- A worker's share -------------------------------------------------------------------------
 */

static struct cairn_follower *follower_of(const struct worker *worker)
{
    return worker->group.followers[0];
}

static struct cairn_writeset *writes_of(const struct worker *worker)
{
    return cairn_projection_writes(follower_of(worker)->projection);
}

static void apply_chunk(struct worker *worker, const struct cairn_chunk *chunk)
{
    struct cairn_follower *follower = follower_of(worker);
    for (size_t i = 0; i < chunk->count && worker->rc == CAIRN_OK && !worker->refused; i++) {
        const struct cairn_event *event = &chunk->events[i];
        if (cairn_parked_has(&follower->parking.set, event)) {
            continue;
        }
        if (event->index == 0) {
            cairn_projection_mark(follower->projection);
        }
        worker->rc = cairn_view_group_apply(&worker->group, follower, event, &worker->err);
        if (worker->rc == CAIRN_ESCRIPT) {
            worker->refused = true;
            worker->rc = CAIRN_OK;
        }
    }
}

static void apply_share(struct worker *worker)
{
    const struct cairn_chunks *chunks = worker->parallel->chunks;
    for (size_t i = 0; i < chunks->count; i++) {
        const struct cairn_chunk *chunk = &chunks->items[i];
        if (chunk->events[0].partition % worker->parallel->count == worker->index) {
            apply_chunk(worker, chunk);
        }
    }
}

static void seal_share(struct worker *worker)
{
    worker->rc = cairn_follower_seal(follower_of(worker), &worker->group.arena, &worker->err);
}

static void (*const jobs[])(struct worker *worker) = {
    [JOB_APPLY] = apply_share, [JOB_SEAL] = seal_share};

/* ---- Threads ----------------------------------------------------------------------------------
 */

static void *run(void *argument)
{
    struct worker *worker = argument;
    struct cairn_parallel *parallel = worker->parallel;
    uint64_t seen = 0;
    for (;;) {
        (void)pthread_mutex_lock(&parallel->lock);
        while (parallel->round == seen) {
            (void)pthread_cond_wait(&parallel->begun, &parallel->lock);
        }
        seen = parallel->round;
        enum job job = parallel->job;
        (void)pthread_mutex_unlock(&parallel->lock);
        if (job == JOB_END) {
            return NULL;
        }
        jobs[job](worker);
        (void)pthread_mutex_lock(&parallel->lock);
        parallel->running--;
        if (parallel->running == 0) {
            (void)pthread_cond_signal(&parallel->done);
        }
        (void)pthread_mutex_unlock(&parallel->lock);
    }
}

static void announce(struct cairn_parallel *parallel, enum job job)
{
    (void)pthread_mutex_lock(&parallel->lock);
    parallel->job = job;
    parallel->round++;
    parallel->running = parallel->count - 1;
    (void)pthread_cond_broadcast(&parallel->begun);
    (void)pthread_mutex_unlock(&parallel->lock);
}

/* All workers do it, and have done it afterwards. */
static enum cairn_rc do_job(struct cairn_parallel *parallel, enum job job, struct cairn_err *err)
{
    announce(parallel, job);
    jobs[job](&parallel->workers[0]);
    (void)pthread_mutex_lock(&parallel->lock);
    while (parallel->running > 0) {
        (void)pthread_cond_wait(&parallel->done, &parallel->lock);
    }
    (void)pthread_mutex_unlock(&parallel->lock);
    for (unsigned i = 0; i < parallel->count; i++) {
        const struct worker *worker = &parallel->workers[i];
        if (worker->rc != CAIRN_OK) {
            *err = worker->err;
            return worker->rc;
        }
    }
    return CAIRN_OK;
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static enum cairn_rc open_worker(struct worker *worker,
                                 const struct cairn_view_group_options *options,
                                 const struct cairn_lua_limits *limits,
                                 const struct cairn_follower *model, struct cairn_err *err)
{
    const struct cairn_view_code *code = cairn_projection_code(model->projection);
    struct cairn_view_group_options quiet = *options;
    struct cairn_projection *projection = NULL;
    struct cairn_follower *follower = NULL;
    quiet.metrics = NULL; /* the owner's group counts the batch */
    enum cairn_rc rc = cairn_view_group_init(&worker->group, &quiet, err);
    if (rc == CAIRN_OK) {
        rc = cairn_projection_new(cairn_follower_name(model), code->script_name, code->script,
                                  limits, &projection, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_follower_new(cairn_follower_name(model), projection, &model->tables, model->side,
                                &model->head, NULL, &follower, err);
    }
    if (rc == CAIRN_OK) {
        cairn_view_group_add(&worker->group, follower);
    }
    return rc;
}

static enum cairn_rc start_worker(struct worker *worker, struct cairn_err *err)
{
    if (cairn_fault_hit(CAIRN_FAULT_THREAD) ||
        pthread_create(&worker->thread, NULL, run, worker) != 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start a worker's thread");
    }
    worker->runs = true;
    return CAIRN_OK;
}

static enum cairn_rc init_locks(struct cairn_parallel *parallel, struct cairn_err *err)
{
    if (pthread_mutex_init(&parallel->lock, NULL) != 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start workers");
    }
    if (pthread_cond_init(&parallel->begun, NULL) != 0) {
        (void)pthread_mutex_destroy(&parallel->lock);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start workers");
    }
    if (pthread_cond_init(&parallel->done, NULL) != 0) {
        (void)pthread_cond_destroy(&parallel->begun);
        (void)pthread_mutex_destroy(&parallel->lock);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start workers");
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_parallel_new(const struct cairn_view_group_options *options,
                                 const struct cairn_lua_limits *limits,
                                 const struct cairn_follower *follower, unsigned workers,
                                 struct cairn_parallel **ret_parallel, struct cairn_err *err)
{
    assert(workers >= 2 && workers <= CAIRN_REBUILD_WORKERS_MAX);
    assert(follower->projection != NULL && follower->scope == NULL);
    struct cairn_parallel *parallel = cairn_mem_zalloc(1, sizeof *parallel);
    if (parallel == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "start workers");
    }
    parallel->workers = cairn_mem_zalloc(workers, sizeof *parallel->workers);
    enum cairn_rc rc = parallel->workers == NULL
                           ? CAIRN_FAIL(err, CAIRN_ENOMEM, "start %u workers", workers)
                           : init_locks(parallel, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(parallel->workers);
        cairn_mem_free(parallel);
        return rc;
    }
    parallel->penalty = 1;
    for (unsigned i = 0; i < workers && rc == CAIRN_OK; i++) {
        struct worker *worker = &parallel->workers[i];
        worker->parallel = parallel;
        worker->index = i;
        parallel->count++;
        rc = open_worker(worker, options, limits, follower, err);
        if (rc == CAIRN_OK && i > 0) {
            rc = start_worker(worker, err);
        }
    }
    if (rc != CAIRN_OK) {
        cairn_parallel_free(parallel);
        return rc;
    }
    *ret_parallel = parallel;
    return CAIRN_OK;
}

void cairn_parallel_free(struct cairn_parallel *parallel)
{
    if (parallel == NULL) {
        return;
    }
    cairn_parallel_end(parallel);
    announce(parallel, JOB_END);
    for (unsigned i = 0; i < parallel->count; i++) {
        struct worker *worker = &parallel->workers[i];
        if (worker->runs) {
            (void)pthread_join(worker->thread, NULL);
        }
        cairn_view_group_fini(&worker->group);
    }
    (void)pthread_cond_destroy(&parallel->done);
    (void)pthread_cond_destroy(&parallel->begun);
    (void)pthread_mutex_destroy(&parallel->lock);
    cairn_mem_free(parallel->workers);
    cairn_mem_free(parallel);
}

/* ---- A batch ----------------------------------------------------------------------------------
 */

bool cairn_parallel_takes(struct cairn_parallel *parallel)
{
    if (parallel == NULL) {
        return false;
    }
    if (parallel->skip > 0) {
        parallel->skip--;
        return false;
    }
    return true;
}

/* Nothing but the build writes the generation's tables, so snapshots of one moment or the next hold
 * the same rows of it. */
static enum cairn_rc begin_worker(struct worker *worker, const struct cairn_follower *model,
                                  struct cairn_err *err)
{
    struct cairn_follower *follower = follower_of(worker);
    struct cairn_views *views = worker->group.views;
    worker->rc = CAIRN_OK;
    worker->refused = false;
    if (follower->head.parks != model->head.parks) {
        cairn_parking_fini(&follower->parking);
    }
    follower->head = model->head;
    enum cairn_rc rc = cairn_kv_read_begin(cairn_views_kv(views), &worker->snapshot, err);
    return rc == CAIRN_OK ? cairn_follower_begin(follower, worker->snapshot,
                                                 cairn_views_meta(views), &worker->group.arena, err)
                          : rc;
}

enum cairn_rc cairn_parallel_begin(struct cairn_parallel *parallel,
                                   const struct cairn_follower *follower, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    parallel->fresh = true;
    for (unsigned i = 0; i < parallel->count && rc == CAIRN_OK; i++) {
        assert(parallel->workers[i].snapshot == NULL);
        rc = begin_worker(&parallel->workers[i], follower, err);
    }
    return rc;
}

/* Has one written what the other touched? */
static bool meet(const struct cairn_writeset *a, const struct cairn_writeset *b)
{
    const struct cairn_writeset *small = a->count < b->count ? a : b;
    const struct cairn_writeset *large = small == a ? b : a;
    for (size_t i = 0; i < small->count; i++) {
        const struct cairn_write *entry = &small->entries[i];
        const struct cairn_write *twin = cairn_writeset_find(large, entry->key, entry->hash);
        if (twin != NULL && (entry->dirty || twin->dirty)) {
            return true;
        }
    }
    return false;
}

static bool any_meet(const struct cairn_parallel *parallel)
{
    for (unsigned i = 0; i < parallel->count; i++) {
        if (parallel->workers[i].refused) {
            return true;
        }
        for (unsigned j = i + 1; j < parallel->count; j++) {
            if (meet(writes_of(&parallel->workers[i]), writes_of(&parallel->workers[j]))) {
                return true;
            }
        }
    }
    return false;
}

/* The next batches are left to one worker. */
static bool stand_back(struct cairn_parallel *parallel)
{
    parallel->skip = parallel->penalty;
    parallel->penalty = parallel->penalty >= PENALTY_MAX / 2 ? PENALTY_MAX : parallel->penalty * 2;
    return true;
}

enum cairn_rc cairn_parallel_apply(struct cairn_parallel *parallel,
                                   const struct cairn_chunks *chunks, bool *ret_met,
                                   struct cairn_err *err)
{
    bool refused = false;
    parallel->chunks = chunks;
    enum cairn_rc rc = do_job(parallel, JOB_APPLY, err);
    parallel->chunks = NULL;
    for (unsigned i = 0; i < parallel->count; i++) {
        refused = refused || parallel->workers[i].refused;
    }
    /* A view that adds everything up meets at once: then the rest need not be tried. */
    *ret_met = rc == CAIRN_OK && (refused || (parallel->fresh && any_meet(parallel))) &&
               stand_back(parallel);
    parallel->fresh = false;
    return rc;
}

bool cairn_parallel_is_big(const struct cairn_parallel *parallel, size_t bytes, size_t rows)
{
    bool big = false;
    for (unsigned i = 0; i < parallel->count; i++) {
        const struct worker *worker = &parallel->workers[i];
        big = big || worker->group.arena.used > bytes || writes_of(worker)->count > rows;
    }
    return big;
}

/* One worker's changes of a table, on their way into all. */
struct run {
    const struct cairn_follower_op *ops;
    size_t count;
};

/* Sorted runs into one; runs is used up. */
static void merge(struct run *runs, unsigned count, struct cairn_follower_op *into)
{
    for (;;) {
        struct run *least = NULL;
        for (unsigned i = 0; i < count; i++) {
            if (runs[i].count > 0 &&
                (least == NULL || cairn_slice_compare(runs[i].ops->key, least->ops->key) < 0)) {
                least = &runs[i];
            }
        }
        if (least == NULL) {
            return;
        }
        *into++ = *least->ops++;
        least->count--;
    }
}

static enum cairn_rc merge_ops(const struct cairn_parallel *parallel, bool index,
                               struct cairn_arena *arena, struct cairn_follower_op **ret_ops,
                               size_t *ret_count, struct cairn_err *err)
{
    struct run runs[CAIRN_REBUILD_WORKERS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < parallel->count; i++) {
        const struct cairn_follower *follower = follower_of(&parallel->workers[i]);
        runs[i] = index ? (struct run){follower->index_ops, follower->index_op_count}
                        : (struct run){follower->row_ops, follower->row_op_count};
        count += runs[i].count;
    }
    struct cairn_follower_op *ops = cairn_arena_alloc(arena, (count + 1) * sizeof *ops);
    if (ops == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare %zu rows", count);
    }
    merge(runs, parallel->count, ops);
    *ret_ops = ops;
    *ret_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_parallel_seal(struct cairn_parallel *parallel, struct cairn_follower *follower,
                                  struct cairn_arena *arena, bool *ret_met, struct cairn_err *err)
{
    /* Before they are sorted, which their tables do not outlive. */
    *ret_met = any_meet(parallel) && stand_back(parallel);
    if (*ret_met) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = do_job(parallel, JOB_SEAL, err);
    if (rc == CAIRN_OK) {
        rc = merge_ops(parallel, false, arena, &follower->row_ops, &follower->row_op_count, err);
    }
    if (rc == CAIRN_OK) {
        rc = merge_ops(parallel, true, arena, &follower->index_ops, &follower->index_op_count, err);
    }
    if (rc == CAIRN_OK) {
        parallel->penalty = 1;
        parallel->helped = true;
    }
    return rc;
}

bool cairn_parallel_has_helped(const struct cairn_parallel *parallel)
{
    return parallel->helped;
}

void cairn_parallel_end(struct cairn_parallel *parallel)
{
    for (unsigned i = 0; i < parallel->count; i++) {
        struct worker *worker = &parallel->workers[i];
        cairn_kv_end(worker->snapshot);
        worker->snapshot = NULL;
        cairn_arena_reset(&worker->group.arena);
    }
}
