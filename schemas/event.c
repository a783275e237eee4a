#include "schemas/event.h"

#include <assert.h>

#include "platform/utf8.h"

struct cairn_slice cairn_stream_aggregate(struct cairn_slice stream)
{
    size_t dash = cairn_slice_find(stream, '-');
    assert(dash < stream.size);
    return cairn_slice_of(stream.data, dash);
}

struct cairn_slice cairn_stream_id(struct cairn_slice stream)
{
    size_t dash = cairn_slice_find(stream, '-');
    assert(dash < stream.size);
    return cairn_slice_of(stream.data + dash + 1, stream.size - dash - 1);
}

const char *cairn_event_difference(const struct cairn_event *one, const struct cairn_event *other)
{
    const struct {
        const char *name;
        bool same;
    } parts[] = {
        {"id", memcmp(&one->id, &other->id, sizeof(one->id)) == 0},
        {"stream", cairn_slice_equal(one->stream, other->stream)},
        {"version", one->version == other->version},
        {"type", cairn_slice_equal(one->type, other->type)},
        {"time", one->time_us == other->time_us},
        {"schema version", one->schema_version == other->schema_version},
        {"index", one->index == other->index},
        {"count", one->count == other->count},
        {"data", cairn_slice_equal(one->data, other->data)},
        {"key", cairn_slice_equal(one->key, other->key)},
        {"fingerprint",
         memcmp(one->fingerprint, other->fingerprint, sizeof(one->fingerprint)) == 0},
        {"causation", cairn_slice_equal(one->causation, other->causation)},
        {"correlation", cairn_slice_equal(one->correlation, other->correlation)},
        {"principal", cairn_slice_equal(one->principal, other->principal)},
        {"traceparent", cairn_slice_equal(one->traceparent, other->traceparent)},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!parts[i].same) {
            return parts[i].name;
        }
    }
    return NULL;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool cairn_aggregate_is_valid(struct cairn_slice aggregate)
{
    if (aggregate.size == 0 || aggregate.size > CAIRN_AGGREGATE_BYTES_MAX ||
        !is_lower(aggregate.data[0])) {
        return false;
    }
    for (size_t i = 1; i < aggregate.size; i++) {
        char c = aggregate.data[i];
        if (!is_lower(c) && !is_digit(c) && c != '_') {
            return false;
        }
    }
    return true;
}

bool cairn_id_is_valid(struct cairn_slice id)
{
    static const struct cairn_slice marks = {"._~:-", 5};
    if (id.size == 0 || id.size > CAIRN_ID_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        char c = id.data[i];
        if (!is_letter(c) && !is_digit(c) && cairn_slice_find(marks, c) == marks.size) {
            return false;
        }
    }
    return true;
}

bool cairn_stream_is_valid(struct cairn_slice stream)
{
    size_t dash = cairn_slice_find(stream, '-');
    return dash < stream.size && cairn_aggregate_is_valid(cairn_slice_of(stream.data, dash)) &&
           cairn_id_is_valid(cairn_slice_of(stream.data + dash + 1, stream.size - dash - 1));
}

bool cairn_type_is_valid(struct cairn_slice type)
{
    if (type.size == 0 || type.size > CAIRN_TYPE_BYTES_MAX || !is_letter(type.data[0])) {
        return false;
    }
    for (size_t i = 1; i < type.size; i++) {
        char c = type.data[i];
        if (!is_letter(c) && !is_digit(c) && c != '_') {
            return false;
        }
    }
    return true;
}

bool cairn_key_is_valid(struct cairn_slice key)
{
    if (key.size == 0 || key.size > CAIRN_KEY_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < key.size; i++) {
        unsigned char c = (unsigned char)key.data[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return cairn_utf8_is_valid(key);
}

/* One attribute of text, left out when there is none. */
static enum cairn_rc add_text(struct cairn_value_builder *map, const char *name,
                              struct cairn_slice text)
{
    return text.size == 0 ? CAIRN_OK : cairn_value_add(map, name, cairn_value_string(text));
}

static enum cairn_rc add_formatted(struct cairn_value_builder *map, const char *name,
                                   const char *text)
{
    return text == NULL ? CAIRN_ENOMEM
                        : cairn_value_add(map, name, cairn_value_string(cairn_slice_str(text)));
}

static char *id_text(const struct cairn_uuid *id, struct cairn_arena *arena)
{
    char *text = cairn_arena_alloc(arena, CAIRN_UUID_TEXT_SIZE + 1);
    if (text != NULL) {
        cairn_uuid_format(id, text);
        text[CAIRN_UUID_TEXT_SIZE] = '\0';
    }
    return text;
}

static char *time_text(int64_t time_us, struct cairn_arena *arena)
{
    char *text = cairn_arena_alloc(arena, CAIRN_TIME_TEXT_MAX);
    if (text != NULL) {
        (void)cairn_clock_format(time_us, text);
    }
    return text;
}

/* What CloudEvents itself names. */
static enum cairn_rc add_core(struct cairn_value_builder *map, const struct cairn_event *event,
                              struct cairn_slice domain)
{
    struct cairn_arena *arena = map->arena;
    struct cairn_slice aggregate = cairn_stream_aggregate(event->stream);
    enum cairn_rc rc = add_text(map, "specversion", CAIRN_SLICE_LIT("1.0"));
    if (rc == CAIRN_OK) {
        rc = add_formatted(map, "id", id_text(&event->id, arena));
    }
    if (rc == CAIRN_OK) {
        rc = add_text(map, "type", event->type);
    }
    if (rc == CAIRN_OK) {
        rc = add_formatted(map, "source",
                           cairn_arena_printf(arena, "/%.*s/%.*s", CAIRN_SLICE_ARG(domain),
                                              CAIRN_SLICE_ARG(aggregate)));
    }
    if (rc == CAIRN_OK) {
        rc = add_text(map, "subject", event->stream);
    }
    if (rc == CAIRN_OK) {
        rc = add_formatted(map, "time", time_text(event->time_us, arena));
    }
    if (rc == CAIRN_OK) {
        rc = add_text(map, "datacontenttype", CAIRN_SLICE_LIT("application/json"));
    }
    if (rc == CAIRN_OK) {
        rc = add_formatted(map, "dataschema",
                           cairn_arena_printf(arena, "/schemas/events/%.*s/%u",
                                              CAIRN_SLICE_ARG(event->type),
                                              (unsigned)event->schema_version));
    }
    return rc;
}

/* The extensions. */
static enum cairn_rc add_extensions(struct cairn_value_builder *map,
                                    const struct cairn_event *event, struct cairn_slice position)
{
    const struct {
        const char *name;
        struct cairn_slice text;
    } texts[] = {
        {"position", position},
        {"causationid", event->causation},
        {"correlationid", event->correlation},
        {"principal", event->principal},
        {"traceparent", event->traceparent},
    };
    enum cairn_rc rc = cairn_value_add(map, "streamversion", cairn_value_uint(event->version));
    for (size_t i = 0; rc == CAIRN_OK && i < sizeof(texts) / sizeof(texts[0]); i++) {
        rc = add_text(map, texts[i].name, texts[i].text);
    }
    return rc;
}

enum cairn_rc cairn_event_cloudevent(const struct cairn_event *event, struct cairn_slice domain,
                                     const struct cairn_value *data, struct cairn_slice position,
                                     struct cairn_arena *arena, struct cairn_value *ret_value)
{
    assert(event->version > 0 && data != NULL);
    struct cairn_value_builder map = {.arena = arena};
    enum cairn_rc rc = add_core(&map, event, domain);
    if (rc == CAIRN_OK) {
        rc = add_extensions(&map, event, position);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&map, "data", *data);
    }
    if (rc == CAIRN_OK) {
        *ret_value = cairn_value_map(&map);
    }
    return rc;
}
