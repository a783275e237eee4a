/* The annotations of a SQL file: comments `-- name: value` that begin a line, and the statements
 * behind each. For schemas/ alone.
 *
 * Between statements every comment of that form is an annotation, so that a misspelt one is a fault
 * and not a remark; a remark there is written otherwise (`-- Note: ...`). Inside a statement only
 * names that the file may have count, and are a fault: a semicolon is missing. */
#ifndef CAIRN_SCHEMAS_SQL_NOTE_H
#define CAIRN_SCHEMAS_SQL_NOTE_H

#include "schemas/sql_text.h"

#define CAIRN_SQL_NOTES_MAX 256

struct cairn_sql_note {
    struct cairn_slice value; /* trimmed, may be empty; borrowed from the source */
    unsigned line;
    struct cairn_sql_statement *statements; /* up to the next annotation; in arena */
    size_t statement_count;
};

/* An annotation that a file may have. */
struct cairn_sql_note_rule {
    const char *name;
    bool required; /* at least once */
    bool repeats;  /* more than once */
    /* into: what cairn_sql_notes_take was given. Faults begin with "line N: ". */
    enum cairn_rc (*take)(void *into, const struct cairn_sql_note *note, struct cairn_err *err);
};

/* Give each annotation to its rule, in the order of the file. errors: what take says; EINVAL (an
 * unknown, repeated or missing annotation, a statement before the first one), EMALFORMED (no SQL,
 * no UTF-8), ETOOBIG, each with "line N: " in front; ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_notes_take(struct cairn_slice source,
                                                    const struct cairn_sql_note_rule *rules,
                                                    size_t rule_count, void *into,
                                                    struct cairn_arena *arena,
                                                    struct cairn_err *err);

/* The next item of a list by commas, trimmed; *rest is what follows its comma. False: the list is
 * at its end. "" has one item, an empty one, as has "a," besides "a". */
bool cairn_sql_note_item(struct cairn_slice *rest, struct cairn_slice *ret_item);
/* The next word, up to white space; empty at the end. */
struct cairn_slice cairn_sql_note_word(struct cairn_slice *rest);
/* A name that needs no quotes in SQL: [a-z_][a-z0-9_]*, 1 to 63 bytes. */
bool cairn_sql_name_is_plain(struct cairn_slice name);
/* Does the statement begin with these words? words: by one space. */
bool cairn_sql_begins(const struct cairn_sql_statement *statement, const char *words);

#endif
