/* The pattern of like: '*' is any text, none too; every other byte is itself. thread: any. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_PATTERN_H
#define CAIRN_PROJECTOR_LMDB_VIEW_PATTERN_H

#include "platform/bytes.h"

/* Does the whole of text match? cost: in proportion to text for each '*' of the pattern. */
bool cairn_view_pattern_match(struct cairn_slice pattern, struct cairn_slice text);
/* What every text that matches begins with: the pattern up to its first '*'. */
struct cairn_slice cairn_view_pattern_prefix(struct cairn_slice pattern);

#endif
