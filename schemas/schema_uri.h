/* URI references as schemas use them: resolved against a base (RFC 3986, section 5). For the files
 * of this folder. */
#ifndef CAIRN_SCHEMAS_SCHEMA_URI_H
#define CAIRN_SCHEMAS_SCHEMA_URI_H

#include "platform/arena.h"

/* reference against base (absolute), without its fragment, in arena. The fragment, percent-decoded,
 * goes to ret_fragment: data NULL when there is none. errors: EINVAL (a bad percent sequence),
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_uri_resolve(struct cairn_slice base,
                                                        struct cairn_slice reference,
                                                        struct cairn_arena *arena,
                                                        struct cairn_slice *ret_uri,
                                                        struct cairn_slice *ret_fragment);
/* Has it a scheme? */
bool cairn_schema_uri_is_absolute(struct cairn_slice uri);

#endif
