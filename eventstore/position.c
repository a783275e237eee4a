#include "eventstore/position.h"

#include <assert.h>

/* "partition:offset". */
static enum cairn_rc parse_part(struct cairn_slice part, uint64_t *ret_partition,
                                uint64_t *ret_offset)
{
    size_t colon = cairn_slice_find(part, ':');
    if (colon == part.size) {
        return CAIRN_EINVAL;
    }
    struct cairn_slice left = cairn_slice_of(part.data, colon);
    struct cairn_slice right = cairn_slice_of(part.data + colon + 1, part.size - colon - 1);
    uint64_t partition = 0;
    uint64_t offset = 0;
    if (cairn_slice_to_u64(left, &partition) != CAIRN_OK ||
        cairn_slice_to_u64(right, &offset) != CAIRN_OK || partition >= CAIRN_PARTITIONS_MAX) {
        return CAIRN_EINVAL;
    }
    /* One text for one position: no leading zeros. */
    if ((left.size > 1 && left.data[0] == '0') || (right.size > 1 && right.data[0] == '0')) {
        return CAIRN_EINVAL;
    }
    *ret_partition = partition;
    *ret_offset = offset;
    return CAIRN_OK;
}

enum cairn_rc cairn_position_parse(struct cairn_slice text, struct cairn_position *ret_position)
{
    struct cairn_position position = {{0}};
    if (text.size > CAIRN_POSITION_TEXT_MAX) {
        return CAIRN_EINVAL;
    }
    if (cairn_slice_is(text, "0:0")) {
        *ret_position = position;
        return CAIRN_OK;
    }
    uint64_t lowest = 0; /* that the next part may name */
    for (;;) {
        size_t comma = cairn_slice_find(text, ',');
        uint64_t partition = 0;
        uint64_t offset = 0;
        if (parse_part(cairn_slice_of(text.data, comma), &partition, &offset) != CAIRN_OK ||
            partition < lowest || offset == 0) {
            return CAIRN_EINVAL;
        }
        position.offsets[partition] = offset;
        lowest = partition + 1;
        if (comma == text.size) {
            break;
        }
        text = cairn_slice_of(text.data + comma + 1, text.size - comma - 1);
    }
    *ret_position = position;
    return CAIRN_OK;
}

/* Is every partition behind this one at 0? Most logs have one partition, and every answer carries a
 * position. */
static bool is_last(const struct cairn_position *position, unsigned partition)
{
    static const struct cairn_position zero;
    size_t rest = CAIRN_PARTITIONS_MAX - 1 - partition;
    return memcmp(position->offsets + partition + 1, zero.offsets, rest * sizeof(uint64_t)) == 0;
}

/* "partition:offset". */
static enum cairn_rc write_part(unsigned partition, uint64_t offset, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_append_u64(out, partition);
    rc = rc != CAIRN_OK ? rc : cairn_buf_append_byte(out, ':');
    return rc != CAIRN_OK ? rc : cairn_buf_append_u64(out, offset);
}

enum cairn_rc cairn_position_write(const struct cairn_position *position, struct cairn_buf *out)
{
    size_t start = out->size;
    enum cairn_rc rc = CAIRN_OK;
    for (unsigned p = 0; rc == CAIRN_OK && p < CAIRN_PARTITIONS_MAX; p++) {
        if (position->offsets[p] == 0) {
            continue;
        }
        rc = out->size > start ? cairn_buf_append_byte(out, ',') : CAIRN_OK;
        rc = rc != CAIRN_OK ? rc : write_part(p, position->offsets[p], out);
        if (is_last(position, p)) {
            break;
        }
    }
    if (rc == CAIRN_OK && out->size == start) {
        rc = cairn_buf_append_str(out, "0:0");
    }
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out, start);
    }
    return rc;
}

char *cairn_position_text(const struct cairn_position *position, struct cairn_arena *arena)
{
    char room[CAIRN_POSITION_TEXT_MAX];
    struct cairn_buf text = {.data = room, .cap = sizeof(room), .max = sizeof(room)};
    char *found = NULL;
    if (cairn_position_write(position, &text) == CAIRN_OK) {
        found = cairn_arena_alloc(arena, text.size + 1);
    }
    if (found != NULL) {
        memcpy(found, text.data, text.size);
        found[text.size] = '\0';
    }
    assert(text.data == room);
    return found;
}

bool cairn_position_reached(const struct cairn_position *have, const struct cairn_position *want)
{
    for (unsigned p = 0; p < CAIRN_PARTITIONS_MAX; p++) {
        if (have->offsets[p] < want->offsets[p]) {
            return false;
        }
    }
    return true;
}

void cairn_position_merge(struct cairn_position *into, const struct cairn_position *other)
{
    for (unsigned p = 0; p < CAIRN_PARTITIONS_MAX; p++) {
        if (other->offsets[p] > into->offsets[p]) {
            into->offsets[p] = other->offsets[p];
        }
    }
}

uint64_t cairn_position_lag(const struct cairn_position *have, const struct cairn_position *end)
{
    uint64_t lag = 0;
    if (memcmp(have, end, sizeof(*have)) == 0) {
        return 0; /* nearly always */
    }
    for (unsigned p = 0; p < CAIRN_PARTITIONS_MAX; p++) {
        if (end->offsets[p] > have->offsets[p]) {
            uint64_t more = end->offsets[p] - have->offsets[p];
            lag = more > UINT64_MAX - lag ? UINT64_MAX : lag + more;
        }
    }
    return lag;
}
