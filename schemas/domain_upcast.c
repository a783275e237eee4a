/* Upcasters: an event's data as the current schema version wants it. */
#include <assert.h>

#include "platform/mem.h"
#include "schemas/domain_int.h"
#include "schemas/domain_script.h"
#include "schemas/msgpack.h"

/* One function that lifts by one version. */
struct lift {
    const struct cairn_domain_upcast *upcast; /* of the domain */
    struct cairn_lua *lua;                    /* of the upcaster's hosts */
    cairn_lua_ref function;
};

struct cairn_upcaster {
    const struct cairn_domain *domain;
    struct cairn_lua **hosts; /* one for each aggregate, NULL where it lifts nothing */
    struct lift *lifts;       /* as domain->upcasts */
    size_t count;
};

static enum cairn_rc open_lift(struct cairn_upcaster *upcaster, size_t index, struct cairn_err *err)
{
    const struct cairn_domain *domain = upcaster->domain;
    const struct cairn_domain_upcast *upcast = &domain->upcasts[index];
    const struct cairn_domain_aggregate *aggregate =
        cairn_domain_aggregate(domain, upcast->aggregate);
    assert(aggregate != NULL);
    size_t place = (size_t)(aggregate - domain->aggregates);
    if (upcaster->hosts[place] == NULL) {
        enum cairn_rc rc = cairn_domain_host_new(aggregate->script_name, aggregate->script, NULL,
                                                 &upcaster->hosts[place], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    struct lift *lift = &upcaster->lifts[index];
    lift->upcast = upcast;
    lift->lua = upcaster->hosts[place];
    enum cairn_rc rc = cairn_script_upcast(lift->lua, upcast->aggregate, upcast->event,
                                           upcast->from, &lift->function);
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "upcast.%.*s", CAIRN_SLICE_ARG(upcast->event));
}

enum cairn_rc cairn_upcaster_new(const struct cairn_domain *domain,
                                 struct cairn_upcaster **ret_upcaster, struct cairn_err *err)
{
    struct cairn_upcaster *upcaster = cairn_mem_zalloc(1, sizeof(*upcaster));
    if (upcaster == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "an upcaster");
    }
    upcaster->domain = domain;
    upcaster->hosts = cairn_mem_zalloc(domain->aggregate_count, sizeof(struct cairn_lua *));
    upcaster->lifts = cairn_mem_zalloc(domain->upcast_count, sizeof(*upcaster->lifts));
    enum cairn_rc rc = CAIRN_OK;
    if (upcaster->hosts == NULL || upcaster->lifts == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "an upcaster");
    }
    for (size_t i = 0; i < domain->upcast_count && rc == CAIRN_OK; i++) {
        rc = open_lift(upcaster, i, err);
        upcaster->count = i + 1;
    }
    if (rc != CAIRN_OK) {
        cairn_upcaster_free(upcaster);
        return rc;
    }
    *ret_upcaster = upcaster;
    return CAIRN_OK;
}

void cairn_upcaster_free(struct cairn_upcaster *upcaster)
{
    if (upcaster == NULL) {
        return;
    }
    for (size_t i = 0; upcaster->hosts != NULL && i < upcaster->domain->aggregate_count; i++) {
        cairn_lua_free(upcaster->hosts[i]); /* and the functions with it */
    }
    cairn_mem_free(upcaster->hosts);
    cairn_mem_free(upcaster->lifts);
    cairn_mem_free(upcaster);
}

static const struct lift *find_lift(const struct cairn_upcaster *upcaster, struct cairn_slice type,
                                    unsigned from)
{
    for (size_t i = 0; i < upcaster->count; i++) {
        const struct lift *lift = &upcaster->lifts[i];
        if (lift->upcast->from == from && cairn_slice_equal(lift->upcast->event, type)) {
            return lift;
        }
    }
    return NULL;
}

static enum cairn_rc lift_once(const struct lift *lift, struct cairn_arena *arena,
                               struct cairn_value *data, struct cairn_err *err)
{
    const struct cairn_lua_arg arg = {.kind = CAIRN_LUA_ARG_VALUE, .value = data};
    struct cairn_lua_result *result = cairn_arena_zalloc(arena, 1, sizeof(*result));
    if (result == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "an upcast event");
    }
    enum cairn_rc rc = cairn_lua_call(lift->lua, lift->function, &arg, 1, arena, result, err);
    if (rc != CAIRN_OK) {
        rc = rc == CAIRN_ENOMEM ? rc : CAIRN_ESCRIPT;
        return cairn_err_wrap(err, rc, "upcast.%.*s[%u]", CAIRN_SLICE_ARG(lift->upcast->event),
                              lift->upcast->from);
    }
    if (result->count != 1 || result->values[0].type != CAIRN_MAP) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "upcast.%.*s[%u]: must return the lifted data",
                          CAIRN_SLICE_ARG(lift->upcast->event), lift->upcast->from);
    }
    *data = result->values[0];
    return CAIRN_OK;
}

enum cairn_rc cairn_upcaster_data(struct cairn_upcaster *upcaster, const struct cairn_event *event,
                                  struct cairn_arena *arena, struct cairn_value *ret_data,
                                  struct cairn_err *err)
{
    struct cairn_value data;
    enum cairn_rc rc =
        cairn_msgpack_read(event->data, CAIRN_MSGPACK_TRUSTED, arena, &data, NULL, err);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOMEM ? rc
                                  : cairn_err_wrap(err, CAIRN_ECORRUPT, "data of %.*s version %llu",
                                                   CAIRN_SLICE_ARG(event->stream),
                                                   (unsigned long long)event->version);
    }
    const struct cairn_domain_event *known = NULL;
    if (upcaster->count > 0) {
        known = cairn_domain_event(upcaster->domain, event->type);
    }
    unsigned current = known == NULL ? 0 : known->schema_version;
    for (unsigned from = event->schema_version; from < current && rc == CAIRN_OK; from++) {
        const struct lift *lift = find_lift(upcaster, event->type, from);
        rc = lift == NULL ? CAIRN_FAIL(err, CAIRN_ECORRUPT, "%.*s of schema version %u is unknown",
                                       CAIRN_SLICE_ARG(event->type), from)
                          : lift_once(lift, arena, &data, err);
    }
    if (rc == CAIRN_OK) {
        *ret_data = data;
    }
    return rc;
}
