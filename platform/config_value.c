#include <assert.h>

#include "platform/config_int.h"

/* Names this many edits apart are near: one slip in a short name, two in a longer one. */
enum { NEAR_SHORT = 1, NEAR_LONG = 2, SHORT_NAME = 4 };

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"", 1}, {"K", UINT64_C(1) << 10}, {"M", UINT64_C(1) << 20}, {"G", UINT64_C(1) << 30}};
static const struct unit time_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* "<digits><unit>" in units of factor 1. */
static bool read_with_unit(struct cairn_slice text, const struct unit *units, size_t count,
                           uint64_t *ret_number)
{
    size_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    uint64_t number = 0;
    if (cairn_slice_to_u64(cairn_slice_of(text.data, digits), &number) != CAIRN_OK) {
        return false;
    }
    struct cairn_slice name = cairn_slice_of(text.data + digits, text.size - digits);
    for (size_t i = 0; i < count; i++) {
        if (cairn_slice_is(name, units[i].name) && number <= UINT64_MAX / units[i].factor) {
            *ret_number = number * units[i].factor;
            return true;
        }
    }
    return false;
}

static bool read_bool(struct cairn_slice text, uint64_t *ret_number)
{
    bool yes = cairn_slice_is(text, "true");
    *ret_number = yes ? 1 : 0;
    return yes || cairn_slice_is(text, "false");
}

/* The index of text in "a|b|c". */
static bool read_choice(const char *choices, struct cairn_slice text, uint64_t *ret_number)
{
    assert(choices != NULL);
    struct cairn_slice rest = cairn_slice_str(choices);
    for (uint64_t index = 0;; index++) {
        size_t size = cairn_slice_find(rest, '|');
        if (cairn_slice_equal(cairn_slice_of(rest.data, size), text)) {
            *ret_number = index;
            return true;
        }
        if (size == rest.size) {
            return false;
        }
        rest = cairn_slice_of(rest.data + size + 1, rest.size - size - 1);
    }
}

static bool read_number(const struct cairn_config_row *row, struct cairn_slice text,
                        uint64_t *ret_number)
{
    bool known = false;
    if (row->type == CAIRN_CONFIG_UINT) {
        known = cairn_slice_to_u64(text, ret_number) == CAIRN_OK;
    } else if (row->type == CAIRN_CONFIG_BYTES) {
        known = read_with_unit(text, byte_units, COUNT_OF(byte_units), ret_number);
    } else {
        known = read_with_unit(text, time_units, COUNT_OF(time_units), ret_number);
    }
    return known && *ret_number >= row->min && *ret_number <= row->max;
}

/* What a row takes, for the sentence of an error. */
static enum cairn_rc refuse(const struct cairn_config_row *row, const char *place, const char *text,
                            struct cairn_err *err)
{
    unsigned long long min = row->min;
    unsigned long long max = row->max;
    switch (row->type) {
    case CAIRN_CONFIG_UINT:
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s takes a number from %llu to %llu, not \"%.64s\"",
                          place, min, max, text);
    case CAIRN_CONFIG_BYTES:
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "%s takes a size like 512K, 64M or 1G, from %llu to %llu bytes, not "
                          "\"%.64s\"",
                          place, min, max, text);
    case CAIRN_CONFIG_DURATION:
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "%s takes a time like 250ms, 30s, 5m or 1h, from %llu to %llu ms, not "
                          "\"%.64s\"",
                          place, min, max, text);
    case CAIRN_CONFIG_BOOL:
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s takes true or false, not \"%.64s\"", place, text);
    case CAIRN_CONFIG_CHOICE:
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s takes one of %s, not \"%.64s\"", place,
                          row->choices, text);
    case CAIRN_CONFIG_TEXT:
    case CAIRN_CONFIG_LIST:
        break;
    }
    return CAIRN_FAIL(err, CAIRN_EINVAL, "%s takes a text", place);
}

enum cairn_rc cairn_config_read_value(const struct cairn_config_row *row, const char *place,
                                      const char *text, uint64_t *ret_number, struct cairn_err *err)
{
    assert(text != NULL && place != NULL);
    struct cairn_slice slice = cairn_slice_str(text);
    uint64_t number = 0;
    bool known = true;
    switch (row->type) {
    case CAIRN_CONFIG_TEXT:
    case CAIRN_CONFIG_LIST:
        break;
    case CAIRN_CONFIG_BOOL:
        known = read_bool(slice, &number);
        break;
    case CAIRN_CONFIG_CHOICE:
        known = read_choice(row->choices, slice, &number);
        break;
    case CAIRN_CONFIG_UINT:
    case CAIRN_CONFIG_BYTES:
    case CAIRN_CONFIG_DURATION:
        known = read_number(row, slice, &number);
        break;
    }
    if (!known) {
        return refuse(row, place, text, err);
    }
    *ret_number = number;
    return CAIRN_OK;
}

const struct cairn_config_row *cairn_config_find(const struct cairn_config_row *rows, size_t count,
                                                 struct cairn_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (cairn_slice_is(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, by the usual table of which one line is kept. */
static size_t edit_distance(struct cairn_slice a, struct cairn_slice b)
{
    assert(a.size <= CAIRN_CONFIG_NAME_MAX && b.size <= CAIRN_CONFIG_NAME_MAX);
    size_t line[CAIRN_CONFIG_NAME_MAX + 1];
    for (size_t j = 0; j <= b.size; j++) {
        line[j] = j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = line[j];
            size_t change = a.data[i - 1] == b.data[j - 1] ? 0 : 1;
            line[j] = least(above + 1, line[j - 1] + 1, diagonal + change);
            diagonal = above;
        }
    }
    return line[b.size];
}

const char *cairn_config_near(const struct cairn_config_row *rows, size_t count, unsigned verb,
                              struct cairn_slice name)
{
    if (name.size == 0 || name.size > CAIRN_CONFIG_NAME_MAX) {
        return NULL;
    }
    size_t best = name.size <= SHORT_NAME ? NEAR_SHORT : NEAR_LONG;
    const char *near = NULL;
    for (size_t i = 0; i < count; i++) {
        if (verb != 0 && (rows[i].verbs & verb) == 0) {
            continue;
        }
        size_t distance = edit_distance(name, cairn_slice_str(rows[i].name));
        if (distance < best || (near == NULL && distance == best)) {
            best = distance;
            near = rows[i].name;
        }
    }
    return near;
}

void cairn_config_env_name(const char *name, char out[CAIRN_CONFIG_ENV_MAX])
{
    static const char prefix[] = "CAIRN_";
    size_t size = strlen(name);
    assert(size <= CAIRN_CONFIG_NAME_MAX);
    memcpy(out, prefix, sizeof(prefix) - 1);
    char *at = out + sizeof(prefix) - 1;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        at[i] = (char)(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    at[size] = '\0';
}
