/* A compilation under way: shared by the driver (schema_compile.c) and the keywords
 * (schema_keywords.c, schema_applicators.c). */
#ifndef CAIRN_SCHEMAS_SCHEMA_COMPILE_H
#define CAIRN_SCHEMAS_SCHEMA_COMPILE_H

#include "schemas/schema_registry.h"

/* A subschema that has a node and waits for its instructions. */
struct cairn_schema_pending {
    const struct cairn_value *schema;
    struct cairn_schema_resource *resource;
    const char *location; /* for messages: "https://.../bank.json#/properties/amount" */
};

struct cairn_schema_compiler {
    struct cairn_schema_registry *registry;
    struct cairn_arena scratch;           /* locations; dies with the compilation */
    struct cairn_map memo;                /* address of a schema: its node */
    struct cairn_schema_pending *pending; /* by node, all of them; owned */
    struct cairn_schema_node *nodes;      /* owned */
    struct cairn_schema_instr *code;      /* owned */
    uint32_t node_count;
    uint32_t node_cap;
    uint32_t code_count;
    uint32_t code_cap;
    /* The schema at hand. */
    const struct cairn_value *schema;
    const struct cairn_schema_pending *at;
    uint32_t vocabularies;
    const char *keyword; /* the keyword at hand */
    bool has_object;     /* its OBJECT, ITEMS and IF instructions are made already */
    bool has_items;
    struct cairn_err *err;
};

typedef enum cairn_rc cairn_schema_keyword_fn(struct cairn_schema_compiler *compiler,
                                              const struct cairn_value *value);

struct cairn_schema_keyword {
    const char *name;
    uint32_t vocabulary; /* bit */
    cairn_schema_keyword_fn *compile;
    enum cairn_schema_op op; /* that it makes, where compile serves several keywords */
};

/* In the order in which their instructions run: cheap ones first, unevaluated... last. */
extern const struct cairn_schema_keyword cairn_schema_keyword_table[];
extern const size_t cairn_schema_keyword_count;

/* What an applicator's keyword is compiled by. */
cairn_schema_keyword_fn cairn_schema_compile_object;
cairn_schema_keyword_fn cairn_schema_compile_items;
cairn_schema_keyword_fn cairn_schema_compile_contains;
cairn_schema_keyword_fn cairn_schema_compile_if;
cairn_schema_keyword_fn cairn_schema_compile_list;
cairn_schema_keyword_fn cairn_schema_compile_one;
cairn_schema_keyword_fn cairn_schema_compile_dependents;
cairn_schema_keyword_fn cairn_schema_compile_ref;
cairn_schema_keyword_fn cairn_schema_compile_dynamic_ref;

/* The value of a keyword of the schema at hand; NULL when absent or of a vocabulary that does not
 * apply. */
const struct cairn_value *cairn_schema_keyword(const struct cairn_schema_compiler *compiler,
                                               const char *name);
/* The operation that the table gives to the keyword at hand. */
enum cairn_schema_op cairn_schema_own_op(const struct cairn_schema_compiler *compiler);
/* An integer of at least 0, which may be written 2.0, as a count; false for anything else. */
CAIRN_MUST_CHECK bool cairn_schema_to_count(const struct cairn_value *value, uint64_t *ret_count);
/* Add an instruction to the node at hand; its types come from the table. ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_emit(struct cairn_schema_compiler *compiler,
                                                 struct cairn_schema_instr instr);
/* The node of a subschema under keyword (and under name, or at index where name has no data). */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_child(struct cairn_schema_compiler *compiler,
                                                  const struct cairn_value *schema,
                                                  const char *keyword, struct cairn_slice name,
                                                  uint32_t *ret_node);
/* The node of a schema that a reference leads to. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_node_of(struct cairn_schema_compiler *compiler,
                                                    const struct cairn_schema_target *target,
                                                    const char *location, uint32_t *ret_node);
/* EINVAL: the keyword at hand is wrong. what: "must be ...". */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_wrong(struct cairn_schema_compiler *compiler,
                                                  const char *what);
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_no_memory(struct cairn_schema_compiler *compiler);
/* Zeroed memory of the program, NULL when it is out. */
CAIRN_MUST_CHECK void *cairn_schema_alloc(struct cairn_schema_compiler *compiler, size_t size);

#endif
