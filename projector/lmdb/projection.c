#include "projector/lmdb/projection.h"

#include <assert.h>

#include "platform/mem.h"
#include "projector/lmdb/projection_int.h"

/* Text and lists of the definition. */
#define CODE_ARENA_MAX (4u * 1024u * 1024u)
#define HANDLERS_MAX   1024

/* ---- Opening ----------------------------------------------------------------------------------
 */

static enum cairn_rc open_host(struct cairn_projection *projection, const char *script_name,
                               const struct cairn_lua_limits *limits, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_domain_host_open(limits, &projection->lua, err);
    if (rc == CAIRN_OK) {
        rc = cairn_projection_register(projection, err);
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
