/* Segment files and the log's description: names, headers, creation.
 *
 * <data>/log/log.txt            what the log is: format, domain, partitions, id
 * <data>/log/head               beacon: slot p is the last published offset of partition p
 * <data>/log/lock               held by the writer
 * <data>/log/<p>/<20 digits>.seg  the digits are the offset of its first event
 *
 * A replica of another log lies the same way in <data>/replica. */
#ifndef CAIRN_EVENTSTORE_SEGMENT_H
#define CAIRN_EVENTSTORE_SEGMENT_H

#include "eventstore/backend.h"

#define CAIRN_LOG_FORMAT 1u

/* The segment header fills one page; groups start behind it.
 *
 *   0   8  magic "CAIRNSEG"              8   4  format, 1
 *  12   4  bytes of this header, 4096   16   4  partition
 *  20   4  number of the segment, from 1
 *  24   8  offset of the first event    32   8  bytes planned for the whole segment
 *  40  16  id of the log                56   8  XXH3-64 of the domain's name
 *  64   8  time it was made, us UTC     72      zeros
 * 4088  8  XXH3-64 of bytes 0..4088 */
#define CAIRN_SEGMENT_HEADER_BYTES  4096u
#define CAIRN_SEGMENT_BYTES_DEFAULT (64u * 1024u * 1024u)
#define CAIRN_SEGMENT_BYTES_MIN     (64u * 1024u)
#define CAIRN_SEGMENT_BYTES_MAX     (1024u * 1024u * 1024u)
/* Written with zeros and synced when a segment is made, header included. */
#define CAIRN_SEGMENT_FIRST_BYTES (64u * 1024u)

struct cairn_segment_head {
    uint32_t partition;
    uint32_t number; /* from 1 */
    uint64_t base;   /* offset of the first event */
    uint64_t bytes;  /* planned */
    unsigned char log_id[CAIRN_LOG_ID_BYTES];
    uint64_t domain_hash;
    int64_t time_us;
};

void cairn_segment_head_write(const struct cairn_segment_head *head,
                              char out[CAIRN_SEGMENT_HEADER_BYTES]);
/* False with a static reason when the bytes are no header. */
bool cairn_segment_head_read(const char bytes[CAIRN_SEGMENT_HEADER_BYTES],
                             struct cairn_segment_head *ret_head, const char **ret_why);

#define CAIRN_SEGMENT_NAME_SIZE 24 /* 20 digits and ".seg" */
/* The first offset in a segment's file name; 0 when it is no such name. */
uint64_t cairn_segment_name_parse(const char *name);
/* <log>/<partition>/<base>.seg */
CAIRN_MUST_CHECK enum cairn_rc cairn_segment_path(char out[CAIRN_PATH_MAX], const char *log_folder,
                                                  uint16_t partition, uint64_t base,
                                                  struct cairn_err *err);
/* The first offsets of a partition's segments, ascending, in arena. OK with none when the folder is
 * not there. */
CAIRN_MUST_CHECK enum cairn_rc cairn_segment_list(const char *log_folder, uint16_t partition,
                                                  struct cairn_arena *arena, uint64_t **ret_bases,
                                                  size_t *ret_count, struct cairn_err *err);

#define CAIRN_LOG_AGGREGATES_MAX 64

/* What log.txt says. */
struct cairn_log_head {
    uint32_t format;
    uint16_t partitions;
    unsigned char id[CAIRN_LOG_ID_BYTES];
    char domain[128]; /* NUL-ended */
    /* Of a replica, whose partitions are lanes * aggregate_count; both 0 in an embedded log. */
    uint16_t lanes;
    uint16_t aggregate_count;
    char aggregates[CAIRN_LOG_AGGREGATES_MAX][CAIRN_AGGREGATE_BYTES_MAX + 1]; /* NUL-ended */
};
/* ENOENT: there is none. ECORRUPT; EUNSUPPORTED: a newer format. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_log_head_read(const char *log_folder, struct cairn_log_head *ret_head, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_log_head_write(const char *log_folder,
                                                    const struct cairn_log_head *head,
                                                    struct cairn_err *err);
/* What makes group headers of this log unlike those of any other. */
uint64_t cairn_log_salt(const unsigned char id[CAIRN_LOG_ID_BYTES]);

#endif
