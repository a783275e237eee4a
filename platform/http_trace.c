/* Ids that travel: X-Request-Id and traceparent (W3C Trace Context, level 1). */
#include <assert.h>

#include "platform/http_int.h"

enum { TRACEPARENT_SIZE = 55, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53 };

static bool is_alnum(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z');
}

bool cairn_http_request_id_is_sane(struct cairn_slice id)
{
    if (id.size == 0 || id.size > CAIRN_HTTP_REQUEST_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        char byte = id.data[i];
        /* strchr also finds the NUL, which no field value can hold. */
        if (!is_alnum(byte) && (byte == '\0' || strchr("-_.:~+/=@", byte) == NULL)) {
            return false;
        }
    }
    return true;
}

/* size lower-case hex digits, not all zero where required. */
static bool is_hex(const char *text, size_t size, bool nonzero)
{
    bool any = false;
    for (size_t i = 0; i < size; i++) {
        char byte = text[i];
        if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'))) {
            return false;
        }
        any = any || byte != '0';
    }
    return any || !nonzero;
}

bool cairn_http_traceparent_is_valid(struct cairn_slice traceparent)
{
    const char *text = traceparent.data;
    if (traceparent.size < TRACEPARENT_SIZE || traceparent.size > CAIRN_HTTP_REQUEST_ID_MAX) {
        return false;
    }
    if (!is_hex(text, 2, false) || memcmp(text, "ff", 2) == 0) {
        return false;
    }
    /* Version 00 has this size; a later one may add fields behind another '-'. */
    if (traceparent.size > TRACEPARENT_SIZE &&
        (memcmp(text, "00", 2) == 0 || text[TRACEPARENT_SIZE] != '-')) {
        return false;
    }
    return text[TRACE_AT - 1] == '-' && is_hex(text + TRACE_AT, 32, true) &&
           text[SPAN_AT - 1] == '-' && is_hex(text + SPAN_AT, 16, true) &&
           text[FLAGS_AT - 1] == '-' && is_hex(text + FLAGS_AT, 2, false);
}

void cairn_http_trace_read(struct cairn_http_exchange *exchange)
{
    struct cairn_http_request *request = &exchange->request;
    struct cairn_http_worker *worker = exchange->worker;
    struct cairn_slice id = cairn_http_header(request, "X-Request-Id");
    if (cairn_http_request_id_is_sane(id)) {
        request->request_id = id;
    } else {
        struct cairn_uuid uuid =
            cairn_uuid_next(&worker->ids, exchange->now_us, exchange->http->options.random);
        cairn_uuid_format(&uuid, worker->request_id);
        request->request_id = cairn_slice_of(worker->request_id, CAIRN_UUID_TEXT_SIZE);
    }
    struct cairn_slice traceparent = cairn_http_header(request, "traceparent");
    if (cairn_http_traceparent_is_valid(traceparent) &&
        cairn_http_header_count(request, "traceparent") == 1) {
        request->traceparent = traceparent;
    }
    assert(request->request_id.size > 0);
}
