#include "command/relay.h"

#include <assert.h>

/* Fields of the request that say what is asked; where it comes from is added to every request. */
static const char *const asked_fields[] = {"Content-Type", "Idempotency-Key", "If-Match",
                                           "If-None-Match"};
/* Fields of the answer that go back; the chassis makes the others. */
static const char *const answer_fields[] = {"ETag", "Location", "Cairn-Position",
                                            "Idempotency-Replayed", "Retry-After"};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static enum cairn_rc send(const struct cairn_relay *relay, const struct cairn_owner *owner,
                          struct cairn_http_answer *ret_answer, struct cairn_err *err)
{
    const struct cairn_http_request *request = relay->request;
    struct cairn_forward_call call = {
        .owner = owner, .request = request, .path = request->path, .body = request->body};
    static_assert(COUNT_OF(asked_fields) + 1 <= COUNT_OF(call.fields), "room for all fields");
    for (size_t i = 0; i < COUNT_OF(asked_fields); i++) {
        struct cairn_slice value = cairn_http_header(request, asked_fields[i]);
        if (value.size > 0) {
            call.fields[call.field_count++] =
                (struct cairn_http_field){cairn_slice_str(asked_fields[i]), value};
        }
    }
    call.fields[call.field_count++] = (struct cairn_http_field){
        CAIRN_SLICE_LIT("Accept"), cairn_slice_str(cairn_form_media_type(relay->out))};
    return cairn_forward_send(relay->forward, &call, request->arena, ret_answer, err);
}

/* A line break in a value would be a field of its own here. */
static bool is_one_line(struct cairn_slice value)
{
    return cairn_slice_find(value, '\r') == value.size &&
           cairn_slice_find(value, '\n') == value.size;
}

static void pass_back(const struct cairn_relay *relay, const struct cairn_http_answer *answer)
{
    struct cairn_http_response *response = relay->response;
    assert(response->body.size == 0);
    if (cairn_buf_append(&response->body, answer->body) != CAIRN_OK) {
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, CAIRN_EUNKNOWN, "the owner answered with %d, but no memory was left",
                         answer->status);
        cairn_http_problem(response, &err, NULL, relay->request);
        return;
    }
    response->status = answer->status;
    response->content_type =
        answer->status >= 400 ? "application/problem+json" : cairn_form_media_type(relay->out);
    for (size_t i = 0; i < COUNT_OF(answer_fields); i++) {
        struct cairn_slice value = cairn_http_answer_field(answer, answer_fields[i]);
        if (value.size > 0 && is_one_line(value)) {
            cairn_http_header_add(response, answer_fields[i], value);
        }
    }
}

static bool is_refusal(const struct cairn_relay *relay, const struct cairn_http_answer *answer)
{
    struct cairn_value problem;
    struct cairn_err err;
    return answer->status == 503 &&
           cairn_forward_problem(answer, relay->request->arena, &problem, &err) == CAIRN_OK &&
           cairn_forward_is_refusal(&problem);
}

static void fail(const struct cairn_relay *relay, const struct cairn_err *err,
                 enum cairn_forward_outcome outcome)
{
    cairn_forward_count(relay->forward, outcome, 1);
    cairn_http_problem(relay->response, err, NULL, relay->request);
}

/* Ask the owner once. True: that settles it. False: nothing was carried out, and err or the owner's
 * refusal says why. */
static bool settle(const struct cairn_relay *relay, const struct cairn_owner *owner,
                   struct cairn_http_answer *refusal, struct cairn_err *err)
{
    struct cairn_http_answer answer;
    refusal->status = 0;
    if (owner->where == CAIRN_OWNER_NONE) {
        (void)CAIRN_FAIL(err, CAIRN_ENOOWNER, "partition %u has no owner now",
                         (unsigned)relay->lane);
        return false;
    }
    enum cairn_rc rc = send(relay, owner, &answer, err);
    if (rc == CAIRN_ENOOWNER) {
        return false;
    }
    if (rc != CAIRN_OK) {
        fail(relay, err, cairn_forward_outcome_of(rc));
        return true;
    }
    if (is_refusal(relay, &answer)) {
        *refusal = answer;
        return false;
    }
    pass_back(relay, &answer);
    cairn_forward_count(relay->forward, CAIRN_FORWARD_ANSWERED, 1);
    return true;
}

bool cairn_relay_away(const struct cairn_relay *relay)
{
    struct cairn_owner owner;
    struct cairn_http_answer refusal = {0};
    struct cairn_err err = {.rc = CAIRN_OK};
    do {
        cairn_patience_begin(relay->patience);
        cairn_forward_owner(relay->forward, relay->lane, &owner);
        if (owner.where == CAIRN_OWNER_HERE) {
            return false;
        }
        if (cairn_forward_is_marked(relay->request)) {
            (void)CAIRN_FAIL(&err, CAIRN_ENOOWNER,
                             "partition %u is not this node's, and the command has come from "
                             "another node already",
                             (unsigned)relay->lane);
            fail(relay, &err, CAIRN_FORWARD_SECOND_HOP);
            return true;
        }
        if (settle(relay, &owner, &refusal, &err)) {
            return true;
        }
    } while (cairn_patience_wait(relay->patience, relay->request));
    if (refusal.status != 0) {
        cairn_forward_count(relay->forward, CAIRN_FORWARD_NO_OWNER, 1);
        pass_back(relay, &refusal);
    } else {
        fail(relay, &err, CAIRN_FORWARD_NO_OWNER);
    }
    return true;
}
