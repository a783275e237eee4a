/* What the files that read specs share. For schemas/ alone. */
#ifndef CAIRN_SCHEMAS_SPEC_INT_H
#define CAIRN_SCHEMAS_SPEC_INT_H

#include "schemas/domain_int.h"
#include "schemas/spec.h"

/* Bytes of "specs/account.json: /specs/3/given/0"; longer ones are cut. */
#define CAIRN_SPEC_WHERE_MAX 256
/* 2026-01-01T00:00:00Z: events without a time count their seconds from here. */
#define CAIRN_SPEC_TIME_BASE_US 1767225600000000

/* The loading of all specs. */
struct cairn_spec_reading {
    struct cairn_domain_load load; /* its faults; load.domain is not used for anything else */
    const struct cairn_domain *domain;
    struct cairn_arena *arena;
    struct cairn_spec *specs;
    size_t count;
};

/* One file, and the spec of it in hand. */
struct cairn_spec_reader {
    struct cairn_spec_reading *reading;
    struct cairn_slice file;
    struct cairn_spec head; /* what all specs of the file share */
    struct cairn_spec spec;
};

/* A member `name` of the object at where, as text, time or object; a fault when it is none. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_take_text(struct cairn_domain_load *load,
                                                    const char *where, const char *name,
                                                    const struct cairn_value *value,
                                                    struct cairn_slice *ret_text);
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_take_time(struct cairn_domain_load *load,
                                                    const char *where,
                                                    const struct cairn_value *value,
                                                    int64_t *ret_time_us);
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_take_map(struct cairn_domain_load *load,
                                                   const char *where,
                                                   const struct cairn_value *value,
                                                   struct cairn_value *ret_map);
/* Faults of data against its schema, each a fault of the spec. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_check_data(struct cairn_spec_reader *reader,
                                                     const char *where,
                                                     const struct cairn_schema *schema,
                                                     const struct cairn_value *data);
/* A list of events: of given, or of then. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_take_events(struct cairn_spec_reader *reader,
                                                      const char *where, const char *name,
                                                      const struct cairn_value *list,
                                                      const struct cairn_spec_event **ret_events,
                                                      size_t *ret_count);
/* ENOMEM, said of specs. */
enum cairn_rc cairn_spec_no_memory(struct cairn_domain_load *load);

#endif
