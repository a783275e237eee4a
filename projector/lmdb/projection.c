#include "projector/lmdb/projection.h"

#include <assert.h>

#include "platform/map.h"
#include "platform/mem.h"
#include "platform/utf8.h"
#include "schemas/msgpack.h"

/* Text and lists of the definition. */
#define CODE_ARENA_MAX (4u * 1024u * 1024u)
#define HANDLERS_MAX   1024

struct cairn_projection {
    struct cairn_lua *lua;
    cairn_lua_ref handle;      /* what handlers get as their first argument */
    struct cairn_map handlers; /* type -> reference of the function */
    struct cairn_arena texts;  /* name, script, columns */
    struct cairn_slice name;
    struct cairn_view_code code;
    bool parks; /* on_error: park */
    struct cairn_writeset writes;
    struct cairn_arena *arena; /* of the batch */
    struct cairn_row_reader reader;
    /* The world failed inside a host function: a script that catches the error must not hide it. */
    enum cairn_rc fault;
    struct cairn_err fault_err;
};

/* ---- What scripts call ------------------------------------------------------------------------
 */

static enum cairn_rc world_failed(struct cairn_projection *projection, enum cairn_rc rc,
                                  struct cairn_err *err)
{
    projection->fault = rc;
    projection->fault_err = *err;
    return rc;
}

/* The entry of the key in argument 1. */
static enum cairn_rc key_entry(struct cairn_projection *projection, struct cairn_lua_frame *frame,
                               struct cairn_write **ret_entry, struct cairn_err *err)
{
    struct cairn_slice key;
    if (projection->arena == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "rows can be used in a handler only");
    }
    if (cairn_lua_frame_text(frame, 1, &key, err) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the key must be a string");
    }
    if (key.size == 0 || key.size > CAIRN_VIEW_KEY_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the key has %zu bytes, allowed are 1 to %d", key.size,
                          CAIRN_VIEW_KEY_BYTES_MAX);
    }
    if (!cairn_utf8_is_valid(key)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the key is not UTF-8");
    }
    enum cairn_rc rc = cairn_writeset_entry(&projection->writes, key, ret_entry);
    if (rc == CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, rc, "the command touches more than %u rows", CAIRN_WRITES_MAX);
    }
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "touch a row");
        return world_failed(projection, rc, err);
    }
    return CAIRN_OK;
}

static enum cairn_rc note_change(struct cairn_projection *projection, struct cairn_write *entry,
                                 struct cairn_err *err)
{
    if (cairn_writeset_note(&projection->writes, entry) != CAIRN_OK) {
        return world_failed(projection, CAIRN_FAIL(err, CAIRN_ENOMEM, "touch a row"), err);
    }
    return CAIRN_OK;
}

/* Look the stored row up, once a batch. */
static enum cairn_rc load_entry(struct cairn_projection *projection, struct cairn_write *entry,
                                struct cairn_err *err)
{
    enum cairn_rc rc =
        projection->reader.get(projection->reader.self, entry->key, &entry->old, err);
    if (rc == CAIRN_ENOENT) {
        entry->old_state = CAIRN_OLD_ABSENT;
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_msgpack_read(entry->old, CAIRN_MSGPACK_TRUSTED, projection->arena, &entry->value,
                                NULL, err);
        rc = rc == CAIRN_EMALFORMED ? cairn_err_wrap(err, CAIRN_ECORRUPT, "a stored row") : rc;
    }
    if (rc != CAIRN_OK) {
        return world_failed(projection, rc, err);
    }
    entry->old_state = CAIRN_OLD_PRESENT;
    entry->present = true;
    return CAIRN_OK;
}

static enum cairn_rc host_get(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct cairn_projection *projection = self;
    struct cairn_write *entry = NULL;
    enum cairn_rc rc = key_entry(projection, frame, &entry, err);
    assert(rc != CAIRN_OK || entry != NULL);
    if (rc == CAIRN_OK && entry->old_state == CAIRN_OLD_UNKNOWN && !entry->dirty) {
        rc = load_entry(projection, entry, err);
    }
    if (rc != CAIRN_OK || !entry->present) {
        return rc; /* no result is nil */
    }
    return cairn_lua_frame_return(frame, &entry->value, err);
}

/* Bytes that the value takes packed, at most; stops counting behind CAIRN_VIEW_ROW_BYTES_MAX. */
static size_t packed_bound(const struct cairn_value *value)
{
    size_t size = 9;
    if (value->type == CAIRN_STRING) {
        return size + value->count;
    }
    for (uint32_t i = 0; value->type == CAIRN_ARRAY && i < value->count; i++) {
        size += packed_bound(&value->as.items[i]);
        if (size > CAIRN_VIEW_ROW_BYTES_MAX) {
            break;
        }
    }
    for (uint32_t i = 0; value->type == CAIRN_MAP && i < value->count; i++) {
        size += 5 + value->as.members[i].key.count + packed_bound(&value->as.members[i].value);
        if (size > CAIRN_VIEW_ROW_BYTES_MAX) {
            break;
        }
    }
    return size;
}

static enum cairn_rc host_put(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct cairn_projection *projection = self;
    struct cairn_write *entry = NULL;
    struct cairn_value document;
    enum cairn_rc rc = key_entry(projection, frame, &entry, err);
    assert(rc != CAIRN_OK || entry != NULL);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_frame_value(frame, 2, projection->arena, &document, err);
    }
    if (rc == CAIRN_ENOMEM) {
        return world_failed(projection, rc, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (document.type != CAIRN_MAP) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a row must be a table with string keys, not %s",
                          cairn_value_type_name(&document));
    }
    if (packed_bound(&document) > CAIRN_VIEW_ROW_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a row is larger than %u bytes",
                          CAIRN_VIEW_ROW_BYTES_MAX);
    }
    rc = note_change(projection, entry, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    entry->value = document;
    entry->present = true;
    entry->dirty = true;
    return CAIRN_OK;
}

static enum cairn_rc host_delete(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct cairn_projection *projection = self;
    struct cairn_write *entry = NULL;
    enum cairn_rc rc = key_entry(projection, frame, &entry, err);
    assert(rc != CAIRN_OK || entry != NULL);
    if (rc == CAIRN_OK) {
        rc = note_change(projection, entry, err);
    }
    if (rc == CAIRN_OK) {
        entry->present = false;
        entry->dirty = true;
    }
    return rc;
}

/* ---- Opening ----------------------------------------------------------------------------------
 */

static enum cairn_rc open_host(struct cairn_projection *projection, const char *script_name,
                               const struct cairn_lua_limits *limits, struct cairn_err *err)
{
    static const struct {
        const char *name;
        cairn_lua_host_fn fn;
    } functions[] = {{"get", host_get}, {"put", host_put}, {"delete", host_delete}};
    enum cairn_rc rc = cairn_domain_host_open(limits, &projection->lua, err);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && rc == CAIRN_OK; i++) {
        rc = cairn_lua_register(projection->lua, "store", functions[i].name, functions[i].fn,
                                projection, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_lua_run(projection->lua, script_name, projection->code.script, err);
    }
    if (rc == CAIRN_OK) {
        cairn_lua_seal(projection->lua);
    }
    return rc;
}

/* Something of cairn.views.NAME or cairn.handles.NAME. */
static enum cairn_rc find(struct cairn_projection *projection, const char *group, const char *part,
                          cairn_lua_ref *ret_ref)
{
    const char *keys[] = {"cairn", group, projection->name.data, part};
    return cairn_lua_find(projection->lua, part == NULL ? 3 : 4, keys, ret_ref);
}

static enum cairn_rc find_value(struct cairn_projection *projection, const char *part,
                                struct cairn_value *ret_value, struct cairn_err *err)
{
    cairn_lua_ref ref = 0;
    if (find(projection, "views", part, &ref) != CAIRN_OK) {
        *ret_value = cairn_value_null();
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_lua_value(projection->lua, ref, &projection->texts, ret_value, err);
    cairn_lua_unref(projection->lua, ref);
    return rc;
}

static enum cairn_rc read_version(struct cairn_projection *projection, struct cairn_err *err)
{
    struct cairn_value version;
    enum cairn_rc rc = find_value(projection, "version", &version, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (version.type != CAIRN_INT || version.as.integer < 1) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "version must be an integer from 1");
    }
    projection->code.version = (uint64_t)version.as.integer;
    return CAIRN_OK;
}

static enum cairn_rc read_indexes(struct cairn_projection *projection, struct cairn_err *err)
{
    struct cairn_value list;
    enum cairn_rc rc = find_value(projection, "indexes", &list, err);
    if (rc != CAIRN_OK || list.type == CAIRN_NULL || list.count == 0) {
        return rc;
    }
    if (list.type != CAIRN_ARRAY || list.count > CAIRN_VIEW_INDEXES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "indexes must be a list of at most %d names",
                          CAIRN_VIEW_INDEXES_MAX);
    }
    for (uint32_t i = 0; i < list.count; i++) {
        struct cairn_slice name = list.as.items[i].type == CAIRN_STRING
                                      ? cairn_value_slice(&list.as.items[i])
                                      : CAIRN_SLICE_NONE;
        if (name.size == 0 || name.size > CAIRN_VIEW_COLUMN_MAX || cairn_slice_is(name, "key")) {
            return CAIRN_FAIL(err, CAIRN_ESCRIPT, "index %u must be the name of a member", i + 1);
        }
        projection->code.columns[projection->code.column_count++].name = name;
    }
    return CAIRN_OK;
}

static enum cairn_rc read_on_error(struct cairn_projection *projection, struct cairn_err *err)
{
    struct cairn_value answer;
    enum cairn_rc rc = find_value(projection, "on_error", &answer, err);
    if (rc != CAIRN_OK || answer.type == CAIRN_NULL) {
        return rc;
    }
    struct cairn_slice text =
        answer.type == CAIRN_STRING ? cairn_value_slice(&answer) : CAIRN_SLICE_NONE;
    projection->parks = cairn_slice_is(text, "park");
    return projection->parks || cairn_slice_is(text, "stop")
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_ESCRIPT, "on_error must be \"stop\" or \"park\"");
}

static enum cairn_rc read_handlers(struct cairn_projection *projection, struct cairn_err *err)
{
    cairn_lua_ref on = 0;
    struct cairn_slice *types = NULL;
    size_t count = 0;
    if (find(projection, "views", "on", &on) != CAIRN_OK ||
        cairn_lua_keys(projection->lua, on, &projection->texts, &types, &count) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "on must be a table of functions");
    }
    cairn_lua_unref(projection->lua, on);
    for (size_t i = 0; i < count; i++) {
        struct cairn_slice type;
        cairn_lua_ref function = 0;
        if (cairn_arena_copy(&projection->texts, types[i], &type) != CAIRN_OK) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the handlers");
        }
        const char *keys[] = {"cairn", "views", projection->name.data, "on", type.data};
        if (cairn_lua_find(projection->lua, 5, keys, &function) != CAIRN_OK ||
            !cairn_lua_is_function(projection->lua, function)) {
            return CAIRN_FAIL(err, CAIRN_ESCRIPT, "on.%.*s is not a function",
                              CAIRN_SLICE_ARG(type));
        }
        union cairn_map_value *place = cairn_map_put(&projection->handlers, type, NULL);
        if (place == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the handlers");
        }
        place->number = (uint64_t)function;
    }
    return CAIRN_OK;
}

static enum cairn_rc read_definition(struct cairn_projection *projection, struct cairn_err *err)
{
    if (find(projection, "handles", NULL, &projection->handle) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "the script makes no view \"%s\"",
                          projection->name.data);
    }
    enum cairn_rc rc = read_version(projection, err);
    if (rc == CAIRN_OK) {
        rc = read_indexes(projection, err);
    }
    if (rc == CAIRN_OK) {
        rc = read_on_error(projection, err);
    }
    return rc == CAIRN_OK ? read_handlers(projection, err) : rc;
}

enum cairn_rc cairn_projection_new(struct cairn_slice name, struct cairn_slice script_name,
                                   struct cairn_slice script, const struct cairn_lua_limits *limits,
                                   struct cairn_projection **ret_projection, struct cairn_err *err)
{
    assert(name.size > 0 && ret_projection != NULL);
    struct cairn_projection *projection = cairn_mem_zalloc(1, sizeof *projection);
    if (projection == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open a projection");
    }
    projection->texts.max = CODE_ARENA_MAX;
    projection->handlers.max = HANDLERS_MAX;
    enum cairn_rc rc = CAIRN_OK;
    if (cairn_arena_copy(&projection->texts, name, &projection->name) != CAIRN_OK ||
        cairn_arena_copy(&projection->texts, script_name, &projection->code.script_name) !=
            CAIRN_OK ||
        cairn_arena_copy(&projection->texts, script, &projection->code.script) != CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "open a projection");
    }
    if (rc == CAIRN_OK) {
        rc = open_host(projection, projection->code.script_name.data, limits, err);
    }
    if (rc == CAIRN_OK) {
        rc = read_definition(projection, err);
    }
    if (rc != CAIRN_OK) {
        rc = cairn_err_wrap(err, rc, "view %.*s", CAIRN_SLICE_ARG(name));
        cairn_projection_free(projection);
        return rc;
    }
    *ret_projection = projection;
    return CAIRN_OK;
}

void cairn_projection_free(struct cairn_projection *projection)
{
    if (projection == NULL) {
        return;
    }
    cairn_lua_free(projection->lua);
    cairn_map_fini(&projection->handlers);
    cairn_writeset_fini(&projection->writes);
    cairn_arena_fini(&projection->texts);
    cairn_mem_free(projection);
}

const struct cairn_view_code *cairn_projection_code(const struct cairn_projection *projection)
{
    return &projection->code;
}

bool cairn_projection_parks(const struct cairn_projection *projection)
{
    return projection->parks;
}

bool cairn_projection_handles(const struct cairn_projection *projection, struct cairn_slice type)
{
    return cairn_map_get(&projection->handlers, type) != NULL;
}

struct cairn_writeset *cairn_projection_writes(struct cairn_projection *projection)
{
    return &projection->writes;
}

/* ---- Applying ---------------------------------------------------------------------------------
 */

void cairn_projection_begin(struct cairn_projection *projection, struct cairn_arena *arena,
                            const struct cairn_row_reader *reader)
{
    assert(arena != NULL && reader->get != NULL);
    projection->arena = arena;
    projection->reader = *reader;
    projection->fault = CAIRN_OK;
    cairn_writeset_begin(&projection->writes, arena);
}

void cairn_projection_mark(struct cairn_projection *projection)
{
    cairn_writeset_mark(&projection->writes);
}

void cairn_projection_undo(struct cairn_projection *projection)
{
    cairn_writeset_undo(&projection->writes);
}

enum cairn_rc cairn_projection_apply(struct cairn_projection *projection, struct cairn_slice type,
                                     const struct cairn_value *value, struct cairn_err *err)
{
    assert(projection->arena != NULL);
    const union cairn_map_value *handler = cairn_map_get(&projection->handlers, type);
    if (handler == NULL) {
        return CAIRN_OK;
    }
    const struct cairn_lua_arg args[] = {
        {.kind = CAIRN_LUA_ARG_REF, .ref = projection->handle},
        {.kind = CAIRN_LUA_ARG_VALUE, .value = value},
    };
    struct cairn_lua_result result;
    enum cairn_rc rc = cairn_lua_call(projection->lua, (cairn_lua_ref)handler->number, args, 2,
                                      projection->arena, &result, err);
    if (projection->fault != CAIRN_OK) {
        *err = projection->fault_err;
        return projection->fault;
    }
    if (rc == CAIRN_OK || rc == CAIRN_ENOMEM) {
        return rc;
    }
    return cairn_err_wrap(err, CAIRN_ESCRIPT, "on.%.*s", CAIRN_SLICE_ARG(type));
}

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
