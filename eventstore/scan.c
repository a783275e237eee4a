#include "eventstore/scan.h"

#include <assert.h>
#include <stdio.h>

#include "platform/mem.h"

enum cairn_rc cairn_scan_open(struct cairn_scan *scan, const char *path, uint32_t segment,
                              struct cairn_err *err)
{
    assert(segment > 0);
    int fd = -1;
    int os = scan->disk->open(scan->disk->self, path, false, false, &fd);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "open %s", path);
    }
    if (scan->fd >= 0) {
        scan->disk->close(scan->disk->self, scan->fd);
    }
    scan->fd = fd;
    scan->segment = segment;
    (void)snprintf(scan->path, sizeof(scan->path), "%s", path);
    cairn_scan_forget(scan);
    return CAIRN_OK;
}

void cairn_scan_forget(struct cairn_scan *scan)
{
    scan->start = 0;
    scan->size = 0;
}

static bool holds(const struct cairn_scan *scan, uint64_t at, size_t size)
{
    return at >= scan->start && at - scan->start <= scan->size &&
           size <= scan->size - (size_t)(at - scan->start);
}

static enum cairn_rc grow(struct cairn_scan *scan, size_t size, struct cairn_err *err)
{
    size_t wanted = size > CAIRN_SCAN_BUFFER_BYTES ? size : CAIRN_SCAN_BUFFER_BYTES;
    if (scan->cap >= wanted) {
        return CAIRN_OK;
    }
    char *buffer = cairn_mem_alloc(wanted);
    if (buffer == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read %s", scan->path);
    }
    cairn_mem_free(scan->buffer);
    scan->buffer = buffer;
    scan->cap = wanted;
    cairn_scan_forget(scan);
    return CAIRN_OK;
}

enum cairn_rc cairn_scan_bytes(struct cairn_scan *scan, uint64_t at, size_t size,
                               struct cairn_slice *ret_bytes, struct cairn_err *err)
{
    assert(scan->fd >= 0);
    if (!holds(scan, at, size)) {
        enum cairn_rc rc = grow(scan, size, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        size_t got = 0;
        cairn_scan_forget(scan);
        int os = scan->disk->read(scan->disk->self, scan->fd, scan->buffer, scan->cap, at, &got);
        if (os != 0) {
            return CAIRN_FAIL_OS(err, os, "read %s at byte %llu", scan->path,
                                 (unsigned long long)at);
        }
        scan->start = at;
        scan->size = got;
    }
    size_t behind = scan->size - (size_t)(at - scan->start);
    *ret_bytes = cairn_slice_of(scan->buffer + (at - scan->start), size < behind ? size : behind);
    return CAIRN_OK;
}

enum cairn_rc cairn_scan_head(struct cairn_scan *scan, uint64_t at,
                              enum cairn_scan_found *ret_found, struct cairn_group_head *ret_head,
                              struct cairn_err *err)
{
    static const char zeros[CAIRN_GROUP_HEADER_BYTES] = {0};
    struct cairn_slice bytes = CAIRN_SLICE_NONE;
    enum cairn_rc rc = cairn_scan_bytes(scan, at, CAIRN_GROUP_HEADER_BYTES, &bytes, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (bytes.size == 0 || memcmp(bytes.data, zeros, bytes.size) == 0) {
        *ret_found = CAIRN_SCAN_EMPTY;
    } else if (bytes.size < CAIRN_GROUP_HEADER_BYTES || at > UINT32_MAX ||
               !cairn_group_head_read(bytes.data, scan->salt,
                                      cairn_locator(scan->segment, (uint32_t)at), ret_head)) {
        *ret_found = CAIRN_SCAN_BROKEN;
    } else {
        *ret_found = CAIRN_SCAN_GROUP;
    }
    return CAIRN_OK;
}

bool cairn_scan_has(const struct cairn_scan *scan, uint64_t at, const struct cairn_group_head *head)
{
    return holds(scan, at, (size_t)CAIRN_GROUP_HEADER_BYTES + head->size);
}

static enum cairn_rc reserve_events(struct cairn_scan *scan, size_t wanted, struct cairn_err *err)
{
    if (wanted <= scan->events_cap) {
        return CAIRN_OK;
    }
    size_t cap = scan->events_cap == 0 ? 256 : scan->events_cap;
    while (cap < wanted) {
        cap *= 2;
    }
    struct cairn_event *events = cairn_mem_realloc(scan->events, cap * sizeof(*events));
    if (events == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read %s", scan->path);
    }
    scan->events = events;
    uint64_t *locators = cairn_mem_realloc(scan->locators, cap * sizeof(*locators));
    if (locators == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read %s", scan->path);
    }
    scan->locators = locators;
    scan->events_cap = cap;
    return CAIRN_OK;
}

enum cairn_rc cairn_scan_group(struct cairn_scan *scan, uint64_t at,
                               const struct cairn_group_head *head, size_t first, bool deep,
                               struct cairn_err *err)
{
    struct cairn_slice bytes = CAIRN_SLICE_NONE;
    size_t wanted = (size_t)CAIRN_GROUP_HEADER_BYTES + head->size;
    if (head->size > CAIRN_GROUP_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: byte %llu: the group's size is impossible",
                          scan->path, (unsigned long long)at);
    }
    enum cairn_rc rc = cairn_scan_bytes(scan, at, wanted, &bytes, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (bytes.size < wanted) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: byte %llu: the file ends inside the group",
                          scan->path, (unsigned long long)at);
    }
    rc = reserve_events(scan, first + head->events, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t in_records = 0;
    const char *why = "";
    rc = cairn_group_read(head, bytes.data + CAIRN_GROUP_HEADER_BYTES, scan->partition, deep,
                          scan->events + first, scan->locators + first, &in_records, &why);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: byte %llu: %s", scan->path,
                          (unsigned long long)(at + CAIRN_GROUP_HEADER_BYTES + in_records), why);
    }
    return CAIRN_OK;
}

void cairn_scan_fini(struct cairn_scan *scan)
{
    if (scan->fd >= 0 && scan->disk != NULL) {
        scan->disk->close(scan->disk->self, scan->fd);
    }
    scan->fd = -1;
    cairn_mem_free(scan->buffer);
    cairn_mem_free(scan->events);
    cairn_mem_free(scan->locators);
    scan->buffer = NULL;
    scan->events = NULL;
    scan->locators = NULL;
    scan->cap = 0;
    scan->events_cap = 0;
}
