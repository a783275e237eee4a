/* msgpack <-> value. The only folder that sees msgpack.
 *
 * Reading checks everything before it allocates: lengths against what is there, depth against
 * CAIRN_VALUE_DEPTH_MAX, UTF-8 of strings, duplicate keys. */
#ifndef CAIRN_SCHEMAS_MSGPACK_H
#define CAIRN_SCHEMAS_MSGPACK_H

#include "platform/value.h"

enum cairn_msgpack_door {
    CAIRN_MSGPACK_DATA,   /* as JSON could have said it: no bin, ext, NaN, infinities; map keys are
                             strings */
    CAIRN_MSGPACK_ANY,    /* every msgpack value */
    CAIRN_MSGPACK_TRUSTED /* our own log's data, checksummed: UTF-8 and duplicate keys are not
                             looked at again */
};

/* Parse the whole of bytes as one value; strings point into bytes.
 * errors: EMALFORMED (err says what and at which byte), ENOMEM. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_msgpack_read(struct cairn_slice bytes,
                                                  enum cairn_msgpack_door door,
                                                  struct cairn_arena *arena,
                                                  struct cairn_value *ret_value, size_t *ret_offset,
                                                  struct cairn_err *err);
/* Append value in its shortest encoding. ETOOBIG, ENOMEM; EINVAL when it is nested deeper than
 * CAIRN_VALUE_DEPTH_MAX. On failure out is cut back. */
CAIRN_MUST_CHECK enum cairn_rc cairn_msgpack_write(const struct cairn_value *value,
                                                   struct cairn_buf *out);

#endif
