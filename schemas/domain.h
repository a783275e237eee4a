/* The catalogue of a domain folder: which aggregates, commands, events, views and queries there
 * are.
 *
 * Loaded once at start, read-only after. The folder:
 *
 *   domain.json         {"name": "bank", "aggregates": {"account": {"snapshot_every": 100}},
 *                       "format": "json", "topics": {"partitions": 12, "replication": 3}}
 *   account.lua         decide, evolve, upcast of the aggregate
 *   schemas/commands/   Deposit.json: JSON Schema 2020-12 of the command's data
 *   schemas/events/     Deposited.json: current; Deposited.v1.json, .v2.json ...: older ones, so
 *                       the current version is the next number
 *   views/              balances.lua -> LMDB, daily_turnover.sql -> PostgreSQL
 *   queries/            top_accounts.sql
 *   specs/              account.json
 *
 * Which commands an aggregate takes is what its script decides: every function of `account.decide`
 * needs a schema of its name, and every event a schema and an `evolve`. */
#ifndef CAIRN_SCHEMAS_DOMAIN_H
#define CAIRN_SCHEMAS_DOMAIN_H

#include "platform/lua.h"
#include "schemas/event.h"
#include "schemas/schema.h"

struct cairn_domain;
struct cairn_sql_query;
struct cairn_sql_view;

struct cairn_domain_command {
    struct cairn_slice name;           /* "Deposit" */
    struct cairn_slice aggregate;      /* "account" */
    const struct cairn_schema *schema; /* of its data */
    struct cairn_slice schema_text;    /* JSON, for OpenAPI */
};

struct cairn_domain_event {
    struct cairn_slice type;
    const struct cairn_schema *schema; /* of the current version */
    uint16_t schema_version;           /* current, from 1 */
    struct cairn_slice schema_text;
};

struct cairn_domain_aggregate {
    struct cairn_slice name;
    struct cairn_slice script_name; /* "account.lua", for errors */
    struct cairn_slice script;      /* source */
    uint32_t snapshot_every;        /* events between snapshots, >= 1; default 100 */
    bool json;                      /* its events are written to Kafka as JSON; false: as msgpack */
    unsigned char code_hash[16];    /* of the script, the prelude and the event schemas: what a
                                       snapshot depends on */
};

/* What domain.json wants of the topics on Kafka; 0: it says nothing. */
struct cairn_domain_topics {
    uint16_t partitions;  /* of each topic of a new log; a log keeps what it was made with */
    uint16_t replication; /* replicas that a topic must have, and that a new one gets */
};

enum cairn_view_kind { CAIRN_VIEW_LMDB, CAIRN_VIEW_POSTGRES };

struct cairn_domain_view {
    struct cairn_slice name; /* file name without its ending: [a-z][a-z0-9_]* */
    enum cairn_view_kind kind;
    struct cairn_slice script_name; /* "views/balances.lua" */
    struct cairn_slice script;
    const struct cairn_sql_view *sql; /* NULL for a view in Lua */
    /* Of a script, the prelude and the event schemas; of SQL and the schemas of its events. */
    unsigned char code_hash[16];
};

/* A named SQL query, queries/NAME.sql. */
struct cairn_domain_query {
    struct cairn_slice name;
    struct cairn_slice text;
    const struct cairn_sql_query *sql;
};

/* Load folder. errors: EINVAL, ESCRIPT, EMALFORMED, ENOENT..., each naming the file and, where
 * there is one, the line. Loading runs each aggregate's script once in a host of its own to learn
 * what it defines. Caller frees. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_domain_load(const char *folder, struct cairn_domain **ret_domain, struct cairn_err *err);
void cairn_domain_free(struct cairn_domain *domain);

/* Everything found wrong, as text lines, where load would stop at the first: for `cairn check`.
 * ret_faults in arena. OK with *ret_count 0 means a sound folder (specs are run elsewhere). */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_lint(const char *folder, struct cairn_arena *arena,
                                                 struct cairn_slice **ret_faults, size_t *ret_count,
                                                 struct cairn_err *err);

struct cairn_slice cairn_domain_name(const struct cairn_domain *domain);
/* For people; the name where domain.json has no title. */
struct cairn_slice cairn_domain_title(const struct cairn_domain *domain);
const char *cairn_domain_folder(const struct cairn_domain *domain);
struct cairn_domain_topics cairn_domain_topics(const struct cairn_domain *domain);
size_t cairn_domain_aggregate_count(const struct cairn_domain *domain);
const struct cairn_domain_aggregate *cairn_domain_aggregate_at(const struct cairn_domain *domain,
                                                               size_t index);
const struct cairn_domain_aggregate *cairn_domain_aggregate(const struct cairn_domain *domain,
                                                            struct cairn_slice name);
size_t cairn_domain_command_count(const struct cairn_domain *domain);
const struct cairn_domain_command *cairn_domain_command_at(const struct cairn_domain *domain,
                                                           size_t index);
/* NULL when the aggregate has no such command. */
const struct cairn_domain_command *cairn_domain_command(const struct cairn_domain *domain,
                                                        struct cairn_slice aggregate,
                                                        struct cairn_slice name);
size_t cairn_domain_event_count(const struct cairn_domain *domain);
const struct cairn_domain_event *cairn_domain_event_at(const struct cairn_domain *domain,
                                                       size_t index);
const struct cairn_domain_event *cairn_domain_event(const struct cairn_domain *domain,
                                                    struct cairn_slice type);
size_t cairn_domain_view_count(const struct cairn_domain *domain);
const struct cairn_domain_view *cairn_domain_view_at(const struct cairn_domain *domain,
                                                     size_t index);
const struct cairn_domain_view *cairn_domain_view(const struct cairn_domain *domain,
                                                  struct cairn_slice name);

size_t cairn_domain_query_count(const struct cairn_domain *domain);
const struct cairn_domain_query *cairn_domain_query_at(const struct cairn_domain *domain,
                                                       size_t index);

/* A Lua host with the prelude (aggregate, event, reject, view, array, null) and one script run and
 * sealed in it. Every thread that runs domain code makes its own. kind of script: an aggregate's or
 * a view's. Caller frees with cairn_lua_free. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_host_new(struct cairn_slice script_name,
                                                     struct cairn_slice script,
                                                     const struct cairn_lua_limits *limits,
                                                     struct cairn_lua **ret_lua,
                                                     struct cairn_err *err);
/* The same, not yet sealed and the script not yet run, for callers that register functions of their
 * own first: register, cairn_lua_run the script, cairn_lua_seal. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_host_open(const struct cairn_lua_limits *limits,
                                                      struct cairn_lua **ret_lua,
                                                      struct cairn_err *err);

/* Upcasters: an event's data as the current schema version wants it. Owns a Lua host: thread:
 * owner. */
struct cairn_upcaster;
CAIRN_MUST_CHECK enum cairn_rc cairn_upcaster_new(const struct cairn_domain *domain,
                                                  struct cairn_upcaster **ret_upcaster,
                                                  struct cairn_err *err);
void cairn_upcaster_free(struct cairn_upcaster *upcaster);
/* Read event->data (msgpack) into arena and lift it to the current version; unknown types pass as
 * they are. errors: ECORRUPT (not msgpack), ESCRIPT (the upcaster failed), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_upcaster_data(struct cairn_upcaster *upcaster, const struct cairn_event *event,
                    struct cairn_arena *arena, struct cairn_value *ret_data, struct cairn_err *err);

#endif
