/* The calls of replay.h for one kind of store. Every function has the contract of the one in
 * replay.h of its name, for views of that kind; replay.c finds the view and its kind. */
#ifndef CAIRN_PROJECTOR_REPLAY_STORE_H
#define CAIRN_PROJECTOR_REPLAY_STORE_H

#include "projector/replay.h"

/* What both kinds of hooks have; none where there are no hooks. */
static inline struct cairn_rebuild_hooks
cairn_rebuild_hooks_of(const struct cairn_rebuild_hooks *hooks)
{
    static const struct cairn_rebuild_hooks none = {.self = NULL};
    return hooks == NULL ? none : *hooks;
}
static inline struct cairn_rebuild_hooks
cairn_compare_hooks_of(const struct cairn_compare_hooks *hooks)
{
    struct cairn_rebuild_hooks shared = {.self = NULL};
    if (hooks != NULL) {
        shared = (struct cairn_rebuild_hooks){
            .progress = hooks->progress, .cancelled = hooks->cancelled, .self = hooks->self};
    }
    return shared;
}

/* Has who called had enough? hooks: may be NULL. */
static inline bool cairn_rebuild_is_cancelled(const struct cairn_rebuild_hooks *hooks)
{
    return hooks != NULL && hooks->cancelled != NULL && hooks->cancelled(hooks->self);
}
static inline bool cairn_compare_is_cancelled(const struct cairn_compare_hooks *hooks)
{
    return hooks != NULL && hooks->cancelled != NULL && hooks->cancelled(hooks->self);
}

/* Why two generations are not held against each other (cairn_rebuild_result.not_compared). */
#define CAIRN_NOT_COMPARED_DEFINITION "they are by different definitions"
#define CAIRN_NOT_COMPARED_POSITION   "the new ones were further than the rows before"
#define CAIRN_NOT_COMPARED_PARKED     "each leaves out other events of parked streams"

struct cairn_replay_store {
    enum cairn_rc (*rebuild)(const struct cairn_projector_options *options,
                             const struct cairn_domain_view *definition,
                             const struct cairn_rebuild_request *request,
                             const struct cairn_rebuild_hooks *hooks,
                             struct cairn_rebuild_result *ret_result, struct cairn_err *err);
    enum cairn_rc (*rollback)(const struct cairn_projector_options *options,
                              const struct cairn_domain_view *definition,
                              const struct cairn_rebuild_request *request,
                              const struct cairn_rebuild_hooks *hooks,
                              struct cairn_rebuild_result *ret_result, struct cairn_err *err);
    enum cairn_rc (*drop_kept)(const struct cairn_projector_options *options,
                               struct cairn_slice view, bool *ret_dropped, struct cairn_err *err);
    enum cairn_rc (*compare)(const struct cairn_projector_options *options,
                             const struct cairn_domain_view *definition,
                             const struct cairn_compare_request *request,
                             const struct cairn_compare_hooks *hooks,
                             struct cairn_compare_report *ret_report, struct cairn_err *err);
    enum cairn_rc (*parked)(const struct cairn_projector_options *options, struct cairn_slice view,
                            struct cairn_arena *arena, struct cairn_parked **ret_parked,
                            size_t *ret_count, struct cairn_err *err);
    enum cairn_rc (*parked_retry)(const struct cairn_projector_options *options,
                                  struct cairn_slice view, struct cairn_slice stream,
                                  uint64_t *ret_events, struct cairn_err *err);
    enum cairn_rc (*parked_drop)(const struct cairn_projector_options *options,
                                 struct cairn_slice view, struct cairn_slice stream,
                                 uint64_t *ret_events, struct cairn_err *err);
};

#endif
