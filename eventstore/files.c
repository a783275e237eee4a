/* The embedded log: opening and publishing. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "eventstore/files_int.h"
#include "platform/hash.h"
#include "platform/mem.h"
#include "platform/uuid.h"

/* A waiter of a process that only reads cannot be rung by its own process: it looks up this often
 * whether it shall stop. */
#define FILES_WAIT_SLICE_MS 200

static struct cairn_files *files_of(struct cairn_backend *backend)
{
    return (struct cairn_files *)backend;
}

static uint16_t partitions_of(const struct cairn_backend *backend)
{
    return ((const struct cairn_files *)backend)->head.partitions;
}

uint16_t cairn_lane_of_id(struct cairn_slice id, uint16_t lanes)
{
    assert(lanes > 0);
    return lanes == 1 ? 0 : (uint16_t)(cairn_hash_murmur2(id) % lanes);
}

static uint16_t lanes_of(const struct cairn_backend *backend)
{
    return ((const struct cairn_files *)backend)->head.partitions;
}

static enum cairn_rc find_partition(const struct cairn_backend *backend, struct cairn_slice stream,
                                    uint16_t *ret_partition)
{
    *ret_partition = cairn_lane_of_id(cairn_stream_id(stream), lanes_of(backend));
    return CAIRN_OK;
}

static void identity_of(const struct cairn_backend *backend,
                        unsigned char ret_id[CAIRN_LOG_ID_BYTES])
{
    memcpy(ret_id, ((const struct cairn_files *)backend)->head.id, CAIRN_LOG_ID_BYTES);
}

static uint64_t end_of(const struct cairn_backend *backend, uint16_t partition)
{
    return cairn_beacon_load(((const struct cairn_files *)backend)->beacon, partition);
}

static void publish(struct cairn_backend *backend, uint16_t partition, uint64_t end)
{
    struct cairn_files *files = files_of(backend);
    assert(end >= end_of(backend, partition));
    cairn_beacon_store(files->beacon, partition, end);
    cairn_beacon_ring(files->beacon);
}

static bool has_more(struct cairn_files *files, const struct cairn_position *seen)
{
    for (uint16_t p = 0; p < files->head.partitions; p++) {
        if (cairn_beacon_load(files->beacon, p) > seen->offsets[p]) {
            return true;
        }
    }
    return false;
}

static enum cairn_rc wait_for(struct cairn_backend *backend, const struct cairn_position *seen,
                              int timeout_ms, bool *ret_more, struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    int64_t start = cairn_clock_monotonic_ns(cairn_clock_system());
    for (;;) {
        uint32_t bell = cairn_beacon_bell(files->beacon);
        if (has_more(files, seen)) {
            *ret_more = true;
            return CAIRN_OK;
        }
        int64_t waited_ms = (cairn_clock_monotonic_ns(cairn_clock_system()) - start) / 1000000;
        if (atomic_load(&files->woken) || waited_ms >= timeout_ms) {
            *ret_more = false;
            return CAIRN_OK;
        }
        enum cairn_rc rc = files->replica ? files->replica_ops.look(backend, false, err) : CAIRN_OK;
        if (rc != CAIRN_OK) {
            return rc;
        }
        int64_t left_ms = timeout_ms - waited_ms;
        bool slice = !files->writer && left_ms > FILES_WAIT_SLICE_MS;
        cairn_beacon_wait(files->beacon, bell, slice ? FILES_WAIT_SLICE_MS : (int)left_ms);
    }
}

static void wake(struct cairn_backend *backend)
{
    struct cairn_files *files = files_of(backend);
    atomic_store(&files->woken, true);
    if (files->writer) {
        cairn_beacon_ring(files->beacon);
    }
}

static enum cairn_rc recover(struct cairn_backend *backend, uint16_t partition,
                             struct cairn_resume known, bool *ret_known_good, struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    enum cairn_rc rc = cairn_files_recover(backend, partition, known, ret_known_good, err);
    if (rc == CAIRN_OK && files->fill_ahead && partition + 1u == files->head.partitions) {
        rc = cairn_files_start_filler(files, err);
    }
    return rc;
}

static enum cairn_rc stats_of(struct cairn_backend *backend, struct cairn_store_stats *ret_stats,
                              struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    uint64_t segments = 0;
    uint64_t bytes = 0;
    for (uint16_t p = 0; p < files->head.partitions; p++) {
        struct cairn_files_part *part = &files->parts[p];
        enum cairn_rc rc = cairn_files_refresh(files, part, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        uint32_t count = cairn_files_segment_count(files, part);
        for (uint32_t s = 1; s <= count; s++) {
            int fd = -1;
            unsigned slot = 0;
            uint64_t size = 0;
            rc = cairn_files_acquire(files, part, s, &fd, &slot, err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            int os = files->disk->size(files->disk->self, fd, &size);
            cairn_files_release(files, fd, slot);
            if (os != 0) {
                return CAIRN_FAIL_OS(err, os, "%s", files->folder);
            }
            bytes += size;
        }
        segments += count;
    }
    ret_stats->segments = segments;
    ret_stats->log_bytes = bytes;
    return CAIRN_OK;
}

static void close_files(struct cairn_backend *backend)
{
    struct cairn_files *files = files_of(backend);
    if (files == NULL) {
        return;
    }
    cairn_files_stop_filler(files);
    cairn_files_detach(files);
    for (unsigned i = 0; i < CAIRN_FILES_OPEN_MAX; i++) {
        assert(files->open[i].users == 0);
        if (files->open[i].fd >= 0) {
            files->disk->close(files->disk->self, files->open[i].fd);
        }
    }
    for (size_t i = 0; i < files->left_count; i++) {
        files->disk->close(files->disk->self, files->left[i]);
    }
    cairn_mem_free(files->left);
    cairn_file_lock_close(&files->file_lock);
    (void)pthread_cond_destroy(&files->filled);
    (void)pthread_cond_destroy(&files->work);
    (void)pthread_mutex_destroy(&files->lock);
    cairn_mem_free(files);
}

const struct cairn_backend_ops cairn_files_ops = {
    .name = "files",
    .close = close_files,
    .partitions = partitions_of,
    .lanes = lanes_of,
    .find = find_partition,
    .identity = identity_of,
    .recover = recover,
    .commit = cairn_files_commit,
    .publish = publish,
    .end = end_of,
    .wait = wait_for,
    .wake = wake,
    .reader_open = cairn_files_reader_open,
    .reader_next = cairn_files_reader_next,
    .reader_seek = cairn_files_reader_seek,
    .reader_close = cairn_files_reader_close,
    .read_append = cairn_files_read_append,
    .stats = stats_of,
};

static enum cairn_rc check_options(const struct cairn_files *files,
                                   const struct cairn_store_options *options, struct cairn_err *err)
{
    const struct cairn_log_head *head = &files->head;
    if (options->partitions != 0 && options->partitions != head->partitions) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "%s was made with %u partitions and cannot be opened with %u",
                          files->folder, (unsigned)head->partitions, (unsigned)options->partitions);
    }
    if (options->domain.size > 0 && !cairn_slice_is(options->domain, head->domain)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s holds the log of domain %s, not of %.*s",
                          files->folder, head->domain, CAIRN_SLICE_ARG(options->domain));
    }
    return CAIRN_OK;
}

static enum cairn_rc make_log(struct cairn_files *files, const struct cairn_store_options *options,
                              struct cairn_err *err)
{
    const struct cairn_random *random = cairn_random_system();
    struct cairn_log_head *head = &files->head;
    char first[CAIRN_PATH_MAX];
    if (options->domain.size >= sizeof(head->domain)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the domain's name is too long");
    }
    enum cairn_rc rc = cairn_file_join(first, files->folder, "0");
    if (rc == CAIRN_OK && cairn_file_exists(first)) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s holds segments but no log.txt", files->folder);
    }
    head->format = CAIRN_LOG_FORMAT;
    head->partitions = options->partitions == 0 ? 1 : options->partitions;
    if (options->domain.size > 0) {
        memcpy(head->domain, options->domain.data, options->domain.size);
    }
    random->fill(random->self, head->id, sizeof(head->id));
    return cairn_log_head_write(files->folder, head, err);
}

static enum cairn_rc make_part_folders(struct cairn_files *files, struct cairn_err *err)
{
    for (uint16_t p = 0; p < files->head.partitions; p++) {
        char folder[CAIRN_PATH_MAX];
        int size = snprintf(folder, sizeof(folder), "%s/%u", files->folder, (unsigned)p);
        if (size < 0 || (size_t)size >= sizeof(folder)) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s: the path is too long", files->folder);
        }
        enum cairn_rc rc = cairn_file_make_folder(folder, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    int os = files->disk->sync_folder(files->disk->self, files->folder);
    return os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "sync %s", files->folder);
}

/* Where a data folder has the other kind of log, its events would be split between the two. */
enum cairn_rc cairn_files_refuse_other(const char *data_folder, const char *other, const char *what,
                                       const char *log, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    enum cairn_rc rc = cairn_file_join(path, data_folder, other);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", data_folder);
    }
    if (cairn_file_exists(path)) {
        return CAIRN_FAIL(
            err, CAIRN_EINVAL,
            "%s holds %s: open it with --log %s, move the events with `cairn migrate`, or use "
            "another --data",
            data_folder, what, log);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_files_enter(struct cairn_files *files, const char *data_folder,
                                const char *name, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    enum cairn_rc rc = cairn_file_join(files->folder, data_folder, name);
    if (rc == CAIRN_OK) {
        rc = cairn_file_join(path, files->folder, "lock");
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", data_folder);
    }
    if (files->writer) {
        rc = cairn_file_make_folder(files->folder, err);
        if (rc == CAIRN_OK) {
            rc = cairn_file_lock_open(path, &files->file_lock, err);
        }
    }
    return rc;
}

/* The embedded log's description. */
static enum cairn_rc describe(struct cairn_files *files, const struct cairn_store_options *options,
                              struct cairn_err *err)
{
    enum cairn_rc rc = cairn_log_head_read(files->folder, &files->head, err);
    if (rc == CAIRN_ENOENT && files->writer) {
        rc = make_log(files, options, err);
    }
    if (rc == CAIRN_OK) {
        rc = check_options(files, options, err);
    }
    return rc;
}

/* Which segments there are; a writer looks at each header, so that damage shows at start. */
static enum cairn_rc look_at_segments(struct cairn_files *files, struct cairn_err *err)
{
    struct cairn_scan scan = {.disk = files->disk, .salt = files->salt, .fd = -1};
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t p = 0; rc == CAIRN_OK && p < files->head.partitions; p++) {
        struct cairn_files_part *part = &files->parts[p];
        scan.partition = p;
        rc = cairn_files_refresh(files, part, err);
        /* The last one is recovery's. */
        for (uint32_t s = 1; files->writer && rc == CAIRN_OK && s < part->count; s++) {
            rc = cairn_files_scan_open(files, part, s, &scan, NULL, NULL, err);
        }
        if (rc == CAIRN_OK && part->count > 0 && part->bases[0] != 1) {
            rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s/%u: the first segment is missing",
                            files->folder, (unsigned)p);
        }
    }
    cairn_scan_fini(&scan);
    return rc;
}

enum cairn_rc cairn_files_attach(struct cairn_files *files, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    assert(files->head.partitions > 0 && files->parts == NULL && files->beacon == NULL);
    enum cairn_rc rc = files->writer ? make_part_folders(files, err) : CAIRN_OK;
    if (rc != CAIRN_OK) {
        return rc;
    }
    files->salt = cairn_log_salt(files->head.id);
    rc = cairn_file_join(path, files->folder, "head");
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", files->folder);
    }
    rc = cairn_beacon_open(path, files->writer, &files->beacon, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    files->parts = cairn_mem_zalloc(files->head.partitions, sizeof(*files->parts));
    if (files->parts == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
    }
    for (uint16_t p = 0; p < files->head.partitions; p++) {
        files->parts[p].number = p;
        files->parts[p].fd = -1;
    }
    return look_at_segments(files, err);
}

void cairn_files_detach(struct cairn_files *files)
{
    for (uint16_t p = 0; files->parts != NULL && p < files->head.partitions; p++) {
        struct cairn_files_part *part = &files->parts[p];
        if (part->fd >= 0) {
            files->disk->close(files->disk->self, part->fd);
        }
        cairn_mem_free(part->group);
        cairn_mem_free(part->bases);
    }
    cairn_mem_free(files->parts);
    files->parts = NULL;
    cairn_beacon_close(files->beacon);
    files->beacon = NULL;
}

static uint64_t segment_bytes_of(const struct cairn_store_options *options, uint64_t usual)
{
    uint64_t bytes = options->segment_bytes == 0 ? usual : options->segment_bytes;
    bytes = bytes < CAIRN_SEGMENT_BYTES_MIN ? CAIRN_SEGMENT_BYTES_MIN : bytes;
    return bytes > CAIRN_SEGMENT_BYTES_MAX ? CAIRN_SEGMENT_BYTES_MAX : bytes;
}

struct cairn_files *cairn_files_new(const struct cairn_store_options *options,
                                    uint64_t segment_bytes)
{
    struct cairn_files *files = cairn_mem_zalloc(1, sizeof(*files));
    if (files == NULL) {
        return NULL;
    }
    files->backend.ops = &cairn_files_ops;
    files->disk = options->disk == NULL ? cairn_disk_system() : options->disk;
    files->clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    files->log_lines = options->log_lines;
    files->writer = options->writer;
    files->segment_bytes = segment_bytes_of(options, segment_bytes);
    files->file_lock.fd = -1;
    for (unsigned i = 0; i < CAIRN_FILES_OPEN_MAX; i++) {
        files->open[i].fd = -1;
    }
    (void)pthread_mutex_init(&files->lock, NULL);
    (void)pthread_cond_init(&files->work, NULL);
    (void)pthread_cond_init(&files->filled, NULL);
    return files;
}

enum cairn_rc cairn_files_open(const struct cairn_store_options *options,
                               struct cairn_backend **ret_backend, struct cairn_err *err)
{
    struct cairn_files *files = cairn_files_new(options, CAIRN_SEGMENT_BYTES_DEFAULT);
    if (files == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
    }
    files->fill_ahead = options->writer && !options->manual_flush;
    enum cairn_rc rc =
        cairn_files_refuse_other(options->data_folder, CAIRN_REPLICA_FOLDER,
                                 "the replica of a Kafka log", "kafka:HOST:PORT", err);
    if (rc == CAIRN_OK) {
        rc = cairn_files_enter(files, options->data_folder, CAIRN_LOG_FOLDER, err);
    }
    if (rc == CAIRN_OK) {
        rc = describe(files, options, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_files_attach(files, err);
    }
    if (rc != CAIRN_OK) {
        files->backend.ops->close(&files->backend);
        return rc;
    }
    *ret_backend = &files->backend;
    return CAIRN_OK;
}
