#include "projector/lmdb/compare_rows.h"

#include <assert.h>

#include "platform/json.h"
#include "projector/lmdb/projection.h"
#include "projector/lmdb/view_key.h"

/* A row unpacked, and as JSON, where a byte of a string may take six. */
#define ROW_ARENA_MAX (64u * 1024u * 1024u)
#define JSON_MAX      (8u * CAIRN_VIEW_ROW_BYTES_MAX)

/* The two tables of a walk: live, replayed. */
enum side { LIVE, REPLAYED, SIDES };

struct walk {
    const struct cairn_compare_rows *rows;
    struct cairn_compare_report *report;
    struct cairn_kv_cursor *cursors[SIDES];
    struct cairn_slice keys[SIDES];
    struct cairn_slice values[SIDES];
    bool ended[SIDES];
    struct cairn_arena arena;
    struct cairn_buf json[SIDES];
};

static enum cairn_rc open_walk(struct walk *walk, bool index, struct cairn_err *err)
{
    const struct cairn_compare_side *sides[SIDES] = {&walk->rows->live, &walk->rows->replayed};
    enum cairn_rc rc = CAIRN_OK;
    for (int i = 0; i < SIDES && rc == CAIRN_OK; i++) {
        walk->json[i].max = JSON_MAX;
        rc = cairn_kv_cursor_open(sides[i]->txn, index ? sides[i]->index : sides[i]->rows,
                                  &walk->cursors[i], err);
    }
    return rc;
}

static void close_walk(struct walk *walk)
{
    for (int i = 0; i < SIDES; i++) {
        if (walk->cursors[i] != NULL) {
            cairn_kv_cursor_close(walk->cursors[i]);
        }
        cairn_buf_fini(&walk->json[i]);
    }
    cairn_arena_fini(&walk->arena);
}

static enum cairn_rc move(struct walk *walk, int side, enum cairn_kv_step step,
                          struct cairn_err *err)
{
    enum cairn_rc rc = cairn_kv_seek(walk->cursors[side], step, CAIRN_SLICE_NONE, &walk->keys[side],
                                     &walk->values[side], err);
    walk->ended[side] = rc == CAIRN_ENOENT;
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

/* Below 0: the live side is at a key that the other does not have; above 0: the other way round. */
static int order(const struct walk *walk)
{
    assert(!walk->ended[LIVE] || !walk->ended[REPLAYED]);
    if (walk->ended[LIVE]) {
        return 1;
    }
    return walk->ended[REPLAYED] ? -1 : cairn_slice_compare(walk->keys[LIVE], walk->keys[REPLAYED]);
}

static enum cairn_rc advance(struct walk *walk, int at, struct cairn_err *err)
{
    enum cairn_rc rc = at <= 0 ? move(walk, LIVE, CAIRN_KV_NEXT, err) : CAIRN_OK;
    return rc == CAIRN_OK && at >= 0 ? move(walk, REPLAYED, CAIRN_KV_NEXT, err) : rc;
}

/* The row that a side is at as JSON, valid until the next of that side. One that cannot be read is
 * a difference worth telling, not the end of the comparison. */
static enum cairn_rc row_json(struct walk *walk, int side, struct cairn_slice *ret_json,
                              struct cairn_err *err)
{
    struct cairn_value document;
    struct cairn_buf *json = &walk->json[side];
    cairn_arena_reset(&walk->arena);
    cairn_buf_truncate(json, 0);
    enum cairn_rc rc = cairn_view_document(walk->values[side], &walk->arena, &document, err);
    if (rc == CAIRN_ECORRUPT) {
        *ret_json = CAIRN_SLICE_LIT("\"unreadable\"");
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_json_write(&document, json);
        rc = rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "write a row as JSON");
    }
    if (rc == CAIRN_OK) {
        *ret_json = cairn_buf_slice(json);
    }
    return rc;
}

/* Is the next difference one that somebody wants to hear of? It is counted. */
static bool count_difference(struct walk *walk)
{
    walk->report->differences++;
    return walk->report->differences <= walk->rows->told_max && walk->rows->hooks != NULL &&
           walk->rows->hooks->different != NULL;
}

static void tell(struct walk *walk, const struct cairn_row_difference *difference)
{
    walk->rows->hooks->different(walk->rows->hooks->self, difference);
}

/* ---- Rows -------------------------------------------------------------------------------------
 */

static enum cairn_rc tell_row(struct walk *walk, struct cairn_err *err)
{
    struct cairn_slice json;
    const struct cairn_compare_hooks *hooks = walk->rows->hooks;
    walk->report->rows++;
    if (hooks == NULL || hooks->row == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = row_json(walk, REPLAYED, &json, err);
    if (rc == CAIRN_OK) {
        hooks->row(hooks->self, CAIRN_SLICE_NONE, walk->keys[REPLAYED], json);
    }
    return rc;
}

static enum cairn_rc compare_row(struct walk *walk, int at, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    struct cairn_row_difference difference = {.key = walk->keys[at > 0 ? REPLAYED : LIVE]};
    if (at < 0 && walk->rows->partial) {
        walk->report->left_out++;
        return CAIRN_OK;
    }
    if ((at == 0 && cairn_slice_equal(walk->values[LIVE], walk->values[REPLAYED])) ||
        !count_difference(walk)) {
        return CAIRN_OK;
    }
    difference.kind = at == 0 ? CAIRN_ROW_DIFFERS : at < 0 ? CAIRN_ROW_EXTRA : CAIRN_ROW_MISSING;
    if (at <= 0) {
        rc = row_json(walk, LIVE, &difference.live, err);
    }
    if (rc == CAIRN_OK && at >= 0) {
        rc = row_json(walk, REPLAYED, &difference.replayed, err);
    }
    if (rc == CAIRN_OK) {
        tell(walk, &difference);
    }
    return rc;
}

static enum cairn_rc walk_rows(struct walk *walk, struct cairn_err *err)
{
    enum cairn_rc rc = open_walk(walk, false, err);
    for (int side = 0; side < SIDES && rc == CAIRN_OK; side++) {
        rc = move(walk, side, CAIRN_KV_FIRST, err);
    }
    while (rc == CAIRN_OK && !(walk->ended[LIVE] && walk->ended[REPLAYED])) {
        int at = order(walk);
        walk->report->live_rows += at <= 0;
        rc = at >= 0 ? tell_row(walk, err) : CAIRN_OK;
        rc = rc == CAIRN_OK ? compare_row(walk, at, err) : rc;
        rc = rc == CAIRN_OK ? advance(walk, at, err) : rc;
    }
    return rc;
}

/* ---- Index entries ----------------------------------------------------------------------------
 */

/* Does the row differ, too? Then that was counted, and its entries follow from it. */
static enum cairn_rc row_differs(struct walk *walk, struct cairn_slice key, bool *ret_differs,
                                 struct cairn_err *err)
{
    const struct cairn_compare_side *sides[SIDES] = {&walk->rows->live, &walk->rows->replayed};
    struct cairn_slice packed[SIDES] = {CAIRN_SLICE_NONE, CAIRN_SLICE_NONE};
    for (int i = 0; i < SIDES; i++) {
        enum cairn_rc rc = cairn_kv_get(sides[i]->txn, sides[i]->rows, key, &packed[i], err);
        if (rc != CAIRN_OK && rc != CAIRN_ENOENT) {
            return rc;
        }
    }
    *ret_differs = !cairn_slice_equal(packed[LIVE], packed[REPLAYED]);
    return CAIRN_OK;
}

/* An entry that only one side has: of which row, and in which index. */
static enum cairn_rc tell_entry(struct walk *walk, int side,
                                struct cairn_row_difference *difference, struct cairn_err *err)
{
    struct cairn_buf *json = &walk->json[side];
    unsigned number = (unsigned char)walk->keys[side].data[0];
    cairn_buf_truncate(json, 0);
    enum cairn_rc rc = cairn_buf_append(json, CAIRN_SLICE_LIT("{\"index\":"));
    if (rc == CAIRN_OK) {
        rc = cairn_json_write_string(number < walk->rows->code->column_count
                                         ? walk->rows->code->columns[number].name
                                         : CAIRN_SLICE_LIT("(unknown)"),
                                     json);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append(json, CAIRN_SLICE_LIT("}"));
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "tell a difference");
    }
    *(side == LIVE ? &difference->live : &difference->replayed) = cairn_buf_slice(json);
    tell(walk, difference);
    return CAIRN_OK;
}

static enum cairn_rc compare_entry(struct walk *walk, int at, struct cairn_err *err)
{
    int side = at < 0 ? LIVE : REPLAYED;
    struct cairn_row_difference difference = {.kind = CAIRN_INDEX_DIFFERS};
    struct cairn_slice form;
    bool follows = false;
    if (at == 0) {
        return CAIRN_OK;
    }
    if (cairn_view_entry_split(walk->keys[side], &form, &difference.key, err) != CAIRN_OK) {
        difference.key = CAIRN_SLICE_LIT("(unreadable)");
    } else {
        enum cairn_rc rc = row_differs(walk, difference.key, &follows, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return follows || !count_difference(walk) ? CAIRN_OK : tell_entry(walk, side, &difference, err);
}

static enum cairn_rc walk_index(struct walk *walk, struct cairn_err *err)
{
    enum cairn_rc rc = open_walk(walk, true, err);
    for (int side = 0; side < SIDES && rc == CAIRN_OK; side++) {
        rc = move(walk, side, CAIRN_KV_FIRST, err);
    }
    while (rc == CAIRN_OK && !(walk->ended[LIVE] && walk->ended[REPLAYED])) {
        int at = order(walk);
        rc = compare_entry(walk, at, err);
        rc = rc == CAIRN_OK ? advance(walk, at, err) : rc;
    }
    return rc;
}

enum cairn_rc cairn_compare_rows(const struct cairn_compare_rows *rows,
                                 struct cairn_compare_report *report, struct cairn_err *err)
{
    assert(rows->code != NULL && report != NULL);
    struct walk walk = {.rows = rows, .report = report, .arena = {.max = ROW_ARENA_MAX}};
    enum cairn_rc rc = walk_rows(&walk, err);
    close_walk(&walk);
    if (rc == CAIRN_OK && rows->indexed) {
        walk = (struct walk){.rows = rows, .report = report, .arena = {.max = ROW_ARENA_MAX}};
        rc = walk_index(&walk, err);
        close_walk(&walk);
    }
    return rc;
}
