#include "projector/sql/asking.h"

#include <assert.h>
#include <pthread.h>

#include "platform/mem.h"
#include "projector/sql/store.h"

/* SQLSTATEs. */
#define UNDEFINED_TABLE  "42P01"
#define UNDEFINED_COLUMN "42703"

/* A view's face, replaced when its generation is. Requests that use it hold a count. */
struct cairn_sql_shared_face {
    struct cairn_sql_face face;
    unsigned users; /* under the reader's lock */
    bool stale;
};

struct cairn_sql_reader {
    struct cairn_pg_pool *pool;
    const struct cairn_domain *domain;
    pthread_mutex_t lock;
    /* Of each view of the domain, by its number; NULL: not read yet. */
    struct cairn_sql_shared_face **faces;
};

const struct cairn_domain *cairn_sql_reader_domain(const struct cairn_sql_reader *reader)
{
    return reader->domain;
}

/* ---- views of the domain ---- */

size_t cairn_sql_reader_find(const struct cairn_sql_reader *reader, struct cairn_slice name)
{
    for (size_t i = 0; i < cairn_domain_view_count(reader->domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(reader->domain, i);
        if (view->kind == CAIRN_VIEW_POSTGRES && cairn_slice_equal(view->name, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool cairn_sql_reader_has(const struct cairn_sql_reader *reader, struct cairn_slice view)
{
    return cairn_sql_reader_find(reader, view) != SIZE_MAX;
}

size_t cairn_sql_reader_count(const struct cairn_sql_reader *reader)
{
    size_t count = 0;
    for (size_t i = 0; i < cairn_domain_view_count(reader->domain); i++) {
        count += cairn_domain_view_at(reader->domain, i)->kind == CAIRN_VIEW_POSTGRES;
    }
    return count;
}

/* Could the schemas of the domain's views be there at all? */
static enum cairn_rc check_names(const struct cairn_domain *domain, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_domain_view_count(domain); i++) {
        const struct cairn_domain_view *view = cairn_domain_view_at(domain, i);
        if (view->kind == CAIRN_VIEW_POSTGRES) {
            rc = cairn_sql_schema(cairn_domain_name(domain), view->name, CAIRN_SIDE_NEXT, schema,
                                  err);
        }
    }
    return rc;
}

enum cairn_rc cairn_sql_reader_new(struct cairn_pg_pool *pool, const struct cairn_domain *domain,
                                   struct cairn_sql_reader **ret_reader, struct cairn_err *err)
{
    assert(pool != NULL && domain != NULL);
    enum cairn_rc rc = check_names(domain, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_sql_reader *reader = cairn_mem_zalloc(1, sizeof(*reader));
    struct cairn_sql_shared_face **faces =
        cairn_mem_zalloc(cairn_domain_view_count(domain) + 1, sizeof(*faces));
    if (reader == NULL || faces == NULL) {
        cairn_mem_free(reader);
        cairn_mem_free(faces);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read SQL views");
    }
    *reader = (struct cairn_sql_reader){.pool = pool, .domain = domain, .faces = faces};
    int fault = pthread_mutex_init(&reader->lock, NULL);
    assert(fault == 0); /* Linux never refuses a plain mutex */
    (void)fault;
    *ret_reader = reader;
    return CAIRN_OK;
}

static void drop_face(struct cairn_sql_shared_face *shared)
{
    if (shared != NULL) {
        assert(shared->users == 0);
        cairn_sql_face_fini(&shared->face);
        cairn_mem_free(shared);
    }
}

void cairn_sql_reader_free(struct cairn_sql_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (size_t i = 0; i < cairn_domain_view_count(reader->domain); i++) {
        drop_face(reader->faces[i]);
    }
    (void)pthread_mutex_destroy(&reader->lock);
    cairn_mem_free(reader->faces);
    cairn_mem_free(reader);
}

/* ---- faces ---- */

static struct cairn_sql_shared_face *borrow_face(struct cairn_sql_reader *reader, size_t view)
{
    (void)pthread_mutex_lock(&reader->lock);
    struct cairn_sql_shared_face *shared = reader->faces[view];
    if (shared != NULL) {
        shared->users++;
    }
    (void)pthread_mutex_unlock(&reader->lock);
    return shared;
}

static void return_face(struct cairn_sql_reader *reader, struct cairn_sql_shared_face *shared)
{
    (void)pthread_mutex_lock(&reader->lock);
    assert(shared->users > 0);
    shared->users--;
    bool last = shared->stale && shared->users == 0;
    (void)pthread_mutex_unlock(&reader->lock);
    if (last) {
        drop_face(shared);
    }
}

/* The generation is another one: whoever comes next reads its face. */
static void retire_face(struct cairn_sql_reader *reader, size_t view,
                        struct cairn_sql_shared_face *shared)
{
    (void)pthread_mutex_lock(&reader->lock);
    if (reader->faces[view] == shared) {
        reader->faces[view] = NULL;
        shared->stale = true;
    }
    (void)pthread_mutex_unlock(&reader->lock);
}

static enum cairn_rc load_face(struct cairn_sql_reader *reader, size_t view, struct cairn_pg *pg,
                               struct cairn_sql_shared_face **ret_shared, struct cairn_err *err)
{
    struct cairn_sql_shared_face *shared = cairn_mem_zalloc(1, sizeof(*shared));
    if (shared == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a view");
    }
    enum cairn_rc rc =
        cairn_sql_face_read(pg, cairn_domain_name(reader->domain),
                            cairn_domain_view_at(reader->domain, view)->sql, &shared->face, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(shared);
        return rc;
    }
    shared->users = 1;
    (void)pthread_mutex_lock(&reader->lock);
    bool kept = reader->faces[view] == NULL;
    if (kept) {
        reader->faces[view] = shared;
    } else {
        shared->stale = true; /* another was quicker: this one serves one request */
    }
    (void)pthread_mutex_unlock(&reader->lock);
    *ret_shared = shared;
    return CAIRN_OK;
}

/* ---- asking ---- */

enum cairn_rc cairn_sql_asking_connect(struct cairn_sql_reader *reader, struct cairn_slice view,
                                       struct cairn_sql_asking *asking, struct cairn_err *err)
{
    *asking =
        (struct cairn_sql_asking){.reader = reader, .view = cairn_sql_reader_find(reader, view)};
    if (asking->view == SIZE_MAX) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view: %.*s", CAIRN_SLICE_ARG(view));
    }
    return cairn_pg_pool_acquire(reader->pool, CAIRN_SQL_ACQUIRE_MS, &asking->pg, err);
}

enum cairn_rc cairn_sql_asking_look(struct cairn_sql_asking *asking, uint64_t generation,
                                    struct cairn_err *err)
{
    assert(asking->pg != NULL && asking->shared == NULL);
    struct cairn_sql_shared_face *shared = borrow_face(asking->reader, asking->view);
    if (shared != NULL && generation != 0 && shared->face.generation != generation) {
        retire_face(asking->reader, asking->view, shared);
        return_face(asking->reader, shared);
        shared = NULL;
    }
    enum cairn_rc rc = CAIRN_OK;
    if (shared == NULL) {
        rc = load_face(asking->reader, asking->view, asking->pg, &shared, err);
    }
    if (rc == CAIRN_OK) {
        asking->shared = shared;
        asking->face = &shared->face;
    }
    return rc;
}

enum cairn_rc cairn_sql_asking_begin(struct cairn_sql_reader *reader, struct cairn_slice view,
                                     struct cairn_sql_asking *asking, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_asking_connect(reader, view, asking, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_sql_asking_look(asking, 0, err);
    if (rc != CAIRN_OK) {
        cairn_sql_asking_end(asking);
    }
    return rc;
}

void cairn_sql_asking_end(struct cairn_sql_asking *asking)
{
    if (asking->shared != NULL) {
        return_face(asking->reader, asking->shared);
    }
    cairn_pg_pool_release(asking->reader->pool, asking->pg);
}

enum cairn_rc cairn_sql_asking_check(struct cairn_sql_asking *asking,
                                     const struct cairn_pg_result *rows,
                                     struct cairn_position *position, bool *ret_same,
                                     struct cairn_err *err)
{
    uint64_t generation = 0;
    *ret_same = false;
    if (cairn_pg_result_rows(rows) > 0) {
        if (cairn_position_parse(cairn_pg_result_value(rows, 0, 0), position) != CAIRN_OK ||
            cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 1), &generation) != CAIRN_OK) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row of _cairn_view does not read");
        }
        *ret_same = generation == asking->shared->face.generation;
    }
    if (!*ret_same) {
        retire_face(asking->reader, asking->view, asking->shared);
    }
    return CAIRN_OK;
}

bool cairn_sql_asking_missed(struct cairn_sql_asking *asking)
{
    const char *state = cairn_pg_sqlstate(asking->pg);
    bool missed = strcmp(state, UNDEFINED_TABLE) == 0 || strcmp(state, UNDEFINED_COLUMN) == 0;
    if (missed) {
        retire_face(asking->reader, asking->view, asking->shared);
    }
    return missed;
}
