/* domain.json: the domain's name, its aggregates, and what they need on Kafka. Strict: a member
 * that nobody knows is a typing mistake that would otherwise be found in production. */
#include <assert.h>

#include "platform/json.h"
#include "schemas/domain_int.h"

enum { SNAPSHOT_EVERY_DEFAULT = 100, SNAPSHOT_EVERY_MAX = 1000000, REPLICATION_MAX = 64 };

#define CONFIG_FILE "domain.json"

static enum cairn_rc refuse_unknown(struct cairn_domain_load *load, const char *where,
                                    const struct cairn_value *map,
                                    const struct cairn_member_rule *rules, size_t count)
{
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; i < map->count && rc == CAIRN_OK; i++) {
        struct cairn_slice key = cairn_value_slice(&map->as.members[i].key);
        size_t at = 0;
        while (at < count && !cairn_slice_is(key, rules[at].name)) {
            at++;
        }
        if (at == count) {
            rc = cairn_domain_fault(load, CAIRN_EINVAL, "%s/%.*s: unknown member", where,
                                    CAIRN_SLICE_ARG(key));
        }
    }
    return rc;
}

enum cairn_rc cairn_domain_take_members(struct cairn_domain_load *load, const char *where,
                                        const struct cairn_value *map,
                                        const struct cairn_member_rule *rules, size_t count,
                                        void *into)
{
    if (map->type != CAIRN_MAP) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s: must be an object", where);
    }
    enum cairn_rc rc = refuse_unknown(load, where, map, rules, count);
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        const struct cairn_value *value = cairn_value_at(map, rules[i].name);
        if (value != NULL) {
            rc = rules[i].take(load, where, value, into);
        } else if (rules[i].required) {
            rc = cairn_domain_fault(load, CAIRN_EINVAL, "%s/%s: is missing", where, rules[i].name);
        }
    }
    return rc;
}

/* The integer under where/name, from 1 to most. A fault leaves *ret_number as it is. */
static enum cairn_rc take_integer(struct cairn_domain_load *load, const char *where,
                                  const char *name, const struct cairn_value *value, uint32_t most,
                                  uint32_t *ret_number)
{
    if (value->type != CAIRN_INT || value->as.integer < 1 || value->as.integer > most) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/%s: must be an integer from 1 to %u",
                                  where, name, (unsigned)most);
    }
    *ret_number = (uint32_t)value->as.integer;
    return CAIRN_OK;
}

/* The format under where/format. */
static enum cairn_rc take_json(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, bool *ret_json)
{
    bool is_text = value->type == CAIRN_STRING;
    bool json = is_text && cairn_slice_is(cairn_value_slice(value), "json");
    if (!json && !(is_text && cairn_slice_is(cairn_value_slice(value), "msgpack"))) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/format: must be \"json\" or \"msgpack\"",
                                  where);
    }
    *ret_json = json;
    return CAIRN_OK;
}

static enum cairn_rc take_name(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, void *into)
{
    (void)into;
    (void)where;
    if (value->type != CAIRN_STRING || !cairn_aggregate_is_valid(cairn_value_slice(value))) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  CONFIG_FILE
                                  ": /name: must be lower case letters, digits and '_', "
                                  "and begin with a letter");
    }
    load->domain->name = cairn_value_slice(value);
    return CAIRN_OK;
}

static enum cairn_rc take_title(struct cairn_domain_load *load, const char *where,
                                const struct cairn_value *value, void *into)
{
    (void)into;
    (void)where;
    if (value->type != CAIRN_STRING) {
        return cairn_domain_fault(load, CAIRN_EINVAL, CONFIG_FILE ": /title: must be a string");
    }
    load->domain->title = cairn_value_slice(value);
    return CAIRN_OK;
}

static enum cairn_rc take_snapshot_every(struct cairn_domain_load *load, const char *where,
                                         const struct cairn_value *value, void *into)
{
    struct cairn_domain_aggregate *aggregate = into;
    return take_integer(load, where, "snapshot_every", value, SNAPSHOT_EVERY_MAX,
                        &aggregate->snapshot_every);
}

static enum cairn_rc take_own_format(struct cairn_domain_load *load, const char *where,
                                     const struct cairn_value *value, void *into)
{
    struct cairn_domain_aggregate *aggregate = into;
    return take_json(load, where, value, &aggregate->json);
}

static const struct cairn_member_rule aggregate_rules[] = {
    {"snapshot_every", take_snapshot_every, false},
    {"format", take_own_format, false},
};

static enum cairn_rc take_aggregate(struct cairn_domain_load *load,
                                    const struct cairn_member *member)
{
    struct cairn_domain *domain = load->domain;
    struct cairn_slice name = cairn_value_slice(&member->key);
    if (!cairn_aggregate_is_valid(name)) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  CONFIG_FILE ": /aggregates/%.*s: a name is lower case letters, "
                                              "digits and '_', and begins with a letter",
                                  CAIRN_SLICE_ARG(name));
    }
    struct cairn_domain_aggregate *aggregate =
        cairn_domain_grow(domain, &domain->aggregates, domain->aggregate_count, sizeof(*aggregate));
    const char *script = cairn_arena_printf(&domain->arena, "%.*s.lua", CAIRN_SLICE_ARG(name));
    const char *where =
        cairn_arena_printf(&domain->arena, CONFIG_FILE ": /aggregates/%.*s", CAIRN_SLICE_ARG(name));
    if (aggregate == NULL || script == NULL || where == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, CONFIG_FILE);
    }
    domain->aggregate_count++;
    aggregate->name = name;
    aggregate->script_name = cairn_slice_str(script);
    aggregate->snapshot_every = SNAPSHOT_EVERY_DEFAULT;
    aggregate->json = domain->json;
    return cairn_domain_take_members(load, where, &member->value, aggregate_rules,
                                     sizeof(aggregate_rules) / sizeof(aggregate_rules[0]),
                                     aggregate);
}

static enum cairn_rc take_aggregates(struct cairn_domain_load *load, const char *where,
                                     const struct cairn_value *value, void *into)
{
    (void)into;
    (void)where;
    enum cairn_rc rc = CAIRN_OK;
    if (value->type != CAIRN_MAP || value->count == 0) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  CONFIG_FILE ": /aggregates: must be an object with members");
    }
    for (uint32_t i = 0; i < value->count && rc == CAIRN_OK; i++) {
        rc = take_aggregate(load, &value->as.members[i]);
    }
    return rc;
}

static enum cairn_rc take_format(struct cairn_domain_load *load, const char *where,
                                 const struct cairn_value *value, void *into)
{
    (void)into;
    return take_json(load, where, value, &load->domain->json);
}

static enum cairn_rc take_partitions(struct cairn_domain_load *load, const char *where,
                                     const struct cairn_value *value, void *into)
{
    struct cairn_domain_topics *topics = into;
    uint32_t number = topics->partitions;
    enum cairn_rc rc =
        take_integer(load, where, "partitions", value, CAIRN_PARTITIONS_MAX, &number);
    topics->partitions = (uint16_t)number;
    size_t count = load->domain->aggregate_count;
    if (rc == CAIRN_OK && number * count > CAIRN_PARTITIONS_MAX) {
        rc = cairn_domain_fault(load, CAIRN_EINVAL,
                                "%s/partitions: %u in each of %zu topics are too many: a log has "
                                "at most %d",
                                where, (unsigned)number, count, CAIRN_PARTITIONS_MAX);
    }
    return rc;
}

static enum cairn_rc take_replication(struct cairn_domain_load *load, const char *where,
                                      const struct cairn_value *value, void *into)
{
    struct cairn_domain_topics *topics = into;
    uint32_t number = topics->replication;
    enum cairn_rc rc = take_integer(load, where, "replication", value, REPLICATION_MAX, &number);
    topics->replication = (uint16_t)number;
    return rc;
}

static const struct cairn_member_rule topics_rules[] = {
    {"partitions", take_partitions, false},
    {"replication", take_replication, false},
};

static enum cairn_rc take_topics(struct cairn_domain_load *load, const char *where,
                                 const struct cairn_value *value, void *into)
{
    (void)into;
    (void)where;
    return cairn_domain_take_members(load, CONFIG_FILE ": /topics", value, topics_rules,
                                     sizeof(topics_rules) / sizeof(topics_rules[0]),
                                     &load->domain->topics);
}

/* In the order in which they are needed: aggregates take the domain's format for their own, and
 * topics are counted by aggregates. */
static const struct cairn_member_rule domain_rules[] = {
    {"name", take_name, true},      {"title", take_title, false},
    {"format", take_format, false}, {"aggregates", take_aggregates, true},
    {"topics", take_topics, false},
};

enum cairn_rc cairn_domain_load_config(struct cairn_domain_load *load)
{
    struct cairn_domain *domain = load->domain;
    struct cairn_slice text;
    struct cairn_value config;
    struct cairn_err why;
    size_t offset = 0;
    enum cairn_rc rc = cairn_domain_read(load, CONFIG_FILE, &text);
    if (rc != CAIRN_OK || text.data == NULL) {
        return rc;
    }
    rc = cairn_json_read(text, &domain->arena, &config, &offset, &why);
    if (rc == CAIRN_EMALFORMED) {
        return cairn_domain_fault(load, rc, CONFIG_FILE ":%zu: %s", cairn_domain_line(text, offset),
                                  why.text);
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(load->err, rc, CONFIG_FILE ": %s", why.text);
    }
    if (config.type != CAIRN_MAP) {
        return cairn_domain_fault(load, CAIRN_EINVAL, CONFIG_FILE ": must be an object");
    }
    rc = cairn_domain_take_members(load, CONFIG_FILE ": ", &config, domain_rules,
                                   sizeof(domain_rules) / sizeof(domain_rules[0]), NULL);
    if (domain->title.size == 0) {
        domain->title = domain->name;
    }
    return rc;
}
