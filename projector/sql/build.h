/* A generation of a SQL view that is to become the live one: what the projector's own builds and
 * `cairn replay` share.
 *
 * One process builds a view at a time, by a lock that lasts as long as the connection which feeds
 * the generation. A build that its process left is gone on with from its checkpoint. thread: owner.
 */
#ifndef CAIRN_PROJECTOR_SQL_BUILD_H
#define CAIRN_PROJECTOR_SQL_BUILD_H

#include "projector/arrival.h"
#include "projector/replay.h"
#include "projector/sql/follower.h"
#include "projector/sql/generation.h"

struct cairn_sql_build {
    const struct cairn_projector_options *options; /* borrowed */
    const struct cairn_domain_view *view;          /* borrowed */
    struct cairn_slice domain;
    struct cairn_sql_follower *follower; /* of the next generation; its connection has the lock */
    struct cairn_arrival arrival;        /* of it */
    bool resumed;                        /* an unfinished one is gone on with */
    bool back;                           /* it is the old generation on its way back */
    bool refused_in_lanes;               /* an event could not be applied while several lanes fed
                                            it: in the order of one worker it may be another */
};

/* What a generation by the domain's definition is made from. */
struct cairn_sql_made {
    struct cairn_sql_definition definition;
    const char *tables[CAIRN_SQL_VIEW_STATEMENTS_MAX];
    char hash[33];
};
/* ret_made points into view and into itself. errors: EIO of the log. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_build_define(const struct cairn_projector_options *options,
                                                      const struct cairn_domain_view *view,
                                                      struct cairn_sql_made *ret_made,
                                                      struct cairn_err *err);

/* Take the lock and begin the domain's definition, or go on with a build of it; with back: take the
 * old generation back, or go on with that. errors: ELOCKED (another builds the view), ENOENT (back:
 * none is kept), EINVAL (DDL or statements are refused), EIO; those of platform/pg.h. Close with
 * cairn_sql_build_close. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_build_open(const struct cairn_projector_options *options,
                                                    const struct cairn_domain_view *view, bool back,
                                                    struct cairn_sql_build **ret_build,
                                                    struct cairn_err *err);
/* The generation stays as it is. Accepts NULL. */
void cairn_sql_build_close(struct cairn_sql_build *build);
/* As cairn_sql_generation_switch. What is switched back refuses the definition it replaces. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_build_switch(struct cairn_sql_build *build,
                                                      struct cairn_err *err);
/* Follow the log to its end, compare with the live generation where that is by the same definition,
 * switch. A build whose projection fails is dropped, one that is on its way back is kept as it was,
 * whatever ends it. errors: as cairn_view_rebuild and cairn_view_rollback. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_build_run(struct cairn_sql_build *build,
                                                   const struct cairn_rebuild_request *request,
                                                   const struct cairn_rebuild_hooks *hooks,
                                                   struct cairn_rebuild_result *ret_result,
                                                   struct cairn_err *err);

#endif
