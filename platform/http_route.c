/* Routes: a table of patterns, compiled once and walked per request. */
#include <assert.h>
#include <stdlib.h>

#include "platform/http_int.h"
#include "platform/mem.h"

/* "/a/{b}" into steps. */
static enum cairn_rc compile(const struct cairn_http_route *route, struct cairn_http_entry *entry,
                             struct cairn_err *err)
{
    struct cairn_slice rest = cairn_slice_str(route->pattern);
    if (rest.size == 0 || rest.data[0] != '/') {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "route '%s' does not begin with '/'", route->pattern);
    }
    entry->route = route;
    entry->method = cairn_slice_str(route->method);
    entry->step_count = 0;
    while (rest.size > 0) {
        rest = cairn_slice_of(rest.data + 1, rest.size - 1);
        size_t size = cairn_slice_find(rest, '/');
        if (entry->step_count == CAIRN_HTTP_SEGMENTS_MAX) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "route '%s' has more than %d segments",
                              route->pattern, CAIRN_HTTP_SEGMENTS_MAX);
        }
        bool capture = size >= 2 && rest.data[0] == '{' && rest.data[size - 1] == '}';
        entry->steps[entry->step_count].literal =
            capture ? CAIRN_SLICE_NONE : cairn_slice_of(rest.data, size);
        entry->step_count++;
        rest = cairn_slice_of(rest.data + size, rest.size - size);
    }
    assert(entry->step_count >= 1);
    return CAIRN_OK;
}

/* At the first step where two entries differ in kind, the literal goes first. */
static int compare_entries(const void *left, const void *right)
{
    const struct cairn_http_entry *a = left;
    const struct cairn_http_entry *b = right;
    if (a->step_count != b->step_count) {
        return a->step_count < b->step_count ? -1 : 1;
    }
    for (size_t i = 0; i < a->step_count; i++) {
        bool a_capture = a->steps[i].literal.data == NULL;
        bool b_capture = b->steps[i].literal.data == NULL;
        if (a_capture != b_capture) {
            return a_capture ? 1 : -1;
        }
    }
    return a->index < b->index ? -1 : 1;
}

enum cairn_rc cairn_http_router_init(struct cairn_http_router *router,
                                     const struct cairn_http_route *routes, size_t count,
                                     struct cairn_err *err)
{
    assert(routes != NULL || count == 0);
    if (count > CAIRN_HTTP_ROUTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "more than %d routes", CAIRN_HTTP_ROUTES_MAX);
    }
    struct cairn_http_entry *entries = cairn_mem_zalloc(count + 1, sizeof(*entries));
    if (entries == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the routes");
    }
    for (size_t i = 0; i < count; i++) {
        entries[i].index = i;
        enum cairn_rc rc = compile(&routes[i], &entries[i], err);
        if (rc != CAIRN_OK) {
            cairn_mem_free(entries);
            return rc;
        }
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    router->entries = entries;
    router->count = count;
    return CAIRN_OK;
}

void cairn_http_router_fini(struct cairn_http_router *router)
{
    if (router == NULL) {
        return;
    }
    cairn_mem_free(router->entries);
    router->entries = NULL;
    router->count = 0;
}

static bool path_matches(const struct cairn_http_entry *entry, const struct cairn_http_path *path)
{
    if (entry->step_count != path->count) {
        return false;
    }
    for (size_t i = 0; i < path->count; i++) {
        struct cairn_slice literal = entry->steps[i].literal;
        /* A capture takes any segment that is not empty. */
        if (literal.data == NULL ? path->segments[i].size == 0
                                 : !cairn_slice_equal(literal, path->segments[i])) {
            return false;
        }
    }
    return true;
}

/* Add ", METHOD" unless it is there. Where allow is full the rest is left out: Allow is a courtesy.
 */
static void add_method(struct cairn_buf *allow, struct cairn_slice method)
{
    struct cairn_slice rest = cairn_buf_slice(allow);
    while (rest.size > 0) {
        size_t size = cairn_slice_find(rest, ',');
        if (cairn_slice_equal(cairn_slice_trim(cairn_slice_of(rest.data, size)), method)) {
            return;
        }
        size_t skip = size < rest.size ? size + 1 : size;
        rest = cairn_slice_of(rest.data + skip, rest.size - skip);
    }
    size_t before = allow->size;
    if ((before > 0 && cairn_buf_append_str(allow, ", ") != CAIRN_OK) ||
        cairn_buf_append(allow, method) != CAIRN_OK) {
        cairn_buf_truncate(allow, before);
    }
}

static void list_methods(const struct cairn_http_router *router, const struct cairn_http_path *path,
                         struct cairn_buf *allow)
{
    for (size_t i = 0; i < router->count; i++) {
        if (path_matches(&router->entries[i], path)) {
            add_method(allow, router->entries[i].method);
            if (cairn_slice_is(router->entries[i].method, "GET")) {
                add_method(allow, CAIRN_SLICE_LIT("HEAD"));
            }
        }
    }
}

const struct cairn_http_entry *cairn_http_router_find(const struct cairn_http_router *router,
                                                      const struct cairn_http_path *path,
                                                      struct cairn_slice method,
                                                      struct cairn_buf *allow)
{
    assert(path->count >= 1 && path->count <= CAIRN_HTTP_SEGMENTS_MAX);
    if (cairn_slice_is(method, "HEAD")) {
        method = CAIRN_SLICE_LIT("GET");
    }
    for (size_t i = 0; i < router->count; i++) {
        const struct cairn_http_entry *entry = &router->entries[i];
        if (path_matches(entry, path) && cairn_slice_equal(entry->method, method)) {
            return entry;
        }
    }
    list_methods(router, path, allow);
    return NULL;
}
