#include "schemas/schema_compile.h"

#include <assert.h>
#include <stdio.h>

#include "platform/mem.h"

/* Compilation works through a list: a subschema gets its node when it is first seen and its
 * instructions when its turn comes. No recursion, and a $ref back to where it came from is just the
 * node that is there already. */

static const uint16_t op_types[CAIRN_SCHEMA_OP_COUNT] = {
#define X(op, keyword, types, check) [CAIRN_SCHEMA_##op] = CAIRN_SCHEMA_##types,
    CAIRN_SCHEMA_OP_TABLE(X)
#undef X
};

enum cairn_rc cairn_schema_wrong(struct cairn_schema_compiler *compiler, const char *what)
{
    return CAIRN_FAIL(compiler->err, CAIRN_EINVAL, "schema %s/%s: %s", compiler->at->location,
                      compiler->keyword, what);
}

enum cairn_rc cairn_schema_no_memory(struct cairn_schema_compiler *compiler)
{
    return CAIRN_FAIL(compiler->err, CAIRN_ENOMEM, "no memory to compile a schema");
}

void *cairn_schema_alloc(struct cairn_schema_compiler *compiler, size_t size)
{
    return cairn_arena_zalloc(&compiler->registry->arena, 1, size);
}

static const struct cairn_schema_keyword *keyword_named(const char *name)
{
    size_t i = 0;
    while (strcmp(cairn_schema_keyword_table[i].name, name) != 0) {
        i++;
        assert(i < cairn_schema_keyword_count);
    }
    return &cairn_schema_keyword_table[i];
}

enum cairn_schema_op cairn_schema_own_op(const struct cairn_schema_compiler *compiler)
{
    return keyword_named(compiler->keyword)->op;
}

const struct cairn_value *cairn_schema_keyword(const struct cairn_schema_compiler *compiler,
                                               const char *name)
{
    if ((compiler->vocabularies & keyword_named(name)->vocabulary) == 0) {
        return NULL;
    }
    return cairn_value_at(compiler->schema, name);
}

/* Room for one element more in an owned array. */
static enum cairn_rc grow(struct cairn_schema_compiler *compiler, void **elements, uint32_t count,
                          uint32_t *cap, size_t size)
{
    if (count < *cap) {
        return CAIRN_OK;
    }
    uint32_t wanted = *cap == 0 ? 64 : *cap * 2;
    void *more = cairn_mem_realloc(*elements, wanted * size);
    if (more == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    *elements = more;
    *cap = wanted;
    return CAIRN_OK;
}

enum cairn_rc cairn_schema_emit(struct cairn_schema_compiler *compiler,
                                struct cairn_schema_instr instr)
{
    assert(instr.op < CAIRN_SCHEMA_OP_COUNT);
    void *code = compiler->code;
    enum cairn_rc rc =
        grow(compiler, &code, compiler->code_count, &compiler->code_cap, sizeof(instr));
    compiler->code = code;
    if (rc != CAIRN_OK) {
        return rc;
    }
    instr.types = op_types[instr.op];
    compiler->code[compiler->code_count++] = instr;
    return CAIRN_OK;
}

static enum cairn_rc add_node(struct cairn_schema_compiler *compiler,
                              const struct cairn_schema_pending *pending, uint32_t *ret_node)
{
    if (compiler->node_count == CAIRN_SCHEMA_NODES_MAX) {
        return CAIRN_FAIL(compiler->err, CAIRN_EINVAL, "schema %s: more than %d subschemas",
                          pending->location, CAIRN_SCHEMA_NODES_MAX);
    }
    uint32_t cap = compiler->node_cap;
    void *nodes = compiler->nodes;
    enum cairn_rc rc = grow(compiler, &nodes, compiler->node_count, &cap, sizeof(*compiler->nodes));
    compiler->nodes = nodes;
    if (rc != CAIRN_OK) {
        return rc;
    }
    cap = compiler->node_cap;
    void *list = compiler->pending;
    rc = grow(compiler, &list, compiler->node_count, &cap, sizeof(*compiler->pending));
    compiler->pending = list;
    if (rc != CAIRN_OK) {
        return rc;
    }
    compiler->node_cap = cap;
    *ret_node = compiler->node_count++;
    compiler->pending[*ret_node] = *pending;
    compiler->nodes[*ret_node] = (struct cairn_schema_node){.resource = pending->resource->index};
    return CAIRN_OK;
}

/* The node of pending->schema, new or known. */
static enum cairn_rc note(struct cairn_schema_compiler *compiler,
                          const struct cairn_schema_pending *pending, uint32_t *ret_node)
{
    bool added = false;
    struct cairn_slice key =
        cairn_slice_of((const char *)&pending->schema, sizeof(pending->schema));
    union cairn_map_value *place = cairn_map_put(&compiler->memo, key, &added);
    if (place == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    if (!added) {
        *ret_node = (uint32_t)place->number;
        return CAIRN_OK;
    }
    enum cairn_rc rc = add_node(compiler, pending, ret_node);
    place->number = rc == CAIRN_OK ? *ret_node : CAIRN_SCHEMA_NONE;
    return rc;
}

enum cairn_rc cairn_schema_node_of(struct cairn_schema_compiler *compiler,
                                   const struct cairn_schema_target *target, const char *location,
                                   uint32_t *ret_node)
{
    struct cairn_schema_pending pending = {target->schema, target->resource, location};
    if (target->schema->type != CAIRN_MAP && target->schema->type != CAIRN_BOOL) {
        return cairn_schema_wrong(compiler, "must lead to a schema (an object or a boolean)");
    }
    return note(compiler, &pending, ret_node);
}

/* "/" and name with '~' and '/' escaped, as JSON Pointer wants. */
static char *escape_token(struct cairn_arena *arena, struct cairn_slice name)
{
    char *out = cairn_arena_alloc(arena, 2 * name.size + 1);
    size_t size = 0;
    for (size_t i = 0; out != NULL && i < name.size; i++) {
        bool escape = name.data[i] == '~' || name.data[i] == '/';
        if (escape) {
            out[size++] = '~';
        }
        out[size++] = !escape ? name.data[i] : name.data[i] == '~' ? '0' : '1';
    }
    if (out != NULL) {
        out[size] = '\0';
    }
    return out;
}

enum cairn_rc cairn_schema_child(struct cairn_schema_compiler *compiler,
                                 const struct cairn_value *schema, const char *keyword,
                                 struct cairn_slice name, uint32_t *ret_node)
{
    struct cairn_schema_pending pending = {.schema = schema};
    char *token = escape_token(&compiler->scratch, name);
    if (token != NULL) {
        pending.location =
            cairn_arena_printf(&compiler->scratch, "%s/%s%s%s", compiler->at->location, keyword,
                               name.data == NULL ? "" : "/", token);
    }
    if (pending.location == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    if (schema->type != CAIRN_MAP && schema->type != CAIRN_BOOL) {
        return CAIRN_FAIL(compiler->err, CAIRN_EINVAL,
                          "schema %s: must be a schema (an object or a boolean)", pending.location);
    }
    enum cairn_rc rc = cairn_schema_registry_enter(compiler->registry, compiler->at->resource,
                                                   schema, &pending.resource, compiler->err);
    return rc == CAIRN_OK ? note(compiler, &pending, ret_node) : rc;
}

static enum cairn_rc compile_keywords(struct cairn_schema_compiler *compiler)
{
    enum cairn_rc rc = cairn_schema_registry_vocabularies(
        compiler->registry, compiler->at->resource, &compiler->vocabularies, compiler->err);
    for (size_t i = 0; i < cairn_schema_keyword_count && rc == CAIRN_OK; i++) {
        const struct cairn_schema_keyword *keyword = &cairn_schema_keyword_table[i];
        const struct cairn_value *value = cairn_schema_keyword(compiler, keyword->name);
        if (value != NULL) {
            compiler->keyword = keyword->name;
            rc = keyword->compile(compiler, value);
        }
    }
    return rc;
}

/* Unevaluated keywords come last, so the last instructions tell. */
static uint16_t marks_of(const struct cairn_schema_compiler *compiler, uint32_t first)
{
    uint32_t marks = 0;
    for (uint32_t i = first; i < compiler->code_count; i++) {
        if (compiler->code[i].op == CAIRN_SCHEMA_UNEVALUATED_ITEMS ||
            compiler->code[i].op == CAIRN_SCHEMA_UNEVALUATED_PROPERTIES) {
            marks |= compiler->code[i].types;
        }
    }
    return (uint16_t)marks;
}

static enum cairn_rc compile_node(struct cairn_schema_compiler *compiler, uint32_t node)
{
    struct cairn_schema_pending at = compiler->pending[node];
    uint32_t first = compiler->code_count;
    enum cairn_rc rc = CAIRN_OK;
    bool is_false = at.schema->type == CAIRN_BOOL && !at.schema->as.boolean;
    compiler->at = &at;
    compiler->schema = at.schema;
    compiler->has_object = false;
    compiler->has_items = false;
    if (is_false) {
        rc = cairn_schema_emit(compiler, (struct cairn_schema_instr){.op = CAIRN_SCHEMA_FALSE});
    } else if (at.schema->type == CAIRN_MAP) {
        rc = compile_keywords(compiler);
    }
    compiler->nodes[node].first = first;
    compiler->nodes[node].count = compiler->code_count - first;
    compiler->nodes[node].is_false = is_false;
    compiler->nodes[node].marks = marks_of(compiler, first);
    compiler->at = NULL;
    return rc;
}

/* Give every node a $dynamicRef may lead to: the anchor of its name in each resource that the
 * program has come into. */
static enum cairn_rc add_candidates(struct cairn_schema_compiler *compiler,
                                    const struct cairn_schema_dynamic *dynamic)
{
    enum cairn_rc rc = CAIRN_OK;
    for (uint32_t i = 0; i < compiler->node_count && rc == CAIRN_OK; i++) {
        struct cairn_schema_resource *resource = compiler->pending[i].resource;
        const struct cairn_schema_anchor *anchor =
            cairn_schema_registry_anchor(compiler->registry, resource->index, dynamic->name);
        if (anchor != NULL && anchor->is_dynamic) {
            struct cairn_schema_pending pending = {anchor->schema, anchor->resource,
                                                   resource->uri.data};
            uint32_t node = 0;
            rc = note(compiler, &pending, &node);
        }
    }
    return rc;
}

static enum cairn_rc compile_all(struct cairn_schema_compiler *compiler)
{
    uint32_t done = 0;
    enum cairn_rc rc = CAIRN_OK;
    while (done < compiler->node_count && rc == CAIRN_OK) {
        while (done < compiler->node_count && rc == CAIRN_OK) {
            rc = compile_node(compiler, done++);
        }
        for (uint32_t i = 0; i < compiler->code_count && rc == CAIRN_OK; i++) {
            if (compiler->code[i].op == CAIRN_SCHEMA_DYNAMIC_REF) {
                rc = add_candidates(compiler, compiler->code[i].as.dynamic);
            }
        }
    }
    return rc;
}

/* Everything has its node now: write down where each $dynamicRef may lead. */
static enum cairn_rc link_dynamic(struct cairn_schema_compiler *compiler,
                                  struct cairn_schema_dynamic *dynamic)
{
    uint32_t resources = compiler->registry->count;
    uint32_t *found = cairn_schema_alloc(compiler, resources * sizeof(*found));
    uint32_t *nodes = cairn_schema_alloc(compiler, resources * sizeof(*nodes));
    if (found == NULL || nodes == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    for (uint32_t i = 0; i < resources; i++) {
        const struct cairn_schema_anchor *anchor =
            cairn_schema_registry_anchor(compiler->registry, i, dynamic->name);
        union cairn_map_value *place =
            anchor == NULL || !anchor->is_dynamic
                ? NULL
                : cairn_map_get(&compiler->memo, cairn_slice_of((const char *)&anchor->schema,
                                                                sizeof(anchor->schema)));
        if (place != NULL) {
            found[dynamic->count] = i;
            nodes[dynamic->count++] = (uint32_t)place->number;
        }
    }
    dynamic->resources = found;
    dynamic->nodes = nodes;
    return CAIRN_OK;
}

/* The next subschema that an instruction applies to the same value, by its number; NONE at the end.
 */
static uint32_t in_place(const struct cairn_schema_instr *instr, uint32_t number)
{
    switch (instr->op) {
    case CAIRN_SCHEMA_REF:
    case CAIRN_SCHEMA_NOT:
        return number == 0 ? instr->node : CAIRN_SCHEMA_NONE;
    case CAIRN_SCHEMA_DYNAMIC_REF:
        return number == 0 ? instr->as.dynamic->fallback : CAIRN_SCHEMA_NONE;
    case CAIRN_SCHEMA_DEPENDENT_SCHEMAS:
        return number < instr->as.dependents->count ? instr->as.dependents->at[number].node
                                                    : CAIRN_SCHEMA_NONE;
    case CAIRN_SCHEMA_ALL_OF:
    case CAIRN_SCHEMA_ANY_OF:
    case CAIRN_SCHEMA_ONE_OF:
    case CAIRN_SCHEMA_IF:
        /* An absent `then` must not hide the `else` behind it. */
        while (number < instr->as.nodes->count &&
               instr->as.nodes->at[number] == CAIRN_SCHEMA_NONE) {
            number++;
        }
        return number < instr->as.nodes->count ? instr->as.nodes->at[number] : CAIRN_SCHEMA_NONE;
    default:
        return CAIRN_SCHEMA_NONE;
    }
}

/* How far a walk through one node has come. */
struct walk {
    uint32_t node;
    uint32_t instr;  /* of the node */
    uint32_t number; /* subschema of the instruction */
};

enum colour { COLOUR_NEW, COLOUR_OPEN, COLOUR_DONE };

/* The next node that the top of the walk leads to, NONE when it is through. */
static uint32_t walk_on(const struct cairn_schema_compiler *compiler, struct walk *walk)
{
    const struct cairn_schema_node *node = &compiler->nodes[walk->node];
    while (walk->instr < node->count) {
        uint32_t next = in_place(&compiler->code[node->first + walk->instr], walk->number);
        if (next != CAIRN_SCHEMA_NONE) {
            walk->number++;
            return next;
        }
        walk->instr++;
        walk->number = 0;
    }
    return CAIRN_SCHEMA_NONE;
}

/* Depth first from one node; EINVAL at a way back to an open one. stack has room for all nodes. */
static enum cairn_rc find_loop(struct cairn_schema_compiler *compiler, unsigned char *colours,
                               struct walk *stack, uint32_t start)
{
    uint32_t depth = 1;
    stack[0] = (struct walk){.node = start};
    colours[start] = COLOUR_OPEN;
    while (depth > 0) {
        uint32_t next = walk_on(compiler, &stack[depth - 1]);
        if (next == CAIRN_SCHEMA_NONE) {
            colours[stack[--depth].node] = COLOUR_DONE;
        } else if (colours[next] == COLOUR_OPEN) {
            return CAIRN_FAIL(compiler->err, CAIRN_EINVAL,
                              "schema %s: refers to itself without end",
                              compiler->pending[next].location);
        } else if (colours[next] == COLOUR_NEW) {
            colours[next] = COLOUR_OPEN;
            stack[depth++] = (struct walk){.node = next};
        }
    }
    return CAIRN_OK;
}

/* A schema that applies itself to the same value would never end. */
static enum cairn_rc refuse_loops(struct cairn_schema_compiler *compiler)
{
    unsigned char *colours = cairn_mem_zalloc(compiler->node_count, sizeof(*colours));
    struct walk *stack = cairn_mem_zalloc(compiler->node_count, sizeof(*stack));
    enum cairn_rc rc = CAIRN_OK;
    if (colours == NULL || stack == NULL) {
        rc = cairn_schema_no_memory(compiler);
        goto done;
    }
    for (uint32_t i = 0; i < compiler->node_count && rc == CAIRN_OK; i++) {
        if (colours[i] == COLOUR_NEW) {
            rc = find_loop(compiler, colours, stack, i);
        }
    }
done:
    cairn_mem_free(colours);
    cairn_mem_free(stack);
    return rc;
}

/* Copy the program out of the growing arrays. */
static enum cairn_rc finish(struct cairn_schema_compiler *compiler,
                            const struct cairn_schema **ret_schema)
{
    struct cairn_schema *schema = cairn_schema_alloc(compiler, sizeof(*schema));
    size_t nodes_size = compiler->node_count * sizeof(*compiler->nodes);
    size_t code_size = compiler->code_count * sizeof(*compiler->code);
    struct cairn_schema_node *nodes = cairn_schema_alloc(compiler, nodes_size);
    struct cairn_schema_instr *code = cairn_schema_alloc(compiler, code_size + 1);
    if (schema == NULL || nodes == NULL || code == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    memcpy(nodes, compiler->nodes, nodes_size);
    if (code_size > 0) {
        memcpy(code, compiler->code, code_size);
    }
    schema->nodes = nodes;
    schema->code = code;
    schema->node_count = compiler->node_count;
    *ret_schema = schema;
    return CAIRN_OK;
}

static enum cairn_rc compile(struct cairn_schema_compiler *compiler, const char *uri,
                             const struct cairn_schema **ret_schema)
{
    struct cairn_schema_target target;
    struct cairn_slice reference = cairn_slice_str(uri);
    enum cairn_rc rc = cairn_schema_registry_find(compiler->registry, CAIRN_SLICE_NONE, reference,
                                                  &target, compiler->err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool has_fragment = cairn_slice_find(reference, '#') < reference.size;
    const char *location =
        cairn_arena_printf(&compiler->scratch, "%s%s", uri, has_fragment ? "" : "#");
    struct cairn_schema_pending root = {target.schema, target.resource, location};
    uint32_t node = 0;
    if (location == NULL) {
        return cairn_schema_no_memory(compiler);
    }
    if (target.schema->type != CAIRN_MAP && target.schema->type != CAIRN_BOOL) {
        return CAIRN_FAIL(compiler->err, CAIRN_EINVAL,
                          "schema %s: must be a schema (an object or a boolean)", location);
    }
    rc = note(compiler, &root, &node);
    if (rc == CAIRN_OK) {
        rc = compile_all(compiler);
    }
    for (uint32_t i = 0; i < compiler->code_count && rc == CAIRN_OK; i++) {
        if (compiler->code[i].op == CAIRN_SCHEMA_DYNAMIC_REF) {
            rc = link_dynamic(compiler, compiler->code[i].as.dynamic);
        }
    }
    if (rc == CAIRN_OK) {
        rc = refuse_loops(compiler);
    }
    return rc == CAIRN_OK ? finish(compiler, ret_schema) : rc;
}

enum cairn_rc cairn_schema_compile(struct cairn_schema_registry *registry, const char *uri,
                                   const struct cairn_schema **ret_schema, struct cairn_err *err)
{
    assert(registry != NULL);
    assert(uri != NULL);
    struct cairn_schema_compiler compiler = {
        .registry = registry,
        .scratch = {.max = CAIRN_SCHEMA_REGISTRY_BYTES_MAX},
        .memo = {.max = CAIRN_SCHEMA_NODES_MAX + 1},
        .err = err,
    };
    enum cairn_rc rc = compile(&compiler, uri, ret_schema);
    cairn_arena_fini(&compiler.scratch);
    cairn_map_fini(&compiler.memo);
    cairn_mem_free(compiler.pending);
    cairn_mem_free(compiler.nodes);
    cairn_mem_free(compiler.code);
    return rc;
}
