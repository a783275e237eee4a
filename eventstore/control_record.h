/* A record of the control topic, and its form there.
 *
 * | key                | value, JSON                                                             |
 * |--------------------|-------------------------------------------------------------------------|
 * | node/<id>          | {"kind":"beat","run":UUID,"url":URL,"leaving":false,"time":RFC 3339}    |
 * |                    | {"kind":"leave","run":UUID,"time":...}                                  |
 * | lane/<n>/<node id> | {"kind":"claim","run":UUID,"term":7,"ids":4,"time":...}                 |
 * |                    | {"kind":"ready", the same and "url":URL}, {"kind":"release", as claim}  |
 *
 * A tombstone (no value) under either key erases it. Each node has keys of its own, so that
 * compaction, which keeps the last record of a key, cannot put a late and void claim of one node in
 * place of another's. Members that a reader does not know are passed over. */
#ifndef CAIRN_EVENTSTORE_CONTROL_RECORD_H
#define CAIRN_EVENTSTORE_CONTROL_RECORD_H

#include "platform/bytes.h"
#include "platform/uuid.h"

#define CAIRN_NODE_ID_MAX       64  /* bytes: [A-Za-z0-9._-] */
#define CAIRN_NODE_URL_MAX      256 /* bytes */
#define CAIRN_TERM_MAX          ((UINT64_C(1) << 53) - 1)
#define CAIRN_CONTROL_KEY_MAX   96   /* bytes, room to write it in */
#define CAIRN_CONTROL_VALUE_MAX 2048 /* bytes */

enum cairn_control_kind {
    CAIRN_CONTROL_BEAT,    /* node, run, url, leaving: I am here and can own lanes */
    CAIRN_CONTROL_LEAVE,   /* node, run: I am gone and own nothing */
    CAIRN_CONTROL_CLAIM,   /* node, run, lane, term, ids: as the lane had before */
    CAIRN_CONTROL_READY,   /* node, run, url, lane, term, ids: the owner's own */
    CAIRN_CONTROL_RELEASE, /* node, run, lane, term, ids: nobody owns it now */
    CAIRN_CONTROL_ERASE    /* node, and lane unless it is CAIRN_LANE_NONE: a tombstone */
};

#define CAIRN_LANE_NONE UINT16_MAX

struct cairn_control_record {
    enum cairn_control_kind kind;
    char node[CAIRN_NODE_ID_MAX + 1];
    char url[CAIRN_NODE_URL_MAX + 1];
    struct cairn_uuid run;
    bool leaving;
    uint16_t lane; /* CAIRN_LANE_NONE where there is none */
    uint64_t term; /* 1..CAIRN_TERM_MAX of lanes' records */
    uint16_t ids;  /* length of the rotation of transactional ids; 0: none were ever used */
    int64_t time_us;
};

bool cairn_node_id_valid(struct cairn_slice id);

/* Append key and value; an ERASE has no value. The record must be valid. out_key->max >=
 * CAIRN_CONTROL_KEY_MAX, out_value->max >= CAIRN_CONTROL_VALUE_MAX suffice for any. ETOOBIG,
 * ENOMEM. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_control_write(const struct cairn_control_record *record,
                                                   struct cairn_buf *out_key,
                                                   struct cairn_buf *out_value);
/* value.data == NULL: a tombstone. EMALFORMED: another key, or not what the table above says.
 * ENOMEM. thread: any. */
CAIRN_MUST_CHECK enum cairn_rc cairn_control_read(struct cairn_slice key, struct cairn_slice value,
                                                  struct cairn_control_record *ret_record,
                                                  struct cairn_err *err);

#endif
