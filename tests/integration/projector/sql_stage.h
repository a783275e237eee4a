/* For tests of SQL views: a database of this program's own on the server that CAIRN_POSTGRES names,
 * and in each test a domain `test` of its own in it, with a log. */
#ifndef CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_STAGE_H
#define CAIRN_TESTS_INTEGRATION_PROJECTOR_SQL_STAGE_H

#include "projector/sql/follower.h"
#include "projector/sql/generation.h"
#include "tests/integration/platform/pg_stage.h"
#include "tests/unit/projector/world.h"

#define SQL_STAGE_URI_MAX  512
#define SQL_STAGE_TEXT_MAX 4096

struct sql_stage {
    struct world world;
    struct cairn_pg *pg; /* search_path: the domain's schema */
    char uri[SQL_STAGE_URI_MAX];
    struct cairn_err err;
};

/* For cmocka: of a group of tests, the database comes and goes. */
int sql_stage_group_setup(void **state);
int sql_stage_group_teardown(void **state);
/* Of a test: *state is a struct sql_stage, whose world is made and not begun. */
int sql_stage_setup(void **state);
int sql_stage_teardown(void **state);
#define SQL_STAGE_TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, sql_stage_setup, sql_stage_teardown)

/* The URI of the server with another database's name. */
void sql_stage_uri_of(const char *database, char uri[SQL_STAGE_URI_MAX]);
/* Write views/NAME.sql. */
void sql_stage_view(struct sql_stage *stage, const char *name, const char *text);
/* In a view's text, turn what stands there into something else that is as long. */
void sql_stage_patch(char *text, const char *from, const char *to);
/* Of each `to`: the sum of n and how many. Refuses a sum below zero, and an n of which the text is
 * no bigint. */
extern const char sql_stage_sums[];

/* The only value of a statement, as pg_stage_value. */
const char *sql_stage_value(struct sql_stage *stage, const char *format, ...) CAIRN_PRINTF(2, 3);
int64_t sql_stage_number(struct sql_stage *stage, const char *format, ...) CAIRN_PRINTF(2, 3);
void sql_stage_run(struct sql_stage *stage, const char *format, ...) CAIRN_PRINTF(2, 3);
/* Ask until the answer, a boolean, is true, or the deadline has passed. */
void sql_stage_await(struct sql_stage *stage, const char *format, ...) CAIRN_PRINTF(2, 3);
/* Until nobody builds or compares a view in this database. */
void sql_stage_await_unlocked(struct sql_stage *stage);

/* Prepare the store and begin a build of the domain's view; ret_head: its row, texts in arena. */
void sql_stage_build(struct sql_stage *stage, const char *view, struct cairn_arena *arena,
                     struct cairn_sql_head *ret_head);
/* Build the view and switch it, empty. */
void sql_stage_make_live(struct sql_stage *stage, const char *view);
enum cairn_rc sql_stage_follow(struct sql_stage *stage, const char *view, enum cairn_view_side side,
                               struct cairn_sql_follower **ret_follower);
/* Step to the end of the log, or to a failure. */
void sql_stage_catch_up(struct cairn_sql_follower *follower, size_t max_events);

/* A seed: CAIRN_SEED or a new one, which is printed. */
uint64_t sql_stage_seed(void);
/* The next number below `below`. */
uint64_t sql_stage_random(uint64_t *seed, uint64_t below);

#endif
