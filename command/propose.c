#include "command/propose.h"

#include <assert.h>

#include "schemas/msgpack.h"

void cairn_proposer_init(struct cairn_proposer *proposer,
                         const struct cairn_service_options *options,
                         const struct cairn_decider *decider)
{
    assert(options->domain != NULL && decider != NULL);
    assert(options->clock != NULL && options->random != NULL);
    *proposer = (struct cairn_proposer){
        .domain = options->domain,
        .decider = decider,
        .clock = options->clock,
        .random = options->random,
        .scratch = {.max = CAIRN_PROPOSE_ARENA_MAX},
        .packed = {.max = (size_t)CAIRN_EVENT_DATA_BYTES_MAX},
    };
}

void cairn_proposer_fini(struct cairn_proposer *proposer)
{
    cairn_arena_fini(&proposer->scratch);
    cairn_buf_fini(&proposer->packed);
}

/* A failure that is the script's, though the script did not notice it. */
static enum cairn_rc blame_script(const struct cairn_hot *hot, struct cairn_answer *answer,
                                  struct cairn_arena *arena, enum cairn_rc rc)
{
    answer->place = cairn_arena_printf(arena, "%.*s", CAIRN_SLICE_ARG(hot->aggregate->script_name));
    return rc;
}

/* Check one event's data against its schema. */
static enum cairn_rc check_data(struct cairn_proposer *proposer,
                                const struct cairn_domain_event *kind,
                                const struct cairn_value *data, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_schema_check(kind->schema, data, &proposer->scratch, NULL, NULL, err);
    if (rc != CAIRN_ESCHEMA) {
        return rc;
    }
    /* Only now the faults: they are not wanted on the way that every good event goes. */
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    rc = cairn_schema_check(kind->schema, data, &proposer->scratch, &faults, &count, err);
    if (rc != CAIRN_ESCHEMA) {
        return rc;
    }
    assert(count > 0);
    return CAIRN_FAIL(err, CAIRN_ESCRIPT,
                      "event %.*s does not match its schema: at \"%.*s\": %s: %.*s",
                      CAIRN_SLICE_ARG(kind->type), CAIRN_SLICE_ARG(faults[0].pointer),
                      faults[0].keyword, CAIRN_SLICE_ARG(faults[0].message));
}

static enum cairn_rc pack_data(struct cairn_proposer *proposer, const struct cairn_decided *decided,
                               struct cairn_arena *group_arena, struct cairn_slice *ret_data,
                               struct cairn_err *err)
{
    cairn_buf_truncate(&proposer->packed, 0);
    enum cairn_rc rc = cairn_msgpack_write(&decided->data, &proposer->packed);
    if (rc == CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, rc, "event %.*s: its data is larger than %u bytes",
                          CAIRN_SLICE_ARG(decided->type), CAIRN_EVENT_DATA_BYTES_MAX);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(group_arena, cairn_buf_slice(&proposer->packed), ret_data);
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "event %.*s: its data cannot be packed",
                          CAIRN_SLICE_ARG(decided->type));
    }
    return CAIRN_OK;
}

/* Fill one event from what the script said and where the command comes from. */
static enum cairn_rc make_event(struct cairn_proposer *proposer,
                                const struct cairn_command *command,
                                const struct cairn_decided *decided,
                                struct cairn_arena *group_arena, struct cairn_event *event,
                                struct cairn_err *err)
{
    const struct cairn_domain_event *kind = cairn_domain_event(proposer->domain, decided->type);
    if (kind == NULL) {
        return CAIRN_FAIL(err, CAIRN_ESCRIPT, "the domain has no event named \"%.*s\"",
                          CAIRN_SLICE_ARG(decided->type));
    }
    enum cairn_rc rc = check_data(proposer, kind, &decided->data, err);
    if (rc == CAIRN_OK) {
        rc = pack_data(proposer, decided, group_arena, &event->data, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    event->id = cairn_uuid_next(&proposer->ids, event->time_us, proposer->random);
    event->type = kind->type;
    event->schema_version = kind->schema_version;
    event->key = command->key;
    if (command->key.size > 0) {
        memcpy(event->fingerprint, command->fingerprint, sizeof(event->fingerprint));
    }
    event->causation = command->request_id;
    event->correlation = command->correlation.size > 0 ? command->correlation : command->request_id;
    event->principal = command->principal;
    event->traceparent = command->traceparent;
    return CAIRN_OK;
}

static size_t event_bytes(const struct cairn_event *event)
{
    return CAIRN_PROPOSE_EVENT_BYTES + event->stream.size + event->type.size + event->data.size +
           event->key.size + event->causation.size + event->correlation.size +
           event->principal.size + event->traceparent.size;
}

/* One command on its way to events. */
struct course {
    const struct cairn_command *command;
    const struct cairn_hot *hot;
    int64_t time_us;
    struct cairn_answer *answer;
    struct cairn_arena *arena;       /* of the answer */
    struct cairn_arena *group_arena; /* of the events */
};

/* Make the events of an accepted command, and the answer that will tell of them. */
static enum cairn_rc make_events(struct cairn_proposer *proposer, const struct course *course,
                                 const struct cairn_decision *decision,
                                 struct cairn_proposal *proposal, struct cairn_err *err)
{
    size_t count = decision->count;
    assert(count > 0 && count <= CAIRN_EVENTS_PER_COMMAND_MAX);
    struct cairn_event *events = cairn_arena_zalloc(course->group_arena, count, sizeof(*events));
    struct cairn_answer_event *told = cairn_arena_zalloc(course->arena, count, sizeof(*told));
    if (events == NULL || told == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for %zu events", count);
    }
    for (size_t i = 0; i < count; i++) {
        struct cairn_event *event = &events[i];
        event->stream = course->hot->stream;
        event->version = course->hot->version + 1 + i;
        event->time_us = course->time_us;
        event->index = (uint16_t)i;
        event->count = (uint16_t)count;
        enum cairn_rc rc = make_event(proposer, course->command, &decision->events[i],
                                      course->group_arena, event, err);
        if (rc != CAIRN_OK) {
            return rc == CAIRN_ESCRIPT
                       ? blame_script(course->hot, course->answer, course->arena, rc)
                       : rc;
        }
        /* type is the catalogue's text, which outlives every answer. */
        told[i] = (struct cairn_answer_event){event->id, event->type, event->version};
        proposal->bytes += event_bytes(event);
    }
    proposal->events = events;
    course->answer->events = told;
    return CAIRN_OK;
}

/* What a client is told of a rejection must outlive the scratch arena. */
static enum cairn_rc tell_rejection(const struct cairn_decision *decision,
                                    struct cairn_answer *answer, struct cairn_arena *arena,
                                    struct cairn_err *err)
{
    if (cairn_arena_copy(arena, decision->code, &answer->code) != CAIRN_OK ||
        cairn_arena_copy(arena, decision->detail, &answer->detail) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a rejection");
    }
    return CAIRN_FAIL(err, CAIRN_EREJECTED, "%.*s", CAIRN_SLICE_ARG(decision->detail));
}

enum cairn_rc cairn_propose(struct cairn_proposer *proposer, const struct cairn_command *command,
                            const struct cairn_hot *hot, struct cairn_answer *answer,
                            struct cairn_arena *arena, struct cairn_arena *group_arena,
                            struct cairn_proposal *ret_proposal, struct cairn_err *err)
{
    assert(hot->state != 0);
    assert(command->data != NULL);
    const struct cairn_decider *decider = proposer->decider;
    const struct cairn_decide_context context = {
        .time_us = cairn_clock_now_us(proposer->clock),
        .stream = hot->stream,
        .id = command->id,
        .version = hot->version,
        .principal = command->principal,
        .request_id = command->request_id,
    };
    struct cairn_decision decision = {0};
    cairn_arena_reset(&proposer->scratch);
    enum cairn_rc rc = decider->decide(decider->self, command->command, hot->state, command->data,
                                       &context, &proposer->scratch, &decision, err);
    if (rc != CAIRN_OK) {
        if (decision.place != NULL) {
            answer->place = cairn_arena_printf(arena, "%s", decision.place);
        }
        return rc;
    }
    if (decision.rejected) {
        return tell_rejection(&decision, answer, arena, err);
    }
    struct cairn_proposal proposal = {.decided = decision.events, .count = decision.count};
    if (decision.count > 0) {
        const struct course course = {command, hot, context.time_us, answer, arena, group_arena};
        rc = make_events(proposer, &course, &decision, &proposal, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    answer->event_count = decision.count;
    answer->version = hot->version + decision.count;
    answer->created = hot->version == 0 && decision.count > 0;
    *ret_proposal = proposal;
    return CAIRN_OK;
}

enum cairn_rc cairn_propose_apply(struct cairn_proposer *proposer,
                                  const struct cairn_proposal *proposal, struct cairn_hot *hot,
                                  struct cairn_err *err)
{
    assert(hot->state != 0);
    const struct cairn_decider *decider = proposer->decider;
    for (size_t i = 0; i < proposal->count; i++) {
        const struct cairn_event *event = &proposal->events[i];
        assert(event->version == hot->version + 1);
        enum cairn_rc rc =
            decider->evolve(decider->self, hot->aggregate->name, hot->state, event->type,
                            &proposal->decided[i].data, event, &proposer->scratch, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        hot->version = event->version;
    }
    return CAIRN_OK;
}
