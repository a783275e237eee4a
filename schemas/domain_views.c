/* The folders views/ and queries/. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/domain_int.h"
#include "schemas/domain_script.h"

/* The file name without its ending; a fault when that is no name. Data NULL then. */
static enum cairn_rc take_stem(struct cairn_domain_load *load, const char *folder, const char *name,
                               const char *ending, struct cairn_slice *ret_stem)
{
    struct cairn_slice stem = cairn_slice_of(name, strlen(name) - strlen(ending));
    *ret_stem = CAIRN_SLICE_NONE;
    if (!cairn_aggregate_is_valid(stem)) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%s/%s: the file's name must be lower case letters, digits and "
                                  "'_', and begin with a letter",
                                  folder, name);
    }
    *ret_stem = stem;
    return CAIRN_OK;
}

static enum cairn_rc view_fault(struct cairn_domain_load *load,
                                const struct cairn_domain_view *view, const char *why)
{
    return cairn_domain_fault(load, CAIRN_EINVAL, "%.*s: %s", CAIRN_SLICE_ARG(view->script_name),
                              why);
}

/* ---- what a Lua view declares ---- */

static enum cairn_rc check_version(struct cairn_domain_load *load, struct cairn_lua *lua,
                                   const struct cairn_domain_view *view)
{
    const struct cairn_script_path path = {"views", view->name, NULL};
    struct cairn_value version;
    enum cairn_rc rc = cairn_script_value(lua, &path, "version", &load->domain->arena, &version);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, rc, "a view");
    }
    return rc == CAIRN_OK && version.type == CAIRN_INT && version.as.integer >= 1
               ? CAIRN_OK
               : view_fault(load, view, "version must be an integer from 1");
}

static bool is_index_name(const struct cairn_value *list, uint32_t index)
{
    const struct cairn_value *name = &list->as.items[index];
    if (name->type != CAIRN_STRING || !cairn_aggregate_is_valid(cairn_value_slice(name)) ||
        cairn_slice_is(cairn_value_slice(name), "key")) {
        return false;
    }
    for (uint32_t i = 0; i < index; i++) {
        if (cairn_value_equal(&list->as.items[i], name)) {
            return false;
        }
    }
    return true;
}

static enum cairn_rc check_indexes(struct cairn_domain_load *load, struct cairn_lua *lua,
                                   const struct cairn_domain_view *view)
{
    const struct cairn_script_path path = {"views", view->name, NULL};
    struct cairn_value list;
    enum cairn_rc rc = cairn_script_value(lua, &path, "indexes", &load->domain->arena, &list);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, rc, "a view");
    }
    bool empty = rc == CAIRN_OK && list.type == CAIRN_MAP && list.count == 0;
    if (rc != CAIRN_OK || (list.type != CAIRN_ARRAY && !empty)) {
        return view_fault(load, view, "indexes must be a list of names");
    }
    if (list.count > CAIRN_DOMAIN_INDEXES_MAX) {
        return view_fault(load, view, "has more than 16 indexes");
    }
    for (uint32_t i = 0; i < list.count && list.type == CAIRN_ARRAY; i++) {
        if (!is_index_name(&list, i)) {
            return view_fault(load, view,
                              "indexes: each must be a name (lower case letters, digits and '_', "
                              "not \"key\"), and there once");
        }
    }
    return CAIRN_OK;
}

/* The line of the script where a name stands first; 0: nowhere. */
static unsigned line_of(struct cairn_slice script, const char *name)
{
    size_t size = strlen(name);
    unsigned line = 1;
    for (size_t i = 0; i + size <= script.size; i++) {
        if (memcmp(script.data + i, name, size) == 0) {
            return line;
        }
        line += script.data[i] == '\n';
    }
    return 0;
}

static enum cairn_rc check_on_error(struct cairn_domain_load *load, struct cairn_lua *lua,
                                    const struct cairn_domain_view *view)
{
    const struct cairn_script_path path = {"views", view->name, NULL};
    struct cairn_value answer;
    enum cairn_rc rc = cairn_script_value(lua, &path, "on_error", &load->domain->arena, &answer);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, rc, "a view");
    }
    struct cairn_slice text = rc == CAIRN_OK && answer.type == CAIRN_STRING
                                  ? cairn_value_slice(&answer)
                                  : CAIRN_SLICE_NONE;
    if (rc == CAIRN_ENOENT || cairn_slice_is(text, "stop") || cairn_slice_is(text, "park")) {
        return CAIRN_OK;
    }
    unsigned line = line_of(view->script, "on_error");
    return line == 0 ? view_fault(load, view, "on_error must be \"stop\" or \"park\"")
                     : cairn_domain_fault(load, CAIRN_EINVAL,
                                          "%.*s:%u: on_error must be \"stop\" or \"park\"",
                                          CAIRN_SLICE_ARG(view->script_name), line);
}

static enum cairn_rc check_handlers(struct cairn_domain_load *load, struct cairn_lua *lua,
                                    const struct cairn_domain_view *view)
{
    const struct cairn_script_path path = {"views", view->name, "on"};
    struct cairn_slice *names = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_script_members(lua, &path, &load->domain->arena, &names, &count);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, rc, "a view");
    }
    if (rc != CAIRN_OK || count == 0) {
        return view_fault(load, view, "on: handles no event");
    }
    rc = CAIRN_OK;
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        const char *why = NULL;
        if (cairn_domain_event(load->domain, names[i]) == NULL) {
            why = "there is no schemas/events file of that name";
        } else if (!cairn_script_is_function(lua, &path, names[i])) {
            why = "must be a function";
        }
        if (why != NULL) {
            rc = cairn_domain_fault(load, CAIRN_EINVAL, "%.*s: on.%.*s: %s",
                                    CAIRN_SLICE_ARG(view->script_name), CAIRN_SLICE_ARG(names[i]),
                                    why);
        }
    }
    return rc;
}

static enum cairn_rc check_made(struct cairn_domain_load *load, struct cairn_lua *lua,
                                const struct cairn_domain_view *view, bool *ret_made)
{
    const struct cairn_script_path path = {.kind = "views"};
    struct cairn_slice *names = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_script_members(lua, &path, &load->domain->arena, &names, &count);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(load->err, rc, "a view");
    }
    *ret_made = count == 1 && cairn_slice_equal(names[0], view->name);
    return *ret_made ? CAIRN_OK
                     : cairn_domain_fault(
                           load, CAIRN_EINVAL, "%.*s: must call view \"%.*s\", and no other",
                           CAIRN_SLICE_ARG(view->script_name), CAIRN_SLICE_ARG(view->name));
}

static enum cairn_rc check_lua(struct cairn_domain_load *load, const struct cairn_domain_view *view)
{
    static enum cairn_rc (*const checks[])(struct cairn_domain_load *, struct cairn_lua *,
                                           const struct cairn_domain_view *) = {
        check_version, check_indexes, check_on_error, check_handlers};
    struct cairn_lua *lua = NULL;
    struct cairn_err why;
    bool made = false;
    enum cairn_rc rc = cairn_domain_host_new(view->script_name, view->script, NULL, &lua, &why);
    if (rc == CAIRN_ESCRIPT) {
        return cairn_domain_fault(load, rc, "%s", why.text);
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(load->err, rc, "%s", why.text);
    }
    rc = check_made(load, lua, view, &made);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && rc == CAIRN_OK && made; i++) {
        rc = checks[i](load, lua, view);
    }
    cairn_lua_free(lua);
    return rc;
}

/* ---- the folders ---- */

static enum cairn_rc hash_view(struct cairn_domain_load *load, struct cairn_domain_view *view)
{
    const struct cairn_slice texts[] = {
        view->script,
        cairn_script_prelude(),
        {(const char *)load->domain->schemas_hash, sizeof(load->domain->schemas_hash)},
    };
    return cairn_domain_hash(texts, sizeof(texts) / sizeof(texts[0]), view->code_hash, load->err);
}

static enum cairn_rc take_view(struct cairn_domain_load *load, const char *name, const char *ending,
                               enum cairn_view_kind kind)
{
    struct cairn_domain *domain = load->domain;
    struct cairn_domain_view view = {.kind = kind};
    enum cairn_rc rc = take_stem(load, "views", name, ending, &view.name);
    if (rc != CAIRN_OK || view.name.data == NULL) {
        return rc;
    }
    const char *path = cairn_arena_printf(&domain->arena, "views/%s", name);
    if (path == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a view");
    }
    view.script_name = cairn_slice_str(path);
    rc = cairn_domain_read(load, path, &view.script);
    if (rc != CAIRN_OK || view.script.data == NULL) {
        return rc;
    }
    rc = kind == CAIRN_VIEW_LMDB ? check_lua(load, &view) : cairn_domain_take_sql_view(load, &view);
    if (rc == CAIRN_OK && kind == CAIRN_VIEW_LMDB) {
        rc = hash_view(load, &view);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_domain_view *place =
        cairn_domain_grow(domain, &domain->views, domain->view_count, sizeof(*place));
    if (place == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a view");
    }
    *place = view;
    domain->view_count++;
    return CAIRN_OK;
}

static int order_views(const void *a, const void *b)
{
    const struct cairn_domain_view *left = a;
    const struct cairn_domain_view *right = b;
    return cairn_slice_compare(left->name, right->name);
}

static enum cairn_rc load_view_files(struct cairn_domain_load *load)
{
    static const struct {
        const char *ending;
        enum cairn_view_kind kind;
    } kinds[] = {{".lua", CAIRN_VIEW_LMDB}, {".sql", CAIRN_VIEW_POSTGRES}};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        const char **names;
        size_t count;
        enum cairn_rc rc = cairn_domain_list(load, "views", kinds[k].ending, &names, &count);
        for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
            rc = take_view(load, names[i], kinds[k].ending, kinds[k].kind);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc check_view_names(struct cairn_domain_load *load)
{
    const struct cairn_domain *domain = load->domain;
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 1; i < domain->view_count && rc == CAIRN_OK; i++) {
        if (cairn_slice_equal(domain->views[i - 1].name, domain->views[i].name)) {
            rc = cairn_domain_fault(load, CAIRN_EEXIST, "views/%.*s: there in Lua and in SQL",
                                    CAIRN_SLICE_ARG(domain->views[i].name));
        }
    }
    return rc;
}

static enum cairn_rc load_queries(struct cairn_domain_load *load)
{
    struct cairn_domain *domain = load->domain;
    const char **names;
    size_t count;
    enum cairn_rc rc = cairn_domain_list(load, "queries", ".sql", &names, &count);
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        struct cairn_domain_query query = {0};
        char path[CAIRN_PATH_MAX];
        (void)snprintf(path, sizeof(path), "queries/%s", names[i]);
        rc = take_stem(load, "queries", names[i], ".sql", &query.name);
        if (rc == CAIRN_OK && query.name.data != NULL) {
            rc = cairn_domain_read(load, path, &query.text);
        }
        if (rc == CAIRN_OK && query.text.data != NULL) {
            rc = cairn_domain_take_sql_query(load, path, &query);
        }
        if (rc != CAIRN_OK || query.sql == NULL) {
            continue;
        }
        struct cairn_domain_query *place =
            cairn_domain_grow(domain, &domain->queries, domain->query_count, sizeof(*place));
        if (place == NULL) {
            return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a query");
        }
        *place = query;
        domain->query_count++;
    }
    return rc;
}

enum cairn_rc cairn_domain_load_views(struct cairn_domain_load *load)
{
    struct cairn_domain *domain = load->domain;
    enum cairn_rc rc = load_view_files(load);
    if (rc == CAIRN_OK && domain->view_count > 0) {
        qsort(domain->views, domain->view_count, sizeof(*domain->views), order_views);
        rc = check_view_names(load);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_domain_check_sql_tables(load);
    }
    return rc == CAIRN_OK ? load_queries(load) : rc;
}
