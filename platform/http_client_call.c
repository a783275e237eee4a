/* What may be sent. Fields and paths come from other requests, so what would end one and begin
 * another is refused here. */
#include <assert.h>

#include "platform/http_client_int.h"

static bool is_token(struct cairn_slice text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9');
        if (!plain && memchr(others, byte, sizeof(others) - 1) == NULL) {
            return false;
        }
    }
    return text.size > 0;
}

static bool is_url_text(struct cairn_slice url)
{
    for (size_t i = 0; i < url.size; i++) {
        unsigned char byte = (unsigned char)url.data[i];
        if (byte <= ' ' || byte == 0x7F) {
            return false;
        }
    }
    return url.size > 0 && url.size <= CAIRN_HTTP_CLIENT_URL_BYTES_MAX;
}

/* Those that frame a message or belong to the connection: a second one would smuggle. */
static bool is_own_field(struct cairn_slice name)
{
    static const char *const own[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                      "Expect"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (cairn_slice_equal_nocase(name, cairn_slice_str(own[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_value(struct cairn_slice value)
{
    return cairn_slice_find(value, '\r') == value.size &&
           cairn_slice_find(value, '\n') == value.size &&
           cairn_slice_find(value, '\0') == value.size;
}

bool cairn_http_call_is_safe(const struct cairn_http_call *call)
{
    return cairn_slice_is(call->method, "GET") || cairn_slice_is(call->method, "HEAD");
}

enum cairn_rc cairn_http_call_check(const struct cairn_http_call *call, struct cairn_err *err)
{
    assert(call->field_count == 0 || call->fields != NULL);
    if (call->method.size > CAIRN_HTTP_CLIENT_METHOD_MAX || !is_token(call->method)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the method is none of HTTP");
    }
    if (!is_url_text(call->url)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the URL is empty, over %d bytes, or has spaces or control characters",
                          CAIRN_HTTP_CLIENT_URL_BYTES_MAX);
    }
    if (cairn_http_call_is_safe(call) && call->body.size > 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%.*s has no body", CAIRN_SLICE_ARG(call->method));
    }
    if (call->field_count > CAIRN_HTTP_CLIENT_FIELDS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "more than %d header fields",
                          CAIRN_HTTP_CLIENT_FIELDS_MAX);
    }
    for (size_t i = 0; i < call->field_count; i++) {
        const struct cairn_http_field *field = &call->fields[i];
        if (!is_token(field->name) || !is_value(field->value) || is_own_field(field->name)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "header field %zu cannot be sent", i);
        }
    }
    return CAIRN_OK;
}
