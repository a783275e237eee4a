/* What the files that load a domain share. For schemas/ alone. */
#ifndef CAIRN_SCHEMAS_DOMAIN_INT_H
#define CAIRN_SCHEMAS_DOMAIN_INT_H

#include "platform/file.h"
#include "schemas/domain.h"

#define CAIRN_DOMAIN_FILE_BYTES_MAX (1024u * 1024u)
#define CAIRN_DOMAIN_BYTES_MAX      (64u * 1024u * 1024u)
#define CAIRN_DOMAIN_FAULTS_MAX     200
#define CAIRN_DOMAIN_INDEXES_MAX    16

/* The function that lifts `event` from version `from` to the next, in the script of `aggregate`. */
struct cairn_domain_upcast {
    struct cairn_slice event;
    struct cairn_slice aggregate;
    uint16_t from;
};

/* An `evolve` that a script defines. */
struct cairn_domain_evolve {
    struct cairn_slice event;
    struct cairn_slice aggregate;
};

struct cairn_domain {
    struct cairn_arena arena; /* everything that the slices below show */
    const char *folder;
    struct cairn_slice name;
    struct cairn_slice title;
    struct cairn_domain_topics topics;
    bool json; /* of aggregates that say nothing else */
    struct cairn_schema_registry *registry;
    struct cairn_domain_aggregate *aggregates; /* by name */
    size_t aggregate_count;
    struct cairn_domain_command *commands; /* by aggregate, then name */
    size_t command_count;
    struct cairn_domain_event *events; /* by type */
    size_t event_count;
    struct cairn_domain_view *views; /* by name */
    size_t view_count;
    struct cairn_domain_query *queries; /* by name */
    size_t query_count;
    struct cairn_domain_upcast *upcasts;
    size_t upcast_count;
    struct cairn_domain_evolve *evolves;
    size_t evolve_count;
    unsigned char schemas_hash[16]; /* of all event schemas, old ones too */
};

/* A domain being loaded. Faults in the folder are collected; only the machine's own failures
 * (memory, disk) end the loading. */
struct cairn_domain_load {
    struct cairn_domain *domain; /* NULL while specs are read */
    const char *folder;
    struct cairn_arena *arena;       /* of what is read */
    struct cairn_arena *fault_arena; /* the caller's */
    struct cairn_slice faults[CAIRN_DOMAIN_FAULTS_MAX];
    size_t fault_count; /* may exceed the array: those are only counted */
    enum cairn_rc first;
    struct cairn_err *err;
};

/* A member that an object may have, and who takes it. where: the object, for faults, e.g.
 * "domain.json: /aggregates"; the member is where/name. */
struct cairn_member_rule {
    const char *name;
    enum cairn_rc (*take)(struct cairn_domain_load *load, const char *where,
                          const struct cairn_value *value, void *into);
    bool required;
};

/* Give each member of map to its rule, in the order of the rules; one without a rule is a fault,
 * and so is a required one that is missing. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_take_members(struct cairn_domain_load *load,
                                                         const char *where,
                                                         const struct cairn_value *map,
                                                         const struct cairn_member_rule *rules,
                                                         size_t count, void *into);

/* Note a fault; the text names the file first. OK, so that loading goes on; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_fault(struct cairn_domain_load *load, enum cairn_rc rc,
                                                  const char *format, ...) CAIRN_PRINTF(3, 4);
/* Room for one more item behind count, in the domain's arena: the place of the new item, zeroed.
 * items: the address of the array pointer, which may move. NULL: out of memory. */
CAIRN_MUST_CHECK void *cairn_domain_grow(struct cairn_domain *domain, void *items, size_t count,
                                         size_t size);
/* A file of the folder into load->arena. A file that is too big, absent
 * or unreadable is a fault, and *ret_text.data is NULL then. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_read(struct cairn_domain_load *load, const char *name,
                                                 struct cairn_slice *ret_text);
/* Names in a subfolder that end in `ending`, sorted; none when the folder is not there. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_list(struct cairn_domain_load *load, const char *folder,
                                                 const char *ending, const char ***ret_names,
                                                 size_t *ret_count);
/* The line of a byte offset, from 1. */
size_t cairn_domain_line(struct cairn_slice text, size_t offset);

/* The steps of loading. Each returns OK when it could do its work, faults or not. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_load_config(struct cairn_domain_load *load);
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_load_schemas(struct cairn_domain_load *load);
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_load_aggregates(struct cairn_domain_load *load);
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_load_views(struct cairn_domain_load *load);

/* The SQL of a view or a query: reads it into ->sql (NULL when there are faults in it) and checks
 * it against the rest of the domain; a view's code_hash too. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_take_sql_view(struct cairn_domain_load *load,
                                                          struct cairn_domain_view *view);
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_take_sql_query(struct cairn_domain_load *load,
                                                           const char *path,
                                                           struct cairn_domain_query *query);
/* No two views create a table of one name. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_check_sql_tables(struct cairn_domain_load *load);

/* Hash of several texts, each with its length, so that no two lists give the same bytes. */
CAIRN_MUST_CHECK enum cairn_rc cairn_domain_hash(const struct cairn_slice *parts, size_t count,
                                                 unsigned char ret_hash[16], struct cairn_err *err);

#endif
