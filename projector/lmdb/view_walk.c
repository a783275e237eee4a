/* The order's own table, walked from where the page begins. */
#include "projector/lmdb/view_lister.h"

/* Rows that one page looks at. A page that ends by it has a next, though it may not be full. */
#define SCAN_MAX 200000u

/* One entry of the walked table as a place and a row. */
static enum cairn_rc read_entry(struct cairn_lister *lister, struct cairn_slice entry,
                                struct cairn_slice value, struct cairn_view_place *ret_place,
                                struct cairn_slice *ret_packed)
{
    if (lister->order == CAIRN_VIEW_COLUMN_KEY) {
        *ret_place = (struct cairn_view_place){.form = CAIRN_SLICE_NONE, .key = entry};
        *ret_packed = value;
        return CAIRN_OK;
    }
    enum cairn_rc rc =
        cairn_view_entry_split(entry, &ret_place->form, &ret_place->key, lister->err);
    return rc == CAIRN_OK ? cairn_lister_row(lister, ret_place->key, ret_packed) : rc;
}

/* Where the page ends: the place of the last row taken, or of the last one looked at. */
static enum cairn_rc mark_place(struct cairn_lister *lister, const struct cairn_view_place *place)
{
    lister->last.form =
        place->form.size == 0 ? CAIRN_SLICE_NONE : cairn_lister_copy(lister, place->form);
    lister->last.key = cairn_lister_copy(lister, place->key);
    return lister->last.key.data == NULL ? cairn_lister_no_memory(lister) : CAIRN_OK;
}

/* One entry of the walk. *ret_end: the page is complete. */
static enum cairn_rc walk_entry(struct cairn_lister *lister, struct cairn_slice entry,
                                struct cairn_slice value, bool *ret_end)
{
    struct cairn_view_place place;
    struct cairn_slice packed;
    struct cairn_value document;
    bool passes = false;
    enum cairn_rc rc = read_entry(lister, entry, value, &place, &packed);
    if (rc == CAIRN_OK) {
        rc = cairn_lister_test(lister, place.key, packed, &document, &passes);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (passes && lister->count == lister->query->limit) {
        lister->more = true;
        *ret_end = true;
        return CAIRN_OK;
    }
    if (passes) {
        rc = cairn_lister_take(lister, place.key, packed);
    }
    bool spent = lister->examined >= SCAN_MAX;
    if (rc == CAIRN_OK && (spent || (passes && lister->count == lister->query->limit))) {
        rc = mark_place(lister, &place);
    }
    lister->more = lister->more || spent;
    *ret_end = spent;
    return rc;
}

/* Walk one span in the query's direction. */
static enum cairn_rc walk_span(struct cairn_lister *lister, struct cairn_kv_cursor *cursor,
                               const struct cairn_view_span *span, bool *ret_end)
{
    bool down = lister->query->descending;
    struct cairn_slice entry;
    struct cairn_slice value;
    enum cairn_rc rc = cairn_kv_seek(cursor, down ? CAIRN_KV_BEFORE : CAIRN_KV_AT_OR_AFTER,
                                     down ? span->high : span->low, &entry, &value, lister->err);
    while (rc == CAIRN_OK && !*ret_end &&
           (down ? cairn_slice_compare(entry, span->low) >= 0
                 : cairn_slice_compare(entry, span->high) < 0)) {
        rc = walk_entry(lister, entry, value, ret_end);
        if (rc == CAIRN_OK && !*ret_end) {
            rc = cairn_kv_seek(cursor, down ? CAIRN_KV_PREVIOUS : CAIRN_KV_NEXT, CAIRN_SLICE_NONE,
                               &entry, &value, lister->err);
        }
    }
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

enum cairn_rc cairn_lister_walk(struct cairn_lister *lister, const struct cairn_view_spans *spans)
{
    struct cairn_kv_cursor *cursor = NULL;
    bool by_key = lister->order == CAIRN_VIEW_COLUMN_KEY;
    enum cairn_rc rc = cairn_kv_cursor_open(
        lister->snapshot.txn, by_key ? cairn_lister_rows(lister) : cairn_lister_index(lister),
        &cursor, lister->err);
    bool end = false;
    for (size_t i = 0; i < spans->count && !end && rc == CAIRN_OK; i++) {
        size_t at = lister->query->descending ? spans->count - 1 - i : i;
        rc = walk_span(lister, cursor, &spans->items[at], &end);
    }
    cairn_kv_cursor_close(cursor);
    return rc;
}
