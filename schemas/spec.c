#include "schemas/spec.h"

#include <assert.h>
#include <stdio.h>

#include "platform/json.h"
#include "platform/mem.h"
#include "schemas/spec_int.h"

/* ---- when ---- */

static enum cairn_rc take_command(struct cairn_domain_load *load, const char *where,
                                  const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    struct cairn_slice name;
    enum cairn_rc rc = cairn_spec_take_text(load, where, "command", value, &name);
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
    struct cairn_spec_reader *reader = into;
    return cairn_spec_take_map(load, where, value, &reader->spec.data);
}

static enum cairn_rc take_id(struct cairn_domain_load *load, const char *where,
                             const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    if (value->type != CAIRN_STRING || !cairn_id_is_valid(cairn_value_slice(value))) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/id: is no aggregate id", where);
    }
    reader->spec.id = cairn_value_slice(value);
    return CAIRN_OK;
}

static enum cairn_rc take_principal(struct cairn_domain_load *load, const char *where,
                                    const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    return cairn_spec_take_text(load, where, "principal", value, &reader->spec.principal);
}

static enum cairn_rc take_command_time(struct cairn_domain_load *load, const char *where,
                                       const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    return cairn_spec_take_time(load, where, value, &reader->spec.time_us);
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
    struct cairn_spec_reader *reader = into;
    char at[CAIRN_SPEC_WHERE_MAX];
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
    return cairn_spec_check_data(reader, at, reader->spec.command->schema, &reader->spec.data);
}

/* ---- then ---- */

static enum cairn_rc take_code(struct cairn_domain_load *load, const char *where,
                               const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    reader->spec.outcome = CAIRN_SPEC_REJECTED;
    return cairn_spec_take_text(load, where, "rejected", value, &reader->spec.code);
}

static enum cairn_rc take_detail(struct cairn_domain_load *load, const char *where,
                                 const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    return cairn_spec_take_text(load, where, "detail", value, &reader->spec.detail);
}

static const struct cairn_member_rule rejection_rules[] = {
    {"rejected", take_code, true},
    {"detail", take_detail, false},
};

static enum cairn_rc take_rows(struct cairn_spec_reader *reader, const char *where,
                               const struct cairn_value *map)
{
    struct cairn_domain_load *load = &reader->reading->load;
    if (map->type != CAIRN_MAP) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s: must be an object: key -> row", where);
    }
    struct cairn_spec_row *rows =
        cairn_arena_zalloc(reader->reading->arena, map->count, sizeof(*rows));
    if (rows == NULL) {
        return cairn_spec_no_memory(load);
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
    struct cairn_spec_reader *reader = into;
    char at[CAIRN_SPEC_WHERE_MAX];
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
    return cairn_spec_take_events(reader, where, "then", value, &reader->spec.events,
                                  &reader->spec.event_count);
}

/* ---- a spec, a file, all files ---- */

static enum cairn_rc take_spec_name(struct cairn_domain_load *load, const char *where,
                                    const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    return cairn_spec_take_text(load, where, "name", value, &reader->spec.name);
}

static enum cairn_rc take_given(struct cairn_domain_load *load, const char *where,
                                const struct cairn_value *value, void *into)
{
    struct cairn_spec_reader *reader = into;
    (void)load;
    return cairn_spec_take_events(reader, where, "given", value, &reader->spec.given,
                                  &reader->spec.given_count);
}

static const struct cairn_member_rule spec_rules[] = {
    {"name", take_spec_name, true},
    {"given", take_given, false},
    {"when", take_when, false},
    {"then", take_then, true},
};

static enum cairn_rc add_spec(struct cairn_spec_reader *reader)
{
    struct cairn_spec_reading *reading = reader->reading;
    struct cairn_spec *spec = &reader->spec;
    if (spec->time_us == 0) {
        spec->time_us = spec->given_count == 0
                            ? CAIRN_SPEC_TIME_BASE_US
                            : spec->given[spec->given_count - 1].time_us + 1000000;
    }
    if ((reading->count & (reading->count - 1)) == 0) { /* full: 0, 1, 2, 4, ... */
        size_t room = reading->count == 0 ? 1 : 2 * reading->count;
        struct cairn_spec *moved = cairn_arena_zalloc(reading->arena, room, sizeof(*moved));
        if (moved == NULL) {
            return cairn_spec_no_memory(&reading->load);
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
    struct cairn_spec_reader *reader = into;
    enum cairn_rc rc = CAIRN_OK;
    if (value->type != CAIRN_ARRAY || value->count > CAIRN_SPECS_MAX - reader->reading->count) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/specs: must be a list, %d at most", where,
                                  CAIRN_SPECS_MAX);
    }
    for (uint32_t i = 0; i < value->count && rc == CAIRN_OK; i++) {
        const struct cairn_value *item = &value->as.items[i];
        char at[CAIRN_SPEC_WHERE_MAX];
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
static enum cairn_rc take_head(struct cairn_spec_reader *reader, const char *where,
                               const struct cairn_value *file)
{
    struct cairn_domain_load *load = &reader->reading->load;
    struct cairn_slice aggregate = cairn_value_get_string(file, "aggregate");
    struct cairn_slice view = cairn_value_get_string(file, "view");
    if ((aggregate.data == NULL) == (view.data == NULL)) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%smust name either an \"aggregate\" or a \"view\"", where);
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
               : cairn_domain_fault(load, CAIRN_ENOENT, "%sthere is no such aggregate or view",
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

static enum cairn_rc take_file(struct cairn_spec_reading *reading, const char *name)
{
    struct cairn_domain_load *load = &reading->load;
    char where[CAIRN_SPEC_WHERE_MAX];
    struct cairn_slice text;
    struct cairn_value file;
    struct cairn_err why;
    size_t offset = 0;
    const char *path = cairn_arena_printf(reading->arena, "specs/%s", name);
    if (path == NULL) {
        return cairn_spec_no_memory(load);
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
    struct cairn_spec_reader reader = {.reading = reading, .file = cairn_slice_str(path)};
    size_t faults = load->fault_count;
    (void)snprintf(where, sizeof(where), "%s: ", path);
    rc = take_head(&reader, where, &file);
    if (rc != CAIRN_OK || load->fault_count > faults) {
        return rc;
    }
    return cairn_domain_take_members(load, where, &file, file_rules,
                                     sizeof(file_rules) / sizeof(file_rules[0]), &reader);
}

static enum cairn_rc take_files(struct cairn_spec_reading *reading)
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
    struct cairn_spec_reading *reading = cairn_mem_zalloc(1, sizeof(*reading));
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
        rc = cairn_spec_no_memory(&reading->load);
    } else if (rc == CAIRN_OK) {
        memcpy(faults, reading->load.faults, fault_count * sizeof(*faults));
        *ret_specs = reading->specs;
        *ret_count = reading->count;
        *ret_faults = faults;
        *ret_fault_count = fault_count;
    }
    cairn_mem_free(reading);
    return rc;
}
