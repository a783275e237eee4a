/* The state of a stream as of a version, for whoever reads: a few deciders of its own, so that a
 * long fold never stands in the way of a command. */
#ifndef CAIRN_COMMAND_STATE_READ_H
#define CAIRN_COMMAND_STATE_READ_H

#include "command/service.h"

/* Folds at a time; more wait for their turn. */
#define CAIRN_STATE_READERS_MAX 2

struct cairn_state_pool;

struct cairn_state_pool_options {
    const struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_lua_limits lua;
};

/* Deciders are made when they are first needed. errors: ENOMEM. Caller frees. */
CAIRN_MUST_CHECK enum cairn_rc cairn_state_pool_new(const struct cairn_state_pool_options *options,
                                                    struct cairn_state_pool **ret_pool,
                                                    struct cairn_err *err);
/* No read may be under way. Accepts NULL. */
void cairn_state_pool_free(struct cairn_state_pool *pool);

/* Fold a stream's events up to version.
 *
 * self:        a struct cairn_state_pool.
 * version:     UINT64_MAX: the newest.
 * ret_state:   in arena.
 * ret_version: the version it is the state of.
 * errors:      ENOENT (no such stream, or version is 0 or above its head), ESCRIPT, ECORRUPT, EIO,
 *              ENOMEM.
 * thread:      any; waits while CAIRN_STATE_READERS_MAX folds run. */
CAIRN_MUST_CHECK enum cairn_rc cairn_state_read(void *self, struct cairn_slice stream,
                                                uint64_t version, struct cairn_arena *arena,
                                                struct cairn_value *ret_state,
                                                uint64_t *ret_version, struct cairn_err *err);

#endif
