/* Records and groups: how events lie in a segment. Pure functions over bytes; docs/architecture/
 * eventstore.md draws the layouts. All numbers are little-endian, everything starts at a multiple
 * of 8 bytes. thread: any. */
#ifndef CAIRN_EVENTSTORE_RECORD_H
#define CAIRN_EVENTSTORE_RECORD_H

#include "schemas/event.h"

/* One event.
 *
 *   0   4  checksum: low half of XXH3-64 of bytes 4..size
 *   4   4  size of the whole record, padding included
 *   8   8  offset in the partition      32  16  id
 *  16   8  version in the stream        48   2  index among the events of its command
 *  24   8  time, us UTC                 50   2  events of its command
 *  52   2  schema version               54   1  bytes of stream
 *  55   1  bytes of type                56   1  bytes of key
 *  57   1  zero                         58   2  bytes of causation
 *  60   2  bytes of correlation         62   2  bytes of principal
 *  64   2  bytes of traceparent         66   2  zero
 *  68   4  bytes of data
 *  72      stream, type, fingerprint (16, only with a key), key, causation, correlation,
 *          principal, traceparent, data, zeros up to a multiple of 8 */
#define CAIRN_RECORD_HEADER_BYTES 72u
#define CAIRN_RECORD_BYTES_MAX                                                                     \
    (CAIRN_RECORD_HEADER_BYTES + CAIRN_STREAM_BYTES_MAX + CAIRN_TYPE_BYTES_MAX + 16u +             \
     CAIRN_KEY_BYTES_MAX + 4u * CAIRN_META_BYTES_MAX + CAIRN_EVENT_DATA_BYTES_MAX + 8u)

/* Is every part within its limit? */
bool cairn_record_fits(const struct cairn_event *event);
/* Bytes that the record takes, a multiple of 8. The event must fit. */
size_t cairn_record_size(const struct cairn_event *event);
/* Bytes that the records of count events take. errors: ETOOBIG: one of them does not fit. */
CAIRN_MUST_CHECK enum cairn_rc cairn_records_size(const struct cairn_event *events, size_t count,
                                                  size_t *ret_size, struct cairn_err *err);
/* Write it, checksum included, into out[size], size being cairn_record_size. */
void cairn_record_write(const struct cairn_event *event, char *out, size_t size);
/* The size that a record's first CAIRN_RECORD_HEADER_BYTES claim; 0 when it is impossible. */
size_t cairn_record_claimed_size(const char *header);
/* Read the record at the start of bytes; slices point into bytes, partition is set to 0.
 * checked: compare the record's own checksum (a reader that has checked the group need not).
 * ret_why: a static text on failure. errors: ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_record_read(struct cairn_slice bytes, bool checked,
                                                 struct cairn_event *ret_event, size_t *ret_size,
                                                 const char **ret_why);

/* One group: what one commit wrote, a header and its records.
 *
 *   0   8  checksum: XXH3-64 of the log's salt and bytes 8..64
 *   8   4  magic "CGRP"                  12   4  bytes of records behind the header
 *  16   8  XXH3-64 of the records        24   8  offset of the first event
 *  32   4  events                        36   4  appends
 *  40   8  time of the commit, us UTC    48   8  locator of this header
 *  56   8  of a replica: where to go on in the log that it copies, 0: not from here; else zero
 *
 * The salt is drawn when the log is made and the locator says where the header lies, so neither
 * bytes inside an event nor a stale copy of a group can pass for a header. */
#define CAIRN_GROUP_HEADER_BYTES 64u

struct cairn_group_head {
    uint32_t size;         /* bytes of records */
    uint64_t records_hash; /* XXH3-64 of them */
    uint64_t first_offset;
    uint32_t events;  /* >= 1 */
    uint32_t appends; /* 1..events */
    int64_t time_us;
    uint64_t locator;
    uint64_t source; /* of a replica: where its source goes on behind the group; else 0 */
};

void cairn_group_head_write(const struct cairn_group_head *head, uint64_t salt,
                            char out[CAIRN_GROUP_HEADER_BYTES]);
/* False when the bytes are no header of that log at that locator. */
bool cairn_group_head_read(const char bytes[CAIRN_GROUP_HEADER_BYTES], uint64_t salt,
                           uint64_t locator, struct cairn_group_head *ret_head);

/* The events of a group whose header was read: records = head->size bytes, whose hash is checked
 * here; dense offsets and whole appends too. events[head->events] and locators[head->events] are
 * filled. deep: check each record's own checksum too. errors: ECORRUPT (ret_at: byte in records).
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_group_read(const struct cairn_group_head *head,
                                                const char *records, uint16_t partition, bool deep,
                                                struct cairn_event *events, uint64_t *locators,
                                                size_t *ret_at, const char **ret_why);

/* Where something lies: segment number and byte. */
static inline uint64_t cairn_locator(uint32_t segment, uint32_t at)
{
    return (uint64_t)segment << 32 | at;
}

static inline uint32_t cairn_locator_segment(uint64_t locator)
{
    return (uint32_t)(locator >> 32);
}

static inline uint32_t cairn_locator_at(uint64_t locator)
{
    return (uint32_t)(locator & 0xffffffffu);
}

#endif
