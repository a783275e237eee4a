/* A page of a view: which way to the rows, and the page made of it.
 *
 * docs/reference/views.md states the rules of the plan for users. In short: keys that are named are
 * looked up; an index whose filter leaves few rows is collected and sorted; else the order's own
 * index is walked from where the page begins. Every row is tested in full, whatever led to it. */
#include <assert.h>

#include "projector/lmdb/view_lister.h"
#include "projector/sql/read.h"

/* Rows that a filter on another column than the order may leave to be collected and sorted. */
#define COLLECT_POINTS_MAX 10000u /* of eq and in */
#define COLLECT_RANGES_MAX 1000u  /* of gt, gte, lt, lte: a wrong guess costs a tenth */
/* Memory of one row while it is tested. */
#define SCRATCH_MAX (64u * 1024u * 1024u)

/* How rows are reached: the order's table walked, or a column's spans collected. */
struct plan {
    bool collect;
    int column;
    struct cairn_view_spans spans;
};

/* Where the filters let rows be, in the order of a column. */
static enum cairn_rc column_spans(struct cairn_lister *lister, int column,
                                  struct cairn_view_spans *ret_spans)
{
    return cairn_view_spans_of(&lister->test, column, lister->arena, ret_spans) == CAIRN_OK
               ? CAIRN_OK
               : cairn_lister_no_memory(lister);
}

/* Entries in the spans of an index, counted up to max + 1. */
static enum cairn_rc count_entries(struct cairn_lister *lister,
                                   const struct cairn_view_spans *spans, size_t max,
                                   size_t *ret_count)
{
    struct cairn_kv_cursor *cursor = NULL;
    enum cairn_rc rc = cairn_kv_cursor_open(lister->snapshot.txn, cairn_lister_index(lister),
                                            &cursor, lister->err);
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
static enum cairn_rc find_collected(struct cairn_lister *lister, struct plan *plan)
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

static enum cairn_rc make_plan(struct cairn_lister *lister, struct plan *plan)
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
static enum cairn_rc resume_walk(struct cairn_lister *lister, struct plan *plan)
{
    struct cairn_slice at = lister->after.key;
    struct cairn_view_entry entry;
    if (at.size == 0) {
        return CAIRN_OK;
    }
    if (lister->order != CAIRN_VIEW_COLUMN_KEY) {
        cairn_view_entry_of((unsigned)lister->order, lister->after.form, at, &entry);
        at = cairn_lister_copy(lister, cairn_view_entry_slice(&entry));
    }
    if (at.data == NULL || cairn_view_spans_resume(&plan->spans, at, lister->query->descending,
                                                   lister->arena) != CAIRN_OK) {
        return cairn_lister_no_memory(lister);
    }
    return CAIRN_OK;
}

static enum cairn_rc run_plan(struct cairn_lister *lister)
{
    struct plan plan;
    enum cairn_rc rc = make_plan(lister, &plan);
    if (rc == CAIRN_OK && plan.collect) {
        return cairn_lister_collect(lister, plan.column, &plan.spans);
    }
    if (rc == CAIRN_OK) {
        rc = resume_walk(lister, &plan);
    }
    return rc == CAIRN_OK ? cairn_lister_walk(lister, &plan.spans) : rc;
}

/* ---- The page ---------------------------------------------------------------------------------
 */

/* The filters, which all must hold, as one test. */
static enum cairn_rc make_test(struct cairn_lister *lister)
{
    const struct cairn_view_query *query = lister->query;
    struct cairn_view_test *parts =
        cairn_arena_zalloc(lister->arena, query->filter_count + 1, sizeof *parts);
    if (parts == NULL) {
        return cairn_lister_no_memory(lister);
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
static enum cairn_rc prepare(struct cairn_lister *lister, struct cairn_views *views)
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
        rc = lister->rows == NULL ? cairn_lister_no_memory(lister) : CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc fill_page(struct cairn_lister *lister, struct cairn_view_page *ret_page)
{
    struct cairn_slice next = CAIRN_SLICE_NONE;
    if (lister->more &&
        cairn_view_cursor_write(lister->query, &lister->last, lister->arena, &next) != CAIRN_OK) {
        return cairn_lister_no_memory(lister);
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
    struct cairn_lister *lister = cairn_arena_zalloc(arena, 1, sizeof *lister);
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
