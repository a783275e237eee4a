/* The events of a spec: given, or expected. And what all readers of specs share. */
#include <stdio.h>

#include "schemas/spec_int.h"

/* An event in hand. */
struct event_reader {
    struct cairn_spec_reader *reader;
    struct cairn_spec_event event;
    bool timed;
};

enum cairn_rc cairn_spec_no_memory(struct cairn_domain_load *load)
{
    return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "specs");
}

enum cairn_rc cairn_spec_take_text(struct cairn_domain_load *load, const char *where,
                                   const char *name, const struct cairn_value *value,
                                   struct cairn_slice *ret_text)
{
    if (value->type != CAIRN_STRING) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/%s: must be a string", where, name);
    }
    *ret_text = cairn_value_slice(value);
    return CAIRN_OK;
}

enum cairn_rc cairn_spec_take_time(struct cairn_domain_load *load, const char *where,
                                   const struct cairn_value *value, int64_t *ret_time_us)
{
    if (value->type != CAIRN_STRING ||
        cairn_clock_parse(cairn_value_slice(value), ret_time_us) != CAIRN_OK) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/time: must be an RFC 3339 time", where);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_spec_take_map(struct cairn_domain_load *load, const char *where,
                                  const struct cairn_value *value, struct cairn_value *ret_map)
{
    if (value->type != CAIRN_MAP) {
        return cairn_domain_fault(load, CAIRN_EINVAL, "%s/data: must be an object", where);
    }
    *ret_map = *value;
    return CAIRN_OK;
}

/* Faults of data against its schema, each a fault of the spec. */
enum cairn_rc cairn_spec_check_data(struct cairn_spec_reader *reader, const char *where,
                                    const struct cairn_schema *schema,
                                    const struct cairn_value *data)
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
    return cairn_spec_take_text(load, where, "type", value, &reader->event.type);
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
    return cairn_spec_take_map(load, where, value, &reader->event.data);
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
    return cairn_spec_take_time(load, where, value, &reader->event.time_us);
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
        event->time_us = count == 0 ? CAIRN_SPEC_TIME_BASE_US : before[count - 1].time_us + 1000000;
    }
    event->version = 1;
    for (size_t i = 0; i < count; i++) {
        event->version += cairn_slice_equal(before[i].stream, event->stream);
    }
    return event->schema_version == known->schema_version && known->schema != NULL
               ? cairn_spec_check_data(reader->reader, where, known->schema, &event->data)
               : CAIRN_OK;
}

/* A list of events: of given, or of then. */
enum cairn_rc cairn_spec_take_events(struct cairn_spec_reader *reader, const char *where,
                                     const char *name, const struct cairn_value *list,
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
        return cairn_spec_no_memory(load);
    }
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; i < list->count && rc == CAIRN_OK; i++) {
        char at[CAIRN_SPEC_WHERE_MAX];
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
