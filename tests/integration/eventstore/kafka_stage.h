/* A domain of its own on a real broker: topics that are made before and removed behind a test, ways
 * to write and read them past our own code, and a producer that dies in the middle.
 *
 * The broker's address is in the environment, CAIRN_KAFKA=host:port. */
#ifndef CAIRN_TESTS_INTEGRATION_EVENTSTORE_KAFKA_STAGE_H
#define CAIRN_TESTS_INTEGRATION_EVENTSTORE_KAFKA_STAGE_H

#include <sys/types.h>

#include "eventstore/kafka_writer.h"

struct kafka_stage {
    struct cairn_kafka_layout layout; /* topics "account" and "transfer" */
    struct cairn_kafka_options options;
    struct cairn_arena arena;
    struct cairn_uuid_source ids;
};

#define KAFKA_STAGE_BATCH_BYTES "1000" /* max.message.bytes of the topic "transfer" */

/* Skips the test, and says so, where CAIRN_KAFKA is not set. */
void kafka_stage_init(struct kafka_stage *stage, uint16_t lanes);
/* The stage of another process, whose topics are there; nothing is removed at the end. */
void kafka_stage_join(struct kafka_stage *stage, uint16_t lanes, const char *domain);
void kafka_stage_fini(struct kafka_stage *stage);

/* A writer's options; ids 2. */
struct cairn_kafka_writer_options kafka_stage_writer(struct kafka_stage *stage, uint16_t lane);
struct cairn_kafka_writer *kafka_stage_open(struct kafka_stage *stage, uint16_t lane);

/* Event `index` of a command of `count`, with `version`. The stream's aggregate names the topic. */
struct cairn_event kafka_stage_event(struct kafka_stage *stage, const char *stream,
                                     uint64_t version, uint16_t index, uint16_t count);
/* Hand it to a writer, in the lane of the writer. */
enum cairn_rc kafka_stage_add(struct kafka_stage *stage, struct cairn_kafka_writer *writer,
                              uint16_t lane, const struct cairn_event *event,
                              struct cairn_err *err);
/* A command of `count` events from `version` on, in a group of its own. */
void kafka_stage_put(struct kafka_stage *stage, struct cairn_kafka_writer *writer, uint16_t lane,
                     const char *stream, uint64_t version, uint16_t count);

/* `count` commands of one event each, in one group. */
void kafka_stage_put_many(struct kafka_stage *stage, struct cairn_kafka_writer *writer,
                          uint16_t lane, const char *stream, uint64_t version, size_t count);

/* Milliseconds that a bare loop needs for the first `count` records of a partition. */
double kafka_stage_drain(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                         size_t count);
/* What a reader of our own makes of a partition, read to its end: number of records, and the
 * offsets of the first `max` of them. */
size_t kafka_stage_read(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                        int64_t *offsets, size_t max);
/* The high watermark, what is not committed included. */
int64_t kafka_stage_high(struct kafka_stage *stage, const char *aggregate, uint16_t lane);
/* Wait until that is at least `high`. */
void kafka_stage_await_high(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                            int64_t high);
/* Delete records before `offset`, as a retention would. */
void kafka_stage_delete_before(struct kafka_stage *stage, const char *aggregate, uint16_t lane,
                               int64_t offset);

/* A process that opens the lane, adds one record of `account`, never commits and waits to be
 * killed. It is this very program, started with the arguments of kafka_stage_victim_main. */
pid_t kafka_stage_start_victim(struct kafka_stage *stage, uint16_t lane);
/* For main: runs the victim where the arguments ask for one, and does not return then. */
void kafka_stage_victim_main(int argc, char **argv);

/* Milliseconds of a clock that never steps back. */
double kafka_stage_now_ms(void);

#endif
