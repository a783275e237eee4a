/* The projector: follows the log and keeps the views.
 *
 * One thread reads the log once and applies each batch to every live view; rows, index entries and
 * checkpoint of all of them commit in one transaction, at the border of a command. A view whose
 * projection fails stops at that event alone; a view whose definition changed, or that is new, is
 * built beside the live one and switched in one transaction. */
#ifndef CAIRN_PROJECTOR_PROJECTOR_H
#define CAIRN_PROJECTOR_PROJECTOR_H

#include "eventstore/store.h"
#include "projector/view_read.h"
#include "schemas/domain.h"

struct cairn_projector;

struct cairn_projector_options {
    const struct cairn_domain *domain;
    struct cairn_store *store; /* reader or writer */
    const char *data_folder;
    const char *postgres; /* URI; NULL: SQL views are not fed */
    struct cairn_lua_limits lua;
    const struct cairn_clock *clock;
    struct cairn_log *log;
    struct cairn_metrics *metrics;
    struct cairn_views *views; /* for the calls of replay.h, where this process has the view store
                                  open; NULL: they open it */
};

/* Open the view store for writing (one projector for a data folder: ELOCKED) and start following.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_projector_start(const struct cairn_projector_options *options,
                                                     struct cairn_projector **ret_projector,
                                                     struct cairn_err *err);
/* Ends after the batch in hand. Accepts NULL. */
void cairn_projector_stop(struct cairn_projector *projector);
/* The reading half over the projector's own environment (LMDB is opened once per process). Lives as
 * long as the projector. */
struct cairn_views *cairn_projector_views(struct cairn_projector *projector);

/* Run a view's projection over given events in memory and give its rows, sorted by key: for specs
 * of `cairn check`. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_project(const struct cairn_domain_view *view, const struct cairn_domain *domain,
                   const struct cairn_event *events, size_t count, struct cairn_arena *arena,
                   struct cairn_view_row **ret_rows, size_t *ret_count, struct cairn_err *err);

#endif
