/* Configuration: one table makes the parser, --help, `cairn config`, the man pages and the
 * reference page.
 *
 * Order of trust: flag > environment (CAIRN_ + upper-case name, '-' as '_') > file > default. The
 * file (--config, where the table has a row of that name) holds `name = value` lines, blank lines,
 * and comments from a '#' at the start of a line or behind a space. The environment and the file
 * may name every row of the table, whatever the verb. A flag said twice: the last counts. No value
 * holds control characters. Every value remembers where it came from. thread: any, once made.
 *
 * A list is what one source says in all, and takes nothing from a weaker one: a flag or a line of
 * the file said again adds an item, and the environment's variable has one item a line (an item may
 * hold a comma). */
#ifndef CAIRN_PLATFORM_CONFIG_H
#define CAIRN_PLATFORM_CONFIG_H

#include "platform/arena.h"
#include "platform/bytes.h"

enum cairn_config_type {
    CAIRN_CONFIG_TEXT,
    CAIRN_CONFIG_UINT,     /* decimal, min..max of the row */
    CAIRN_CONFIG_BYTES,    /* decimal with optional K, M, G (powers of 1024) */
    CAIRN_CONFIG_DURATION, /* decimal with ms, s, m, h; stored in milliseconds */
    CAIRN_CONFIG_BOOL,     /* true/false; a bare --flag is true */
    CAIRN_CONFIG_CHOICE,   /* one of choices, "a|b|c" */
    CAIRN_CONFIG_LIST      /* texts; the default is none */
};

/* The order of the fields is that in which a row reads; the padding costs 8 bytes a row. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct cairn_config_row {
    const char *name; /* "idle-timeout": --idle-timeout, CAIRN_IDLE_TIMEOUT, idle-timeout = */
    enum cairn_config_type type;
    const char *placeholder; /* "DIR", for help */
    const char *fallback;    /* the default as text; NULL: none (TEXT, LIST) */
    uint64_t min, max;       /* of UINT, BYTES, DURATION (ms) */
    const char *choices;     /* of CHOICE */
    unsigned verbs;          /* bit set: which verbs know the flag; the meaning is the caller's */
    const char *text;        /* one or two sentences, in full */
};

enum cairn_config_source {
    CAIRN_FROM_DEFAULT,
    CAIRN_FROM_FILE,
    CAIRN_FROM_ENVIRONMENT,
    CAIRN_FROM_FLAG
};

struct cairn_config; /* the values in force; owns all of them */

struct cairn_config_input {
    const struct cairn_config_row *rows;
    size_t row_count;
    unsigned verb; /* rows without this bit are unknown flags */
    int argc;      /* arguments behind the verb */
    const char *const *argv;
    const char *const *envp; /* NULL-ended "NAME=value" list; CAIRN_* names that are no row are
                              * ignored: orchestrators make such (CAIRN_PORT) */
};

/* Parse. errors: EINVAL with a sentence that names the flag, what was wrong and what is allowed,
 * and a near name where one is near. Caller frees. */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_new(const struct cairn_config_input *input,
                                                struct cairn_config **ret_config,
                                                struct cairn_err *err);
void cairn_config_free(struct cairn_config *config);

/* Value of a row that must exist in the table (asserted). Text lives as long as config; NULL where
 * unset. Of a LIST: the items, '\n' between them. */
const char *cairn_config_text(const struct cairn_config *config, const char *name);
uint64_t cairn_config_uint(const struct cairn_config *config, const char *name);
bool cairn_config_bool(const struct cairn_config *config, const char *name);
enum cairn_config_source cairn_config_source_of(const struct cairn_config *config,
                                                const char *name);
/* Arguments that are not flags, in order; borrowed from argv. "--" ends the flags. */
size_t cairn_config_operand_count(const struct cairn_config *config);
const char *cairn_config_operand(const struct cairn_config *config, size_t index);
/* --help was given. */
bool cairn_config_wants_help(const struct cairn_config *config);

/* `cairn config`: "name = value   # from ..." lines of the rows that the verb knows. Secrets are
 * starred: rows named *-secret or *-password, passwords inside URIs and connection strings, and
 * items NAME=VALUE of a list whose name speaks of a password, a secret, a key or a token. */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_print(const struct cairn_config *config,
                                                  struct cairn_buf *out);
/* The flags of a verb as --help shows them, wrapped at 80 columns. */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_help(const struct cairn_config_row *rows, size_t count,
                                                 unsigned verb, struct cairn_buf *out);
/* The whole table as a Markdown reference table. */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_reference(const struct cairn_config_row *rows,
                                                      size_t count, struct cairn_buf *out);
/* The flags of a verb as roff, for the OPTIONS section of a man page. */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_roff(const struct cairn_config_row *rows, size_t count,
                                                 unsigned verb, struct cairn_buf *out);

#endif
