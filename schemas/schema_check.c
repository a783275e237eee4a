#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "platform/json.h"
#include "schemas/schema_run.h"

/* Running a program over a value: nothing is allocated unless there is a fault to report, a pattern
 * to match, or a container of hundreds of members to keep marks of. */

static cairn_schema_op_fn *const operations[CAIRN_SCHEMA_OP_COUNT] = {
#define X(op, keyword, types, check) [CAIRN_SCHEMA_##op] = cairn_schema_##check,
    CAIRN_SCHEMA_OP_TABLE(X)
#undef X
};

enum { MESSAGE_MAX = 400, SHOWN_MAX = 160 };

static size_t decimal_digits(uint32_t number)
{
    size_t digits = 1;
    while (number >= 10) {
        number /= 10;
        digits++;
    }
    return digits;
}

/* Bytes of one step as a token of a JSON Pointer, its '/' included. */
static size_t token_size(const struct cairn_schema_step *step)
{
    if (step->key == NULL) {
        return 1 + decimal_digits(step->index);
    }
    size_t size = 1 + step->key->count;
    for (uint32_t i = 0; i < step->key->count; i++) {
        size += step->key->as.bytes[i] == '~' || step->key->as.bytes[i] == '/' ? 1 : 0;
    }
    return size;
}

/* Write a token that ends before `end`; returns its start. */
static char *put_token(const struct cairn_schema_step *step, char *end)
{
    if (step->key == NULL) {
        uint32_t number = step->index;
        do {
            *--end = (char)('0' + number % 10);
            number /= 10;
        } while (number > 0);
    }
    for (uint32_t i = step->key == NULL ? 0 : step->key->count; i > 0; i--) {
        char c = step->key->as.bytes[i - 1];
        bool escape = c == '~' || c == '/';
        *--end = !escape ? c : c == '~' ? '0' : '1';
        if (escape) {
            *--end = '~';
        }
    }
    *--end = '/';
    return end;
}

static struct cairn_slice pointer_of(struct cairn_schema_run *run,
                                     const struct cairn_schema_step *step)
{
    size_t size = 0;
    for (const struct cairn_schema_step *at = step; at != NULL; at = at->outer) {
        size += token_size(at);
    }
    char *text = cairn_arena_alloc(run->arena, size + 1);
    if (text == NULL) {
        run->rc = CAIRN_ENOMEM;
        return CAIRN_SLICE_NONE;
    }
    text[size] = '\0';
    char *end = text + size;
    for (const struct cairn_schema_step *at = step; at != NULL; at = at->outer) {
        end = put_token(at, end);
    }
    assert(end == text);
    return cairn_slice_of(text, size);
}

bool cairn_schema_fault(struct cairn_schema_run *run, const struct cairn_schema_visit *visit,
                        const char *keyword, const char *format, ...)
{
    if (!cairn_schema_collects(run)) {
        return false;
    }
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    struct cairn_schema_fault *fault = &run->faults[run->fault_count];
    fault->keyword = keyword;
    fault->pointer = pointer_of(run, visit->step);
    if (cairn_arena_copy(run->arena, cairn_slice_str(message), &fault->message) != CAIRN_OK) {
        run->rc = CAIRN_ENOMEM;
    }
    run->fault_count += run->rc == CAIRN_OK ? 1 : 0;
    return false;
}

const char *cairn_schema_show(struct cairn_schema_run *run, const struct cairn_value *value)
{
    if (!cairn_schema_collects(run)) {
        return "";
    }
    struct cairn_buf text = {.max = SHOWN_MAX};
    const char *shown = NULL;
    if (cairn_json_write(value, &text) == CAIRN_OK) {
        shown = cairn_arena_printf(run->arena, "%.*s", CAIRN_SLICE_ARG(cairn_buf_slice(&text)));
    }
    cairn_buf_fini(&text);
    return shown == NULL ? "what the schema says" : shown;
}

bool cairn_schema_marks_init(struct cairn_schema_run *run, struct cairn_schema_marks *marks,
                             uint32_t count)
{
    static const size_t inline_words = sizeof(marks->inline_bits) / sizeof(marks->inline_bits[0]);
    marks->words = count / 64 + 1;
    marks->bits = marks->inline_bits;
    if (marks->words <= inline_words) {
        memset(marks->inline_bits, 0, sizeof(marks->inline_bits));
        return true;
    }
    marks->bits = cairn_arena_zalloc(run->arena, marks->words, sizeof(*marks->bits));
    if (marks->bits == NULL) {
        run->rc = CAIRN_ENOMEM;
    }
    return marks->bits != NULL;
}

void cairn_schema_marks_merge(struct cairn_schema_marks *into,
                              const struct cairn_schema_marks *from)
{
    assert(into->words == from->words);
    for (uint32_t i = 0; i < into->words; i++) {
        into->bits[i] |= from->bits[i];
    }
}

static bool run_code(struct cairn_schema_run *run, const struct cairn_schema_node *node,
                     const struct cairn_schema_visit *visit)
{
    const struct cairn_schema_instr *instr = &run->schema->code[node->first];
    const struct cairn_schema_instr *end = instr + node->count;
    uint32_t type = CAIRN_SCHEMA_BIT(visit->value->type);
    bool valid = true;
    for (; instr < end; instr++) {
        if ((instr->types & type) != 0 && !operations[instr->op](run, instr, visit)) {
            valid = false;
            if (!cairn_schema_collects(run)) {
                break;
            }
        }
    }
    return valid;
}

/* A node with an unevaluated... keyword sees only the marks of its own keywords, and hands them on
 * to who asked. */
static bool run_marked(struct cairn_schema_run *run, const struct cairn_schema_node *node,
                       const struct cairn_schema_visit *visit)
{
    struct cairn_schema_marks marks;
    struct cairn_schema_visit inner = *visit;
    if (!cairn_schema_marks_init(run, &marks, visit->value->count)) {
        return false;
    }
    inner.marks = &marks;
    bool valid = run_code(run, node, &inner);
    if (visit->marks != NULL) {
        cairn_schema_marks_merge(visit->marks, &marks);
    }
    return valid;
}

bool cairn_schema_run_node(struct cairn_schema_run *run, uint32_t index,
                           const struct cairn_schema_visit *visit)
{
    assert(index < run->schema->node_count);
    const struct cairn_schema_node *node = &run->schema->nodes[index];
    if (node->count == 0) {
        return true;
    }
    if (run->rc != CAIRN_OK || run->depth == CAIRN_SCHEMA_RUN_DEPTH_MAX) {
        run->rc = run->rc == CAIRN_OK ? CAIRN_EINTERNAL : run->rc;
        return false;
    }
    struct cairn_schema_scope scope = {visit->scope, node->resource};
    struct cairn_schema_visit inner = *visit;
    if (visit->scope == NULL || visit->scope->resource != node->resource) {
        inner.scope = &scope;
    }
    bool is_marked = (node->marks & CAIRN_SCHEMA_BIT(visit->value->type)) != 0;
    run->depth++;
    bool valid = is_marked ? run_marked(run, node, &inner) : run_code(run, node, &inner);
    run->depth--;
    return valid;
}

bool cairn_schema_run_member(struct cairn_schema_run *run, uint32_t node,
                             const struct cairn_schema_visit *visit, const struct cairn_value *key,
                             const struct cairn_value *value)
{
    struct cairn_schema_step step = {visit->step, key, 0};
    struct cairn_schema_visit inner = {value, &step, visit->scope, NULL};
    return cairn_schema_run_node(run, node, &inner);
}

bool cairn_schema_run_item(struct cairn_schema_run *run, uint32_t node,
                           const struct cairn_schema_visit *visit, uint32_t index)
{
    assert(index < visit->value->count);
    struct cairn_schema_step step = {visit->step, NULL, index};
    struct cairn_schema_visit inner = {&visit->value->as.items[index], &step, visit->scope, NULL};
    return cairn_schema_run_node(run, node, &inner);
}

static enum cairn_rc outcome(const struct cairn_schema_run *run, bool valid, struct cairn_err *err)
{
    if (run->rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(err, run->rc, "no memory to check a value");
    }
    if (run->rc != CAIRN_OK) {
        return CAIRN_FAIL(err, run->rc, "checking a value exceeds the limits of its schema");
    }
    if (valid) {
        return CAIRN_OK;
    }
    if (run->fault_count == 0) {
        return CAIRN_FAIL(err, CAIRN_ESCHEMA, "the value does not match its schema");
    }
    const struct cairn_schema_fault *first = &run->faults[0];
    return CAIRN_FAIL(err, CAIRN_ESCHEMA, "\"%.*s\" %.*s", CAIRN_SLICE_ARG(first->pointer),
                      CAIRN_SLICE_ARG(first->message));
}

enum cairn_rc cairn_schema_check(const struct cairn_schema *schema, const struct cairn_value *value,
                                 struct cairn_arena *arena,
                                 const struct cairn_schema_fault **ret_faults, size_t *ret_count,
                                 struct cairn_err *err)
{
    assert(schema != NULL && schema->node_count > 0);
    assert((ret_faults == NULL) == (ret_count == NULL));
    struct cairn_schema_run run = {.schema = schema, .arena = arena, .rc = CAIRN_OK};
    struct cairn_schema_visit visit = {.value = value};
    /* Most values are valid: faults are worth their memory on the second run only. */
    run.quiet = 1;
    bool valid = cairn_schema_run_node(&run, 0, &visit);
    if (!valid && run.rc == CAIRN_OK && ret_faults != NULL) {
        run.quiet = 0;
        run.faults = cairn_arena_zalloc(arena, CAIRN_SCHEMA_FAULTS_MAX, sizeof(*run.faults));
        if (run.faults == NULL) {
            run.rc = CAIRN_ENOMEM;
        } else {
            valid = cairn_schema_run_node(&run, 0, &visit);
            assert(!valid);
        }
    }
    cairn_schema_matcher_free(run.matcher);
    enum cairn_rc rc = outcome(&run, valid, err);
    if (ret_faults != NULL && (rc == CAIRN_ESCHEMA || rc == CAIRN_OK)) {
        *ret_faults = run.faults;
        *ret_count = run.fault_count;
    }
    return rc;
}

enum cairn_rc cairn_schema_faults_value(const struct cairn_schema_fault *faults, size_t count,
                                        struct cairn_arena *arena, struct cairn_value *ret_value)
{
    struct cairn_value_builder list = {.arena = arena};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        struct cairn_value_builder row = {.arena = arena};
        struct cairn_value keyword = cairn_value_string(cairn_slice_str(faults[i].keyword));
        rc = cairn_value_add(&row, "pointer", cairn_value_string(faults[i].pointer));
        if (rc == CAIRN_OK) {
            rc = cairn_value_add(&row, "keyword", keyword);
        }
        if (rc == CAIRN_OK) {
            rc = cairn_value_add(&row, "message", cairn_value_string(faults[i].message));
        }
        if (rc == CAIRN_OK) {
            rc = cairn_value_push(&list, cairn_value_map(&row));
        }
    }
    if (rc == CAIRN_OK) {
        *ret_value = cairn_value_array(&list);
    }
    return rc;
}
