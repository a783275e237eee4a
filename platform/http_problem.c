/* Problems: every error is RFC 9457's application/problem+json. */
#include <assert.h>

#include "platform/http_int.h"
#include "platform/json.h"

/* ,"name":value */
static enum cairn_rc add_member(struct cairn_buf *body, struct cairn_slice name,
                                const struct cairn_value *value)
{
    enum cairn_rc rc = cairn_buf_append_byte(body, ',');
    if (rc == CAIRN_OK) {
        rc = cairn_json_write_string(name, body);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(body, ':');
    }
    if (rc == CAIRN_OK) {
        rc = cairn_json_write(value, body);
    }
    return rc;
}

static enum cairn_rc write_problem(struct cairn_buf *body, int status, const char *slug,
                                   const char *title, struct cairn_slice detail,
                                   const struct cairn_value *extra)
{
    struct cairn_value text = cairn_value_string(cairn_slice_str(title));
    struct cairn_value code = cairn_value_int(status);
    enum cairn_rc rc = cairn_buf_append_str(body, "{\"type\":\"/problems/");
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_str(body, slug);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(body, '"');
    }
    if (rc == CAIRN_OK) {
        rc = add_member(body, CAIRN_SLICE_LIT("title"), &text);
    }
    if (rc == CAIRN_OK) {
        rc = add_member(body, CAIRN_SLICE_LIT("status"), &code);
    }
    if (rc == CAIRN_OK && detail.size > 0) {
        text = cairn_value_string(detail);
        rc = add_member(body, CAIRN_SLICE_LIT("detail"), &text);
    }
    for (uint32_t i = 0; rc == CAIRN_OK && extra != NULL && i < extra->count; i++) {
        const struct cairn_member *member = &extra->as.members[i];
        rc = add_member(body, cairn_value_slice(&member->key), &member->value);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(body, '}');
    }
    return rc;
}

/* Keep why it is a 5xx for the log line of the request. Best effort. */
static void note_fault(struct cairn_http_request *request, int status, struct cairn_slice detail)
{
    if (request == NULL || request->connection == NULL || status < 500) {
        return;
    }
    struct cairn_http_exchange *exchange = cairn_http_exchange_of(request);
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    if (cairn_arena_copy(request->arena, detail, &copy) == CAIRN_OK) {
        exchange->fault = copy;
    }
}

void cairn_http_problem_as(struct cairn_http_response *response, int status, const char *slug,
                           const char *title, const char *detail, const struct cairn_value *extra,
                           struct cairn_http_request *request)
{
    assert(status >= 400 && status <= 599);
    assert(extra == NULL || extra->type == CAIRN_MAP);
    struct cairn_slice text = cairn_slice_str(detail);
    response->status = status;
    response->content_type = "application/problem+json";
    cairn_buf_truncate(&response->body, 0);
    if (write_problem(&response->body, status, slug, title, text, extra) != CAIRN_OK) {
        response->failed = true;
    }
    note_fault(request, status, text);
}

void cairn_http_problem(struct cairn_http_response *response, const struct cairn_err *err,
                        const struct cairn_value *extra, struct cairn_http_request *request)
{
    assert(err->rc != CAIRN_OK);
    const struct cairn_err_info *info = cairn_err_info(err->rc);
    cairn_http_problem_as(response, info->status, info->slug, info->title, err->text, extra,
                          request);
    if (info->retry == CAIRN_RETRY_LATER) {
        cairn_http_header_add(response, "Retry-After", CAIRN_SLICE_LIT("1"));
    }
}
