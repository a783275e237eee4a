/* cairn_projection_event: the value that handlers get. */
#include <assert.h>

#include "projector/lmdb/projection.h"

static struct cairn_member text_member(const char *name, struct cairn_slice text)
{
    return (struct cairn_member){cairn_value_string(cairn_slice_str(name)),
                                 cairn_value_string(text)};
}

static struct cairn_member number_member(const char *name, int64_t number)
{
    return (struct cairn_member){cairn_value_string(cairn_slice_str(name)),
                                 cairn_value_int(number)};
}

/* What an event's value points to, beside what the event itself does. */
struct event_parts {
    char id[CAIRN_UUID_TEXT_SIZE];
    char time[CAIRN_TIME_TEXT_MAX];
    struct cairn_member members[12];
};

enum cairn_rc cairn_projection_event(const struct cairn_event *event,
                                     const struct cairn_value *data, struct cairn_arena *arena,
                                     struct cairn_value *ret_value)
{
    struct event_parts *parts = cairn_arena_alloc(arena, sizeof *parts);
    if (parts == NULL) {
        return CAIRN_ENOMEM;
    }
    cairn_uuid_format(&event->id, parts->id);
    size_t time_size = cairn_clock_format(event->time_us, parts->time);
    struct cairn_member *members = parts->members;
    uint32_t count = 0;
    members[count++] = text_member("id", cairn_slice_of(parts->id, sizeof parts->id));
    members[count++] = text_member("type", event->type);
    members[count++] = text_member("stream", event->stream);
    members[count++] = text_member("aggregate", cairn_stream_aggregate(event->stream));
    members[count++] = text_member("aggregate_id", cairn_stream_id(event->stream));
    members[count++] = number_member("version", (int64_t)event->version);
    members[count++] = text_member("time", cairn_slice_of(parts->time, time_size));
    members[count++] = number_member("time_us", event->time_us);
    members[count++] = number_member("partition", event->partition);
    members[count++] = number_member("offset", (int64_t)event->offset);
    if (event->principal.size > 0) {
        members[count++] = text_member("principal", event->principal);
    }
    members[count++] = (struct cairn_member){cairn_value_string(CAIRN_SLICE_LIT("data")), *data};
    assert(count <= sizeof parts->members / sizeof parts->members[0]);
    *ret_value =
        (struct cairn_value){.type = CAIRN_MAP, .count = count, .as.members = parts->members};
    return CAIRN_OK;
}
