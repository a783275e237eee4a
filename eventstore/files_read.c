#include <assert.h>

#include "eventstore/files_int.h"
#include "platform/mem.h"

/* Bytes read at once for a single event: most fit, larger ones cost a second read. */
#define FILES_GUESS_BYTES 4096u

struct cairn_backend_reader {
    struct cairn_files *files;
    struct cairn_files_part *part;
    struct cairn_scan scan;
    uint64_t after;    /* events up to here are left out */
    uint64_t next;     /* offset of the first event of the group at `at` */
    uint64_t at;       /* byte in the segment */
    uint64_t seen_end; /* published when the buffer was read: what it holds up to there is whole */
};

/* Stand at the group that holds after + 1, or before it. */
static enum cairn_rc place(struct cairn_backend_reader *reader, uint64_t after,
                           struct cairn_resume from, struct cairn_err *err)
{
    uint64_t base = 0;
    uint32_t segment = cairn_files_segment_of(reader->files, reader->part, after + 1, &base);
    if (segment == cairn_files_segment_count(reader->files, reader->part)) {
        /* The last one known: the writer may have made others. */
        enum cairn_rc rc = cairn_files_refresh(reader->files, reader->part, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        segment = cairn_files_segment_of(reader->files, reader->part, after + 1, &base);
    }
    if (segment == 0 &&
        reader->files->backend.ops->end(&reader->files->backend, reader->part->number) == 0) {
        reader->after = after; /* the writer has not made the first segment yet */
        reader->next = 1;
        return CAIRN_OK;
    }
    if (segment == 0) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s/%u: the first segment is missing",
                          reader->files->folder, (unsigned)reader->part->number);
    }
    uint64_t at = CAIRN_SEGMENT_HEADER_BYTES;
    uint64_t next = base;
    if (from.locator != 0 && from.offset <= after &&
        cairn_locator_segment(from.locator) == segment && from.offset + 1 >= base) {
        at = cairn_locator_at(from.locator);
        next = from.offset + 1;
    }
    if (reader->scan.fd < 0 || reader->scan.segment != segment) {
        enum cairn_rc rc = cairn_files_scan_open(reader->files, reader->part, segment,
                                                 &reader->scan, NULL, NULL, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    reader->after = after;
    reader->next = next;
    reader->at = at;
    reader->seen_end = 0;
    return CAIRN_OK;
}

enum cairn_rc cairn_files_reader_open(struct cairn_backend *backend, uint16_t partition,
                                      uint64_t after, struct cairn_resume from,
                                      struct cairn_backend_reader **ret_reader,
                                      struct cairn_err *err)
{
    struct cairn_files *files = (struct cairn_files *)backend;
    assert(partition < files->head.partitions);
    struct cairn_backend_reader *reader = cairn_mem_zalloc(1, sizeof(*reader));
    if (reader == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open a reader of the log");
    }
    reader->files = files;
    reader->part = &files->parts[partition];
    reader->scan.disk = files->disk;
    reader->scan.salt = files->salt;
    reader->scan.partition = partition;
    reader->scan.fd = -1;
    enum cairn_rc rc = place(reader, after, from, err);
    if (rc != CAIRN_OK) {
        cairn_files_reader_close(reader);
        return rc;
    }
    *ret_reader = reader;
    return CAIRN_OK;
}

enum cairn_rc cairn_files_reader_seek(struct cairn_backend_reader *reader, uint64_t after,
                                      struct cairn_resume from, struct cairn_err *err)
{
    return place(reader, after, from, err);
}

void cairn_files_reader_close(struct cairn_backend_reader *reader)
{
    if (reader != NULL) {
        cairn_scan_fini(&reader->scan);
        cairn_mem_free(reader);
    }
}

/* Published events must lie at `at`, but no group does: they must start the next segment. */
static enum cairn_rc next_segment(struct cairn_backend_reader *reader, struct cairn_err *err)
{
    uint32_t following = reader->scan.segment + 1;
    uint64_t base = 0;
    struct cairn_err ignored;
    if (cairn_files_segment_base(reader->files, reader->part, following, &base, &ignored) !=
            CAIRN_OK ||
        base != reader->next) {
        return CAIRN_FAIL(
            err, CAIRN_ECORRUPT, "%s: byte %llu: the group that holds offset %llu is not there",
            reader->scan.path, (unsigned long long)reader->at, (unsigned long long)reader->next);
    }
    enum cairn_rc rc = cairn_files_scan_open(reader->files, reader->part, following, &reader->scan,
                                             NULL, NULL, err);
    if (rc == CAIRN_OK) {
        cairn_scan_forget(&reader->scan);
        reader->at = CAIRN_SEGMENT_HEADER_BYTES;
    }
    return rc;
}

/* The header of the group at `at`. *ret_more: false at the published end; *ret_moved: the reader
 * went on to the next segment, nothing is read yet. */
static enum cairn_rc find_group(struct cairn_backend_reader *reader, bool first, bool *ret_found,
                                struct cairn_group_head *ret_head, struct cairn_err *err)
{
    *ret_found = false;
    if (reader->next > reader->seen_end) {
        uint64_t end =
            reader->files->backend.ops->end(&reader->files->backend, reader->part->number);
        if (reader->next > end || !first) {
            return CAIRN_OK;
        }
        enum cairn_rc rc = reader->scan.fd < 0
                               ? place(reader, reader->after, (struct cairn_resume){0, 0}, err)
                               : CAIRN_OK;
        if (rc != CAIRN_OK) {
            return rc;
        }
        cairn_scan_forget(&reader->scan);
        reader->seen_end = end;
    }
    for (int segments = 0; segments < 2; segments++) {
        enum cairn_scan_found found = CAIRN_SCAN_EMPTY;
        enum cairn_rc rc = cairn_scan_head(&reader->scan, reader->at, &found, ret_head, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (found == CAIRN_SCAN_GROUP && ret_head->first_offset == reader->next) {
            *ret_found = true;
            return CAIRN_OK;
        }
        if (!first) {
            return CAIRN_OK; /* what was read so far must be handed out before the buffer moves */
        }
        rc = segments == 0 && found != CAIRN_SCAN_GROUP
                 ? next_segment(reader, err)
                 : CAIRN_FAIL(err, CAIRN_ECORRUPT,
                              "%s: byte %llu: the group that holds offset %llu is not there",
                              reader->scan.path, (unsigned long long)reader->at,
                              (unsigned long long)reader->next);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: the segment holds no group", reader->scan.path);
}

/* Drop events up to `after` from the front of a batch. */
static void leave_out(const struct cairn_backend_reader *reader, struct cairn_batch *batch)
{
    while (batch->count > 0 && batch->events[0].offset <= reader->after) {
        batch->events++;
        batch->locators++;
        batch->count--;
    }
}

enum cairn_rc cairn_files_reader_next(struct cairn_backend_reader *reader, size_t max_events,
                                      struct cairn_batch *ret_batch, struct cairn_err *err)
{
    assert(max_events > 0);
    struct cairn_batch batch = {.start = cairn_locator(reader->scan.segment, (uint32_t)reader->at)};
    for (;;) {
        struct cairn_group_head head = {0};
        bool found = false;
        enum cairn_rc rc = CAIRN_OK;
        /* The header may lie in the buffer's last bytes: moving the buffer would lose the batch. */
        struct cairn_group_head empty = {0};
        if (batch.count > 0 && !cairn_scan_has(&reader->scan, reader->at, &empty)) {
            break;
        }
        rc = find_group(reader, batch.count == 0, &found, &head, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (!found || (batch.count > 0 && !cairn_scan_has(&reader->scan, reader->at, &head))) {
            break;
        }
        if (batch.count == 0) {
            batch.start = cairn_locator(reader->scan.segment, (uint32_t)reader->at);
        }
        if (head.first_offset + head.events - 1 > reader->after) {
            rc = cairn_scan_group(&reader->scan, reader->at, &head, batch.count, false, err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            batch.count += head.events;
        }
        reader->at += (uint64_t)CAIRN_GROUP_HEADER_BYTES + head.size;
        reader->next += head.events;
        if (batch.count >= max_events) {
            break;
        }
    }
    batch.events = reader->scan.events;
    batch.locators = reader->scan.locators;
    batch.resume = cairn_locator(reader->scan.segment, (uint32_t)reader->at);
    leave_out(reader, &batch);
    *ret_batch = batch;
    return CAIRN_OK;
}

/* One record at `at` of fd, its bytes copied to arena. */
static enum cairn_rc read_record(struct cairn_files *files, int fd, uint64_t at,
                                 struct cairn_arena *arena, struct cairn_event *ret_event,
                                 size_t *ret_size, const char **ret_why)
{
    char guess[FILES_GUESS_BYTES];
    size_t got = 0;
    *ret_why = "the disk does not read";
    if (files->disk->read(files->disk->self, fd, guess, sizeof(guess), at, &got) != 0) {
        return CAIRN_EIO;
    }
    size_t size = got < CAIRN_RECORD_HEADER_BYTES ? 0 : cairn_record_claimed_size(guess);
    *ret_why = "no record is there";
    if (size == 0) {
        return CAIRN_ECORRUPT;
    }
    char *bytes = cairn_arena_alloc(arena, size);
    if (bytes == NULL) {
        *ret_why = "memory is out";
        return CAIRN_ENOMEM;
    }
    memcpy(bytes, guess, size < got ? size : got);
    if (size > got) {
        size_t rest = 0;
        *ret_why = "the disk does not read";
        if (files->disk->read(files->disk->self, fd, bytes + got, size - got, at + got, &rest) !=
            0) {
            return CAIRN_EIO;
        }
        got += rest;
    }
    *ret_why = "the file ends inside the record";
    if (got < size) {
        return CAIRN_ECORRUPT;
    }
    return cairn_record_read(cairn_slice_of(bytes, size), true, ret_event, ret_size, ret_why);
}

enum cairn_rc cairn_files_read_append(struct cairn_backend *backend, uint16_t partition,
                                      uint64_t locator, uint16_t count, struct cairn_arena *arena,
                                      struct cairn_event *ret_events, struct cairn_err *err)
{
    struct cairn_files *files = (struct cairn_files *)backend;
    struct cairn_files_part *part = &files->parts[partition];
    int fd = -1;
    unsigned slot = 0;
    assert(partition < files->head.partitions);
    uint16_t wanted = count > 0 ? count : 1;
    enum cairn_rc rc =
        cairn_files_acquire(files, part, cairn_locator_segment(locator), &fd, &slot, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    uint64_t at = cairn_locator_at(locator);
    for (uint16_t i = 0; rc == CAIRN_OK && i < wanted; i++) {
        size_t size = 0;
        const char *why = "";
        struct cairn_event *event = &ret_events[i];
        rc = read_record(files, fd, at, arena, event, &size, &why);
        if (rc == CAIRN_OK && (event->index != i || (count > 0 && event->count != count) ||
                               (i > 0 && event->offset != event[-1].offset + 1))) {
            rc = CAIRN_ECORRUPT;
            why = "it is not the event that the index names";
        }
        if (rc != CAIRN_OK) {
            rc = CAIRN_FAIL(err, rc, "%s/%u: segment %u: byte %llu: %s", files->folder,
                            (unsigned)partition, (unsigned)cairn_locator_segment(locator),
                            (unsigned long long)at, why);
            break;
        }
        event->partition = partition;
        at += size;
    }
    cairn_files_release(files, fd, slot);
    return rc;
}
