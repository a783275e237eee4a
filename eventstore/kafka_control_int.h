/* The insides of the control topic's client. For kafka_control*.c alone.
 *
 * kafka_control.c reads, kafka_control_write.c writes, kafka_control_lane.c carries out wishes. */
#ifndef CAIRN_EVENTSTORE_KAFKA_CONTROL_INT_H
#define CAIRN_EVENTSTORE_KAFKA_CONTROL_INT_H

#include <pthread.h>
#include <time.h>

#include "eventstore/kafka_control.h"

struct rd_kafka_queue_s;
struct rd_kafka_topic_s;

enum cairn_kafka_fate { CAIRN_KAFKA_LOST, CAIRN_KAFKA_UNDER_WAY, CAIRN_KAFKA_DELIVERED };

/* What became of a record; guarded by the control's lock. */
struct cairn_kafka_letter {
    enum cairn_kafka_fate fate;
    int code;       /* librdkafka's, of LOST */
    int64_t offset; /* of DELIVERED */
    bool abandoned; /* nobody waits: who delivers it frees it */
};

/* One lane's hands. Guarded by the control's lock, but held, which is the thread's. */
struct cairn_kafka_hand {
    struct cairn_kafka_control *control;
    uint16_t lane;
    bool running;  /* the thread carries out wishes and asks for more itself */
    bool joinable; /* there is a thread to join */
    bool held;     /* taken and not stopped */
    pthread_t thread;
    enum cairn_ownership_wish wish;
    uint64_t term;
};

struct cairn_kafka_control {
    struct cairn_kafka_control_options options;
    char node[CAIRN_NODE_ID_MAX + 1];
    char url[CAIRN_NODE_URL_MAX + 1];
    char topic[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    struct cairn_uuid run;
    struct cairn_buf properties; /* of the producer */
    struct rd_kafka_s *reader;
    struct rd_kafka_queue_s *queue;
    struct rd_kafka_topic_s *reader_topic;
    pthread_t read_thread, write_thread;
    bool reading, writing; /* there is a thread to join */

    pthread_rwlock_t producer_lock; /* taken for writing by who exchanges it */
    struct rd_kafka_s *producer;    /* NULL: a new one could not be made yet */

    pthread_mutex_t lock; /* guards all that follows; taken inside producer_lock, never around it */
    pthread_cond_t changed;
    struct cairn_ownership *rules;
    int64_t position;     /* all records before this offset were read */
    bool at_end;          /* the end of the topic was met once */
    struct cairn_err why; /* what last kept it from reading */
    struct cairn_kafka_letter beat;
    int64_t beat_due_ns;
    uint64_t beats_delivered;
    int64_t began_ns;               /* monotonic, as all of these: when it was opened */
    int64_t beat_read_ns;           /* when one came back last, 0: none did */
    bool beat_now;                  /* without waiting for the time */
    bool leaving;                   /* what its beats say */
    bool silent;                    /* no more beats: it leaves, or was replaced */
    bool broken;                    /* the producer lost a record: exchange it */
    bool ending;                    /* lanes and reading end */
    bool write_ending;              /* writing ends, which is last */
    struct cairn_kafka_hand *hands; /* of each lane */
};

/* ---- kafka_control.c ---- */

/* A moment of CLOCK_MONOTONIC. */
struct timespec cairn_kafka_after_ms(int ms);

/* Make the handle ask who leads the topic, and wait for the answer, at most a second. */
void cairn_kafka_control_meet(struct rd_kafka_s *handle, struct rd_kafka_topic_s *topic);

/* ---- kafka_control_write.c ---- */

CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_control_begin_writing(struct cairn_kafka_control *control, struct cairn_err *err);
void cairn_kafka_control_end_writing(struct cairn_kafka_control *control);
/* This node's record of that kind: node, run, url and time are filled in. */
struct cairn_control_record cairn_kafka_control_record(struct cairn_kafka_control *control,
                                                       enum cairn_control_kind kind);
/* Write a record and wait until it is in the log. until: NULL: for as long as the producer tries.
 * errors: ETIMEDOUT, ESTOPPED (the control ends), EIO and others of the broker: it may be in the
 * log, or come to be in it later. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_control_write(struct cairn_kafka_control *control,
                                                         const struct cairn_control_record *record,
                                                         const struct timespec *until,
                                                         struct cairn_err *err);
/* The same with a key of nobody's and no value; *ret_offset: where it lies. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_control_mark(struct cairn_kafka_control *control,
                                                        const struct timespec *until,
                                                        int64_t *ret_offset, struct cairn_err *err);

/* ---- kafka_control_lane.c ---- */

/* Ask the rules about every lane whose thread does not, and start threads. */
void cairn_kafka_control_pursue(struct cairn_kafka_control *control);
/* Behind ending: wait for the threads, and let go of what is held. */
void cairn_kafka_control_end_lanes(struct cairn_kafka_control *control);

#endif
