/* The bytes of a filter: elements, quoted or plain, and lists of them. */
#include <assert.h>

#include "query/filter_int.h"

#define ITEMS_MIN 4

bool cairn_filter_eat(struct cairn_filter_reader *reader, const char *text)
{
    struct cairn_slice prefix = cairn_slice_str(text);
    assert(prefix.size > 0);
    if (!cairn_slice_starts(reader->rest, prefix)) {
        return false;
    }
    reader->rest = cairn_slice_of(reader->rest.data + prefix.size, reader->rest.size - prefix.size);
    return true;
}

void *cairn_filter_grow(struct cairn_arena *arena, void *items, size_t count, size_t *cap,
                        size_t size)
{
    assert(count <= *cap);
    if (count < *cap) {
        return items;
    }
    size_t room = *cap == 0 ? ITEMS_MIN : 2 * *cap;
    char *more = cairn_arena_zalloc(arena, room, size);
    if (more == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(more, items, count * size);
    }
    *cap = room;
    return more;
}

static bool at_end(const struct cairn_filter_reader *reader)
{
    return reader->rest.size == 0 || reader->rest.data[0] == ',' || reader->rest.data[0] == ')';
}

static void read_plain(struct cairn_filter_reader *reader, struct cairn_slice *ret_value)
{
    struct cairn_slice begin = reader->rest;
    while (!at_end(reader)) {
        reader->rest = cairn_slice_of(reader->rest.data + 1, reader->rest.size - 1);
    }
    *ret_value = cairn_slice_of(begin.data, begin.size - reader->rest.size);
}

enum cairn_rc cairn_filter_quoted_read(struct cairn_filter_reader *reader,
                                       struct cairn_slice *ret_value, struct cairn_err *err)
{
    struct cairn_slice text = reader->rest;
    size_t end = 0;
    while (end < text.size && text.data[end] != '"') {
        end += text.data[end] == '\\' ? 2 : 1;
    }
    if (end >= text.size) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "a quoted element has no closing quote");
    }
    char *value = cairn_arena_alloc(reader->arena, end + 1);
    if (value == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a list of values");
    }
    size_t size = 0;
    for (size_t i = 0; i < end; i++) {
        i += text.data[i] == '\\' ? 1u : 0u;
        value[size++] = text.data[i];
    }
    assert(size <= end);
    *ret_value = cairn_slice_of(value, size);
    reader->rest = cairn_slice_of(text.data + end + 1, text.size - end - 1);
    return CAIRN_OK;
}

enum cairn_rc cairn_filter_element_read(struct cairn_filter_reader *reader,
                                        struct cairn_slice *ret_value, struct cairn_err *err)
{
    if (!cairn_filter_eat(reader, "\"")) {
        read_plain(reader, ret_value);
        return CAIRN_OK;
    }
    struct cairn_slice value;
    enum cairn_rc rc = cairn_filter_quoted_read(reader, &value, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (!at_end(reader)) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "text behind a quoted element");
    }
    *ret_value = value;
    return CAIRN_OK;
}

enum cairn_rc cairn_filter_list_read(struct cairn_filter_reader *reader,
                                     struct cairn_view_filter *filter, struct cairn_err *err)
{
    if (!cairn_filter_eat(reader, "(")) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "in wants a list: in.(a,b,\"c,d\")");
    }
    if (cairn_slice_starts(reader->rest, CAIRN_SLICE_LIT(")"))) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "the list of in is empty; in.(\"\") is empty text");
    }
    struct cairn_slice *values = NULL;
    size_t count = 0;
    size_t cap = 0;
    do {
        if (count == CAIRN_VIEW_VALUES_MAX) {
            return CAIRN_FAIL(err, CAIRN_EQUERY, "a list has more than %d elements",
                              CAIRN_VIEW_VALUES_MAX);
        }
        values = cairn_filter_grow(reader->arena, values, count, &cap, sizeof(*values));
        if (values == NULL) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "a list of values");
        }
        enum cairn_rc rc = cairn_filter_element_read(reader, &values[count], err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        count++;
    } while (cairn_filter_eat(reader, ","));
    if (!cairn_filter_eat(reader, ")")) {
        return CAIRN_FAIL(err, CAIRN_EQUERY, "a list has no closing ')'");
    }
    filter->values = values;
    filter->value_count = count;
    return CAIRN_OK;
}
