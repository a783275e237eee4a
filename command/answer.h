/* Small things that everyone does to an answer. */
#ifndef CAIRN_COMMAND_ANSWER_H
#define CAIRN_COMMAND_ANSWER_H

#include "command/service.h"

/* Make answer the failure that err tells of; rc is err's. version is left as it is. */
void cairn_answer_fail(struct cairn_answer *answer, const struct cairn_err *err);
/* Copy an answer and what it points to. Where memory is out, ret_copy is a failure that says so: a
 * retry with the same key learns what the answer was. */
void cairn_answer_copy(const struct cairn_answer *answer, struct cairn_arena *arena,
                       struct cairn_answer *ret_copy);

#endif
