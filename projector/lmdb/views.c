#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "platform/file.h"
#include "platform/map.h"
#include "platform/mem.h"
#include "projector/lmdb/view_parked.h"
#include "projector/lmdb/views_int.h"
#include "projector/sql/read.h"
#include "schemas/msgpack.h"

#define VIEWS_MAX ((CAIRN_KV_TABLES_MAX - 1) / (2 * CAIRN_VIEW_SLOTS))
/* A wait looks at the stop flag at least this often, whatever becomes of the bell. */
#define WAIT_SLICE_MS 1000
/* The beacon's slot that is 1 while somebody waits for a position. */
#define HURRY_SLOT 0

struct cairn_views {
    char folder[CAIRN_PATH_MAX];
    struct cairn_kv *kv;
    struct cairn_beacon *beacon; /* rung at each commit, by whatever process makes it */
    cairn_kv_table_id meta;
    struct cairn_sql_reader *sql; /* NULL: views in PostgreSQL are not read */
    atomic_bool woken;
    pthread_mutex_t lock;    /* guards tables */
    struct cairn_map tables; /* view name -> struct cairn_view_tables, owned */
};

struct cairn_kv *cairn_views_kv(struct cairn_views *views)
{
    return views->kv;
}

cairn_kv_table_id cairn_views_meta(const struct cairn_views *views)
{
    return views->meta;
}

void cairn_views_attach_sql(struct cairn_views *views, struct cairn_sql_reader *reader)
{
    views->sql = reader;
}

struct cairn_sql_reader *cairn_views_sql(const struct cairn_views *views, struct cairn_slice view)
{
    return views->sql != NULL && cairn_sql_reader_has(views->sql, view) ? views->sql : NULL;
}

struct cairn_sql_reader *cairn_views_all_sql(const struct cairn_views *views)
{
    return views->sql;
}

bool cairn_views_is_built(const struct cairn_views *views, struct cairn_slice view, bool first)
{
    char name[CAIRN_VIEW_LOCK_SIZE];
    char path[CAIRN_PATH_MAX];
    cairn_view_lock_name(view, name);
    return (cairn_file_join(path, views->folder, name) == CAIRN_OK &&
            cairn_file_lock_is_held(path)) ||
           (first && cairn_file_join(path, views->folder, CAIRN_PROJECTOR_LOCK) == CAIRN_OK &&
            cairn_file_lock_is_held(path));
}

void cairn_view_lock_name(struct cairn_slice view, char ret_name[CAIRN_VIEW_LOCK_SIZE])
{
    (void)snprintf(ret_name, CAIRN_VIEW_LOCK_SIZE, "rebuild-%.*s.lock", CAIRN_SLICE_ARG(view));
}

void cairn_views_ring(struct cairn_views *views)
{
    cairn_beacon_ring(views->beacon);
}

void cairn_views_wake(struct cairn_views *views)
{
    assert(views != NULL);
    atomic_store(&views->woken, true);
    cairn_beacon_ring(views->beacon);
}

/* The format row: written by the first writer, checked by everybody. A store of the format before
 * has all that this one has but for generations that are kept, so a writer goes on with it. */
static enum cairn_rc check_format(struct cairn_views *views, bool writer, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = NULL;
    bool older = false;
    enum cairn_rc rc = writer ? cairn_kv_write_begin(views->kv, &txn, err)
                              : cairn_kv_read_begin(views->kv, &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_format_check(txn, views->meta, &older, err);
    if (writer && (rc == CAIRN_ENOENT || (rc == CAIRN_OK && older))) {
        rc = cairn_view_format_put(txn, views->meta, err);
        if (rc == CAIRN_OK) {
            return cairn_kv_commit(txn, err);
        }
    }
    cairn_kv_end(txn);
    if (rc == CAIRN_ENOENT || (rc == CAIRN_OK && older)) {
        return CAIRN_FAIL(err, CAIRN_ENOENT,
                          "no projector of this version has made the view store yet");
    }
    return rc;
}

static enum cairn_rc open_parts(struct cairn_views *views, const char *data_folder, bool writer,
                                bool sync, struct cairn_err *err)
{
    char signal[CAIRN_PATH_MAX];
    struct cairn_kv_options options = {.writer = writer, .sync = sync};
    if (cairn_file_join(views->folder, data_folder, CAIRN_VIEWS_FOLDER) != CAIRN_OK ||
        cairn_file_join(signal, views->folder, "signal") != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long");
    }
    enum cairn_rc rc = cairn_kv_open(views->folder, &options, &views->kv, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_table(views->kv, "meta", &views->meta, err);
    }
    if (rc == CAIRN_OK) {
        rc = check_format(views, writer, err);
    }
    /* A reader rings too, to wake its own waiters when it stops. */
    return rc == CAIRN_OK ? cairn_beacon_open(signal, true, &views->beacon, err) : rc;
}

static enum cairn_rc open_views(const char *data_folder, bool writer, bool sync,
                                struct cairn_views **ret_views, struct cairn_err *err)
{
    assert(data_folder != NULL && ret_views != NULL);
    struct cairn_views *views = cairn_mem_zalloc(1, sizeof *views);
    if (views == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the view store");
    }
    views->tables.max = VIEWS_MAX;
    if (pthread_mutex_init(&views->lock, NULL) != 0) {
        cairn_mem_free(views);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the view store");
    }
    enum cairn_rc rc = open_parts(views, data_folder, writer, sync, err);
    if (rc != CAIRN_OK) {
        cairn_views_close(views);
        return cairn_err_wrap(err, rc, "view store of %s", data_folder);
    }
    *ret_views = views;
    return CAIRN_OK;
}

enum cairn_rc cairn_views_open(const char *data_folder, struct cairn_views **ret_views,
                               struct cairn_err *err)
{
    return open_views(data_folder, false, false, ret_views, err);
}

enum cairn_rc cairn_views_open_writer(const char *data_folder, bool sync,
                                      struct cairn_views **ret_views, struct cairn_err *err)
{
    return open_views(data_folder, true, sync, ret_views, err);
}

void cairn_views_close(struct cairn_views *views)
{
    if (views == NULL) {
        return;
    }
    size_t cursor = 0;
    struct cairn_slice key;
    union cairn_map_value value;
    while (cairn_map_next(&views->tables, &cursor, &key, &value)) {
        cairn_mem_free(value.pointer);
    }
    cairn_map_fini(&views->tables);
    cairn_beacon_close(views->beacon);
    cairn_kv_close(views->kv);
    (void)pthread_mutex_destroy(&views->lock);
    cairn_mem_free(views);
}

static enum cairn_rc open_tables(struct cairn_kv *kv, struct cairn_slice view,
                                 struct cairn_view_tables *tables, struct cairn_err *err)
{
    char name[CAIRN_VIEW_NAME_BYTES_MAX + 16];
    for (int slot = 0; slot < CAIRN_VIEW_SLOTS; slot++) {
        (void)snprintf(name, sizeof name, "rows.%.*s.%d", CAIRN_SLICE_ARG(view), slot);
        enum cairn_rc rc = cairn_kv_table(kv, name, &tables->rows[slot], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        (void)snprintf(name, sizeof name, "index.%.*s.%d", CAIRN_SLICE_ARG(view), slot);
        rc = cairn_kv_table(kv, name, &tables->index[slot], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_views_clear_slot(struct cairn_views *views, struct cairn_kv_txn *txn,
                                     struct cairn_slice view,
                                     const struct cairn_view_tables *tables, unsigned slot,
                                     struct cairn_err *err)
{
    assert(views != NULL && view.size > 0 && slot < CAIRN_VIEW_SLOTS);
    const struct cairn_parked_place place = {views->meta, view, slot};
    enum cairn_rc rc = cairn_kv_clear(txn, tables->rows[slot], false, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kv_clear(txn, tables->index[slot], false, err);
    }
    return rc == CAIRN_OK ? cairn_view_parked_clear(txn, &place, err) : rc;
}

/* Put opened tables into the map, unless another thread was faster: ids are the same then. */
static enum cairn_rc remember_tables(struct cairn_views *views, struct cairn_slice view,
                                     const struct cairn_view_tables *tables, struct cairn_err *err)
{
    struct cairn_view_tables *copy = cairn_mem_alloc(sizeof *copy);
    if (copy == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open view %.*s", CAIRN_SLICE_ARG(view));
    }
    *copy = *tables;
    bool added = false;
    (void)pthread_mutex_lock(&views->lock);
    union cairn_map_value *place = cairn_map_put(&views->tables, view, &added);
    if (place != NULL && added) {
        place->pointer = copy;
    }
    (void)pthread_mutex_unlock(&views->lock);
    if (place == NULL || !added) {
        cairn_mem_free(copy);
    }
    return place != NULL ? CAIRN_OK
                         : CAIRN_FAIL(err, CAIRN_ENOMEM,
                                      "open view %.*s: memory is out, or more "
                                      "than %d views",
                                      CAIRN_SLICE_ARG(view), VIEWS_MAX);
}

enum cairn_rc cairn_views_tables(struct cairn_views *views, struct cairn_slice view,
                                 struct cairn_view_tables *ret_tables, struct cairn_err *err)
{
    if (view.size == 0 || view.size > CAIRN_VIEW_NAME_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view");
    }
    (void)pthread_mutex_lock(&views->lock);
    const union cairn_map_value *known = cairn_map_get(&views->tables, view);
    if (known != NULL) {
        *ret_tables = *(const struct cairn_view_tables *)known->pointer;
    }
    (void)pthread_mutex_unlock(&views->lock);
    if (known != NULL) {
        return CAIRN_OK;
    }
    struct cairn_view_tables tables;
    enum cairn_rc rc = open_tables(views->kv, view, &tables, err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view: %.*s", CAIRN_SLICE_ARG(view));
    }
    if (rc == CAIRN_OK) {
        rc = remember_tables(views, view, &tables, err);
    }
    if (rc == CAIRN_OK) {
        *ret_tables = tables;
    }
    return rc;
}

enum cairn_rc cairn_view_snapshot_begin(struct cairn_views *views, struct cairn_slice view,
                                        struct cairn_view_snapshot *ret_snapshot,
                                        struct cairn_err *err)
{
    enum cairn_rc rc = cairn_views_tables(views, view, &ret_snapshot->tables, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_read_begin(views->kv, &ret_snapshot->txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(ret_snapshot->txn, views->meta, CAIRN_SIDE_LIVE, view,
                             &ret_snapshot->head, err);
    if (rc == CAIRN_ENOENT) {
        rc = CAIRN_FAIL(err, CAIRN_ENOENT, "no such view: %.*s", CAIRN_SLICE_ARG(view));
    } else if (rc == CAIRN_OK && ret_snapshot->head.state == CAIRN_VIEW_BUILDING) {
        rc = CAIRN_FAIL(err, CAIRN_EBEHIND, "view %.*s is being built for the first time",
                        CAIRN_SLICE_ARG(view));
    }
    if (rc != CAIRN_OK) {
        cairn_view_snapshot_end(ret_snapshot);
    }
    return rc;
}

void cairn_view_snapshot_end(struct cairn_view_snapshot *snapshot)
{
    cairn_kv_end(snapshot->txn);
    snapshot->txn = NULL;
}

enum cairn_rc cairn_view_document(struct cairn_slice packed, struct cairn_arena *arena,
                                  struct cairn_value *ret_document, struct cairn_err *err)
{
    struct cairn_slice copy;
    if (cairn_arena_copy(arena, packed, &copy) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read a row of %zu bytes", packed.size);
    }
    enum cairn_rc rc =
        cairn_msgpack_read(copy, CAIRN_MSGPACK_TRUSTED, arena, ret_document, NULL, err);
    return rc == CAIRN_EMALFORMED ? cairn_err_wrap(err, CAIRN_ECORRUPT, "a stored row") : rc;
}

/* What a wait looks at. */
struct outlook {
    struct cairn_position held;
    bool building; /* what it holds cannot be read yet */
    bool stopped;  /* it will not get on by itself */
};

static enum cairn_rc look(struct cairn_views *views, struct cairn_slice view,
                          struct outlook *ret_outlook, struct cairn_err *err)
{
    struct cairn_view_head head;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_sql_reader *sql = cairn_views_sql(views, view);
    if (sql != NULL) {
        return cairn_sql_view_held(sql, view, &ret_outlook->held, &ret_outlook->building,
                                   &ret_outlook->stopped, err);
    }
    enum cairn_rc rc = cairn_kv_read_begin(views->kv, &txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(txn, views->meta, CAIRN_SIDE_LIVE, view, &head, err);
    cairn_kv_end(txn);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view: %.*s", CAIRN_SLICE_ARG(view));
    }
    if (rc == CAIRN_OK) {
        *ret_outlook = (struct outlook){.held = head.position,
                                        .building = head.state == CAIRN_VIEW_BUILDING,
                                        .stopped = head.state == CAIRN_VIEW_STOPPED};
    }
    return rc;
}

/* Tell the projector that somebody waits. Rung only where the slot was empty, or waiters would wake
 * one another without end. */
static void hurry(struct cairn_views *views)
{
    if (cairn_beacon_load(views->beacon, HURRY_SLOT) == 0) {
        cairn_beacon_store(views->beacon, HURRY_SLOT, 1);
        cairn_beacon_ring(views->beacon);
    }
}

enum cairn_rc cairn_views_end_write(struct cairn_views *views, struct cairn_kv_txn *txn,
                                    enum cairn_rc rc, struct cairn_err *err)
{
    if (rc != CAIRN_OK) {
        cairn_kv_end(txn);
        return rc;
    }
    rc = cairn_kv_commit(txn, err);
    if (rc == CAIRN_OK) {
        cairn_views_ring(views);
    }
    return rc;
}

void cairn_views_linger(struct cairn_views *views, int timeout_ms)
{
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t until_ns = cairn_clock_monotonic_ns(clock) + (int64_t)timeout_ms * 1000000;
    int64_t left_ns = until_ns - cairn_clock_monotonic_ns(clock);
    while (left_ns > 0 && !atomic_load(&views->woken)) {
        uint32_t bell = cairn_beacon_bell(views->beacon);
        if (cairn_beacon_load(views->beacon, HURRY_SLOT) != 0) {
            break;
        }
        cairn_beacon_wait(views->beacon, bell, (int)((left_ns + 999999) / 1000000));
        left_ns = until_ns - cairn_clock_monotonic_ns(clock);
    }
    cairn_beacon_store(views->beacon, HURRY_SLOT, 0);
}

enum cairn_rc cairn_view_wait(struct cairn_views *views, struct cairn_slice view,
                              const struct cairn_position *position, int timeout_ms,
                              struct cairn_position *ret_position, struct cairn_err *err)
{
    assert(views != NULL && position != NULL && ret_position != NULL);
    if (view.size == 0 || view.size > CAIRN_VIEW_NAME_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "no such view");
    }
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t until_ns = cairn_clock_monotonic_ns(clock) + (int64_t)timeout_ms * 1000000;
    for (;;) {
        uint32_t bell = cairn_beacon_bell(views->beacon);
        struct outlook outlook = {.stopped = false};
        enum cairn_rc rc = look(views, view, &outlook, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        int64_t left_ns = until_ns - cairn_clock_monotonic_ns(clock);
        bool reached = !outlook.building && cairn_position_reached(&outlook.held, position);
        if (reached || outlook.stopped || left_ns <= 0 || atomic_load(&views->woken)) {
            *ret_position = outlook.held;
            return CAIRN_OK;
        }
        hurry(views);
        int64_t left_ms = (left_ns + 999999) / 1000000;
        cairn_beacon_wait(views->beacon, bell,
                          left_ms < WAIT_SLICE_MS ? (int)left_ms : WAIT_SLICE_MS);
    }
}
