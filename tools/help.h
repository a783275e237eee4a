/* What the option table says to people: --help, man pages, the reference page. */
#ifndef CAIRN_TOOLS_HELP_H
#define CAIRN_TOOLS_HELP_H

#include "tools/options.h"

/* `cairn --help`. All append to out: ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_help_overview(struct cairn_buf *out);
/* `cairn VERB --help`. */
CAIRN_MUST_CHECK enum cairn_rc cairn_help_verb(enum cairn_verb verb, struct cairn_buf *out);
/* The man page, section 1, as roff. */
CAIRN_MUST_CHECK enum cairn_rc cairn_help_man(enum cairn_verb verb, struct cairn_buf *out);
/* docs/reference/configuration.md. */
CAIRN_MUST_CHECK enum cairn_rc cairn_help_reference(struct cairn_buf *out);

#endif
