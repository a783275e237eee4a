/* The index: from a stream to its events, from an Idempotency-Key to its command, from an offset to
 * a place near it, and snapshots. A cache of the log, in LMDB under <data>/index, with what LMDB
 * does not hold yet in memory.
 *
 * It knows nothing of how a log lies on disk: locators are a backend's. The writer applies each
 * group once it is durable; a thread writes what has gathered, sorted by key, about once a second
 * or every 65,536 appends. A process that only reads follows the log itself from LMDB's checkpoint
 * on and forgets what LMDB has caught up with.
 *
 * Tables: meta ("state" -> format, partitions, log id, checkpoints), rows (stream 0x00 version ->
 * count, locator; one an append), receipts (key 0x00 partition -> locator), offsets (partition
 * offset
 * -> locator), snapshots (stream -> code hash, version, state). */
#ifndef CAIRN_EVENTSTORE_INDEX_H
#define CAIRN_EVENTSTORE_INDEX_H

#include "eventstore/backend.h"

#define CAIRN_INDEX_FORMAT 2u
/* Appends that one generation of the tail holds, and generations. Together they bound memory: an
 * append waits when all are full. */
#define CAIRN_INDEX_GENERATION_ROWS 65536u
#define CAIRN_INDEX_GENERATIONS_MAX 4u
/* Appends in one reservation. */
#define CAIRN_INDEX_RESERVE_MAX        (2u * CAIRN_GROUP_APPENDS_MAX)
#define CAIRN_INDEX_FLUSH_MS           1000
#define CAIRN_INDEX_MARK_EVENTS        1024u /* between two remembered offsets */
#define CAIRN_INDEX_SNAPSHOT_BYTES_MAX (4u * 1024u * 1024u)
/* Snapshots that wait for a flush; more are dropped, which is harmless. */
#define CAIRN_INDEX_SNAPSHOTS_BYTES_MAX (32u * 1024u * 1024u)
#define CAIRN_INDEX_SNAPSHOTS_MAX       65536u

struct cairn_index;

struct cairn_index_options {
    const char *folder; /* <data>/index */
    bool writer;
    bool manual; /* no thread: the caller flushes */
    uint16_t partitions;
    unsigned char log_id[CAIRN_LOG_ID_BYTES];
    struct cairn_log *log_lines;
    struct cairn_metrics *metrics;
    /* Called before a checkpoint is written: what was applied so far must not be lost any more when
     * it returns OK. NULL where it is durable anyway. thread: the one that flushes. */
    enum cairn_rc (*before_flush)(void *self, struct cairn_err *err);
    void *before_flush_self;
};

/* One append of a group that is durable. */
struct cairn_index_entry {
    struct cairn_slice stream;
    struct cairn_slice key; /* empty: none */
    uint64_t first_version;
    uint64_t locator;
    uint16_t count;
};

struct cairn_index_group {
    uint16_t partition;
    const struct cairn_index_entry *entries;
    size_t count;
    struct cairn_resume start; /* before the group */
    struct cairn_resume end;   /* behind it */
};

struct cairn_index_row {
    uint64_t first_version;
    uint64_t locator;
    uint16_t count;
};

/* Open or make it. An index that is damaged, of another log or of another format is thrown away and
 * starts empty (writer). errors: EIO, EFULL, EEXIST, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_open(const struct cairn_index_options *options,
                                                struct cairn_index **ret_index,
                                                struct cairn_err *err);
/* Does not flush. Accepts NULL. */
void cairn_index_close(struct cairn_index *index);
/* Throw everything away and start empty: it did not fit the log. Writer, before start. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_reset(struct cairn_index *index, struct cairn_err *err);
/* Start the thread that flushes (none with manual). */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_start(struct cairn_index *index, struct cairn_err *err);

/* How far the log is applied. thread: any. */
struct cairn_resume cairn_index_applied(struct cairn_index *index, uint16_t partition);
/* Room for count more appends; waits for a flush when memory's share is full. Followed by apply or
 * release. errors: ENOMEM, or what kept the last flush from working. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_reserve(struct cairn_index *index, size_t count,
                                                   struct cairn_err *err);
void cairn_index_release(struct cairn_index *index, size_t count);
/* Take in a durable group for which room was reserved. Cannot fail. */
void cairn_index_apply(struct cairn_index *index, const struct cairn_index_group *group);
/* Write what is in memory. Writer. EIO, EFULL, ENOMEM; nothing is lost on failure. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_flush(struct cairn_index *index, struct cairn_err *err);
/* Reader: look at how far LMDB is, forget what it holds. reopen: the writer may have put a new file
 * in the place of the one that is open. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_refresh(struct cairn_index *index, bool reopen,
                                                   struct cairn_err *err);

/* Look-ups. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_head(struct cairn_index *index,
                                                struct cairn_slice stream, uint64_t *ret_version,
                                                struct cairn_err *err);
struct cairn_index_head {
    struct cairn_slice stream;
    uint64_t version; /* output */
};
/* The same for many streams, cheaper. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_heads(struct cairn_index *index,
                                                 struct cairn_index_head *heads, size_t count,
                                                 struct cairn_err *err);
/* Up to max rows of a stream: FORWARD from the row that holds `version` on, BACKWARD from it down.
 * None when there is none. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_rows(struct cairn_index *index,
                                                struct cairn_slice stream, uint64_t version,
                                                enum cairn_direction direction,
                                                struct cairn_index_row *rows, size_t max,
                                                size_t *ret_count, struct cairn_err *err);
/* Several nodes may accept one key at the same moment, each in a partition of its own: the receipt
 * of the preferred partition, else that of any. ENOENT (err untouched). */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_receipt(struct cairn_index *index,
                                                   struct cairn_slice key, uint16_t preferred,
                                                   uint16_t *ret_partition, uint64_t *ret_locator,
                                                   struct cairn_err *err);
/* The nearest remembered place at or before offset; {0, 0} without one. */
CAIRN_MUST_CHECK enum cairn_rc cairn_index_near(struct cairn_index *index, uint16_t partition,
                                                uint64_t offset, struct cairn_resume *ret_from,
                                                struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc
cairn_index_snapshot_get(struct cairn_index *index, struct cairn_slice stream,
                         const unsigned char code_hash[16], struct cairn_arena *arena,
                         uint64_t *ret_version, struct cairn_slice *ret_state,
                         struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_index_snapshot_put(struct cairn_index *index,
                                                        struct cairn_slice stream,
                                                        const unsigned char code_hash[16],
                                                        uint64_t version, struct cairn_slice state,
                                                        struct cairn_err *err);
/* Streams in the part of the log that is applied. */
uint64_t cairn_index_streams(struct cairn_index *index);
/* Bytes of the index file. */
uint64_t cairn_index_bytes(struct cairn_index *index);

#endif
