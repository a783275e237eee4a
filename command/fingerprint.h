/* What makes two commands the same command. */
#ifndef CAIRN_COMMAND_FINGERPRINT_H
#define CAIRN_COMMAND_FINGERPRINT_H

#include "platform/value.h"

/* 128 bits over aggregate, id, command and data as they mean it: members in any order, JSON or
 * msgpack, give the same. Stable for ever: it lies in the log beside the key. Not in it: expected
 * version, request id, principal. thread: any. cost: one walk over data. */
void cairn_command_fingerprint(struct cairn_slice aggregate, struct cairn_slice id,
                               struct cairn_slice command, const struct cairn_value *data,
                               unsigned char ret_fingerprint[16]);

#endif
