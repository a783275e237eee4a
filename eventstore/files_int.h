/* The files backend's own state, for the files_*.c of this folder alone. */
#ifndef CAIRN_EVENTSTORE_FILES_INT_H
#define CAIRN_EVENTSTORE_FILES_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "eventstore/scan.h"
#include "platform/beacon.h"

/* Zero-filled space that waits in front of the write position: below LOW the thread fills up to
 * HIGH. At open everything behind the end of the log is read, so this bounds that, too. */
#define CAIRN_AHEAD_LOW_BYTES   (1024u * 1024u)
#define CAIRN_AHEAD_HIGH_BYTES  (4u * 1024u * 1024u)
#define CAIRN_AHEAD_CHUNK_BYTES (256u * 1024u)
/* Segments open for reads of single events. */
#define CAIRN_FILES_OPEN_MAX 64u
#define CAIRN_SEGMENTS_MAX   (1u << 24)
/* Under <data>. */
#define CAIRN_LOG_FOLDER     "log"
#define CAIRN_REPLICA_FOLDER "replica"

struct cairn_files_part {
    uint16_t number;
    /* Guarded by files->lock. */
    uint64_t *bases; /* first offset of segment i + 1 */
    uint32_t count;
    uint32_t cap;
    uint64_t ready; /* bytes of the current segment that are allocated and read as zeros or data */
    bool filling;   /* somebody extends the current segment: its fd must stay */
    bool outran;    /* a commit needed room that was not there yet: zeros would only slow it down */
    int fill_os;    /* errno of a fill that failed in the background; 0 */
    uint64_t pos_hint; /* pos, as the filling thread may see it */
    /* Of a replica, guarded by files->lock. */
    bool dirty;      /* written since the last sync */
    bool made;       /* a segment was made since then: the folder is to be synced, too */
    bool syncing;    /* the descriptor is in use by a sync */
    uint64_t source; /* of the last group that has one */
    /* Writer's, one thread at a time. */
    int fd;           /* current segment; -1 before recovery */
    uint32_t segment; /* its number */
    uint64_t pos;     /* where the next group goes */
    uint64_t limit;   /* bytes planned for the segment */
    uint64_t next;    /* offset of the next event */
    char *group;      /* encoded group; owned */
    size_t group_cap;
};

struct cairn_files_open {
    int fd; /* -1: free */
    uint16_t partition;
    uint32_t segment;
    unsigned users;
    uint64_t used_at; /* of files->ticks */
};

struct cairn_files {
    struct cairn_backend backend;
    const struct cairn_disk *disk;
    const struct cairn_clock *clock;
    struct cairn_log *log_lines;
    struct cairn_log_head head;
    uint64_t salt;
    uint64_t segment_bytes;
    bool writer;
    bool fill_ahead; /* a thread keeps zeros in front of the write position */
    struct cairn_file_lock file_lock;
    struct cairn_beacon *beacon;
    atomic_bool woken;
    struct cairn_files_part *parts; /* head.partitions of them */
    pthread_mutex_t lock;           /* never held across I/O */
    pthread_cond_t work;            /* the filling thread has something to do */
    pthread_cond_t filled;          /* a part's filling became false */
    pthread_t filler;
    bool filler_runs;
    bool stopping;
    struct cairn_files_open open[CAIRN_FILES_OPEN_MAX];
    uint64_t ticks;
    char folder[CAIRN_PATH_MAX]; /* <data>/log or <data>/replica */
    /* Of a replica. */
    bool replica;
    struct cairn_backend_ops replica_ops;
    int *left; /* descriptors of segments that take no more, to be synced and closed; owned */
    size_t left_count, left_cap;
    int sync_os;          /* errno of a sync that failed: none is tried again; 0 */
    uint64_t head_id[2];  /* of a reading process: device and inode of the beacon's file */
    atomic_bool replaced; /* the writer has put another replica in the place of this one */
    _Atomic int64_t looked_ns;
};

/* files.c: parts of opening that the replica shares. */
extern const struct cairn_backend_ops cairn_files_ops;
/* NULL: memory is out. Closed by backend.ops->close. segment_bytes: where options name none. */
CAIRN_MUST_CHECK struct cairn_files *cairn_files_new(const struct cairn_store_options *options,
                                                     uint64_t segment_bytes);
/* EINVAL where <data>/<other> is there. what: it holds, for people; log: the --log that opens it.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_refuse_other(const char *data_folder, const char *other,
                                                        const char *what, const char *log,
                                                        struct cairn_err *err);
/* Name the folder; a writer makes it and takes its lock. ELOCKED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_enter(struct cairn_files *files, const char *data_folder,
                                                 const char *name, struct cairn_err *err);
/* With files->head known: folders, beacon, segments. errors: as cairn_store_open. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_attach(struct cairn_files *files, struct cairn_err *err);
/* Undo attach, whole or half done. */
void cairn_files_detach(struct cairn_files *files);

/* files_commit.c */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_commit(struct cairn_backend *backend,
                                                  struct cairn_commit *commit,
                                                  struct cairn_err *err);
/* The one partition that all appends of a group go to. */
struct cairn_files_part *cairn_files_part_of(struct cairn_files *files,
                                             const struct cairn_commit *commit);
/* The group is written: move on behind it, and tell the commit. */
void cairn_files_advance(struct cairn_files_part *part, struct cairn_commit *commit,
                         const struct cairn_group_head *head);
/* Number a group's events, and fill in the header but for place and checksum. ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_measure(struct cairn_files_part *part,
                                                   struct cairn_commit *commit,
                                                   struct cairn_group_head *head,
                                                   struct cairn_err *err);
/* Make the current segment one that has room for size bytes. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_choose(struct cairn_files *files,
                                                  struct cairn_files_part *part, size_t size,
                                                  struct cairn_err *err);
/* The group's bytes into part->group, its locators into the commit. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_encode(struct cairn_files_part *part,
                                                  struct cairn_commit *commit,
                                                  struct cairn_group_head *head, uint64_t salt,
                                                  struct cairn_err *err);

/* files_segments.c: which segments there are. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_refresh(struct cairn_files *files,
                                                   struct cairn_files_part *part,
                                                   struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_files_add_segment(struct cairn_files *files,
                                                       struct cairn_files_part *part, uint64_t base,
                                                       struct cairn_err *err);
uint32_t cairn_files_segment_count(struct cairn_files *files, struct cairn_files_part *part);
/* The number of the segment that holds offset (the last that starts at or before it), 0: none. */
uint32_t cairn_files_segment_of(struct cairn_files *files, struct cairn_files_part *part,
                                uint64_t offset, uint64_t *ret_base);
/* The first offset of a segment; looks at the folder again when it is not known. ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_segment_base(struct cairn_files *files,
                                                        struct cairn_files_part *part,
                                                        uint32_t segment, uint64_t *ret_base,
                                                        struct cairn_err *err);
/* Open a segment in a scan and check its header. ret_whole: false when the header is damaged; NULL:
 * that is ECORRUPT. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_scan_open(struct cairn_files *files,
                                                     struct cairn_files_part *part,
                                                     uint32_t segment, struct cairn_scan *scan,
                                                     struct cairn_segment_head *ret_head,
                                                     bool *ret_whole, struct cairn_err *err);
/* A descriptor of a segment for single reads, shared and counted. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_acquire(struct cairn_files *files,
                                                   struct cairn_files_part *part, uint32_t segment,
                                                   int *ret_fd, unsigned *ret_slot,
                                                   struct cairn_err *err);
void cairn_files_release(struct cairn_files *files, int fd, unsigned slot);

/* files_ahead.c: space in front of the write position. */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_create(struct cairn_files *files,
                                                  struct cairn_files_part *part, uint64_t bytes,
                                                  struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_files_room(struct cairn_files *files,
                                                struct cairn_files_part *part, uint64_t end,
                                                struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_files_start_filler(struct cairn_files *files,
                                                        struct cairn_err *err);
void cairn_files_stop_filler(struct cairn_files *files);
/* Tell the filler where the write position is. */
void cairn_files_moved(struct cairn_files *files, struct cairn_files_part *part);

/* replica_recover.c: as recover of the operations, for a replica. */
CAIRN_MUST_CHECK enum cairn_rc cairn_replica_recover(struct cairn_backend *backend,
                                                     uint16_t partition, struct cairn_resume known,
                                                     bool *ret_known_good, struct cairn_err *err);

/* files_recover.c */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_recover(struct cairn_backend *backend,
                                                   uint16_t partition, struct cairn_resume known,
                                                   bool *ret_known_good, struct cairn_err *err);

/* files_read.c */
CAIRN_MUST_CHECK enum cairn_rc cairn_files_reader_open(struct cairn_backend *backend,
                                                       uint16_t partition, uint64_t after,
                                                       struct cairn_resume from,
                                                       struct cairn_backend_reader **ret_reader,
                                                       struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_files_reader_next(struct cairn_backend_reader *reader,
                                                       size_t max_events,
                                                       struct cairn_batch *ret_batch,
                                                       struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_files_reader_seek(struct cairn_backend_reader *reader,
                                                       uint64_t after, struct cairn_resume from,
                                                       struct cairn_err *err);
void cairn_files_reader_close(struct cairn_backend_reader *reader);
CAIRN_MUST_CHECK enum cairn_rc cairn_files_read_append(struct cairn_backend *backend,
                                                       uint16_t partition, uint64_t locator,
                                                       uint16_t count, struct cairn_arena *arena,
                                                       struct cairn_event *ret_events,
                                                       struct cairn_err *err);

#endif
