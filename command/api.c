#include "command/api.h"

#include <assert.h>

#include "command/api_int.h"
#include "command/fingerprint.h"
#include "command/partitions.h"
#include "command/relay.h"
#include "platform/json.h"
#include "platform/mem.h"
#include "schemas/msgpack.h"

void cairn_command_problem(struct cairn_http_response *response,
                           const struct cairn_fault_report *report,
                           struct cairn_http_request *request)
{
    const struct cairn_value *extra = report->extra.type == CAIRN_MAP ? &report->extra : NULL;
    struct cairn_err err = report->err;
    cairn_reply_clean(&err);
    cairn_http_problem(response, &err, extra, request);
}

/* ---- the request ---- */

/* A single command and what its answer needs. */
struct single {
    struct cairn_command command;
    struct cairn_value data;
    enum cairn_form out;
};

/* The body as the command's data. No body at all is an empty object, so that a command without
 * fields needs none. */
static enum cairn_rc read_data(const struct cairn_http_request *request, struct single *single,
                               struct cairn_fault_report *report)
{
    enum cairn_form form = CAIRN_FORM_JSON;
    enum cairn_rc rc = cairn_request_form(request, false, &form, &report->err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (request->body.size == 0) {
        single->data = (struct cairn_value){.type = CAIRN_MAP};
    } else {
        rc = cairn_request_parse(request->body, form, request->arena, &single->data, report);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_request_check(single->command.command, &single->data, request->arena, report);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_command *command = &single->command;
    command->data = &single->data;
    if (command->key.size > 0) {
        cairn_command_fingerprint(command->command->aggregate, command->id, command->command->name,
                                  command->data, command->fingerprint);
    }
    return CAIRN_OK;
}

static enum cairn_rc read_accept(const struct cairn_http_request *request, enum cairn_form *ret_out,
                                 struct cairn_err *err)
{
    int choice = cairn_http_accepts(request, cairn_form_media_type(CAIRN_FORM_JSON),
                                    cairn_form_media_type(CAIRN_FORM_MSGPACK));
    if (choice < 0) {
        return CAIRN_FAIL(err, CAIRN_EACCEPT,
                          "answers are application/json or application/msgpack");
    }
    *ret_out = choice == 0 ? CAIRN_FORM_JSON : CAIRN_FORM_MSGPACK;
    return CAIRN_OK;
}

/* All but the data, which only the node that carries the command out has to read. */
static enum cairn_rc read_head(const struct cairn_command_api *api,
                               const struct cairn_http_request *request, struct single *single,
                               struct cairn_err *err)
{
    struct cairn_command *command = &single->command;
    assert(request->capture_count == 3);
    enum cairn_rc rc = cairn_request_find(api->domain, request->captures[0], request->captures[2],
                                          &command->command, err);
    if (rc == CAIRN_OK) {
        rc = cairn_request_check_id(request->captures[1], err);
    }
    if (rc == CAIRN_OK) {
        rc = read_accept(request, &single->out, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_request_condition(request, &command->expected, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_request_key(request, &command->key, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_request_origin(request, command, err);
    }
    command->id = request->captures[1];
    return rc;
}

/* ---- the answer ---- */

static enum cairn_rc write_body(const struct cairn_answer *answer, enum cairn_form form,
                                struct cairn_arena *arena, struct cairn_buf *out)
{
    if (form == CAIRN_FORM_JSON) {
        return cairn_reply_json(answer, false, out);
    }
    struct cairn_value value;
    enum cairn_rc rc = cairn_reply_value(answer, false, arena, &value);
    return rc == CAIRN_OK ? cairn_msgpack_write(&value, out) : rc;
}

static void add_etag(struct cairn_http_response *response, uint64_t version)
{
    char text[24];
    struct cairn_buf tag = {.data = text, .cap = sizeof(text), .max = sizeof(text)};
    /* Into room of our own: a quoted number is 22 bytes at most. */
    enum cairn_rc rc = cairn_buf_append_byte(&tag, '"');
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_u64(&tag, version);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(&tag, '"');
    }
    assert(rc == CAIRN_OK && tag.data == text);
    cairn_http_header_add(response, "ETag", cairn_buf_slice(&tag));
}

static void add_location(struct cairn_http_response *response, struct cairn_slice stream)
{
    char text[sizeof("/streams/") + CAIRN_STREAM_BYTES_MAX] = "/streams/";
    size_t size = sizeof("/streams/") - 1;
    assert(stream.size <= CAIRN_STREAM_BYTES_MAX);
    memcpy(text + size, stream.data, stream.size);
    cairn_http_header_add(response, "Location", cairn_slice_of(text, size + stream.size));
}

static void answer_accepted(const struct cairn_answer *answer, enum cairn_form form,
                            struct cairn_http_request *request,
                            struct cairn_http_response *response)
{
    enum cairn_rc rc = write_body(answer, form, request->arena, &response->body);
    if (rc != CAIRN_OK) {
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, CAIRN_EUNKNOWN,
                         "the command was accepted, but no memory was left "
                         "for its answer");
        cairn_http_problem(response, &err, NULL, request);
        return;
    }
    char position[CAIRN_REPLY_POSITION_MAX];
    response->status = cairn_reply_status(answer);
    response->content_type = cairn_form_media_type(form);
    add_etag(response, answer->version);
    if (answer->offset > 0) {
        cairn_http_header_add(response, "Cairn-Position", cairn_reply_position(answer, position));
    }
    if (answer->created) {
        add_location(response, answer->stream);
    }
    if (answer->replayed) {
        cairn_http_header_add(response, "Idempotency-Replayed", CAIRN_SLICE_LIT("true"));
    }
}

static void answer_refused(const struct cairn_answer *answer, const struct single *single,
                           struct cairn_http_request *request, struct cairn_http_response *response)
{
    struct cairn_fault_report report;
    cairn_reply_report(answer, &single->command, request->arena, &report);
    cairn_command_problem(response, &report, request);
    if (answer->rc == CAIRN_ECONFLICT) {
        add_etag(response, answer->version);
    }
}

/* Carry the command out where its lane is owned. False: here, but its data is no good. */
static bool carry_out(const struct cairn_command_api *api, const struct cairn_relay *relay,
                      struct single *single, struct cairn_fault_report *report)
{
    struct cairn_http_request *request = relay->request;
    struct cairn_answer answer;
    do {
        if (cairn_relay_away(relay)) {
            return true;
        }
        if (single->command.data == NULL && read_data(request, single, report) != CAIRN_OK) {
            return false;
        }
        cairn_service_execute(api->service, &single->command, &answer, 1, request->arena);
        /* The lane was lost on the way, and nothing was written: look for it again. */
    } while (answer.rc == CAIRN_ENOOWNER && !cairn_forward_is_marked(request) &&
             cairn_patience_wait(relay->patience, request));
    if (answer.rc == CAIRN_OK) {
        answer_accepted(&answer, single->out, request, relay->response);
    } else {
        answer_refused(&answer, single, request, relay->response);
    }
    return true;
}

static void handle_single(void *self, struct cairn_http_request *request,
                          struct cairn_http_response *response)
{
    const struct cairn_command_api *api = self;
    struct single single = {.command = {.data = NULL}};
    struct cairn_fault_report report = {.extra = cairn_value_null()};
    if (read_head(api, request, &single, &report.err) != CAIRN_OK) {
        cairn_command_problem(response, &report, request);
        return;
    }
    struct cairn_patience patience =
        cairn_patience_of(cairn_forward_clock(api->forward), cairn_forward_wait_ms(api->forward));
    const struct cairn_relay relay = {
        .forward = api->forward,
        .request = request,
        .response = response,
        .patience = &patience,
        .lane =
            cairn_forward_lane(api->forward, single.command.command->aggregate, single.command.id),
        .out = single.out,
    };
    if (!carry_out(api, &relay, &single, &report)) {
        cairn_command_problem(response, &report, request);
    }
}

/* ---- life ---- */

enum cairn_rc cairn_command_api_new(const struct cairn_command_api_options *options,
                                    struct cairn_command_api **ret_api, struct cairn_err *err)
{
    assert(options->service != NULL && options->domain != NULL);
    struct cairn_command_api *api = cairn_mem_zalloc(1, sizeof(*api));
    if (api == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the command API");
    }
    enum cairn_rc rc = cairn_forward_new(&options->forward, &api->forward, err);
    if (rc != CAIRN_OK) {
        cairn_mem_free(api);
        return rc;
    }
    api->batch_body_max =
        options->batch_body_max > 0 ? options->batch_body_max : CAIRN_BATCH_BODY_DEFAULT;
    api->service = options->service;
    api->domain = options->domain;
    api->body_max = options->body_max > 0 ? options->body_max : CAIRN_COMMAND_BODY_DEFAULT;
    api->routes[0] = (struct cairn_http_route){.method = "POST",
                                               .pattern = "/commands/{aggregate}/{id}/{Command}",
                                               .handler = handle_single,
                                               .self = api,
                                               .body_max = api->body_max};
    api->routes[1] = (struct cairn_http_route){.method = "POST",
                                               .pattern = "/commands",
                                               .handler = cairn_batch_handle,
                                               .self = api,
                                               .body_max = api->batch_body_max};
    api->routes[2] = (struct cairn_http_route){.method = "GET",
                                               .pattern = "/partitions",
                                               .handler = cairn_partitions_handle,
                                               .self = api->forward};
    *ret_api = api;
    return CAIRN_OK;
}

void cairn_command_api_free(struct cairn_command_api *api)
{
    if (api == NULL) {
        return;
    }
    cairn_forward_free(api->forward);
    cairn_mem_free(api);
}

const struct cairn_http_route *cairn_command_api_routes(struct cairn_command_api *api,
                                                        size_t *ret_count)
{
    *ret_count = CAIRN_COMMAND_ROUTE_COUNT;
    return api->routes;
}
