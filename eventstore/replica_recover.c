/* The end of a replica after a stop of any kind: behind the last whole group that its source can go
 * on from. Everything from what the index has read on is looked at, in all segments, for none of
 * it need have reached the disk; what does not hold together is cut off. */
#include <assert.h>
#include <stdio.h>

#include "eventstore/files_int.h"

/* A place between groups. segment 0: before the first one. */
struct place {
    uint32_t segment;
    uint64_t at;
    uint64_t next;   /* offset of the event that comes next */
    uint64_t source; /* > 0 but for the beginning */
    uint64_t limit;  /* bytes planned for the segment */
};

struct walk {
    struct cairn_files *files;
    struct cairn_files_part *part;
    struct cairn_scan scan;
    struct cairn_resume known; /* what the index has read */
    bool seen_known;           /* it is a border of groups */
    struct place here;
    struct place keep; /* the last one with a source */
};

/* One group, or the end: *ret_more is false. */
static enum cairn_rc step(struct walk *walk, bool *ret_more, struct cairn_err *err)
{
    struct cairn_group_head head;
    struct cairn_err broken;
    enum cairn_scan_found found = CAIRN_SCAN_EMPTY;
    *ret_more = false;
    if (walk->known.offset + 1 == walk->here.next &&
        walk->known.locator == cairn_locator(walk->here.segment, (uint32_t)walk->here.at)) {
        walk->seen_known = true;
    }
    enum cairn_rc rc = cairn_scan_head(&walk->scan, walk->here.at, &found, &head, err);
    if (rc != CAIRN_OK || found != CAIRN_SCAN_GROUP || head.first_offset != walk->here.next) {
        return rc;
    }
    rc = cairn_scan_group(&walk->scan, walk->here.at, &head, 0, false, &broken);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ECORRUPT ? CAIRN_OK : cairn_err_wrap(err, rc, "%s", broken.text);
    }
    walk->here.at += (uint64_t)CAIRN_GROUP_HEADER_BYTES + head.size;
    walk->here.next += head.events;
    walk->here.source = head.source;
    if (head.source > 0) {
        walk->keep = walk->here;
    }
    *ret_more = true;
    return CAIRN_OK;
}

/* All groups of a segment. *ret_whole: nothing is behind them. */
static enum cairn_rc walk_segment(struct walk *walk, uint32_t segment, bool first, bool *ret_whole,
                                  struct cairn_err *err)
{
    struct cairn_segment_head head = {0};
    struct cairn_err broken;
    uint64_t base = 0;
    uint64_t size = 0;
    bool more = true;
    *ret_whole = false;
    enum cairn_rc rc = cairn_files_segment_base(walk->files, walk->part, segment, &base, err);
    if (rc != CAIRN_OK || (!first && base != walk->here.next)) {
        return rc;
    }
    rc = cairn_files_scan_open(walk->files, walk->part, segment, &walk->scan, &head, NULL, &broken);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ECORRUPT ? CAIRN_OK : cairn_err_wrap(err, rc, "%s", broken.text);
    }
    walk->here = (struct place){
        .segment = segment, .at = CAIRN_SEGMENT_HEADER_BYTES, .next = base, .limit = head.bytes};
    while (rc == CAIRN_OK && more) {
        rc = step(walk, &more, err);
    }
    const struct cairn_disk *disk = walk->files->disk;
    if (rc == CAIRN_OK) {
        int os = disk->size(disk->self, walk->scan.fd, &size);
        /* Its writer may have left it behind in the page cache: what the index reads from here must
         * be durable before the index says so. */
        os = os == 0 ? disk->sync_data(disk->self, walk->scan.fd) : os;
        rc = os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "%s", walk->scan.path);
    }
    *ret_whole = rc == CAIRN_OK && size == walk->here.at;
    return rc;
}

static enum cairn_rc walk_from(struct walk *walk, uint32_t first, struct cairn_err *err)
{
    uint32_t count = cairn_files_segment_count(walk->files, walk->part);
    bool whole = true;
    enum cairn_rc rc = CAIRN_OK;
    walk->keep = (struct place){.next = 1};
    for (uint32_t s = first; rc == CAIRN_OK && whole && s <= count; s++) {
        rc = walk_segment(walk, s, s == first, &whole, err);
    }
    return rc;
}

/* The segment to start from: the one that the index has read up to. */
static enum cairn_rc find_start(struct walk *walk, uint32_t *ret_segment, struct cairn_err *err)
{
    uint32_t segment = cairn_locator_segment(walk->known.locator);
    uint64_t base = 0;
    *ret_segment = 1;
    if (walk->known.offset == 0 || segment == 0 ||
        segment > cairn_files_segment_count(walk->files, walk->part)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_files_segment_base(walk->files, walk->part, segment, &base, err);
    if (rc == CAIRN_OK && base <= walk->known.offset + 1) {
        *ret_segment = segment;
    }
    return rc;
}

static enum cairn_rc find_end(struct walk *walk, struct cairn_err *err)
{
    uint32_t first = 1;
    enum cairn_rc rc = find_start(walk, &first, err);
    while (rc == CAIRN_OK) {
        rc = walk_from(walk, first, err);
        if (first == 1 || (walk->seen_known && walk->keep.segment > 0)) {
            break;
        }
        /* Nothing to go on from yet: it lies further in front. Without what the index knows nothing
         * is known to be durable. */
        first = walk->seen_known ? first - 1 : 1;
    }
    return rc;
}

/* Remove the segments behind the one that is kept. *ret_bytes: what they held. */
static enum cairn_rc drop_segments(struct walk *walk, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct cairn_files *files = walk->files;
    uint32_t count = cairn_files_segment_count(files, walk->part);
    for (uint32_t s = count; s > walk->keep.segment; s--) {
        char path[CAIRN_PATH_MAX];
        uint64_t base = 0;
        uint64_t size = 0;
        enum cairn_rc rc = cairn_files_segment_base(files, walk->part, s, &base, err);
        if (rc == CAIRN_OK) {
            rc = cairn_segment_path(path, files->folder, walk->part->number, base, err);
        }
        if (rc == CAIRN_OK) {
            rc = cairn_scan_open(&walk->scan, path, s, err);
        }
        if (rc == CAIRN_OK && files->disk->size(files->disk->self, walk->scan.fd, &size) == 0 &&
            size > CAIRN_SEGMENT_HEADER_BYTES) {
            *ret_bytes += size - CAIRN_SEGMENT_HEADER_BYTES;
        }
        if (rc == CAIRN_OK) {
            rc = cairn_file_remove_tree(path, err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    (void)pthread_mutex_lock(&files->lock);
    walk->part->count = walk->keep.segment;
    (void)pthread_mutex_unlock(&files->lock);
    return CAIRN_OK;
}

/* Open the last segment where it ends. */
static enum cairn_rc open_last(struct walk *walk, uint64_t *ret_bytes, struct cairn_err *err)
{
    struct cairn_files *files = walk->files;
    const struct cairn_disk *disk = files->disk;
    char path[CAIRN_PATH_MAX];
    uint64_t base = 0;
    uint64_t size = 0;
    int fd = -1;
    enum cairn_rc rc = cairn_files_segment_base(files, walk->part, walk->keep.segment, &base, err);
    if (rc == CAIRN_OK) {
        rc = cairn_segment_path(path, files->folder, walk->part->number, base, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    int os = disk->open(disk->self, path, true, false, &fd);
    if (os == 0) {
        walk->part->fd = fd;
        os = disk->size(disk->self, fd, &size);
    }
    if (os == 0 && size > walk->keep.at) {
        *ret_bytes += size - walk->keep.at;
        os = disk->truncate(disk->self, fd, walk->keep.at);
    }
    return os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "cut the end of %s", path);
}

static enum cairn_rc stand_at_end(struct walk *walk, struct cairn_err *err)
{
    struct cairn_files *files = walk->files;
    struct cairn_files_part *part = walk->part;
    uint64_t bytes = 0;
    enum cairn_rc rc = drop_segments(walk, &bytes, err);
    if (rc == CAIRN_OK && walk->keep.segment > 0) {
        rc = open_last(walk, &bytes, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    part->segment = walk->keep.segment;
    part->pos = walk->keep.at;
    part->limit = walk->keep.limit;
    part->next = walk->keep.next;
    part->source = walk->keep.source;
    part->dirty = true;
    part->made = true;
    if (bytes > 0) {
        cairn_log_event(files->log_lines, CAIRN_LOG_WARN, "eventstore",
                        "end of the replica cut; it is read from its source again",
                        CAIRN_F_STR("folder", files->folder),
                        CAIRN_F_UINT("partition", part->number), CAIRN_F_UINT("bytes", bytes),
                        CAIRN_F_UINT("last_offset", part->next - 1));
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_replica_recover(struct cairn_backend *backend, uint16_t partition,
                                    struct cairn_resume known, bool *ret_known_good,
                                    struct cairn_err *err)
{
    struct cairn_files *files = (struct cairn_files *)backend;
    struct cairn_files_part *part = &files->parts[partition];
    assert(files->replica && files->writer && part->fd < 0);
    struct walk walk = {.files = files, .part = part, .known = known};
    walk.scan.disk = files->disk;
    walk.scan.salt = files->salt;
    walk.scan.partition = partition;
    walk.scan.fd = -1;
    enum cairn_rc rc = find_end(&walk, err);
    if (rc == CAIRN_OK) {
        rc = stand_at_end(&walk, err);
    }
    cairn_scan_fini(&walk.scan);
    if (rc == CAIRN_OK) {
        *ret_known_good = known.offset == 0 || (walk.seen_known && known.offset < walk.keep.next);
        /* After a power cut the beacon may know of more than is there. */
        cairn_beacon_store(files->beacon, partition, part->next - 1);
        cairn_beacon_ring(files->beacon);
    }
    return rc;
}
