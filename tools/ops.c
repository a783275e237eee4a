#include "tools/ops.h"

#include <assert.h>
#include <sys/statvfs.h>

#include "schemas/html.h"
#include "schemas/openapi.h"
#include "tools/node.h"

static void append(struct cairn_http_response *response, struct cairn_slice text)
{
    if (cairn_buf_append(&response->body, text) != CAIRN_OK) {
        response->status = 500;
        cairn_buf_truncate(&response->body, 0);
    }
}

static void get_live(void *self, struct cairn_http_request *request,
                     struct cairn_http_response *response)
{
    (void)self;
    (void)request;
    response->content_type = "application/json";
    append(response, CAIRN_SLICE_LIT("{\"status\":\"live\"}"));
}

/* A full disk refuses commands until there is room again. False too where the system does not tell.
 */
static bool disk_is_full(const char *folder)
{
    struct statvfs info;
    return statvfs(folder, &info) == 0 && info.f_bavail < CAIRN_OPS_FREE_BYTES_MIN / info.f_frsize;
}

/* What keeps a process of these roles from its work; OK: nothing. */
static enum cairn_rc look_for_trouble(const struct cairn_ops *ops, struct cairn_err *err)
{
    const struct cairn_ops_options *options = &ops->options;
    if ((options->roles & (CAIRN_ROLE_COMMAND | CAIRN_ROLE_PROJECTOR)) == 0) {
        return CAIRN_OK;
    }
    if (cairn_store_stopped(options->store, err)) {
        return cairn_err_wrap(err, CAIRN_ESTOPPED,
                              "the log takes no more events; restart the process");
    }
    if ((options->roles & CAIRN_ROLE_COMMAND) != 0 && disk_is_full(options->data_folder)) {
        return CAIRN_FAIL(err, CAIRN_EFULL, "%s has no room; commands are refused until it has",
                          options->data_folder);
    }
    return cairn_store_reachable(options->store, err);
}

/* Ready is: would a command or a query to this process be carried out, and is what its projector
 * shows not left behind? */
static void get_ready(void *self, struct cairn_http_request *request,
                      struct cairn_http_response *response)
{
    struct cairn_err err = {.rc = CAIRN_OK};
    if (look_for_trouble(self, &err) != CAIRN_OK) {
        cairn_http_problem(response, &err, NULL, request);
        return;
    }
    response->content_type = "application/json";
    append(response, CAIRN_SLICE_LIT("{\"status\":\"ready\"}"));
}

static void get_metrics(void *self, struct cairn_http_request *request,
                        struct cairn_http_response *response)
{
    struct cairn_ops *ops = self;
    enum cairn_rc rc = cairn_metrics_render(ops->options.metrics, &response->body);
    if (rc != CAIRN_OK) {
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, rc, "cannot render the metrics");
        cairn_http_problem(response, &err, NULL, request);
        return;
    }
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

static void get_openapi(void *self, struct cairn_http_request *request,
                        struct cairn_http_response *response)
{
    struct cairn_ops *ops = self;
    (void)request;
    response->content_type = "application/json";
    append(response, cairn_buf_slice(&ops->openapi));
}

static void get_docs(void *self, struct cairn_http_request *request,
                     struct cairn_http_response *response)
{
    (void)self;
    char policy[CAIRN_HTML_POLICY_MAX];
    struct cairn_err err = {.rc = CAIRN_OK};
    enum cairn_rc rc = cairn_html_write(cairn_openapi_page(), cairn_random_system(),
                                        &response->body, policy, &err);
    if (rc != CAIRN_OK) {
        cairn_http_problem(response, &err, NULL, request);
        return;
    }
    response->content_type = "text/html; charset=utf-8";
    cairn_http_header_add(response, "Content-Security-Policy", cairn_slice_str(policy));
}

static void add(struct cairn_ops *ops, const char *pattern, cairn_http_handler_fn handler)
{
    assert(ops->route_count < sizeof(ops->routes) / sizeof(ops->routes[0]));
    ops->routes[ops->route_count++] = (struct cairn_http_route){
        .method = "GET", .pattern = pattern, .handler = handler, .self = ops};
}

enum cairn_rc cairn_ops_init(struct cairn_ops *ops, const struct cairn_ops_options *options,
                             struct cairn_err *err)
{
    *ops = (struct cairn_ops){.options = *options, .openapi = {.max = CAIRN_OPENAPI_BYTES_MAX}};
    add(ops, "/health/live", get_live);
    add(ops, "/health/ready", get_ready);
    add(ops, "/metrics", get_metrics);
    add(ops, "/openapi.json", get_openapi);
    add(ops, "/docs", get_docs);
    unsigned parts = 0;
    parts |= (ops->options.roles & CAIRN_ROLE_COMMAND) != 0 ? CAIRN_OPENAPI_COMMAND : 0;
    parts |= (ops->options.roles & CAIRN_ROLE_QUERY) != 0 ? CAIRN_OPENAPI_QUERY : 0;
    return cairn_openapi_write(ops->options.domain, parts, &ops->openapi, err);
}

void cairn_ops_fini(struct cairn_ops *ops)
{
    cairn_buf_fini(&ops->openapi);
}
