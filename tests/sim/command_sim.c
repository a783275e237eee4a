/* A simulation of the command path: the real service on the real store, but clock, randomness,
 * disk and the order in which commands meet all come from a seed.
 *
 * Clients send commands, some of them twice, some with lost answers; the disk fills up, refuses a
 * sync, or dies between any two operations and comes back with what a power cut leaves. After every
 * reboot the whole log is compared with what the clients were told.
 *
 * Usage: sim_command FIRST_SEED COUNT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command/fingerprint.h"
#include "command/service_int.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_model.h"

enum { STEPS = 150, JOBS_MAX = 6, JOB_COMMANDS_MAX = 5, ROOT_MAX = 64 };

struct sim {
    struct cairn_sim_random random;
    struct cairn_sim_disk disk;
    int64_t time_us;
    struct cairn_clock clock;
    struct cairn_random entropy;
    char root[ROOT_MAX];
    char data[ROOT_MAX + 8];
    struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_service *service;
    uint16_t partitions;
    struct cairn_sim_model model;
    unsigned reboots;
};

/* One client's commands of a step, all for one lane. */
struct job {
    struct cairn_job job;
    struct cairn_command commands[JOB_COMMANDS_MAX];
    struct cairn_answer answers[JOB_COMMANDS_MAX];
    struct cairn_value data[JOB_COMMANDS_MAX];
    struct cairn_member members[JOB_COMMANDS_MAX];
    char ids[JOB_COMMANDS_MAX][8];
    struct cairn_sim_deed *deeds[JOB_COMMANDS_MAX];
    struct cairn_arena arena;
    uint16_t partition;
    bool waits; /* in the queue */
};

static void must(enum cairn_rc rc, const struct cairn_err *err)
{
    CAIRN_SIM_CHECK(rc == CAIRN_OK, "%s: %s", cairn_err_info(rc)->name, err->text);
}

/* ---- the world ---- */

static int64_t now_us(void *self)
{
    return ((const struct sim *)self)->time_us;
}

static int64_t monotonic_ns(void *self)
{
    return ((const struct sim *)self)->time_us * 1000;
}

static void fill(void *self, void *out, size_t size)
{
    struct sim *sim = self;
    unsigned char *bytes = out;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)cairn_sim_next(&sim->random);
    }
}

/* Open store and service. False: the disk struck meanwhile. */
static bool start(struct sim *sim)
{
    struct cairn_err err;
    const struct cairn_store_options store = {
        .data_folder = sim->data,
        .log = "files",
        .writer = true,
        .partitions = sim->partitions,
        .domain = cairn_domain_name(sim->domain),
        .segment_bytes = 1u << 20,
        .clock = &sim->clock,
        .disk = &sim->disk.face,
        .manual_flush = true,
    };
    enum cairn_rc rc = cairn_store_open(&store, &sim->store, &err);
    if (rc != CAIRN_OK) {
        CAIRN_SIM_CHECK(sim->disk.dead || rc == CAIRN_EFULL || rc == CAIRN_EIO, "open: %s: %s",
                        cairn_err_info(rc)->name, err.text);
        sim->store = NULL;
        return false;
    }
    const struct cairn_service_options service = {
        .domain = sim->domain,
        .store = sim->store,
        .clock = &sim->clock,
        .random = &sim->entropy,
        .cache_aggregates = 1 + (size_t)cairn_sim_below(&sim->random, 10),
    };
    must(cairn_service_new_unthreaded(&service, &sim->service, &err), &err);
    return true;
}

static void stop(struct sim *sim)
{
    cairn_service_free(sim->service);
    cairn_store_close(sim->store);
    sim->service = NULL;
    sim->store = NULL;
}

static void send_unknown(struct sim *sim);

/* The machine goes down and comes up, until it stays up; then everything is compared. */
static void reboot(struct sim *sim)
{
    struct cairn_err err;
    char index[ROOT_MAX + 16];
    sim->reboots++;
    stop(sim);
    do {
        cairn_sim_disk_reboot(&sim->disk);
        if (cairn_sim_chance(&sim->random, 30)) {
            (void)snprintf(index, sizeof(index), "%s/index", sim->data);
            must(cairn_file_remove_tree(index, &err), &err);
        }
        if (cairn_sim_chance(&sim->random, 20)) {
            /* Recovery itself may be cut short. */
            cairn_sim_disk_arm(&sim->disk, CAIRN_SIM_CRASH, 1 + cairn_sim_below(&sim->random, 5));
        }
    } while (!start(sim));
    cairn_sim_model_check(&sim->model, sim->store);
}

/* ---- clients ---- */

static struct cairn_sim_deed *new_deed(struct sim *sim)
{
    struct cairn_sim_model *model = &sim->model;
    CAIRN_SIM_CHECK(model->count < CAIRN_SIM_DEEDS_MAX, "too many deeds");
    struct cairn_sim_deed *deed = &model->deeds[model->count];
    *deed = (struct cairn_sim_deed){
        .account = (unsigned)cairn_sim_below(&sim->random, CAIRN_SIM_ACCOUNTS_MAX),
        .amount = 1 + (int64_t)cairn_sim_below(&sim->random, 100),
    };
    /* Mostly money in and out; now and then the ends of an account's life. */
    uint64_t dice = cairn_sim_below(&sim->random, 100);
    deed->command = dice < 15 ? 0 : dice < 60 ? 1 : dice < 99 ? 2 : 3;
    if (cairn_sim_chance(&sim->random, 85)) {
        (void)snprintf(deed->key, sizeof(deed->key), "key-%zu", model->count);
    }
    model->count++;
    return deed;
}

/* A deed to send: new, or an old one with a key again. */
static struct cairn_sim_deed *choose_deed(struct sim *sim)
{
    if (sim->model.count > 0 && cairn_sim_chance(&sim->random, 25)) {
        size_t back = (size_t)cairn_sim_below(&sim->random, sim->model.count);
        struct cairn_sim_deed *deed = &sim->model.deeds[back];
        if (deed->key[0] != '\0') {
            return deed;
        }
    }
    return new_deed(sim);
}

static void add_command(struct sim *sim, struct job *job, struct cairn_sim_deed *deed)
{
    size_t i = job->job.count;
    struct cairn_slice aggregate = CAIRN_SLICE_LIT("account");
    assert(i < JOB_COMMANDS_MAX);
    (void)snprintf(job->ids[i], sizeof(job->ids[i]), "%u", deed->account);
    job->members[i] =
        (struct cairn_member){cairn_value_string(deed->command == 0 ? CAIRN_SLICE_LIT("owner")
                                                                    : CAIRN_SLICE_LIT("amount")),
                              deed->command == 0 ? cairn_value_string(CAIRN_SLICE_LIT("Ada"))
                                                 : cairn_value_int(deed->amount)};
    job->data[i] = (struct cairn_value){.type = CAIRN_MAP,
                                        .count = deed->command == 3 ? 0 : 1,
                                        .as = {.members = &job->members[i]}};
    struct cairn_command *command = &job->commands[i];
    *command = (struct cairn_command){
        .command = cairn_domain_command(sim->domain, aggregate,
                                        cairn_slice_str(CAIRN_SIM_COMMANDS[deed->command])),
        .id = cairn_slice_str(job->ids[i]),
        .data = &job->data[i],
        .key = cairn_slice_str(deed->key),
        .expected = CAIRN_EXPECT_ANY,
        .request_id = CAIRN_SLICE_LIT("request"),
    };
    cairn_command_fingerprint(aggregate, command->id, command->command->name, command->data,
                              command->fingerprint);
    job->deeds[i] = deed;
    job->job.count++;
}

static uint16_t lane_of(const struct sim *sim, const struct cairn_sim_deed *deed)
{
    char stream[24];
    (void)snprintf(stream, sizeof(stream), "account-%u", deed->account);
    return cairn_store_lane_of(sim->store, cairn_slice_str(stream));
}

static void begin_job(struct job *job, uint16_t partition)
{
    *job = (struct job){.partition = partition, .arena = {.max = 4u << 20}};
    job->job.commands = job->commands;
    job->job.answers = job->answers;
    job->job.arena = &job->arena;
}

static void queue_job(struct sim *sim, struct job *job)
{
    job->waits = cairn_lane_enqueue(cairn_service_lane(sim->service, job->partition), &job->job);
}

/* The client hears its answers, or the connection breaks before it does. */
static void end_job(struct sim *sim, struct job *job)
{
    for (size_t i = 0; i < job->job.count; i++) {
        struct cairn_answer *answer = &job->answers[i];
        if (cairn_sim_chance(&sim->random, 5)) {
            struct cairn_err err;
            (void)CAIRN_FAIL(&err, CAIRN_EUNKNOWN, "the connection broke");
            *answer = (struct cairn_answer){.rc = CAIRN_EUNKNOWN, .err = err};
        }
        cairn_sim_model_answer(&sim->model, job->deeds[i], answer);
    }
    cairn_arena_fini(&job->arena);
}

static void drain(struct sim *sim)
{
    uint16_t first = (uint16_t)cairn_sim_below(&sim->random, sim->partitions);
    for (uint16_t i = 0; i < sim->partitions; i++) {
        cairn_lane_drain(
            cairn_service_lane(sim->service, (uint16_t)((first + i) % sim->partitions)));
    }
}

/* Some clients send at once; the lanes settle all of it. */
static void send_some(struct sim *sim)
{
    static struct job jobs[JOBS_MAX];
    size_t count = 1 + (size_t)cairn_sim_below(&sim->random, JOBS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct cairn_sim_deed *deed = choose_deed(sim);
        size_t wanted = 1 + (size_t)cairn_sim_below(&sim->random, JOB_COMMANDS_MAX);
        begin_job(&jobs[i], lane_of(sim, deed));
        add_command(sim, &jobs[i], deed);
        while (jobs[i].job.count < wanted) {
            deed = choose_deed(sim);
            if (lane_of(sim, deed) == jobs[i].partition) {
                add_command(sim, &jobs[i], deed);
            } else {
                wanted--;
            }
        }
        queue_job(sim, &jobs[i]);
    }
    drain(sim);
    for (size_t i = 0; i < count; i++) {
        end_job(sim, &jobs[i]);
    }
}

/* Ask for every outcome that is not known, with its key. */
static void send_unknown(struct sim *sim)
{
    static struct job job;
    for (size_t i = 0; i < sim->model.count; i++) {
        struct cairn_sim_deed *deed = &sim->model.deeds[i];
        if (deed->fate != CAIRN_SIM_UNKNOWN || deed->key[0] == '\0') {
            continue;
        }
        bool there = deed->seen;
        begin_job(&job, lane_of(sim, deed));
        add_command(sim, &job, deed);
        queue_job(sim, &job);
        drain(sim);
        const struct cairn_answer *answer = &job.answers[0];
        CAIRN_SIM_CHECK(!there || sim->disk.dead || (answer->rc == CAIRN_OK && answer->replayed),
                        "key %s is in the log, but not replayed: %s %s", deed->key,
                        cairn_err_info(answer->rc)->name, answer->err.text);
        cairn_sim_model_answer(&sim->model, deed, &job.answers[0]);
        cairn_arena_fini(&job.arena);
    }
}

/* ---- the run ---- */

static void arm_something(struct sim *sim)
{
    static const enum cairn_sim_fault FAULTS[] = {CAIRN_SIM_CRASH, CAIRN_SIM_CRASH, CAIRN_SIM_FULL,
                                                  CAIRN_SIM_SICK};
    if (sim->disk.fault_in == 0 && cairn_sim_chance(&sim->random, 15)) {
        cairn_sim_disk_arm(&sim->disk, FAULTS[cairn_sim_below(&sim->random, 4)],
                           1 + cairn_sim_below(&sim->random, 12));
    }
}

static void step(struct sim *sim)
{
    struct cairn_err err;
    arm_something(sim);
    /* Clocks step back, too. */
    sim->time_us += (int64_t)cairn_sim_below(&sim->random, 3000) - 500;
    send_some(sim);
    if (!sim->disk.dead && cairn_sim_chance(&sim->random, 10)) {
        enum cairn_rc rc = cairn_store_flush(sim->store, &err);
        CAIRN_SIM_CHECK(rc == CAIRN_OK || cairn_store_stopped(sim->store, NULL), "flush: %s",
                        err.text);
    }
    if (sim->disk.dead || cairn_store_stopped(sim->store, NULL) ||
        cairn_sim_chance(&sim->random, 2)) {
        reboot(sim);
        if (cairn_sim_chance(&sim->random, 50)) {
            send_unknown(sim);
        }
    }
}

static void open_sim(struct sim *sim, uint64_t seed)
{
    struct cairn_err err;
    const char *base = getenv("TMPDIR");
    sim->random.state = seed;
    sim->time_us = 1767225600000000;
    sim->clock = (struct cairn_clock){.now_us = now_us, .monotonic_ns = monotonic_ns, .self = sim};
    sim->entropy = (struct cairn_random){.fill = fill, .self = sim};
    (void)snprintf(sim->root, sizeof(sim->root), "%s/cairn-sim-XXXXXX",
                   base != NULL && strlen(base) < ROOT_MAX - 20 ? base : "/tmp");
    CAIRN_SIM_CHECK(mkdtemp(sim->root) != NULL, "%s", sim->root);
    (void)snprintf(sim->data, sizeof(sim->data), "%s/data", sim->root);
    sim->partitions = cairn_sim_chance(&sim->random, 50) ? 1 : 3;
    cairn_sim_disk_init(&sim->disk, &sim->random);
    must(cairn_domain_load(CAIRN_SOURCE_DIR "/examples/bank", &sim->domain, &err), &err);
    CAIRN_SIM_CHECK(start(sim), "the first start");
}

static void run(uint64_t seed)
{
    struct cairn_err err;
    struct sim *sim = calloc(1, sizeof(*sim));
    CAIRN_SIM_CHECK(sim != NULL, "memory");
    (void)printf("seed %" PRIu64 ": ", seed);
    (void)fflush(stdout);
    open_sim(sim, seed);
    for (int i = 0; i < STEPS; i++) {
        step(sim);
    }
    /* Once more, without trouble: every question gets its answer. */
    reboot(sim);
    sim->disk.fault_in = 0;
    if (sim->disk.dead || cairn_store_stopped(sim->store, NULL)) {
        reboot(sim);
        sim->disk.fault_in = 0;
    }
    send_unknown(sim);
    cairn_sim_model_check(&sim->model, sim->store);
    size_t accepted = 0;
    for (size_t i = 0; i < sim->model.count; i++) {
        accepted += sim->model.deeds[i].fate == CAIRN_SIM_ACCEPTED;
        CAIRN_SIM_CHECK(sim->model.deeds[i].key[0] == '\0' ||
                            sim->model.deeds[i].fate != CAIRN_SIM_UNKNOWN,
                        "key %s is still unknown", sim->model.deeds[i].key);
    }
    (void)printf("%zu commands, %zu accepted, %u reboots\n", sim->model.count, accepted,
                 sim->reboots);
    stop(sim);
    cairn_domain_free(sim->domain);
    cairn_sim_disk_fini(&sim->disk);
    must(cairn_file_remove_tree(sim->root, &err), &err);
    free(sim);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed);
    }
    return 0;
}
