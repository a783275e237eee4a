#include "projector/scope.h"

bool cairn_replay_scope_takes(const struct cairn_replay_scope *scope,
                              const struct cairn_event *event)
{
    return event->offset > scope->after.offsets[event->partition] &&
           (!scope->has_until || event->offset <= scope->until.offsets[event->partition]) &&
           (!scope->has_since_us || event->time_us >= scope->since_us) &&
           (!scope->has_until_us || event->time_us <= scope->until_us) &&
           (scope->stream.size == 0 || cairn_slice_equal(scope->stream, event->stream));
}

bool cairn_replay_scope_is_partial(const struct cairn_replay_scope *scope)
{
    const struct cairn_position beginning = {{0}};
    return !cairn_position_reached(&beginning, &scope->after) || scope->has_since_us ||
           scope->has_until_us || scope->stream.size > 0;
}

struct cairn_position cairn_replay_scope_cut(const struct cairn_replay_scope *scope,
                                             const struct cairn_position *passed)
{
    struct cairn_position position = *passed;
    for (unsigned i = 0; scope->has_until && i < CAIRN_PARTITIONS_MAX; i++) {
        if (position.offsets[i] > scope->until.offsets[i]) {
            position.offsets[i] = scope->until.offsets[i];
        }
    }
    return position;
}
