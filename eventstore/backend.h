/* A backend keeps the log: what the store needs of it, and nothing about how it lies on disk.
 *
 * The store numbers versions, checks what appends expect and keeps the index; a backend gives
 * offsets, makes groups durable, publishes how far the log goes, and reads. Offsets ascend, and may
 * have gaps. A locator is a backend's own 64-bit name for the place of an event (or of a resume
 * point between groups); the index stores it and hands it back. */
#ifndef CAIRN_EVENTSTORE_BACKEND_H
#define CAIRN_EVENTSTORE_BACKEND_H

#include "eventstore/store.h"

#define CAIRN_LOG_ID_BYTES 16

struct cairn_backend;
struct cairn_backend_reader;
struct cairn_owner;

/* What a group put into one partition. */
struct cairn_commit_part {
    uint16_t partition;
    uint64_t first;  /* offset of its first event */
    uint64_t end;    /* offset of its last event */
    uint64_t start;  /* resume point before it */
    uint64_t resume; /* resume point behind it */
};

/* One group on its way into the log: appends to partitions of one lane. */
struct cairn_commit {
    uint16_t lane;
    struct cairn_append *const *appends; /* accepted ones: versions, indexes and counts are set */
    const uint16_t *partitions;          /* count: where each append goes */
    size_t count;                        /* 1..CAIRN_GROUP_APPENDS_MAX */
    int64_t time_us;
    /* Outputs. commit sets every event's offset and partition, too. */
    uint64_t *locators;              /* count: of each append's first event */
    struct cairn_commit_part *parts; /* room for one for each partition of the lane */
    size_t part_count;
    bool applied; /* after a doubtful outcome: the group is in the log, and was delivered to the
                     store already; parts and locators are not set */
    bool stop;    /* after a failure: the backend must not be written again */
};

/* Whole groups, borrowed until the next call on their reader. */
struct cairn_batch {
    const struct cairn_event *events;
    const uint64_t *locators; /* of each event */
    size_t count;             /* 0: the end of what is published */
    uint64_t start;           /* resume point before the first event */
    uint64_t resume;          /* resume point behind the last event */
};

/* Where to start reading: all events up to `offset` lie before `locator`. {0, 0}: not known. */
struct cairn_resume {
    uint64_t offset;
    uint64_t locator;
};

struct cairn_backend_ops {
    const char *name;
    void (*close)(struct cairn_backend *backend); /* accepts NULL */
    uint16_t (*partitions)(const struct cairn_backend *backend);
    /* Partition p belongs to lane p % lanes. A lane's appends commit together. */
    uint16_t (*lanes)(const struct cairn_backend *backend);
    /* Where a stream's events go. ENOAGGREGATE (no err): nowhere. */
    enum cairn_rc (*find)(const struct cairn_backend *backend, struct cairn_slice stream,
                          uint16_t *ret_partition);
    void (*identity)(const struct cairn_backend *backend, unsigned char ret_id[CAIRN_LOG_ID_BYTES]);
    /* Writer, once for each partition before anything else: find the end of the log, cut a torn
     * tail, publish. known: how far the index has read it. *ret_known_good is false when the log
     * has nothing at that place: the index belongs to another log. */
    enum cairn_rc (*recover)(struct cairn_backend *backend, uint16_t partition,
                             struct cairn_resume known, bool *ret_known_good,
                             struct cairn_err *err);
    /* Everything is recovered: follow the log from there, up to where it is now. NULL: nobody else
     * writes. */
    enum cairn_rc (*start)(struct cairn_backend *backend, struct cairn_store *store,
                           struct cairn_err *err);
    /* Before the store closes its index: give up what is owned, deliver nothing more. NULL. */
    void (*stop)(struct cairn_backend *backend);
    /* As cairn_store_announce and cairn_store_begin. NULL: this process owns all lanes. */
    enum cairn_rc (*announce)(struct cairn_backend *backend, const char *url,
                              struct cairn_err *err);
    enum cairn_rc (*begin)(struct cairn_backend *backend, uint16_t lane, uint64_t *ret_term,
                           struct cairn_err *err);
    /* Make a group durable. Not visible before publish. errors: as cairn_store_append. */
    enum cairn_rc (*commit)(struct cairn_backend *backend, struct cairn_commit *commit,
                            struct cairn_err *err);
    void (*publish)(struct cairn_backend *backend, uint16_t partition, uint64_t end);
    uint64_t (*end)(const struct cairn_backend *backend, uint16_t partition);
    /* Sleep until something was published that is behind `seen`, or the time is over, or wake. */
    enum cairn_rc (*wait)(struct cairn_backend *backend, const struct cairn_position *seen,
                          int timeout_ms, bool *ret_more, struct cairn_err *err);
    void (*wake)(struct cairn_backend *backend);
    /* A reader from offset after + 1 on. from: the nearest resume point at or before it. */
    enum cairn_rc (*reader_open)(struct cairn_backend *backend, uint16_t partition, uint64_t after,
                                 struct cairn_resume from, struct cairn_backend_reader **ret_reader,
                                 struct cairn_err *err);
    /* Whole groups: those that fit the reader's buffer, no more once max_events are there. Events
     * up to `after` are left out. */
    enum cairn_rc (*reader_next)(struct cairn_backend_reader *reader, size_t max_events,
                                 struct cairn_batch *ret_batch, struct cairn_err *err);
    enum cairn_rc (*reader_seek)(struct cairn_backend_reader *reader, uint64_t after,
                                 struct cairn_resume from, struct cairn_err *err);
    void (*reader_close)(struct cairn_backend_reader *reader); /* accepts NULL */
    /* The count events of one append, read into arena; 0: its first one only. thread: any. */
    enum cairn_rc (*read_append)(struct cairn_backend *backend, uint16_t partition,
                                 uint64_t locator, uint16_t count, struct cairn_arena *arena,
                                 struct cairn_event *ret_events, struct cairn_err *err);
    enum cairn_rc (*stats)(struct cairn_backend *backend, struct cairn_store_stats *ret_stats,
                           struct cairn_err *err);
    /* As cairn_store_owner (eventstore/store_owner.h). NULL: one process writes all lanes. */
    void (*owner)(struct cairn_backend *backend, uint16_t lane, struct cairn_owner *ret_owner);
    /* As cairn_store_reachable. NULL: it always is. */
    enum cairn_rc (*reachable)(struct cairn_backend *backend, struct cairn_err *err);
    /* As cairn_store_node. NULL where owner is. */
    const char *(*node)(const struct cairn_backend *backend);
    /* Take in a group that somebody else wrote to the log, not durably: as commit, but its appends
     * all go to one partition. source: where the log goes on behind it, 0: more of the same
     * delivery follows. thread: one caller at a time for each partition. NULL: nobody else writes.
     */
    enum cairn_rc (*replicate)(struct cairn_backend *backend, struct cairn_commit *commit,
                               uint64_t source, struct cairn_err *err);
    /* Make all groups so far durable: called before the index says that it has read them. One
     * caller at a time. NULL: commit has done it. */
    enum cairn_rc (*sync)(struct cairn_backend *backend, struct cairn_err *err);
    /* In a process that only reads: is what was opened still what the writer writes to? now: look
     * at once, else now and then. ESTOPPED. NULL: it always is. thread: any. */
    enum cairn_rc (*look)(struct cairn_backend *backend, bool now, struct cairn_err *err);
    /* As cairn_store_replaced. NULL: it never is. */
    bool (*replaced)(const struct cairn_backend *backend);
};

/* murmur2(aggregate id) % lanes, as Kafka's default partitioner would. */
uint16_t cairn_lane_of_id(struct cairn_slice id, uint16_t lanes);

/* Every backend starts with this. */
struct cairn_backend {
    const struct cairn_backend_ops *ops;
};

/* The embedded log: segment files under <data>/log. Takes the lock (writer), reads or makes the
 * log's description, looks at every segment's header. errors: as cairn_store_open. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_open(const struct cairn_store_options *options,
                                                struct cairn_backend **ret_backend,
                                                struct cairn_err *err);

/* Topics of a Kafka cluster, and a replica of them under <data>/replica. For a process that keeps
 * that replica. errors: those of cairn_kafka_topics_open and cairn_replica_open. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_open(const struct cairn_store_options *options,
                                                struct cairn_backend **ret_backend,
                                                struct cairn_err *err);

#endif
