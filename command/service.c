#include "command/service.h"

#include <assert.h>
#include <stdio.h>

#include "command/answer.h"
#include "command/service_int.h"
#include "platform/mem.h"

/* Bytes that the answers of one lane may take while several lanes work for one caller. */
#define CAIRN_SHARE_ARENA_MAX ((size_t)256 << 20)

/* How an answer is counted: code, label. What is not here is "failed". */
static const struct {
    enum cairn_rc rc;
    const char *labels;
} outcome_labels[] = {
    {CAIRN_OK, "outcome=\"accepted\""},
    {CAIRN_EREJECTED, "outcome=\"rejected\""},
    {CAIRN_ECONFLICT, "outcome=\"version-conflict\""},
    {CAIRN_EKEYREUSED, "outcome=\"key-reused\""},
    {CAIRN_ESCRIPT, "outcome=\"decider-failed\""},
    {CAIRN_EBUSY, "outcome=\"overloaded\""},
    {CAIRN_ESTOPPED, "outcome=\"stopping\""},
    {CAIRN_EUNKNOWN, "outcome=\"outcome-unknown\""},
};

enum { OUTCOME_COUNT = sizeof(outcome_labels) / sizeof(outcome_labels[0]) };

struct cairn_service {
    struct cairn_store *store;
    const struct cairn_clock *clock;
    struct cairn_keys *keys; /* NULL with one lane */
    struct cairn_metric *outcomes[OUTCOME_COUNT];
    struct cairn_metric *replayed; /* outcome="replayed" */
    struct cairn_metric *failed;   /* outcome="failed" */
    struct cairn_metric *seconds;
    uint16_t lane_count;
    struct cairn_lane *lanes[];
};

/* One lane's part of what a caller asks. */
struct share {
    struct cairn_job job;
    uint32_t *order;
    struct cairn_arena arena;
};

/* ---- set up ---- */

static struct cairn_metric *add_metric(struct cairn_metrics *metrics, enum cairn_metric_kind kind,
                                       const char *name, const char *labels, const char *help)
{
    return metrics == NULL ? NULL : cairn_metrics_add(metrics, kind, name, labels, help);
}

static void add_metrics(struct cairn_service *service, struct cairn_metrics *metrics)
{
    static const char name[] = "cairn_commands_total";
    static const char help[] = "Commands answered, by outcome.";
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        service->outcomes[i] =
            add_metric(metrics, CAIRN_COUNTER, name, outcome_labels[i].labels, help);
    }
    service->replayed = add_metric(metrics, CAIRN_COUNTER, name, "outcome=\"replayed\"", help);
    service->failed = add_metric(metrics, CAIRN_COUNTER, name, "outcome=\"failed\"", help);
    service->seconds =
        add_metric(metrics, CAIRN_HISTOGRAM, "cairn_command_seconds", NULL,
                   "From submission to answer, one observation for each call of the service.");
}

/* Metrics that all lanes share. */
static void describe_lane(struct cairn_metrics *metrics, struct cairn_group_metrics *group,
                          struct cairn_lane_options *lane)
{
    *group = (struct cairn_group_metrics){
        .groups = add_metric(metrics, CAIRN_COUNTER, "cairn_groups_total", NULL,
                             "Groups of commands settled together."),
        .commands = add_metric(metrics, CAIRN_COUNTER, "cairn_group_commands_total", NULL,
                               "Commands in those groups."),
        .appends = add_metric(metrics, CAIRN_COUNTER, "cairn_group_appends_total", NULL,
                              "Commands whose events were given to the log."),
        .hits = add_metric(metrics, CAIRN_COUNTER, "cairn_cache_hits_total", NULL,
                           "Commands that found their aggregate's state in memory."),
        .misses = add_metric(metrics, CAIRN_COUNTER, "cairn_cache_misses_total", NULL,
                             "Commands whose aggregate's state had to be loaded."),
    };
    lane->metrics = group;
    lane->replayed = add_metric(metrics, CAIRN_COUNTER, "cairn_events_replayed_total", NULL,
                                "Events read to load the states of aggregates.");
    lane->snapshots = add_metric(metrics, CAIRN_COUNTER, "cairn_snapshots_total", NULL,
                                 "Snapshots of aggregates written.");
}

static enum cairn_rc add_lanes(struct cairn_service *service,
                               const struct cairn_service_options *options, bool threads,
                               struct cairn_err *err)
{
    struct cairn_group_metrics group;
    struct cairn_lane_options lane = {.service = options, .keys = service->keys, .writer = threads};
    describe_lane(options->metrics, &group, &lane);
    for (uint16_t i = 0; i < service->lane_count; i++) {
        char labels[32];
        (void)snprintf(labels, sizeof(labels), "partition=\"%u\"", (unsigned)i);
        lane.lane = i;
        lane.queued = add_metric(options->metrics, CAIRN_GAUGE, "cairn_queue_commands", labels,
                                 "Commands waiting for their turn.");
        enum cairn_rc rc = cairn_lane_new(&lane, &service->lanes[i], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc make_service(const struct cairn_service_options *options, bool threads,
                                  struct cairn_service **ret_service, struct cairn_err *err)
{
    assert(options->domain != NULL && options->store != NULL);
    assert(options->clock != NULL && options->random != NULL);
    uint16_t lanes = cairn_store_lanes(options->store);
    assert(lanes > 0);
    struct cairn_service *service =
        cairn_mem_zalloc(1, sizeof(*service) + lanes * sizeof(service->lanes[0]));
    if (service == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the command service");
    }
    service->store = options->store;
    service->clock = options->clock;
    service->lane_count = lanes;
    enum cairn_rc rc = CAIRN_OK;
    if (lanes > 1) {
        service->keys = cairn_keys_new((size_t)lanes * CAIRN_GROUP_COMMANDS_MAX);
        if (service->keys == NULL) {
            rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the keys in flight");
        }
    }
    if (rc == CAIRN_OK) {
        add_metrics(service, options->metrics);
        rc = add_lanes(service, options, threads, err);
    }
    if (rc != CAIRN_OK) {
        cairn_service_free(service);
        return rc;
    }
    *ret_service = service;
    return CAIRN_OK;
}

enum cairn_rc cairn_service_new(const struct cairn_service_options *options,
                                struct cairn_service **ret_service, struct cairn_err *err)
{
    return make_service(options, true, ret_service, err);
}

enum cairn_rc cairn_service_new_unthreaded(const struct cairn_service_options *options,
                                           struct cairn_service **ret_service,
                                           struct cairn_err *err)
{
    return make_service(options, false, ret_service, err);
}

struct cairn_lane *cairn_service_lane(struct cairn_service *service, uint16_t lane)
{
    assert(lane < service->lane_count);
    return service->lanes[lane];
}

void cairn_service_free(struct cairn_service *service)
{
    if (service == NULL) {
        return;
    }
    for (uint16_t i = 0; i < service->lane_count; i++) {
        cairn_lane_free(service->lanes[i]);
    }
    cairn_keys_free(service->keys);
    cairn_mem_free(service);
}

/* ---- execute ---- */

static void count_answers(struct cairn_service *service, const struct cairn_answer *answers,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cairn_metric *metric = answers[i].replayed ? service->replayed : service->failed;
        for (size_t k = 0; k < OUTCOME_COUNT && !answers[i].replayed; k++) {
            if (outcome_labels[k].rc == answers[i].rc) {
                metric = service->outcomes[k];
                break;
            }
        }
        cairn_metric_inc(metric, 1);
    }
}

/* Which lane a command belongs to. Its id is valid: the door has looked. */
static uint16_t find_lane(const struct cairn_service *service, const struct cairn_command *command)
{
    char name[CAIRN_STREAM_BYTES_MAX];
    struct cairn_slice aggregate = command->command->aggregate;
    assert(aggregate.size <= CAIRN_AGGREGATE_BYTES_MAX);
    assert(command->id.size > 0 && command->id.size <= CAIRN_ID_BYTES_MAX);
    memcpy(name, aggregate.data, aggregate.size);
    name[aggregate.size] = '-';
    memcpy(name + aggregate.size + 1, command->id.data, command->id.size);
    struct cairn_slice stream = cairn_slice_of(name, aggregate.size + 1 + command->id.size);
    uint16_t lane = cairn_store_lane_of(service->store, stream);
    assert(lane < service->lane_count);
    return lane;
}

/* Sort the commands into the shares of their lanes. False: memory is out. */
static bool share_out(struct cairn_service *service, const struct cairn_command *commands,
                      struct cairn_answer *answers, size_t count, struct cairn_arena *arena,
                      struct share *shares)
{
    uint16_t *lanes = cairn_arena_alloc(arena, count * sizeof(*lanes));
    if (lanes == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        lanes[i] = find_lane(service, &commands[i]);
        shares[lanes[i]].job.count++;
    }
    for (uint16_t lane = 0; lane < service->lane_count; lane++) {
        struct share *share = &shares[lane];
        if (share->job.count == 0) {
            continue;
        }
        share->arena.max = CAIRN_SHARE_ARENA_MAX;
        share->order = cairn_arena_alloc(arena, share->job.count * sizeof(*share->order));
        if (share->order == NULL) {
            return false;
        }
        share->job.commands = commands;
        share->job.answers = answers;
        share->job.order = share->order;
        share->job.arena = &share->arena;
        share->job.count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct share *share = &shares[lanes[i]];
        share->order[share->job.count] = (uint32_t)i;
        share->job.count++;
    }
    return true;
}

static void fail_all(struct cairn_answer *answers, size_t count)
{
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_ENOMEM, "no memory to hand out %zu commands", count);
    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct cairn_answer){0};
        cairn_answer_fail(&answers[i], &err);
    }
}

/* Several lanes work at once, so each gets an arena of its own, and the answers are copied out when
 * all are done. */
static void execute_shares(struct cairn_service *service, const struct cairn_command *commands,
                           struct cairn_answer *answers, size_t count, struct cairn_arena *arena)
{
    struct share *shares = cairn_arena_zalloc(arena, service->lane_count, sizeof(*shares));
    if (shares == NULL || !share_out(service, commands, answers, count, arena, shares)) {
        fail_all(answers, count);
        return;
    }
    for (uint16_t lane = 0; lane < service->lane_count; lane++) {
        if (shares[lane].job.count > 0) {
            cairn_lane_begin(service->lanes[lane], &shares[lane].job);
        }
    }
    for (uint16_t lane = 0; lane < service->lane_count; lane++) {
        if (shares[lane].job.count > 0) {
            cairn_lane_end(service->lanes[lane], &shares[lane].job);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct cairn_answer copy;
        cairn_answer_copy(&answers[i], arena, &copy); /* a failed copy says so itself */
        answers[i] = copy;
    }
    for (uint16_t lane = 0; lane < service->lane_count; lane++) {
        cairn_arena_fini(&shares[lane].arena);
    }
}

void cairn_service_execute(struct cairn_service *service, const struct cairn_command *commands,
                           struct cairn_answer *answers, size_t count, struct cairn_arena *arena)
{
    assert(count == 0 || (commands != NULL && answers != NULL));
    assert(count <= UINT32_MAX);
    if (count == 0) {
        return;
    }
    int64_t begin_ns = cairn_clock_monotonic_ns(service->clock);
    if (service->lane_count == 1 || count == 1) {
        uint16_t lane = service->lane_count == 1 ? 0 : find_lane(service, &commands[0]);
        struct cairn_job job = {
            .commands = commands, .answers = answers, .count = count, .arena = arena};
        cairn_lane_execute(service->lanes[lane], &job);
    } else {
        execute_shares(service, commands, answers, count, arena);
    }
    cairn_metric_observe_ns(service->seconds, cairn_clock_monotonic_ns(service->clock) - begin_ns);
    count_answers(service, answers, count);
}
