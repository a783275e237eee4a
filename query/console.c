/* GET /: the console, one page. */
#include <assert.h>

#include "query/reply.h"
#include "schemas/html.h"

extern const unsigned char cairn_console_html[];
extern const unsigned int cairn_console_html_size;

void cairn_query_console(void *self, struct cairn_http_request *request,
                         struct cairn_http_response *response)
{
    assert(self != NULL);
    struct cairn_err err;
    char policy[CAIRN_HTML_POLICY_MAX];
    struct cairn_slice page =
        cairn_slice_of((const char *)cairn_console_html, cairn_console_html_size);
    enum cairn_rc rc = cairn_html_write(page, cairn_random_system(), &response->body, policy, &err);
    if (rc != CAIRN_OK) {
        cairn_reply_fail(request, response, &err);
        return;
    }
    response->content_type = "text/html; charset=utf-8";
    cairn_http_header_add(response, "Content-Security-Policy", cairn_slice_str(policy));
    cairn_http_header_add(response, "Cache-Control", CAIRN_SLICE_LIT("no-store"));
    cairn_http_header_add(response, "X-Content-Type-Options", CAIRN_SLICE_LIT("nosniff"));
    cairn_http_header_add(response, "Referrer-Policy", CAIRN_SLICE_LIT("no-referrer"));
}
