/* Streams: the head now, the body in pieces, each one write. */
#include <assert.h>

#include "platform/http_int.h"

bool cairn_http_stopping(const struct cairn_http_request *request)
{
    if (request->connection == NULL) {
        return false;
    }
    return atomic_load(&cairn_http_exchange_of(request)->http->stopping);
}

bool cairn_http_stream_begin(struct cairn_http_request *request,
                             struct cairn_http_response *response)
{
    struct cairn_http_exchange *exchange = cairn_http_exchange_of(request);
    assert(response == &exchange->response);
    assert(!response->streamed && !response->failed);
    if (response->status == 0) {
        response->status = 200;
    }
    response->streamed = true;
    /* A feed ends with its connection, so that its end can be told from a pause. */
    exchange->keep = false;
    if (!cairn_http_head_write(exchange, -1)) {
        exchange->gone = true;
        return false;
    }
    bool sent = cairn_http_write(exchange, cairn_buf_slice(&exchange->worker->wire));
    return sent && !exchange->head_only && !cairn_http_stopping(request);
}

/* "SIZE\r\n", hexadecimal. */
static enum cairn_rc add_chunk_head(struct cairn_buf *out, size_t size)
{
    char digits[sizeof(size) * 2];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[size % 16];
        size /= 16;
    } while (size > 0);
    enum cairn_rc rc = cairn_buf_append(out, cairn_slice_of(digits + at, sizeof(digits) - at));
    return rc == CAIRN_OK ? cairn_buf_append_str(out, "\r\n") : rc;
}

bool cairn_http_stream_write(struct cairn_http_request *request, struct cairn_slice bytes)
{
    struct cairn_http_exchange *exchange = cairn_http_exchange_of(request);
    struct cairn_buf *wire = &exchange->worker->wire;
    assert(exchange->response.streamed);
    if (exchange->head_only || exchange->gone) {
        return false;
    }
    /* A piece of size 0 would end a chunked body. */
    while (bytes.size > 0) {
        size_t size =
            bytes.size < CAIRN_HTTP_JOIN_BYTES_MAX ? bytes.size : CAIRN_HTTP_JOIN_BYTES_MAX;
        cairn_buf_truncate(wire, 0);
        enum cairn_rc rc = exchange->http_1_0 ? CAIRN_OK : add_chunk_head(wire, size);
        if (rc == CAIRN_OK) {
            rc = cairn_buf_append(wire, cairn_slice_of(bytes.data, size));
        }
        if (rc == CAIRN_OK && !exchange->http_1_0) {
            rc = cairn_buf_append_str(wire, "\r\n");
        }
        if (rc != CAIRN_OK) {
            exchange->gone = true;
        }
        if (exchange->gone || !cairn_http_write(exchange, cairn_buf_slice(wire))) {
            return false;
        }
        bytes = cairn_slice_of(bytes.data + size, bytes.size - size);
    }
    return !cairn_http_stopping(request);
}

void cairn_http_stream_end(struct cairn_http_exchange *exchange)
{
    assert(exchange->response.streamed && !exchange->keep);
    if (!exchange->head_only && !exchange->http_1_0 && !exchange->gone) {
        (void)cairn_http_write(exchange, CAIRN_SLICE_LIT("0\r\n\r\n"));
    }
}
