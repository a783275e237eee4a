#include "projector/lmdb/view_key.h"

#include <assert.h>
#include <math.h>

#define TWO_POW_63 9223372036854775808.0
#define TWO_POW_64 18446744073709551616.0
/* Doubles next to each other below 2^64 are at most 2048 apart. */
#define REST_MAX    2047u
#define NUMBER_SIZE 11u

static_assert(CAIRN_VIEW_ENTRY_MAX <= 511, "LMDB's longest key");

/* The largest double not above an integer, and how far the integer is above it. */
static double floor_int(int64_t integer, unsigned *ret_rest)
{
    double below = (double)integer;
    if (below >= TWO_POW_63 || (int64_t)below > integer) {
        below = nextafter(below, -HUGE_VAL);
    }
    uint64_t rest = (uint64_t)integer - (uint64_t)(int64_t)below;
    assert(rest <= REST_MAX);
    *ret_rest = (unsigned)rest;
    return below;
}

static double floor_uint(uint64_t integer, unsigned *ret_rest)
{
    double below = (double)integer;
    if (below >= TWO_POW_64 || (uint64_t)below > integer) {
        below = nextafter(below, -HUGE_VAL);
    }
    uint64_t rest = integer - (uint64_t)below;
    assert(rest <= REST_MAX);
    *ret_rest = (unsigned)rest;
    return below;
}

static void form_number(const struct cairn_value *value, struct cairn_view_form *form)
{
    unsigned rest = 0;
    double below = 0;
    if (value->type == CAIRN_INT) {
        below = floor_int(value->as.integer, &rest);
    } else if (value->type == CAIRN_UINT) {
        below = floor_uint(value->as.uint, &rest);
    } else {
        assert(value->type == CAIRN_FLOAT);
        below = value->as.number;
    }
    assert(!isnan(below));
    if (below == 0) {
        below = 0; /* -0.0 and 0 are one number */
    }
    uint64_t bits;
    memcpy(&bits, &below, sizeof bits);
    /* Folded, so that negative numbers sort below positive ones and among themselves. */
    bits = (bits >> 63) != 0 ? ~bits : bits | (UINT64_C(1) << 63);
    form->bytes[0] = CAIRN_CLASS_NUMBER;
    for (unsigned i = 0; i < 8; i++) {
        form->bytes[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
    }
    form->bytes[9] = (unsigned char)(rest >> 8);
    form->bytes[10] = (unsigned char)rest;
    form->size = NUMBER_SIZE;
}

static void form_text(struct cairn_slice text, struct cairn_view_form *form)
{
    size_t used = 0;
    unsigned char *out = form->bytes + 1;
    form->bytes[0] = CAIRN_CLASS_STRING;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        size_t need = byte == 0 ? 2 : 1;
        if (need > CAIRN_VIEW_FORM_TEXT_MAX - used) {
            form->cut = true;
            break;
        }
        out[used++] = byte;
        if (byte == 0) {
            out[used++] = 0xFF;
        }
    }
    /* A cut string is longer than a whole one with the same bytes, so its end sorts behind. */
    out[used++] = 0;
    out[used++] = form->cut ? 1 : 0;
    form->size = 1 + used;
    assert(form->size <= CAIRN_VIEW_FORM_MAX);
}

static void form_class(enum cairn_view_class class, struct cairn_view_form *form)
{
    form->bytes[0] = (unsigned char)class;
    form->size = 1;
}

void cairn_view_form_of(const struct cairn_value *value, struct cairn_view_form *ret_form)
{
    assert(ret_form != NULL);
    ret_form->cut = false;
    if (value == NULL || value->type == CAIRN_NULL) {
        form_class(CAIRN_CLASS_NULL, ret_form);
    } else if (value->type == CAIRN_BOOL) {
        form_class(value->as.boolean ? CAIRN_CLASS_TRUE : CAIRN_CLASS_FALSE, ret_form);
    } else if (cairn_value_is_number(value)) {
        form_number(value, ret_form);
    } else if (value->type == CAIRN_STRING) {
        form_text(cairn_value_slice(value), ret_form);
    } else {
        form_class(CAIRN_CLASS_OTHER, ret_form);
    }
    assert(ret_form->size > 0);
}

void cairn_view_entry_of(unsigned index, struct cairn_slice form, struct cairn_slice key,
                         struct cairn_view_entry *ret_entry)
{
    assert(index < CAIRN_VIEW_INDEXES_MAX && form.size > 0 && form.size <= CAIRN_VIEW_FORM_MAX);
    assert(key.size > 0 && key.size <= CAIRN_VIEW_KEY_BYTES_MAX);
    ret_entry->bytes[0] = (unsigned char)index;
    memcpy(ret_entry->bytes + 1, form.data, form.size);
    memcpy(ret_entry->bytes + 1 + form.size, key.data, key.size);
    ret_entry->size = 1 + form.size + key.size;
}

/* The size of a string's form: up to and with its end mark. */
static size_t text_form_size(struct cairn_slice bytes)
{
    for (size_t i = 1; i + 1 < bytes.size && i <= CAIRN_VIEW_FORM_TEXT_MAX + 1; i++) {
        if (bytes.data[i] != 0) {
            continue;
        }
        unsigned char next = (unsigned char)bytes.data[i + 1];
        if (next <= 1) {
            return i + 2;
        }
        if (next != 0xFF) {
            return 0;
        }
        i++;
    }
    return 0;
}

size_t cairn_view_form_size(struct cairn_slice bytes)
{
    if (bytes.size == 0) {
        return 0;
    }
    switch ((unsigned char)bytes.data[0]) {
    case CAIRN_CLASS_FALSE:
    case CAIRN_CLASS_TRUE:
    case CAIRN_CLASS_OTHER:
    case CAIRN_CLASS_NULL:
        return 1;
    case CAIRN_CLASS_NUMBER:
        return bytes.size >= NUMBER_SIZE ? NUMBER_SIZE : 0;
    case CAIRN_CLASS_STRING:
        return text_form_size(bytes);
    default:
        return 0;
    }
}

enum cairn_rc cairn_view_entry_split(struct cairn_slice entry, struct cairn_slice *ret_form,
                                     struct cairn_slice *ret_key, struct cairn_err *err)
{
    assert(ret_form != NULL && ret_key != NULL);
    struct cairn_slice rest =
        entry.size > 0 ? cairn_slice_of(entry.data + 1, entry.size - 1) : CAIRN_SLICE_NONE;
    size_t size = cairn_view_form_size(rest);
    if (size == 0 || size >= rest.size || rest.size - size > CAIRN_VIEW_KEY_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "an index entry of %zu bytes has no known form",
                          entry.size);
    }
    *ret_form = cairn_slice_of(rest.data, size);
    *ret_key = cairn_slice_of(rest.data + size, rest.size - size);
    return CAIRN_OK;
}
