#include "eventstore/kafka_control.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "platform/fault.h"
#include "tests/integration/eventstore/kafka_stage.h"

#include "tests/support/cm.h"

enum { LANES = 4, WAIT_MS = 60000, ROUNDS = 5, RESTARTS_MAX = 10, TEXT_MAX = 64 };

/* A node, and what its callbacks were told. */
struct node {
    struct cairn_kafka_control *control;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned held, serving; /* lanes, a bit each */
    unsigned takes;
    unsigned failing; /* takes that shall fail */
    uint16_t fence_ids;
    FILE *out; /* of another process: lines for who started it */
};

static enum cairn_rc take(void *self, uint16_t lane, uint16_t fence_ids, struct cairn_err *err)
{
    struct node *node = self;
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_mutex_lock(&node->lock);
    node->takes++;
    node->fence_ids = fence_ids;
    if (node->failing > 0) {
        node->failing--;
        rc = CAIRN_FAIL(err, CAIRN_EIO, "as the test wants it");
    } else {
        assert_int_equal(node->held & (1u << lane), 0);
        node->held |= 1u << lane;
    }
    (void)pthread_cond_broadcast(&node->changed);
    (void)pthread_mutex_unlock(&node->lock);
    return rc;
}

static void serve(void *self, uint16_t lane)
{
    struct node *node = self;
    (void)pthread_mutex_lock(&node->lock);
    assert_int_equal((node->held & ~node->serving) & (1u << lane), 1u << lane);
    node->serving |= 1u << lane;
    if (node->out != NULL) {
        (void)fprintf(node->out, "serve %u\n", (unsigned)lane);
        (void)fflush(node->out);
    }
    (void)pthread_cond_broadcast(&node->changed);
    (void)pthread_mutex_unlock(&node->lock);
}

static void stop(void *self, uint16_t lane)
{
    struct node *node = self;
    (void)pthread_mutex_lock(&node->lock);
    assert_int_equal(node->held & (1u << lane), 1u << lane);
    node->held &= ~(1u << lane);
    node->serving &= ~(1u << lane);
    if (node->out != NULL) {
        (void)fprintf(node->out, "stop %u\n", (unsigned)lane);
        (void)fflush(node->out);
    }
    (void)pthread_cond_broadcast(&node->changed);
    (void)pthread_mutex_unlock(&node->lock);
}

static struct cairn_kafka_control_options options_of(struct kafka_stage *stage, struct node *node,
                                                     const char *id)
{
    return (struct cairn_kafka_control_options){.kafka = stage->options,
                                                .layout = &stage->layout,
                                                .node = id,
                                                .url = "http://127.0.0.1:1",
                                                .ids = 3,
                                                .candidate = true,
                                                .clock = cairn_clock_system(),
                                                .take = take,
                                                .serve = serve,
                                                .stop = stop,
                                                .self = node};
}

static void node_init(struct node *node)
{
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&node->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static void node_fini(struct node *node)
{
    assert_int_equal(node->held, 0);
    (void)pthread_cond_destroy(&node->changed);
    (void)pthread_mutex_destroy(&node->lock);
}

static void node_begin(struct kafka_stage *stage, struct node *node, const char *id)
{
    struct cairn_err err;
    node_init(node);
    const struct cairn_kafka_control_options options = options_of(stage, node, id);
    assert_ok(cairn_kafka_control_open(&options, &node->control, &err), &err);
}

static void node_end(struct node *node)
{
    cairn_kafka_control_close(node->control);
    node_fini(node);
}

static unsigned count_bits(unsigned bits)
{
    return (unsigned)__builtin_popcount(bits);
}

/* Until the node serves so many lanes; ret may be NULL. */
static void await_lanes(struct node *node, unsigned count, unsigned *ret_lanes)
{
    struct timespec until;
    int timed_out = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_MS / 1000;
    (void)pthread_mutex_lock(&node->lock);
    while (count_bits(node->serving) != count && timed_out == 0) {
        timed_out = pthread_cond_timedwait(&node->changed, &node->lock, &until);
    }
    unsigned lanes = node->serving;
    (void)pthread_mutex_unlock(&node->lock);
    if (count_bits(lanes) != count) {
        fail_msg("%u lanes are served, not %u", count_bits(lanes), count);
    }
    if (ret_lanes != NULL) {
        *ret_lanes = lanes;
    }
}

/* Until take was called so often. */
static void await_takes(struct node *node, unsigned count)
{
    (void)pthread_mutex_lock(&node->lock);
    while (node->takes < count) {
        (void)pthread_cond_wait(&node->changed, &node->lock);
    }
    (void)pthread_mutex_unlock(&node->lock);
}

/* ---- the topic ---- */

static void stage_begin(struct kafka_stage *stage)
{
    struct cairn_err err;
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    char text[256];
    kafka_stage_init(stage, LANES);
    cairn_kafka_layout_topic_name(&stage->layout, stage->layout.topic_count, name);
    rd_kafka_t *admin = NULL;
    const struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_ADMIN};
    assert_ok(cairn_kafka_handle_new(&stage->options, &handle, &admin, &err), &err);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, 1, text, sizeof(text));
    assert_non_null(topic);
    assert_int_equal(rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact"),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_CreateTopics(admin, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    cairn_kafka_handle_free(admin);
}

static void stage_end(struct kafka_stage *stage)
{
    struct cairn_err err;
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    cairn_kafka_layout_topic_name(&stage->layout, stage->layout.topic_count, name);
    rd_kafka_t *admin = NULL;
    const struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_ADMIN};
    assert_ok(cairn_kafka_handle_new(&stage->options, &handle, &admin, &err), &err);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(admin, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    cairn_kafka_handle_free(admin);
    kafka_stage_fini(stage);
}

/* Put a record of the control topic there past our own code. */
static void forge(struct kafka_stage *stage, const struct cairn_control_record *record)
{
    struct cairn_err err;
    struct cairn_buf key = {.max = CAIRN_CONTROL_KEY_MAX};
    struct cairn_buf value = {.max = CAIRN_CONTROL_VALUE_MAX};
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    rd_kafka_t *producer = NULL;
    const struct cairn_kafka_handle_options handle = {.kind = CAIRN_KAFKA_PRODUCER};
    cairn_kafka_layout_topic_name(&stage->layout, stage->layout.topic_count, name);
    assert_int_equal(cairn_control_write(record, &key, &value), CAIRN_OK);
    assert_ok(cairn_kafka_handle_new(&stage->options, &handle, &producer, &err), &err);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = name},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = key.data, key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = value.data, value.size}},
    };
    assert_null(rd_kafka_produceva(producer, parts, sizeof(parts) / sizeof(parts[0])));
    assert_int_equal(rd_kafka_flush(producer, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    cairn_kafka_handle_free(producer);
    cairn_buf_fini(&key);
    cairn_buf_fini(&value);
}

/* ---- another process ---- */

struct process {
    pid_t pid;
    FILE *lines; /* what its callbacks say */
};

static struct process start_process(struct kafka_stage *stage, const char *id)
{
    char program[] = "/proc/self/exe";
    char word[] = "node";
    char name[TEXT_MAX];
    int ends[2];
    (void)snprintf(name, sizeof(name), "%s", id);
    assert_int_equal(pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    char *arguments[] = {program, word, stage->layout.domain, name, NULL};
    struct process process = {.pid = -1};
    assert_int_equal(posix_spawn(&process.pid, program, &actions, NULL, arguments, environ), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    (void)close(ends[1]);
    process.lines = fdopen(ends[0], "r");
    assert_non_null(process.lines);
    return process;
}

/* Until `count` lines of that kind came; the lanes that they name. */
static unsigned await_lines(struct process *process, const char *word, unsigned count)
{
    char line[TEXT_MAX];
    unsigned lanes = 0;
    while (count > 0) {
        assert_non_null(fgets(line, sizeof(line), process->lines));
        if (strncmp(line, word, strlen(word)) == 0) {
            lanes |= 1u << strtoul(line + strlen(word), NULL, 10);
            count--;
        }
    }
    return lanes;
}

static void end_process(struct process *process)
{
    int status = 0;
    (void)kill(process->pid, SIGKILL);
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    (void)fclose(process->lines);
}

/* For main: runs a node until it is killed. */
static void node_main(int argc, char **argv)
{
    if (argc != 4 || strcmp(argv[1], "node") != 0) {
        return;
    }
    struct kafka_stage stage;
    struct node node = {.out = stdout};
    kafka_stage_join(&stage, LANES, argv[2]);
    node_begin(&stage, &node, argv[3]);
    for (;;) {
        (void)pause();
    }
}

/* ---- claims ---- */

/* A log with one node that serves every lane. */
static void begin_alone(struct kafka_stage *stage, struct node *node)
{
    stage_begin(stage);
    node_begin(stage, node, "one");
    await_lanes(node, LANES, NULL);
}

static void a_lone_node_serves_every_lane(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    stage_begin(&stage);
    double from = kafka_stage_now_ms();
    node_begin(&stage, &node, "one");
    await_lanes(&node, LANES, NULL);
    print_message("start to serving all lanes: %.0f ms\n", kafka_stage_now_ms() - from);
    for (unsigned lane = 0; lane < LANES; lane++) {
        struct cairn_lane_owner owner;
        cairn_kafka_control_owner(node.control, (uint16_t)lane, &owner);
        assert_int_equal(owner.state, CAIRN_LANE_OWNED);
        assert_true(owner.mine);
        assert_int_equal(owner.term, 1);
        assert_int_equal(owner.ids, 3);
        assert_string_equal(owner.node, "one");
        assert_string_equal(owner.url, "http://127.0.0.1:1");
    }
    assert_int_equal(cairn_kafka_control_nodes(node.control), 1);
    node_end(&node);
    stage_end(&stage);
}

static void two_nodes_share_and_one_that_closes_leaves_all_to_the_other(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node one = {.held = 0};
    struct node two = {.held = 0};
    unsigned lanes = 0;
    stage_begin(&stage);
    node_begin(&stage, &one, "one");
    await_lanes(&one, LANES, NULL);
    double from = kafka_stage_now_ms();
    node_begin(&stage, &two, "two");
    await_lanes(&two, LANES / 2, &lanes);
    print_message("join to serving its share: %.0f ms\n", kafka_stage_now_ms() - from);
    await_lanes(&one, LANES / 2, NULL);
    assert_int_equal(lanes, 0xc); /* the highest are given up */
    assert_int_equal(two.fence_ids, 3);
    assert_int_equal(two.takes, 2);
    from = kafka_stage_now_ms();
    node_end(&two);
    double closed = kafka_stage_now_ms();
    await_lanes(&one, LANES, NULL);
    print_message("close: %.0f ms; all lanes served by the other after %.0f ms\n", closed - from,
                  kafka_stage_now_ms() - from);
    assert_int_equal(cairn_kafka_control_nodes(one.control), 1);
    node_end(&one);
    stage_end(&stage);
}

static void a_node_that_was_killed_is_taken_over(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    double best = WAIT_MS;
    stage_begin(&stage);
    node_begin(&stage, &node, "one");
    for (unsigned i = 0; i < ROUNDS; i++) {
        char id[TEXT_MAX];
        await_lanes(&node, LANES, NULL);
        (void)snprintf(id, sizeof(id), "victim-%u", i);
        struct process process = start_process(&stage, id);
        (void)await_lines(&process, "serve ", LANES / 2);
        await_lanes(&node, LANES / 2, NULL);
        double from = kafka_stage_now_ms();
        end_process(&process);
        await_lanes(&node, LANES, NULL);
        double took = kafka_stage_now_ms() - from;
        print_message("killed to all lanes served: %.0f ms\n", took);
        best = took < best ? took : best;
    }
    assert_true(best < 5000); /* a loaded machine; a quiet one needs less than 600 */
    node_end(&node);
    stage_end(&stage);
}

static void a_paused_node_lets_go_when_it_wakes_and_gets_its_share_again(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    begin_alone(&stage, &node);
    struct process process = start_process(&stage, "zombie");
    unsigned had = await_lines(&process, "serve ", LANES / 2);
    assert_int_equal(kill(process.pid, SIGSTOP), 0);
    await_lanes(&node, LANES, NULL);
    struct cairn_lane_owner owner;
    cairn_kafka_control_owner(node.control, 3, &owner);
    assert_true(owner.mine);
    assert_int_equal(kill(process.pid, SIGCONT), 0);
    assert_int_equal(await_lines(&process, "stop ", LANES / 2), had);
    (void)await_lines(&process, "serve ", LANES / 2);
    await_lanes(&node, LANES / 2, NULL);
    end_process(&process);
    node_end(&node);
    stage_end(&stage);
}

static void a_node_that_restarts_has_its_lanes_back_at_once(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    begin_alone(&stage, &node);
    struct process process = start_process(&stage, "two");
    unsigned had = await_lines(&process, "serve ", LANES / 2);
    await_lanes(&node, LANES / 2, NULL);
    /* Where it takes longer than a node may be silent, the other has its lanes meanwhile, and it
     * gets a share anew: again, with that. */
    unsigned has = 0;
    for (unsigned i = 0; i < RESTARTS_MAX && has != had; i++) {
        had = has == 0 ? had : has;
        end_process(&process);
        double from = kafka_stage_now_ms();
        process = start_process(&stage, "two");
        has = await_lines(&process, "serve ", LANES / 2);
        print_message("restart to serving its share: %.0f ms\n", kafka_stage_now_ms() - from);
        await_lanes(&node, LANES / 2, NULL);
    }
    assert_int_equal(has, had);
    end_process(&process);
    node_end(&node);
    stage_end(&stage);
}

static void a_younger_process_of_the_same_id_replaces_the_older(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node older = {.held = 0};
    struct node younger = {.held = 0};
    stage_begin(&stage);
    node_begin(&stage, &older, "one");
    await_lanes(&older, LANES, NULL);
    node_begin(&stage, &younger, "one");
    await_lanes(&older, 0, NULL);
    await_lanes(&younger, LANES, NULL);
    node_end(&older);
    await_lanes(&younger, LANES, NULL);
    assert_int_equal(younger.takes, LANES);
    node_end(&younger);
    stage_end(&stage);
}

static void a_take_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.failing = 5};
    begin_alone(&stage, &node);
    assert_int_equal(node.takes, LANES + 5);
    node_end(&node);
    stage_end(&stage);
}

static void a_lane_that_was_claimed_by_another_is_stopped_and_not_confirmed(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    struct cairn_err err;
    bool mine = false;
    begin_alone(&stage, &node);
    double from = kafka_stage_now_ms();
    assert_ok(cairn_kafka_control_confirm(node.control, 2, WAIT_MS, &mine, &err), &err);
    print_message("confirm: %.1f ms\n", kafka_stage_now_ms() - from);
    assert_true(mine);
    struct cairn_control_record record = {
        .kind = CAIRN_CONTROL_BEAT, .node = "thief", .lane = CAIRN_LANE_NONE};
    forge(&stage, &record);
    record.kind = CAIRN_CONTROL_CLAIM;
    record.lane = 2;
    record.term = 100;
    forge(&stage, &record);
    assert_ok(cairn_kafka_control_confirm(node.control, 2, WAIT_MS, &mine, &err), &err);
    assert_false(mine);
    await_takes(&node, LANES + 1); /* the thief never beat again */
    await_lanes(&node, LANES, NULL);
    struct cairn_lane_owner owner;
    cairn_kafka_control_owner(node.control, 2, &owner);
    assert_int_equal(owner.term, 101);
    assert_true(node.takes > LANES); /* and those that it gave up for the thief's share */
    node_end(&node);
    stage_end(&stage);
}

static void who_watches_sees_owners_and_is_none(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    struct cairn_kafka_control *watcher = NULL;
    struct cairn_err err;
    bool mine = true;
    begin_alone(&stage, &node);
    struct cairn_kafka_control_options options = options_of(&stage, NULL, "watcher");
    options.candidate = false;
    options.take = NULL;
    options.serve = NULL;
    options.stop = NULL;
    assert_ok(cairn_kafka_control_open(&options, &watcher, &err), &err);
    struct cairn_lane_owner owner;
    cairn_kafka_control_owner(watcher, 1, &owner);
    assert_int_equal(owner.state, CAIRN_LANE_OWNED);
    assert_string_equal(owner.node, "one");
    assert_false(owner.mine);
    assert_int_equal(cairn_kafka_control_nodes(watcher), 1);
    assert_int_equal(cairn_kafka_control_nodes(node.control), 1);
    assert_ok(cairn_kafka_control_confirm(watcher, 1, WAIT_MS, &mine, &err), &err);
    assert_false(mine);
    node_end(&node);
    cairn_kafka_control_close(watcher);
    stage_end(&stage);
}

static void without_a_broker_opening_says_why(void **state)
{
    (void)state;
    struct kafka_stage stage;
    struct node node = {.held = 0};
    struct cairn_kafka_control *control = NULL;
    struct cairn_err err;
    stage_begin(&stage);
    struct cairn_kafka_control_options options = options_of(&stage, &node, "one");
    options.kafka.brokers = "127.0.0.1:1";
    options.open_timeout_ms = 1000;
    assert_int_equal(cairn_kafka_control_open(&options, &control, &err), CAIRN_ETIMEDOUT);
    assert_non_null(strstr(err.text, "127.0.0.1:1"));
    assert_null(control);
    stage_end(&stage);
}

static void without_threads_opening_fails_or_lanes_are_tried_again(void **state)
{
    (void)state;
    skip_without_faults();
    struct kafka_stage stage;
    stage_begin(&stage);
    for (int after = 0; cairn_fault_fired(CAIRN_FAULT_THREAD) || after == 0; after++) {
        struct node node = {.held = 0};
        struct cairn_err err;
        node_init(&node);
        const struct cairn_kafka_control_options options = options_of(&stage, &node, "one");
        cairn_fault_arm(CAIRN_FAULT_THREAD, after);
        enum cairn_rc rc = cairn_kafka_control_open(&options, &node.control, &err);
        assert_int_equal(rc, after < 2 ? CAIRN_EIO : CAIRN_OK);
        if (rc == CAIRN_OK) {
            await_lanes(&node, LANES, NULL);
            cairn_kafka_control_close(node.control);
        }
        node_fini(&node);
    }
    cairn_fault_disarm();
    stage_end(&stage);
}

int main(int argc, char **argv)
{
    node_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_node_serves_every_lane),
        cmocka_unit_test(two_nodes_share_and_one_that_closes_leaves_all_to_the_other),
        cmocka_unit_test(a_node_that_was_killed_is_taken_over),
        cmocka_unit_test(a_paused_node_lets_go_when_it_wakes_and_gets_its_share_again),
        cmocka_unit_test(a_node_that_restarts_has_its_lanes_back_at_once),
        cmocka_unit_test(a_younger_process_of_the_same_id_replaces_the_older),
        cmocka_unit_test(a_take_that_fails_is_tried_again),
        cmocka_unit_test(a_lane_that_was_claimed_by_another_is_stopped_and_not_confirmed),
        cmocka_unit_test(who_watches_sees_owners_and_is_none),
        cmocka_unit_test(without_a_broker_opening_says_why),
        cmocka_unit_test(without_threads_opening_fails_or_lanes_are_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
