/* A compiled JSON Schema: nodes (one for each subschema) of instructions. For the files of this
 * folder; everything lives in the registry's arena and is read-only once compiled. */
#ifndef CAIRN_SCHEMAS_SCHEMA_PROGRAM_H
#define CAIRN_SCHEMAS_SCHEMA_PROGRAM_H

#include "schemas/format.h"
#include "schemas/schema.h"
#include "schemas/schema_regex.h"

#define CAIRN_SCHEMA_NODES_MAX 100000
#define CAIRN_SCHEMA_NONE      UINT32_MAX /* no node */

#define CAIRN_SCHEMA_BIT(type) (1u << (unsigned)(type))
/* In a mask of the keyword `type`: a float without a fraction, which is an integer too. */
#define CAIRN_SCHEMA_WHOLE_FLOAT (1u << 15)

#define CAIRN_SCHEMA_ANY 0x7fffu
#define CAIRN_SCHEMA_NUMBERS                                                                       \
    (CAIRN_SCHEMA_BIT(CAIRN_INT) | CAIRN_SCHEMA_BIT(CAIRN_UINT) | CAIRN_SCHEMA_BIT(CAIRN_FLOAT))
#define CAIRN_SCHEMA_STRINGS CAIRN_SCHEMA_BIT(CAIRN_STRING)
#define CAIRN_SCHEMA_ARRAYS  CAIRN_SCHEMA_BIT(CAIRN_ARRAY)
#define CAIRN_SCHEMA_MAPS    CAIRN_SCHEMA_BIT(CAIRN_MAP)

/* operation, keyword that a fault names, types of values it says something about, function */
#define CAIRN_SCHEMA_OP_TABLE(X)                                                                   \
    X(FALSE, "false", ANY, check_false)                                                            \
    X(TYPE, "type", ANY, check_type)                                                               \
    X(CONST, "const", ANY, check_const)                                                            \
    X(ENUM, "enum", ANY, check_enum)                                                               \
    X(MULTIPLE_OF, "multipleOf", NUMBERS, check_multiple_of)                                       \
    X(MAXIMUM, "maximum", NUMBERS, check_maximum)                                                  \
    X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum", NUMBERS, check_exclusive_maximum)                     \
    X(MINIMUM, "minimum", NUMBERS, check_minimum)                                                  \
    X(EXCLUSIVE_MINIMUM, "exclusiveMinimum", NUMBERS, check_exclusive_minimum)                     \
    X(MAX_LENGTH, "maxLength", STRINGS, check_max_length)                                          \
    X(MIN_LENGTH, "minLength", STRINGS, check_min_length)                                          \
    X(PATTERN, "pattern", STRINGS, check_pattern)                                                  \
    X(FORMAT, "format", STRINGS, check_format)                                                     \
    X(MAX_ITEMS, "maxItems", ARRAYS, check_max_items)                                              \
    X(MIN_ITEMS, "minItems", ARRAYS, check_min_items)                                              \
    X(UNIQUE_ITEMS, "uniqueItems", ARRAYS, check_unique_items)                                     \
    X(MAX_PROPERTIES, "maxProperties", MAPS, check_max_properties)                                 \
    X(MIN_PROPERTIES, "minProperties", MAPS, check_min_properties)                                 \
    X(DEPENDENT_REQUIRED, "dependentRequired", MAPS, check_dependent_required)                     \
    X(OBJECT, "properties", MAPS, check_object)                                                    \
    X(PROPERTY_NAMES, "propertyNames", MAPS, check_property_names)                                 \
    X(ITEMS, "items", ARRAYS, check_items)                                                         \
    X(CONTAINS, "contains", ARRAYS, check_contains)                                                \
    X(REF, "$ref", ANY, check_ref)                                                                 \
    X(DYNAMIC_REF, "$dynamicRef", ANY, check_dynamic_ref)                                          \
    X(ALL_OF, "allOf", ANY, check_all_of)                                                          \
    X(ANY_OF, "anyOf", ANY, check_any_of)                                                          \
    X(ONE_OF, "oneOf", ANY, check_one_of)                                                          \
    X(NOT, "not", ANY, check_not)                                                                  \
    X(IF, "if", ANY, check_if)                                                                     \
    X(DEPENDENT_SCHEMAS, "dependentSchemas", MAPS, check_dependent_schemas)                        \
    X(UNEVALUATED_ITEMS, "unevaluatedItems", ARRAYS, check_unevaluated_items)                      \
    X(UNEVALUATED_PROPERTIES, "unevaluatedProperties", MAPS, check_unevaluated_properties)

enum cairn_schema_op {
#define X(op, keyword, types, check) CAIRN_SCHEMA_##op,
    CAIRN_SCHEMA_OP_TABLE(X)
#undef X
        CAIRN_SCHEMA_OP_COUNT
};

/* Several nodes: of allOf, anyOf, oneOf, prefixItems; if, then, else in this order. */
struct cairn_schema_nodes {
    uint32_t count;
    uint32_t at[]; /* indexes, CAIRN_SCHEMA_NONE where one is absent */
};

struct cairn_schema_property {
    struct cairn_slice name;
    uint32_t node; /* of `properties`; NONE when the name is only required */
    bool is_required;
};

struct cairn_schema_pattern {
    const struct cairn_schema_regex *regex;
    uint32_t node;
};

/* properties, patternProperties, additionalProperties and required together: one walk over the
 * members answers all four. */
struct cairn_schema_object {
    const struct cairn_schema_property *properties;
    const struct cairn_schema_pattern *patterns;
    const uint32_t *slots; /* by hash of the name: index into properties + 1, 0 is empty */
    uint32_t slot_mask;    /* slots - 1, a power of two minus 1 */
    uint32_t property_count;
    uint32_t pattern_count;
    uint32_t required_count;
    uint32_t additional; /* node of additionalProperties, or NONE */
};

struct cairn_schema_items {
    const struct cairn_schema_nodes *prefix; /* of prefixItems; never NULL */
    uint32_t rest;                           /* node of items, or NONE */
};

struct cairn_schema_contains {
    uint32_t node;
    uint64_t min;
    uint64_t max; /* UINT64_MAX: any number */
};

/* One row of dependentRequired or dependentSchemas. */
struct cairn_schema_dependent {
    struct cairn_slice name;
    const struct cairn_value *required; /* array of strings; NULL for a schema */
    uint32_t node;                      /* NONE for names */
};

struct cairn_schema_dependents {
    uint32_t count;
    struct cairn_schema_dependent at[];
};

/* $dynamicRef to a $dynamicAnchor: the outermost resource on the way here that has one decides. */
struct cairn_schema_dynamic {
    struct cairn_slice name;
    uint32_t fallback;         /* node that the reference means lexically */
    uint32_t count;            /* resources that have such an anchor */
    const uint32_t *resources; /* count of them */
    const uint32_t *nodes;     /* the anchor's node in each */
};

struct cairn_schema_instr {
    uint16_t op;    /* enum cairn_schema_op */
    uint16_t types; /* mask of value types that it says something about */
    uint32_t node;  /* the subschema of the operations that have one */
    union {
        uint64_t limit;
        const struct cairn_value *value;
        const struct cairn_schema_nodes *nodes;
        const struct cairn_schema_object *object;
        const struct cairn_schema_items *items;
        const struct cairn_schema_contains *contains;
        const struct cairn_schema_dependents *dependents;
        struct cairn_schema_dynamic *dynamic;
        const struct cairn_schema_regex *regex;
        const struct cairn_format *format;
    } as;
};

struct cairn_schema_node {
    uint32_t first;    /* of its instructions */
    uint32_t count;    /* 0: everything is valid */
    uint32_t resource; /* index in the registry: what $dynamicRef looks for */
    bool is_false;     /* the schema `false` */
    uint16_t marks;    /* types of values for which it has an unevaluated... keyword */
};

struct cairn_schema {
    const struct cairn_schema_node *nodes;
    const struct cairn_schema_instr *code;
    uint32_t node_count; /* > 0; node 0 is the whole schema */
};

/* A property's name to a slot. Cheap: the table is small and a collision costs one comparison. */
static inline uint32_t cairn_schema_hash_name(const char *name, uint32_t size)
{
    if (size == 0) {
        return 0;
    }
    uint32_t first = (unsigned char)name[0];
    uint32_t middle = (unsigned char)name[size / 2];
    uint32_t last = (unsigned char)name[size - 1];
    return (size * 0x9e3779b1u + first * 0x85ebca6bu + middle * 0xc2b2ae35u + last * 0x27d4eb2fu) >>
           16;
}

/* Is value a multiple of divisor (> 0), both taken as the decimals that they are written as? */
bool cairn_schema_is_multiple(const struct cairn_value *value, const struct cairn_value *divisor);

#endif
