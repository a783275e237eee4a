/* Two nodes with a store, a service and a server each, and a table that tells both who owns which
 * lane: for tests of what happens between them. */
#ifndef CAIRN_TESTS_UNIT_COMMAND_FORWARD_STAGE_H
#define CAIRN_TESTS_UNIT_COMMAND_FORWARD_STAGE_H

#include <pthread.h>

#include "command/api.h"
#include "tests/unit/command/talk.h"

enum { STAGE_LANES = 4, STAGE_NODES = 2, STAGE_URL_SIZE = 64 };

/* Owners other than the numbers of nodes. */
enum { OWNER_NOBODY = -1, OWNER_CLAIMED = -2, OWNER_STRANGER = -3 };

struct stage;

struct node {
    struct stage *stage;
    int number;
    struct world world;
    struct cairn_command_api *api;
    struct cairn_http *http;
    int port;
    char url[STAGE_URL_SIZE];
};

struct stage {
    struct node nodes[STAGE_NODES];
    pthread_mutex_t lock; /* guards what follows */
    int owners[STAGE_LANES];
    char stranger_url[STAGE_URL_SIZE + 8]; /* of OWNER_STRANGER */
    unsigned asked;                        /* times that an owner was looked up */
    unsigned turn;                         /* look-up from which on... 0: never */
    int turn_owner;                        /* ... all lanes are this one's */
    bool mirrored;                         /* each node believes that the other owns everything */
    unsigned wait_ms;
};

static void copy_url(char out[CAIRN_NODE_URL_MAX + 1], const char *url)
{
    size_t size = strlen(url);
    assert_true(size <= CAIRN_NODE_URL_MAX);
    memcpy(out, url, size + 1);
}

static void find_owner(void *self, uint16_t lane, struct cairn_owner *ret_owner)
{
    const struct node *node = self;
    struct stage *stage = node->stage;
    assert_true(lane < STAGE_LANES);
    (void)pthread_mutex_lock(&stage->lock);
    stage->asked++;
    int owner = stage->owners[lane];
    if (stage->turn > 0 && stage->asked >= stage->turn) {
        owner = stage->turn_owner;
    }
    if (stage->mirrored) {
        owner = 1 - node->number;
    }
    *ret_owner = (struct cairn_owner){.where = CAIRN_OWNER_NONE, .term = 7};
    if (owner >= 0) {
        ret_owner->where = owner == node->number ? CAIRN_OWNER_HERE : CAIRN_OWNER_ELSEWHERE;
        ret_owner->since_us = 1700000000000000;
        (void)snprintf(ret_owner->node, sizeof(ret_owner->node), "node-%d", owner);
        copy_url(ret_owner->url, stage->nodes[owner].url);
    } else if (owner == OWNER_STRANGER) {
        ret_owner->where = CAIRN_OWNER_ELSEWHERE;
        (void)snprintf(ret_owner->node, sizeof(ret_owner->node), "stranger");
        copy_url(ret_owner->url, stage->stranger_url);
    } else if (owner == OWNER_CLAIMED) {
        ret_owner->claimed = true;
        (void)snprintf(ret_owner->node, sizeof(ret_owner->node), "node-9");
    }
    (void)pthread_mutex_unlock(&stage->lock);
}

static void node_open(struct stage *stage, int number)
{
    static const char *const names[STAGE_NODES] = {"node-0", "node-1"};
    struct node *node = &stage->nodes[number];
    struct cairn_err err;
    node->stage = stage;
    node->number = number;
    node->world.bank = true;
    node->world.partitions = STAGE_LANES;
    world_open(&node->world);
    const struct cairn_command_api_options options = {
        .service = node->world.service,
        .domain = node->world.domain,
        .forward = {.store = node->world.store,
                    .owners = {find_owner, node},
                    .node = names[number],
                    .owner_wait_ms = stage->wait_ms,
                    .metrics = node->world.metrics},
    };
    assert_ok(cairn_command_api_new(&options, &node->api, &err), &err);
    size_t count = 0;
    const struct cairn_http_route *routes = cairn_command_api_routes(node->api, &count);
    node->http = talk_serve(routes, count);
    node->port = cairn_http_port(node->http);
    (void)snprintf(node->url, sizeof(node->url), "http://127.0.0.1:%d", node->port);
}

static void node_stop(struct node *node)
{
    cairn_http_stop(node->http);
    node->http = NULL;
}

/* Node 0 owns the even lanes, node 1 the odd ones. */
static int stage_open(void **state, unsigned wait_ms)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    (void)pthread_mutex_init(&stage->lock, NULL);
    stage->wait_ms = wait_ms;
    for (int lane = 0; lane < STAGE_LANES; lane++) {
        stage->owners[lane] = lane % 2;
    }
    for (int number = 0; number < STAGE_NODES; number++) {
        node_open(stage, number);
    }
    *state = stage;
    return 0;
}

static int open_patient(void **state)
{
    return stage_open(state, PEER_TIMEOUT_MS / 2);
}

/* For what is never found. To connect may take as long, on a busy machine too. */
static int open_hasty(void **state)
{
    return stage_open(state, 200);
}

/* For what is refused again and again, by somebody who must be reached for that. */
static inline int open_firm(void **state)
{
    return stage_open(state, 3000);
}

static int close_stage(void **state)
{
    struct stage *stage = *state;
    for (int number = 0; number < STAGE_NODES; number++) {
        struct node *node = &stage->nodes[number];
        node_stop(node);
        cairn_command_api_free(node->api);
        world_close(&node->world);
    }
    (void)pthread_mutex_destroy(&stage->lock);
    free(stage);
    return 0;
}

static inline void set_owner(struct stage *stage, int lane, int owner)
{
    (void)pthread_mutex_lock(&stage->lock);
    stage->owners[lane] = owner;
    (void)pthread_mutex_unlock(&stage->lock);
}

static inline void set_owners(struct stage *stage, int owner)
{
    for (int lane = 0; lane < STAGE_LANES; lane++) {
        set_owner(stage, lane, owner);
    }
}

/* After this many more look-ups all lanes are owner's. */
static inline void turn_after(struct stage *stage, unsigned lookups, int owner)
{
    (void)pthread_mutex_lock(&stage->lock);
    stage->turn = stage->asked + lookups + 1;
    stage->turn_owner = owner;
    (void)pthread_mutex_unlock(&stage->lock);
}

/* The n-th id (from 0) of an account in that lane: "a<number>". */
static inline void id_in_lane(const struct stage *stage, int lane, unsigned n, char out[16])
{
    char stream[32];
    unsigned found = 0;
    for (unsigned i = 0;; i++) {
        (void)snprintf(out, 16, "a%u", i);
        (void)snprintf(stream, sizeof(stream), "account-%s", out);
        if (cairn_store_lane_of(stage->nodes[0].world.store, cairn_slice_str(stream)) == lane) {
            if (found == n) {
                return;
            }
            found++;
        }
    }
}

/* POST to a node; headers are whole lines. */
static inline struct peer_answer post_bytes(const struct node *node, const char *path,
                                            const char *headers, const char *body, size_t size)
{
    return talk_post(node->port, path, headers, body, size);
}

static inline struct peer_answer post(const struct node *node, const char *path,
                                      const char *headers, const char *body)
{
    return post_bytes(node, path, headers, body, strlen(body));
}

/* Post a command to an account, and expect a status. */
static inline void command(const struct node *node, const char *id, const char *name,
                           const char *headers, const char *body, int status)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/commands/account/%s/%s", id, name);
    struct peer_answer answer = post(node, path, headers, body);
    if (answer.status != status) {
        fail_msg("%s: %d, not %d: %s", path, answer.status, status, answer.body);
    }
    peer_answer_fini(&answer);
}

static inline uint64_t events_of(struct node *node, const char *id)
{
    char stream[64];
    (void)snprintf(stream, sizeof(stream), "account-%s", id);
    return world_events(&node->world, stream);
}

static inline uint64_t forwarded(struct node *node, const char *outcome)
{
    char label[64];
    (void)snprintf(label, sizeof(label), "outcome=\"%s\"", outcome);
    return cairn_metric_value(cairn_metrics_add(
        node->world.metrics, CAIRN_COUNTER, "cairn_commands_forwarded_total", label, "a counter"));
}

/* The body as a value; lives until the stage closes. */
static inline struct cairn_value body_of(struct node *node, const struct peer_answer *answer)
{
    return talk_body(&node->world, answer);
}

static inline int64_t status_of(const struct cairn_value *answer)
{
    return talk_number(answer, "status");
}

#define OPEN "{\"owner\":\"Ada\"}"

#endif
