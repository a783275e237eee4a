#include "query/params.h"

#include <assert.h>

/* "order, limit, cursor" into text, for an error that says what is allowed. */
static void join(const char *const *names, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; names[i] != NULL; i++) {
        size_t part = strlen(names[i]);
        if (part + 3 > size - used) {
            break;
        }
        if (used > 0) {
            memcpy(text + used, ", ", 2);
            used += 2;
        }
        memcpy(text + used, names[i], part + 1);
        used += part;
    }
}

static bool knows(const char *const *names, struct cairn_slice name)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (cairn_slice_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

enum cairn_rc cairn_params_check(const struct cairn_http_request *request, const char *const *names,
                                 struct cairn_err *err)
{
    assert(request != NULL);
    assert(names != NULL);
    for (size_t i = 0; i < request->param_count; i++) {
        struct cairn_slice name = request->params[i].name;
        if (!knows(names, name)) {
            char allowed[160];
            join(names, allowed, sizeof(allowed));
            return CAIRN_FAIL(err, CAIRN_EQUERY, "unknown parameter \"%.*s\"; allowed: %s",
                              CAIRN_SLICE_ARG(name), allowed[0] == '\0' ? "none" : allowed);
        }
        for (size_t j = 0; j < i; j++) {
            if (cairn_slice_equal(request->params[j].name, name)) {
                return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%.*s\" is given twice",
                                  CAIRN_SLICE_ARG(name));
            }
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_params_number(const struct cairn_http_request *request, const char *name,
                                  uint64_t min, uint64_t max, uint64_t fallback,
                                  uint64_t *ret_number, struct cairn_err *err)
{
    assert(min <= max);
    assert(ret_number != NULL);
    struct cairn_slice text = cairn_http_param(request, name);
    uint64_t number = fallback;
    if (text.data != NULL &&
        (cairn_slice_to_u64(text, &number) != CAIRN_OK || number < min || number > max)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY,
                          "parameter \"%s\" is \"%.*s\"; it must be an integer, %llu to %llu", name,
                          CAIRN_SLICE_ARG(text), (unsigned long long)min, (unsigned long long)max);
    }
    *ret_number = number;
    return CAIRN_OK;
}

enum cairn_rc cairn_params_choice(const struct cairn_http_request *request, const char *name,
                                  const char *const *choices, size_t *ret_index,
                                  struct cairn_err *err)
{
    assert(choices[0] != NULL);
    assert(ret_index != NULL);
    struct cairn_slice text = cairn_http_param(request, name);
    if (text.data == NULL) {
        *ret_index = 0;
        return CAIRN_OK;
    }
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (cairn_slice_is(text, choices[i])) {
            *ret_index = i;
            return CAIRN_OK;
        }
    }
    char allowed[160];
    join(choices, allowed, sizeof(allowed));
    return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%s\" is \"%.*s\"; allowed: %s", name,
                      CAIRN_SLICE_ARG(text), allowed);
}

enum cairn_rc cairn_params_names_read(const struct cairn_http_request *request, const char *name,
                                      bool (*is_valid)(struct cairn_slice name),
                                      struct cairn_params_names *ret_names, struct cairn_err *err)
{
    assert(is_valid != NULL);
    struct cairn_params_names found = {.count = 0};
    struct cairn_slice rest = cairn_http_param(request, name);
    bool more = rest.data != NULL;
    while (more) {
        size_t comma = cairn_slice_find(rest, ',');
        struct cairn_slice one = cairn_slice_of(rest.data, comma);
        if (!is_valid(one)) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%s\": \"%.*s\" is no name", name,
                              CAIRN_SLICE_ARG(one));
        }
        if (found.count == CAIRN_PARAMS_NAMES_MAX) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "parameter \"%s\" lists more than %d names", name,
                              CAIRN_PARAMS_NAMES_MAX);
        }
        found.names[found.count++] = one;
        more = comma < rest.size;
        rest = more ? cairn_slice_of(rest.data + comma + 1, rest.size - comma - 1) : rest;
    }
    *ret_names = found;
    return CAIRN_OK;
}

bool cairn_params_names_hold(const struct cairn_params_names *names, struct cairn_slice name)
{
    assert(names->count <= CAIRN_PARAMS_NAMES_MAX);
    for (size_t i = 0; i < names->count; i++) {
        if (cairn_slice_equal(names->names[i], name)) {
            return true;
        }
    }
    return names->count == 0;
}
