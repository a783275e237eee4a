/* One item of a batch: {"aggregate", "id", "command", "data", "key", "expected"}. */
#ifndef CAIRN_COMMAND_BATCH_ITEM_H
#define CAIRN_COMMAND_BATCH_ITEM_H

#include "command/request.h"

/* Turns items into commands; remembers the last one's catalogue entry, because batches repeat it.
 * thread: owner. */
struct cairn_batch_reader {
    const struct cairn_domain *domain;
    const struct cairn_domain_command *last; /* may be NULL */
};

/* Read one item that is parsed already.
 *
 * item:        borrowed, as is what the command points to, until the answer.
 * ret_command: all but where it comes from (request id and the like).
 * errors:      EINVAL (no object, an unknown, missing or ill-typed member, a bad id or key),
 *              ENOAGGREGATE, ENOCOMMAND, ESCHEMA, ENOMEM; report says what. */
CAIRN_MUST_CHECK enum cairn_rc cairn_batch_read_item(struct cairn_batch_reader *reader,
                                                     const struct cairn_value *item,
                                                     struct cairn_arena *arena,
                                                     struct cairn_command *ret_command,
                                                     struct cairn_fault_report *report);
/* Read one line of NDJSON: parse, then the same. Also EMALFORMED. */
CAIRN_MUST_CHECK enum cairn_rc cairn_batch_read_line(struct cairn_batch_reader *reader,
                                                     struct cairn_slice line,
                                                     struct cairn_arena *arena,
                                                     struct cairn_command *ret_command,
                                                     struct cairn_fault_report *report);

#endif
