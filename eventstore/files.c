/* The embedded log: opening, committing, publishing. */
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
    (void)err; /* sleeping does not fail */
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

/* Number the events of a group and count its bytes. */
static enum cairn_rc measure(struct cairn_files_part *part, struct cairn_commit *commit,
                             struct cairn_group_head *head, struct cairn_err *err)
{
    size_t size = 0;
    uint64_t offset = part->next;
    for (size_t a = 0; a < commit->count; a++) {
        struct cairn_append *append = commit->appends[a];
        assert(append->count > 0);
        for (uint16_t e = 0; e < append->count; e++) {
            if (!cairn_record_fits(&append->events[e])) {
                return CAIRN_FAIL(err, CAIRN_ETOOBIG, "an event of %.*s is larger than allowed",
                                  CAIRN_SLICE_ARG(append->stream));
            }
            size += cairn_record_size(&append->events[e]);
            append->events[e].offset = offset++;
            append->events[e].partition = part->number;
        }
        if (size > CAIRN_GROUP_BYTES_MAX) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "a group of more than %u bytes",
                              CAIRN_GROUP_BYTES_MAX);
        }
    }
    head->size = (uint32_t)size;
    head->first_offset = part->next;
    head->events = (uint32_t)(offset - part->next);
    head->appends = (uint32_t)commit->count;
    head->time_us = commit->time_us;
    return CAIRN_OK;
}

/* The segment that the group goes to: the current one, or a new one where it does not fit. */
static enum cairn_rc find_room(struct cairn_files *files, struct cairn_files_part *part,
                               size_t size, struct cairn_err *err)
{
    if (part->pos + size > part->limit) {
        uint64_t bytes = CAIRN_SEGMENT_HEADER_BYTES + size;
        bytes = bytes > files->segment_bytes ? bytes : files->segment_bytes;
        if (part->pos == CAIRN_SEGMENT_HEADER_BYTES) {
            (void)pthread_mutex_lock(&files->lock);
            part->limit = bytes; /* nothing in it yet: let it grow instead */
            (void)pthread_mutex_unlock(&files->lock);
        } else {
            enum cairn_rc rc = cairn_files_create(files, part, bytes, err);
            if (rc != CAIRN_OK) {
                return rc;
            }
        }
    }
    return cairn_files_room(files, part, part->pos + size, err);
}

static enum cairn_rc encode(struct cairn_files_part *part, struct cairn_commit *commit,
                            struct cairn_group_head *head, uint64_t salt, struct cairn_err *err)
{
    size_t wanted = (size_t)CAIRN_GROUP_HEADER_BYTES + head->size;
    if (part->group_cap < wanted) {
        size_t cap = wanted < 64 * 1024 ? 64 * 1024 : wanted;
        char *group = cairn_mem_realloc(part->group, cap);
        if (group == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "encode a group of %zu bytes", wanted);
        }
        part->group = group;
        part->group_cap = cap;
    }
    char *at = part->group + CAIRN_GROUP_HEADER_BYTES;
    for (size_t a = 0; a < commit->count; a++) {
        const struct cairn_append *append = commit->appends[a];
        commit->locators[a] =
            cairn_locator(part->segment, (uint32_t)(part->pos + (size_t)(at - part->group)));
        for (uint16_t e = 0; e < append->count; e++) {
            size_t size = cairn_record_size(&append->events[e]);
            cairn_record_write(&append->events[e], at, size);
            at += size;
        }
    }
    assert((size_t)(at - part->group) == wanted);
    head->locator = cairn_locator(part->segment, (uint32_t)part->pos);
    head->records_hash =
        cairn_hash64(cairn_slice_of(part->group + CAIRN_GROUP_HEADER_BYTES, head->size));
    cairn_group_head_write(head, salt, part->group);
    return CAIRN_OK;
}

/* A write failed: part of the group may be in the file, all of it even. Without its header it is
 * nothing to a reader, so zeros over the header, durable, turn an unknown outcome into a known one.
 */
static enum cairn_rc take_back(struct cairn_files *files, struct cairn_files_part *part, int os,
                               struct cairn_err *err)
{
    static const char zeros[CAIRN_GROUP_HEADER_BYTES] = {0};
    const struct cairn_disk *disk = files->disk;
    int failed = disk->write(disk->self, part->fd, zeros, sizeof(zeros), part->pos);
    if (failed == 0) {
        failed = disk->sync_data(disk->self, part->fd);
    }
    enum cairn_rc rc = CAIRN_FAIL_OS(err, os, "write the log");
    return failed == 0 ? rc : cairn_err_wrap(err, CAIRN_EUNKNOWN, "and could not take it back");
}

/* One write, one sync. */
static enum cairn_rc write_group(struct cairn_files *files, struct cairn_files_part *part,
                                 size_t size, struct cairn_err *err)
{
    static const char zeros[CAIRN_GROUP_HEADER_BYTES] = {0};
    const struct cairn_disk *disk = files->disk;
    int os = disk->write(disk->self, part->fd, part->group, size, part->pos);
    if (os != 0) {
        return take_back(files, part, os, err);
    }
    os = disk->sync_data(disk->self, part->fd);
    if (os == 0) {
        return CAIRN_OK;
    }
    /* The group is in the page cache and may or may not be on the disk; a second sync would prove
     * nothing. A restart of the process shall not find it, a power cut may. */
    (void)disk->write(disk->self, part->fd, zeros, sizeof(zeros), part->pos);
    (void)CAIRN_FAIL_OS(err, os, "sync the log");
    return cairn_err_wrap(err, CAIRN_EUNKNOWN, "it is not known whether the group is durable");
}

static enum cairn_rc commit_group(struct cairn_backend *backend, struct cairn_commit *commit,
                                  struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    struct cairn_files_part *part = &files->parts[commit->partition];
    struct cairn_group_head head = {0};
    assert(files->writer && part->fd >= 0 && commit->count > 0);
    commit->stop = false;
    enum cairn_rc rc = measure(part, commit, &head, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t size = (size_t)CAIRN_GROUP_HEADER_BYTES + head.size;
    rc = find_room(files, part, size, err);
    if (rc != CAIRN_OK) {
        /* A full disk was noticed before anything was written, and may have room again. */
        commit->stop = rc != CAIRN_EFULL && rc != CAIRN_ENOMEM;
        return rc;
    }
    rc = encode(part, commit, &head, files->salt, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    commit->start = head.locator;
    rc = write_group(files, part, size, err);
    if (rc != CAIRN_OK) {
        commit->stop = true;
        return rc;
    }
    part->pos += size;
    part->next += head.events;
    commit->end = part->next - 1;
    commit->resume = cairn_locator(part->segment, (uint32_t)part->pos);
    cairn_files_moved(files, part);
    return CAIRN_OK;
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
    for (uint16_t p = 0; files->parts != NULL && p < files->head.partitions; p++) {
        struct cairn_files_part *part = &files->parts[p];
        if (part->fd >= 0) {
            files->disk->close(files->disk->self, part->fd);
        }
        cairn_mem_free(part->group);
        cairn_mem_free(part->bases);
    }
    for (unsigned i = 0; i < CAIRN_FILES_OPEN_MAX; i++) {
        assert(files->open[i].users == 0);
        if (files->open[i].fd >= 0) {
            files->disk->close(files->disk->self, files->open[i].fd);
        }
    }
    cairn_mem_free(files->parts);
    cairn_beacon_close(files->beacon);
    cairn_file_lock_close(&files->file_lock);
    (void)pthread_cond_destroy(&files->filled);
    (void)pthread_cond_destroy(&files->work);
    (void)pthread_mutex_destroy(&files->lock);
    cairn_mem_free(files);
}

static const struct cairn_backend_ops files_ops = {
    .name = "files",
    .close = close_files,
    .partitions = partitions_of,
    .identity = identity_of,
    .recover = recover,
    .commit = commit_group,
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

/* Lock, description, beacon. */
static enum cairn_rc open_log(struct cairn_files *files, const struct cairn_store_options *options,
                              struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    enum cairn_rc rc = cairn_file_join(files->folder, options->data_folder, "log");
    if (rc == CAIRN_OK) {
        rc = cairn_file_join(path, files->folder, "lock");
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", options->data_folder);
    }
    if (files->writer) {
        rc = cairn_file_make_folder(files->folder, err);
        if (rc == CAIRN_OK) {
            rc = cairn_file_lock_open(path, &files->file_lock, err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    rc = cairn_log_head_read(files->folder, &files->head, err);
    if (rc == CAIRN_ENOENT && files->writer) {
        rc = make_log(files, options, err);
    }
    if (rc == CAIRN_OK) {
        rc = check_options(files, options, err);
    }
    if (rc == CAIRN_OK && files->writer) {
        rc = make_part_folders(files, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    files->salt = cairn_log_salt(files->head.id);
    rc = cairn_file_join(path, files->folder, "head");
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", files->folder);
    }
    return cairn_beacon_open(path, files->writer, &files->beacon, err);
}

/* Which segments there are; a writer looks at each header, so that damage shows at start. */
static enum cairn_rc look_at_segments(struct cairn_files *files, struct cairn_err *err)
{
    struct cairn_scan scan = {.disk = files->disk, .salt = files->salt, .fd = -1};
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t p = 0; rc == CAIRN_OK && p < files->head.partitions; p++) {
        struct cairn_files_part *part = &files->parts[p];
        part->number = p;
        part->fd = -1;
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

static uint64_t segment_bytes_of(const struct cairn_store_options *options)
{
    uint64_t bytes =
        options->segment_bytes == 0 ? CAIRN_SEGMENT_BYTES_DEFAULT : options->segment_bytes;
    bytes = bytes < CAIRN_SEGMENT_BYTES_MIN ? CAIRN_SEGMENT_BYTES_MIN : bytes;
    return bytes > CAIRN_SEGMENT_BYTES_MAX ? CAIRN_SEGMENT_BYTES_MAX : bytes;
}

enum cairn_rc cairn_files_open(const struct cairn_store_options *options,
                               struct cairn_backend **ret_backend, struct cairn_err *err)
{
    struct cairn_files *files = cairn_mem_zalloc(1, sizeof(*files));
    if (files == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
    }
    files->backend.ops = &files_ops;
    files->disk = options->disk == NULL ? cairn_disk_system() : options->disk;
    files->clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    files->log_lines = options->log_lines;
    files->writer = options->writer;
    files->fill_ahead = options->writer && !options->manual_flush;
    files->segment_bytes = segment_bytes_of(options);
    files->file_lock.fd = -1;
    for (unsigned i = 0; i < CAIRN_FILES_OPEN_MAX; i++) {
        files->open[i].fd = -1;
    }
    (void)pthread_mutex_init(&files->lock, NULL);
    (void)pthread_cond_init(&files->work, NULL);
    (void)pthread_cond_init(&files->filled, NULL);
    enum cairn_rc rc = open_log(files, options, err);
    if (rc == CAIRN_OK) {
        files->parts = cairn_mem_zalloc(files->head.partitions, sizeof(*files->parts));
        if (files->parts == NULL) {
            rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
        }
    }
    for (uint16_t p = 0; rc == CAIRN_OK && p < files->head.partitions; p++) {
        files->parts[p].fd = -1;
    }
    if (rc == CAIRN_OK) {
        rc = look_at_segments(files, err);
    }
    if (rc != CAIRN_OK) {
        close_files(&files->backend);
        return rc;
    }
    *ret_backend = &files->backend;
    return CAIRN_OK;
}
