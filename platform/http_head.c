/* A request's head: fields, framing, Host. What RFC 9112 tells a server to refuse is refused. */
#include <assert.h>
#include <strings.h>

#include <civetweb.h>

#include "platform/http_int.h"

struct cairn_http_exchange *cairn_http_exchange_of(const struct cairn_http_request *request)
{
    assert(request->connection != NULL);
    return request->connection;
}

/* A request is asked for a dozen names, and most fields differ from them in the first letter. */
static bool is_named(const struct mg_header *field, const char *name)
{
    return ((field->name[0] ^ name[0]) & ~0x20) == 0 && strcasecmp(field->name, name) == 0;
}

struct cairn_slice cairn_http_header(const struct cairn_http_request *request, const char *name)
{
    if (request->connection == NULL) {
        return CAIRN_SLICE_NONE;
    }
    const struct mg_request_info *info = cairn_http_exchange_of(request)->info;
    if (info == NULL) {
        return CAIRN_SLICE_NONE;
    }
    for (int i = 0; i < info->num_headers; i++) {
        if (is_named(&info->http_headers[i], name)) {
            return cairn_slice_trim(cairn_slice_str(info->http_headers[i].value));
        }
    }
    return CAIRN_SLICE_NONE;
}

size_t cairn_http_header_count(const struct cairn_http_request *request, const char *name)
{
    if (request->connection == NULL) {
        return 0;
    }
    const struct mg_request_info *info = cairn_http_exchange_of(request)->info;
    size_t count = 0;
    for (int i = 0; info != NULL && i < info->num_headers; i++) {
        count += is_named(&info->http_headers[i], name);
    }
    return count;
}

/* The fields that frame a request, counted. */
struct framing {
    unsigned hosts;
    unsigned lengths;
    unsigned encodings;
    struct cairn_slice host;
    struct cairn_slice length;
    struct cairn_slice encoding;
    struct cairn_slice connection;
    struct cairn_slice expect;
};

/* A token of RFC 9110 (the name is not empty: the layout was checked). */
static bool is_token(const char *name)
{
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        bool alnum = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= 'A' && byte <= 'Z');
        if (!alnum && strchr("!#$%&'*+-.^_`|~", byte) == NULL) {
            return false;
        }
    }
    return true;
}

static enum cairn_rc collect(const struct mg_request_info *info, struct framing *framing,
                             struct cairn_err *err)
{
    for (int i = 0; i < info->num_headers; i++) {
        const char *name = info->http_headers[i].name;
        struct cairn_slice value = cairn_slice_trim(cairn_slice_str(info->http_headers[i].value));
        if (!is_token(name)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "a header field's name is not a token");
        }
        /* Most fields are told apart by their first letter. */
        switch (name[0] | 0x20) {
        case 'h':
            if (strcasecmp(name, "Host") == 0) {
                framing->hosts++;
                framing->host = value;
            }
            break;
        case 'c':
            if (strcasecmp(name, "Content-Length") == 0) {
                framing->lengths++;
                framing->length = value;
            } else if (strcasecmp(name, "Connection") == 0) {
                framing->connection = value;
            }
            break;
        case 't':
            if (strcasecmp(name, "Transfer-Encoding") == 0) {
                framing->encodings++;
                framing->encoding = value;
            }
            break;
        case 'e':
            if (strcasecmp(name, "Expect") == 0) {
                framing->expect = value;
            }
            break;
        default:
            break;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc check_body_framing(struct cairn_http_exchange *exchange,
                                        const struct framing *framing, struct cairn_err *err)
{
    if (framing->encodings > 0) {
        if (framing->lengths > 0) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "Content-Length and Transfer-Encoding in one request");
        }
        if (exchange->http_1_0 || framing->encodings > 1 ||
            !cairn_slice_equal_nocase(framing->encoding, CAIRN_SLICE_LIT("chunked"))) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "the only Transfer-Encoding known is chunked, in HTTP/1.1");
        }
        exchange->chunked = true;
        exchange->body_pending = true;
        return CAIRN_OK;
    }
    if (framing->lengths == 0) {
        return CAIRN_OK;
    }
    uint64_t length = 0;
    if (framing->lengths > 1 || cairn_slice_to_u64(framing->length, &length) != CAIRN_OK ||
        length > INT64_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "Content-Length must be one decimal number");
    }
    exchange->has_length = true;
    exchange->content_length = length;
    exchange->body_pending = length > 0;
    return CAIRN_OK;
}

/* Is token in the comma-separated list? */
static bool list_has(struct cairn_slice list, const char *token)
{
    while (list.size > 0) {
        size_t size = cairn_slice_find(list, ',');
        if (cairn_slice_equal_nocase(cairn_slice_trim(cairn_slice_of(list.data, size)),
                                     cairn_slice_str(token))) {
            return true;
        }
        size_t skip = size < list.size ? size + 1 : size;
        list = cairn_slice_of(list.data + skip, list.size - skip);
    }
    return false;
}

static void read_connection(struct cairn_http_exchange *exchange, const struct framing *framing)
{
    if (list_has(framing->connection, "close")) {
        exchange->keep = false;
    } else {
        /* civetweb closes behind any other Connection value, so the answer says so. */
        exchange->keep = framing->connection.data == NULL
                             ? !exchange->http_1_0
                             : list_has(framing->connection, "keep-alive");
    }
    exchange->expects_continue =
        !exchange->http_1_0 &&
        cairn_slice_equal_nocase(framing->expect, CAIRN_SLICE_LIT("100-continue"));
}

enum cairn_rc cairn_http_head_read(struct cairn_http_exchange *exchange, struct cairn_err *err)
{
    const struct mg_request_info *info = exchange->info;
    assert(info != NULL && info->http_version != NULL);
    exchange->http_1_0 = strcmp(info->http_version, "1.0") == 0;
    exchange->request.method = cairn_slice_str(info->request_method);
    exchange->head_only = cairn_slice_is(exchange->request.method, "HEAD");
    if (info->num_headers > CAIRN_HTTP_HEADERS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EHEADERS, "more than %d header fields",
                          CAIRN_HTTP_HEADERS_MAX);
    }
    enum cairn_rc rc = cairn_http_layout_check(info, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct framing framing = {.hosts = 0};
    rc = collect(info, &framing, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (framing.hosts > 1 || (framing.hosts == 0 && !exchange->http_1_0)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a request has exactly one Host field, this one %u",
                          framing.hosts);
    }
    rc = check_body_framing(exchange, &framing, err);
    if (rc == CAIRN_OK) {
        read_connection(exchange, &framing);
    }
    return rc;
}
