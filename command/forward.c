#include "command/forward.h"

#include <assert.h>

#include "platform/json.h"
#include "platform/mem.h"

#define MARK "Cairn-Forwarded"

static const char *const outcome_labels[CAIRN_FORWARD_OUTCOMES] = {
    [CAIRN_FORWARD_ANSWERED] = "outcome=\"answered\"",
    [CAIRN_FORWARD_NO_OWNER] = "outcome=\"no-owner\"",
    [CAIRN_FORWARD_SECOND_HOP] = "outcome=\"second-hop\"",
    [CAIRN_FORWARD_UNKNOWN] = "outcome=\"outcome-unknown\"",
    [CAIRN_FORWARD_FAILED] = "outcome=\"failed\"",
};

struct cairn_forward {
    struct cairn_forward_options options; /* defaults filled in */
    struct cairn_http_pool *pool;
    struct cairn_metric *outcomes[CAIRN_FORWARD_OUTCOMES];
};

/* ---- life ---- */

static void find_in_store(void *self, uint16_t lane, struct cairn_owner *ret_owner)
{
    cairn_store_owner(self, lane, ret_owner);
}

static void fill_in(struct cairn_forward_options *options)
{
    if (options->owners.find == NULL) {
        options->owners = (struct cairn_owners){find_in_store, options->store};
    }
    options->node = options->node == NULL ? cairn_store_node(options->store) : options->node;
    options->clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    options->owner_wait_ms =
        options->owner_wait_ms == 0 ? CAIRN_OWNER_WAIT_MS_DEFAULT : options->owner_wait_ms;
}

enum cairn_rc cairn_forward_new(const struct cairn_forward_options *options,
                                struct cairn_forward **ret_forward, struct cairn_err *err)
{
    assert(options->store != NULL);
    struct cairn_forward *forward = cairn_mem_zalloc(1, sizeof(*forward));
    if (forward == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the way to other nodes");
    }
    forward->options = *options;
    fill_in(&forward->options);
    /* To connect takes no more than the wait: who cannot be reached may have lost its lanes. */
    const struct cairn_http_pool_options pool = {
        .client = {.connect_timeout_ms = forward->options.owner_wait_ms,
                   .timeout_ms = CAIRN_FORWARD_TIMEOUT_MS},
        .clock = forward->options.clock,
    };
    enum cairn_rc rc = cairn_http_pool_new(&pool, &forward->pool, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(forward);
        return rc;
    }
    for (size_t i = 0; i < CAIRN_FORWARD_OUTCOMES && options->metrics != NULL; i++) {
        forward->outcomes[i] = cairn_metrics_add(
            options->metrics, CAIRN_COUNTER, "cairn_commands_forwarded_total", outcome_labels[i],
            "Commands for partitions of other nodes, by what became of them.");
    }
    *ret_forward = forward;
    return CAIRN_OK;
}

void cairn_forward_free(struct cairn_forward *forward)
{
    if (forward == NULL) {
        return;
    }
    cairn_http_pool_free(forward->pool);
    cairn_mem_free(forward);
}

/* ---- owners ---- */

uint16_t cairn_forward_lanes(const struct cairn_forward *forward)
{
    return cairn_store_lanes(forward->options.store);
}

uint16_t cairn_forward_lane(const struct cairn_forward *forward, struct cairn_slice aggregate,
                            struct cairn_slice id)
{
    char name[CAIRN_STREAM_BYTES_MAX];
    assert(aggregate.size > 0 && aggregate.size <= CAIRN_AGGREGATE_BYTES_MAX);
    assert(id.size > 0 && id.size <= CAIRN_ID_BYTES_MAX);
    memcpy(name, aggregate.data, aggregate.size);
    name[aggregate.size] = '-';
    memcpy(name + aggregate.size + 1, id.data, id.size);
    return cairn_store_lane_of(forward->options.store,
                               cairn_slice_of(name, aggregate.size + 1 + id.size));
}

void cairn_forward_owner(const struct cairn_forward *forward, uint16_t lane,
                         struct cairn_owner *ret_owner)
{
    assert(lane < cairn_forward_lanes(forward));
    forward->options.owners.find(forward->options.owners.self, lane, ret_owner);
    assert(ret_owner->where <= CAIRN_OWNER_NONE);
}

const struct cairn_clock *cairn_forward_clock(const struct cairn_forward *forward)
{
    return forward->options.clock;
}

unsigned cairn_forward_wait_ms(const struct cairn_forward *forward)
{
    return forward->options.owner_wait_ms;
}

bool cairn_forward_is_marked(const struct cairn_http_request *request)
{
    return cairn_http_header_count(request, MARK) > 0;
}

void cairn_forward_count(struct cairn_forward *forward, enum cairn_forward_outcome outcome,
                         size_t count)
{
    assert(outcome < CAIRN_FORWARD_OUTCOMES);
    cairn_metric_inc(forward->outcomes[outcome], count);
}

enum cairn_forward_outcome cairn_forward_outcome_of(enum cairn_rc rc)
{
    assert(rc != CAIRN_OK);
    return rc == CAIRN_ENOOWNER   ? CAIRN_FORWARD_NO_OWNER
           : rc == CAIRN_EUNKNOWN ? CAIRN_FORWARD_UNKNOWN
                                  : CAIRN_FORWARD_FAILED;
}

/* ---- a request ---- */

/* Where the owner listens, without what may stand behind host and port. */
static struct cairn_slice target_of(const struct cairn_owner *owner)
{
    struct cairn_slice url = cairn_slice_str(owner->url);
    while (url.size > 0 && url.data[url.size - 1] == '/') {
        url.size--;
    }
    return url;
}

static void add_field(struct cairn_http_field *fields, size_t *count, const char *name,
                      struct cairn_slice value)
{
    assert(*count < CAIRN_FORWARD_FIELDS_MAX);
    if (value.size > 0) {
        fields[*count] = (struct cairn_http_field){cairn_slice_str(name), value};
        (*count)++;
    }
}

static bool is_media(struct cairn_slice type, const char *name)
{
    struct cairn_slice bare =
        cairn_slice_trim(cairn_slice_of(type.data, cairn_slice_find(type, ';')));
    return cairn_slice_equal_nocase(bare, cairn_slice_str(name));
}

/* Whatever stands between two nodes may answer in the owner's place; that answer says nothing about
 * the command. */
static bool is_from_a_node(const struct cairn_http_answer *answer)
{
    struct cairn_slice type = cairn_http_answer_field(answer, "Content-Type");
    if (answer->status == 200 || answer->status == 201) {
        return is_media(type, "application/json") || is_media(type, "application/msgpack");
    }
    return answer->status >= 400 && is_media(type, "application/problem+json");
}

static enum cairn_rc ask(struct cairn_forward *forward, const struct cairn_forward_call *call,
                         struct cairn_slice target, struct cairn_arena *arena,
                         struct cairn_http_answer *ret_answer, struct cairn_err *err)
{
    struct cairn_http_field fields[CAIRN_FORWARD_FIELDS_MAX];
    size_t count = call->field_count;
    assert(count <= sizeof(call->fields) / sizeof(call->fields[0]));
    memcpy(fields, call->fields, count * sizeof(fields[0]));
    add_field(fields, &count, MARK, cairn_slice_str(forward->options.node));
    add_field(fields, &count, "X-Request-Id", call->request->request_id);
    add_field(fields, &count, "traceparent", call->request->traceparent);
    add_field(fields, &count, "X-Correlation-Id",
              cairn_http_header(call->request, "X-Correlation-Id"));
    char *url =
        cairn_arena_printf(arena, "%.*s%.*s", CAIRN_SLICE_ARG(target), CAIRN_SLICE_ARG(call->path));
    if (url == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory to pass a command on");
    }
    const struct cairn_http_call ask = {.method = CAIRN_SLICE_LIT("POST"),
                                        .url = cairn_slice_str(url),
                                        .fields = fields,
                                        .field_count = count,
                                        .body = call->body};
    struct cairn_http_client *client = NULL;
    enum cairn_rc rc = cairn_http_pool_acquire(forward->pool, target, &client, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_http_client_request(client, &ask, arena, ret_answer, err);
    cairn_http_pool_release(forward->pool, client);
    return rc;
}

/* What a failure of the client means for a command. */
static enum cairn_rc judge(enum cairn_rc rc)
{
    if (rc == CAIRN_EBUSY || rc == CAIRN_ENOMEM) {
        return rc;
    }
    return cairn_http_client_unsent(rc) ? CAIRN_ENOOWNER : CAIRN_EUNKNOWN;
}

enum cairn_rc cairn_forward_send(struct cairn_forward *forward,
                                 const struct cairn_forward_call *call, struct cairn_arena *arena,
                                 struct cairn_http_answer *ret_answer, struct cairn_err *err)
{
    assert(call->owner->where == CAIRN_OWNER_ELSEWHERE);
    assert(call->path.size > 0 && call->path.data[0] == '/');
    struct cairn_slice target = target_of(call->owner);
    struct cairn_http_answer answer;
    if (target.size == 0) {
        return CAIRN_FAIL(err, CAIRN_ENOOWNER, "the owner, node %s, has no address",
                          call->owner->node);
    }
    enum cairn_rc rc = ask(forward, call, target, arena, &answer, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, judge(rc), "the owner, node %s", call->owner->node);
    }
    if (!is_from_a_node(&answer)) {
        return CAIRN_FAIL(err, CAIRN_EUNKNOWN,
                          "something else than the owner, node %s, answered with %d",
                          call->owner->node, answer.status);
    }
    *ret_answer = answer;
    return CAIRN_OK;
}

bool cairn_forward_is_refusal(const struct cairn_value *answer)
{
    struct cairn_slice type = cairn_value_get_string(answer, "type");
    return cairn_slice_is(type, "/problems/no-owner") || cairn_slice_is(type, "/problems/stopping");
}

enum cairn_rc cairn_forward_problem(const struct cairn_http_answer *answer,
                                    struct cairn_arena *arena, struct cairn_value *ret_problem,
                                    struct cairn_err *err)
{
    assert(answer->status >= 400);
    return cairn_json_read(answer->body, arena, ret_problem, NULL, err);
}
