/* Lua's patterns, matched by steps that are counted.
 *
 * The library's matcher runs inside one C call, where no hook can stop it, and "a*a*a*b" takes it
 * ages. This one stops at a step limit. The language is that of the manual, chapter 6.4.1, with
 * ASCII classes whatever the locale is. thread: any. */
#ifndef CAIRN_PLATFORM_LUA_PATTERN_H
#define CAIRN_PLATFORM_LUA_PATTERN_H

#include <stdint.h>

#include "platform/bytes.h"

#define CAIRN_PATTERN_CAPTURES_MAX 32

enum cairn_pattern_capture_kind { CAIRN_CAPTURE_OPEN, CAIRN_CAPTURE_TEXT, CAIRN_CAPTURE_POSITION };

struct cairn_pattern_capture {
    enum cairn_pattern_capture_kind kind;
    size_t begin; /* offset in the subject */
    size_t size;  /* of TEXT */
};

struct cairn_pattern_match {
    struct cairn_slice subject;
    struct cairn_slice pattern; /* without an anchor '^' */
    uint64_t steps_left;        /* at 0 the match ends with a fault */
    const char *fault;          /* static text: the pattern is malformed, or too much work; NULL */
    size_t capture_count;
    struct cairn_pattern_capture captures[CAIRN_PATTERN_CAPTURES_MAX];
};

/* Match at exactly this offset of the subject. False: no match, or match->fault is set. On true
 * *ret_end is the offset behind the match and the captures are filled. */
bool cairn_pattern_match_at(struct cairn_pattern_match *match, size_t offset, size_t *ret_end);

#endif
