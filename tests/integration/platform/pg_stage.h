/* A connection to the PostgreSQL that CAIRN_POSTGRES names, in a schema that is empty. */
#ifndef CAIRN_TESTS_INTEGRATION_PLATFORM_PG_STAGE_H
#define CAIRN_TESTS_INTEGRATION_PLATFORM_PG_STAGE_H

#include "platform/pg.h"

#include "tests/support/cm.h"

#define STAGE_TEXT_MAX 512

struct pg_stage {
    struct cairn_pg *pg;
    struct cairn_err err;
    char schema[CAIRN_PG_NAME_BYTES_MAX + 1]; /* of this program's process */
};

/* The URI, which the process has from its environment. */
const char *pg_stage_uri(void);
/* The same with another user or password, which the caller frees with test_free. */
char *pg_stage_uri_as(const char *user, const char *password);
/* For cmocka: *state is a struct pg_stage. */
int pg_stage_setup(void **state);
int pg_stage_teardown(void **state);
/* One more connection, into the stage's schema. Must come about. */
struct cairn_pg *pg_stage_open(const struct pg_stage *stage);
/* Options of it, to be changed. */
struct cairn_pg_options pg_stage_options(const struct pg_stage *stage);
/* A statement without parameters that must succeed. */
void pg_stage_run(struct cairn_pg *pg, const char *sql);
/* The only value that a statement without parameters gives, as text that lives until the next
 * call; "(null)" for NULL. */
const char *pg_stage_value(struct cairn_pg *pg, const char *sql);
/* Number of this connection's process at the server. */
int64_t pg_stage_backend(struct cairn_pg *pg);
/* Ends the process of a connection at the server, as its administrator would; returns when it is
 * gone. */
void pg_stage_terminate(struct cairn_pg *by, int64_t backend);

#endif
