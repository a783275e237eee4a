/* The event store: one log behind one interface, and one local index built from it.
 *
 * The log is the only truth. It has partitions; each is a sequence of events with offsets 1, 2, 3
 * ... in commit order (a backend may leave gaps). A group of appends commits or fails whole, is
 * durable before append returns, and becomes visible to readers, of other processes too, only then.
 * The index (stream -> events, heads, receipts, snapshots) is a cache: it may lag or be lost, and
 * is rebuilt from the log at open.
 *
 * One process writes a data folder (a second is refused with ELOCKED); any number read it. After a
 * failed write or sync the store stops accepting for good: an fsync that failed is never tried
 * again. */
#ifndef CAIRN_EVENTSTORE_STORE_H
#define CAIRN_EVENTSTORE_STORE_H

#include "eventstore/position.h"
#include "platform/file.h"
#include "platform/log.h"
#include "platform/metrics.h"

struct cairn_store;

#define CAIRN_LOG_KAFKA_PREFIX "kafka:"

/* What an append demands of the stream's version. */
#define CAIRN_EXPECT_ANY  (-1) /* whatever it is */
#define CAIRN_EXPECT_NONE (0)  /* the stream does not exist; n > 0: it is at n exactly */

#define CAIRN_GROUP_APPENDS_MAX 4096
#define CAIRN_GROUP_BYTES_MAX   (16u * 1024u * 1024u)

/* The events of one command, for one stream. */
struct cairn_append {
    struct cairn_slice stream;
    int64_t expected;
    struct cairn_event
        *events;    /* caller fills id, type, time_us, schema_version, data, key, fingerprint,
                       causation, correlation,    principal, traceparent; append fills the rest */
    uint16_t count; /* 1..CAIRN_EVENTS_PER_COMMAND_MAX */
    /* Outputs of cairn_store_append. */
    enum cairn_rc rc; /* OK, or ECONFLICT: expected did not hold, judged against the stream as
                       * the accepted appends before it in the group leave it */
    uint64_t actual_version; /* of the stream: after the append, or what stood against it */
};

struct cairn_store_options {
    const char *data_folder; /* the log lives in <data>/log, the index in <data>/index */
    const char *log;         /* "files", or "kafka:HOST:PORT[,HOST:PORT...]" */
    bool writer;             /* keeps the data folder; false: only reads it */
    bool appends; /* on Kafka, of a writer: may own lanes; false: only follows. The writer of an
                     embedded log always appends */
    uint16_t partitions; /* 0: what the log was made with, 1 for a new one. Another number than it
                            was made with: EINVAL */
    struct cairn_slice domain; /* name; written into a new log, compared with an old one (EINVAL) */
    /* Of a writer on Kafka: the domain's aggregates, whether the values of each are written as JSON
     * (NULL: none's are), partitions of each topic of a new log where `partitions` is 0 (0: 4),
     * librdkafka's properties ("name=value" lines, NULL: none), replicas of a topic (0: 3, or as
     * many as there are brokers) and the length of the rotation of transactional ids (0: 4). */
    const struct cairn_slice *aggregates;
    const bool *json;
    size_t aggregate_count;
    uint16_t new_partitions;
    const char *kafka_properties;
    uint16_t replication;
    uint16_t transactional_ids;
    uint64_t segment_bytes; /* 0: 64 MiB */
    const struct cairn_clock *clock;
    const struct cairn_disk *disk; /* NULL: the machine's */
    struct cairn_log *log_lines; /* progress of a rebuild, truncation of a torn tail; may be NULL */
    struct cairn_metrics *metrics; /* may be NULL */
    bool manual_flush; /* tests and simulations: no background thread; call cairn_store_flush */
};

/* Open: recovers the tail (a writer cuts a torn last group), checks, catches the index up with the
 * log. errors: ELOCKED (names the pid), ECORRUPT (names segment and byte), EINVAL, ENOENT (reader,
 * no log yet), EIO, EFULL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_open(const struct cairn_store_options *options,
                                                struct cairn_store **ret_store,
                                                struct cairn_err *err);
/* In a process that only reads: has the writer put another log in the place of the one that was
 * opened, so that opening it anew would succeed? A replica is thrown away where it is damaged or
 * deleted; reads of the old one fail with ESTOPPED. Looks at one file. thread: any. */
bool cairn_store_replaced(const struct cairn_store *store);
/* Flushes the index. No other call may be under way. Accepts NULL. */
void cairn_store_close(struct cairn_store *store);

/* Of a stream that has no place in the log: its aggregate is none of the log's. */
#define CAIRN_PARTITION_NONE UINT16_MAX

uint16_t cairn_store_partitions(const struct cairn_store *store);
/* Where a stream's events go. On the embedded log: murmur2(aggregate id) % partitions, as Kafka's
 * default partitioner would. CAIRN_PARTITION_NONE. */
uint16_t cairn_store_partition_of(const struct cairn_store *store, struct cairn_slice stream);
/* A lane is the partitions whose appends commit together: murmur2(aggregate id) % lanes names a
 * stream's. The embedded log has a lane for each partition. */
uint16_t cairn_store_lanes(const struct cairn_store *store);
uint16_t cairn_store_lane_of(const struct cairn_store *store, struct cairn_slice stream);

/* Tell the other nodes of the log that this one is there, and at which URL ("http://host:port") it
 * takes commands; from then on it may own lanes. Once. Does nothing on the embedded log. errors:
 * ETIMEDOUT, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_announce(struct cairn_store *store, const char *url,
                                                    struct cairn_err *err);
/* May this process append to the lane now? *ret_term changes when others may have appended since:
 * what the caller knows of the lane's streams is out of date then. errors: ENOOWNER, EBUSY (the
 * cluster cannot be written now). thread: one caller at a time for each lane. May wait for the
 * cluster where the last append failed. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_begin(struct cairn_store *store, uint16_t lane,
                                                 uint64_t *ret_term, struct cairn_err *err);

/* Append a group to the partitions of one lane; every stream must belong to it. Appends are checked
 * and numbered in order, those that conflict are left out (their rc says so) and the others commit
 * together. errors: for the group as a whole, and then nothing of it is in the log: ESTOPPED (the
 * store has failed before; err says why), ENOAGGREGATE (a stream has no place), EFULL, EIO,
 * ETOOBIG; or EUNKNOWN: it may or may not be. thread: one caller at a time for each lane. Blocks on
 * disk. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_append(struct cairn_store *store, uint16_t lane,
                                                  struct cairn_append *appends, size_t count,
                                                  struct cairn_err *err);
/* Why the store does not accept appends: false while it does; else ret_err (may be NULL) is filled.
 * thread: any. */
bool cairn_store_stopped(struct cairn_store *store, struct cairn_err *ret_err);
/* Is the log within reach: would what is appended get to it, and what others append from it? OK on
 * an embedded log. Where this process cannot append it asks the cluster, for 3 s at most.
 * errors: EUNREACHABLE (says what is known of the cause), ENOMEM. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_reachable(struct cairn_store *store,
                                                     struct cairn_err *err);

/* The stream's version, 0 when it has no event. thread: any (as all that follow). */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_head(struct cairn_store *store,
                                                struct cairn_slice stream, uint64_t *ret_version,
                                                struct cairn_err *err);

enum cairn_direction { CAIRN_FORWARD, CAIRN_BACKWARD };

/* Events, with everything they point to in the arena they were read into. */
struct cairn_event_page {
    struct cairn_event *events;
    size_t count;
    bool more; /* there are further events in that direction */
};

/* A page of a stream. after: the version to start behind (FORWARD: from after + 1 on; 0 is the
 * beginning. BACKWARD: from after - 1 down; 0 is from the newest). At least 1 and at most limit
 * events, and at most about 4 MiB of them. An unknown stream gives an empty page. errors: ECORRUPT,
 * EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_store_read_stream(struct cairn_store *store, struct cairn_slice stream, uint64_t after,
                        size_t limit, enum cairn_direction direction, struct cairn_arena *arena,
                        struct cairn_event_page *ret_page, struct cairn_err *err);

/* How far the log is durable and visible. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_store_end(struct cairn_store *store, struct cairn_position *ret_end, struct cairn_err *err);
/* Wait until the log holds more than `seen` (any partition), at most timeout_ms. *ret_more says
 * whether it does. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_wait(struct cairn_store *store,
                                                const struct cairn_position *seen, int timeout_ms,
                                                bool *ret_more, struct cairn_err *err);
/* Make every present and future cairn_store_wait return at once: for stopping. */
void cairn_store_wake(struct cairn_store *store);

/* A sequential reader of one partition. thread: owner. */
struct cairn_log_reader;
CAIRN_MUST_CHECK enum cairn_rc cairn_log_reader_open(struct cairn_store *store, uint16_t partition,
                                                     uint64_t after,
                                                     struct cairn_log_reader **ret_reader,
                                                     struct cairn_err *err);
/* The next events, oldest first: whole commands only, about max_events of them (at least one
 * command), 0 at the end of what is durable. Checksums and dense offsets are verified. Borrowed
 * until the next call. errors: ECORRUPT (names the place), EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_reader_next(struct cairn_log_reader *reader,
                                                     size_t max_events,
                                                     const struct cairn_event **ret_events,
                                                     size_t *ret_count, struct cairn_err *err);
/* The event of an offset on, again: for readers that resume elsewhere. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_reader_seek(struct cairn_log_reader *reader,
                                                     uint64_t after, struct cairn_err *err);
void cairn_log_reader_close(struct cairn_log_reader *reader);

/* What an accepted command's Idempotency-Key stands for. */
struct cairn_receipt {
    unsigned char fingerprint[16];
    struct cairn_slice stream; /* in arena */
    uint16_t partition;
    uint64_t first_offset; /* of its events */
    uint64_t first_version;
    uint16_t count;
};
/* Where several nodes accepted a key at the same moment, each in a partition of its own, the
 * receipt of the preferred partition comes first, else any. ENOENT when the key was never accepted
 * (err untouched). */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_receipt(struct cairn_store *store,
                                                   struct cairn_slice key, uint16_t preferred,
                                                   struct cairn_arena *arena,
                                                   struct cairn_receipt *ret_receipt,
                                                   struct cairn_err *err);

/* The newest snapshot of a stream made by that code. ENOENT. state in arena. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_store_snapshot_get(struct cairn_store *store, struct cairn_slice stream,
                         const unsigned char code_hash[16], struct cairn_arena *arena,
                         uint64_t *ret_version, struct cairn_slice *ret_state,
                         struct cairn_err *err);
/* Keep a snapshot (copied; written with the next flush; replaces the stream's older one). Losing it
 * is harmless. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_snapshot_put(struct cairn_store *store,
                                                        struct cairn_slice stream,
                                                        const unsigned char code_hash[16],
                                                        uint64_t version, struct cairn_slice state,
                                                        struct cairn_err *err);

/* Write what the index holds in memory to its file now. Writer only. */
CAIRN_MUST_CHECK enum cairn_rc cairn_store_flush(struct cairn_store *store, struct cairn_err *err);

struct cairn_store_stats {
    uint64_t events, streams, segments, log_bytes, index_bytes;
};
CAIRN_MUST_CHECK enum cairn_rc cairn_store_stats(struct cairn_store *store,
                                                 struct cairn_store_stats *ret_stats,
                                                 struct cairn_err *err);

/* Read the whole log of a data folder without opening it as a store, check every checksum, offset
 * and version. fault: called for each fault (the walk goes on where it can); progress: called now
 * and then with bytes done of all. Returns OK when there was no fault, ECORRUPT when there was. */
struct cairn_verify_report {
    uint64_t events, commands, streams, segments, bytes, faults;
    bool torn_tail; /* an unfinished last group, which a writer would cut: not a fault */
};
struct cairn_verify_hooks {
    void (*fault)(void *self, const char *place, const char *text);
    void (*progress)(void *self, uint64_t done, uint64_t all);
    void *self;
};
CAIRN_MUST_CHECK enum cairn_rc cairn_store_verify(const char *data_folder,
                                                  const struct cairn_verify_hooks *hooks,
                                                  struct cairn_verify_report *ret_report,
                                                  struct cairn_err *err);

#endif
