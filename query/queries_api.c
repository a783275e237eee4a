/* GET /queries/{name}: a named SQL query of the domain. They run in PostgreSQL only, so on the
 * embedded log there is nothing to run them in, and the answer says which of the two it is: no such
 * query, or no PostgreSQL. */
#include <assert.h>

#include "query/reply.h"

static bool is_defined(const struct cairn_domain *domain, struct cairn_slice name)
{
    for (size_t i = 0; i < cairn_domain_query_count(domain); i++) {
        if (cairn_slice_equal(cairn_domain_query_at(domain, i)->name, name)) {
            return true;
        }
    }
    return false;
}

void cairn_query_named(void *self, struct cairn_http_request *request,
                       struct cairn_http_response *response)
{
    const struct cairn_query_api *api = self;
    struct cairn_err err;
    assert(request->capture_count == 1);
    struct cairn_slice name = request->captures[0];
    if (is_defined(api->options.domain, name)) {
        (void)CAIRN_FAIL(&err, CAIRN_EUNSUPPORTED,
                         "the query \"%.*s\" is in SQL, which this version does not serve",
                         CAIRN_SLICE_ARG(name));
    } else {
        (void)CAIRN_FAIL(&err, CAIRN_ENOENT, "there is no query \"%.*s\"", CAIRN_SLICE_ARG(name));
    }
    cairn_reply_fail(request, response, &err);
}
