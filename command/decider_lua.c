#include <assert.h>

#include "command/decider.h"
#include "command/decision.h"
#include "platform/map.h"
#include "platform/mem.h"

/* States that one decider keeps at a time. */
#define CAIRN_STATES_MAX (1u << 20)
/* Functions of one script. */
#define CAIRN_FUNCTIONS_MAX 10000
/* Bytes of names and initial states of one script. */
#define CAIRN_SCRIPT_ARENA_MAX ((size_t)16 << 20)

/* A function of a script. What is not taken need not be built. */
struct function {
    cairn_lua_ref ref;
    bool takes_last; /* names its last parameter: the context, or the event */
};

/* One aggregate's script, running in a host of its own. */
struct script {
    const struct cairn_domain_aggregate *aggregate;
    struct cairn_lua *lua;
    struct cairn_value initial; /* what a fresh state is made from; in arena */
    struct cairn_map decide;    /* command -> function: the reference, and takes_last above it */
    struct cairn_map evolve;    /* event type -> function */
    struct cairn_arena arena;
};

struct state {
    struct script *script; /* NULL: the place is free */
    cairn_lua_ref table;   /* what evolve changes */
    cairn_lua_ref face;    /* the same, read-only: what decide sees */
    cairn_state next_free; /* of a free place; 0: none */
};

struct decider {
    const struct cairn_domain *domain;
    struct state *states; /* places; a cairn_state is the index from 1 */
    size_t state_count;
    size_t state_cap;
    cairn_state first_free;
    size_t script_count;
    struct script scripts[];
};

/* ---- scripts ---- */

static struct script *find_script(struct decider *decider, struct cairn_slice aggregate)
{
    size_t i = 0;
    while (!cairn_slice_equal(decider->scripts[i].aggregate->name, aggregate)) {
        i++;
        assert(i < decider->script_count); /* the aggregate is of this domain */
    }
    return &decider->scripts[i];
}

/* A NUL-ended copy, or NULL. */
static const char *text_of(struct script *script, struct cairn_slice text)
{
    struct cairn_slice copy;
    return cairn_arena_copy(&script->arena, text, &copy) == CAIRN_OK ? copy.data : NULL;
}

/* Take the functions of a table of the aggregate, "decide" or "evolve", into a map. */
static enum cairn_rc take_functions(struct script *script, const char *name, const char *table,
                                    struct cairn_map *map, struct cairn_err *err)
{
    const char *path[] = {"cairn", "aggregates", name, table, NULL};
    cairn_lua_ref ref = 0;
    struct cairn_slice *keys = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_lua_find(script->lua, 4, path, &ref);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_keys(script->lua, ref, &script->arena, &keys, &count);
    }
    cairn_lua_unref(script->lua, ref);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        cairn_lua_ref function = 0;
        path[4] = text_of(script, keys[i]);
        rc = path[4] == NULL ? CAIRN_ENOMEM : cairn_lua_find(script->lua, 5, path, &function);
        if (rc != CAIRN_OK || !cairn_lua_is_function(script->lua, function)) {
            cairn_lua_unref(script->lua, function);
            continue;
        }
        union cairn_map_value *place = cairn_map_put(map, keys[i], NULL);
        if (place == NULL) {
            rc = CAIRN_ENOMEM;
        } else {
            uint64_t takes_last = cairn_lua_params(script->lua, function) > 2 ? 1 : 0;
            place->number = (uint32_t)function | takes_last << 32;
        }
    }
    return rc == CAIRN_OK ? rc
                          : CAIRN_FAIL(err, rc, "%.*s: the functions of %s cannot be read",
                                       CAIRN_SLICE_ARG(script->aggregate->script_name), table);
}

static enum cairn_rc take_initial(struct script *script, const char *name, struct cairn_err *err)
{
    cairn_lua_ref ref = 0;
    enum cairn_rc rc = cairn_lua_find(
        script->lua, 4, (const char *const[]){"cairn", "aggregates", name, "initial"}, &ref);
    if (rc == CAIRN_ENOENT) {
        script->initial = (struct cairn_value){.type = CAIRN_MAP};
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_lua_value(script->lua, ref, &script->arena, &script->initial, err);
        cairn_lua_unref(script->lua, ref);
    }
    if (rc == CAIRN_OK && script->initial.type != CAIRN_MAP) {
        rc = CAIRN_FAIL(err, CAIRN_ESCRIPT, "%.*s: the initial state must be a table",
                        CAIRN_SLICE_ARG(script->aggregate->script_name));
    }
    return rc;
}

static enum cairn_rc open_script(struct script *script,
                                 const struct cairn_domain_aggregate *aggregate,
                                 const struct cairn_lua_limits *limits, struct cairn_err *err)
{
    script->aggregate = aggregate;
    script->decide.max = CAIRN_FUNCTIONS_MAX;
    script->evolve.max = CAIRN_FUNCTIONS_MAX;
    script->arena.max = CAIRN_SCRIPT_ARENA_MAX;
    enum cairn_rc rc =
        cairn_domain_host_new(aggregate->script_name, aggregate->script, limits, &script->lua, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const char *name = text_of(script, aggregate->name);
    if (name == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a script");
    }
    rc = take_initial(script, name, err);
    if (rc == CAIRN_OK) {
        rc = take_functions(script, name, "decide", &script->decide, err);
    }
    if (rc == CAIRN_OK) {
        rc = take_functions(script, name, "evolve", &script->evolve, err);
    }
    return rc;
}

static void close_script(struct script *script)
{
    cairn_lua_free(script->lua); /* and every function and state with it */
    cairn_map_fini(&script->decide);
    cairn_map_fini(&script->evolve);
    cairn_arena_fini(&script->arena);
}

/* ref 0: there is none. */
static struct function find_function(const struct cairn_map *map, struct cairn_slice name)
{
    const union cairn_map_value *place = cairn_map_get(map, name);
    struct function function = {0};
    if (place != NULL) {
        function.ref = (cairn_lua_ref)(place->number & UINT32_MAX);
        function.takes_last = place->number >> 32 != 0;
    }
    return function;
}

/* ---- states ---- */

static struct state *state_at(struct decider *decider, cairn_state state)
{
    assert(state > 0 && (size_t)state <= decider->state_count);
    struct state *place = &decider->states[state - 1];
    assert(place->script != NULL);
    return place;
}

/* A free place, or 0. */
static cairn_state take_place(struct decider *decider)
{
    cairn_state free = decider->first_free;
    if (free != 0) {
        decider->first_free = decider->states[free - 1].next_free;
        return free;
    }
    if (decider->state_count == decider->state_cap) {
        size_t cap = decider->state_cap == 0 ? 64 : decider->state_cap * 2;
        if (cap > CAIRN_STATES_MAX) {
            return 0;
        }
        struct state *states = cairn_mem_realloc(decider->states, cap * sizeof(*states));
        if (states == NULL) {
            return 0;
        }
        decider->states = states;
        decider->state_cap = cap;
    }
    decider->state_count++;
    return (cairn_state)decider->state_count;
}

static void give_place(struct decider *decider, cairn_state state)
{
    decider->states[state - 1] = (struct state){.next_free = decider->first_free};
    decider->first_free = state;
}

static enum cairn_rc open_state(void *self, struct cairn_slice aggregate,
                                const struct cairn_value *snapshot, cairn_state *ret_state,
                                struct cairn_err *err)
{
    struct decider *decider = self;
    struct script *script = find_script(decider, aggregate);
    cairn_state state = take_place(decider);
    if (state == 0) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for one more state");
    }
    struct state made = {.script = script};
    enum cairn_rc rc = cairn_lua_make(script->lua, snapshot != NULL ? snapshot : &script->initial,
                                      &made.table, err);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_readonly(script->lua, made.table, &made.face, err);
    }
    if (rc != CAIRN_OK) {
        cairn_lua_unref(script->lua, made.table);
        give_place(decider, state);
        return rc;
    }
    decider->states[state - 1] = made;
    *ret_state = state;
    return CAIRN_OK;
}

static void close_state(void *self, cairn_state state)
{
    struct decider *decider = self;
    const struct state *place = state_at(decider, state);
    cairn_lua_unref(place->script->lua, place->face);
    cairn_lua_unref(place->script->lua, place->table);
    give_place(decider, state);
}

static enum cairn_rc save(void *self, cairn_state state, struct cairn_arena *arena,
                          struct cairn_value *ret_value, struct cairn_err *err)
{
    const struct state *place = state_at(self, state);
    enum cairn_rc rc = cairn_lua_value(place->script->lua, place->table, arena, ret_value, err);
    if (rc == CAIRN_EINVAL) {
        rc = cairn_err_wrap(err, CAIRN_ESCRIPT, "%.*s: the state cannot be kept",
                            CAIRN_SLICE_ARG(place->script->aggregate->script_name));
    }
    return rc;
}

/* ---- decide ---- */

/* A failure of the script: what cannot cross is its fault too. */
static enum cairn_rc blame(const struct script *script, enum cairn_rc rc, struct cairn_err *err)
{
    if (rc != CAIRN_EINVAL) {
        return rc;
    }
    return cairn_err_wrap(err, CAIRN_ESCRIPT, "%.*s",
                          CAIRN_SLICE_ARG(script->aggregate->script_name));
}

static struct cairn_member member(const char *key, struct cairn_value value)
{
    return (struct cairn_member){cairn_value_string(cairn_slice_str(key)), value};
}

static struct cairn_value map_of(const struct cairn_member *members, uint32_t count)
{
    return (struct cairn_value){.type = CAIRN_MAP, .count = count, .as = {.members = members}};
}

static enum cairn_rc call_decide(struct script *script, struct function function,
                                 cairn_lua_ref face, const struct cairn_value *data,
                                 const struct cairn_decide_context *context,
                                 struct cairn_arena *arena, struct cairn_lua_result *result,
                                 struct cairn_err *err)
{
    char time[CAIRN_TIME_TEXT_MAX];
    struct cairn_member members[7];
    struct cairn_value ctx;
    uint32_t count = 0;
    if (function.takes_last) {
        size_t time_size = cairn_clock_format(context->time_us, time);
        members[count++] = member("id", cairn_value_string(context->id));
        members[count++] = member("stream", cairn_value_string(context->stream));
        members[count++] = member("version", cairn_value_uint(context->version));
        members[count++] = member("time", cairn_value_string(cairn_slice_of(time, time_size)));
        members[count++] = member("time_us", cairn_value_int(context->time_us));
        members[count++] = member("request_id", cairn_value_string(context->request_id));
        if (context->principal.size > 0) {
            members[count++] = member("principal", cairn_value_string(context->principal));
        }
        ctx = map_of(members, count);
    }
    const struct cairn_lua_arg args[] = {
        {.kind = CAIRN_LUA_ARG_REF, .ref = face},
        {.kind = CAIRN_LUA_ARG_VALUE, .value = data},
        {.kind = CAIRN_LUA_ARG_VALUE, .value = &ctx},
    };
    return cairn_lua_call(script->lua, function.ref, args, function.takes_last ? 3 : 2, arena,
                          result, err);
}

static enum cairn_rc decide(void *self, const struct cairn_domain_command *command,
                            cairn_state state, const struct cairn_value *data,
                            const struct cairn_decide_context *context, struct cairn_arena *arena,
                            struct cairn_decision *ret_decision, struct cairn_err *err)
{
    const struct state *place = state_at(self, state);
    struct script *script = place->script;
    struct function function = find_function(&script->decide, command->name);
    assert(function.ref != 0); /* the catalogue has only commands that the script decides */
    struct cairn_lua_result result;
    enum cairn_rc rc =
        call_decide(script, function, place->face, data, context, arena, &result, err);
    if (rc != CAIRN_OK && cairn_decision_rejects(&result, ret_decision)) {
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_decision_read(&result, command, arena, ret_decision, err);
    }
    if (rc != CAIRN_OK && rc != CAIRN_ENOMEM) {
        const char *name =
            cairn_arena_printf(arena, "%.*s", CAIRN_SLICE_ARG(script->aggregate->script_name));
        ret_decision->place = result.place != NULL ? result.place : name;
    }
    return blame(script, rc, err);
}

/* ---- evolve ---- */

static enum cairn_rc call_evolve(struct script *script, struct function function,
                                 cairn_lua_ref table, const struct cairn_value *data,
                                 const struct cairn_event *event, struct cairn_arena *arena,
                                 struct cairn_err *err)
{
    char id[CAIRN_UUID_TEXT_SIZE];
    char time[CAIRN_TIME_TEXT_MAX];
    struct cairn_member members[8];
    struct cairn_value envelope;
    uint32_t count = 0;
    if (function.takes_last) {
        size_t time_size = cairn_clock_format(event->time_us, time);
        cairn_uuid_format(&event->id, id);
        members[count++] = member("id", cairn_value_string(cairn_slice_of(id, sizeof(id))));
        members[count++] = member("type", cairn_value_string(event->type));
        members[count++] = member("stream", cairn_value_string(event->stream));
        members[count++] =
            member("aggregate", cairn_value_string(cairn_stream_aggregate(event->stream)));
        members[count++] =
            member("aggregate_id", cairn_value_string(cairn_stream_id(event->stream)));
        members[count++] = member("version", cairn_value_uint(event->version));
        members[count++] = member("time", cairn_value_string(cairn_slice_of(time, time_size)));
        members[count++] = member("time_us", cairn_value_int(event->time_us));
        envelope = map_of(members, count);
    }
    const struct cairn_lua_arg args[] = {
        {.kind = CAIRN_LUA_ARG_REF, .ref = table},
        {.kind = CAIRN_LUA_ARG_VALUE, .value = data},
        {.kind = CAIRN_LUA_ARG_VALUE, .value = &envelope},
    };
    struct cairn_lua_result result;
    return cairn_lua_call(script->lua, function.ref, args, function.takes_last ? 3 : 2, arena,
                          &result, err);
}

static enum cairn_rc evolve(void *self, struct cairn_slice aggregate, cairn_state state,
                            struct cairn_slice type, const struct cairn_value *data,
                            const struct cairn_event *event, struct cairn_arena *arena,
                            struct cairn_err *err)
{
    const struct state *place = state_at(self, state);
    struct script *script = place->script;
    assert(cairn_slice_equal(script->aggregate->name, aggregate));
    assert(cairn_slice_equal(event->type, type));
    struct function function = find_function(&script->evolve, type);
    if (function.ref == 0) {
        return CAIRN_OK; /* an event that this state does not care about */
    }
    enum cairn_rc rc = call_evolve(script, function, place->table, data, event, arena, err);
    return blame(script, rc, err);
}

/* ---- life ---- */

static size_t memory(void *self)
{
    const struct decider *decider = self;
    size_t sum = decider->state_cap * sizeof(*decider->states);
    for (size_t i = 0; i < decider->script_count; i++) {
        sum += cairn_lua_memory(decider->scripts[i].lua);
    }
    return sum;
}

static void free_decider(void *self)
{
    struct decider *decider = self;
    if (decider == NULL) {
        return;
    }
    for (size_t i = 0; i < decider->script_count; i++) {
        close_script(&decider->scripts[i]);
    }
    cairn_mem_free(decider->states);
    cairn_mem_free(decider);
}

enum cairn_rc cairn_decider_lua(const struct cairn_domain *domain,
                                const struct cairn_lua_limits *limits,
                                struct cairn_decider *ret_decider, struct cairn_err *err)
{
    assert(domain != NULL && limits != NULL);
    size_t count = cairn_domain_aggregate_count(domain);
    struct decider *decider =
        cairn_mem_zalloc(1, sizeof(*decider) + count * sizeof(decider->scripts[0]));
    if (decider == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a decider");
    }
    decider->domain = domain;
    for (size_t i = 0; i < count; i++) {
        decider->script_count = i + 1;
        enum cairn_rc rc =
            open_script(&decider->scripts[i], cairn_domain_aggregate_at(domain, i), limits, err);
        if (rc != CAIRN_OK) {
            free_decider(decider);
            return rc;
        }
    }
    *ret_decider = (struct cairn_decider){
        .open_state = open_state,
        .decide = decide,
        .evolve = evolve,
        .save = save,
        .close_state = close_state,
        .memory = memory,
        .free = free_decider,
        .self = decider,
    };
    return CAIRN_OK;
}
