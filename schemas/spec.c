#include "schemas/spec.h"

#include <assert.h>
#include <stdio.h>

#include "platform/json.h"
#include "platform/mem.h"
#include "schemas/domain_int.h"

enum { WHERE_MAX = 256 };

/* 2026-01-01T00:00:00Z: events without a time count their seconds from here. */
#define TIME_BASE_US 1767225600000000

/* The loading of all specs. */
struct reading {
    struct cairn_domain_load load; /* its faults; load.domain is not used for anything else */
    const struct cairn_domain *domain;
    struct cairn_arena *arena;
    struct cairn_spec *specs;
    size_t count;
};

/* One file, and the spec of it in hand. */
struct reader {
    struct reading *reading;
    struct cairn_slice file;
    struct cairn_spec head; /* what all specs of the file share */
    struct cairn_spec spec;
};

/* An event in hand. */
struct event_reader {
    struct reader *reader;
    struct cairn_spec_event event;
    bool timed;
};

static enum cairn_rc out_of_memory(struct cairn_domain_load *load)
{
    return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "specs");
}

static enum cairn_rc take_text(struct cairn_domain_load *load, const char *where, const char *name,
                               const struct cairn_value *value, struct cairn_slice *ret_text)
{
    if (value->type != CAIRN_STRING) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/%s: must be a string", where, name);
    }
    *ret_text = cairn_value_slice(value);
    return CAIRN_OK;
}

static enum cairn_rc take_time(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, int64_t *ret_time_us)
{
    if (value->type != CAIRN_STRING ||
        cairn_clock_parse(cairn_value_slice(value), ret_time_us) != CAIRN_OK) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/time: must be an RFC 3339 time", where);
    }
    return CAIRN_OK;
}

static enum cairn_rc take_map(struct cairn_domain_load *load, const char *where,
                              const struct cairn_value *value, struct cairn_value *ret_map)
{
    if (value->type != CAIRN_MAP) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/data: must be an object", where);
    }
    *ret_map = *value;
    return CAIRN_OK;
}

/* Faults of data against its schema, each a fault of the spec. */
static enum cairn_rc check_data(struct reader *reader, const char *where,
                                const struct cairn_schema *schema, const struct cairn_value *data)
{
    struct cairn_domain_load *load = &reader->reading->load;
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    struct cairn_err why;
    enum cairn_rc rc =
        cairn_schema_check(schema, data, reader->reading->arena, &faults, &count, &why);
    if (rc != CAIRN_OK && rc != CAIRN_ESCHEMA) {
        return CAIRN_FAIL(load->err, rc, "%s: %s", where, why.text);
    }
    rc = CAIRN_OK;
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = cairn_domain_fault(load, CAIRN_ESCHEMA, "%s/data%.*s: %.*s", where,
                                CAIRN_SLICE_ARG(faults[i].pointer),
                                CAIRN_SLICE_ARG(faults[i].message));
    }
    return rc;
}

/* ---- events ---- */

static enum cairn_rc take_event_type(struct cairn_domain_load *load, const char *where,
                                     const struct cairn_value *value, void *into)
{
    struct event_reader *reader = into;
    return take_text(load, where, "type", value, &reader->event.type);
}

static enum cairn_rc take_event_stream(struct cairn_domain_load *load, const char *where,
                                       const struct cairn_value *value, void *into)
{
    struct event_reader *reader = into;
    if (reader->reader->head.view == NULL) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%s/stream: a spec of an aggregate has one stream", where);
    }
    if (value->type != CAIRN_STRING || !cairn_stream_is_valid(cairn_value_slice(value))) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/stream: must be AGGREGATE-ID", where);
    }
    reader->event.stream = cairn_value_slice(value);
    return CAIRN_OK;
}

static enum cairn_rc take_event_data(struct cairn_domain_load *load, const char *where,
                                     const struct cairn_value *value, void *into)
{
    struct event_reader *reader = into;
    return take_map(load, where, value, &reader->event.data);
}

static enum cairn_rc take_event_schema(struct cairn_domain_load *load, const char *where,
                                       const struct cairn_value *value, void *into)
{
    struct event_reader *reader = into;
    if (value->type != CAIRN_INT || value->as.integer < 1 || value->as.integer > UINT16_MAX) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%s/schema_version: must be an integer from 1", where);
    }
    reader->event.schema_version = (uint16_t)value->as.integer;
    return CAIRN_OK;
}

static enum cairn_rc take_event_time(struct cairn_domain_load *load, const char *where,
                                     const struct cairn_value *value, void *into)
{
    struct event_reader *reader = into;
    reader->timed = true;
    return take_time(load, where, value, &reader->event.time_us);
}

static const struct cairn_member_rule event_rules[] = {
    {"type", take_event_type, true},  {"stream", take_event_stream, false},
    {"data", take_event_data, false}, {"schema_version", take_event_schema, false},
    {"time", take_event_time, false},
};

/* Hold an event against the catalogue, and fill in what it does not say. */
static enum cairn_rc complete_event(struct event_reader *reader, const char *where,
                                    const struct cairn_spec_event *before, size_t count)
{
    struct cairn_domain_load *load = &reader->reader->reading->load;
    struct cairn_spec_event *event = &reader->event;
    const struct cairn_domain_event *known =
        cairn_domain_event(reader->reader->reading->domain, event->type);
    if (known == NULL) {
        return cairn_domain_fault(load, CAIRN_ENOENT, "%s/type: there is no event %.*s", where,
                                  CAIRN_SLICE_ARG(event->type));
    }
    if (event->schema_version == 0) {
        event->schema_version = known->schema_version;
    }
    if (event->schema_version > known->schema_version) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/schema_version: the current one is %u",
                                  where, known->schema_version);
    }
    if (event->stream.size == 0 && reader->reader->head.view != NULL) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/stream: is missing", where);
    }
    if (!reader->timed) {
        event->time_us = count == 0 ? TIME_BASE_US : before[count - 1].time_us + 1000000;
    }
    event->version = 1;
    for (size_t i = 0; i < count; i++) {
        event->version += cairn_slice_equal(before[i].stream, event->stream);
    }
    return event->schema_version == known->schema_version && known->schema != NULL
               ? check_data(reader->reader, where, known->schema, &event->data)
               : CAIRN_OK;
}

/* A list of events: of given, or of then. */
static enum cairn_rc take_events(struct reader *reader, const char *where, const char *name,
                                 const struct cairn_value *list,
                                 const struct cairn_spec_event **ret_events, size_t *ret_count)
{
    struct cairn_domain_load *load = &reader->reading->load;
    if (list->type != CAIRN_ARRAY || list->count > CAIRN_SPEC_EVENTS_MAX) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/%s: must be a list of events", where,
                                  name);
    }
    struct cairn_spec_event *events =
        cairn_arena_zalloc(reader->reading->arena, list->count, sizeof(*events));
    if (events == NULL) {
        return out_of_memory(load);
    }
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; i < list->count && rc == CAIRN_OK; i++) {
        char at[WHERE_MAX];
        size_t faults = load->fault_count;
        struct event_reader event = {.reader = reader, .event.data = {.type = CAIRN_MAP}};
        (void)snprintf(at, sizeof(at), "%s/%s/%u", where, name, i);
        rc = cairn_domain_take_members(load, at, &list->as.items[i], event_rules,
                                       sizeof(event_rules) / sizeof(event_rules[0]), &event);
        if (rc == CAIRN_OK && load->fault_count == faults) {
            rc = complete_event(&event, at, events, i);
        }
        events[i] = event.event;
    }
    *ret_events = events;
    *ret_count = list->count;
    return rc;
}

/* ---- when ---- */

static enum cairn_rc take_command(struct cairn_domain_load *load, const char *where,
                                  const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    struct cairn_slice name;
    enum cairn_rc rc = take_text(load, where, "command", value, &name);
    if (rc != CAIRN_OK || value->type != CAIRN_STRING) {
        return rc;
    }
    reader->spec.command =
        cairn_domain_command(reader->reading->domain, reader->spec.aggregate->name, name);
    return reader->spec.command != NULL
               ? CAIRN_OK
               : cairn_domain_fault(load, CAIRN_ENOENT, "%s/command: %.*s has no command %.*s",
                                    where, CAIRN_SLICE_ARG(reader->spec.aggregate->name),
                                    CAIRN_SLICE_ARG(name));
}

static enum cairn_rc take_command_data(struct cairn_domain_load *load, const char *where,
                                       const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    return take_map(load, where, value, &reader->spec.data);
}

static enum cairn_rc take_id(struct cairn_domain_load *load, const char *where,
                             const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    if (value->type != CAIRN_STRING || !cairn_id_is_valid(cairn_value_slice(value))) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/id: is no aggregate id", where);
    }
    reader->spec.id = cairn_value_slice(value);
    return CAIRN_OK;
}

static enum cairn_rc take_principal(struct cairn_domain_load *load, const char *where,
                                    const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    return take_text(load, where, "principal", value, &reader->spec.principal);
}

static enum cairn_rc take_command_time(struct cairn_domain_load *load, const char *where,
                                       const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    return take_time(load, where, value, &reader->spec.time_us);
}

static const struct cairn_member_rule when_rules[] = {
    {"command", take_command, true},
    {"data", take_command_data, false},
    {"id", take_id, false},
    {"principal", take_principal, false},
    {"time", take_command_time, false},
};

static enum cairn_rc take_when(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    char at[WHERE_MAX];
    size_t faults = load->fault_count;
    (void)snprintf(at, sizeof(at), "%s/when", where);
    if (reader->spec.aggregate == NULL) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s: a spec of a view has no command", at);
    }
    enum cairn_rc rc = cairn_domain_take_members(
        load, at, value, when_rules, sizeof(when_rules) / sizeof(when_rules[0]), reader);
    if (rc != CAIRN_OK || load->fault_count > faults) {
        return rc;
    }
    return check_data(reader, at, reader->spec.command->schema, &reader->spec.data);
}

/* ---- then ---- */

static enum cairn_rc take_code(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    reader->spec.outcome = CAIRN_SPEC_REJECTED;
    return take_text(load, where, "rejected", value, &reader->spec.code);
}

static enum cairn_rc take_detail(struct cairn_domain_load *load, const char *where,
                                 const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    return take_text(load, where, "detail", value, &reader->spec.detail);
}

static const struct cairn_member_rule rejection_rules[] = {
    {"rejected", take_code, true},
    {"detail", take_detail, false},
};

static enum cairn_rc take_rows(struct reader *reader, const char *where,
                               const struct cairn_value *map)
{
    struct cairn_domain_load *load = &reader->reading->load;
    if (map->type != CAIRN_MAP) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s: must be an object: key -> row", where);
    }
    struct cairn_spec_row *rows =
        cairn_arena_zalloc(reader->reading->arena, map->count, sizeof(*rows));
    if (rows == NULL) {
        return out_of_memory(load);
    }
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; i < map->count && rc == CAIRN_OK; i++) {
        const struct cairn_member *member = &map->as.members[i];
        rows[i] = (struct cairn_spec_row){cairn_value_slice(&member->key), member->value};
        if (member->value.type != CAIRN_MAP) {
            rc = cairn_domain_fault(load, CAIRN_EINVAL, "%s/%.*s: a row is an object", where,
                                    CAIRN_SLICE_ARG(rows[i].key));
        }
    }
    reader->spec.outcome = CAIRN_SPEC_ROWS;
    reader->spec.rows = rows;
    reader->spec.row_count = map->count;
    return rc;
}

static enum cairn_rc take_then(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    char at[WHERE_MAX];
    (void)snprintf(at, sizeof(at), "%s/then", where);
    if (reader->spec.view != NULL) {
        return take_rows(reader, at, value);
    }
    if (value->type == CAIRN_MAP) {
        return cairn_domain_take_members(load, at, value, rejection_rules,
                                         sizeof(rejection_rules) / sizeof(rejection_rules[0]),
                                         reader);
    }
    reader->spec.outcome = CAIRN_SPEC_EVENTS;
    return take_events(reader, where, "then", value, &reader->spec.events,
                       &reader->spec.event_count);
}

/* ---- a spec, a file, all files ---- */

static enum cairn_rc take_spec_name(struct cairn_domain_load *load, const char *where,
                                    const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    return take_text(load, where, "name", value, &reader->spec.name);
}

static enum cairn_rc take_given(struct cairn_domain_load *load, const char *where,
                                const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    (void)load;
    return take_events(reader, where, "given", value, &reader->spec.given,
                       &reader->spec.given_count);
}

static const struct cairn_member_rule spec_rules[] = {
    {"name", take_spec_name, true},
    {"given", take_given, false},
    {"when", take_when, false},
    {"then", take_then, true},
};

static enum cairn_rc add_spec(struct reader *reader)
{
    struct reading *reading = reader->reading;
    struct cairn_spec *spec = &reader->spec;
    if (spec->time_us == 0) {
        spec->time_us = spec->given_count == 0
                            ? TIME_BASE_US
                            : spec->given[spec->given_count - 1].time_us + 1000000;
    }
    if ((reading->count & (reading->count - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        size_t room = reading->count == 0 ? 1 : 2 * reading->count;
        struct cairn_spec *moved = cairn_arena_zalloc(reading->arena, room, sizeof(*moved));
        if (moved == NULL) {
            return out_of_memory(&reading->load);
        }
        if (reading->count > 0) {
            memcpy(moved, reading->specs, reading->count * sizeof(*moved));
        }
        reading->specs = moved;
    }
    reading->specs[reading->count++] = *spec;
    return CAIRN_OK;
}

static enum cairn_rc take_specs(struct cairn_domain_load *load, const char *where,
                                const struct cairn_value *value, void *into)
{
    struct reader *reader = into;
    enum cairn_rc rc = CAIRN_OK;
    if (value->type != CAIRN_ARRAY || value->count > CAIRN_SPECS_MAX - reader->reading->count) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/specs: must be a list, %d at most", where,
                                  CAIRN_SPECS_MAX);
    }
    for (uint32_t i = 0; i < value->count && rc == CAIRN_OK; i++) {
        const struct cairn_value *item = &value->as.items[i];
        char at[WHERE_MAX];
        size_t faults = load->fault_count;
        (void)snprintf(at, sizeof(at), "%s/specs/%u", where, i);
        reader->spec = reader->head;
        rc = cairn_domain_take_members(load, at, item, spec_rules,
                                       sizeof(spec_rules) / sizeof(spec_rules[0]), reader);
        if (rc == CAIRN_OK && reader->spec.aggregate != NULL && item->type == CAIRN_MAP &&
            cairn_value_at(item, "when") == NULL) {
            rc = cairn_domain_fault(load, CAIRN_EINVAL, "%s/when: is missing", at);
        }
        if (rc == CAIRN_OK && load->fault_count == faults) {
            rc = add_spec(reader);
        }
    }
    return rc;
}

/* The head comes before the specs, wherever the file has it. */
static enum cairn_rc take_head(struct reader *reader, const char *where,
                               const struct cairn_value *file)
{
    struct cairn_domain_load *load = &reader->reading->load;
    struct cairn_slice aggregate = cairn_value_get_string(file, "aggregate");
    struct cairn_slice view = cairn_value_get_string(file, "view");
    if ((aggregate.data == NULL) == (view.data == NULL)) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%s: must name either an \"aggregate\" or a \"view\"", where);
    }
    reader->head = (struct cairn_spec){
        .file = reader->file, .id = CAIRN_SLICE_LIT("1"), .data = {.type = CAIRN_MAP}};
    if (aggregate.data != NULL) {
        reader->head.aggregate = cairn_domain_aggregate(reader->reading->domain, aggregate);
    } else {
        reader->head.view = cairn_domain_view(reader->reading->domain, view);
    }
    return reader->head.aggregate != NULL || reader->head.view != NULL
               ? CAIRN_OK
               : cairn_domain_fault(load, CAIRN_ENOENT, "%s: there is no such aggregate or view",
                                    where);
}

static enum cairn_rc pass_member(struct cairn_domain_load *load, const char *where,
                                 const struct cairn_value *value, void *into)
{
    (void)load;
    (void)where;
    (void)value;
    (void)into;
    return CAIRN_OK; /* take_head has taken it */
}

static const struct cairn_member_rule file_rules[] = {
    {"aggregate", pass_member, false},
    {"view", pass_member, false},
    {"specs", take_specs, true},
};

static enum cairn_rc take_file(struct reading *reading, const char *name)
{
    struct cairn_domain_load *load = &reading->load;
    char where[WHERE_MAX];
    struct cairn_slice text;
    struct cairn_value file;
    struct cairn_err why;
    size_t offset = 0;
    const char *path = cairn_arena_printf(reading->arena, "specs/%s", name);
    if (path == NULL) {
        return out_of_memory(load);
    }
    enum cairn_rc rc = cairn_domain_read(load, path, &text);
    if (rc != CAIRN_OK || text.data == NULL) {
        return rc;
    }
    rc = cairn_json_read(text, reading->arena, &file, &offset, &why);
    if (rc == CAIRN_EMALFORMED) {
        return cairn_domain_fault(load, rc, "%s:%zu: %s", path, cairn_domain_line(text, offset),
                                  why.text);
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(load->err, rc, "%s: %s", path, why.text);
    }
    struct reader reader = {.reading = reading, .file = cairn_slice_str(path)};
    size_t faults = load->fault_count;
    (void)snprintf(where, sizeof(where), "%s: ", path);
    rc = take_head(&reader, where, &file);
    if (rc != CAIRN_OK || load->fault_count > faults) {
        return rc;
    }
    return cairn_domain_take_members(load, where, &file, file_rules,
                                     sizeof(file_rules) / sizeof(file_rules[0]), &reader);
}

static enum cairn_rc take_files(struct reading *reading)
{
    const char **names = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_domain_list(&reading->load, "specs", ".json", &names, &count);
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = take_file(reading, names[i]);
    }
    return rc;
}

enum cairn_rc cairn_specs_load(const struct cairn_domain *domain, struct cairn_arena *arena,
                               struct cairn_spec **ret_specs, size_t *ret_count,
                               struct cairn_slice **ret_faults, size_t *ret_fault_count,
                               struct cairn_err *err)
{
    struct reading *reading = cairn_mem_zalloc(1, sizeof(*reading));
    if (reading == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "specs");
    }
    reading->load = (struct cairn_domain_load){
        .folder = domain->folder, .arena = arena, .fault_arena = arena, .err = err};
    reading->domain = domain;
    reading->arena = arena;
    enum cairn_rc rc = take_files(reading);
    size_t fault_count = reading->load.fault_count < CAIRN_DOMAIN_FAULTS_MAX
                             ? reading->load.fault_count
                             : CAIRN_DOMAIN_FAULTS_MAX;
    struct cairn_slice *faults = cairn_arena_zalloc(arena, fault_count, sizeof(*faults));
    if (rc == CAIRN_OK && faults == NULL) {
        rc = out_of_memory(&reading->load);
    }
    if (rc == CAIRN_OK) {
        memcpy(faults, reading->load.faults, fault_count * sizeof(*faults));
        *ret_specs = reading->specs;
        *ret_count = reading->count;
        *ret_faults = faults;
        *ret_fault_count = fault_count;
    }
    cairn_mem_free(reading);
    return rc;
}
