#include "projector/sql/value.h"

#include <assert.h>

#include "platform/json.h"

/* Event data of a megabyte can be six as JSON. */
#define JSON_BYTES_MAX ((size_t)8 * 1024 * 1024)

typedef enum cairn_rc (*member_fn)(const struct cairn_event *event, const struct cairn_value *data,
                                   struct cairn_arena *arena, struct cairn_slice *ret_text);

static enum cairn_rc print_json(const struct cairn_value *value, struct cairn_arena *arena,
                                struct cairn_slice *ret_text)
{
    struct cairn_buf json = {.max = JSON_BYTES_MAX};
    enum cairn_rc rc = cairn_json_write(value, &json);
    rc = rc == CAIRN_OK ? cairn_arena_copy(arena, cairn_buf_slice(&json), ret_text) : rc;
    cairn_buf_fini(&json);
    return rc;
}

/* ---- the envelope ---- */

static enum cairn_rc print_number(struct cairn_arena *arena, uint64_t number,
                                  struct cairn_slice *ret_text)
{
    char *text = cairn_arena_printf(arena, "%llu", (unsigned long long)number);
    if (text == NULL) {
        return CAIRN_ENOMEM;
    }
    *ret_text = cairn_slice_str(text);
    return CAIRN_OK;
}

static enum cairn_rc id_of(const struct cairn_event *event, const struct cairn_value *data,
                           struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    char text[CAIRN_UUID_TEXT_SIZE];
    (void)data;
    cairn_uuid_format(&event->id, text);
    return cairn_arena_copy(arena, cairn_slice_of(text, sizeof(text)), ret_text);
}

static enum cairn_rc stream_of(const struct cairn_event *event, const struct cairn_value *data,
                               struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)data;
    return cairn_arena_copy(arena, event->stream, ret_text);
}

static enum cairn_rc aggregate_of(const struct cairn_event *event, const struct cairn_value *data,
                                  struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)data;
    return cairn_arena_copy(arena, cairn_stream_aggregate(event->stream), ret_text);
}

static enum cairn_rc aggregate_id_of(const struct cairn_event *event,
                                     const struct cairn_value *data, struct cairn_arena *arena,
                                     struct cairn_slice *ret_text)
{
    (void)data;
    return cairn_arena_copy(arena, cairn_stream_id(event->stream), ret_text);
}

static enum cairn_rc type_of(const struct cairn_event *event, const struct cairn_value *data,
                             struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)data;
    return cairn_arena_copy(arena, event->type, ret_text);
}

static enum cairn_rc version_of(const struct cairn_event *event, const struct cairn_value *data,
                                struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)data;
    return print_number(arena, event->version, ret_text);
}

static enum cairn_rc time_of(const struct cairn_event *event, const struct cairn_value *data,
                             struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    char text[CAIRN_TIME_TEXT_MAX];
    (void)data;
    size_t size = cairn_clock_format(event->time_us, text);
    return cairn_arena_copy(arena, cairn_slice_of(text, size), ret_text);
}

static enum cairn_rc position_of(const struct cairn_event *event, const struct cairn_value *data,
                                 struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)data;
    char *text = cairn_arena_printf(arena, "%u:%llu", (unsigned)event->partition,
                                    (unsigned long long)event->offset);
    if (text == NULL) {
        return CAIRN_ENOMEM;
    }
    *ret_text = cairn_slice_str(text);
    return CAIRN_OK;
}

static enum cairn_rc principal_of(const struct cairn_event *event, const struct cairn_value *data,
                                  struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)data;
    if (event->principal.size == 0) {
        *ret_text = CAIRN_SLICE_NONE;
        return CAIRN_OK;
    }
    return cairn_arena_copy(arena, event->principal, ret_text);
}

static enum cairn_rc data_of(const struct cairn_event *event, const struct cairn_value *data,
                             struct cairn_arena *arena, struct cairn_slice *ret_text)
{
    (void)event;
    return print_json(data, arena, ret_text);
}

static const member_fn envelope[] = {
    [CAIRN_SQL_FROM_STREAM] = stream_of,       [CAIRN_SQL_FROM_ID] = id_of,
    [CAIRN_SQL_FROM_TYPE] = type_of,           [CAIRN_SQL_FROM_VERSION] = version_of,
    [CAIRN_SQL_FROM_TIME] = time_of,           [CAIRN_SQL_FROM_POSITION] = position_of,
    [CAIRN_SQL_FROM_AGGREGATE] = aggregate_of, [CAIRN_SQL_FROM_AGGREGATE_ID] = aggregate_id_of,
    [CAIRN_SQL_FROM_PRINCIPAL] = principal_of, [CAIRN_SQL_FROM_DATA] = data_of,
};

/* ---- the data ---- */

enum cairn_rc cairn_sql_source_find(struct cairn_slice name, struct cairn_sql_source *ret_source,
                                    struct cairn_err *err)
{
    *ret_source = (struct cairn_sql_source){.origin = cairn_sql_origin(name)};
    while (name.size > 0) {
        if (ret_source->path_count == CAIRN_SQL_PATH_MAX) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "a parameter with more than %d names",
                              CAIRN_SQL_PATH_MAX);
        }
        size_t dot = cairn_slice_find(name, '.');
        ret_source->path[ret_source->path_count++] = cairn_slice_of(name.data, dot);
        size_t used = dot < name.size ? dot + 1 : dot;
        name = cairn_slice_of(name.data + used, name.size - used);
    }
    return CAIRN_OK;
}

/* A scalar as PostgreSQL reads it; a container as its JSON. */
static enum cairn_rc print_value(const struct cairn_value *value, struct cairn_arena *arena,
                                 struct cairn_slice *ret_text)
{
    switch (value->type) {
    case CAIRN_NULL:
        *ret_text = CAIRN_SLICE_NONE;
        return CAIRN_OK;
    case CAIRN_STRING:
        return cairn_arena_copy(arena, cairn_value_slice(value), ret_text);
    case CAIRN_BOOL:
        *ret_text = value->as.boolean ? CAIRN_SLICE_LIT("true") : CAIRN_SLICE_LIT("false");
        return CAIRN_OK;
    case CAIRN_INT:
    case CAIRN_UINT:
    case CAIRN_FLOAT:
    case CAIRN_ARRAY:
    case CAIRN_MAP:
    case CAIRN_BIN:
    case CAIRN_EXT:
    case CAIRN_DECIMAL:
        break;
    }
    return print_json(value, arena, ret_text);
}

enum cairn_rc cairn_sql_source_read(const struct cairn_sql_source *source,
                                    const struct cairn_event *event, const struct cairn_value *data,
                                    struct cairn_arena *arena, struct cairn_slice *ret_text,
                                    struct cairn_err *err)
{
    assert(source->path_count > 0);
    enum cairn_rc rc = CAIRN_OK;
    if (source->origin != CAIRN_SQL_FROM_MEMBER) {
        rc = envelope[source->origin](event, data, arena, ret_text);
    } else {
        const struct cairn_value *found = data;
        for (size_t i = 0; found != NULL && i < source->path_count; i++) {
            found = cairn_value_get(found, source->path[i]);
        }
        if (found == NULL) {
            *ret_text = CAIRN_SLICE_NONE;
        } else {
            rc = print_value(found, arena, ret_text);
        }
    }
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "a value for a statement");
}
