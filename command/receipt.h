/* The first answer again: what an accepted command's key stands for, told from the log. */
#ifndef CAIRN_COMMAND_RECEIPT_H
#define CAIRN_COMMAND_RECEIPT_H

#include "command/service.h"

/* Look the key of a command for `stream` up in the store and, where it is known, make answer the
 * first answer again with `replayed` set. answer is untouched unless OK.
 *
 * arena:   gets what answer points to.
 * scratch: reset; holds the events while they are read.
 * errors:  ENOENT (the key was never accepted; err untouched), EKEYREUSED, ECORRUPT (the receipt
 *          names events that are not there), EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_receipt_answer(struct cairn_store *store, const struct cairn_command *command,
                     struct cairn_slice stream, struct cairn_arena *arena,
                     struct cairn_arena *scratch, struct cairn_answer *answer,
                     struct cairn_err *err);
/* EKEYREUSED, with the text that every such answer has. */
enum cairn_rc cairn_receipt_refuse(struct cairn_err *err);

#endif
