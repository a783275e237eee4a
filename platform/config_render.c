#include <assert.h>

#include "platform/config_int.h"

enum { HELP_COLUMNS = 80, HELP_INDENT = 26, HELP_LEAD = 2 };

/* Every append of this file goes through one of these, so that the first failure sticks and the
 * callers read like what they print. */
struct writer {
    struct cairn_buf *out;
    enum cairn_rc rc;
};

static void put(struct writer *writer, struct cairn_slice text)
{
    if (writer->rc == CAIRN_OK) {
        writer->rc = cairn_buf_append(writer->out, text);
    }
}

static void put_str(struct writer *writer, const char *text)
{
    put(writer, cairn_slice_str(text));
}

static void put_spaces(struct writer *writer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_str(writer, " ");
    }
}

static bool is_known(const struct cairn_config_row *row, unsigned verb)
{
    return (row->verbs & verb) != 0;
}

/* What stands behind the flag's name; NULL where it takes no value. */
static const char *placeholder_of(const struct cairn_config_row *row)
{
    if (row->type == CAIRN_CONFIG_BOOL) {
        return NULL;
    }
    if (row->placeholder != NULL) {
        return row->placeholder;
    }
    return row->type == CAIRN_CONFIG_CHOICE ? row->choices : "VALUE";
}

static const char *type_name(enum cairn_config_type type)
{
    static const char *const names[] = {
        [CAIRN_CONFIG_TEXT] = "text",          [CAIRN_CONFIG_UINT] = "number",
        [CAIRN_CONFIG_BYTES] = "size",         [CAIRN_CONFIG_DURATION] = "time",
        [CAIRN_CONFIG_BOOL] = "true or false", [CAIRN_CONFIG_CHOICE] = "choice",
        [CAIRN_CONFIG_LIST] = "list",
    };
    assert((size_t)type < sizeof(names) / sizeof(names[0]));
    return names[type];
}

/* `--name PLACEHOLDER`, with `--[no-]name` where no-name is what one would say. */
static void put_flag(struct writer *writer, const struct cairn_config_row *row)
{
    bool on = row->type == CAIRN_CONFIG_BOOL && strcmp(row->fallback, "true") == 0;
    put_str(writer, on ? "--[no-]" : "--");
    put_str(writer, row->name);
    const char *placeholder = placeholder_of(row);
    if (placeholder != NULL) {
        put_str(writer, " ");
        put_str(writer, placeholder);
    }
}

/* Words of text, wrapped at HELP_COLUMNS and indented by HELP_INDENT. *column is where the line
 * stands; 0 is a fresh one. */
static void put_wrapped(struct writer *writer, const char *text, size_t *column)
{
    struct cairn_slice rest = cairn_slice_str(text);
    while (rest.size > 0) {
        size_t size = cairn_slice_find(rest, ' ');
        if (*column > HELP_INDENT && *column + 1 + size > HELP_COLUMNS) {
            put_str(writer, "\n");
            *column = 0;
        }
        if (*column == 0) {
            put_spaces(writer, HELP_INDENT);
            *column = HELP_INDENT;
        } else if (*column > HELP_INDENT) {
            put_str(writer, " ");
            (*column)++;
        }
        put(writer, cairn_slice_of(rest.data, size));
        *column += size;
        size_t used = size < rest.size ? size + 1 : size;
        rest = cairn_slice_of(rest.data + used, rest.size - used);
    }
}

static void put_help_row(struct writer *writer, const struct cairn_config_row *row)
{
    size_t before = writer->out->size;
    put_spaces(writer, HELP_LEAD);
    put_flag(writer, row);
    size_t column = writer->out->size - before;
    if (column + 2 > HELP_INDENT) {
        put_str(writer, "\n");
        column = 0;
    } else {
        put_spaces(writer, HELP_INDENT - column);
        column = HELP_INDENT;
    }
    put_wrapped(writer, row->text, &column);
    if (row->fallback != NULL && row->type != CAIRN_CONFIG_BOOL) {
        put_wrapped(writer, "Default:", &column);
        put_wrapped(writer, row->fallback, &column);
    }
    put_str(writer, "\n");
}

enum cairn_rc cairn_config_help(const struct cairn_config_row *rows, size_t count, unsigned verb,
                                struct cairn_buf *out)
{
    struct writer writer = {out, CAIRN_OK};
    for (size_t i = 0; i < count; i++) {
        if (is_known(&rows[i], verb)) {
            put_help_row(&writer, &rows[i]);
        }
    }
    return writer.rc;
}

/* Text in a cell of a Markdown table. */
static void put_cell(struct writer *writer, const char *text)
{
    struct cairn_slice rest = cairn_slice_str(text);
    while (rest.size > 0) {
        size_t size = cairn_slice_find(rest, '|');
        put(writer, cairn_slice_of(rest.data, size));
        if (size == rest.size) {
            return;
        }
        put_str(writer, "\\|");
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
    }
}

static void put_code_cell(struct writer *writer, const char *text)
{
    put_str(writer, "`");
    put_cell(writer, text);
    put_str(writer, "`");
}

static void put_reference_row(struct writer *writer, const struct cairn_config_row *row)
{
    char env[CAIRN_CONFIG_ENV_MAX];
    cairn_config_env_name(row->name, env);
    put_str(writer, "| `--");
    put_str(writer, row->name);
    put_str(writer, "` | `");
    put_str(writer, env);
    put_str(writer, "` | ");
    if (row->type == CAIRN_CONFIG_CHOICE) {
        put_code_cell(writer, row->choices);
    } else {
        put_cell(writer, type_name(row->type));
    }
    put_str(writer, " | ");
    if (row->fallback == NULL) {
        put_str(writer, "none");
    } else {
        put_code_cell(writer, row->fallback);
    }
    put_str(writer, " | ");
    put_cell(writer, row->text);
    put_str(writer, " |\n");
}

enum cairn_rc cairn_config_reference(const struct cairn_config_row *rows, size_t count,
                                     struct cairn_buf *out)
{
    struct writer writer = {out, CAIRN_OK};
    put_str(&writer, "| flag | environment | takes | default | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        put_reference_row(&writer, &rows[i]);
    }
    return writer.rc;
}

/* Text that roff prints as it is: no hyphenation of '-', no escapes, no requests. */
static void put_roff(struct writer *writer, const char *text, bool line_start)
{
    if (line_start && (text[0] == '.' || text[0] == '\'')) {
        put_str(writer, "\\&");
    }
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            put_str(writer, "\\-");
        } else if (*text == '\\') {
            put_str(writer, "\\e");
        } else {
            put(writer, cairn_slice_of(text, 1));
        }
    }
}

static void put_roff_row(struct writer *writer, const struct cairn_config_row *row)
{
    bool on = row->type == CAIRN_CONFIG_BOOL && strcmp(row->fallback, "true") == 0;
    put_str(writer, ".TP\n\\fB");
    put_roff(writer, on ? "--[no-]" : "--", false);
    put_roff(writer, row->name, false);
    put_str(writer, "\\fR");
    const char *placeholder = placeholder_of(row);
    if (placeholder != NULL) {
        put_str(writer, " \\fI");
        put_roff(writer, placeholder, false);
        put_str(writer, "\\fR");
    }
    put_str(writer, "\n");
    put_roff(writer, row->text, true);
    put_str(writer, "\n");
    if (row->fallback != NULL && row->type != CAIRN_CONFIG_BOOL) {
        put_str(writer, "Default: ");
        put_roff(writer, row->fallback, false);
        put_str(writer, "\n");
    }
}

enum cairn_rc cairn_config_roff(const struct cairn_config_row *rows, size_t count, unsigned verb,
                                struct cairn_buf *out)
{
    struct writer writer = {out, CAIRN_OK};
    for (size_t i = 0; i < count; i++) {
        if (is_known(&rows[i], verb)) {
            put_roff_row(&writer, &rows[i]);
        }
    }
    return writer.rc;
}

static bool ends(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);
    return size >= suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

/* Part of a value: bytes start..end, empty where there is none. */
struct span {
    size_t start, end;
};

/* Where needle begins in text, or text.size. */
static size_t find_text(struct cairn_slice text, const char *needle)
{
    size_t size = strlen(needle);
    size_t at = 0;
    while (at < text.size && !cairn_slice_starts(cairn_slice_of(text.data + at, text.size - at),
                                                 cairn_slice_of(needle, size))) {
        at++;
    }
    return at;
}

/* The password in the user part of a URI: postgresql://user:PASSWORD@host. The last '@' counts,
 * because people forget to encode it. */
static struct span uri_password(struct cairn_slice uri)
{
    size_t scheme = find_text(uri, "://");
    size_t start = scheme < uri.size ? scheme + 3 : uri.size;
    size_t at = uri.size;
    while (at > start && uri.data[at - 1] != '@') {
        at--;
    }
    if (at == start) {
        return (struct span){0, 0};
    }
    struct cairn_slice user = cairn_slice_of(uri.data + start, at - 1 - start);
    size_t colon = cairn_slice_find(user, ':');
    return colon == user.size ? (struct span){0, 0} : (struct span){start + colon + 1, at - 1};
}

/* The password of a parameter: "?password=PASSWORD" or "host=db password=PASSWORD". All that is
 * behind it goes too: where it ends is a matter of quoting. */
static struct span named_password(struct cairn_slice text)
{
    static const char name[] = "password=";
    size_t at = find_text(text, name);
    return at == text.size ? (struct span){0, 0} : (struct span){at + sizeof(name) - 1, text.size};
}

/* Does the name of an item "sasl.password=..." say that its value is nobody's business? */
static bool is_secret_item(struct cairn_slice name)
{
    static const char *const words[] = {"password", "secret", "key.pem", "oauthbearer"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (find_text(name, words[i]) < name.size) {
            return true;
        }
    }
    return false;
}

static void put_value(struct writer *writer, const struct cairn_config_row *row,
                      struct cairn_slice value)
{
    static const char stars[] = "********";
    if (ends(row->name, "-secret") || ends(row->name, "-password")) {
        put_str(writer, stars);
        return;
    }
    size_t name_size = cairn_slice_find(value, '=');
    if (row->type == CAIRN_CONFIG_LIST && is_secret_item(cairn_slice_of(value.data, name_size))) {
        put(writer, cairn_slice_of(value.data, name_size));
        put_str(writer, "=");
        put_str(writer, stars);
        return;
    }
    struct span uri = uri_password(value);
    struct span named = named_password(value);
    size_t at = 0;
    if (uri.end > 0) {
        put(writer, cairn_slice_of(value.data, uri.start));
        put_str(writer, stars);
        at = uri.end;
    }
    if (named.end > 0 && named.start >= at) {
        put(writer, cairn_slice_of(value.data + at, named.start - at));
        put_str(writer, stars);
        at = named.end;
    }
    put(writer, cairn_slice_of(value.data + at, value.size - at));
}

/* A line as a file of settings may hold it. */
static void put_line(struct writer *writer, const struct cairn_config_row *row,
                     const struct cairn_config_value *value, struct cairn_slice text)
{
    static const char *const sources[] = {
        [CAIRN_FROM_DEFAULT] = "the default",
        [CAIRN_FROM_FILE] = "the file ",
        [CAIRN_FROM_ENVIRONMENT] = "the environment ",
        [CAIRN_FROM_FLAG] = "the flag ",
    };
    put_str(writer, row->name);
    put_str(writer, " = ");
    put_value(writer, row, text);
    put_str(writer, "   # from ");
    put_str(writer, sources[value->source]);
    put_str(writer, value->origin == NULL ? "" : value->origin);
    put_str(writer, "\n");
}

static void put_setting(struct writer *writer, const struct cairn_config_row *row,
                        const struct cairn_config_value *value)
{
    if (value->text == NULL) {
        put_str(writer, "# ");
        put_str(writer, row->name);
        put_str(writer, " is not set\n");
        return;
    }
    struct cairn_slice rest = cairn_slice_str(value->text);
    size_t size = row->type == CAIRN_CONFIG_LIST ? cairn_slice_find(rest, '\n') : rest.size;
    put_line(writer, row, value, cairn_slice_of(rest.data, size));
    while (size < rest.size) { /* the further items of a list */
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
        size = cairn_slice_find(rest, '\n');
        put_line(writer, row, value, cairn_slice_of(rest.data, size));
    }
}

enum cairn_rc cairn_config_print(const struct cairn_config *config, struct cairn_buf *out)
{
    struct writer writer = {out, CAIRN_OK};
    for (size_t i = 0; i < config->row_count; i++) {
        if (is_known(&config->rows[i], config->verb)) {
            put_setting(&writer, &config->rows[i], &config->values[i]);
        }
    }
    return writer.rc;
}
