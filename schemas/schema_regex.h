/* Patterns of JSON Schema: regular expressions of ECMA-262 with the u flag, run by PCRE2.
 *
 * The dialects differ; the pattern is translated (\s, '.', '[' in classes, property names) and what
 * ECMA-262 does not know is refused. docs/reference/schemas.md has the list. */
#ifndef CAIRN_SCHEMAS_SCHEMA_REGEX_H
#define CAIRN_SCHEMAS_SCHEMA_REGEX_H

#include "platform/arena.h"

#define CAIRN_REGEX_PATTERN_MAX 4096u   /* bytes */
#define CAIRN_REGEX_MATCH_MAX   200000u /* steps of backtracking before a match is given up */

struct cairn_schema_regex;   /* compiled; thread: any */
struct cairn_schema_matcher; /* scratch of one thread's matches */

/* EINVAL: not a pattern, with the reason and the offset; ENOMEM. Caller frees. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_regex_new(struct cairn_slice pattern,
                                                      struct cairn_schema_regex **ret_regex,
                                                      struct cairn_err *err);
void cairn_schema_regex_free(struct cairn_schema_regex *regex);

/* Does text (valid UTF-8) have a match anywhere? *matcher is NULL at first, is made when needed,
 * serves for every regex and is freed by cairn_schema_matcher_free.
 * errors: EINTERNAL past CAIRN_REGEX_MATCH_MAX, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_schema_regex_match(const struct cairn_schema_regex *regex,
                                                        struct cairn_slice text,
                                                        struct cairn_schema_matcher **matcher,
                                                        bool *ret_matches);
void cairn_schema_matcher_free(struct cairn_schema_matcher *matcher);

/* The pattern as it was written. Lives as long as the regex. */
struct cairn_slice cairn_schema_regex_source(const struct cairn_schema_regex *regex);

/* Is text a pattern as above? For the format "regex". */
bool cairn_schema_regex_is_valid(struct cairn_slice text);

#endif
