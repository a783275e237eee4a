/* A check under way: shared by the driver (schema_check.c), the assertions (schema_asserts.c) and
 * the applicators (schema_applies.c). */
#ifndef CAIRN_SCHEMAS_SCHEMA_RUN_H
#define CAIRN_SCHEMAS_SCHEMA_RUN_H

#include "schemas/schema_program.h"

/* Nodes inside one another: instance depth times the longest chain of references is far below. */
#define CAIRN_SCHEMA_RUN_DEPTH_MAX 2048

struct cairn_schema_run {
    const struct cairn_schema *schema;
    struct cairn_arena *arena;         /* faults; marks of very large containers */
    struct cairn_schema_fault *faults; /* NULL: the first fault ends the check */
    size_t fault_count;
    uint32_t quiet; /* > 0: inside a trial, whose faults are nobody's */
    uint32_t depth;
    enum cairn_rc rc;                     /* of what is no fault of the value: memory, limits */
    struct cairn_schema_matcher *matcher; /* NULL until a pattern is met */
};

/* The way from the whole value to the part at hand, on the C stack. */
struct cairn_schema_step {
    const struct cairn_schema_step *outer;
    const struct cairn_value *key; /* of a member; NULL for an item */
    uint32_t index;                /* of an item */
};

/* The resources entered on the way, for $dynamicRef. */
struct cairn_schema_scope {
    const struct cairn_schema_scope *outer;
    uint32_t resource;
};

/* Which members or items of one container some keyword has evaluated. */
struct cairn_schema_marks {
    uint64_t *bits; /* inline_bits, or in the arena */
    uint32_t words;
    uint64_t inline_bits[4];
};

struct cairn_schema_visit {
    const struct cairn_value *value;
    const struct cairn_schema_step *step;
    const struct cairn_schema_scope *scope;
    struct cairn_schema_marks *marks; /* NULL: nobody asks */
};

typedef bool cairn_schema_op_fn(struct cairn_schema_run *run,
                                const struct cairn_schema_instr *instr,
                                const struct cairn_schema_visit *visit);

#define X(op, keyword, types, check) cairn_schema_op_fn cairn_schema_##check;
CAIRN_SCHEMA_OP_TABLE(X)
#undef X

/* Is visit->value valid by node? False also when run->rc is set. */
bool cairn_schema_run_node(struct cairn_schema_run *run, uint32_t node,
                           const struct cairn_schema_visit *visit);
/* The same for a part of the value. */
bool cairn_schema_run_member(struct cairn_schema_run *run, uint32_t node,
                             const struct cairn_schema_visit *visit, const struct cairn_value *key,
                             const struct cairn_value *value);
bool cairn_schema_run_item(struct cairn_schema_run *run, uint32_t node,
                           const struct cairn_schema_visit *visit, uint32_t index);

/* Are faults gathered, so that a check goes on behind one? */
static inline bool cairn_schema_collects(const struct cairn_schema_run *run)
{
    return run->faults != NULL && run->quiet == 0 && run->rc == CAIRN_OK &&
           run->fault_count < CAIRN_SCHEMA_FAULTS_MAX;
}

/* Note a fault of the value at hand, where faults are gathered. Always false, for `return`. */
bool cairn_schema_fault(struct cairn_schema_run *run, const struct cairn_schema_visit *visit,
                        const char *keyword, const char *format, ...) CAIRN_PRINTF(4, 5);
/* A value as JSON for a message, cut when long; NUL-ended, in the arena. Never NULL. */
const char *cairn_schema_show(struct cairn_schema_run *run, const struct cairn_value *value);

/* Marks for `count` members or items, none set. False when memory is out (run->rc says so). */
CAIRN_MUST_CHECK bool cairn_schema_marks_init(struct cairn_schema_run *run,
                                              struct cairn_schema_marks *marks, uint32_t count);
void cairn_schema_marks_merge(struct cairn_schema_marks *into,
                              const struct cairn_schema_marks *from);

static inline void cairn_schema_mark(struct cairn_schema_marks *marks, uint32_t index)
{
    if (marks != NULL) {
        marks->bits[index / 64] |= UINT64_C(1) << (index % 64);
    }
}

static inline bool cairn_schema_is_marked(const struct cairn_schema_marks *marks, uint32_t index)
{
    return (marks->bits[index / 64] >> (index % 64) & 1u) != 0;
}

#endif
