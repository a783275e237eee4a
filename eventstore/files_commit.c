/* A group on its way into a segment: numbers, bytes, one write, one sync. */
#include <assert.h>

#include "eventstore/files_int.h"
#include "platform/hash.h"
#include "platform/mem.h"

struct cairn_files_part *cairn_files_part_of(struct cairn_files *files,
                                             const struct cairn_commit *commit)
{
    assert(commit->count > 0 && commit->partitions[0] < files->head.partitions);
    for (size_t i = 1; i < commit->count; i++) {
        assert(commit->partitions[i] == commit->partitions[0]);
    }
    return &files->parts[commit->partitions[0]];
}

void cairn_files_advance(struct cairn_files_part *part, struct cairn_commit *commit,
                         const struct cairn_group_head *head)
{
    part->pos += (uint64_t)CAIRN_GROUP_HEADER_BYTES + head->size;
    part->next += head->events;
    commit->part_count = 1;
    commit->parts[0] =
        (struct cairn_commit_part){.partition = part->number,
                                   .first = head->first_offset,
                                   .end = part->next - 1,
                                   .start = head->locator,
                                   .resume = cairn_locator(part->segment, (uint32_t)part->pos)};
}

/* Number the events of a group and count its bytes. */
enum cairn_rc cairn_files_measure(struct cairn_files_part *part, struct cairn_commit *commit,
                                  struct cairn_group_head *head, struct cairn_err *err)
{
    size_t size = 0;
    uint64_t offset = part->next;
    for (size_t a = 0; a < commit->count; a++) {
        struct cairn_append *append = commit->appends[a];
        assert(append->count > 0);
        size_t bytes = 0;
        enum cairn_rc rc = cairn_records_size(append->events, append->count, &bytes, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        for (uint16_t e = 0; e < append->count; e++) {
            append->events[e].offset = offset++;
            append->events[e].partition = part->number;
        }
        size += bytes;
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
enum cairn_rc cairn_files_choose(struct cairn_files *files, struct cairn_files_part *part,
                                 size_t size, struct cairn_err *err)
{
    if (part->fd >= 0 && part->pos + size <= part->limit) {
        return CAIRN_OK;
    }
    uint64_t bytes = CAIRN_SEGMENT_HEADER_BYTES + size;
    bytes = bytes > files->segment_bytes ? bytes : files->segment_bytes;
    if (part->fd < 0 || part->pos > CAIRN_SEGMENT_HEADER_BYTES) {
        return cairn_files_create(files, part, bytes, err);
    }
    (void)pthread_mutex_lock(&files->lock);
    part->limit = bytes; /* nothing in it yet: let it grow instead */
    (void)pthread_mutex_unlock(&files->lock);
    return CAIRN_OK;
}

enum cairn_rc cairn_files_encode(struct cairn_files_part *part, struct cairn_commit *commit,
                                 struct cairn_group_head *head, uint64_t salt,
                                 struct cairn_err *err)
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

enum cairn_rc cairn_files_commit(struct cairn_backend *backend, struct cairn_commit *commit,
                                 struct cairn_err *err)
{
    struct cairn_files *files = (struct cairn_files *)backend;
    struct cairn_files_part *part = cairn_files_part_of(files, commit);
    struct cairn_group_head head = {0};
    assert(files->writer && part->fd >= 0);
    commit->stop = false;
    enum cairn_rc rc = cairn_files_measure(part, commit, &head, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t size = (size_t)CAIRN_GROUP_HEADER_BYTES + head.size;
    rc = cairn_files_choose(files, part, size, err);
    if (rc == CAIRN_OK) {
        rc = cairn_files_room(files, part, part->pos + size, err);
    }
    if (rc != CAIRN_OK) {
        /* A full disk was noticed before anything was written, and may have room again. */
        commit->stop = rc != CAIRN_EFULL && rc != CAIRN_ENOMEM;
        return rc;
    }
    rc = cairn_files_encode(part, commit, &head, files->salt, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = write_group(files, part, size, err);
    if (rc != CAIRN_OK) {
        commit->stop = true;
        return rc;
    }
    cairn_files_advance(part, commit, &head);
    cairn_files_moved(files, part);
    return CAIRN_OK;
}
