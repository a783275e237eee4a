/* Spans of tests that are joined: what an and leaves is met, what an or leaves is joined. */
#include <assert.h>

#include "projector/lmdb/view_span.h"

static enum cairn_rc find(const struct cairn_view_test *test, bool negated, int column,
                          struct cairn_arena *arena, struct cairn_view_spans *ret_spans);

/* What every part leaves. */
static enum cairn_rc meet_parts(const struct cairn_view_test *test, bool negated, int column,
                                struct cairn_arena *arena, struct cairn_view_spans *ret_spans)
{
    struct cairn_view_spans met;
    enum cairn_rc rc = cairn_view_spans_all(column, arena, &met);
    for (size_t i = 0; i < test->part_count && rc == CAIRN_OK; i++) {
        struct cairn_view_spans more;
        rc = find(&test->parts[i], negated, column, arena, &more);
        if (rc == CAIRN_OK && more.filtered) {
            rc = cairn_view_spans_meet(&met, &more, arena, &met);
        }
    }
    if (rc == CAIRN_OK) {
        *ret_spans = met;
    }
    return rc;
}

/* What one part or another leaves: all of the column as soon as one of them does not say. */
static enum cairn_rc join_parts(const struct cairn_view_test *test, bool negated, int column,
                                struct cairn_arena *arena, struct cairn_view_spans *ret_spans)
{
    assert(test->part_count > 0);
    struct cairn_view_spans *parts = cairn_arena_zalloc(arena, test->part_count, sizeof *parts);
    if (parts == NULL) {
        return CAIRN_ENOMEM;
    }
    for (size_t i = 0; i < test->part_count; i++) {
        enum cairn_rc rc = find(&test->parts[i], negated, column, arena, &parts[i]);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (!parts[i].filtered) {
            *ret_spans = parts[i];
            return CAIRN_OK;
        }
    }
    return cairn_view_spans_join(parts, test->part_count, arena, ret_spans);
}

/* A negation travels down to the tests of columns, turning and into or on its way, which holds for
 * tests that know and for tests that do not. */
static enum cairn_rc find(const struct cairn_view_test *test, bool negated, int column,
                          struct cairn_arena *arena, struct cairn_view_spans *ret_spans)
{
    negated = negated != test->negated;
    if (cairn_view_is_joint(test->op)) {
        bool every = (test->op == CAIRN_OP_AND) != negated;
        return (every ? meet_parts : join_parts)(test, negated, column, arena, ret_spans);
    }
    if (negated || test->column != column || test->op == CAIRN_OP_NEQ) {
        return cairn_view_spans_all(column, arena, ret_spans);
    }
    return cairn_view_spans_of_leaf(test, arena, ret_spans);
}

enum cairn_rc cairn_view_spans_of(const struct cairn_view_test *test, int column,
                                  struct cairn_arena *arena, struct cairn_view_spans *ret_spans)
{
    assert(test != NULL && arena != NULL);
    return find(test, false, column, arena, ret_spans);
}
