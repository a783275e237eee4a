/* A page of a view: which way to the rows, the walk, and the page made of it.
 *
 * docs/reference/views.md states the rules of the plan for users. In short: keys that are named are
 * looked up; an index whose filter leaves few rows is collected and sorted; else the order's own
 * index is walked from where the page begins. Every row is tested in full, whatever led to it. */
#include <assert.h>

#include "projector/lmdb/view_span.h"
#include "projector/lmdb/views_int.h"
#include "projector/sql/read.h"
#include "projector/view_cursor.h"

/* Rows that a filter on another column than the order may leave to be collected and sorted. */
#define COLLECT_POINTS_MAX 10000u /* of eq and in */
#define COLLECT_RANGES_MAX 1000u  /* of gt, gte, lt, lte: a wrong guess costs a tenth */
/* Rows that one page looks at. A page that ends by it has a next, though it may not be full. */
#define SCAN_MAX 200000u
/* Memory of one row while it is tested. */
#define SCRATCH_MAX (64u * 1024u * 1024u)

/* A query under way. */
struct lister {
    const struct cairn_view_query *query;
    struct cairn_view_snapshot snapshot;
    struct cairn_view_code code;
    struct cairn_view_test test;   /* all filters, joined */
    struct cairn_view_place after; /* key empty: from the start */
    int order;                     /* column */
    struct cairn_arena *arena;     /* the caller's: what the page keeps */
    struct cairn_arena scratch;    /* one row at a time */
    struct cairn_view_row *rows;   /* limit of them */
    struct cairn_view_place last;  /* of the newest row taken, in arena */
    size_t count;
    size_t examined;
    bool more;
    struct cairn_err *err;
};

static enum cairn_rc out_of_memory(const struct lister *lister)
{
    return CAIRN_FAIL(lister->err, CAIRN_ENOMEM, "list view %.*s",
                      CAIRN_SLICE_ARG(lister->query->view));
}

static struct cairn_slice copy_slice(struct cairn_arena *arena, struct cairn_slice bytes)
{
    struct cairn_slice copy;
    return cairn_arena_copy(arena, bytes, &copy) == CAIRN_OK ? copy : CAIRN_SLICE_NONE;
}

static cairn_kv_table_id rows_table(const struct lister *lister)
{
    return lister->snapshot.tables.rows[lister->snapshot.head.slot];
}

static cairn_kv_table_id index_table(const struct lister *lister)
{
    return lister->snapshot.tables.index[lister->snapshot.head.slot];
}

static enum cairn_rc get_row(struct lister *lister, struct cairn_slice key,
                             struct cairn_slice *ret_packed)
{
    enum cairn_rc rc =
        cairn_kv_get(lister->snapshot.txn, rows_table(lister), key, ret_packed, lister->err);
    return rc;
}

/* An index entry without its row would mean that the two were not written together. */
static enum cairn_rc get_indexed_row(struct lister *lister, struct cairn_slice key,
                                     struct cairn_slice *ret_packed)
{
    enum cairn_rc rc = get_row(lister, key, ret_packed);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(lister->err, CAIRN_ECORRUPT, "view %.*s: an index names a missing row",
                          CAIRN_SLICE_ARG(lister->query->view));
    }
    return rc;
}

/* Does the row pass? ret_document lies in scratch until the next row. */
static enum cairn_rc test_row(struct lister *lister, struct cairn_slice key,
                              struct cairn_slice packed, struct cairn_value *ret_document,
                              bool *ret_passes)
{
    lister->examined++;
    cairn_arena_reset(&lister->scratch);
    enum cairn_rc rc = cairn_view_document(packed, &lister->scratch, ret_document, lister->err);
    *ret_passes = rc == CAIRN_OK && cairn_view_test_row(&lister->test, key, ret_document);
    return rc;
}

static bool is_selected(const struct cairn_view_query *query, struct cairn_slice name)
{
    for (size_t i = 0; i < query->select_count; i++) {
        if (cairn_slice_equal(query->select[i], name)) {
            return true;
        }
    }
    return false;
}

/* Leave only the members that the query names. */
static enum cairn_rc select_members(struct lister *lister, struct cairn_value *document)
{
    struct cairn_value_builder chosen = {.arena = lister->arena};
    for (uint32_t i = 0; i < document->count; i++) {
        const struct cairn_member *member = &document->as.members[i];
        struct cairn_slice name = cairn_value_slice(&member->key);
        if (is_selected(lister->query, name) &&
            cairn_value_add_slice(&chosen, name, member->value) != CAIRN_OK) {
            return out_of_memory(lister);
        }
    }
    *document = cairn_value_map(&chosen);
    return CAIRN_OK;
}

/* Keep a row that passed, in the caller's arena. */
static enum cairn_rc take_row(struct lister *lister, struct cairn_slice key,
                              struct cairn_slice packed)
{
    assert(lister->count < lister->query->limit);
    struct cairn_view_row *row = &lister->rows[lister->count];
    row->key = copy_slice(lister->arena, key);
    if (row->key.data == NULL) {
        return out_of_memory(lister);
    }
    enum cairn_rc rc = cairn_view_document(packed, lister->arena, &row->document, lister->err);
    if (rc == CAIRN_OK && lister->query->select != NULL) {
        rc = select_members(lister, &row->document);
    }
    lister->count += rc == CAIRN_OK;
    return rc;
}

/* ---- Walking the order ------------------------------------------------------------------------
 */

/* One entry of the walked table as a place and a row. */
static enum cairn_rc read_entry(struct lister *lister, struct cairn_slice entry,
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
    return rc == CAIRN_OK ? get_indexed_row(lister, ret_place->key, ret_packed) : rc;
}

/* Where the page ends: the place of the last row taken, or of the last one looked at. */
static enum cairn_rc mark_place(struct lister *lister, const struct cairn_view_place *place)
{
    lister->last.form =
        place->form.size == 0 ? CAIRN_SLICE_NONE : copy_slice(lister->arena, place->form);
    lister->last.key = copy_slice(lister->arena, place->key);
    return lister->last.key.data == NULL ? out_of_memory(lister) : CAIRN_OK;
}

/* One entry of the walk. *ret_end: the page is complete. */
static enum cairn_rc walk_entry(struct lister *lister, struct cairn_slice entry,
                                struct cairn_slice value, bool *ret_end)
{
    struct cairn_view_place place;
    struct cairn_slice packed;
    struct cairn_value document;
    bool passes = false;
    enum cairn_rc rc = read_entry(lister, entry, value, &place, &packed);
    if (rc == CAIRN_OK) {
        rc = test_row(lister, place.key, packed, &document, &passes);
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
        rc = take_row(lister, place.key, packed);
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
static enum cairn_rc walk_span(struct lister *lister, struct cairn_kv_cursor *cursor,
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

static enum cairn_rc walk(struct lister *lister, const struct cairn_view_spans *spans)
{
    struct cairn_kv_cursor *cursor = NULL;
    bool by_key = lister->order == CAIRN_VIEW_COLUMN_KEY;
    enum cairn_rc rc = cairn_kv_cursor_open(lister->snapshot.txn,
                                            by_key ? rows_table(lister) : index_table(lister),
                                            &cursor, lister->err);
    bool end = false;
    for (size_t i = 0; i < spans->count && !end && rc == CAIRN_OK; i++) {
        size_t at = lister->query->descending ? spans->count - 1 - i : i;
        rc = walk_span(lister, cursor, &spans->items[at], &end);
    }
    cairn_kv_cursor_close(cursor);
    return rc;
}

/* ---- Collecting and sorting -------------------------------------------------------------------
 */

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

static enum cairn_rc begin_collection(struct lister *lister, struct collection *ret_collection)
{
    size_t cap = lister->query->limit + 1;
    struct slot **best = cairn_arena_zalloc(lister->arena, cap, sizeof(struct slot *));
    struct slot *spare = cairn_arena_alloc(lister->arena, sizeof *spare);
    if (best == NULL || spare == NULL) {
        return out_of_memory(lister);
    }
    *ret_collection = (struct collection){.best = best, .spare = spare, .cap = cap};
    return CAIRN_OK;
}

/* Put the spare slot among the best, or leave it spare. */
static enum cairn_rc keep_slot(struct lister *lister, struct collection *collection)
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
            return out_of_memory(lister);
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
static enum cairn_rc collect_row(struct lister *lister, struct collection *collection,
                                 struct cairn_slice key, struct cairn_slice packed)
{
    struct cairn_value document;
    bool passes = false;
    enum cairn_rc rc = test_row(lister, key, packed, &document, &passes);
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
static enum cairn_rc collect_span(struct lister *lister, struct collection *collection,
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
            rc = rc == CAIRN_OK ? get_indexed_row(lister, key, &packed) : rc;
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
static enum cairn_rc take_collection(struct lister *lister, const struct collection *collection)
{
    enum cairn_rc rc = CAIRN_OK;
    size_t limit = lister->query->limit;
    for (size_t i = 0; i < collection->count && i < limit && rc == CAIRN_OK; i++) {
        struct cairn_view_place place = place_of(collection->best[i]);
        struct cairn_slice packed;
        rc = get_indexed_row(lister, place.key, &packed);
        if (rc == CAIRN_OK) {
            rc = take_row(lister, place.key, packed);
        }
    }
    if (rc == CAIRN_OK && collection->count > limit) {
        lister->last = place_of(collection->best[limit - 1]);
        lister->more = true;
    }
    return rc;
}

static enum cairn_rc collect(struct lister *lister, int column,
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
                              of_keys ? rows_table(lister) : index_table(lister), &cursor,
                              lister->err);
    for (size_t i = 0; i < spans->count && rc == CAIRN_OK; i++) {
        rc = collect_span(lister, &collection, cursor, of_keys, &spans->items[i]);
    }
    cairn_kv_cursor_close(cursor);
    return rc == CAIRN_OK ? take_collection(lister, &collection) : rc;
}

/* ---- The plan ---------------------------------------------------------------------------------
 */

/* How rows are reached: the order's table walked, or a column's spans collected. */
struct plan {
    bool collect;
    int column;
    struct cairn_view_spans spans;
};

/* Where the filters let rows be, in the order of a column. */
static enum cairn_rc column_spans(struct lister *lister, int column,
                                  struct cairn_view_spans *ret_spans)
{
    return cairn_view_spans_of(&lister->test, column, lister->arena, ret_spans) == CAIRN_OK
               ? CAIRN_OK
               : out_of_memory(lister);
}

/* Entries in the spans of an index, counted up to max + 1. */
static enum cairn_rc count_entries(struct lister *lister, const struct cairn_view_spans *spans,
                                   size_t max, size_t *ret_count)
{
    struct cairn_kv_cursor *cursor = NULL;
    enum cairn_rc rc =
        cairn_kv_cursor_open(lister->snapshot.txn, index_table(lister), &cursor, lister->err);
    size_t count = 0;
    for (size_t i = 0; i < spans->count && rc == CAIRN_OK && count <= max; i++) {
        struct cairn_slice entry;
        struct cairn_slice value;
        rc = cairn_kv_seek(cursor, CAIRN_KV_AT_OR_AFTER, spans->items[i].low, &entry, &value,
                           lister->err);
        while (rc == CAIRN_OK && cairn_slice_compare(entry, spans->items[i].high) < 0 &&
               ++count <= max) {
            rc =
                cairn_kv_seek(cursor, CAIRN_KV_NEXT, CAIRN_SLICE_NONE, &entry, &value, lister->err);
        }
        rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    cairn_kv_cursor_close(cursor);
    *ret_count = count;
    return rc;
}

/* The column, other than the order's, whose filters leave the fewest rows, if few enough. */
static enum cairn_rc find_collected(struct lister *lister, struct plan *plan)
{
    size_t best = COLLECT_POINTS_MAX;
    enum cairn_rc rc = CAIRN_OK;
    for (int i = 0; i < (int)lister->code.column_count && rc == CAIRN_OK; i++) {
        struct cairn_view_spans spans = {.count = 0};
        size_t count = 0;
        rc = i == lister->order ? CAIRN_OK : column_spans(lister, i, &spans);
        if (rc != CAIRN_OK || !spans.filtered) {
            continue;
        }
        size_t max = spans.points || best < COLLECT_RANGES_MAX ? best : COLLECT_RANGES_MAX;
        rc = count_entries(lister, &spans, max, &count);
        if (rc == CAIRN_OK && count <= max) {
            *plan = (struct plan){.collect = true, .column = i, .spans = spans};
            best = count;
        }
    }
    return rc;
}

static enum cairn_rc make_plan(struct lister *lister, struct plan *plan)
{
    *plan = (struct plan){.collect = true, .column = CAIRN_VIEW_COLUMN_KEY};
    enum cairn_rc rc = column_spans(lister, CAIRN_VIEW_COLUMN_KEY, &plan->spans);
    if (rc != CAIRN_OK || plan->spans.points) {
        return rc;
    }
    *plan = (struct plan){.column = lister->order};
    rc = column_spans(lister, lister->order, &plan->spans);
    return rc == CAIRN_OK && !plan->spans.points ? find_collected(lister, plan) : rc;
}

/* Where the walk goes on behind the page before. */
static enum cairn_rc resume_walk(struct lister *lister, struct plan *plan)
{
    struct cairn_slice at = lister->after.key;
    struct cairn_view_entry entry;
    if (at.size == 0) {
        return CAIRN_OK;
    }
    if (lister->order != CAIRN_VIEW_COLUMN_KEY) {
        cairn_view_entry_of((unsigned)lister->order, lister->after.form, at, &entry);
        at = copy_slice(lister->arena, cairn_view_entry_slice(&entry));
    }
    if (at.data == NULL || cairn_view_spans_resume(&plan->spans, at, lister->query->descending,
                                                   lister->arena) != CAIRN_OK) {
        return out_of_memory(lister);
    }
    return CAIRN_OK;
}

static enum cairn_rc run_plan(struct lister *lister)
{
    struct plan plan;
    enum cairn_rc rc = make_plan(lister, &plan);
    if (rc == CAIRN_OK && plan.collect) {
        return collect(lister, plan.column, &plan.spans);
    }
    if (rc == CAIRN_OK) {
        rc = resume_walk(lister, &plan);
    }
    return rc == CAIRN_OK ? walk(lister, &plan.spans) : rc;
}

/* The filters, which all must hold, as one test. */
static enum cairn_rc make_test(struct lister *lister)
{
    const struct cairn_view_query *query = lister->query;
    struct cairn_view_test *parts =
        cairn_arena_zalloc(lister->arena, query->filter_count + 1, sizeof *parts);
    if (parts == NULL) {
        return out_of_memory(lister);
    }
    for (size_t i = 0; i < query->filter_count; i++) {
        enum cairn_rc rc =
            cairn_view_test_make(&query->filters[i], lister->code.columns,
                                 lister->code.column_count, lister->arena, &parts[i], lister->err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    lister->test = (struct cairn_view_test){
        .op = CAIRN_OP_AND, .parts = parts, .part_count = query->filter_count};
    return CAIRN_OK;
}

/* Check the query against the view's definition, inside the snapshot. */
static enum cairn_rc prepare(struct lister *lister, struct cairn_views *views)
{
    const struct cairn_view_query *query = lister->query;
    enum cairn_rc rc =
        cairn_view_code_get(lister->snapshot.txn, cairn_views_meta(views), CAIRN_SIDE_LIVE,
                            query->view, lister->arena, &lister->code, lister->err);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOENT
                   ? CAIRN_FAIL(lister->err, CAIRN_ECORRUPT, "view %.*s has no definition",
                                CAIRN_SLICE_ARG(query->view))
                   : rc;
    }
    lister->order = CAIRN_VIEW_COLUMN_KEY;
    if (query->order.size > 0) {
        rc = cairn_view_column_find(query->order, lister->code.columns, lister->code.column_count,
                                    &lister->order, lister->err);
    }
    if (rc == CAIRN_OK) {
        rc = make_test(lister);
    }
    if (rc == CAIRN_OK && query->cursor.size > 0) {
        rc = cairn_view_cursor_read(query, lister->arena, &lister->after, lister->err);
    }
    if (rc == CAIRN_OK) {
        lister->rows = cairn_arena_zalloc(lister->arena, query->limit, sizeof *lister->rows);
        rc = lister->rows == NULL ? out_of_memory(lister) : CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc fill_page(struct lister *lister, struct cairn_view_page *ret_page)
{
    struct cairn_slice next = CAIRN_SLICE_NONE;
    if (lister->more &&
        cairn_view_cursor_write(lister->query, &lister->last, lister->arena, &next) != CAIRN_OK) {
        return out_of_memory(lister);
    }
    *ret_page = (struct cairn_view_page){.rows = lister->rows,
                                         .count = lister->count,
                                         .next = next,
                                         .position = lister->snapshot.head.position};
    return CAIRN_OK;
}

enum cairn_rc cairn_view_list(struct cairn_views *views, const struct cairn_view_query *query,
                              struct cairn_arena *arena, struct cairn_view_page *ret_page,
                              struct cairn_err *err)
{
    assert(views != NULL && query != NULL && arena != NULL && ret_page != NULL);
    assert(query->filter_count <= CAIRN_VIEW_FILTERS_MAX);
    if (query->limit == 0 || query->limit > CAIRN_VIEW_LIMIT_MAX) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "limit must be 1 to %d", CAIRN_VIEW_LIMIT_MAX);
    }
    struct cairn_sql_reader *sql = cairn_views_sql(views, query->view);
    if (sql != NULL) {
        return cairn_sql_view_list(sql, query, arena, ret_page, err);
    }
    struct lister *lister = cairn_arena_zalloc(arena, 1, sizeof *lister);
    if (lister == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list a view");
    }
    lister->query = query;
    lister->arena = arena;
    lister->scratch.max = SCRATCH_MAX;
    lister->err = err;
    enum cairn_rc rc = cairn_view_snapshot_begin(views, query->view, &lister->snapshot, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = prepare(lister, views);
    if (rc == CAIRN_OK) {
        rc = run_plan(lister);
    }
    if (rc == CAIRN_OK) {
        rc = fill_page(lister, ret_page);
    }
    cairn_view_snapshot_end(&lister->snapshot);
    cairn_arena_fini(&lister->scratch);
    return rc;
}
