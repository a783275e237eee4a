#include <assert.h>
#include <stdio.h>

#include "platform/config_int.h"
#include "platform/file.h"

/* Bytes of a file of settings. */
#define FILE_MAX ((size_t)64 * 1024)
/* "FILE:LINE: name" in an error. */
#define PLACE_MAX 200

#define ENV_PREFIX "CAIRN_"
/* The row that names the file, where the table has one. */
#define FILE_ROW "config"

static bool has_control(struct cairn_slice text, bool lines)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if ((byte < 0x20 || byte == 0x7f) && !(lines && byte == '\n')) {
            return true;
        }
    }
    return false;
}

/* The text of a value, NUL-ended: behind what the same source has said of a list. ENOMEM. */
static enum cairn_rc copy_text(struct cairn_config *config, const struct cairn_config_row *row,
                               enum cairn_config_source source, struct cairn_slice text,
                               struct cairn_slice *ret_copy)
{
    const struct cairn_config_value *known = &config->values[row - config->rows];
    if (row->type != CAIRN_CONFIG_LIST || known->source != source || known->text == NULL) {
        return cairn_arena_copy(&config->arena, text, ret_copy);
    }
    size_t before = strlen(known->text);
    char *joined = cairn_arena_alloc(&config->arena, before + 1 + text.size + 1);
    if (joined == NULL) {
        return CAIRN_ENOMEM;
    }
    memcpy(joined, known->text, before);
    joined[before] = '\n';
    if (text.size > 0) {
        memcpy(joined + before + 1, text.data, text.size);
    }
    joined[before + 1 + text.size] = '\0';
    *ret_copy = cairn_slice_of(joined, before + 1 + text.size);
    return CAIRN_OK;
}

/* A value in its place in the order of trust. place names it in an error, origin is kept. */
static enum cairn_rc put(struct cairn_config *config, const struct cairn_config_row *row,
                         enum cairn_config_source source, const char *place,
                         struct cairn_slice text, struct cairn_err *err)
{
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    struct cairn_slice origin = CAIRN_SLICE_NONE;
    if (copy_text(config, row, source, text, &copy) != CAIRN_OK ||
        cairn_arena_copy(&config->arena, cairn_slice_str(place), &origin) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "%s: the configuration is too large", place);
    }
    if (has_control(text, row->type == CAIRN_CONFIG_LIST)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s holds a control character", place);
    }
    uint64_t number = 0;
    enum cairn_rc rc = cairn_config_read_value(row, place, copy.data, &number, err);
    if (rc == CAIRN_OK) {
        config->values[row - config->rows] =
            (struct cairn_config_value){copy.data, number, origin.data, source};
    }
    return rc;
}

static enum cairn_rc apply_defaults(struct cairn_config *config, struct cairn_err *err)
{
    for (size_t i = 0; i < config->row_count; i++) {
        const struct cairn_config_row *row = &config->rows[i];
        assert(strlen(row->name) <= CAIRN_CONFIG_NAME_MAX);
        assert(row->fallback != NULL || row->type == CAIRN_CONFIG_TEXT ||
               row->type == CAIRN_CONFIG_LIST);
        assert(row->fallback == NULL || row->type != CAIRN_CONFIG_LIST);
        struct cairn_config_value *value = &config->values[i];
        *value = (struct cairn_config_value){.text = row->fallback, .source = CAIRN_FROM_DEFAULT};
        if (row->fallback == NULL) {
            continue;
        }
        enum cairn_rc rc =
            cairn_config_read_value(row, row->name, row->fallback, &value->number, err);
        /* The table is ours: a default that its own row refuses is a mistake of the program. */
        assert(rc == CAIRN_OK);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

/* "; did you mean ...?" behind an error about an unknown name. */
static enum cairn_rc refuse_name(const char *what, const char *prefix, struct cairn_slice name,
                                 const char *near, struct cairn_err *err)
{
    int shown = name.size > CAIRN_CONFIG_NAME_MAX ? CAIRN_CONFIG_NAME_MAX : (int)name.size;
    return CAIRN_FAIL(err, CAIRN_EINVAL, "%s %s%.*s%s%s%s%s", what, prefix, shown, name.data,
                      near == NULL ? "" : "; did you mean ", near == NULL ? "" : prefix,
                      near == NULL ? "" : near, near == NULL ? "; see --help" : "?");
}

/* Where the reading of the arguments stands. */
struct args {
    const struct cairn_config_input *input;
    int next;
    bool operands_only; /* behind "--" */
};

/* The row that a flag's name means, and whether it was said as --no-NAME. */
static const struct cairn_config_row *row_of_flag(const struct cairn_config_input *input,
                                                  struct cairn_slice name, bool *ret_negated)
{
    const struct cairn_config_row *row = cairn_config_find(input->rows, input->row_count, name);
    *ret_negated = false;
    if (row == NULL && cairn_slice_starts(name, CAIRN_SLICE_LIT("no-"))) {
        row = cairn_config_find(input->rows, input->row_count,
                                cairn_slice_of(name.data + 3, name.size - 3));
        *ret_negated = row != NULL;
        row = row != NULL && row->type == CAIRN_CONFIG_BOOL ? row : NULL;
    }
    return row != NULL && (row->verbs & input->verb) != 0 ? row : NULL;
}

/* The value of a flag: behind '=', the next argument, or what a bare bool means. */
static enum cairn_rc value_of_flag(struct args *args, const struct cairn_config_row *row,
                                   struct cairn_slice rest, bool negated,
                                   struct cairn_slice *ret_value, struct cairn_err *err)
{
    if (rest.size > 0) {
        if (negated) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "--no-%s takes no value", row->name);
        }
        *ret_value = cairn_slice_of(rest.data + 1, rest.size - 1);
        return CAIRN_OK;
    }
    if (row->type == CAIRN_CONFIG_BOOL) {
        *ret_value = cairn_slice_str(negated ? "false" : "true");
        return CAIRN_OK;
    }
    if (args->next == args->input->argc) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "--%s needs a value: --%s %s", row->name, row->name,
                          row->placeholder == NULL ? "VALUE" : row->placeholder);
    }
    *ret_value = cairn_slice_str(args->input->argv[args->next++]);
    return CAIRN_OK;
}

static enum cairn_rc read_flag(struct cairn_config *config, struct args *args,
                               struct cairn_slice text, struct cairn_err *err)
{
    const struct cairn_config_input *input = args->input;
    size_t size = cairn_slice_find(text, '=');
    struct cairn_slice name = cairn_slice_of(text.data, size);
    struct cairn_slice rest = cairn_slice_of(text.data + size, text.size - size);
    bool negated = false;
    const struct cairn_config_row *row = row_of_flag(input, name, &negated);
    if (row == NULL) {
        const char *near = cairn_config_near(input->rows, input->row_count, input->verb, name);
        return refuse_name("unknown flag", "--", name, near, err);
    }
    struct cairn_slice value = CAIRN_SLICE_NONE;
    enum cairn_rc rc = value_of_flag(args, row, rest, negated, &value, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    char place[PLACE_MAX];
    (void)snprintf(place, sizeof(place), "--%s", row->name);
    return put(config, row, CAIRN_FROM_FLAG, place, value, err);
}

static enum cairn_rc read_argument(struct cairn_config *config, struct args *args,
                                   struct cairn_err *err)
{
    const char *raw = args->input->argv[args->next++];
    struct cairn_slice text = cairn_slice_str(raw);
    if (args->operands_only || text.size < 2 || text.data[0] != '-') {
        config->operands[config->operand_count++] = raw;
        return CAIRN_OK;
    }
    if (cairn_slice_is(text, "--")) {
        args->operands_only = true;
        return CAIRN_OK;
    }
    if (cairn_slice_is(text, "--help") || cairn_slice_is(text, "-h")) {
        config->wants_help = true;
        return CAIRN_OK;
    }
    if (text.data[1] != '-') {
        return refuse_name("unknown flag", "", text, NULL, err);
    }
    return read_flag(config, args, cairn_slice_of(text.data + 2, text.size - 2), err);
}

static enum cairn_rc apply_arguments(struct cairn_config *config,
                                     const struct cairn_config_input *input, struct cairn_err *err)
{
    struct args args = {.input = input};
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && args.next < input->argc) {
        rc = read_argument(config, &args, err);
    }
    return rc;
}

/* The row whose environment variable is called name. */
static const struct cairn_config_row *row_of_env(const struct cairn_config *config,
                                                 struct cairn_slice name)
{
    for (size_t i = 0; i < config->row_count; i++) {
        char wanted[CAIRN_CONFIG_ENV_MAX];
        cairn_config_env_name(config->rows[i].name, wanted);
        if (cairn_slice_is(name, wanted)) {
            return &config->rows[i];
        }
    }
    return NULL;
}

static enum cairn_rc apply_environment(struct cairn_config *config, const char *const *envp,
                                       struct cairn_err *err)
{
    for (; envp != NULL && *envp != NULL; envp++) {
        struct cairn_slice entry = cairn_slice_str(*envp);
        if (!cairn_slice_starts(entry, CAIRN_SLICE_LIT(ENV_PREFIX))) {
            continue;
        }
        size_t size = cairn_slice_find(entry, '=');
        struct cairn_slice name = cairn_slice_of(entry.data, size);
        const struct cairn_config_row *row = row_of_env(config, name);
        /* Not ours: an orchestrator may name its own variables after the service (CAIRN_PORT). */
        if (row == NULL) {
            continue;
        }
        struct cairn_slice value = CAIRN_SLICE_NONE;
        if (size < entry.size) {
            value = cairn_slice_of(entry.data + size + 1, entry.size - size - 1);
        }
        char place[CAIRN_CONFIG_ENV_MAX];
        cairn_config_env_name(row->name, place);
        enum cairn_rc rc = put(config, row, CAIRN_FROM_ENVIRONMENT, place, value, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

/* A line without its comment: from a '#' at its start or behind a space. */
static struct cairn_slice without_comment(struct cairn_slice line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '#' &&
            (i == 0 || line.data[i - 1] == ' ' || line.data[i - 1] == '\t')) {
            line.size = i;
        }
    }
    return cairn_slice_trim(line);
}

static enum cairn_rc read_line(struct cairn_config *config, const char *path, size_t number,
                               struct cairn_slice line, struct cairn_err *err)
{
    line = without_comment(line);
    if (line.size == 0) {
        return CAIRN_OK;
    }
    char place[PLACE_MAX];
    size_t size = cairn_slice_find(line, '=');
    struct cairn_slice name = cairn_slice_trim(cairn_slice_of(line.data, size));
    (void)snprintf(place, sizeof(place), "%.120s:%zu: ", path, number);
    if (size == line.size) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%sa line is NAME = VALUE", place);
    }
    const struct cairn_config_row *row = cairn_config_find(config->rows, config->row_count, name);
    if (row == NULL) {
        const char *near = cairn_config_near(config->rows, config->row_count, 0, name);
        (void)snprintf(place, sizeof(place), "%.120s:%zu: unknown name", path, number);
        return refuse_name(place, "", name, near, err);
    }
    if (strcmp(row->name, FILE_ROW) == 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%sa file cannot name another one", place);
    }
    const struct cairn_config_value *known = &config->values[row - config->rows];
    if (known->source == CAIRN_FROM_FILE && row->type != CAIRN_CONFIG_LIST) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s%s is said twice, first at %s", place, row->name,
                          known->origin);
    }
    (void)snprintf(place, sizeof(place), "%.120s:%zu", path, number);
    struct cairn_slice value =
        cairn_slice_trim(cairn_slice_of(line.data + size + 1, line.size - size - 1));
    return put(config, row, CAIRN_FROM_FILE, place, value, err);
}

static enum cairn_rc read_lines(struct cairn_config *config, const char *path,
                                struct cairn_slice text, struct cairn_err *err)
{
    for (size_t number = 1; text.size > 0; number++) {
        size_t size = cairn_slice_find(text, '\n');
        struct cairn_slice line = cairn_slice_of(text.data, size);
        if (line.size > 0 && line.data[line.size - 1] == '\r') {
            line.size--;
        }
        enum cairn_rc rc = read_line(config, path, number, line, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        size_t used = size < text.size ? size + 1 : size;
        text = cairn_slice_of(text.data + used, text.size - used);
    }
    return CAIRN_OK;
}

static enum cairn_rc apply_file(struct cairn_config *config, const char *path,
                                struct cairn_err *err)
{
    struct cairn_buf text = {.max = FILE_MAX};
    enum cairn_rc rc = cairn_file_read(path, &text, err);
    if (rc == CAIRN_OK) {
        rc = read_lines(config, path, cairn_buf_slice(&text), err);
    } else if (rc == CAIRN_ENOENT) {
        rc = cairn_err_wrap(err, CAIRN_EINVAL, "--config");
    }
    cairn_buf_fini(&text);
    return rc;
}

/* The file that flags and environment name, NULL where none does. */
static const char *file_of(const struct cairn_config *config)
{
    const struct cairn_config_row *row =
        cairn_config_find(config->rows, config->row_count, CAIRN_SLICE_LIT(FILE_ROW));
    return row == NULL ? NULL : config->values[row - config->rows].text;
}

/* Flags and environment are read once before the file, to
 * learn which file, and once behind it, to win over it. */
enum cairn_rc cairn_config_apply(struct cairn_config *config,
                                 const struct cairn_config_input *input, struct cairn_err *err)
{
    enum cairn_rc rc = apply_defaults(config, err);
    if (rc == CAIRN_OK) {
        rc = apply_environment(config, input->envp, err);
    }
    if (rc == CAIRN_OK) {
        rc = apply_arguments(config, input, err);
    }
    const char *path = rc == CAIRN_OK && !config->wants_help ? file_of(config) : NULL;
    if (rc != CAIRN_OK || path == NULL) {
        return rc;
    }
    /* From the start, or lists would hold twice what was read to get here. */
    config->operand_count = 0;
    rc = apply_defaults(config, err);
    rc = rc == CAIRN_OK ? apply_file(config, path, err) : rc;
    if (rc == CAIRN_OK) {
        rc = apply_environment(config, input->envp, err);
    }
    return rc == CAIRN_OK ? apply_arguments(config, input, err) : rc;
}
