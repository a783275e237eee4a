#include "tools/help.h"

#include <string.h>

enum { HELP_COLUMNS = 80 };

static const char serving[] = "Prints one line to standard output when it serves, `ready "
                              "http://HOST:PORT`, and logs to standard error as "
                              "JSON lines. SIGTERM or SIGINT finishes what was accepted, then "
                              "exits 0. A start that cannot work exits 1 with "
                              "one line that says what to do.";

static const char order[] = "A setting is taken from the flag, else from the environment (CAIRN_ "
                            "and the name in upper case, - as _), else "
                            "from the file of --config, else it has its default.";

/* Appends text wrapped at HELP_COLUMNS, with a blank line behind. */
static enum cairn_rc append_wrapped(struct cairn_buf *out, const char *text)
{
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && *text != '\0') {
        size_t take = strlen(text);
        if (take > HELP_COLUMNS) {
            take = HELP_COLUMNS;
            while (take > 0 && text[take] != ' ') {
                take--;
            }
            take = take == 0 ? HELP_COLUMNS : take;
        }
        rc = cairn_buf_printf(out, "%.*s\n", (int)take, text);
        text += take;
        text += *text == ' ';
    }
    return rc == CAIRN_OK ? cairn_buf_append_byte(out, '\n') : rc;
}

enum cairn_rc cairn_help_overview(struct cairn_buf *out)
{
    enum cairn_rc rc =
        cairn_buf_append_str(out, "Usage: cairn VERB [OPERANDS] [FLAGS]\n\n"
                                  "Event sourcing and CQRS from one domain folder.\n\n");
    for (int i = 0; rc == CAIRN_OK && i < CAIRN_VERB_COUNT; i++) {
        const struct cairn_verb_info *info = cairn_verb_info((enum cairn_verb)i);
        rc = cairn_buf_printf(out, "  %-9s %-13s %s\n", info->name, info->operands, info->text);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_str(out, "\n`cairn VERB --help` tells the flags of a verb.\n");
    }
    return rc;
}

enum cairn_rc cairn_help_verb(enum cairn_verb verb, struct cairn_buf *out)
{
    const struct cairn_verb_info *info = cairn_verb_info(verb);
    size_t count = 0;
    const struct cairn_config_row *rows = cairn_options(&count);
    enum cairn_rc rc = cairn_buf_printf(out, "Usage: cairn %s%s%s [FLAGS]\n\n", info->name,
                                        info->operands[0] == '\0' ? "" : " ", info->operands);
    rc = rc == CAIRN_OK ? append_wrapped(out, cairn_verb_about(verb)) : rc;
    if (cairn_verb_serves(verb)) {
        rc = rc == CAIRN_OK ? append_wrapped(out, serving) : rc;
    }
    rc = rc == CAIRN_OK ? cairn_config_help(rows, count, 1u << verb, out) : rc;
    rc = rc == CAIRN_OK ? cairn_buf_append_byte(out, '\n') : rc;
    return rc == CAIRN_OK ? append_wrapped(out, order) : rc;
}

/* roff reads a '.' or ''' in the first column as a request, and '\' anywhere as an escape. */
static enum cairn_rc append_roff(struct cairn_buf *out, const char *text)
{
    enum cairn_rc rc = CAIRN_OK;
    if (*text == '.' || *text == '\'') {
        rc = cairn_buf_append_str(out, "\\&");
    }
    for (; rc == CAIRN_OK && *text != '\0'; text++) {
        if (*text == '\\') {
            rc = cairn_buf_append_str(out, "\\e");
        } else if (*text == '-') {
            rc = cairn_buf_append_str(out, "\\-");
        } else if (*text != '`') {
            rc = cairn_buf_append_byte(out, *text);
        }
    }
    return rc == CAIRN_OK ? cairn_buf_append_byte(out, '\n') : rc;
}

enum cairn_rc cairn_help_man(enum cairn_verb verb, struct cairn_buf *out)
{
    const struct cairn_verb_info *info = cairn_verb_info(verb);
    size_t count = 0;
    const struct cairn_config_row *rows = cairn_options(&count);
    enum cairn_rc rc = cairn_buf_printf(out,
                                        ".TH CAIRN-%s 1 \"\" \"Cairn " CAIRN_VERSION
                                        "\" \"Cairn\"\n.SH NAME\ncairn-%s \\- %s\n",
                                        info->name, info->name, info->text);
    rc = rc == CAIRN_OK
             ? cairn_buf_printf(out, ".SH SYNOPSIS\n.B cairn %s\n%s\n[FLAGS]\n.SH DESCRIPTION\n",
                                info->name, info->operands)
             : rc;
    rc = rc == CAIRN_OK ? append_roff(out, cairn_verb_about(verb)) : rc;
    if (cairn_verb_serves(verb)) {
        rc = rc == CAIRN_OK ? cairn_buf_append_str(out, ".PP\n") : rc;
        rc = rc == CAIRN_OK ? append_roff(out, serving) : rc;
    }
    rc = rc == CAIRN_OK ? cairn_buf_append_str(out, ".SH OPTIONS\n") : rc;
    rc = rc == CAIRN_OK ? cairn_config_roff(rows, count, 1u << verb, out) : rc;
    rc = rc == CAIRN_OK ? cairn_buf_append_str(out, ".PP\n") : rc;
    rc = rc == CAIRN_OK ? append_roff(out, order) : rc;
    return rc == CAIRN_OK
               ? cairn_buf_append_str(
                     out, ".SH EXIT STATUS\n0 on success, 1 on failure, 2 on wrong usage.\n")
               : rc;
}

enum cairn_rc cairn_help_reference(struct cairn_buf *out)
{
    size_t count = 0;
    const struct cairn_config_row *rows = cairn_options(&count);
    enum cairn_rc rc = cairn_buf_append_str(
        out, "# Configuration\n\nMade from the table in `tools/options.c` by `cairn config "
             "--reference`; a test keeps it fresh.\n\n");
    rc = rc == CAIRN_OK ? cairn_buf_printf(out, "%s\n\n", order) : rc;
    rc = rc == CAIRN_OK ? cairn_config_reference(rows, count, out) : rc;
    rc =
        rc == CAIRN_OK
            ? cairn_buf_append_str(out, "\n## Verbs\n\n| verb | operands | does |\n|---|---|---|\n")
            : rc;
    for (int i = 0; rc == CAIRN_OK && i < CAIRN_VERB_COUNT; i++) {
        const struct cairn_verb_info *info = cairn_verb_info((enum cairn_verb)i);
        rc = cairn_buf_printf(out, "| `%s` | %s | %s |\n", info->name, info->operands, info->text);
    }
    return rc;
}
