/* Answers as they are written: an accepted command as JSON or as a value, anything else as the
 * members of a problem. */
#ifndef CAIRN_COMMAND_REPLY_H
#define CAIRN_COMMAND_REPLY_H

#include "command/request.h"

/* "255:18446744073709551615" and a NUL. */
#define CAIRN_REPLY_POSITION_MAX 32

/* The HTTP status of an accepted command: 201 when the stream began with it, else 200. */
int cairn_reply_status(const struct cairn_answer *answer);
/* The position behind the command's events, "0:17"; empty when there were none. */
struct cairn_slice cairn_reply_position(const struct cairn_answer *answer,
                                        char out[CAIRN_REPLY_POSITION_MAX]);

/* Append an accepted command as JSON. batch: with `status`, and `replayed` where it was.
 * errors: ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_reply_json(const struct cairn_answer *answer, bool batch,
                                                struct cairn_buf *out);
/* The same as a value in arena. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_reply_value(const struct cairn_answer *answer, bool batch,
                                                 struct cairn_arena *arena,
                                                 struct cairn_value *ret_value);

/* What an answer that is no success tells: its error with the detail for clients, and the members
 * of its kind: code; expected and actual; place. */
void cairn_reply_report(const struct cairn_answer *answer, const struct cairn_command *command,
                        struct cairn_arena *arena, struct cairn_fault_report *report);
/* Make err's text UTF-8: a script may throw any bytes, and a text that is too long is cut anywhere.
 */
void cairn_reply_clean(struct cairn_err *err);
/* A whole problem document as a value: what cairn_http_problem writes. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_reply_problem(const struct cairn_fault_report *report,
                                                   struct cairn_arena *arena,
                                                   struct cairn_value *ret_value);

#endif
