/* A page's cursor: the place of its last row in the order of the query, as base64url text.
 *
 * A cursor is a payload sealed (platform/seal.h) for view, order and direction; that of a view in
 * LMDB is a place:
 *
 *   offset  size   what
 *   0       1      size of the form, 0 when the order is the key
 *   1       0..107 the form of the ordering value (projector/lmdb/view_key.h)
 *   ..      1..400 the row's key
 *
 * A forged one shows nothing that the query itself would not. thread: any. */
#ifndef CAIRN_PROJECTOR_VIEW_CURSOR_H
#define CAIRN_PROJECTOR_VIEW_CURSOR_H

#include "platform/seal.h"
#include "projector/lmdb/view_key.h"
#include "projector/view_read.h"

#define CAIRN_VIEW_PAYLOAD_MAX     CAIRN_SEAL_PAYLOAD_MAX
#define CAIRN_VIEW_PLACE_BYTES_MAX (1 + CAIRN_VIEW_FORM_MAX + CAIRN_VIEW_KEY_BYTES_MAX)

/* Any payload, 1 to CAIRN_VIEW_PAYLOAD_MAX bytes, as a cursor of the query; text in arena. ENOMEM.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_cursor_seal(const struct cairn_view_query *query,
                                                      struct cairn_slice payload,
                                                      struct cairn_arena *arena,
                                                      struct cairn_slice *ret_text);
/* The payload of query->cursor, in arena. errors: EQUERY (not a cursor of this query), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_cursor_open(const struct cairn_view_query *query,
                                                      struct cairn_arena *arena,
                                                      struct cairn_slice *ret_payload,
                                                      struct cairn_err *err);

/* A place in an order: the form of the ordering value (empty when it is the key) and the key. */
struct cairn_view_place {
    struct cairn_slice form;
    struct cairn_slice key;
};

/* Text in arena. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_cursor_write(const struct cairn_view_query *query,
                                                       const struct cairn_view_place *place,
                                                       struct cairn_arena *arena,
                                                       struct cairn_slice *ret_text);
/* The place of query->cursor, in arena. errors: EQUERY (not a cursor of this query), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_cursor_read(const struct cairn_view_query *query,
                                                      struct cairn_arena *arena,
                                                      struct cairn_view_place *ret_place,
                                                      struct cairn_err *err);

#endif
