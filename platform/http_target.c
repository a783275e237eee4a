/* Request targets: percent-decoding, path segments, query parameters. Pure functions of bytes. */
#include <assert.h>

#include "platform/http_int.h"
#include "platform/utf8.h"

/* 0..15, or -1. */
static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    if (byte >= 'A' && byte <= 'F') {
        return byte - 'A' + 10;
    }
    return -1;
}

static bool is_plain(struct cairn_slice raw, bool plus)
{
    for (size_t i = 0; i < raw.size; i++) {
        unsigned char byte = (unsigned char)raw.data[i];
        if (byte == '%' || byte == 0 || byte >= 0x80 || (plus && byte == '+')) {
            return false;
        }
    }
    return true;
}

/* Unescape raw into out (raw.size bytes of room). EINVAL at the first bad escape or NUL. */
static enum cairn_rc unescape(struct cairn_slice raw, bool plus, char *out, size_t *ret_size,
                              struct cairn_err *err)
{
    size_t size = 0;
    for (size_t i = 0; i < raw.size; i++) {
        char byte = raw.data[i];
        if (byte == '%') {
            int high = raw.size - i > 2 ? hex_digit(raw.data[i + 1]) : -1;
            int low = raw.size - i > 2 ? hex_digit(raw.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return CAIRN_FAIL(err, CAIRN_EINVAL, "a '%%' is not followed by two hex digits");
            }
            byte = (char)(unsigned char)(high * 16 + low);
            i += 2;
        } else if (plus && byte == '+') {
            byte = ' ';
        }
        if (byte == '\0') {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "a zero byte is not allowed in the request target");
        }
        out[size++] = byte;
    }
    assert(size <= raw.size);
    *ret_size = size;
    return CAIRN_OK;
}

enum cairn_rc cairn_http_decode(struct cairn_slice raw, bool plus, struct cairn_arena *arena,
                                struct cairn_slice *ret_text, struct cairn_err *err)
{
    assert(raw.size == 0 || raw.data != NULL);
    if (is_plain(raw, plus)) {
        *ret_text = raw;
        return CAIRN_OK;
    }
    char *out = cairn_arena_alloc(arena, raw.size);
    if (out == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the request target");
    }
    size_t size = 0;
    enum cairn_rc rc = unescape(raw, plus, out, &size, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_slice text = cairn_slice_of(out, size);
    if (!cairn_utf8_is_valid(text)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the request target is not UTF-8 once decoded");
    }
    *ret_text = text;
    return CAIRN_OK;
}

enum cairn_rc cairn_http_path_split(struct cairn_slice raw, struct cairn_arena *arena,
                                    struct cairn_http_path *ret_path, struct cairn_err *err)
{
    assert(ret_path != NULL);
    if (raw.size == 0 || raw.data[0] != '/') {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the path does not begin with '/'");
    }
    if (cairn_slice_find(raw, '#') < raw.size) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a request target has no fragment");
    }
    struct cairn_http_path path = {.count = 0};
    struct cairn_slice rest = cairn_slice_of(raw.data + 1, raw.size - 1);
    for (;;) {
        size_t size = cairn_slice_find(rest, '/');
        if (path.count == CAIRN_HTTP_SEGMENTS_MAX) {
            return CAIRN_FAIL(err, CAIRN_ENOENT, "nothing is served at this path");
        }
        if (size > CAIRN_HTTP_SEGMENT_BYTES_MAX) {
            return CAIRN_FAIL(err, CAIRN_EURITOOLONG, "a path segment is longer than %d bytes",
                              CAIRN_HTTP_SEGMENT_BYTES_MAX);
        }
        enum cairn_rc rc = cairn_http_decode(cairn_slice_of(rest.data, size), false, arena,
                                             &path.segments[path.count], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        path.count++;
        if (size == rest.size) {
            break;
        }
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
    }
    assert(path.count >= 1 && path.count <= CAIRN_HTTP_SEGMENTS_MAX);
    *ret_path = path;
    return CAIRN_OK;
}

/* "name=value" or "name". */
static enum cairn_rc decode_param(struct cairn_slice piece, struct cairn_arena *arena,
                                  struct cairn_http_param *ret_param, struct cairn_err *err)
{
    size_t at = cairn_slice_find(piece, '=');
    struct cairn_slice value = cairn_slice_of(piece.data + at, 0);
    if (at < piece.size) {
        value = cairn_slice_of(piece.data + at + 1, piece.size - at - 1);
    }
    struct cairn_http_param param;
    enum cairn_rc rc =
        cairn_http_decode(cairn_slice_of(piece.data, at), true, arena, &param.name, err);
    if (rc == CAIRN_OK) {
        rc = cairn_http_decode(value, true, arena, &param.value, err);
    }
    if (rc == CAIRN_OK) {
        *ret_param = param;
    }
    return rc;
}

enum cairn_rc cairn_http_query_split(struct cairn_slice raw, struct cairn_arena *arena,
                                     const struct cairn_http_param **ret_params, size_t *ret_count,
                                     struct cairn_err *err)
{
    assert(ret_params != NULL && ret_count != NULL);
    size_t pieces = 0;
    for (size_t i = 0; i < raw.size; i++) {
        pieces += (i == 0 || raw.data[i - 1] == '&') && raw.data[i] != '&';
    }
    if (pieces > CAIRN_HTTP_PARAMS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "more than %d query parameters",
                          CAIRN_HTTP_PARAMS_MAX);
    }
    struct cairn_http_param *params = NULL;
    if (pieces > 0) {
        params = cairn_arena_zalloc(arena, pieces, sizeof(*params));
        if (params == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the query");
        }
    }
    size_t count = 0;
    struct cairn_slice rest = raw;
    while (rest.size > 0) {
        size_t size = cairn_slice_find(rest, '&');
        if (size > 0) {
            assert(count < pieces);
            enum cairn_rc rc =
                decode_param(cairn_slice_of(rest.data, size), arena, &params[count], err);
            if (rc != CAIRN_OK) {
                return rc == CAIRN_EINVAL ? cairn_err_wrap(err, CAIRN_EQUERY, "query") : rc;
            }
            count++;
        }
        size_t skip = size < rest.size ? size + 1 : size;
        rest = cairn_slice_of(rest.data + skip, rest.size - skip);
    }
    assert(count == pieces);
    *ret_params = params;
    *ret_count = count;
    return CAIRN_OK;
}
