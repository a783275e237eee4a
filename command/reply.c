#include "command/reply.h"

#include <assert.h>
#include <stdio.h>

#include "platform/utf8.h"

int cairn_reply_status(const struct cairn_answer *answer)
{
    assert(answer->rc == CAIRN_OK);
    return answer->created ? 201 : 200;
}

static char *put(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

#define PUT_LIT(at, literal) put((at), (literal), sizeof(literal) - 1)

static char *put_u64(char *at, uint64_t number)
{
    char digits[20];
    size_t size = 0;
    do {
        size++;
        digits[sizeof(digits) - size] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(at, digits + sizeof(digits) - size, size);
}

static char *put_position(char *at, const struct cairn_answer *answer)
{
    at = put_u64(at, answer->partition);
    at = PUT_LIT(at, ":");
    return put_u64(at, answer->offset);
}

struct cairn_slice cairn_reply_position(const struct cairn_answer *answer,
                                        char out[CAIRN_REPLY_POSITION_MAX])
{
    if (answer->offset == 0) {
        return CAIRN_SLICE_NONE;
    }
    const char *end = put_position(out, answer);
    assert(end - out < CAIRN_REPLY_POSITION_MAX);
    return cairn_slice_of(out, (size_t)(end - out));
}

/* ---- JSON, straight into the answer's body ---- */

/* Room that one event, or all the rest of an answer, takes at most. */
enum {
    EVENT_BYTES_MAX = sizeof("{\"id\":\"\",\"type\":\"\",\"version\":},") + CAIRN_UUID_TEXT_SIZE +
                      CAIRN_TYPE_BYTES_MAX + 20,
    FRAME_BYTES_MAX = 256 + CAIRN_STREAM_BYTES_MAX
};

static char *put_event(char *at, const struct cairn_answer_event *event)
{
    char id[CAIRN_UUID_TEXT_SIZE];
    assert(event->type.size <= CAIRN_TYPE_BYTES_MAX);
    cairn_uuid_format(&event->id, id);
    at = PUT_LIT(at, "{\"id\":\"");
    at = put(at, id, sizeof(id));
    at = PUT_LIT(at, "\",\"type\":\"");
    at = put(at, event->type.data, event->type.size);
    at = PUT_LIT(at, "\",\"version\":");
    at = put_u64(at, event->version);
    return PUT_LIT(at, "}");
}

enum cairn_rc cairn_reply_json(const struct cairn_answer *answer, bool batch, struct cairn_buf *out)
{
    assert(answer->rc == CAIRN_OK);
    assert(answer->stream.size > 0 && answer->stream.size <= CAIRN_STREAM_BYTES_MAX);
    assert(answer->event_count <= CAIRN_EVENTS_PER_COMMAND_MAX);
    enum cairn_rc rc =
        cairn_buf_reserve(out, FRAME_BYTES_MAX + answer->event_count * EVENT_BYTES_MAX);
    if (rc != CAIRN_OK) {
        return rc;
    }
    /* Streams, types, ids and positions have no character that JSON would escape. */
    char *at = out->data + out->size;
    at = PUT_LIT(at, "{\"stream\":\"");
    at = put(at, answer->stream.data, answer->stream.size);
    at = PUT_LIT(at, "\",\"version\":");
    at = put_u64(at, answer->version);
    if (answer->offset > 0) {
        at = PUT_LIT(at, ",\"position\":\"");
        at = put_position(at, answer);
        at = PUT_LIT(at, "\"");
    }
    at = PUT_LIT(at, ",\"events\":[");
    for (size_t i = 0; i < answer->event_count; i++) {
        if (i > 0) {
            at = PUT_LIT(at, ",");
        }
        at = put_event(at, &answer->events[i]);
    }
    at = PUT_LIT(at, "]");
    if (batch) {
        at = PUT_LIT(at, ",\"status\":");
        at = put_u64(at, (uint64_t)cairn_reply_status(answer));
        if (answer->replayed) {
            at = PUT_LIT(at, ",\"replayed\":true");
        }
    }
    at = PUT_LIT(at, "}");
    out->size = (size_t)(at - out->data);
    assert(out->size <= out->cap);
    return CAIRN_OK;
}

/* ---- values ---- */

/* Members for a map; memory that is out shows at the end. */
struct members {
    struct cairn_value_builder builder;
    enum cairn_rc rc;
};

static void add(struct members *members, const char *key, struct cairn_value value)
{
    if (members->rc == CAIRN_OK) {
        members->rc = cairn_value_add(&members->builder, key, value);
    }
}

/* text is copied: it may be on the stack. */
static void add_text(struct members *members, const char *key, struct cairn_slice text)
{
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    if (members->rc == CAIRN_OK) {
        members->rc = cairn_arena_copy(members->builder.arena, text, &copy);
    }
    add(members, key, cairn_value_string(copy));
}

static enum cairn_rc add_event(struct cairn_value_builder *events,
                               const struct cairn_answer_event *event)
{
    struct members members = {.builder = {.arena = events->arena}};
    char id[CAIRN_UUID_TEXT_SIZE];
    cairn_uuid_format(&event->id, id);
    add_text(&members, "id", cairn_slice_of(id, sizeof(id)));
    add(&members, "type", cairn_value_string(event->type));
    add(&members, "version", cairn_value_uint(event->version));
    return members.rc == CAIRN_OK ? cairn_value_push(events, cairn_value_map(&members.builder))
                                  : members.rc;
}

enum cairn_rc cairn_reply_value(const struct cairn_answer *answer, bool batch,
                                struct cairn_arena *arena, struct cairn_value *ret_value)
{
    struct members members = {.builder = {.arena = arena}};
    struct cairn_value_builder events = {.arena = arena};
    char position[CAIRN_REPLY_POSITION_MAX];
    for (size_t i = 0; i < answer->event_count && members.rc == CAIRN_OK; i++) {
        members.rc = add_event(&events, &answer->events[i]);
    }
    add(&members, "stream", cairn_value_string(answer->stream));
    add(&members, "version", cairn_value_uint(answer->version));
    if (answer->offset > 0) {
        add_text(&members, "position", cairn_reply_position(answer, position));
    }
    add(&members, "events", cairn_value_array(&events));
    if (batch) {
        add(&members, "status", cairn_value_int(cairn_reply_status(answer)));
    }
    if (batch && answer->replayed) {
        add(&members, "replayed", cairn_value_bool(true));
    }
    if (members.rc == CAIRN_OK) {
        *ret_value = cairn_value_map(&members.builder);
    }
    return members.rc;
}

/* ---- problems ---- */

void cairn_reply_clean(struct cairn_err *err)
{
    size_t size = strlen(err->text);
    assert(size < sizeof(err->text));
    for (size_t at = 0; at < size;) {
        at += cairn_utf8_valid_prefix(cairn_slice_of(err->text + at, size - at));
        if (at < size) {
            err->text[at] = '?';
        }
    }
}

void cairn_reply_report(const struct cairn_answer *answer, const struct cairn_command *command,
                        struct cairn_arena *arena, struct cairn_fault_report *report)
{
    assert(answer->rc != CAIRN_OK && answer->err.rc == answer->rc);
    struct members members = {.builder = {.arena = arena}};
    report->err = answer->err;
    report->extra = cairn_value_null();
    if (answer->rc == CAIRN_EREJECTED) {
        add(&members, "code", cairn_value_string(answer->code));
    } else if (answer->rc == CAIRN_ECONFLICT) {
        if (command->expected >= 0) {
            add(&members, "expected", cairn_value_int(command->expected));
        } else if (command->expected == CAIRN_EXPECT_SOME) {
            add(&members, "expected", cairn_value_string(CAIRN_SLICE_LIT("*")));
        }
        add(&members, "actual", cairn_value_uint(answer->version));
    } else if (answer->rc == CAIRN_ESCRIPT && answer->place != NULL) {
        add(&members, "place", cairn_value_string(cairn_slice_str(answer->place)));
    }
    if (members.rc == CAIRN_OK) {
        report->extra = cairn_value_map(&members.builder);
    }
}

enum cairn_rc cairn_reply_problem(const struct cairn_fault_report *report,
                                  struct cairn_arena *arena, struct cairn_value *ret_value)
{
    const struct cairn_err_info *info = cairn_err_info(report->err.rc);
    struct cairn_err err = report->err;
    cairn_reply_clean(&err);
    struct members members = {.builder = {.arena = arena}};
    char type[64];
    (void)snprintf(type, sizeof(type), "/problems/%s", info->slug);
    add_text(&members, "type", cairn_slice_str(type));
    add(&members, "title", cairn_value_string(cairn_slice_str(info->title)));
    add(&members, "status", cairn_value_int(info->status));
    if (err.text[0] != '\0') {
        add_text(&members, "detail", cairn_slice_str(err.text));
    }
    if (report->extra.type == CAIRN_MAP) {
        for (uint32_t i = 0; i < report->extra.count && members.rc == CAIRN_OK; i++) {
            const struct cairn_member *member = &report->extra.as.members[i];
            members.rc = cairn_value_add_slice(&members.builder, cairn_value_slice(&member->key),
                                               member->value);
        }
    }
    if (members.rc == CAIRN_OK) {
        *ret_value = cairn_value_map(&members.builder);
    }
    return members.rc;
}
