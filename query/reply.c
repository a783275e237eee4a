#include "query/reply.h"

#include <assert.h>

#include "platform/hash.h"
#include "platform/json.h"
#include "query/wait.h"
#include "schemas/msgpack.h"

#define ETAG_BYTES 18u

static const char *const media_types[] = {
    [CAIRN_FORM_JSON] = "application/json",
    [CAIRN_FORM_MSGPACK] = "application/msgpack",
};

bool cairn_reply_form(struct cairn_http_request *request, struct cairn_http_response *response,
                      enum cairn_form *ret_form)
{
    assert(ret_form != NULL);
    switch (cairn_http_accepts(request, media_types[CAIRN_FORM_JSON],
                               media_types[CAIRN_FORM_MSGPACK])) {
    case 0:
        *ret_form = CAIRN_FORM_JSON;
        return true;
    case 1:
        *ret_form = CAIRN_FORM_MSGPACK;
        return true;
    default:
        break;
    }
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_EACCEPT, "the answer can be %s or %s",
                     media_types[CAIRN_FORM_JSON], media_types[CAIRN_FORM_MSGPACK]);
    cairn_http_problem(response, &err, NULL, request);
    return false;
}

enum cairn_rc cairn_reply_write(struct cairn_http_response *response, enum cairn_form form,
                                const struct cairn_value *value, struct cairn_err *err)
{
    assert(value != NULL);
    enum cairn_rc rc = form == CAIRN_FORM_JSON ? cairn_json_write(value, &response->body)
                                               : cairn_msgpack_write(value, &response->body);
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "writing the answer");
}

bool cairn_reply_matches(struct cairn_slice field, struct cairn_slice etag)
{
    assert(etag.size > 2 && etag.data[0] == '"');
    struct cairn_slice rest = field;
    while (rest.size > 0) {
        /* A comma inside a foreign tag's quotes cuts that tag in two; neither part can equal ours,
         * which has none. */
        size_t comma = cairn_slice_find(rest, ',');
        struct cairn_slice one = cairn_slice_trim(cairn_slice_of(rest.data, comma));
        if (cairn_slice_starts(one, CAIRN_SLICE_LIT("W/"))) {
            one = cairn_slice_of(one.data + 2, one.size - 2);
        }
        if (cairn_slice_equal(one, etag) || cairn_slice_is(one, "*")) {
            return true;
        }
        size_t used = comma < rest.size ? comma + 1 : comma;
        rest = cairn_slice_of(rest.data + used, rest.size - used);
    }
    return false;
}

/* printf costs as much as a whole row's look-up; these two run for every answer. */
static struct cairn_slice write_decimal(uint64_t number, char out[20])
{
    size_t at = 20;
    do {
        out[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return cairn_slice_of(out + at, 20 - at);
}

/* "0123456789abcdef" in quotes. */
static struct cairn_slice write_tag(uint64_t hash, char out[ETAG_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    out[0] = '"';
    for (unsigned i = 0; i < 16; i++) {
        out[1 + i] = digits[(hash >> (60 - 4 * i)) & 15];
    }
    out[ETAG_BYTES - 1] = '"';
    return cairn_slice_of(out, ETAG_BYTES);
}

static void add_freshness(struct cairn_http_request *request, struct cairn_http_response *response,
                          const struct cairn_freshness *freshness)
{
    char *position = cairn_position_text(freshness->position, request->arena);
    if (position != NULL) {
        cairn_http_header_add(response, "Cairn-Position", cairn_slice_str(position));
    }
    char lag[20];
    cairn_http_header_add(response, "Cairn-Lag", write_decimal(freshness->lag, lag));
    if (freshness->stopped) {
        cairn_http_header_add(response, "Cairn-View-State", CAIRN_SLICE_LIT("stopped"));
    }
}

void cairn_reply_send(struct cairn_http_request *request, struct cairn_http_response *response,
                      enum cairn_form form, const struct cairn_freshness *freshness)
{
    assert(response->body.size > 0);
    assert(freshness->position != NULL);
    char text[ETAG_BYTES];
    struct cairn_slice etag = write_tag(cairn_hash64(cairn_buf_slice(&response->body)), text);
    add_freshness(request, response, freshness);
    cairn_http_header_add(response, "ETag", etag);
    cairn_http_header_add(response, "Cache-Control", CAIRN_SLICE_LIT("no-cache"));
    cairn_http_header_add(response, "Vary", CAIRN_SLICE_LIT("Accept"));
    struct cairn_slice known = cairn_http_header(request, "If-None-Match");
    if (known.data != NULL && cairn_reply_matches(known, etag)) {
        response->status = 304;
        cairn_buf_truncate(&response->body, 0);
        return;
    }
    response->content_type = media_types[form];
}

void cairn_reply_fail(struct cairn_http_request *request, struct cairn_http_response *response,
                      const struct cairn_err *err)
{
    assert(err->rc != CAIRN_OK);
    cairn_buf_truncate(&response->body, 0);
    cairn_http_problem(response, err, NULL, request);
}

void cairn_reply_fail_at(struct cairn_http_request *request, struct cairn_http_response *response,
                         const struct cairn_position *held, const struct cairn_err *err)
{
    assert(err->rc != CAIRN_OK);
    char *text = cairn_position_text(held, request->arena);
    struct cairn_value_builder extra = {.arena = request->arena};
    if (text == NULL || cairn_value_add(&extra, "position",
                                        cairn_value_string(cairn_slice_str(text))) != CAIRN_OK) {
        cairn_reply_fail(request, response, err);
        return;
    }
    struct cairn_value members = cairn_value_map(&extra);
    cairn_buf_truncate(&response->body, 0);
    cairn_http_problem(response, err, &members, request);
    cairn_http_header_add(response, "Cairn-Position", cairn_slice_str(text));
}

void cairn_reply_from_log(struct cairn_query_api *api, struct cairn_http_request *request,
                          struct cairn_http_response *response, cairn_reply_fn answer)
{
    assert(answer != NULL);
    enum cairn_form form;
    if (!cairn_reply_form(request, response, &form)) {
        return;
    }
    struct cairn_err err;
    struct cairn_wait wait;
    struct cairn_position held = {{0}};
    enum cairn_rc rc = cairn_wait_read(api, request, response, &wait, &err);
    rc = rc != CAIRN_OK ? rc : cairn_wait_log(api, &wait, &held, &err);
    if (rc == CAIRN_EBEHIND) {
        cairn_reply_fail_at(request, response, &held, &err);
        return;
    }
    rc = rc != CAIRN_OK ? rc : answer(api, request, response, form, &held, &err);
    if (rc != CAIRN_OK) {
        cairn_reply_fail(request, response, &err);
        return;
    }
    cairn_reply_send(request, response, form, &(struct cairn_freshness){.position = &held});
}
