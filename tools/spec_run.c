#include "tools/spec_run.h"

#include <assert.h>
#include <inttypes.h>

#include "platform/json.h"
#include "projector/projector.h"
#include "tools/spec_events.h"

#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define LINE_BYTES_MAX  (4u << 20)
#define FIRST_SEED      UINT64_C(0x9e3779b97f4a7c15)

enum cairn_rc cairn_spec_runner_init(struct cairn_spec_runner *runner,
                                     const struct cairn_domain *domain,
                                     const struct cairn_lua_limits *limits, FILE *out,
                                     struct cairn_err *err)
{
    *runner = (struct cairn_spec_runner){
        .domain = domain, .arena = {.max = ARENA_BYTES_MAX}, .out = out, .seed = FIRST_SEED};
    enum cairn_rc rc = cairn_decider_lua(domain, limits, &runner->decider, err);
    return rc == CAIRN_OK ? cairn_upcaster_new(domain, &runner->upcaster, err) : rc;
}

void cairn_spec_runner_fini(struct cairn_spec_runner *runner)
{
    if (runner->decider.free != NULL) {
        runner->decider.free(runner->decider.self);
    }
    cairn_upcaster_free(runner->upcaster);
    cairn_arena_fini(&runner->arena);
}

/* Prints which spec failed, once, above its differences. */
static void head(struct cairn_spec_runner *runner, const struct cairn_spec *spec, bool *passed)
{
    if (*passed) {
        (void)fprintf(runner->out, "%.*s: %.*s\n", CAIRN_SLICE_ARG(spec->file),
                      CAIRN_SLICE_ARG(spec->name));
    }
    *passed = false;
}

static void print_value(struct cairn_spec_runner *runner, char sign, struct cairn_slice name,
                        const struct cairn_value *value)
{
    struct cairn_buf line = {.max = LINE_BYTES_MAX};
    enum cairn_rc rc = cairn_json_write(value, &line);
    (void)fprintf(runner->out, "  %c %.*s %.*s\n", sign, CAIRN_SLICE_ARG(name),
                  rc == CAIRN_OK ? (int)line.size : 3, rc == CAIRN_OK ? line.data : "???");
    cairn_buf_fini(&line);
}

static void print_text(struct cairn_spec_runner *runner, char sign, const char *what,
                       struct cairn_slice text)
{
    (void)fprintf(runner->out, "  %c %s %.*s\n", sign, what, CAIRN_SLICE_ARG(text));
}

/* A script that failed is a difference; what else went wrong is an error of the run. */
static enum cairn_rc script_failed(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                                   enum cairn_rc rc, const struct cairn_err *cause, bool *passed)
{
    if (rc == CAIRN_ENOMEM || rc == CAIRN_EIO) {
        return rc;
    }
    head(runner, spec, passed);
    print_text(runner, '!', "the script failed:", cairn_slice_str(cause->text));
    return CAIRN_OK;
}

/* The state after `given`. */
static enum cairn_rc fold(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                          cairn_state *state, struct cairn_err *err)
{
    const struct cairn_decider *decider = &runner->decider;
    struct cairn_event *events = NULL;
    enum cairn_rc rc = decider->open_state(decider->self, spec->aggregate->name, NULL, state, err);
    rc = rc == CAIRN_OK
             ? cairn_spec_events_pack(spec->given, spec->given_count, &runner->arena, &events, err)
             : rc;
    for (size_t i = 0; rc == CAIRN_OK && i < spec->given_count; i++) {
        struct cairn_value data;
        rc = cairn_upcaster_data(runner->upcaster, &events[i], &runner->arena, &data, err);
        rc = rc == CAIRN_OK
                 ? decider->evolve(decider->self, spec->aggregate->name, *state, events[i].type,
                                   &data, &events[i], &runner->arena, err)
                 : rc;
    }
    return rc;
}

/* Decided events must match their schemas, as they would have to in production. */
static enum cairn_rc check_schema(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                                  const struct cairn_decided *decided, bool *passed,
                                  struct cairn_err *err)
{
    const struct cairn_domain_event *type = cairn_domain_event(runner->domain, decided->type);
    if (type == NULL) {
        head(runner, spec, passed);
        print_text(runner, '!', "there is no event", decided->type);
        return CAIRN_OK;
    }
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    enum cairn_rc rc =
        cairn_schema_check(type->schema, &decided->data, &runner->arena, &faults, &count, err);
    if (rc != CAIRN_ESCHEMA) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        head(runner, spec, passed);
        (void)fprintf(runner->out, "  ! %.*s%.*s: %.*s\n", CAIRN_SLICE_ARG(decided->type),
                      CAIRN_SLICE_ARG(faults[i].pointer), CAIRN_SLICE_ARG(faults[i].message));
    }
    return CAIRN_OK;
}

static bool same_events(const struct cairn_spec *spec, const struct cairn_decision *decision)
{
    if (decision->rejected || decision->count != spec->event_count) {
        return false;
    }
    for (size_t i = 0; i < decision->count; i++) {
        if (!cairn_slice_equal(decision->events[i].type, spec->events[i].type) ||
            !cairn_value_equal(&decision->events[i].data, &spec->events[i].data)) {
            return false;
        }
    }
    return true;
}

static bool same_rejection(const struct cairn_spec *spec, const struct cairn_decision *decision)
{
    return decision->rejected && cairn_slice_equal(decision->code, spec->code) &&
           (spec->detail.data == NULL || cairn_slice_equal(decision->detail, spec->detail));
}

/* "- expected" lines, then "+ got" lines. */
static void print_decision_diff(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                                const struct cairn_decision *decision)
{
    if (spec->outcome == CAIRN_SPEC_REJECTED) {
        print_text(runner, '-', "rejected", spec->code);
    }
    for (size_t i = 0; i < spec->event_count; i++) {
        print_value(runner, '-', spec->events[i].type, &spec->events[i].data);
    }
    if (spec->outcome == CAIRN_SPEC_EVENTS && spec->event_count == 0) {
        print_text(runner, '-', "no event", CAIRN_SLICE_NONE);
    }
    if (decision->rejected) {
        (void)fprintf(runner->out, "  + rejected %.*s (%.*s)\n", CAIRN_SLICE_ARG(decision->code),
                      CAIRN_SLICE_ARG(decision->detail));
    }
    for (size_t i = 0; i < decision->count; i++) {
        print_value(runner, '+', decision->events[i].type, &decision->events[i].data);
    }
    if (!decision->rejected && decision->count == 0) {
        print_text(runner, '+', "no event", CAIRN_SLICE_NONE);
    }
}

static enum cairn_rc compare_decision(struct cairn_spec_runner *runner,
                                      const struct cairn_spec *spec,
                                      const struct cairn_decision *decision, bool *passed,
                                      struct cairn_err *err)
{
    bool same = spec->outcome == CAIRN_SPEC_REJECTED ? same_rejection(spec, decision)
                                                     : same_events(spec, decision);
    if (!same) {
        head(runner, spec, passed);
        print_decision_diff(runner, spec, decision);
    }
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < decision->count; i++) {
        rc = check_schema(runner, spec, &decision->events[i], passed, err);
    }
    return rc;
}

static enum cairn_rc run_aggregate(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                                   bool *passed, struct cairn_err *err)
{
    const struct cairn_decider *decider = &runner->decider;
    struct cairn_decision decision = {.count = 0};
    cairn_state state = 0;
    const char *stream =
        cairn_arena_printf(&runner->arena, "%.*s-%.*s", CAIRN_SLICE_ARG(spec->aggregate->name),
                           CAIRN_SLICE_ARG(spec->id));
    if (stream == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    struct cairn_decide_context context = {
        .time_us = spec->time_us,
        .stream = cairn_slice_str(stream),
        .id = spec->id,
        .version = spec->given_count,
        .principal = spec->principal,
        .request_id = CAIRN_SLICE_LIT("spec"),
    };
    enum cairn_rc rc = fold(runner, spec, &state, err);
    rc = rc == CAIRN_OK ? decider->decide(decider->self, spec->command, state, &spec->data,
                                          &context, &runner->arena, &decision, err)
                        : rc;
    rc = rc == CAIRN_OK ? compare_decision(runner, spec, &decision, passed, err)
                        : script_failed(runner, spec, rc, err, passed);
    if (state != 0) {
        decider->close_state(decider->self, state);
    }
    return rc;
}

static const struct cairn_value *expected_row(const struct cairn_spec *spec, struct cairn_slice key)
{
    for (size_t i = 0; i < spec->row_count; i++) {
        if (cairn_slice_equal(spec->rows[i].key, key)) {
            return &spec->rows[i].document;
        }
    }
    return NULL;
}

/* Prints and tells the rows that differ. */
static void compare_rows(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                         const struct cairn_view_row *rows, size_t count, bool *passed)
{
    size_t matched = 0;
    for (size_t i = 0; i < count; i++) {
        const struct cairn_value *expected = expected_row(spec, rows[i].key);
        matched += expected != NULL;
        if (expected != NULL && cairn_value_equal(expected, &rows[i].document)) {
            continue;
        }
        head(runner, spec, passed);
        if (expected != NULL) {
            print_value(runner, '-', rows[i].key, expected);
        }
        print_value(runner, '+', rows[i].key, &rows[i].document);
    }
    for (size_t e = 0; matched < spec->row_count && e < spec->row_count; e++) {
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            found = found || cairn_slice_equal(rows[i].key, spec->rows[e].key);
        }
        if (!found) {
            head(runner, spec, passed);
            print_value(runner, '-', spec->rows[e].key, &spec->rows[e].document);
        }
    }
}

static enum cairn_rc project(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                             const struct cairn_event *events, bool *passed, struct cairn_err *err)
{
    struct cairn_view_row *rows = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_view_project(spec->view, runner->domain, events, spec->given_count,
                                          &runner->arena, &rows, &count, err);
    if (rc != CAIRN_OK) {
        return script_failed(runner, spec, rc, err, passed);
    }
    compare_rows(runner, spec, rows, count, passed);
    return CAIRN_OK;
}

/* In the written order first; then in others, because a view must not lean on the order between
 * streams. */
static enum cairn_rc run_view(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                              bool *passed, struct cairn_err *err)
{
    struct cairn_event *events = NULL;
    enum cairn_rc rc =
        cairn_spec_events_pack(spec->given, spec->given_count, &runner->arena, &events, err);
    rc = rc == CAIRN_OK ? project(runner, spec, events, passed, err) : rc;
    for (int i = 0; rc == CAIRN_OK && *passed && i < CAIRN_SPEC_SHUFFLES; i++) {
        uint64_t seed = runner->seed;
        if (!cairn_spec_events_shuffle(events, spec->given_count, &runner->seed)) {
            break;
        }
        rc = project(runner, spec, events, passed, err);
        if (rc == CAIRN_OK && !*passed) {
            (void)fprintf(runner->out,
                          "  ! the rows depend on the order between streams, which is not promised "
                          "(seed %" PRIu64 "); the events came in this order:\n",
                          seed);
            for (size_t e = 0; e < spec->given_count; e++) {
                (void)fprintf(runner->out, "    %.*s %" PRIu64 " %.*s\n",
                              CAIRN_SLICE_ARG(events[e].stream), events[e].version,
                              CAIRN_SLICE_ARG(events[e].type));
            }
        }
    }
    return rc;
}

enum cairn_rc cairn_spec_run(struct cairn_spec_runner *runner, const struct cairn_spec *spec,
                             bool *ret_passed, struct cairn_err *err)
{
    assert((spec->aggregate == NULL) != (spec->view == NULL));
    bool passed = true;
    cairn_arena_reset(&runner->arena);
    enum cairn_rc rc = spec->aggregate != NULL ? run_aggregate(runner, spec, &passed, err)
                                               : run_view(runner, spec, &passed, err);
    if (rc == CAIRN_OK) {
        *ret_passed = passed;
    }
    return rc;
}
