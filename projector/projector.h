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

/* Progress of a rebuild, from its own thread. */
struct cairn_rebuild_progress {
    uint64_t done, all; /* events */
    double rate;        /* events/s, of the last seconds */
    double left_s;      /* estimate; < 0: not known yet */
};
struct cairn_rebuild_hooks {
    void (*progress)(void *self, const struct cairn_rebuild_progress *progress);
    bool (*cancelled)(void *self);
    void *self;
};
struct cairn_rebuild_result {
    uint64_t events, rows;
    uint64_t generation;
    double seconds;
};

/* Build a view again beside the live one and switch in one transaction. Works beside a running
 * projector of another process
 * (`cairn replay`) or without one. errors: ENOENT (no such view), ESCRIPT (which event and why:
 * nothing was switched), ELOCKED (another rebuild of it runs), ESTOPPED (cancelled), EIO, EFULL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_rebuild(const struct cairn_projector_options *options,
                                                  struct cairn_slice view,
                                                  const struct cairn_rebuild_hooks *hooks,
                                                  struct cairn_rebuild_result *ret_result,
                                                  struct cairn_err *err);

/* Replay a view into a scratch place and compare with the live rows at the same position.
 * different: called for rows that differ (at most 100). OK when equal, ECORRUPT when not. */
struct cairn_compare_hooks {
    void (*progress)(void *self, const struct cairn_rebuild_progress *progress);
    void (*different)(void *self, struct cairn_slice key, const char *what);
    void *self;
};
struct cairn_compare_report {
    uint64_t events, rows, differences;
    struct cairn_position position;
};
CAIRN_MUST_CHECK enum cairn_rc cairn_view_compare(const struct cairn_projector_options *options,
                                                  struct cairn_slice view,
                                                  const struct cairn_compare_hooks *hooks,
                                                  struct cairn_compare_report *ret_report,
                                                  struct cairn_err *err);

/* Run a view's projection over given events in memory and give its rows, sorted by key: for specs
 * of `cairn check`. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_view_project(const struct cairn_domain_view *view, const struct cairn_domain *domain,
                   const struct cairn_event *events, size_t count, struct cairn_arena *arena,
                   struct cairn_view_row **ret_rows, size_t *ret_count, struct cairn_err *err);

#endif
