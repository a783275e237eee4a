/* What the single and the batch form ask of a request: media types, conditions, keys, data. */
#ifndef CAIRN_COMMAND_REQUEST_H
#define CAIRN_COMMAND_REQUEST_H

#include "command/service.h"
#include "platform/http.h"

/* How a body is written. */
enum cairn_form { CAIRN_FORM_JSON, CAIRN_FORM_MSGPACK, CAIRN_FORM_NDJSON };

/* The media type of a form: "application/json". Static. */
const char *cairn_form_media_type(enum cairn_form form);

/* A fault found at the door: the error, and members that its problem has beside the common ones. */
struct cairn_fault_report {
    struct cairn_err err;
    struct cairn_value extra; /* CAIRN_MAP in the arena of the request, or CAIRN_NULL */
};

/* The form of the body. Without a Content-Type it is JSON. batch: NDJSON is a form too.
 * errors: EMEDIATYPE. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_form(const struct cairn_http_request *request,
                                                  bool batch, enum cairn_form *ret_form,
                                                  struct cairn_err *err);
/* Parse a body that is not empty. errors: EMALFORMED (extra has `offset`), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_parse(struct cairn_slice body, enum cairn_form form,
                                                   struct cairn_arena *arena,
                                                   struct cairn_value *ret_value,
                                                   struct cairn_fault_report *report);
/* If-Match and If-None-Match as a version to expect. If-Match: one strong tag that is a decimal
 * version, or `*`; If-None-Match: `*` only; not both. errors: EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_condition(const struct cairn_http_request *request,
                                                       int64_t *ret_expected,
                                                       struct cairn_err *err);
/* Idempotency-Key, as it stands; empty when there is none. errors: EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_key(const struct cairn_http_request *request,
                                                 struct cairn_slice *ret_key,
                                                 struct cairn_err *err);
/* Where a command comes from: request id, X-Correlation-Id, traceparent. errors: EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_origin(const struct cairn_http_request *request,
                                                    struct cairn_command *command,
                                                    struct cairn_err *err);
/* Check a command's data against its schema. errors: ESCHEMA (extra has `errors`, all of them),
 * ENOMEM, EINTERNAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_check(const struct cairn_domain_command *command,
                                                   const struct cairn_value *data,
                                                   struct cairn_arena *arena,
                                                   struct cairn_fault_report *report);
/* A text fit for an Idempotency-Key or an id, as an error that says what is. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_check_key(struct cairn_slice key,
                                                       struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc cairn_request_check_id(struct cairn_slice id, struct cairn_err *err);
/* The command of the catalogue. errors: ENOAGGREGATE, ENOCOMMAND. */
CAIRN_MUST_CHECK enum cairn_rc cairn_request_find(const struct cairn_domain *domain,
                                                  struct cairn_slice aggregate,
                                                  struct cairn_slice name,
                                                  const struct cairn_domain_command **ret_command,
                                                  struct cairn_err *err);

#endif
