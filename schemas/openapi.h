/* OpenAPI 3.1 of a domain: what the process in hand serves, for programs and for /docs.
 *
 * The part that is the same for every domain is schemas/openapi.json; the commands, their schemas,
 * the events and the names of the views come from the catalogue. */
#ifndef CAIRN_SCHEMAS_OPENAPI_H
#define CAIRN_SCHEMAS_OPENAPI_H

#include "schemas/domain.h"

/* Bits: which roles the process has. /health, /metrics, /openapi.json and /docs are always there.
 */
enum cairn_openapi_role { CAIRN_OPENAPI_COMMAND = 1, CAIRN_OPENAPI_QUERY = 2 };

#define CAIRN_OPENAPI_BYTES_MAX (64u * 1024u * 1024u) /* of the document and of the work on it */

/* Append the document as JSON. errors: EMALFORMED (a schema's text is no JSON), ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_openapi_write(const struct cairn_domain *domain,
                                                   unsigned roles, struct cairn_buf *out,
                                                   struct cairn_err *err);
/* The page that shows /openapi.json to people, for cairn_html_write. Static. */
struct cairn_slice cairn_openapi_page(void);

#endif
