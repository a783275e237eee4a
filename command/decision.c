#include "command/decision.h"

#include <assert.h>

/* One thing that decide returned, as an event. False: it is none. */
static bool read_event(const struct cairn_value *value, struct cairn_decided *ret_event)
{
    const struct cairn_value *type = cairn_value_at(value, "type");
    const struct cairn_value *data = cairn_value_at(value, "data");
    if (type == NULL || type->type != CAIRN_STRING || data == NULL || data->type != CAIRN_MAP ||
        value->count != 2) {
        return false;
    }
    ret_event->type = cairn_value_slice(type);
    ret_event->data = *data;
    return true;
}

/* null and an empty table say nothing: decide had a list and put nothing in. */
static bool says_nothing(const struct cairn_value *value)
{
    return value->type == CAIRN_NULL ||
           ((value->type == CAIRN_MAP || value->type == CAIRN_ARRAY) && value->count == 0);
}

/* The events in `count` values, each an event or a list of events. *ret_odd is the first value that
 * is neither. With events NULL only counts. */
static size_t read_events(const struct cairn_value *values, size_t count,
                          struct cairn_decided *events, const struct cairn_value **ret_odd)
{
    struct cairn_decided event;
    size_t found = 0;
    for (size_t i = 0; i < count && *ret_odd == NULL; i++) {
        const struct cairn_value *value = &values[i];
        const struct cairn_value *items = value->type == CAIRN_ARRAY ? value->as.items : value;
        size_t item_count = value->type == CAIRN_ARRAY ? value->count : 1;
        for (size_t k = 0; k < item_count && !says_nothing(value); k++) {
            if (!read_event(&items[k], &event)) {
                *ret_odd = &items[k];
                break;
            }
            if (events != NULL) {
                events[found] = event;
            }
            found++;
        }
    }
    return found;
}

enum cairn_rc cairn_decision_read(const struct cairn_lua_result *result,
                                  const struct cairn_domain_command *command,
                                  struct cairn_arena *arena, struct cairn_decision *decision,
                                  struct cairn_err *err)
{
    const struct cairn_value *odd = NULL;
    size_t count = read_events(result->values, result->count, NULL, &odd);
    if (odd != NULL) {
        const char *kind = cairn_value_type_name(odd);
        return CAIRN_FAIL(err, CAIRN_ESCRIPT,
                          "decide.%.*s returned %s %s that is no event; return "
                          "event(TYPE, DATA), several of them, or a list",
                          CAIRN_SLICE_ARG(command->name),
                          strchr("aio", kind[0]) != NULL ? "an" : "a", kind);
    }
    if (count > CAIRN_EVENTS_PER_COMMAND_MAX) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "decide.%.*s returned %zu events, more than %d",
                          CAIRN_SLICE_ARG(command->name), count, CAIRN_EVENTS_PER_COMMAND_MAX);
    }
    decision->events = cairn_arena_zalloc(arena, count, sizeof(*decision->events));
    if (decision->events == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for %zu events", count);
    }
    decision->count = read_events(result->values, result->count, decision->events, &odd);
    assert(decision->count == count);
    return CAIRN_OK;
}

bool cairn_decision_rejects(const struct cairn_lua_result *result, struct cairn_decision *decision)
{
    if (!result->thrown) {
        return false;
    }
    const struct cairn_value *reject = cairn_value_at(&result->values[0], "reject");
    if (reject == NULL) {
        return false;
    }
    struct cairn_slice code = cairn_value_get_string(reject, "code");
    if (code.size == 0) {
        return false;
    }
    decision->rejected = true;
    decision->code = code;
    decision->detail = cairn_value_get_string(reject, "detail");
    return true;
}
