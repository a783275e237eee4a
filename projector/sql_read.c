#include "projector/sql_read.h"

#include <assert.h>
#include <pthread.h>

#include "platform/mem.h"
#include "projector/sql_face.h"
#include "projector/sql_list.h"
#include "projector/sql_store.h"

/* How long a request waits for a connection. */
#define ACQUIRE_MS 2000
/* A generation that is switched while a request runs is looked at again, this often. */
#define TRIES_MAX 3
/* More rows than these are estimated: counting them would take longer than who asks will wait. */
#define COUNT_ROWS_MAX "100000"

/* A view's face, replaced when its generation is. Requests that use it hold a count. */
struct shared_face {
    struct cairn_sql_face face;
    unsigned users; /* under the reader's lock */
    bool stale;
};

struct cairn_sql_reader {
    struct cairn_pg_pool *pool;
    const struct cairn_domain *domain;
    pthread_mutex_t lock;
    struct shared_face **faces; /* of each view of the domain, by its number; NULL: not read yet */
};

/* ---- views of the domain ---- */

static size_t find(const struct cairn_sql_reader *reader, struct cairn_slice name)
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
    return find(reader, view) != SIZE_MAX;
}

size_t cairn_sql_reader_count(const struct cairn_sql_reader *reader)
{
    size_t count = 0;
    for (size_t i = 0; i < cairn_domain_view_count(reader->domain); i++) {
        count += cairn_domain_view_at(reader->domain, i)->kind == CAIRN_VIEW_POSTGRES;
    }
    return count;
}

enum cairn_rc cairn_sql_reader_new(struct cairn_pg_pool *pool, const struct cairn_domain *domain,
                                   struct cairn_sql_reader **ret_reader, struct cairn_err *err)
{
    assert(pool != NULL && domain != NULL);
    struct cairn_sql_reader *reader = cairn_mem_zalloc(1, sizeof(*reader));
    struct shared_face **faces =
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

static void drop_face(struct shared_face *shared)
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

static struct shared_face *borrow_face(struct cairn_sql_reader *reader, size_t view)
{
    (void)pthread_mutex_lock(&reader->lock);
    struct shared_face *shared = reader->faces[view];
    if (shared != NULL) {
        shared->users++;
    }
    (void)pthread_mutex_unlock(&reader->lock);
    return shared;
}

static void return_face(struct cairn_sql_reader *reader, struct shared_face *shared)
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
static void retire_face(struct cairn_sql_reader *reader, size_t view, struct shared_face *shared)
{
    (void)pthread_mutex_lock(&reader->lock);
    if (reader->faces[view] == shared) {
        reader->faces[view] = NULL;
        shared->stale = true;
    }
    (void)pthread_mutex_unlock(&reader->lock);
}

static enum cairn_rc load_face(struct cairn_sql_reader *reader, size_t view, struct cairn_pg *pg,
                               struct shared_face **ret_shared, struct cairn_err *err)
{
    struct shared_face *shared = cairn_mem_zalloc(1, sizeof(*shared));
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

/* ---- one request ---- */

struct asking {
    struct cairn_sql_reader *reader;
    size_t view;
    struct cairn_pg *pg;
    struct shared_face *shared;
};

static enum cairn_rc begin(struct cairn_sql_reader *reader, struct cairn_slice view,
                           struct asking *asking, struct cairn_err *err)
{
    *asking = (struct asking){.reader = reader, .view = find(reader, view)};
    if (asking->view == SIZE_MAX) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view: %.*s", CAIRN_SLICE_ARG(view));
    }
    enum cairn_rc rc = cairn_pg_pool_acquire(reader->pool, ACQUIRE_MS, &asking->pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    asking->shared = borrow_face(reader, asking->view);
    if (asking->shared == NULL) {
        rc = load_face(reader, asking->view, asking->pg, &asking->shared, err);
    }
    if (rc != CAIRN_OK) {
        cairn_pg_pool_release(reader->pool, asking->pg);
    }
    return rc;
}

static void finish(struct asking *asking)
{
    return_face(asking->reader, asking->shared);
    cairn_pg_pool_release(asking->reader->pool, asking->pg);
}

/* Columns 0 and 1 of an answer are position and generation. False: the face is of another
 * generation, so whoever asked asks again. */
static enum cairn_rc check_answer(struct asking *asking, const struct cairn_pg_result *rows,
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

/* The table is not there, or not as it was: it was switched between face and answer. */
static bool was_switched(const struct cairn_pg *pg)
{
    const char *state = cairn_pg_sqlstate(pg);
    return strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0;
}

static enum cairn_rc switched_too_often(struct cairn_slice view, struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_EBUSY, "the view %.*s was switched while it was read",
                      CAIRN_SLICE_ARG(view));
}

/* ---- a row ---- */

/* A key that is no value of its column's type cannot be there; one with a NUL is refused before it
 * comes to the server. */
static bool is_no_value(const struct cairn_pg *pg, enum cairn_rc rc)
{
    const char *state = cairn_pg_sqlstate(pg);
    return strncmp(state, "22", 2) == 0 || (rc == CAIRN_EINVAL && state[0] == '\0');
}

static enum cairn_rc get_once(struct asking *asking, struct cairn_slice view,
                              const struct cairn_slice *keys, struct cairn_pg_result **ret_rows,
                              struct cairn_err *err)
{
    const struct cairn_sql_face *face = &asking->shared->face;
    struct cairn_slice values[1 + CAIRN_SQL_VIEW_KEYS_MAX] = {view};
    for (size_t i = 0; i < face->key_count; i++) {
        values[i + 1] = keys[i];
    }
    return cairn_pg_query(asking->pg, face->get_sql, values, face->key_count + 1, ret_rows, err);
}

/* *ret_done false: ask again. */
static enum cairn_rc try_get(struct asking *asking, struct cairn_slice view, struct cairn_slice key,
                             struct cairn_arena *arena, struct cairn_value *ret_row,
                             struct cairn_position *position, bool *ret_done, struct cairn_err *err)
{
    struct cairn_slice keys[CAIRN_SQL_VIEW_KEYS_MAX];
    struct cairn_pg_result *rows = NULL;
    *ret_done = true;
    enum cairn_rc rc = cairn_sql_face_key(&asking->shared->face, key, arena, keys);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, rc, "the key of view %.*s is a JSON list of %zu texts",
                          CAIRN_SLICE_ARG(view), asking->shared->face.key_count);
    }
    rc = rc == CAIRN_OK ? get_once(asking, view, keys, &rows, err)
                        : CAIRN_FAIL(err, rc, "read a row");
    if (rc != CAIRN_OK) {
        if (was_switched(asking->pg)) {
            retire_face(asking->reader, asking->view, asking->shared);
            *ret_done = false;
            return CAIRN_OK;
        }
        return is_no_value(asking->pg, rc) ? cairn_err_wrap(err, CAIRN_ENOENT, "no such row") : rc;
    }
    rc = check_answer(asking, rows, position, ret_done, err);
    if (rc == CAIRN_OK && *ret_done) {
        struct cairn_slice document = cairn_pg_result_value(rows, 0, 2);
        rc = document.data == NULL
                 ? CAIRN_FAIL(err, CAIRN_ENOENT, "view %.*s has no row with that key",
                              CAIRN_SLICE_ARG(view))
                 : cairn_sql_face_document(document, arena, ret_row, err);
    }
    cairn_pg_result_free(rows);
    return rc;
}

enum cairn_rc cairn_sql_view_get(struct cairn_sql_reader *reader, struct cairn_slice view,
                                 struct cairn_slice key, struct cairn_arena *arena,
                                 struct cairn_value *ret_row, struct cairn_position *ret_position,
                                 bool *ret_known, struct cairn_err *err)
{
    struct cairn_position position = {{0}};
    *ret_known = cairn_sql_reader_has(reader, view);
    for (int i = 0; i < TRIES_MAX; i++) {
        struct asking asking;
        bool done = false;
        enum cairn_rc rc = begin(reader, view, &asking, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = try_get(&asking, view, key, arena, ret_row, &position, &done, err);
        finish(&asking);
        if (done) {
            if (ret_position != NULL && (rc == CAIRN_OK || rc == CAIRN_ENOENT)) {
                *ret_position = position;
            }
            return rc;
        }
    }
    return switched_too_often(view, err);
}

/* ---- a page ---- */

enum cairn_rc cairn_sql_view_list(struct cairn_sql_reader *reader,
                                  const struct cairn_view_query *query, struct cairn_arena *arena,
                                  struct cairn_view_page *ret_page, struct cairn_err *err)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct asking asking;
        struct cairn_pg_result *rows = NULL;
        bool done = false;
        enum cairn_rc rc = begin(reader, query->view, &asking, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rc = cairn_sql_list_ask(asking.pg, &asking.shared->face, query, arena, &rows, err);
        if (rc == CAIRN_OK) {
            rc = check_answer(&asking, rows, &ret_page->position, &done, err);
        } else if (was_switched(asking.pg)) {
            retire_face(reader, asking.view, asking.shared);
            rc = CAIRN_OK;
        }
        if (rc == CAIRN_OK && done) {
            rc = cairn_sql_list_take(&asking.shared->face, query, rows, arena, ret_page, err);
        }
        cairn_pg_result_free(rows);
        finish(&asking);
        if (rc != CAIRN_OK || done) {
            return rc;
        }
    }
    return switched_too_often(query->view, err);
}

/* ---- states ---- */

static enum cairn_rc count_rows(struct asking *asking, uint64_t *ret_rows, struct cairn_err *err)
{
    const struct cairn_sql_face *face = &asking->shared->face;
    struct cairn_buf sql = {.max = 1024};
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_buf_printf(
        &sql,
        "SELECT CASE WHEN n > " COUNT_ROWS_MAX " THEN greatest(n, "
        "(SELECT reltuples::bigint FROM pg_class WHERE oid = '%s'::regclass)) "
        "ELSE n END FROM (SELECT count(*) AS n FROM (SELECT 1 FROM %s LIMIT " COUNT_ROWS_MAX
        " + 1) s) c",
        face->table, face->table);
    rc = rc == CAIRN_OK ? cairn_buf_append(&sql, cairn_slice_of("", 1)) : rc; /* NUL-ended */
    rc = rc == CAIRN_OK
             ? cairn_pg_query(asking->pg, cairn_buf_slice(&sql).data, NULL, 0, &rows, err)
             : CAIRN_FAIL(err, rc, "count rows");
    if (rc == CAIRN_OK) {
        rc = cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0), ret_rows);
        rc = rc == CAIRN_OK ? rc : CAIRN_FAIL(err, CAIRN_ECORRUPT, "count rows");
    }
    cairn_pg_result_free(rows);
    cairn_buf_fini(&sql);
    return rc;
}

static void fill_head(const struct cairn_sql_head *head, struct cairn_view_status *status)
{
    status->state = head->state;
    status->generation = head->generation;
    status->position = head->position;
    status->code_hash = head->hash;
    status->error = head->error;
    status->error_event = head->error_event;
}

/* What is being built, beside a live generation or for the first time. */
static enum cairn_rc fill_next(struct cairn_sql_reader *reader, struct cairn_pg *pg, bool live,
                               struct cairn_arena *arena, struct cairn_view_status *status,
                               struct cairn_err *err)
{
    struct cairn_sql_head next;
    enum cairn_rc rc = cairn_sql_head_read(pg, cairn_domain_name(reader->domain), status->name,
                                           CAIRN_SIDE_NEXT, arena, &next, err);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    if (!live) {
        fill_head(&next, status);
        status->state = CAIRN_VIEW_BUILDING;
    }
    status->rebuilding = live;
    status->rebuild_done = next.events;
    status->rebuild_all = next.all;
    if (next.error.size > 0) {
        status->error = next.error;
        status->error_event = next.error_event;
    }
    return CAIRN_OK;
}

static enum cairn_rc read_heads(struct cairn_sql_reader *reader, struct cairn_pg *pg,
                                struct cairn_arena *arena, struct cairn_view_status *status,
                                struct cairn_err *err)
{
    struct cairn_sql_head live;
    enum cairn_rc rc = cairn_sql_head_read(pg, cairn_domain_name(reader->domain), status->name,
                                           CAIRN_SIDE_LIVE, arena, &live, err);
    bool there = rc == CAIRN_OK;
    if (there) {
        fill_head(&live, status);
    }
    rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    return rc == CAIRN_OK ? fill_next(reader, pg, there, arena, status, err) : rc;
}

static enum cairn_rc copy_columns(const struct cairn_sql_face *face, struct cairn_arena *arena,
                                  struct cairn_view_status *status, struct cairn_err *err)
{
    struct cairn_view_column *columns =
        cairn_arena_zalloc(arena, face->column_count + 1, sizeof(*columns));
    enum cairn_rc rc = columns == NULL ? CAIRN_ENOMEM : CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < face->column_count; i++) {
        rc = cairn_arena_copy(arena, face->columns[i].name, &columns[i].name);
    }
    status->columns = columns;
    status->column_count = face->column_count;
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "read the columns of a view");
}

enum cairn_rc cairn_sql_view_status(struct cairn_sql_reader *reader, struct cairn_slice view,
                                    struct cairn_arena *arena, struct cairn_view_status *ret_status,
                                    struct cairn_err *err)
{
    struct asking asking;
    struct cairn_pg *pg = NULL;
    struct cairn_view_status status = {.state = CAIRN_VIEW_BUILDING};
    if (cairn_arena_copy(arena, view, &status.name) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the state of a view");
    }
    enum cairn_rc rc = cairn_pg_pool_acquire(reader->pool, ACQUIRE_MS, &pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = read_heads(reader, pg, arena, &status, err);
    cairn_pg_pool_release(reader->pool, pg);
    if (rc == CAIRN_OK && status.state != CAIRN_VIEW_BUILDING) {
        rc = begin(reader, view, &asking, err);
        if (rc == CAIRN_OK) {
            rc = count_rows(&asking, &status.rows, err);
            rc = rc == CAIRN_OK ? copy_columns(&asking.shared->face, arena, &status, err) : rc;
            finish(&asking);
        }
    }
    if (rc == CAIRN_OK) {
        *ret_status = status;
    }
    return rc;
}

static struct cairn_slice nth_view(const struct cairn_sql_reader *reader, size_t n)
{
    size_t view = 0;
    while (cairn_domain_view_at(reader->domain, view)->kind != CAIRN_VIEW_POSTGRES || n-- > 0) {
        view++;
    }
    return cairn_domain_view_at(reader->domain, view)->name;
}

enum cairn_rc cairn_sql_reader_state(struct cairn_sql_reader *reader, size_t n,
                                     struct cairn_arena *arena,
                                     struct cairn_view_status *ret_status, struct cairn_err *err)
{
    struct cairn_err why;
    assert(n < cairn_sql_reader_count(reader));
    struct cairn_slice view = nth_view(reader, n);
    enum cairn_rc rc = cairn_sql_view_status(reader, view, arena, ret_status, &why);
    if (rc == CAIRN_OK || rc == CAIRN_ENOMEM) {
        *err = why;
        return rc;
    }
    *ret_status = (struct cairn_view_status){.name = view, .state = CAIRN_VIEW_UNAVAILABLE};
    rc = cairn_arena_copy(arena, cairn_slice_str(why.text), &ret_status->error);
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "the state of a view");
}

enum cairn_rc cairn_sql_view_held(struct cairn_sql_reader *reader, struct cairn_slice view,
                                  struct cairn_position *ret_held, bool *ret_building,
                                  bool *ret_stopped, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = (size_t)4 * 1024 * 1024};
    struct cairn_sql_head head;
    struct cairn_pg *pg = NULL;
    enum cairn_rc rc = cairn_pg_pool_acquire(reader->pool, ACQUIRE_MS, &pg, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_sql_head_read(pg, cairn_domain_name(reader->domain), view, CAIRN_SIDE_LIVE, &arena,
                             &head, err);
    cairn_pg_pool_release(reader->pool, pg);
    *ret_building = rc == CAIRN_ENOENT;
    if (rc == CAIRN_OK) {
        *ret_held = head.position;
        *ret_stopped = head.state == CAIRN_VIEW_STOPPED;
    }
    cairn_arena_fini(&arena);
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}
