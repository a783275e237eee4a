/* A scan reads groups of one segment file one behind the other through a buffer. Readers, recovery
 * and verification stand on it. It reads with pread, never through a map: a bad sector must be an
 * error, not a signal. thread: owner. */
#ifndef CAIRN_EVENTSTORE_SCAN_H
#define CAIRN_EVENTSTORE_SCAN_H

#include "eventstore/record.h"
#include "eventstore/segment.h"

#define CAIRN_SCAN_BUFFER_BYTES (512u * 1024u)

struct cairn_scan {
    const struct cairn_disk *disk;
    uint64_t salt;
    uint16_t partition;
    int fd;                     /* owned; -1: none */
    uint32_t segment;           /* number */
    char *buffer;               /* owned */
    size_t cap;                 /* bytes of buffer */
    uint64_t start;             /* byte of the file at buffer[0] */
    size_t size;                /* bytes in buffer */
    struct cairn_event *events; /* owned */
    uint64_t *locators;         /* owned, as many */
    size_t events_cap;
    char path[CAIRN_PATH_MAX]; /* for messages */
};

/* What lies at a place. */
enum cairn_scan_found {
    CAIRN_SCAN_GROUP,
    CAIRN_SCAN_EMPTY, /* zeros or the end of the file: nothing was written here */
    CAIRN_SCAN_BROKEN /* something that is no group header */
};

/* Zeroed with disk, salt and partition set is ready. Opens another segment; keeps the buffers. */
CAIRN_MUST_CHECK enum cairn_rc cairn_scan_open(struct cairn_scan *scan, const char *path,
                                               uint32_t segment, struct cairn_err *err);
/* Forget what was read: the file has changed. */
void cairn_scan_forget(struct cairn_scan *scan);
/* size bytes at `at`; fewer only at the end of the file. Borrowed until the next call. EIO, ENOMEM.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_scan_bytes(struct cairn_scan *scan, uint64_t at, size_t size,
                                                struct cairn_slice *ret_bytes,
                                                struct cairn_err *err);
/* Is there a group header at `at`? */
CAIRN_MUST_CHECK enum cairn_rc cairn_scan_head(struct cairn_scan *scan, uint64_t at,
                                               enum cairn_scan_found *ret_found,
                                               struct cairn_group_head *ret_head,
                                               struct cairn_err *err);
/* Are the records of the group at `at` in the buffer already? */
bool cairn_scan_has(const struct cairn_scan *scan, uint64_t at,
                    const struct cairn_group_head *head);
/* Read the events of the group at `at` into scan->events[first..], which grows. They point into the
 * buffer. errors: ECORRUPT (names path and byte), EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_scan_group(struct cairn_scan *scan, uint64_t at,
                                                const struct cairn_group_head *head, size_t first,
                                                bool deep, struct cairn_err *err);
/* Accepts a zeroed scan whose fd is 0 only when nothing was opened: set fd to -1 at init. */
void cairn_scan_fini(struct cairn_scan *scan);

#endif
