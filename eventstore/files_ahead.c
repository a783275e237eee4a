/* Space in front of the write position. Where a commit overwrites blocks that were zero-filled and
 * synced before, fdatasync has no metadata to write: 1.5 to 1.9 times the commits of a growing
 * file. */
#include <assert.h>
#include <errno.h>

#include "eventstore/files_int.h"
#include "platform/fault.h"
#include "platform/hash.h"
#include "platform/mem.h"

static int write_zeros(const struct cairn_disk *disk, int fd, uint64_t from, uint64_t to)
{
    static const char zeros[64 * 1024] = {0};
    while (from < to) {
        size_t size = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        int os = disk->write(disk->self, fd, zeros, size, from);
        if (os != 0) {
            return os;
        }
        from += size;
    }
    return 0;
}

/* Header and first zeros of a new segment, durable. */
static int lay_out(struct cairn_files *files, int fd, const char header[CAIRN_SEGMENT_HEADER_BYTES])
{
    const struct cairn_disk *disk = files->disk;
    int os = disk->truncate(disk->self, fd, 0);
    if (files->replica) { /* grows with what is written, and is synced by the index */
        return os != 0 ? os : disk->write(disk->self, fd, header, CAIRN_SEGMENT_HEADER_BYTES, 0);
    }
    if (os == 0) {
        os = disk->allocate(disk->self, fd, 0, CAIRN_SEGMENT_FIRST_BYTES);
        os = os == EOPNOTSUPP ? 0 : os;
    }
    if (os == 0) {
        os = write_zeros(disk, fd, CAIRN_SEGMENT_HEADER_BYTES, CAIRN_SEGMENT_FIRST_BYTES);
    }
    if (os == 0) {
        os = disk->write(disk->self, fd, header, CAIRN_SEGMENT_HEADER_BYTES, 0);
    }
    return os != 0 ? os : disk->sync_all(disk->self, fd);
}

/* Keep a descriptor for the next sync of a replica. Called with the lock held. False: memory is
 * out. */
static bool leave_to_sync(struct cairn_files *files, int fd)
{
    if (files->left_count == files->left_cap) {
        size_t cap = files->left_cap == 0 ? 16 : 2 * files->left_cap;
        int *left = cairn_mem_realloc(files->left, cap * sizeof(*left));
        if (left == NULL) {
            return false;
        }
        files->left = left;
        files->left_cap = cap;
    }
    files->left[files->left_count++] = fd;
    return true;
}

/* The current segment of a replica takes no more. Whoever syncs next closes it. */
static void leave_replica_segment(struct cairn_files *files, struct cairn_files_part *part)
{
    (void)pthread_mutex_lock(&files->lock);
    int fd = part->fd;
    bool kept = leave_to_sync(files, fd);
    while (!kept && part->syncing) {
        (void)pthread_cond_wait(&files->filled, &files->lock);
    }
    part->fd = -1;
    (void)pthread_mutex_unlock(&files->lock);
    if (kept) {
        return;
    }
    int os = files->disk->sync_data(files->disk->self, fd);
    files->disk->close(files->disk->self, fd);
    (void)pthread_mutex_lock(&files->lock);
    files->sync_os = files->sync_os != 0 ? files->sync_os : os;
    (void)pthread_mutex_unlock(&files->lock);
}

/* The current segment takes no more: give its unused zeros back and close it. */
static void leave_segment(struct cairn_files *files, struct cairn_files_part *part)
{
    if (part->fd < 0) {
        return;
    }
    if (files->replica) {
        leave_replica_segment(files, part);
        return;
    }
    (void)pthread_mutex_lock(&files->lock);
    while (part->filling) {
        (void)pthread_cond_wait(&files->filled, &files->lock);
    }
    int fd = part->fd;
    part->ready = 0;
    part->fd = -1;
    (void)pthread_mutex_unlock(&files->lock);
    /* A failure costs some disk space and nothing else. */
    (void)files->disk->truncate(files->disk->self, fd, part->pos);
    files->disk->close(files->disk->self, fd);
}

enum cairn_rc cairn_files_create(struct cairn_files *files, struct cairn_files_part *part,
                                 uint64_t bytes, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    char folder[CAIRN_PATH_MAX];
    char header[CAIRN_SEGMENT_HEADER_BYTES];
    struct cairn_segment_head head = {
        .partition = part->number,
        .number = cairn_files_segment_count(files, part) + 1,
        .base = part->next,
        .bytes = bytes,
        .domain_hash = cairn_hash64(cairn_slice_str(files->head.domain)),
        .time_us = cairn_clock_now_us(files->clock),
    };
    memcpy(head.log_id, files->head.id, sizeof(head.log_id));
    cairn_segment_head_write(&head, header);
    enum cairn_rc rc = cairn_segment_path(path, files->folder, part->number, part->next, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    memcpy(folder, path, sizeof(folder));
    *strrchr(folder, '/') = '\0';
    int fd = -1;
    int os = files->disk->open(files->disk->self, path, true, true, &fd);
    if (os == 0) {
        os = lay_out(files, fd, header);
    }
    if (os == 0 && !files->replica) {
        os = files->disk->sync_folder(files->disk->self, folder);
    }
    rc = os == 0 ? cairn_files_add_segment(files, part, part->next, err)
                 : CAIRN_FAIL_OS(err, os, "make segment %s", path);
    if (rc != CAIRN_OK) {
        if (fd >= 0) {
            files->disk->close(files->disk->self, fd);
        }
        return rc;
    }
    leave_segment(files, part);
    (void)pthread_mutex_lock(&files->lock);
    part->fd = fd;
    part->segment = head.number;
    part->pos = CAIRN_SEGMENT_HEADER_BYTES;
    part->pos_hint = part->pos;
    part->limit = bytes;
    part->ready = CAIRN_SEGMENT_FIRST_BYTES;
    part->dirty = true;
    part->made = true;
    (void)pthread_mutex_unlock(&files->lock);
    return CAIRN_OK;
}

/* Extend the zeros from ready to `to`. zeros: write them (blocks are then free of conversions);
 * else only allocate, where the file system can. Called with part->filling set by the caller. */
static int extend(struct cairn_files *files, int fd, uint64_t from, uint64_t to, bool zeros)
{
    const struct cairn_disk *disk = files->disk;
    int os = disk->allocate(disk->self, fd, from, to - from);
    bool unsupported = os == EOPNOTSUPP;
    if (os != 0 && !unsupported) {
        return os;
    }
    if (zeros || unsupported) {
        os = write_zeros(disk, fd, from, to);
        if (os == 0 && zeros) {
            os = disk->sync_all(disk->self, fd);
        }
        return os;
    }
    return 0;
}

enum cairn_rc cairn_files_room(struct cairn_files *files, struct cairn_files_part *part,
                               uint64_t end, struct cairn_err *err)
{
    (void)pthread_mutex_lock(&files->lock);
    while (part->filling && part->ready < end) {
        (void)pthread_cond_wait(&files->filled, &files->lock);
    }
    int os = part->fill_os;
    uint64_t from = part->ready;
    bool enough = from >= end;
    part->filling = part->filling || (!enough && os == 0);
    part->outran = part->outran || !enough;
    (void)pthread_mutex_unlock(&files->lock);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "extend a segment of %s/%u", files->folder,
                             (unsigned)part->number);
    }
    if (enough) {
        return CAIRN_OK;
    }
    uint64_t to = end + CAIRN_AHEAD_CHUNK_BYTES;
    os = extend(files, part->fd, from, to, false);
    (void)pthread_mutex_lock(&files->lock);
    part->filling = false;
    part->ready = os == 0 ? to : part->ready;
    (void)pthread_cond_broadcast(&files->filled);
    (void)pthread_mutex_unlock(&files->lock);
    return os == 0 ? CAIRN_OK
                   : CAIRN_FAIL_OS(err, os, "extend a segment of %s/%u", files->folder,
                                   (unsigned)part->number);
}

/* A part that runs low, or NULL. Called with the lock held. */
static struct cairn_files_part *find_low(struct cairn_files *files)
{
    for (uint16_t p = 0; p < files->head.partitions; p++) {
        struct cairn_files_part *part = &files->parts[p];
        uint64_t wanted = part->pos_hint + CAIRN_AHEAD_LOW_BYTES;
        wanted = wanted < part->limit ? wanted : part->limit;
        if (part->fd >= 0 && part->fill_os == 0 && !part->filling && part->pos_hint > 0 &&
            part->ready < wanted) {
            return part;
        }
    }
    return NULL;
}

/* Fill one part's next chunk. Called with the lock held; gives it up meanwhile. */
static void fill(struct cairn_files *files, struct cairn_files_part *part)
{
    uint64_t from = part->ready;
    uint64_t to = part->pos_hint + CAIRN_AHEAD_HIGH_BYTES;
    to = to < part->limit ? to : part->limit;
    int fd = part->fd;
    /* Large groups outrun the zeros and would wait for them: there only allocate. */
    bool zeros = !part->outran;
    part->outran = false;
    part->filling = true;
    (void)pthread_mutex_unlock(&files->lock);
    int os = extend(files, fd, from, to, zeros);
    (void)pthread_mutex_lock(&files->lock);
    part->filling = false;
    if (os == 0) {
        part->ready = to;
    } else if (os == ENOSPC || os == EDQUOT) {
        /* Not yet lost: the append that needs the room asks again and reports. */
        part->pos_hint = 0;
    } else {
        part->fill_os = os;
    }
    (void)pthread_cond_broadcast(&files->filled);
}

static void *run_filler(void *self)
{
    struct cairn_files *files = self;
    (void)pthread_mutex_lock(&files->lock);
    while (!files->stopping) {
        struct cairn_files_part *part = find_low(files);
        if (part != NULL) {
            fill(files, part);
        } else {
            (void)pthread_cond_wait(&files->work, &files->lock);
        }
    }
    (void)pthread_mutex_unlock(&files->lock);
    return NULL;
}

enum cairn_rc cairn_files_start_filler(struct cairn_files *files, struct cairn_err *err)
{
    assert(!files->filler_runs);
    int os = cairn_fault_hit(CAIRN_FAULT_THREAD)
                 ? EAGAIN
                 : pthread_create(&files->filler, NULL, run_filler, files);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "start the thread that extends segments");
    }
    files->filler_runs = true;
    return CAIRN_OK;
}

void cairn_files_stop_filler(struct cairn_files *files)
{
    if (!files->filler_runs) {
        return;
    }
    (void)pthread_mutex_lock(&files->lock);
    files->stopping = true;
    (void)pthread_cond_broadcast(&files->work);
    (void)pthread_mutex_unlock(&files->lock);
    (void)pthread_join(files->filler, NULL);
    files->filler_runs = false;
}

void cairn_files_moved(struct cairn_files *files, struct cairn_files_part *part)
{
    (void)pthread_mutex_lock(&files->lock);
    part->pos_hint = part->pos;
    bool low = part->ready < part->limit && part->ready - part->pos < CAIRN_AHEAD_LOW_BYTES;
    if (low && !part->filling && files->filler_runs) {
        (void)pthread_cond_signal(&files->work);
    }
    (void)pthread_mutex_unlock(&files->lock);
}
