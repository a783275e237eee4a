/* Specs: what a domain's author expects of it, as files that `cairn check` runs.
 *
 * specs/NAME.json is about one aggregate or one view; docs/reference/domain.md has the format. This
 * module reads and checks them; who has a decider or a view store runs them. */
#ifndef CAIRN_SCHEMAS_SPEC_H
#define CAIRN_SCHEMAS_SPEC_H

#include "schemas/domain.h"

#define CAIRN_SPECS_MAX       10000 /* of a domain */
#define CAIRN_SPEC_EVENTS_MAX 10000 /* of one spec */

struct cairn_spec_event {
    struct cairn_slice stream; /* "account-1"; the aggregate's own one in a spec of an aggregate */
    struct cairn_slice type;   /* of the catalogue */
    struct cairn_value data;   /* a map; checked when it is of the current schema version */
    uint16_t schema_version;   /* from 1; the current one unless the spec says otherwise */
    uint64_t version;          /* in its stream, counted from 1 */
    int64_t time_us;           /* a second after the one before, unless the spec says otherwise */
};

enum cairn_spec_outcome {
    CAIRN_SPEC_EVENTS,   /* then: a list of events, which may be empty */
    CAIRN_SPEC_REJECTED, /* then: {"rejected": CODE} */
    CAIRN_SPEC_ROWS      /* then: a view's rows by key; of specs of views */
};

struct cairn_spec_row {
    struct cairn_slice key;
    struct cairn_value document;
};

/* Everything in it points into the arena of the load, or into the domain. */
struct cairn_spec {
    struct cairn_slice file; /* "specs/account.json" */
    struct cairn_slice name;
    const struct cairn_domain_aggregate *aggregate; /* NULL: a spec of a view */
    const struct cairn_domain_view *view;           /* NULL: a spec of an aggregate */
    const struct cairn_spec_event *given;
    size_t given_count;
    /* when: of an aggregate */
    const struct cairn_domain_command *command;
    struct cairn_value data; /* has passed the command's schema */
    struct cairn_slice id;   /* "1" unless the spec says otherwise */
    struct cairn_slice principal;
    int64_t time_us;
    /* then */
    enum cairn_spec_outcome outcome;
    const struct cairn_spec_event *events; /* expected: type and data alone are meant */
    size_t event_count;
    struct cairn_slice code;   /* of a rejection */
    struct cairn_slice detail; /* data NULL: any */
    const struct cairn_spec_row *rows;
    size_t row_count;
};

/* Read every specs/NAME.json of the domain. What is wrong with them comes as text lines in
 * ret_faults, and the specs they are in are left out. Everything in arena. errors: ENOMEM, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_specs_load(const struct cairn_domain *domain,
                                                struct cairn_arena *arena,
                                                struct cairn_spec **ret_specs, size_t *ret_count,
                                                struct cairn_slice **ret_faults,
                                                size_t *ret_fault_count, struct cairn_err *err);

#endif
