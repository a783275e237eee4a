/* The scripts of a domain: run once each, to learn what they define and hold it against the
 * schemas. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/domain_int.h"
#include "schemas/domain_script.h"

static int order_aggregates(const void *a, const void *b)
{
    const struct cairn_domain_aggregate *left = a;
    const struct cairn_domain_aggregate *right = b;
    return cairn_slice_compare(left->name, right->name);
}

/* ---- what one aggregate's script defines ---- */

struct learning {
    struct cairn_domain_load *load;
    struct cairn_domain_aggregate *aggregate;
    struct cairn_lua *lua;
    struct cairn_domain_command *decided; /* commands of all aggregates so far */
    size_t *decided_count;
    bool *known; /* of the domain's command schemas: somebody decides it */
};

static enum cairn_rc script_fault(struct learning *learning, enum cairn_rc rc, const char *what,
                                  struct cairn_slice name, const char *why)
{
    return cairn_domain_fault(learning->load, rc, "%.*s: %s.%.*s: %s",
                              CAIRN_SLICE_ARG(learning->aggregate->script_name), what,
                              CAIRN_SLICE_ARG(name), why);
}

static enum cairn_rc learn_decide(struct learning *learning, struct cairn_slice name)
{
    struct cairn_domain *domain = learning->load->domain;
    for (size_t i = 0; i < domain->command_count; i++) {
        if (!cairn_slice_equal(domain->commands[i].name, name)) {
            continue;
        }
        learning->known[i] = true;
        struct cairn_domain_command *place = &learning->decided[(*learning->decided_count)++];
        *place = domain->commands[i];
        place->aggregate = learning->aggregate->name;
        return CAIRN_OK;
    }
    return script_fault(learning, CAIRN_ENOENT, "decide", name,
                        "there is no schemas/commands file of that name");
}

static enum cairn_rc learn_evolve(struct learning *learning, struct cairn_slice name)
{
    struct cairn_domain *domain = learning->load->domain;
    if (cairn_domain_event(domain, name) == NULL) {
        return script_fault(learning, CAIRN_ENOENT, "evolve", name,
                            "there is no schemas/events file of that name");
    }
    struct cairn_domain_evolve *place =
        cairn_domain_grow(domain, &domain->evolves, domain->evolve_count, sizeof(*place));
    if (place == NULL) {
        return CAIRN_FAIL(learning->load->err, CAIRN_ENOMEM, "a domain");
    }
    *place = (struct cairn_domain_evolve){.event = name, .aggregate = learning->aggregate->name};
    domain->evolve_count++;
    return CAIRN_OK;
}

static enum cairn_rc add_upcast(struct learning *learning, struct cairn_slice event, uint16_t from)
{
    struct cairn_domain *domain = learning->load->domain;
    struct cairn_domain_upcast *place =
        cairn_domain_grow(domain, &domain->upcasts, domain->upcast_count, sizeof(*place));
    if (place == NULL) {
        return CAIRN_FAIL(learning->load->err, CAIRN_ENOMEM, "a domain");
    }
    *place = (struct cairn_domain_upcast){
        .event = event, .aggregate = learning->aggregate->name, .from = from};
    domain->upcast_count++;
    return CAIRN_OK;
}

/* upcast.EVENT is a list of functions, one for each older version. */
static enum cairn_rc learn_upcast(struct learning *learning, struct cairn_slice name)
{
    const struct cairn_domain_event *event = cairn_domain_event(learning->load->domain, name);
    if (event == NULL) {
        return script_fault(learning, CAIRN_ENOENT, "upcast", name,
                            "there is no schemas/events file of that name");
    }
    for (size_t i = 0; i < learning->load->domain->upcast_count; i++) {
        if (cairn_slice_equal(learning->load->domain->upcasts[i].event, name)) {
            return script_fault(learning, CAIRN_EEXIST, "upcast", name,
                                "another aggregate upcasts this event already");
        }
    }
    enum cairn_rc rc = CAIRN_OK;
    size_t length = cairn_script_upcasts(learning->lua, learning->aggregate->name, name);
    for (size_t from = 1; from <= length && rc == CAIRN_OK; from++) {
        if (from >= event->schema_version) {
            return script_fault(learning, CAIRN_EINVAL, "upcast", name,
                                "lifts from a version that has no schema (TYPE.vN.json)");
        }
        rc = add_upcast(learning, name, (uint16_t)from);
    }
    return rc;
}

static const struct {
    const char *table;
    enum cairn_rc (*learn)(struct learning *learning, struct cairn_slice name);
    bool functions; /* each member must be one */
} parts[] = {
    {"decide", learn_decide, true},
    {"evolve", learn_evolve, true},
    {"upcast", learn_upcast, false},
};

static enum cairn_rc learn_part(struct learning *learning, size_t part)
{
    struct cairn_slice *names = NULL;
    size_t count = 0;
    const struct cairn_script_path path = {"aggregates", learning->aggregate->name,
                                           parts[part].table};
    enum cairn_rc rc =
        cairn_script_members(learning->lua, &path, &learning->load->domain->arena, &names, &count);
    if (rc == CAIRN_ENOENT || rc == CAIRN_EINVAL) {
        return script_fault(learning, CAIRN_EINVAL, parts[part].table, CAIRN_SLICE_NONE,
                            "must stay a table");
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(learning->load->err, rc, "a domain");
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        if (parts[part].functions && !cairn_script_is_function(learning->lua, &path, names[i])) {
            rc = script_fault(learning, CAIRN_EINVAL, parts[part].table, names[i],
                              "must be a function");
        } else {
            rc = parts[part].learn(learning, names[i]);
        }
    }
    return rc;
}

/* The aggregates that the script made are the one it is named after. */
static enum cairn_rc check_made(struct learning *learning, bool *ret_made)
{
    struct cairn_slice *names = NULL;
    size_t count = 0;
    const struct cairn_script_path path = {.kind = "aggregates"};
    enum cairn_rc rc =
        cairn_script_members(learning->lua, &path, &learning->load->domain->arena, &names, &count);
    *ret_made = false;
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(learning->load->err, rc, "a domain");
    }
    for (size_t i = 0; i < count; i++) {
        *ret_made = *ret_made || cairn_slice_equal(names[i], learning->aggregate->name);
    }
    if (!*ret_made || count != 1) {
        *ret_made = false;
        return cairn_domain_fault(learning->load, CAIRN_EINVAL,
                                  "%.*s: must call aggregate \"%.*s\", and no other",
                                  CAIRN_SLICE_ARG(learning->aggregate->script_name),
                                  CAIRN_SLICE_ARG(learning->aggregate->name));
    }
    return CAIRN_OK;
}

static enum cairn_rc hash_code(struct cairn_domain_load *load, struct cairn_slice script,
                               unsigned char ret_hash[16])
{
    const struct cairn_slice texts[] = {
        script,
        cairn_script_prelude(),
        {(const char *)load->domain->schemas_hash, sizeof(load->domain->schemas_hash)},
    };
    return cairn_domain_hash(texts, sizeof(texts) / sizeof(texts[0]), ret_hash, load->err);
}

static enum cairn_rc learn_aggregate(struct learning *learning)
{
    struct cairn_domain_load *load = learning->load;
    struct cairn_domain_aggregate *aggregate = learning->aggregate;
    struct cairn_err why;
    bool made = false;
    enum cairn_rc rc = cairn_domain_read(load, aggregate->script_name.data, &aggregate->script);
    if (rc != CAIRN_OK || aggregate->script.data == NULL) {
        return rc;
    }
    rc = cairn_domain_host_new(aggregate->script_name, aggregate->script, NULL, &learning->lua,
                               &why);
    if (rc == CAIRN_ESCRIPT) {
        return cairn_domain_fault(load, rc, "%s", why.text);
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(load->err, rc, "%s", why.text);
    }
    rc = check_made(learning, &made);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == CAIRN_OK && made; i++) {
        rc = learn_part(learning, i);
    }
    cairn_lua_free(learning->lua);
    return rc == CAIRN_OK ? hash_code(load, aggregate->script, aggregate->code_hash) : rc;
}

/* ---- what all scripts together must hold ---- */

static bool has_evolve(const struct cairn_domain *domain, struct cairn_slice event)
{
    for (size_t i = 0; i < domain->evolve_count; i++) {
        if (cairn_slice_equal(domain->evolves[i].event, event)) {
            return true;
        }
    }
    return false;
}

static size_t count_upcasts(const struct cairn_domain *domain, struct cairn_slice event)
{
    size_t count = 0;
    for (size_t i = 0; i < domain->upcast_count; i++) {
        count += cairn_slice_equal(domain->upcasts[i].event, event);
    }
    return count;
}

static enum cairn_rc check_events(struct cairn_domain_load *load)
{
    const struct cairn_domain *domain = load->domain;
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < domain->event_count && rc == CAIRN_OK; i++) {
        const struct cairn_domain_event *event = &domain->events[i];
        size_t lifted = count_upcasts(domain, event->type);
        if (!has_evolve(domain, event->type)) {
            rc = cairn_domain_fault(load, CAIRN_ENOENT,
                                    "schemas/events/%.*s.json: no script has an evolve for it",
                                    CAIRN_SLICE_ARG(event->type));
        }
        if (rc == CAIRN_OK && lifted + 1 < event->schema_version) {
            rc = cairn_domain_fault(load, CAIRN_ENOENT,
                                    "schemas/events/%.*s.v%zu.json: no script has an "
                                    "upcast.%.*s[%zu] that lifts it",
                                    CAIRN_SLICE_ARG(event->type), lifted + 1,
                                    CAIRN_SLICE_ARG(event->type), lifted + 1);
        }
    }
    return rc;
}

static enum cairn_rc check_commands(struct cairn_domain_load *load, const bool *known)
{
    const struct cairn_domain *domain = load->domain;
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < domain->command_count && rc == CAIRN_OK; i++) {
        if (!known[i]) {
            rc = cairn_domain_fault(load, CAIRN_ENOENT,
                                    "schemas/commands/%.*s.json: no script decides it",
                                    CAIRN_SLICE_ARG(domain->commands[i].name));
        }
    }
    return rc;
}

/* Scripts in the folder that domain.json does not name would be silently dead. */
static enum cairn_rc check_strays(struct cairn_domain_load *load)
{
    const char **names;
    size_t count;
    enum cairn_rc rc = cairn_domain_list(load, ".", ".lua", &names, &count);
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        struct cairn_slice stem = cairn_slice_of(names[i], strlen(names[i]) - strlen(".lua"));
        if (cairn_domain_aggregate(load->domain, stem) == NULL) {
            rc = cairn_domain_fault(load, CAIRN_EINVAL,
                                    "%s: domain.json has no aggregate of that name", names[i]);
        }
    }
    return rc;
}

enum cairn_rc cairn_domain_load_aggregates(struct cairn_domain_load *load)
{
    struct cairn_domain *domain = load->domain;
    size_t all = domain->aggregate_count * domain->command_count;
    size_t decided_count = 0;
    struct cairn_domain_command *decided =
        cairn_arena_zalloc(&domain->arena, all, sizeof(*decided));
    bool *known = cairn_arena_zalloc(&domain->arena, domain->command_count, sizeof(*known));
    if (decided == NULL || known == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a domain");
    }
    if (domain->aggregate_count > 0) {
        qsort(domain->aggregates, domain->aggregate_count, sizeof(*domain->aggregates),
              order_aggregates);
    }
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < domain->aggregate_count && rc == CAIRN_OK; i++) {
        struct learning learning = {.load = load,
                                    .aggregate = &domain->aggregates[i],
                                    .decided = decided,
                                    .decided_count = &decided_count,
                                    .known = known};
        rc = learn_aggregate(&learning);
    }
    if (rc == CAIRN_OK) {
        rc = check_commands(load, known);
    }
    if (rc == CAIRN_OK) {
        rc = check_events(load);
    }
    /* Aggregates were walked by name and their commands by name: the list is in order. */
    domain->commands = decided;
    domain->command_count = decided_count;
    return rc == CAIRN_OK ? check_strays(load) : rc;
}
