/* Rows of another table than the order's: all of them are looked at, and sorted. */
#include <assert.h>

#include "projector/lmdb/view_lister.h"

/* The best limit + 1 rows seen, in order; the places are slots that are used again. */
struct slot {
    struct cairn_view_form form; /* size 0 when the order is the key */
    char key[CAIRN_VIEW_KEY_BYTES_MAX];
    size_t key_size;
};

struct collection {
    struct slot **best; /* sorted; count of them */
    struct slot *spare; /* the slot that the next row is written into */
    size_t count;
    size_t cap; /* limit + 1 */
};

static int compare_places(const struct cairn_view_place *a, const struct cairn_view_place *b,
                          bool descending)
{
    int order = cairn_slice_compare(a->form, b->form);
    order = order != 0 ? order : cairn_slice_compare(a->key, b->key);
    return descending ? -order : order;
}

static struct cairn_view_place place_of(const struct slot *slot)
{
    return (struct cairn_view_place){.form = cairn_view_form_slice(&slot->form),
                                     .key = cairn_slice_of(slot->key, slot->key_size)};
}

static enum cairn_rc begin_collection(struct cairn_lister *lister,
                                      struct collection *ret_collection)
{
    size_t cap = lister->query->limit + 1;
    struct slot **best = cairn_arena_zalloc(lister->arena, cap, sizeof(struct slot *));
    struct slot *spare = cairn_arena_alloc(lister->arena, sizeof *spare);
    if (best == NULL || spare == NULL) {
        return cairn_lister_no_memory(lister);
    }
    *ret_collection = (struct collection){.best = best, .spare = spare, .cap = cap};
    return CAIRN_OK;
}

/* Put the spare slot among the best, or leave it spare. */
static enum cairn_rc keep_slot(struct cairn_lister *lister, struct collection *collection)
{
    bool descending = lister->query->descending;
    struct cairn_view_place place = place_of(collection->spare);
    size_t low = 0;
    size_t high = collection->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct cairn_view_place other = place_of(collection->best[middle]);
        if (compare_places(&place, &other, descending) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == collection->cap) {
        return CAIRN_OK;
    }
    struct slot *freed = NULL;
    if (collection->count == collection->cap) {
        freed = collection->best[--collection->count];
    } else {
        freed = cairn_arena_alloc(lister->arena, sizeof *freed);
        if (freed == NULL) {
            return cairn_lister_no_memory(lister);
        }
    }
    memmove(&collection->best[low + 1], &collection->best[low],
            (collection->count - low) * sizeof(struct slot *));
    collection->best[low] = collection->spare;
    collection->count++;
    collection->spare = freed;
    return CAIRN_OK;
}

/* One row that the chosen index names. */
static enum cairn_rc collect_row(struct cairn_lister *lister, struct collection *collection,
                                 struct cairn_slice key, struct cairn_slice packed)
{
    struct cairn_value document;
    bool passes = false;
    enum cairn_rc rc = cairn_lister_test(lister, key, packed, &document, &passes);
    if (rc != CAIRN_OK || !passes) {
        return rc;
    }
    struct slot *slot = collection->spare;
    assert(slot != NULL);
    slot->form.size = 0;
    if (lister->order != CAIRN_VIEW_COLUMN_KEY) {
        cairn_view_form_of(cairn_value_get(&document, lister->code.columns[lister->order].name),
                           &slot->form);
    }
    memcpy(slot->key, key.data, key.size);
    slot->key_size = key.size;
    struct cairn_view_place place = place_of(slot);
    if (lister->after.key.size > 0 &&
        compare_places(&place, &lister->after, lister->query->descending) <= 0) {
        return CAIRN_OK;
    }
    return keep_slot(lister, collection);
}

/* Every entry of a span of the index (or of the rows themselves, for keys that are named). */
static enum cairn_rc collect_span(struct cairn_lister *lister, struct collection *collection,
                                  struct cairn_kv_cursor *cursor, bool of_keys,
                                  const struct cairn_view_span *span)
{
    struct cairn_slice entry;
    struct cairn_slice value;
    enum cairn_rc rc =
        cairn_kv_seek(cursor, CAIRN_KV_AT_OR_AFTER, span->low, &entry, &value, lister->err);
    while (rc == CAIRN_OK && cairn_slice_compare(entry, span->high) < 0) {
        struct cairn_slice form;
        struct cairn_slice key = entry;
        struct cairn_slice packed = value;
        if (!of_keys) {
            rc = cairn_view_entry_split(entry, &form, &key, lister->err);
            rc = rc == CAIRN_OK ? cairn_lister_row(lister, key, &packed) : rc;
        }
        if (rc == CAIRN_OK) {
            rc = collect_row(lister, collection, key, packed);
        }
        if (rc == CAIRN_OK) {
            rc =
                cairn_kv_seek(cursor, CAIRN_KV_NEXT, CAIRN_SLICE_NONE, &entry, &value, lister->err);
        }
    }
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

/* Turn the collection into the page. */
static enum cairn_rc take_collection(struct cairn_lister *lister,
                                     const struct collection *collection)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t limit = lister->query->limit;
    for (size_t i = 0; i < collection->count && i < limit && rc == CAIRN_OK; i++) {
        struct cairn_view_place place = place_of(collection->best[i]);
        struct cairn_slice packed;
        rc = cairn_lister_row(lister, place.key, &packed);
        if (rc == CAIRN_OK) {
            rc = cairn_lister_take(lister, place.key, packed);
        }
    }
    if (rc == CAIRN_OK && collection->count > limit) {
        lister->last = place_of(collection->best[limit - 1]);
        lister->more = true;
    }
    return rc;
}

enum cairn_rc cairn_lister_collect(struct cairn_lister *lister, int column,
                                   const struct cairn_view_spans *spans)
{
    struct collection collection = {.count = 0};
    struct cairn_kv_cursor *cursor = NULL;
    bool of_keys = column == CAIRN_VIEW_COLUMN_KEY;
    enum cairn_rc rc = begin_collection(lister, &collection);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_cursor_open(lister->snapshot.txn,
                              of_keys ? cairn_lister_rows(lister) : cairn_lister_index(lister),
                              &cursor, lister->err);
    for (size_t i = 0; i < spans->count && rc == CAIRN_OK; i++) {
        rc = collect_span(lister, &collection, cursor, of_keys, &spans->items[i]);
    }
    cairn_kv_cursor_close(cursor);
    return rc == CAIRN_OK ? take_collection(lister, &collection) : rc;
}
