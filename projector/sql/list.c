#include "projector/sql/list.h"

#include <assert.h>

#include "platform/json.h"
#include "platform/pg_text.h"
#include "projector/view_cursor.h"

#define SQL_BYTES_MAX     ((size_t)256 * 1024)
#define PATTERN_BYTES_MAX ((size_t)64 * 1024)

enum { COLUMN_KEY = 2, COLUMN_DOCUMENT, COLUMN_ORDER };

/* A statement under way. The query's first fault stays, with its text in err. */
struct listing {
    const struct cairn_sql_face *face;
    const struct cairn_view_query *query;
    struct cairn_arena *arena;
    struct cairn_pg_text sql;
    struct cairn_slice values[CAIRN_PG_PARAMS_MAX];
    size_t value_count;
    enum cairn_rc rc;
    struct cairn_err *err;
};

static void fail_memory(struct listing *listing)
{
    if (listing->rc == CAIRN_OK) {
        listing->rc = CAIRN_FAIL(listing->err, CAIRN_ENOMEM, "list view %.*s",
                                 CAIRN_SLICE_ARG(listing->query->view));
    }
}

/* A value as the next parameter. */
static void add_value(struct listing *listing, struct cairn_slice value)
{
    if (listing->rc != CAIRN_OK) {
        return;
    }
    if (listing->value_count == CAIRN_PG_PARAMS_MAX) {
        listing->rc = CAIRN_FAIL(listing->err, CAIRN_EQUERY, "more than %d values in a query",
                                 CAIRN_PG_PARAMS_MAX - 1);
        return;
    }
    listing->values[listing->value_count++] = value;
    cairn_pg_text_add_param(&listing->sql, listing->value_count);
}

/* ---- columns ---- */

static bool is_key(struct cairn_slice name)
{
    return name.size == 0 || cairn_slice_is(name, "key");
}

/* A column of the table by a name that came from outside: only the table's own are let in. */
static size_t find_column(struct listing *listing, struct cairn_slice name)
{
    size_t column = cairn_sql_face_column(listing->face, name);
    if (column == SIZE_MAX && listing->rc == CAIRN_OK) {
        listing->rc = CAIRN_FAIL(listing->err, CAIRN_EQUERY, "the view has no column \"%.*s\"",
                                 name.size > 64 ? 64 : (int)name.size, name.data);
    }
    return column;
}

static void add_column(struct listing *listing, struct cairn_slice name)
{
    const struct cairn_sql_face *face = listing->face;
    if (is_key(name) && face->key_count > 1) {
        cairn_pg_text_add(&listing->sql, face->key_text);
        return;
    }
    size_t column = is_key(name) ? face->keys[0] : find_column(listing, name);
    if (listing->rc == CAIRN_OK) {
        cairn_pg_text_add(&listing->sql, "r.");
        cairn_pg_text_add_name(&listing->sql, face->columns[column].name);
    }
}

/* (r.a, r.b) */
static void add_key_columns(struct listing *listing)
{
    const struct cairn_sql_face *face = listing->face;
    for (size_t i = 0; i < face->key_count; i++) {
        cairn_pg_text_add(&listing->sql, i == 0 ? "(r." : ", r.");
        cairn_pg_text_add_name(&listing->sql, face->columns[face->keys[i]].name);
    }
    cairn_pg_text_add(&listing->sql, ")");
}

/* ($1, $2) */
static void add_key_values(struct listing *listing, const struct cairn_slice *keys)
{
    for (size_t i = 0; i < listing->face->key_count; i++) {
        cairn_pg_text_add(&listing->sql, i == 0 ? "(" : ", ");
        add_value(listing, keys[i]);
    }
    cairn_pg_text_add(&listing->sql, ")");
}

/* ---- conditions ---- */

static void add_filter(struct listing *listing, const struct cairn_view_filter *filter);

/* '*' is any text; what LIKE would take for more than itself is escaped. */
static struct cairn_slice make_pattern(struct listing *listing, struct cairn_slice text)
{
    struct cairn_buf pattern = {.max = PATTERN_BYTES_MAX};
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%' || byte == '_' || byte == '\\') {
            rc = cairn_buf_append_str(&pattern, "\\");
        }
        rc = rc != CAIRN_OK
                 ? rc
                 : cairn_buf_append(&pattern, cairn_slice_of(byte == '*' ? "%" : &text.data[i], 1));
    }
    rc = rc == CAIRN_OK ? cairn_arena_copy(listing->arena, cairn_buf_slice(&pattern), &copy) : rc;
    cairn_buf_fini(&pattern);
    if (rc != CAIRN_OK) {
        fail_memory(listing);
    }
    return copy;
}

static void add_in(struct listing *listing, const struct cairn_view_filter *filter)
{
    struct cairn_buf array = {.max = SQL_BYTES_MAX};
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    enum cairn_rc rc = cairn_pg_array(&array, filter->values, filter->value_count);
    rc = rc == CAIRN_OK ? cairn_arena_copy(listing->arena, cairn_buf_slice(&array), &copy) : rc;
    cairn_buf_fini(&array);
    if (rc != CAIRN_OK) {
        fail_memory(listing);
    }
    add_column(listing, filter->column);
    cairn_pg_text_add(&listing->sql, " = ANY (");
    add_value(listing, copy);
    cairn_pg_text_add(&listing->sql, ")");
}

static void add_is(struct listing *listing, const struct cairn_view_filter *filter)
{
    assert(filter->value_count == 1);
    add_column(listing, filter->column);
    if (cairn_slice_is(filter->values[0], "true")) {
        cairn_pg_text_add(&listing->sql, " IS TRUE");
    } else {
        cairn_pg_text_add(&listing->sql,
                          cairn_slice_is(filter->values[0], "false") ? " IS FALSE" : " IS NULL");
    }
}

static void add_like(struct listing *listing, const struct cairn_view_filter *filter)
{
    assert(filter->value_count == 1);
    add_column(listing, filter->column);
    cairn_pg_text_add(&listing->sql, "::text LIKE ");
    add_value(listing, make_pattern(listing, filter->values[0]));
}

static void add_parts(struct listing *listing, const struct cairn_view_filter *filter)
{
    assert(filter->part_count > 0);
    for (size_t i = 0; i < filter->part_count; i++) {
        cairn_pg_text_add(&listing->sql, i == 0                       ? ""
                                         : filter->op == CAIRN_OP_AND ? " AND "
                                                                      : " OR ");
        add_filter(listing, &filter->parts[i]);
    }
}

static const char *comparison(enum cairn_view_operator op)
{
    switch (op) {
    case CAIRN_OP_EQ:
        return " = ";
    case CAIRN_OP_NEQ:
        return " IS DISTINCT FROM "; /* true of a missing value, as in LMDB */
    case CAIRN_OP_GT:
        return " > ";
    case CAIRN_OP_GTE:
        return " >= ";
    case CAIRN_OP_LT:
        return " < ";
    case CAIRN_OP_LTE:
        return " <= ";
    case CAIRN_OP_IN:
    case CAIRN_OP_LIKE:
    case CAIRN_OP_IS:
    case CAIRN_OP_AND:
    case CAIRN_OP_OR:
        break;
    }
    return NULL;
}

/* A key of several columns is compared column by column, as rows are ordered by it. */
static void add_key_test(struct listing *listing, const struct cairn_view_filter *filter)
{
    const char *sign = comparison(filter->op);
    add_key_columns(listing);
    cairn_pg_text_add(&listing->sql, sign != NULL ? sign : " IN (");
    for (size_t i = 0; i < filter->value_count && listing->rc == CAIRN_OK; i++) {
        struct cairn_slice keys[CAIRN_SQL_VIEW_KEYS_MAX];
        cairn_pg_text_add(&listing->sql, i == 0 ? "" : ", ");
        if (cairn_sql_face_key(listing->face, filter->values[i], listing->arena, keys) ==
            CAIRN_OK) {
            add_key_values(listing, keys);
        } else {
            listing->rc = CAIRN_FAIL(listing->err, CAIRN_EQUERY,
                                     "a key of this view is a JSON list of %zu texts",
                                     listing->face->key_count);
        }
    }
    cairn_pg_text_add(&listing->sql, sign != NULL ? "" : ")");
}

static void add_filter(struct listing *listing, const struct cairn_view_filter *filter)
{
    const char *sign = comparison(filter->op);
    bool of_columns = is_key(filter->column) && listing->face->key_count > 1 &&
                      (sign != NULL || filter->op == CAIRN_OP_IN);
    cairn_pg_text_add(&listing->sql, filter->negated ? "NOT (" : "(");
    if (of_columns) {
        add_key_test(listing, filter);
    } else if (sign != NULL) {
        assert(filter->value_count == 1);
        add_column(listing, filter->column);
        cairn_pg_text_add(&listing->sql, sign);
        add_value(listing, filter->values[0]);
    } else if (filter->op == CAIRN_OP_IN) {
        add_in(listing, filter);
    } else if (filter->op == CAIRN_OP_LIKE) {
        add_like(listing, filter);
    } else if (filter->op == CAIRN_OP_IS) {
        add_is(listing, filter);
    } else {
        add_parts(listing, filter);
    }
    cairn_pg_text_add(&listing->sql, ")");
}

/* ---- where a page begins ---- */

static void add_behind_key(struct listing *listing, const struct cairn_slice *keys)
{
    add_key_columns(listing);
    cairn_pg_text_add(&listing->sql, listing->query->descending ? " < " : " > ");
    add_key_values(listing, keys);
}

/* Behind a row whose ordering column has a value. Null comes last going up, first going down. */
static void add_behind_value(struct listing *listing, struct cairn_slice value,
                             const struct cairn_slice *keys)
{
    struct cairn_slice order = listing->query->order;
    cairn_pg_text_add(&listing->sql, "(");
    add_column(listing, order);
    cairn_pg_text_add(&listing->sql, listing->query->descending ? " < " : " > ");
    add_value(listing, value);
    if (!listing->query->descending) {
        cairn_pg_text_add(&listing->sql, " OR ");
        add_column(listing, order);
        cairn_pg_text_add(&listing->sql, " IS NULL");
    }
    cairn_pg_text_add(&listing->sql, " OR (");
    add_column(listing, order);
    cairn_pg_text_add(&listing->sql, " = ");
    add_value(listing, value);
    cairn_pg_text_add(&listing->sql, " AND ");
    add_behind_key(listing, keys);
    cairn_pg_text_add(&listing->sql, "))");
}

static void add_behind_null(struct listing *listing, const struct cairn_slice *keys)
{
    struct cairn_slice order = listing->query->order;
    cairn_pg_text_add(&listing->sql, "(");
    if (listing->query->descending) {
        add_column(listing, order);
        cairn_pg_text_add(&listing->sql, " IS NOT NULL OR ");
    }
    cairn_pg_text_add(&listing->sql, "(");
    add_column(listing, order);
    cairn_pg_text_add(&listing->sql, " IS NULL AND ");
    add_behind_key(listing, keys);
    cairn_pg_text_add(&listing->sql, "))");
}

/* A cursor's payload is a JSON list: the text of the ordering column, or null, and the row's key.
 */
static bool split_payload(struct listing *listing, struct cairn_slice payload,
                          struct cairn_slice *value, struct cairn_slice *key)
{
    struct cairn_value list;
    struct cairn_err ignored;
    if (cairn_json_read(payload, listing->arena, &list, NULL, &ignored) != CAIRN_OK ||
        list.type != CAIRN_ARRAY || list.count != 2 || list.as.items[1].type != CAIRN_STRING) {
        return false;
    }
    const struct cairn_value *first = &list.as.items[0];
    *value = first->type == CAIRN_STRING ? cairn_value_slice(first) : CAIRN_SLICE_NONE;
    *key = cairn_value_slice(&list.as.items[1]);
    return first->type == CAIRN_STRING || first->type == CAIRN_NULL;
}

static void add_cursor(struct listing *listing)
{
    struct cairn_slice payload = CAIRN_SLICE_NONE;
    struct cairn_slice value;
    struct cairn_slice key;
    struct cairn_slice keys[CAIRN_SQL_VIEW_KEYS_MAX];
    if (listing->rc == CAIRN_OK) {
        listing->rc =
            cairn_view_cursor_open(listing->query, listing->arena, &payload, listing->err);
    }
    if (listing->rc == CAIRN_OK &&
        (!split_payload(listing, payload, &value, &key) ||
         cairn_sql_face_key(listing->face, key, listing->arena, keys) != CAIRN_OK)) {
        listing->rc =
            CAIRN_FAIL(listing->err, CAIRN_EQUERY, "the cursor is no cursor of this query");
    }
    if (listing->rc != CAIRN_OK) {
        return;
    }
    if (is_key(listing->query->order)) {
        add_behind_key(listing, keys);
    } else if (value.data != NULL) {
        add_behind_value(listing, value, keys);
    } else {
        add_behind_null(listing, keys);
    }
}

/* ---- the statement ---- */

static void add_document(struct listing *listing)
{
    const struct cairn_view_query *query = listing->query;
    if (query->select == NULL) {
        cairn_pg_text_add(&listing->sql, "row_to_json(r.*)::text");
        return;
    }
    cairn_pg_text_add(&listing->sql, "(SELECT row_to_json(s.*)::text FROM (SELECT ");
    size_t count = 0;
    for (size_t i = 0; i < query->select_count; i++) {
        size_t column =
            is_key(query->select[i]) ? SIZE_MAX : find_column(listing, query->select[i]);
        if (column != SIZE_MAX && listing->rc == CAIRN_OK) {
            cairn_pg_text_add(&listing->sql, count++ == 0 ? "r." : ", r.");
            cairn_pg_text_add_name(&listing->sql, listing->face->columns[column].name);
        }
    }
    cairn_pg_text_add(&listing->sql, ") s)");
}

static void add_where(struct listing *listing)
{
    const struct cairn_view_query *query = listing->query;
    cairn_pg_text_add(&listing->sql, " r WHERE true");
    for (size_t i = 0; i < query->filter_count; i++) {
        cairn_pg_text_add(&listing->sql, " AND ");
        add_filter(listing, &query->filters[i]);
    }
    if (query->cursor.size > 0) {
        cairn_pg_text_add(&listing->sql, " AND ");
        add_cursor(listing);
    }
}

static void add_order(struct listing *listing)
{
    const struct cairn_sql_face *face = listing->face;
    const char *direction = listing->query->descending ? " DESC" : " ASC";
    cairn_pg_text_add(&listing->sql, " ORDER BY ");
    if (!is_key(listing->query->order)) {
        add_column(listing, listing->query->order);
        cairn_pg_text_add(&listing->sql, direction);
        cairn_pg_text_add(&listing->sql, ", ");
    }
    for (size_t i = 0; i < face->key_count; i++) {
        cairn_pg_text_add(&listing->sql, i == 0 ? "r." : ", r.");
        cairn_pg_text_add_name(&listing->sql, face->columns[face->keys[i]].name);
        cairn_pg_text_add(&listing->sql, direction);
    }
}

/* The rows are numbered, so that the order is the page's and not the planner's. */
static void add_statement(struct listing *listing)
{
    cairn_pg_text_add(
        &listing->sql,
        "SELECT v.position, v.generation, t.key, t.document, t.place FROM _cairn_view v "
        "LEFT JOIN LATERAL (SELECT *, row_number() OVER () AS n FROM (SELECT ");
    cairn_pg_text_add(&listing->sql, listing->face->key_text);
    cairn_pg_text_add(&listing->sql, " AS key, ");
    add_document(listing);
    cairn_pg_text_add(&listing->sql, " AS document, ");
    if (is_key(listing->query->order)) {
        cairn_pg_text_add(&listing->sql, "NULL::text");
    } else {
        add_column(listing, listing->query->order);
        cairn_pg_text_add(&listing->sql, "::text");
    }
    /* Rows are chosen first: a sort would make a document of each row that is below the limit. */
    cairn_pg_text_add(&listing->sql, " AS place FROM (SELECT * FROM ");
    cairn_pg_text_add(&listing->sql, listing->face->table);
    add_where(listing);
    add_order(listing);
    cairn_pg_text_add(&listing->sql, " LIMIT ");
    cairn_pg_text_add_number(&listing->sql, listing->query->limit + 1);
    cairn_pg_text_add(&listing->sql, ") r) p) t ON true WHERE v.view = ");
    add_value(listing, listing->query->view);
    cairn_pg_text_add(&listing->sql, " AND v.side = 'live' ORDER BY t.n");
}

/* A value that its column cannot hold (with a NUL it is refused before it comes to the server), or
 * an operator that it does not have: the query's fault. */
static bool is_query_fault(const char *state, enum cairn_rc rc)
{
    return (rc == CAIRN_EINVAL && state[0] == '\0') || strncmp(state, "22", 2) == 0 ||
           strcmp(state, "42883") == 0 || strcmp(state, "42804") == 0 ||
           strcmp(state, "42846") == 0;
}

enum cairn_rc cairn_sql_list_ask(struct cairn_pg *pg, const struct cairn_sql_face *face,
                                 const struct cairn_view_query *query, struct cairn_arena *arena,
                                 struct cairn_pg_result **ret_rows, struct cairn_err *err)
{
    assert(query->limit >= 1 && query->limit <= CAIRN_VIEW_LIMIT_MAX);
    struct listing listing = {.face = face,
                              .query = query,
                              .arena = arena,
                              .sql = CAIRN_PG_TEXT(SQL_BYTES_MAX),
                              .err = err};
    const char *sql = NULL;
    add_statement(&listing);
    if (cairn_pg_text_end(&listing.sql, &sql) != CAIRN_OK) {
        fail_memory(&listing);
    }
    enum cairn_rc rc = listing.rc;
    if (rc == CAIRN_OK) {
        rc = cairn_pg_query(pg, sql, listing.values, listing.value_count, ret_rows, err);
        if (rc != CAIRN_OK && is_query_fault(cairn_pg_sqlstate(pg), rc)) {
            err->rc = CAIRN_EQUERY;
            rc = CAIRN_EQUERY;
        }
    }
    cairn_pg_text_fini(&listing.sql);
    return rc;
}

/* ---- the page ---- */

static enum cairn_rc make_payload(struct cairn_slice value, struct cairn_slice key,
                                  struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_append_str(out, "[");
    if (rc == CAIRN_OK) {
        rc = value.data == NULL ? cairn_buf_append_str(out, "null")
                                : cairn_json_write_string(value, out);
    }
    rc = rc == CAIRN_OK ? cairn_buf_append_str(out, ",") : rc;
    rc = rc == CAIRN_OK ? cairn_json_write_string(key, out) : rc;
    return rc == CAIRN_OK ? cairn_buf_append_str(out, "]") : rc;
}

/* A value so long that no cursor holds it would end the pages early and unseen. */
static enum cairn_rc make_next(const struct cairn_view_query *query,
                               const struct cairn_pg_result *rows, size_t last,
                               struct cairn_arena *arena, struct cairn_slice *ret_next,
                               struct cairn_err *err)
{
    struct cairn_buf payload = {.max = CAIRN_VIEW_PAYLOAD_MAX};
    enum cairn_rc rc = make_payload(cairn_pg_result_value(rows, last, COLUMN_ORDER),
                                    cairn_pg_result_value(rows, last, COLUMN_KEY), &payload);
    if (rc == CAIRN_OK) {
        rc = cairn_view_cursor_seal(query, cairn_buf_slice(&payload), arena, ret_next);
    }
    cairn_buf_fini(&payload);
    if (rc == CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "a value of \"%.*s\" is too long to go on from: order by another column",
                          CAIRN_SLICE_ARG(query->order));
    }
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "a page of a view");
}

enum cairn_rc cairn_sql_list_take(const struct cairn_sql_face *face,
                                  const struct cairn_view_query *query,
                                  const struct cairn_pg_result *rows, struct cairn_arena *arena,
                                  struct cairn_view_page *page, struct cairn_err *err)
{
    size_t count = cairn_pg_result_rows(rows);
    assert(face->key_count > 0 && count > 0);
    if (cairn_pg_result_value(rows, 0, COLUMN_KEY).data == NULL) {
        count = 0;
    }
    bool more = count > query->limit;
    count = more ? query->limit : count;
    page->rows = cairn_arena_zalloc(arena, count + 1, sizeof(*page->rows));
    page->count = count;
    page->next = CAIRN_SLICE_NONE;
    enum cairn_rc rc =
        page->rows == NULL ? CAIRN_FAIL(err, CAIRN_ENOMEM, "a page of a view") : CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc =
            cairn_arena_copy(arena, cairn_pg_result_value(rows, i, COLUMN_KEY), &page->rows[i].key);
        rc = rc == CAIRN_OK
                 ? cairn_sql_face_document(cairn_pg_result_value(rows, i, COLUMN_DOCUMENT), arena,
                                           &page->rows[i].document, err)
                 : CAIRN_FAIL(err, rc, "a page of a view");
    }
    return rc == CAIRN_OK && more ? make_next(query, rows, count - 1, arena, &page->next, err) : rc;
}
