#include "command/request.h"

#include <assert.h>

#include "platform/json.h"
#include "platform/utf8.h"
#include "schemas/msgpack.h"

static const char *const media_types[] = {
    [CAIRN_FORM_JSON] = "application/json",
    [CAIRN_FORM_MSGPACK] = "application/msgpack",
    [CAIRN_FORM_NDJSON] = "application/x-ndjson",
};

const char *cairn_form_media_type(enum cairn_form form)
{
    assert(form <= CAIRN_FORM_NDJSON);
    return media_types[form];
}

enum cairn_rc cairn_request_form(const struct cairn_http_request *request, bool batch,
                                 enum cairn_form *ret_form, struct cairn_err *err)
{
    struct cairn_slice type = cairn_http_header(request, "Content-Type");
    if (type.size == 0) {
        *ret_form = CAIRN_FORM_JSON;
        return CAIRN_OK;
    }
    enum cairn_form last = batch ? CAIRN_FORM_NDJSON : CAIRN_FORM_MSGPACK;
    for (enum cairn_form form = CAIRN_FORM_JSON; form <= last; form++) {
        if (cairn_http_content_is(request, media_types[form])) {
            *ret_form = form;
            return CAIRN_OK;
        }
    }
    return CAIRN_FAIL(err, CAIRN_EMEDIATYPE, "send application/json%s application/msgpack",
                      batch ? ", application/x-ndjson or" : " or");
}

/* One more member for a problem. Memory that is out costs the member, not the answer. */
static void add_extra(struct cairn_fault_report *report, struct cairn_arena *arena, const char *key,
                      struct cairn_value value)
{
    struct cairn_value_builder builder = {.arena = arena};
    if (cairn_value_add(&builder, key, value) == CAIRN_OK) {
        report->extra = cairn_value_map(&builder);
    }
}

enum cairn_rc cairn_request_parse(struct cairn_slice body, enum cairn_form form,
                                  struct cairn_arena *arena, struct cairn_value *ret_value,
                                  struct cairn_fault_report *report)
{
    assert(form == CAIRN_FORM_JSON || form == CAIRN_FORM_MSGPACK);
    size_t offset = 0;
    report->extra = cairn_value_null();
    enum cairn_rc rc =
        form == CAIRN_FORM_MSGPACK
            ? cairn_msgpack_read(body, CAIRN_MSGPACK_DATA, arena, ret_value, &offset, &report->err)
            : cairn_json_read(body, arena, ret_value, &offset, &report->err);
    if (rc == CAIRN_EMALFORMED) {
        add_extra(report, arena, "offset", cairn_value_uint(offset));
    }
    return rc;
}

enum cairn_rc cairn_request_condition(const struct cairn_http_request *request,
                                      int64_t *ret_expected, struct cairn_err *err)
{
    size_t matches = cairn_http_header_count(request, "If-Match");
    size_t nones = cairn_http_header_count(request, "If-None-Match");
    if (matches + nones > 1) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "send one of If-Match and If-None-Match, once");
    }
    if (nones == 1) {
        if (!cairn_slice_is(cairn_http_header(request, "If-None-Match"), "*")) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "If-None-Match can only be *");
        }
        *ret_expected = CAIRN_EXPECT_NONE;
        return CAIRN_OK;
    }
    if (matches == 0) {
        *ret_expected = CAIRN_EXPECT_ANY;
        return CAIRN_OK;
    }
    struct cairn_slice tag = cairn_http_header(request, "If-Match");
    if (cairn_slice_is(tag, "*")) {
        *ret_expected = CAIRN_EXPECT_SOME;
        return CAIRN_OK;
    }
    uint64_t version = 0;
    bool quoted = tag.size > 2 && tag.data[0] == '"' && tag.data[tag.size - 1] == '"';
    if (!quoted ||
        cairn_slice_to_u64(cairn_slice_of(tag.data + 1, tag.size - 2), &version) != CAIRN_OK ||
        version > INT64_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "If-Match must be one version in quotes, or *");
    }
    *ret_expected = (int64_t)version;
    return CAIRN_OK;
}

enum cairn_rc cairn_request_check_key(struct cairn_slice key, struct cairn_err *err)
{
    if (!cairn_key_is_valid(key)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "an Idempotency-Key is 1 to %d bytes of printable text",
                          CAIRN_KEY_BYTES_MAX);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_request_check_id(struct cairn_slice id, struct cairn_err *err)
{
    if (!cairn_id_is_valid(id)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "an id is 1 to %d of the characters A-Z a-z 0-9 . _ ~ : -",
                          CAIRN_ID_BYTES_MAX);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_request_key(const struct cairn_http_request *request,
                                struct cairn_slice *ret_key, struct cairn_err *err)
{
    size_t count = cairn_http_header_count(request, "Idempotency-Key");
    if (count == 0) {
        *ret_key = CAIRN_SLICE_NONE;
        return CAIRN_OK;
    }
    if (count > 1) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "send one Idempotency-Key");
    }
    struct cairn_slice key = cairn_http_header(request, "Idempotency-Key");
    enum cairn_rc rc = cairn_request_check_key(key, err);
    if (rc == CAIRN_OK) {
        *ret_key = key;
    }
    return rc;
}

enum cairn_rc cairn_request_origin(const struct cairn_http_request *request,
                                   struct cairn_command *command, struct cairn_err *err)
{
    assert(request->request_id.size <= CAIRN_META_BYTES_MAX);
    struct cairn_slice correlation = cairn_http_header(request, "X-Correlation-Id");
    if (correlation.size > CAIRN_META_BYTES_MAX || !cairn_utf8_is_valid(correlation)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "X-Correlation-Id is at most %d bytes of UTF-8",
                          CAIRN_META_BYTES_MAX);
    }
    command->request_id = request->request_id;
    command->correlation = correlation;
    command->traceparent = request->traceparent;
    return CAIRN_OK;
}

enum cairn_rc cairn_request_check(const struct cairn_domain_command *command,
                                  const struct cairn_value *data, struct cairn_arena *arena,
                                  struct cairn_fault_report *report)
{
    report->extra = cairn_value_null();
    enum cairn_rc rc = cairn_schema_check(command->schema, data, arena, NULL, NULL, &report->err);
    if (rc != CAIRN_ESCHEMA) {
        return rc;
    }
    /* Again for the faults, which a sound command need not pay for. */
    const struct cairn_schema_fault *faults = NULL;
    size_t count = 0;
    rc = cairn_schema_check(command->schema, data, arena, &faults, &count, &report->err);
    if (rc != CAIRN_ESCHEMA) {
        return rc;
    }
    struct cairn_value errors;
    if (cairn_schema_faults_value(faults, count, arena, &errors) == CAIRN_OK) {
        add_extra(report, arena, "errors", errors);
    }
    return CAIRN_FAIL(&report->err, CAIRN_ESCHEMA,
                      "the data of %.*s does not match its schema in %zu place%s",
                      CAIRN_SLICE_ARG(command->name), count, count == 1 ? "" : "s");
}

enum cairn_rc cairn_request_find(const struct cairn_domain *domain, struct cairn_slice aggregate,
                                 struct cairn_slice name,
                                 const struct cairn_domain_command **ret_command,
                                 struct cairn_err *err)
{
    const struct cairn_domain_command *command = cairn_domain_command(domain, aggregate, name);
    if (command != NULL) {
        *ret_command = command;
        return CAIRN_OK;
    }
    if (cairn_domain_aggregate(domain, aggregate) == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOAGGREGATE, "there is no aggregate \"%.*s\"",
                          CAIRN_SLICE_ARG(aggregate));
    }
    return CAIRN_FAIL(err, CAIRN_ENOCOMMAND, "the aggregate \"%.*s\" has no command \"%.*s\"",
                      CAIRN_SLICE_ARG(aggregate), CAIRN_SLICE_ARG(name));
}
