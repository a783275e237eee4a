#include "query/named.h"

#include <assert.h>

#include "platform/hash.h"
#include "platform/json.h"
#include "platform/seal.h"
#include "query/params.h"

/* Those of every query, and the end of the list. */
#define NAMES_MAX (CAIRN_SQL_PARAMS_MAX + 3)

/* ---- parameters ---- */

static enum cairn_rc check_names(const struct cairn_sql_query *query,
                                 const struct cairn_http_request *request, struct cairn_err *err)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < query->param_count; i++) {
        const char *name =
            cairn_arena_printf(request->arena, "%.*s", CAIRN_SLICE_ARG(query->params[i].name));
        if (name == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "the parameters of a query");
        }
        names[count++] = name;
    }
    names[count++] = "limit";
    if (query->order_count > 0) {
        names[count++] = "cursor";
    }
    assert(count < NAMES_MAX);
    names[count] = NULL;
    return cairn_params_check(request, names, err);
}

static const struct cairn_sql_param *find_declared(const struct cairn_sql_query *query,
                                                   struct cairn_slice name)
{
    for (size_t i = 0; i < query->param_count; i++) {
        if (cairn_slice_equal(query->params[i].name, name)) {
            return &query->params[i];
        }
    }
    return NULL;
}

/* data NULL: it is not given. */
static struct cairn_slice find_given(const struct cairn_http_request *request,
                                     struct cairn_slice name)
{
    for (size_t i = 0; i < request->param_count; i++) {
        if (cairn_slice_equal(request->params[i].name, name)) {
            return request->params[i].value;
        }
    }
    return CAIRN_SLICE_NONE;
}

/* Also of a parameter that the statement does not use: whoever sends one is told of a mistake. */
static enum cairn_rc check_values(const struct cairn_sql_query *query,
                                  const struct cairn_http_request *request, struct cairn_err *err)
{
    for (size_t i = 0; i < query->param_count; i++) {
        const struct cairn_sql_param *param = &query->params[i];
        struct cairn_slice text = find_given(request, param->name);
        if (text.data == NULL && param->required) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%.*s\" (%s) is missing",
                              CAIRN_SLICE_ARG(param->name), cairn_sql_type_label(param->type));
        }
        if (text.data != NULL && (!cairn_sql_type_holds(param->type, text) ||
                                  cairn_slice_find(text, '\0') < text.size)) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%.*s\" is \"%.*s\"; it must be %s",
                              CAIRN_SLICE_ARG(param->name), CAIRN_SLICE_ARG(text),
                              cairn_sql_type_label(param->type));
        }
    }
    return CAIRN_OK;
}

static void take_values(struct cairn_named *named, const struct cairn_http_request *request)
{
    const struct cairn_sql_statement *statement = &named->query->statement;
    assert(statement->param_count <= CAIRN_SQL_PARAMS_MAX);
    for (size_t i = 0; i < statement->param_count; i++) {
        const struct cairn_sql_param *param = find_declared(named->query, statement->params[i]);
        assert(param != NULL);
        struct cairn_slice text = find_given(request, param->name);
        named->values[i] = text.data != NULL ? text : param->fallback;
    }
    named->value_count = statement->param_count;
}

/* ---- cursors ---- */

/* A cursor belongs to the query and its order; its parameters may change from page to page. */
static uint64_t identity(const struct cairn_sql_query *query)
{
    uint64_t parts[1 + 2 * CAIRN_SQL_QUERY_ORDERS_MAX] = {cairn_hash64(query->name)};
    for (size_t i = 0; i < query->order_count; i++) {
        parts[1 + 2 * i] = cairn_hash64(query->orders[i].column);
        parts[2 + 2 * i] = query->orders[i].descending;
    }
    return cairn_hash64(cairn_slice_of((const char *)parts, sizeof(parts)));
}

/* The payload is a JSON list: for each column of the order its value's text, or null. */
static bool split(struct cairn_named *named, struct cairn_slice payload, struct cairn_arena *arena)
{
    struct cairn_value list;
    struct cairn_err ignored;
    if (cairn_json_read(payload, arena, &list, NULL, &ignored) != CAIRN_OK ||
        list.type != CAIRN_ARRAY || list.count != named->query->order_count) {
        return false;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        const struct cairn_value *item = &list.as.items[i];
        if (item->type != CAIRN_STRING && item->type != CAIRN_NULL) {
            return false;
        }
        named->place[i] = item->type == CAIRN_NULL ? CAIRN_SLICE_NONE : cairn_value_slice(item);
        if (cairn_slice_find(named->place[i], '\0') < named->place[i].size) {
            return false;
        }
    }
    return true;
}

static enum cairn_rc take_cursor(struct cairn_named *named,
                                 const struct cairn_http_request *request, struct cairn_err *err)
{
    struct cairn_slice payload;
    struct cairn_slice text = cairn_http_param(request, "cursor");
    if (text.data == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_seal_read(identity(named->query), text, request->arena, &payload);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(err, rc, "read the cursor");
    }
    if (rc != CAIRN_OK || !split(named, payload, request->arena)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "the cursor is no cursor of this query");
    }
    named->has_place = true;
    return CAIRN_OK;
}

enum cairn_rc cairn_named_read(const struct cairn_sql_query *query,
                               const struct cairn_http_request *request,
                               struct cairn_named *ret_named, struct cairn_err *err)
{
    assert(query->limit >= 1 && query->limit <= CAIRN_SQL_QUERY_LIMIT_MAX);
    uint64_t limit = 0;
    *ret_named = (struct cairn_named){.query = query};
    enum cairn_rc rc = check_names(query, request, err);
    rc = rc == CAIRN_OK ? check_values(query, request, err) : rc;
    rc = rc == CAIRN_OK
             ? cairn_params_number(request, "limit", 1, query->limit, query->limit, &limit, err)
             : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    ret_named->limit = (size_t)limit;
    take_values(ret_named, request);
    return take_cursor(ret_named, request, err);
}

/* ---- the page's end ---- */

static bool is_same_order(const struct cairn_named *named, const struct cairn_pg_result *rows,
                          size_t a, size_t b)
{
    for (size_t i = 0; i < named->query->order_count; i++) {
        struct cairn_slice one = cairn_pg_result_value(rows, a, CAIRN_NAMED_ORDER + i);
        struct cairn_slice other = cairn_pg_result_value(rows, b, CAIRN_NAMED_ORDER + i);
        bool same = one.data == NULL || other.data == NULL ? one.data == other.data
                                                           : cairn_slice_equal(one, other);
        if (!same) {
            return false;
        }
    }
    return true;
}

static enum cairn_rc make_payload(const struct cairn_named *named,
                                  const struct cairn_pg_result *rows, size_t last,
                                  struct cairn_buf *out)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < named->query->order_count; i++) {
        struct cairn_slice value = cairn_pg_result_value(rows, last, CAIRN_NAMED_ORDER + i);
        rc = cairn_buf_append_str(out, i == 0 ? "[" : ",");
        if (rc == CAIRN_OK) {
            rc = value.data == NULL ? cairn_buf_append_str(out, "null")
                                    : cairn_json_write_string(value, out);
        }
    }
    return rc == CAIRN_OK ? cairn_buf_append_str(out, "]") : rc;
}

static enum cairn_rc make_next(const struct cairn_named *named, const struct cairn_pg_result *rows,
                               size_t last, struct cairn_arena *arena, struct cairn_slice *ret_next,
                               struct cairn_err *err)
{
    struct cairn_buf payload = {.max = CAIRN_SEAL_PAYLOAD_MAX};
    enum cairn_rc rc = make_payload(named, rows, last, &payload);
    if (rc == CAIRN_OK) {
        rc = cairn_seal_write(identity(named->query), cairn_buf_slice(&payload), arena, ret_next);
    }
    cairn_buf_fini(&payload);
    if (rc == CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "the values that row %zu is ordered by are too long to go on from", last);
    }
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "the end of a page");
}

enum cairn_rc cairn_named_cut(const struct cairn_named *named, const struct cairn_pg_result *rows,
                              struct cairn_arena *arena, size_t *ret_count,
                              struct cairn_slice *ret_next, struct cairn_err *err)
{
    size_t count = cairn_pg_result_rows(rows);
    assert(count <= named->limit + 1);
    *ret_next = CAIRN_SLICE_NONE;
    if (count <= named->limit) {
        *ret_count = count;
        return CAIRN_OK;
    }
    assert(named->query->order_count > 0);
    count = named->limit;
    while (count > 0 && is_same_order(named, rows, count - 1, named->limit)) {
        count--;
    }
    if (count == 0) {
        return CAIRN_FAIL(err, CAIRN_EINTERNAL,
                          "query %.*s: more than %zu rows are equal in its order, so no page can "
                          "end between them: end `-- order:` with columns that tell rows apart",
                          CAIRN_SLICE_ARG(named->query->name), named->limit);
    }
    *ret_count = count;
    return make_next(named, rows, count - 1, arena, ret_next, err);
}
