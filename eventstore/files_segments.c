#include <assert.h>

#include "eventstore/files_int.h"
#include "platform/mem.h"

/* Make room for one more base. Called with the lock held. */
static bool grow(struct cairn_files_part *part, uint32_t wanted)
{
    if (wanted <= part->cap) {
        return true;
    }
    uint32_t cap = part->cap == 0 ? 64 : part->cap;
    while (cap < wanted) {
        cap *= 2;
    }
    uint64_t *bases = cairn_mem_realloc(part->bases, cap * sizeof(*bases));
    if (bases == NULL) {
        return false;
    }
    part->bases = bases;
    part->cap = cap;
    return true;
}

enum cairn_rc cairn_files_add_segment(struct cairn_files *files, struct cairn_files_part *part,
                                      uint64_t base, struct cairn_err *err)
{
    (void)pthread_mutex_lock(&files->lock);
    assert(part->count == 0 || part->bases[part->count - 1] < base);
    bool grown = part->count < CAIRN_SEGMENTS_MAX && grow(part, part->count + 1);
    if (grown) {
        part->bases[part->count++] = base;
    }
    (void)pthread_mutex_unlock(&files->lock);
    return grown ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_ENOMEM, "remember a segment");
}

enum cairn_rc cairn_files_refresh(struct cairn_files *files, struct cairn_files_part *part,
                                  struct cairn_err *err)
{
    struct cairn_arena arena = {.max = (size_t)1 << 31};
    uint64_t *bases = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_segment_list(files->folder, part->number, &arena, &bases, &count, err);
    if (rc == CAIRN_OK && count > CAIRN_SEGMENTS_MAX) {
        rc = CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s/%u holds too many segments", files->folder,
                        (unsigned)part->number);
    }
    if (rc == CAIRN_OK && count > 0) {
        (void)pthread_mutex_lock(&files->lock);
        if (!grow(part, (uint32_t)count)) {
            rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "list the segments");
        } else if (count > part->count) {
            memcpy(part->bases, bases, count * sizeof(*bases));
            part->count = (uint32_t)count;
        }
        (void)pthread_mutex_unlock(&files->lock);
    }
    cairn_arena_fini(&arena);
    return rc;
}

uint32_t cairn_files_segment_count(struct cairn_files *files, struct cairn_files_part *part)
{
    (void)pthread_mutex_lock(&files->lock);
    uint32_t count = part->count;
    (void)pthread_mutex_unlock(&files->lock);
    return count;
}

uint32_t cairn_files_segment_of(struct cairn_files *files, struct cairn_files_part *part,
                                uint64_t offset, uint64_t *ret_base)
{
    (void)pthread_mutex_lock(&files->lock);
    uint32_t low = 0;
    uint32_t high = part->count; /* bases[low..high) may start behind offset */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (part->bases[middle] <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_base = low > 0 ? part->bases[low - 1] : 0;
    (void)pthread_mutex_unlock(&files->lock);
    return low;
}

enum cairn_rc cairn_files_segment_base(struct cairn_files *files, struct cairn_files_part *part,
                                       uint32_t segment, uint64_t *ret_base, struct cairn_err *err)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        uint64_t base = 0;
        (void)pthread_mutex_lock(&files->lock);
        if (segment > 0 && segment <= part->count) {
            base = part->bases[segment - 1];
        }
        (void)pthread_mutex_unlock(&files->lock);
        if (base > 0) {
            *ret_base = base;
            return CAIRN_OK;
        }
        enum cairn_rc rc = cairn_files_refresh(files, part, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s/%u: segment %u is missing", files->folder,
                      (unsigned)part->number, (unsigned)segment);
}

/* Is the header the one that this place in the log must have? */
static bool head_is(const struct cairn_files *files, const struct cairn_files_part *part,
                    const struct cairn_segment_head *head, uint32_t segment, uint64_t base,
                    const char **ret_why)
{
    if (memcmp(head->log_id, files->head.id, sizeof(head->log_id)) != 0) {
        *ret_why = "it belongs to another log";
        return false;
    }
    if (head->partition != part->number || head->number != segment || head->base != base) {
        *ret_why = "it is another segment of this log, or one before it is missing";
        return false;
    }
    return true;
}

enum cairn_rc cairn_files_scan_open(struct cairn_files *files, struct cairn_files_part *part,
                                    uint32_t segment, struct cairn_scan *scan,
                                    struct cairn_segment_head *ret_head, bool *ret_whole,
                                    struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    uint64_t base = 0;
    enum cairn_rc rc = cairn_files_segment_base(files, part, segment, &base, err);
    if (rc == CAIRN_OK) {
        rc = cairn_segment_path(path, files->folder, part->number, base, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_scan_open(scan, path, segment, err);
    }
    struct cairn_slice bytes = CAIRN_SLICE_NONE;
    if (rc == CAIRN_OK) {
        rc = cairn_scan_bytes(scan, 0, CAIRN_SEGMENT_HEADER_BYTES, &bytes, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_segment_head head = {0};
    const char *why = "the file is shorter than its header";
    bool whole = bytes.size == CAIRN_SEGMENT_HEADER_BYTES &&
                 cairn_segment_head_read(bytes.data, &head, &why);
    if (whole && !head_is(files, part, &head, segment, base, &why)) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: byte 0: %s", path, why);
    }
    if (!whole && ret_whole == NULL) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: byte 0: %s", path, why);
    }
    if (whole && ret_head != NULL) {
        *ret_head = head;
    }
    if (ret_whole != NULL) {
        *ret_whole = whole;
    }
    return CAIRN_OK;
}

/* The slot of an open segment, or the free or longest unused one; open count when all are in use.
 * Called with the lock held. */
static unsigned find_slot(struct cairn_files *files, uint16_t partition, uint32_t segment,
                          bool *ret_hit)
{
    unsigned best = CAIRN_FILES_OPEN_MAX;
    *ret_hit = false;
    for (unsigned i = 0; i < CAIRN_FILES_OPEN_MAX; i++) {
        struct cairn_files_open *open = &files->open[i];
        if (open->fd >= 0 && open->partition == partition && open->segment == segment) {
            *ret_hit = true;
            return i;
        }
        bool usable = open->fd < 0 || open->users == 0;
        if (usable && (best == CAIRN_FILES_OPEN_MAX || open->fd < 0 ||
                       (files->open[best].fd >= 0 && open->used_at < files->open[best].used_at))) {
            best = i;
        }
    }
    return best;
}

/* Put a fresh descriptor into the cache; returns one to close, or -1. */
static int keep(struct cairn_files *files, uint16_t partition, uint32_t segment, int fd,
                int *ret_fd, unsigned *ret_slot)
{
    int close_fd = -1;
    bool hit = false;
    (void)pthread_mutex_lock(&files->lock);
    unsigned slot = find_slot(files, partition, segment, &hit);
    if (slot < CAIRN_FILES_OPEN_MAX) {
        struct cairn_files_open *open = &files->open[slot];
        close_fd = hit ? fd : open->fd;
        if (!hit) {
            *open = (struct cairn_files_open){.fd = fd, .partition = partition, .segment = segment};
        }
        open->users++;
        open->used_at = ++files->ticks;
        fd = open->fd;
    }
    (void)pthread_mutex_unlock(&files->lock);
    *ret_fd = fd;
    *ret_slot = slot;
    return close_fd;
}

enum cairn_rc cairn_files_acquire(struct cairn_files *files, struct cairn_files_part *part,
                                  uint32_t segment, int *ret_fd, unsigned *ret_slot,
                                  struct cairn_err *err)
{
    bool hit = false;
    (void)pthread_mutex_lock(&files->lock);
    unsigned slot = find_slot(files, part->number, segment, &hit);
    if (hit) {
        files->open[slot].users++;
        files->open[slot].used_at = ++files->ticks;
        *ret_fd = files->open[slot].fd;
        *ret_slot = slot;
    }
    (void)pthread_mutex_unlock(&files->lock);
    if (hit) {
        return CAIRN_OK;
    }
    char path[CAIRN_PATH_MAX];
    uint64_t base = 0;
    int fd = -1;
    enum cairn_rc rc = cairn_files_segment_base(files, part, segment, &base, err);
    if (rc == CAIRN_OK) {
        rc = cairn_segment_path(path, files->folder, part->number, base, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    int os = files->disk->open(files->disk->self, path, false, false, &fd);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "open %s", path);
    }
    int close_fd = keep(files, part->number, segment, fd, ret_fd, ret_slot);
    if (close_fd >= 0) {
        files->disk->close(files->disk->self, close_fd);
    }
    return CAIRN_OK;
}

void cairn_files_release(struct cairn_files *files, int fd, unsigned slot)
{
    if (slot == CAIRN_FILES_OPEN_MAX) { /* the cache was full of segments in use */
        files->disk->close(files->disk->self, fd);
        return;
    }
    (void)pthread_mutex_lock(&files->lock);
    assert(files->open[slot].fd == fd && files->open[slot].users > 0);
    files->open[slot].users--;
    (void)pthread_mutex_unlock(&files->lock);
}
