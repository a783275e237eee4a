/* The end of the log after a stop of any kind.
 *
 * The last group may be torn: it was never acknowledged, so it is cut. Everything else that does
 * not read is damage and is reported: a group that was published, or one with whole groups behind
 * it. */
#include <assert.h>
#include <stdio.h>

#include "eventstore/files_int.h"

struct tail {
    struct cairn_files *files;
    struct cairn_files_part *part;
    struct cairn_scan scan;
    struct cairn_resume known; /* what the index has read */
    bool known_good;
    uint64_t published; /* by the beacon */
    uint32_t segment;
    uint64_t base;
    uint64_t limit;               /* bytes planned for the segment */
    uint64_t at;                  /* behind the last whole group */
    uint64_t next;                /* offset of the event that comes next */
    char why[CAIRN_ERR_TEXT_MAX]; /* the reason that the scan ended */
};

/* Does the log have a border of groups where the index says? Cheap: one header is read. */
static enum cairn_rc check_known(struct tail *tail, struct cairn_err *err)
{
    uint32_t segment = cairn_locator_segment(tail->known.locator);
    struct cairn_group_head head;
    enum cairn_scan_found found = CAIRN_SCAN_EMPTY;
    if (tail->known.offset == 0) {
        tail->known_good = true;
        return CAIRN_OK;
    }
    if (segment == 0 || segment > tail->segment ||
        cairn_locator_at(tail->known.locator) < CAIRN_SEGMENT_HEADER_BYTES) {
        return CAIRN_OK;
    }
    enum cairn_rc rc =
        cairn_files_scan_open(tail->files, tail->part, segment, &tail->scan, NULL, NULL, err);
    if (rc == CAIRN_OK) {
        rc =
            cairn_scan_head(&tail->scan, cairn_locator_at(tail->known.locator), &found, &head, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (found == CAIRN_SCAN_GROUP) {
        tail->known_good = head.first_offset == tail->known.offset + 1;
    } else if (segment < tail->segment) {
        uint64_t base = 0;
        rc = cairn_files_segment_base(tail->files, tail->part, segment + 1, &base, err);
        tail->known_good = base == tail->known.offset + 1;
    }
    return rc;
}

/* Read whole groups from at on until there is none. */
static enum cairn_rc walk(struct tail *tail, struct cairn_err *err)
{
    for (;;) {
        struct cairn_group_head head;
        enum cairn_scan_found found = CAIRN_SCAN_EMPTY;
        if (tail->known.offset + 1 == tail->next &&
            tail->known.locator == cairn_locator(tail->segment, (uint32_t)tail->at)) {
            tail->known_good = true;
        }
        enum cairn_rc rc = cairn_scan_head(&tail->scan, tail->at, &found, &head, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (found != CAIRN_SCAN_GROUP || head.first_offset != tail->next) {
            (void)snprintf(tail->why, sizeof(tail->why), "%s",
                           found == CAIRN_SCAN_EMPTY ? "nothing is written there"
                                                     : "no group header is there");
            return CAIRN_OK;
        }
        struct cairn_err broken;
        rc = cairn_scan_group(&tail->scan, tail->at, &head, 0, true, &broken);
        if (rc == CAIRN_ECORRUPT) {
            (void)snprintf(tail->why, sizeof(tail->why), "%s", broken.text);
            return CAIRN_OK;
        }
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "%s", broken.text);
        }
        tail->at += (uint64_t)CAIRN_GROUP_HEADER_BYTES + head.size;
        tail->next += head.events;
    }
}

/* What lies behind the last whole group: *ret_dirty_end is behind the last byte that is not zero
 * (0: all are). A whole group there means that the one before it is damaged, not torn. */
static enum cairn_rc look_behind(struct tail *tail, uint64_t *ret_dirty_end, struct cairn_err *err)
{
    uint64_t at = tail->at;
    uint64_t dirty_end = 0;
    for (;;) {
        struct cairn_slice bytes = CAIRN_SLICE_NONE;
        enum cairn_rc rc = cairn_scan_bytes(&tail->scan, at, 64 * 1024, &bytes, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        for (size_t i = 0; i + 8 <= bytes.size; i += 8) {
            uint64_t word;
            memcpy(&word, bytes.data + i, sizeof(word));
            struct cairn_group_head head;
            if (word == 0) {
                continue;
            }
            dirty_end = at + i + 8;
            if (at + i > tail->at && bytes.size - i >= CAIRN_GROUP_HEADER_BYTES &&
                cairn_group_head_read(bytes.data + i, tail->files->salt,
                                      cairn_locator(tail->segment, (uint32_t)(at + i)), &head)) {
                return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                                  "%s: byte %llu: %s, but a whole group follows at byte %llu",
                                  tail->scan.path, (unsigned long long)tail->at, tail->why,
                                  (unsigned long long)(at + i));
            }
        }
        if (bytes.size < 64 * 1024) {
            break;
        }
        at += 64 * 1024 - CAIRN_GROUP_HEADER_BYTES; /* a header may lie across */
    }
    *ret_dirty_end = dirty_end;
    return CAIRN_OK;
}

/* Zero what a torn group left behind, durably. */
static enum cairn_rc cut(struct tail *tail, uint64_t dirty_end, struct cairn_err *err)
{
    static const char zeros[64 * 1024] = {0};
    const struct cairn_disk *disk = tail->files->disk;
    for (uint64_t at = tail->at; at < dirty_end; at += sizeof(zeros)) {
        uint64_t left = dirty_end - at;
        int os = disk->write(disk->self, tail->part->fd, zeros,
                             left < sizeof(zeros) ? (size_t)left : sizeof(zeros), at);
        if (os != 0) {
            return CAIRN_FAIL_OS(err, os, "cut the torn end of %s", tail->scan.path);
        }
    }
    int os = disk->sync_data(disk->self, tail->part->fd);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "cut the torn end of %s", tail->scan.path);
    }
    cairn_log_event(tail->files->log_lines, CAIRN_LOG_WARN, "eventstore", "torn tail cut",
                    CAIRN_F_STR("segment", tail->scan.path), CAIRN_F_UINT("byte", tail->at),
                    CAIRN_F_UINT("bytes", dirty_end - tail->at),
                    CAIRN_F_UINT("last_offset", tail->next - 1));
    return CAIRN_OK;
}

/* Everything that was acknowledged must still be there.
 *
 * The beacon lies with the log and is never ahead of it: what it knows of must be there. The index
 * is a cache that an older copy of the log may be put beside, so its word alone does not refuse a
 * log whose end is clean: it is thrown away, and building it again checks every group. Where bytes
 * lie behind the end, a group that the index has read may be what they were: that is damage. */
static enum cairn_rc check_promises(const struct tail *tail, uint64_t dirty_end,
                                    struct cairn_err *err)
{
    uint64_t end = tail->next - 1;
    if (tail->published > end) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                          "%s: byte %llu: the log ends at offset %llu, but %llu was acknowledged "
                          "(%s)",
                          tail->scan.path, (unsigned long long)tail->at, (unsigned long long)end,
                          (unsigned long long)tail->published, tail->why);
    }
    if (tail->known.offset <= end) {
        return CAIRN_OK;
    }
    if (dirty_end > 0) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                          "%s: byte %llu: the log ends at offset %llu, but the index has read %llu "
                          "(%s); after restoring an older log on purpose, delete the index",
                          tail->scan.path, (unsigned long long)tail->at, (unsigned long long)end,
                          (unsigned long long)tail->known.offset, tail->why);
    }
    assert(!tail->known_good); /* nothing lies where the index says, so its owner resets it */
    cairn_log_event(tail->files->log_lines, CAIRN_LOG_WARN, "eventstore",
                    "the index has read more than the log holds: events are lost, unless an older "
                    "log was restored on purpose",
                    CAIRN_F_STR("segment", tail->scan.path), CAIRN_F_UINT("log_end", end),
                    CAIRN_F_UINT("index_read", tail->known.offset),
                    CAIRN_F_STR("head", tail->published == 0
                                            ? "missing: nothing else tells what was acknowledged"
                                            : "acknowledges no more than the log holds"),
                    CAIRN_F_UINT("acknowledged", tail->published));
    return CAIRN_OK;
}

static enum cairn_rc open_for_writing(struct tail *tail, struct cairn_err *err)
{
    struct cairn_files *files = tail->files;
    int fd = -1;
    int os = files->disk->open(files->disk->self, tail->scan.path, true, false, &fd);
    uint64_t size = 0;
    if (os == 0) {
        tail->part->fd = fd;
        os = files->disk->size(files->disk->self, fd, &size);
    }
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "open %s", tail->scan.path);
    }
    tail->part->segment = tail->segment;
    tail->part->limit = tail->limit;
    tail->part->ready = size;
    return CAIRN_OK;
}

/* Walk the given segment to its end. */
static enum cairn_rc walk_segment(struct tail *tail, uint32_t segment, bool *ret_whole,
                                  struct cairn_err *err)
{
    struct cairn_segment_head head = {0};
    tail->segment = segment;
    enum cairn_rc rc = cairn_files_segment_base(tail->files, tail->part, segment, &tail->base, err);
    if (rc == CAIRN_OK) {
        rc = check_known(tail, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_files_scan_open(tail->files, tail->part, segment, &tail->scan, &head, ret_whole,
                                   err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    tail->limit = head.bytes;
    tail->at = CAIRN_SEGMENT_HEADER_BYTES;
    tail->next = tail->base;
    if (tail->known_good && cairn_locator_segment(tail->known.locator) == segment) {
        tail->at = cairn_locator_at(tail->known.locator);
        tail->next = tail->known.offset + 1;
    }
    return walk(tail, err);
}

/* A segment whose header is not whole: the machine stopped while it was made. It held nothing, so
 * it is made again; unless anything says that it did. */
static enum cairn_rc remake(struct tail *tail, struct cairn_err *err)
{
    uint64_t base = tail->base;
    uint64_t dirty_end = 0;
    uint32_t last = tail->segment;
    uint64_t bytes = tail->files->segment_bytes;
    char path[CAIRN_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s", tail->scan.path);
    (void)snprintf(tail->why, sizeof(tail->why), "the segment's header is damaged");
    tail->at = 0;
    enum cairn_rc rc = look_behind(tail, &dirty_end, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    tail->next = 1;
    if (last > 1) {
        rc = walk_segment(tail, last - 1, NULL, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    if (tail->next != base || tail->published >= base || tail->known.offset >= base) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT,
                          "%s: byte 0: the segment's header is damaged, and it held events", path);
    }
    (void)pthread_mutex_lock(&tail->files->lock);
    tail->part->count = last - 1;
    (void)pthread_mutex_unlock(&tail->files->lock);
    tail->part->next = base;
    return cairn_files_create(tail->files, tail->part, bytes, err);
}

static enum cairn_rc find_end(struct tail *tail, struct cairn_err *err)
{
    bool whole = true;
    uint64_t dirty_end = 0;
    uint32_t count = cairn_files_segment_count(tail->files, tail->part);
    enum cairn_rc rc = walk_segment(tail, count, &whole, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (!whole) {
        return remake(tail, err);
    }
    rc = look_behind(tail, &dirty_end, err);
    if (rc == CAIRN_OK) {
        rc = check_promises(tail, dirty_end, err);
    }
    if (rc == CAIRN_OK) {
        rc = open_for_writing(tail, err);
    }
    if (rc == CAIRN_OK && dirty_end > 0) {
        rc = cut(tail, dirty_end, err);
    }
    if (rc == CAIRN_OK) {
        tail->part->pos = tail->at;
        tail->part->pos_hint = tail->at;
        tail->part->next = tail->next;
    }
    return rc;
}

enum cairn_rc cairn_files_recover(struct cairn_backend *backend, uint16_t partition,
                                  struct cairn_resume known, bool *ret_known_good,
                                  struct cairn_err *err)
{
    struct cairn_files *files = (struct cairn_files *)backend;
    struct cairn_files_part *part = &files->parts[partition];
    assert(files->writer && part->fd < 0);
    struct tail tail = {.files = files,
                        .part = part,
                        .known = known,
                        .published = cairn_beacon_load(files->beacon, partition)};
    tail.scan.disk = files->disk;
    tail.scan.salt = files->salt;
    tail.scan.partition = partition;
    tail.scan.fd = -1;
    enum cairn_rc rc = CAIRN_OK;
    if (cairn_files_segment_count(files, part) > 0) {
        rc = find_end(&tail, err);
    } else if (tail.published > 0 || known.offset > 0) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s/%u: all segments are missing", files->folder,
                        (unsigned)partition);
    } else {
        tail.known_good = true;
        part->next = 1;
        rc = cairn_files_create(files, part, files->segment_bytes, err);
    }
    cairn_scan_fini(&tail.scan);
    if (rc == CAIRN_OK) {
        files->backend.ops->publish(backend, partition, part->next - 1);
        *ret_known_good = tail.known_good;
    }
    return rc;
}
