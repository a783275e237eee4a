/* A page for people on its way out: embedded HTML, and the policy that binds the browser to it.
 *
 * The pages are whole in themselves and run only what carries the answer's nonce, so that data
 * which they show can never become script. thread: any. */
#ifndef CAIRN_SCHEMAS_HTML_H
#define CAIRN_SCHEMAS_HTML_H

#include "platform/bytes.h"
#include "platform/uuid.h"

#define CAIRN_HTML_POLICY_MAX 320

/* Append html to out with every "{{nonce}}" replaced by a fresh one; policy gets the NUL-ended
 * value for the Content-Security-Policy header. errors: ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_html_write(struct cairn_slice html, const struct cairn_random *random, struct cairn_buf *out,
                 char policy[CAIRN_HTML_POLICY_MAX], struct cairn_err *err);

#endif
