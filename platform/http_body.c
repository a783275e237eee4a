/* A request's body: whole, within its limit, or an error. A part is never taken for the whole. */
#include <assert.h>

#include <civetweb.h>

#include "platform/http_int.h"

/* curl and others wait for this before they send a large body; civetweb does not send it. */
static enum cairn_rc invite(struct cairn_http_exchange *exchange, struct cairn_err *err)
{
    if (exchange->expects_continue &&
        !cairn_http_write(exchange, CAIRN_SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"))) {
        return CAIRN_FAIL(err, CAIRN_EHALFSENT, "the peer went away before it sent the body");
    }
    return CAIRN_OK;
}

/* Read up to size bytes to the end of body; *ret_read is what civetweb's mg_read answered. */
static enum cairn_rc read_piece(struct cairn_http_exchange *exchange, struct cairn_buf *body,
                                size_t size, int *ret_read, struct cairn_err *err)
{
    assert(size > 0 && size <= CAIRN_HTTP_PIECE_BYTES);
    if (cairn_buf_reserve(body, size) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the body");
    }
    int got = mg_read(exchange->connection, body->data + body->size, size);
    assert(got <= (int)size);
    if (got > 0) {
        body->size += (size_t)got;
    }
    *ret_read = got;
    return CAIRN_OK;
}

static enum cairn_rc read_sized(struct cairn_http_exchange *exchange, struct cairn_buf *body,
                                struct cairn_err *err)
{
    while (body->size < exchange->content_length) {
        size_t left = (size_t)exchange->content_length - body->size;
        size_t size = left < CAIRN_HTTP_PIECE_BYTES ? left : CAIRN_HTTP_PIECE_BYTES;
        int got = 0;
        enum cairn_rc rc = read_piece(exchange, body, size, &got, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        /* mg_read answers less than asked for only when time is up or the peer stopped sending. */
        if (got < 0 || (size_t)got < size) {
            return CAIRN_FAIL(err, CAIRN_EHALFSENT, "%zu of the body's %llu bytes arrived",
                              body->size, (unsigned long long)exchange->content_length);
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc read_chunked(struct cairn_http_exchange *exchange, struct cairn_buf *body,
                                  size_t body_max, struct cairn_err *err)
{
    for (;;) {
        int got = 0;
        /* One byte more than allowed is room enough to notice that there is more. */
        size_t left = body_max + 1 - body->size;
        size_t size = left < CAIRN_HTTP_PIECE_BYTES ? left : CAIRN_HTTP_PIECE_BYTES;
        enum cairn_rc rc = read_piece(exchange, body, size, &got, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (got < 0) {
            return CAIRN_FAIL(err, CAIRN_EMALFORMED,
                              "the body's chunks are not well-formed, or did not arrive whole");
        }
        if (body->size > body_max) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the body is larger than %zu bytes", body_max);
        }
        if (got == 0) {
            return CAIRN_OK;
        }
    }
}

enum cairn_rc cairn_http_body_read(struct cairn_http_exchange *exchange, size_t body_max,
                                   struct cairn_err *err)
{
    assert(exchange->body_pending);
    assert(body_max < SIZE_MAX - CAIRN_HTTP_PIECE_BYTES);
    if (body_max == 0) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "this resource takes no body");
    }
    if (exchange->has_length && exchange->content_length > body_max) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the body is larger than %zu bytes", body_max);
    }
    enum cairn_rc rc = invite(exchange, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_buf *body = &exchange->worker->body_in;
    assert(body->size == 0);
    body->max = body_max + CAIRN_HTTP_PIECE_BYTES;
    rc = exchange->chunked ? read_chunked(exchange, body, body_max, err)
                           : read_sized(exchange, body, err);
    if (rc == CAIRN_OK) {
        exchange->body_pending = false;
        exchange->request.body = cairn_buf_slice(body);
    }
    return rc;
}
