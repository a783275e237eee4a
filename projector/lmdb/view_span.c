#include "projector/lmdb/view_span.h"

#include <assert.h>
#include <stdlib.h>

#include "projector/lmdb/view_pattern.h"

/* A reading gives at most a span for the number, one for the text, one for the word, one for null.
 */
#define SPANS_PER_READING 4
/* Longest key text that takes part in a bound; a longer one is cut, which only widens the span. */
#define KEY_BOUND_MAX CAIRN_VIEW_KEY_BYTES_MAX

/* A list under construction. */
struct span_builder {
    struct cairn_arena *arena;
    struct cairn_view_spans spans;
    size_t cap;
    int column;
    bool failed; /* memory was out */
};

static struct cairn_slice copy_bytes(struct span_builder *builder, struct cairn_slice head,
                                     struct cairn_slice tail)
{
    char *bytes = cairn_arena_alloc(builder->arena, head.size + tail.size + 1);
    if (bytes == NULL) {
        builder->failed = true;
        return CAIRN_SLICE_LIT("\xFF");
    }
    memcpy(bytes, head.data, head.size);
    if (tail.size > 0) {
        memcpy(bytes + head.size, tail.data, tail.size);
    }
    return cairn_slice_of(bytes, head.size + tail.size);
}

/* The first key behind all that begin with prefix: its last byte that is not FF, raised by one. */
static struct cairn_slice behind_prefix(struct span_builder *builder, struct cairn_slice prefix)
{
    struct cairn_slice copy = copy_bytes(builder, prefix, CAIRN_SLICE_NONE);
    size_t size = copy.size;
    while (size > 0 && (unsigned char)copy.data[size - 1] == 0xFF) {
        size--;
    }
    if (size == 0 || builder->failed) {
        return CAIRN_SLICE_LIT("\xFF");
    }
    char *bytes = cairn_arena_alloc(builder->arena, size);
    if (bytes == NULL) {
        builder->failed = true;
        return CAIRN_SLICE_LIT("\xFF");
    }
    memcpy(bytes, copy.data, size);
    bytes[size - 1] = (char)((unsigned char)bytes[size - 1] + 1);
    return cairn_slice_of(bytes, size);
}

static void add_span(struct span_builder *builder, struct cairn_slice low, struct cairn_slice high)
{
    if (builder->failed || cairn_slice_compare(low, high) >= 0) {
        return;
    }
    assert(builder->spans.count < builder->cap);
    builder->spans.items[builder->spans.count++] =
        (struct cairn_view_span){.low = low, .high = high};
}

/* The key prefix of a class of an index. */
static struct cairn_slice class_bound(struct span_builder *builder, unsigned class)
{
    char bytes[2] = {(char)builder->column, (char)class};
    return copy_bytes(builder, cairn_slice_of(bytes, 2), CAIRN_SLICE_NONE);
}

/* The span of values that stand in relation op to the value, within its class [first, last). */
static void add_value(struct span_builder *builder, enum cairn_view_operator op,
                      const struct cairn_value *value, unsigned first, unsigned last)
{
    struct cairn_view_form form;
    char index = (char)builder->column;
    cairn_view_form_of(value, &form);
    struct cairn_slice at =
        copy_bytes(builder, cairn_slice_of(&index, 1), cairn_view_form_slice(&form));
    struct cairn_slice behind = behind_prefix(builder, at);
    switch (op) {
    case CAIRN_OP_EQ:
    case CAIRN_OP_IN:
        add_span(builder, at, behind);
        break;
    case CAIRN_OP_GT:
        add_span(builder, form.cut ? at : behind, class_bound(builder, last));
        break;
    case CAIRN_OP_GTE:
        add_span(builder, at, class_bound(builder, last));
        break;
    case CAIRN_OP_LT:
        add_span(builder, class_bound(builder, first), form.cut ? behind : at);
        break;
    case CAIRN_OP_LTE:
        add_span(builder, class_bound(builder, first), behind);
        break;
    case CAIRN_OP_NEQ:
    case CAIRN_OP_LIKE:
    case CAIRN_OP_IS:
    case CAIRN_OP_AND:
    case CAIRN_OP_OR:
        assert(false && "a comparison that has a span");
        break;
    }
}

static void add_reading(struct span_builder *builder, enum cairn_view_operator op,
                        const struct cairn_view_reading *reading)
{
    struct cairn_value text = cairn_value_string(reading->text);
    struct cairn_value null = cairn_value_null();
    bool point = op == CAIRN_OP_EQ || op == CAIRN_OP_IN || op == CAIRN_OP_GTE || op == CAIRN_OP_LTE;
    if (reading->word.type == CAIRN_BOOL) {
        add_value(builder, op, &reading->word, CAIRN_CLASS_FALSE, CAIRN_CLASS_TRUE + 1);
    }
    if (reading->number.type != CAIRN_NULL) {
        add_value(builder, op, &reading->number, CAIRN_CLASS_NUMBER, CAIRN_CLASS_NUMBER + 1);
    }
    add_value(builder, op, &text, CAIRN_CLASS_STRING, CAIRN_CLASS_STRING + 1);
    /* Null is in no order, but null is equal to null. */
    if (reading->null && point) {
        add_value(builder, CAIRN_OP_EQ, &null, CAIRN_CLASS_NULL, CAIRN_CLASS_END);
    }
}

/* The span of keys that stand in relation op to text. */
static void add_key(struct span_builder *builder, enum cairn_view_operator op,
                    struct cairn_slice text)
{
    const struct cairn_slice first = CAIRN_SLICE_LIT("\0");
    const struct cairn_slice last = CAIRN_SLICE_LIT("\xFF");
    struct cairn_slice at = text.size == 0 ? first : text;
    bool cut = at.size > KEY_BOUND_MAX;
    at.size = cut ? KEY_BOUND_MAX : at.size;
    struct cairn_slice behind = copy_bytes(builder, at, CAIRN_SLICE_LIT("\0"));
    switch (op) {
    case CAIRN_OP_EQ:
    case CAIRN_OP_IN:
        if (!cut && text.size > 0) {
            add_span(builder, at, behind);
        }
        break;
    case CAIRN_OP_GT:
    case CAIRN_OP_GTE:
        add_span(builder, at, last);
        break;
    case CAIRN_OP_LT:
    case CAIRN_OP_LTE:
        add_span(builder, first, behind);
        break;
    case CAIRN_OP_NEQ:
    case CAIRN_OP_LIKE:
    case CAIRN_OP_IS:
    case CAIRN_OP_AND:
    case CAIRN_OP_OR:
        assert(false && "a comparison that has a span");
        break;
    }
}

/* The span of strings that begin with prefix. The form of a prefix without the two bytes at its end
 * begins the forms of them all, a cut one too. */
static void add_prefix(struct span_builder *builder, struct cairn_slice prefix)
{
    struct cairn_view_form form;
    struct cairn_value text = cairn_value_string(prefix);
    char index = (char)builder->column;
    cairn_view_form_of(&text, &form);
    assert(form.size >= 3);
    form.size -= 2;
    struct cairn_slice at =
        copy_bytes(builder, cairn_slice_of(&index, 1), cairn_view_form_slice(&form));
    add_span(builder, at, behind_prefix(builder, at));
}

static void add_key_prefix(struct span_builder *builder, struct cairn_slice prefix)
{
    if (prefix.size == 0) {
        add_span(builder, CAIRN_SLICE_LIT("\0"), CAIRN_SLICE_LIT("\xFF"));
    } else if (prefix.size <= CAIRN_VIEW_KEY_BYTES_MAX) {
        add_span(builder, prefix, behind_prefix(builder, prefix));
    }
}

/* A key is neither null nor true nor false. */
static void add_word(struct span_builder *builder, const struct cairn_view_reading *reading)
{
    struct cairn_value null = cairn_value_null();
    if (builder->column != CAIRN_VIEW_COLUMN_KEY) {
        add_value(builder, CAIRN_OP_EQ, reading->null ? &null : &reading->word, 0, 0);
    }
}

static void add_test(struct span_builder *builder, enum cairn_view_operator op,
                     const struct cairn_view_reading *reading)
{
    bool of_keys = builder->column == CAIRN_VIEW_COLUMN_KEY;
    if (op == CAIRN_OP_IS) {
        add_word(builder, reading);
    } else if (op == CAIRN_OP_LIKE) {
        struct cairn_slice prefix = cairn_view_pattern_prefix(reading->text);
        (of_keys ? add_key_prefix : add_prefix)(builder, prefix);
    } else if (of_keys) {
        add_key(builder, op, reading->text);
    } else {
        add_reading(builder, op, reading);
    }
}

static int compare_spans(const void *a, const void *b)
{
    const struct cairn_view_span *left = a;
    const struct cairn_view_span *right = b;
    return cairn_slice_compare(left->low, right->low);
}

/* Sort, and join what overlaps: an IN may name a value twice, or as number and as text. */
static void settle(struct cairn_view_spans *spans)
{
    if (spans->count < 2) {
        return;
    }
    qsort(spans->items, spans->count, sizeof *spans->items, compare_spans);
    size_t kept = 1;
    for (size_t i = 1; i < spans->count; i++) {
        struct cairn_view_span *last = &spans->items[kept - 1];
        if (cairn_slice_compare(spans->items[i].low, last->high) > 0) {
            spans->items[kept++] = spans->items[i];
        } else if (cairn_slice_compare(spans->items[i].high, last->high) > 0) {
            last->high = spans->items[i].high;
        }
    }
    spans->count = kept;
}

static enum cairn_rc begin_builder(struct span_builder *builder, int column, size_t cap,
                                   struct cairn_arena *arena)
{
    *builder = (struct span_builder){.arena = arena, .cap = cap, .column = column};
    builder->spans.items = cairn_arena_zalloc(arena, cap, sizeof *builder->spans.items);
    return builder->spans.items == NULL ? CAIRN_ENOMEM : CAIRN_OK;
}

enum cairn_rc cairn_view_spans_all(int column, struct cairn_arena *arena,
                                   struct cairn_view_spans *ret_spans)
{
    struct span_builder builder;
    enum cairn_rc rc = begin_builder(&builder, column, 1, arena);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (column == CAIRN_VIEW_COLUMN_KEY) {
        add_span(&builder, CAIRN_SLICE_LIT("\0"), CAIRN_SLICE_LIT("\xFF"));
    } else {
        add_span(&builder, class_bound(&builder, 0), class_bound(&builder, CAIRN_CLASS_END));
    }
    *ret_spans = builder.spans;
    return builder.failed ? CAIRN_ENOMEM : CAIRN_OK;
}

enum cairn_rc cairn_view_spans_of_leaf(const struct cairn_view_test *test,
                                       struct cairn_arena *arena,
                                       struct cairn_view_spans *ret_spans)
{
    struct span_builder builder;
    assert(test->count > 0 && test->count <= CAIRN_VIEW_VALUES_MAX);
    assert(test->op != CAIRN_OP_NEQ && !cairn_view_is_joint(test->op));
    enum cairn_rc rc =
        begin_builder(&builder, test->column, test->count * SPANS_PER_READING, arena);
    for (size_t i = 0; i < test->count && rc == CAIRN_OK; i++) {
        add_test(&builder, test->op, &test->readings[i]);
        rc = builder.failed ? CAIRN_ENOMEM : CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        settle(&builder.spans);
        *ret_spans = builder.spans;
        ret_spans->filtered = true;
        ret_spans->points =
            test->op == CAIRN_OP_EQ || test->op == CAIRN_OP_IN || test->op == CAIRN_OP_IS;
    }
    return rc;
}

enum cairn_rc cairn_view_spans_meet(const struct cairn_view_spans *a,
                                    const struct cairn_view_spans *b, struct cairn_arena *arena,
                                    struct cairn_view_spans *ret_spans)
{
    struct cairn_view_spans both = {.filtered = a->filtered || b->filtered,
                                    .points = a->points || b->points};
    both.items = cairn_arena_zalloc(arena, a->count + b->count + 1, sizeof *both.items);
    if (both.items == NULL) {
        return CAIRN_ENOMEM;
    }
    size_t i = 0;
    size_t j = 0;
    while (i < a->count && j < b->count) {
        struct cairn_view_span left = a->items[i];
        struct cairn_view_span right = b->items[j];
        struct cairn_view_span span = {
            .low = cairn_slice_compare(left.low, right.low) > 0 ? left.low : right.low,
            .high = cairn_slice_compare(left.high, right.high) < 0 ? left.high : right.high};
        if (cairn_slice_compare(span.low, span.high) < 0) {
            both.items[both.count++] = span;
        }
        if (cairn_slice_compare(left.high, right.high) < 0) {
            i++;
        } else {
            j++;
        }
    }
    *ret_spans = both;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_spans_join(const struct cairn_view_spans *parts, size_t count,
                                    struct cairn_arena *arena, struct cairn_view_spans *ret_spans)
{
    struct cairn_view_spans joined = {.filtered = true, .points = true};
    size_t room = 1;
    for (size_t i = 0; i < count; i++) {
        joined.filtered = joined.filtered && parts[i].filtered;
        joined.points = joined.points && parts[i].points;
        room += parts[i].count;
    }
    joined.items = cairn_arena_zalloc(arena, room, sizeof *joined.items);
    if (joined.items == NULL) {
        return CAIRN_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].count; j++) {
            joined.items[joined.count++] = parts[i].items[j];
        }
    }
    settle(&joined);
    *ret_spans = joined;
    return CAIRN_OK;
}

enum cairn_rc cairn_view_spans_resume(struct cairn_view_spans *spans, struct cairn_slice at,
                                      bool descending, struct cairn_arena *arena)
{
    struct cairn_view_span rest = {.low = CAIRN_SLICE_LIT("\0"), .high = at};
    struct cairn_view_spans only = {.items = &rest, .count = 1};
    if (!descending) {
        struct span_builder builder = {.arena = arena};
        rest.low = copy_bytes(&builder, at, CAIRN_SLICE_LIT("\0"));
        rest.high = CAIRN_SLICE_LIT("\xFF");
        if (builder.failed) {
            return CAIRN_ENOMEM;
        }
    }
    return cairn_view_spans_meet(spans, &only, arena, spans);
}
