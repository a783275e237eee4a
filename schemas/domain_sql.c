/* What a domain's SQL files must agree on with the rest of the folder. */
#include <assert.h>

#include "platform/json.h"
#include "schemas/domain_int.h"
#include "schemas/sql_query.h"
#include "schemas/sql_view.h"

#define REFS_MAX 16 /* followed from one schema to the next */

/* A view in SQL being checked. */
struct check {
    struct cairn_domain_load *load;
    const struct cairn_domain_view *view;
    const struct cairn_sql_view *sql;
};

/* "line 3: why" of a file becomes "views/x.sql:3: why". */
static enum cairn_rc file_fault(struct cairn_domain_load *load, struct cairn_slice file,
                                const struct cairn_err *why)
{
    struct cairn_slice text = cairn_slice_str(why->text);
    struct cairn_slice line = CAIRN_SLICE_LIT("line ");
    if (why->rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, why->rc, "%.*s: %s", CAIRN_SLICE_ARG(file), why->text);
    }
    assert(cairn_slice_starts(text, line));
    return cairn_domain_fault(load, why->rc, "%.*s:%s", CAIRN_SLICE_ARG(file),
                              why->text + line.size);
}

/* ---- may an event have a member? ---- */

/* {"$ref": "#/$defs/name"}: the schema meant; any other reference: NULL. */
static const struct cairn_value *follow(const struct cairn_value *root,
                                        const struct cairn_value *schema)
{
    const struct cairn_slice start = CAIRN_SLICE_LIT("#/$defs/");
    const struct cairn_value *definitions = cairn_value_at(root, "$defs");
    struct cairn_slice reference = cairn_value_get_string(schema, "$ref");
    if (definitions == NULL || definitions->type != CAIRN_MAP ||
        !cairn_slice_starts(reference, start)) {
        return NULL;
    }
    return cairn_value_get(
        definitions, cairn_slice_of(reference.data + start.size, reference.size - start.size));
}

/* The schema that says which members there are; NULL: none does. */
static const struct cairn_value *resolve(const struct cairn_value *root,
                                         const struct cairn_value *schema)
{
    for (size_t i = 0; i < REFS_MAX && schema != NULL && schema->type == CAIRN_MAP; i++) {
        if (cairn_value_at(schema, "$ref") == NULL ||
            cairn_value_at(schema, "properties") != NULL) {
            return schema;
        }
        schema = follow(root, schema);
    }
    return NULL;
}

static bool is_closed(const struct cairn_value *schema)
{
    const struct cairn_value *more = cairn_value_at(schema, "additionalProperties");
    return more != NULL && more->type == CAIRN_BOOL && !more->as.boolean &&
           cairn_value_at(schema, "patternProperties") == NULL;
}

/* Does a schema leave room for the member at path, names by dots? Only what it says with
 * `properties` and `additionalProperties: false` shuts one out. */
static bool may_have(const struct cairn_value *root, struct cairn_slice path)
{
    const struct cairn_value *schema = resolve(root, root);
    while (schema != NULL && path.size > 0) {
        size_t dot = cairn_slice_find(path, '.');
        const struct cairn_value *members = cairn_value_at(schema, "properties");
        const struct cairn_value *member =
            members == NULL || members->type != CAIRN_MAP
                ? NULL
                : cairn_value_get(members, cairn_slice_of(path.data, dot));
        if (member == NULL) {
            return !is_closed(schema);
        }
        size_t used = dot < path.size ? dot + 1 : dot;
        path = cairn_slice_of(path.data + used, path.size - used);
        schema = resolve(root, member);
    }
    return true;
}

/* ---- a view ---- */

static enum cairn_rc check_params(const struct check *check,
                                  const struct cairn_sql_statement *statement,
                                  struct cairn_slice type, const struct cairn_value *schema)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < statement->param_count && rc == CAIRN_OK; i++) {
        struct cairn_slice name = statement->params[i];
        if (cairn_sql_origin(name) == CAIRN_SQL_FROM_MEMBER && !may_have(schema, name)) {
            rc = cairn_domain_fault(
                check->load, CAIRN_EINVAL, "%.*s:%u: :%.*s: the schema of %.*s has no such member",
                CAIRN_SLICE_ARG(check->view->script_name), cairn_sql_param_line(statement, name),
                CAIRN_SLICE_ARG(name), CAIRN_SLICE_ARG(type));
        }
    }
    return rc;
}

static enum cairn_rc check_type(const struct check *check, const struct cairn_sql_handler *handler,
                                struct cairn_slice type)
{
    const struct cairn_domain_event *event = cairn_domain_event(check->load->domain, type);
    struct cairn_arena arena = {.max = CAIRN_DOMAIN_BYTES_MAX};
    struct cairn_value schema;
    if (event == NULL) {
        return cairn_domain_fault(check->load, CAIRN_EINVAL,
                                  "%.*s:%u: on: %.*s: there is no schemas/events file of that name",
                                  CAIRN_SLICE_ARG(check->view->script_name), handler->line,
                                  CAIRN_SLICE_ARG(type));
    }
    /* A schema that is no JSON was told of when it was loaded. */
    enum cairn_rc rc = cairn_json_read(event->schema_text, &arena, &schema, NULL, check->load->err);
    for (size_t i = 0; i < handler->statement_count && rc == CAIRN_OK; i++) {
        rc = check_params(check, &handler->statements[i], type, &schema);
    }
    cairn_arena_fini(&arena);
    return rc == CAIRN_EMALFORMED ? CAIRN_OK : rc;
}

static size_t count_types(const struct cairn_sql_view *sql)
{
    size_t count = 0;
    for (size_t i = 0; i < sql->handler_count; i++) {
        count += sql->handlers[i].type_count;
    }
    return count;
}

/* Of the text and of the schemas that say what its parameters are. */
static enum cairn_rc hash_view(struct cairn_domain_load *load, struct cairn_domain_view *view)
{
    size_t room = 1 + (view->sql == NULL ? 0 : 2 * count_types(view->sql));
    struct cairn_slice *parts = cairn_arena_zalloc(&load->domain->arena, room, sizeof(*parts));
    if (parts == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a view");
    }
    size_t count = 0;
    parts[count++] = view->script;
    for (size_t i = 0; view->sql != NULL && i < view->sql->handler_count; i++) {
        const struct cairn_sql_handler *handler = &view->sql->handlers[i];
        for (size_t j = 0; j < handler->type_count; j++) {
            const struct cairn_domain_event *event =
                cairn_domain_event(load->domain, handler->types[j]);
            parts[count++] = handler->types[j];
            parts[count++] = event == NULL ? CAIRN_SLICE_NONE : event->schema_text;
        }
    }
    assert(count == room);
    return cairn_domain_hash(parts, count, view->code_hash, load->err);
}

static enum cairn_rc check_handlers(const struct check *check)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < check->sql->handler_count && rc == CAIRN_OK; i++) {
        const struct cairn_sql_handler *handler = &check->sql->handlers[i];
        for (size_t j = 0; j < handler->type_count && rc == CAIRN_OK; j++) {
            rc = check_type(check, handler, handler->types[j]);
        }
    }
    return rc;
}

enum cairn_rc cairn_domain_take_sql_view(struct cairn_domain_load *load,
                                         struct cairn_domain_view *view)
{
    struct cairn_arena *arena = &load->domain->arena;
    struct cairn_err why;
    assert(view->kind == CAIRN_VIEW_POSTGRES && view->sql == NULL);
    struct cairn_sql_view *sql = cairn_arena_zalloc(arena, 1, sizeof(*sql));
    if (sql == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a view");
    }
    enum cairn_rc rc = cairn_sql_view_read(view->name, view->script, arena, sql, &why);
    if (rc != CAIRN_OK) {
        return file_fault(load, view->script_name, &why);
    }
    view->sql = sql;
    const struct check check = {.load = load, .view = view, .sql = sql};
    rc = check_handlers(&check);
    return rc == CAIRN_OK ? hash_view(load, view) : rc;
}

/* ---- all views ---- */

static enum cairn_rc check_pair(struct cairn_domain_load *load,
                                const struct cairn_domain_view *view,
                                const struct cairn_domain_view *other)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < view->sql->created_count && rc == CAIRN_OK; i++) {
        const struct cairn_sql_created *table = &view->sql->created[i];
        if (cairn_sql_view_table(other->sql, table->name) != NULL) {
            rc = cairn_domain_fault(
                load, CAIRN_EEXIST, "%.*s:%u: the table %.*s is also created in %.*s",
                CAIRN_SLICE_ARG(view->script_name), table->line, CAIRN_SLICE_ARG(table->name),
                CAIRN_SLICE_ARG(other->script_name));
        }
    }
    return rc;
}

enum cairn_rc cairn_domain_check_sql_tables(struct cairn_domain_load *load)
{
    const struct cairn_domain *domain = load->domain;
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 1; i < domain->view_count && rc == CAIRN_OK; i++) {
        for (size_t j = 0; j < i && rc == CAIRN_OK; j++) {
            if (domain->views[i].sql != NULL && domain->views[j].sql != NULL) {
                rc = check_pair(load, &domain->views[i], &domain->views[j]);
            }
        }
    }
    return rc;
}

/* ---- a query ---- */

enum cairn_rc cairn_domain_take_sql_query(struct cairn_domain_load *load, const char *path,
                                          struct cairn_domain_query *query)
{
    struct cairn_err why;
    struct cairn_sql_query *sql = cairn_arena_zalloc(&load->domain->arena, 1, sizeof(*sql));
    if (sql == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a query");
    }
    enum cairn_rc rc =
        cairn_sql_query_read(query->name, query->text, &load->domain->arena, sql, &why);
    if (rc != CAIRN_OK) {
        return file_fault(load, cairn_slice_str(path), &why);
    }
    query->sql = sql;
    return CAIRN_OK;
}
