/* The SQL around a named query's own:
 *
 *   WITH _cairn AS (SELECT $1::bigint, $2::text)
 *   SELECT row_to_json(q.*)::text, q."cents"::text, q."account"::text FROM (
 *   SELECT account, cents FROM accounts WHERE cents >= $1
 *   ) q WHERE ((q."cents" < $3) OR (q."cents" = $3 AND (q."account" > $4 OR q."account" IS NULL)))
 *   ORDER BY q."cents" DESC, q."account" LIMIT 101
 *
 * Nobody reads _cairn: the first mention of a parameter decides its type, and there it is the
 * declared one. Null is behind everything going up and first going down, as PostgreSQL has it. */
#include <assert.h>

#include "query/named.h"

/* The statement under way. */
struct writing {
    struct cairn_named *named;
    struct cairn_pg_text *sql;
};

static void add(struct writing *writing, const char *words)
{
    cairn_pg_text_add(writing->sql, words);
}

static void add_param(struct writing *writing, const char *before, size_t number)
{
    cairn_pg_text_add(writing->sql, before);
    cairn_pg_text_add_param(writing->sql, number);
}

static void add_column(struct writing *writing, size_t order)
{
    cairn_pg_text_add(writing->sql, "q.");
    cairn_pg_text_add_name(writing->sql, writing->named->query->orders[order].column);
}

static void add_types(struct writing *writing)
{
    const struct cairn_sql_query *query = writing->named->query;
    for (size_t i = 0; i < query->statement.param_count; i++) {
        size_t p = 0;
        while (!cairn_slice_equal(query->params[p].name, query->statement.params[i])) {
            p++;
            assert(p < query->param_count);
        }
        add_param(writing, i == 0 ? "WITH _cairn AS (SELECT " : ", ", i + 1);
        add(writing, "::");
        add(writing, cairn_sql_type_name(query->params[p].type));
    }
    add(writing, query->statement.param_count > 0 ? ") " : "");
}

/* Rows whose column is behind the place's. */
static void add_strictly(struct writing *writing, size_t order, size_t value)
{
    bool descending = writing->named->query->orders[order].descending;
    bool null = writing->named->place[order].data == NULL;
    if (null && !descending) {
        add(writing, "false");
        return;
    }
    add(writing, "(");
    add_column(writing, order);
    if (null) {
        add(writing, " IS NOT NULL)");
        return;
    }
    add_param(writing, descending ? " < " : " > ", value);
    if (!descending) {
        add(writing, " OR ");
        add_column(writing, order);
        add(writing, " IS NULL");
    }
    add(writing, ")");
}

static void add_equal(struct writing *writing, size_t order, size_t value)
{
    add_column(writing, order);
    if (writing->named->place[order].data == NULL) {
        add(writing, " IS NULL");
    } else {
        add_param(writing, " = ", value);
    }
}

/* Column by column: behind in it, or equal in it and behind in those that follow. */
static void add_place(struct writing *writing)
{
    struct cairn_named *named = writing->named;
    size_t count = named->query->order_count;
    add(writing, " WHERE ");
    for (size_t i = 0; i < count; i++) {
        const struct cairn_slice value = named->place[i];
        assert(named->value_count < CAIRN_PG_PARAMS_MAX);
        if (value.data != NULL) {
            named->values[named->value_count++] = value;
        }
        add(writing, "(");
        add_strictly(writing, i, named->value_count);
        if (i + 1 < count) {
            add(writing, " OR (");
            add_equal(writing, i, named->value_count);
            add(writing, " AND ");
        }
    }
    for (size_t i = 0; i < count; i++) {
        add(writing, i == 0 ? ")" : "))");
    }
}

static void add_order(struct writing *writing)
{
    const struct cairn_sql_query *query = writing->named->query;
    for (size_t i = 0; i < query->order_count; i++) {
        add(writing, i == 0 ? " ORDER BY " : ", ");
        add_column(writing, i);
        add(writing, query->orders[i].descending ? " DESC" : "");
    }
}

enum cairn_rc cairn_named_sql(struct cairn_named *named, struct cairn_pg_text *sql,
                              const char **ret_sql, size_t *ret_text_at, struct cairn_err *err)
{
    const struct cairn_sql_query *query = named->query;
    struct writing writing = {.named = named, .sql = sql};
    assert(sql->buf.size == 0 && named->limit > 0);
    add_types(&writing);
    add(&writing, "SELECT row_to_json(q.*)::text");
    for (size_t i = 0; i < query->order_count; i++) {
        add(&writing, ", ");
        add_column(&writing, i);
        add(&writing, "::text");
    }
    add(&writing, " FROM (\n");
    size_t text_at = sql->buf.size;
    add(&writing, query->statement.text);
    add(&writing, "\n) q"); /* a remark may end the text */
    if (named->has_place) {
        add_place(&writing);
    }
    add_order(&writing);
    add(&writing, " LIMIT ");
    cairn_pg_text_add_number(sql, named->limit + (query->order_count > 0));
    enum cairn_rc rc = cairn_pg_text_end(sql, ret_sql);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "the statement of query %.*s", CAIRN_SLICE_ARG(query->name));
    }
    *ret_text_at = text_at;
    return CAIRN_OK;
}
