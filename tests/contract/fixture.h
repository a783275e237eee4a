/* A folder of its own for each test, and short ways to append and read. */
#ifndef CAIRN_TESTS_CONTRACT_FIXTURE_H
#define CAIRN_TESTS_CONTRACT_FIXTURE_H

#include "eventstore/store.h"

struct fixture {
    char folder[CAIRN_PATH_MAX]; /* removed at the end */
    struct cairn_arena arena;
    struct cairn_uuid_source ids;
    uint64_t random; /* state of next_random */
};

/* How a backend opens a store; options are filled but for what is the backend's own. */
typedef enum cairn_rc (*open_fn)(struct cairn_store_options *options,
                                 struct cairn_store **ret_store, struct cairn_err *err);

void fixture_init(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);
/* xorshift; the seed is printed by fixture_init. */
uint64_t fixture_random(struct fixture *fixture);

/* One append of `count` events to a stream, with `key` where it is not NULL. */
struct cairn_append fixture_append(struct fixture *fixture, const char *stream, int64_t expected,
                                   uint16_t count, const char *key);
/* Append one such command; returns the group's rc, or the append's own. */
enum cairn_rc fixture_put(struct fixture *fixture, struct cairn_store *store, const char *stream,
                          int64_t expected, uint16_t count, const char *key, struct cairn_err *err);
/* Events of a stream, all pages. Checks order and density on the way. */
size_t fixture_count_stream(struct fixture *fixture, struct cairn_store *store, const char *stream,
                            enum cairn_direction direction, size_t limit);
/* Events of all partitions from the beginning. Checks dense offsets, whole commands, dense versions
 * of each stream, unique ids. */
uint64_t fixture_check_log(struct cairn_store *store);

#endif
