/* Answers: a hand-built head and the body in one write. */
#include <assert.h>
#include <time.h>

#include <civetweb.h>

#include "platform/http_int.h"

/* Head without the answer's own lines: status line, Date, ids, framing. */
enum { HEAD_FIXED_BYTES = 1024 };

/* Into room that was reserved. Inline, so that a literal is a few stores instead of a call. */
static inline void put(struct cairn_buf *out, struct cairn_slice bytes)
{
    assert(out->cap - out->size >= bytes.size);
    if (bytes.size > 0) {
        memcpy(out->data + out->size, bytes.data, bytes.size);
        out->size += bytes.size;
    }
}

#define PUT_LIT(out, literal) put((out), CAIRN_SLICE_LIT(literal))

void cairn_http_header_add(struct cairn_http_response *response, const char *name,
                           struct cairn_slice value)
{
    assert(name[0] != '\0');
    assert(cairn_slice_find(value, '\r') == value.size);
    assert(cairn_slice_find(value, '\n') == value.size);
    struct cairn_buf *fields = &response->headers;
    if (fields->max == 0) {
        fields->max = CAIRN_HTTP_FIELDS_BYTES_MAX;
    }
    size_t size = strlen(name);
    if (value.size > fields->max || cairn_buf_reserve(fields, size + value.size + 4) != CAIRN_OK) {
        response->failed = true;
        return;
    }
    put(fields, cairn_slice_of(name, size));
    PUT_LIT(fields, ": ");
    put(fields, value);
    PUT_LIT(fields, "\r\n");
}

static void put_number(struct cairn_buf *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(out, cairn_slice_of(digits + at, sizeof(digits) - at));
}

/* The Date field's value, made once a second in each thread. */
static struct cairn_slice date_text(struct cairn_http_worker *worker, int64_t now_us)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now_s = (time_t)(now_us / 1000000);
    if (worker->date_s != now_s || worker->date[0] == '\0') {
        struct tm tm;
        if (gmtime_r(&now_s, &tm) == NULL || tm.tm_year < 0 || tm.tm_year > 9999 - 1900) {
            return CAIRN_SLICE_NONE;
        }
        /* Not strftime: the names must not follow the locale. */
        char year[5] = {(char)('0' + (tm.tm_year + 1900) / 1000 % 10),
                        (char)('0' + (tm.tm_year + 1900) / 100 % 10),
                        (char)('0' + (tm.tm_year + 1900) / 10 % 10),
                        (char)('0' + (tm.tm_year + 1900) % 10), '\0'};
        char *out = worker->date;
        memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", CAIRN_HTTP_DATE_SIZE + 1);
        memcpy(out, days + (ptrdiff_t)3 * tm.tm_wday, 3);
        memcpy(out + 8, months + (ptrdiff_t)3 * tm.tm_mon, 3);
        memcpy(out + 12, year, 4);
        const int parts[] = {tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec};
        const size_t places[] = {5, 17, 20, 23};
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            out[places[i]] = (char)('0' + parts[i] / 10);
            out[places[i] + 1] = (char)('0' + parts[i] % 10);
        }
        worker->date_s = now_s;
    }
    return cairn_slice_of(worker->date, CAIRN_HTTP_DATE_SIZE);
}

/* These answers have no body, and no Content-Length either. */
static bool is_bodiless(int status)
{
    return status == 204 || status == 304 || status < 200;
}

static void put_framing(struct cairn_http_exchange *exchange, struct cairn_buf *out, int64_t length)
{
    if (length >= 0 && !is_bodiless(exchange->response.status)) {
        PUT_LIT(out, "Content-Length: ");
        put_number(out, (uint64_t)length);
        PUT_LIT(out, "\r\n");
    } else if (length < 0 && !exchange->http_1_0) {
        PUT_LIT(out, "Transfer-Encoding: chunked\r\n");
    }
    if (!exchange->keep) {
        PUT_LIT(out, "Connection: close\r\n");
    } else if (exchange->http_1_0) {
        PUT_LIT(out, "Connection: keep-alive\r\n");
    }
}

bool cairn_http_head_write(struct cairn_http_exchange *exchange, int64_t length)
{
    const struct cairn_http_response *response = &exchange->response;
    const struct cairn_http_request *request = &exchange->request;
    struct cairn_buf *out = &exchange->worker->wire;
    struct cairn_slice type = cairn_slice_str(response->content_type);
    size_t room = HEAD_FIXED_BYTES + response->headers.size + type.size;
    size_t join = length > 0 && length <= (int64_t)CAIRN_HTTP_JOIN_BYTES_MAX ? (size_t)length : 0;
    assert(out->size == 0);
    if (type.size > HEAD_FIXED_BYTES || cairn_buf_reserve(out, room + join) != CAIRN_OK) {
        return false;
    }
    PUT_LIT(out, "HTTP/1.1 ");
    put_number(out, (uint64_t)response->status);
    PUT_LIT(out, " ");
    put(out, cairn_slice_str(cairn_http_reason(response->status)));
    struct cairn_slice date = date_text(exchange->worker, exchange->now_us);
    if (date.size > 0) {
        PUT_LIT(out, "\r\nDate: ");
        put(out, date);
    }
    if (type.size > 0) {
        PUT_LIT(out, "\r\nContent-Type: ");
        put(out, type);
    }
    PUT_LIT(out, "\r\nX-Request-Id: ");
    put(out, request->request_id);
    if (request->traceparent.size > 0) {
        PUT_LIT(out, "\r\ntraceparent: ");
        put(out, request->traceparent);
    }
    PUT_LIT(out, "\r\n");
    put(out, cairn_buf_slice(&response->headers));
    put_framing(exchange, out, length);
    PUT_LIT(out, "\r\n");
    return true;
}

bool cairn_http_write(struct cairn_http_exchange *exchange, struct cairn_slice bytes)
{
    assert(bytes.data != NULL && bytes.size > 0);
    if (!exchange->gone) {
        int sent = mg_write(exchange->connection, bytes.data, bytes.size);
        exchange->gone = sent < 0 || (size_t)sent != bytes.size;
    }
    if (exchange->gone) {
        exchange->keep = false;
    }
    return !exchange->gone;
}

/* What could not be built as the handler meant it: no part of it goes out. */
static void replace_failed(struct cairn_http_response *response)
{
    static const char problem[] = "{\"type\":\"/problems/internal\",\"title\":\"Internal error\","
                                  "\"status\":500,\"detail\":\"the answer could not be built\"}";
    response->status = 500;
    response->content_type = "application/problem+json";
    cairn_buf_truncate(&response->headers, 0);
    cairn_buf_truncate(&response->body, 0);
    if (cairn_buf_append_str(&response->body, problem) != CAIRN_OK) {
        response->content_type = NULL;
    }
}

void cairn_http_send(struct cairn_http_exchange *exchange)
{
    struct cairn_http_response *response = &exchange->response;
    struct cairn_buf *wire = &exchange->worker->wire;
    if (response->streamed) {
        cairn_http_stream_end(exchange);
        return;
    }
    if (response->failed) {
        replace_failed(response);
    }
    if (response->status == 0) {
        response->status = 200;
    }
    assert(response->status >= 200 && response->status <= 599);
    if (response->body.size == 0) {
        response->content_type = NULL;
    } else if (response->content_type == NULL) {
        response->content_type = "application/octet-stream";
    }
    exchange->keep = exchange->keep && !response->close && !exchange->body_pending;
    if (!cairn_http_head_write(exchange, (int64_t)response->body.size)) {
        exchange->gone = true; /* without memory for a head, closing is the only answer left */
        exchange->keep = false;
        return;
    }
    struct cairn_slice body = cairn_buf_slice(&response->body);
    if (exchange->head_only || is_bodiless(response->status)) {
        body = CAIRN_SLICE_NONE;
    }
    if (body.size <= CAIRN_HTTP_JOIN_BYTES_MAX) {
        put(wire, body);
        body = CAIRN_SLICE_NONE;
    }
    if (cairn_http_write(exchange, cairn_buf_slice(wire)) && body.size > 0) {
        (void)cairn_http_write(exchange, body);
    }
}
