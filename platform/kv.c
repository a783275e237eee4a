#include "platform/kv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include "platform/fault.h"
#include "platform/file.h"
#include "platform/mem.h"

/* Idle read transactions kept for renewal. More readers at once still work; theirs are freed. */
#define KV_POOL_MAX 256u
/* The file may end a little before the last page that its meta page counts: pages that were taken
 * and given back within one transaction are never written. */
#define KV_MISSING_PAGES_MAX 256u

#if defined(__SANITIZE_THREAD__)
#define KV_MAP_BYTES ((uint64_t)16 << 30)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KV_MAP_BYTES ((uint64_t)16 << 30)
#endif
#endif
#ifndef KV_MAP_BYTES
/* Address space, not memory. The thread sanitizer leaves less of it to the program. */
#define KV_MAP_BYTES ((uint64_t)1 << 40)
#endif

struct cairn_kv_txn {
    struct cairn_kv *kv;
    MDB_txn *txn;
    bool write;
    struct cairn_kv_txn *next; /* in the pool */
};

struct cairn_kv {
    MDB_env *env;
    bool writer;
    int claim_fd;              /* holds this process's byte of the file "open" */
    pthread_mutex_t lock;      /* guards pool and pool_count; never held across a call of LMDB */
    pthread_mutex_t opening;   /* LMDB allows one table to be opened at a time */
    struct cairn_kv_txn *pool; /* read transactions that were reset */
    size_t pool_count;
};

struct cairn_kv_cursor {
    MDB_cursor *cursor;
};

static enum cairn_rc code_of(int code)
{
    switch (code) {
    case MDB_NOTFOUND:
        return CAIRN_ENOENT;
    case MDB_MAP_FULL:
        return CAIRN_EFULL;
    case MDB_READERS_FULL:
    case MDB_DBS_FULL:
        return CAIRN_EBUSY;
    case MDB_BAD_VALSIZE:
        return CAIRN_ETOOBIG;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return CAIRN_ECORRUPT;
    default:
        return code > 0 ? cairn_err_from_os(code) : CAIRN_EIO;
    }
}

#define KV_FAIL(err, code, what)                                                                   \
    cairn_err_set_at((err), code_of(code), (code) > 0 ? (code) : 0, __FILE__, __LINE__, "%s: %s",  \
                     (what), mdb_strerror(code))

static MDB_val val_of(struct cairn_slice slice)
{
    /* LMDB's type has no const; nothing is written through it. */
    union {
        const char *from;
        void *to;
    } data = {.from = slice.data};
    return (MDB_val){.mv_size = slice.size, .mv_data = data.to};
}

static struct cairn_slice slice_of(const MDB_val *val)
{
    return cairn_slice_of(val->mv_data, val->mv_size);
}

/* LMDB breaks when a process opens a folder twice. A byte lock of the open file description at the
 * process's own number tells a second opening of this process from one of another, without a
 * registry in memory. */
static enum cairn_rc claim(const char *folder, int *ret_fd, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    enum cairn_rc rc = cairn_file_join(path, folder, "open");
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", folder);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) {
        return CAIRN_FAIL_OS(err, errno, "%s", path);
    }
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)getpid(), .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        int os = errno;
        (void)close(fd);
        if (os == EAGAIN || os == EACCES) {
            return CAIRN_FAIL(err, CAIRN_EEXIST, "%s is open already in this process", folder);
        }
        return CAIRN_FAIL_OS(err, os, "lock %s", path);
    }
    *ret_fd = fd;
    return CAIRN_OK;
}

/* A file cut short would answer reads through the map with SIGBUS: notice it before. */
static enum cairn_rc check_length(struct cairn_kv *kv, const char *folder, struct cairn_err *err)
{
    MDB_envinfo info;
    MDB_stat stat_of;
    mdb_filehandle_t fd;
    struct stat st;
    if (mdb_env_info(kv->env, &info) != 0 || mdb_env_stat(kv->env, &stat_of) != 0 ||
        mdb_env_get_fd(kv->env, &fd) != 0) {
        return CAIRN_FAIL(err, CAIRN_EIO, "%s: the store answers nothing about itself", folder);
    }
    if (fstat(fd, &st) != 0) {
        return CAIRN_FAIL_OS(err, errno, "%s", folder);
    }
    uint64_t wanted = ((uint64_t)info.me_last_pgno + 1) * stat_of.ms_psize;
    uint64_t have = (uint64_t)st.st_size;
    if (have >= wanted || info.me_last_txnid == 0) {
        return CAIRN_OK;
    }
    if (wanted - have > (uint64_t)KV_MISSING_PAGES_MAX * stat_of.ms_psize) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s/data.mdb has %llu bytes where %llu were written",
                          folder, (unsigned long long)have, (unsigned long long)wanted);
    }
    if (kv->writer && ftruncate(fd, (off_t)wanted) != 0) {
        return CAIRN_FAIL_OS(err, errno, "%s/data.mdb", folder);
    }
    return CAIRN_OK;
}

static enum cairn_rc open_env(struct cairn_kv *kv, const char *folder,
                              const struct cairn_kv_options *options, struct cairn_err *err)
{
    /* NOTLS: a read belongs to its transaction, so that a pool of them serves any thread. */
    unsigned flags = MDB_NOTLS | (options->writer ? 0u : (unsigned)MDB_RDONLY) |
                     (options->sync ? 0u : (unsigned)MDB_NOSYNC);
    uint64_t map_bytes = options->map_bytes == 0 ? KV_MAP_BYTES : options->map_bytes;
    unsigned readers = options->readers_max == 0 ? 2048 : options->readers_max;
    int code = mdb_env_create(&kv->env);
    if (code == 0) {
        code = mdb_env_set_mapsize(kv->env, (size_t)map_bytes);
    }
    if (code == 0) {
        code = mdb_env_set_maxreaders(kv->env, readers);
    }
    if (code == 0) {
        code = mdb_env_set_maxdbs(kv->env, CAIRN_KV_TABLES_MAX);
    }
    if (code == 0) {
        code = mdb_env_open(kv->env, folder, flags, 0640);
    }
    if (code != 0) {
        return KV_FAIL(err, code, folder);
    }
    int dead = 0;
    (void)mdb_reader_check(kv->env, &dead);
    return check_length(kv, folder, err);
}

enum cairn_rc cairn_kv_open(const char *folder, const struct cairn_kv_options *options,
                            struct cairn_kv **ret_kv, struct cairn_err *err)
{
    assert(folder != NULL && ret_kv != NULL);
    if (options->writer) {
        enum cairn_rc made = cairn_file_make_folder(folder, err);
        if (made != CAIRN_OK) {
            return made;
        }
    } else if (!cairn_file_is_folder(folder)) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "%s does not exist", folder);
    }
    struct cairn_kv *kv = cairn_mem_zalloc(1, sizeof(*kv));
    if (kv == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open %s", folder);
    }
    kv->writer = options->writer;
    kv->claim_fd = -1;
    (void)pthread_mutex_init(&kv->lock, NULL);
    (void)pthread_mutex_init(&kv->opening, NULL);
    enum cairn_rc rc = claim(folder, &kv->claim_fd, err);
    if (rc == CAIRN_OK) {
        rc = open_env(kv, folder, options, err);
    }
    if (rc != CAIRN_OK) {
        cairn_kv_close(kv);
        return rc;
    }
    *ret_kv = kv;
    return CAIRN_OK;
}

void cairn_kv_close(struct cairn_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    while (kv->pool != NULL) {
        struct cairn_kv_txn *txn = kv->pool;
        kv->pool = txn->next;
        mdb_txn_abort(txn->txn);
        cairn_mem_free(txn);
    }
    if (kv->env != NULL) {
        mdb_env_close(kv->env);
    }
    if (kv->claim_fd >= 0) {
        (void)close(kv->claim_fd);
    }
    (void)pthread_mutex_destroy(&kv->opening);
    (void)pthread_mutex_destroy(&kv->lock);
    cairn_mem_free(kv);
}

static int open_table(struct cairn_kv *kv, const char *name, bool create, MDB_dbi *ret_dbi)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(kv->env, NULL, create ? 0u : (unsigned)MDB_RDONLY, &txn);
    if (code != 0) {
        return code;
    }
    MDB_dbi dbi = 0;
    code = mdb_dbi_open(txn, name, create ? (unsigned)MDB_CREATE : 0u, &dbi);
    if (code != 0) {
        mdb_txn_abort(txn);
        return code;
    }
    /* A read is committed too: only then does its table handle live on. */
    code = mdb_txn_commit(txn);
    if (code == 0) {
        *ret_dbi = dbi;
    }
    return code;
}

enum cairn_rc cairn_kv_table(struct cairn_kv *kv, const char *name, cairn_kv_table_id *ret_table,
                             struct cairn_err *err)
{
    assert(name != NULL && name[0] != '\0');
    MDB_dbi dbi = 0;
    (void)pthread_mutex_lock(&kv->opening);
    int code = open_table(kv, name, false, &dbi);
    if (code == MDB_NOTFOUND && kv->writer) {
        code = open_table(kv, name, true, &dbi);
    }
    (void)pthread_mutex_unlock(&kv->opening);
    if (code != 0) {
        return KV_FAIL(err, code, name);
    }
    *ret_table = dbi;
    return CAIRN_OK;
}

static struct cairn_kv_txn *take_pooled(struct cairn_kv *kv)
{
    (void)pthread_mutex_lock(&kv->lock);
    struct cairn_kv_txn *txn = kv->pool;
    if (txn != NULL) {
        kv->pool = txn->next;
        kv->pool_count--;
    }
    (void)pthread_mutex_unlock(&kv->lock);
    return txn;
}

static enum cairn_rc begin(struct cairn_kv *kv, bool write, struct cairn_kv_txn **ret_txn,
                           struct cairn_err *err)
{
    struct cairn_kv_txn *txn = cairn_mem_zalloc(1, sizeof(*txn));
    if (txn == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "begin a transaction");
    }
    int code = mdb_txn_begin(kv->env, NULL, write ? 0u : (unsigned)MDB_RDONLY, &txn->txn);
    if (code != 0) {
        cairn_mem_free(txn);
        return KV_FAIL(err, code, write ? "begin a write" : "begin a read");
    }
    txn->kv = kv;
    txn->write = write;
    *ret_txn = txn;
    return CAIRN_OK;
}

enum cairn_rc cairn_kv_read_begin(struct cairn_kv *kv, struct cairn_kv_txn **ret_txn,
                                  struct cairn_err *err)
{
    struct cairn_kv_txn *txn = take_pooled(kv);
    if (txn == NULL) {
        return begin(kv, false, ret_txn, err);
    }
    assert(!txn->write);
    int code = mdb_txn_renew(txn->txn);
    if (code != 0) {
        mdb_txn_abort(txn->txn);
        cairn_mem_free(txn);
        return KV_FAIL(err, code, "begin a read");
    }
    *ret_txn = txn;
    return CAIRN_OK;
}

enum cairn_rc cairn_kv_write_begin(struct cairn_kv *kv, struct cairn_kv_txn **ret_txn,
                                   struct cairn_err *err)
{
    assert(kv->writer);
    return begin(kv, true, ret_txn, err);
}

enum cairn_rc cairn_kv_commit(struct cairn_kv_txn *txn, struct cairn_err *err)
{
    assert(txn != NULL && txn->write);
    int code;
    if (cairn_fault_hit(CAIRN_FAULT_KV_COMMIT)) {
        mdb_txn_abort(txn->txn);
        code = EIO;
    } else {
        code = mdb_txn_commit(txn->txn);
    }
    cairn_mem_free(txn);
    return code == 0 ? CAIRN_OK : KV_FAIL(err, code, "commit");
}

void cairn_kv_end(struct cairn_kv_txn *txn)
{
    if (txn == NULL) {
        return;
    }
    struct cairn_kv *kv = txn->kv;
    bool pooled = false;
    if (!txn->write) {
        mdb_txn_reset(txn->txn);
        (void)pthread_mutex_lock(&kv->lock);
        if (kv->pool_count < KV_POOL_MAX) {
            txn->next = kv->pool;
            kv->pool = txn;
            kv->pool_count++;
            pooled = true;
        }
        (void)pthread_mutex_unlock(&kv->lock);
    }
    if (!pooled) {
        mdb_txn_abort(txn->txn);
        cairn_mem_free(txn);
    }
}

enum cairn_rc cairn_kv_get(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                           struct cairn_slice key, struct cairn_slice *ret_value,
                           struct cairn_err *err)
{
    MDB_val wanted = val_of(key);
    MDB_val found;
    int code = mdb_get(txn->txn, table, &wanted, &found);
    if (code == MDB_NOTFOUND) {
        return CAIRN_ENOENT;
    }
    if (code != 0) {
        return KV_FAIL(err, code, "get");
    }
    *ret_value = slice_of(&found);
    return CAIRN_OK;
}

enum cairn_rc cairn_kv_put(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                           struct cairn_slice key, struct cairn_slice value, struct cairn_err *err)
{
    assert(txn->write);
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    int code = mdb_put(txn->txn, table, &k, &v, 0);
    return code == 0 ? CAIRN_OK : KV_FAIL(err, code, "put");
}

enum cairn_rc cairn_kv_delete(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                              struct cairn_slice key, struct cairn_err *err)
{
    assert(txn->write);
    MDB_val k = val_of(key);
    int code = mdb_del(txn->txn, table, &k, NULL);
    return code == 0 || code == MDB_NOTFOUND ? CAIRN_OK : KV_FAIL(err, code, "delete");
}

enum cairn_rc cairn_kv_clear(struct cairn_kv_txn *txn, cairn_kv_table_id table, bool drop,
                             struct cairn_err *err)
{
    assert(txn->write);
    int code = mdb_drop(txn->txn, table, drop ? 1 : 0);
    return code == 0 ? CAIRN_OK : KV_FAIL(err, code, "clear");
}

enum cairn_rc cairn_kv_count(struct cairn_kv_txn *txn, cairn_kv_table_id table, uint64_t *ret_count,
                             struct cairn_err *err)
{
    MDB_stat stat_of;
    int code = mdb_stat(txn->txn, table, &stat_of);
    if (code != 0) {
        return KV_FAIL(err, code, "count");
    }
    *ret_count = stat_of.ms_entries;
    return CAIRN_OK;
}

enum cairn_rc cairn_kv_cursor_open(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                                   struct cairn_kv_cursor **ret_cursor, struct cairn_err *err)
{
    struct cairn_kv_cursor *cursor = cairn_mem_zalloc(1, sizeof(*cursor));
    if (cursor == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open a cursor");
    }
    int code = mdb_cursor_open(txn->txn, table, &cursor->cursor);
    if (code != 0) {
        cairn_mem_free(cursor);
        return KV_FAIL(err, code, "open a cursor");
    }
    *ret_cursor = cursor;
    return CAIRN_OK;
}

void cairn_kv_cursor_close(struct cairn_kv_cursor *cursor)
{
    if (cursor == NULL) {
        return;
    }
    mdb_cursor_close(cursor->cursor);
    cairn_mem_free(cursor);
}

static int move(MDB_cursor *cursor, enum cairn_kv_step step, MDB_val *key, MDB_val *value)
{
    switch (step) {
    case CAIRN_KV_FIRST:
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    case CAIRN_KV_LAST:
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    case CAIRN_KV_NEXT:
        return mdb_cursor_get(cursor, key, value, MDB_NEXT);
    case CAIRN_KV_PREVIOUS:
        return mdb_cursor_get(cursor, key, value, MDB_PREV);
    case CAIRN_KV_AT_OR_AFTER:
        return mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    case CAIRN_KV_BEFORE:
        break;
    }
    int code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND) {
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    }
    return code == 0 ? mdb_cursor_get(cursor, key, value, MDB_PREV) : code;
}

enum cairn_rc cairn_kv_seek(struct cairn_kv_cursor *cursor, enum cairn_kv_step step,
                            struct cairn_slice key, struct cairn_slice *ret_key,
                            struct cairn_slice *ret_value, struct cairn_err *err)
{
    MDB_val k = val_of(key);
    MDB_val v;
    int code = move(cursor->cursor, step, &k, &v);
    if (code == MDB_NOTFOUND) {
        return CAIRN_ENOENT;
    }
    if (code != 0) {
        return KV_FAIL(err, code, "seek");
    }
    *ret_key = slice_of(&k);
    *ret_value = slice_of(&v);
    return CAIRN_OK;
}

enum cairn_rc cairn_kv_sync(struct cairn_kv *kv, struct cairn_err *err)
{
    assert(kv->writer);
    int code = cairn_fault_hit(CAIRN_FAULT_SYNC) ? EIO : mdb_env_sync(kv->env, 1);
    return code == 0 ? CAIRN_OK : KV_FAIL(err, code, "sync");
}

int cairn_kv_check_readers(struct cairn_kv *kv)
{
    int dead = 0;
    return mdb_reader_check(kv->env, &dead) == 0 ? dead : 0;
}

uint64_t cairn_kv_used_bytes(struct cairn_kv *kv)
{
    MDB_envinfo info;
    MDB_stat stat_of;
    if (mdb_env_info(kv->env, &info) != 0 || mdb_env_stat(kv->env, &stat_of) != 0) {
        return 0;
    }
    return ((uint64_t)info.me_last_pgno + 1) * stat_of.ms_psize;
}
