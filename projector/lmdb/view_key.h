/* Keys of the view store's tables, and the order-preserving form of a value inside an index key.
 *
 * A row's key is the view's key as it is. An index entry's key is
 *
 *   offset  size     what
 *   0       1        index number, in the order the view declares its indexes
 *   1       1..107   the value's form, below; no form is the beginning of another
 *   ..      1..400   the row's key
 *
 * and its value is empty. Forms, in memcmp order:
 *
 *   class            bytes
 *   false            10
 *   true             11
 *   number           20, 8 bytes: the largest double not above it, sign-folded, big-endian,
 *                    2 bytes: what is left (0..2047; 0 for a double), big-endian
 *   string           30, bytes with 00 written as 00 FF, then 00 00; cut at 104 of them, then 00 01
 *   array or map     40
 *   null or absent   50
 *
 * So 1 and 1.0 are one form, 2^53 and 2^53 + 1 are two, and a row without the value sorts last. Two
 * strings that begin with the same 104 bytes share a form: they order by the row's key, and a
 * filter looks at the row itself. thread: any. */
#ifndef CAIRN_PROJECTOR_LMDB_VIEW_KEY_H
#define CAIRN_PROJECTOR_LMDB_VIEW_KEY_H

#include "projector/view_read.h"

#define CAIRN_VIEW_FORM_TEXT_MAX 104 /* escaped bytes of a string that an index key keeps */
#define CAIRN_VIEW_FORM_MAX      (1 + CAIRN_VIEW_FORM_TEXT_MAX + 2)
#define CAIRN_VIEW_ENTRY_MAX     (1 + CAIRN_VIEW_FORM_MAX + CAIRN_VIEW_KEY_BYTES_MAX)

enum cairn_view_class {
    CAIRN_CLASS_FALSE = 0x10,
    CAIRN_CLASS_TRUE = 0x11,
    CAIRN_CLASS_NUMBER = 0x20,
    CAIRN_CLASS_STRING = 0x30,
    CAIRN_CLASS_OTHER = 0x40,
    CAIRN_CLASS_NULL = 0x50,
    CAIRN_CLASS_END = 0x51
};

/* The form of a value. */
struct cairn_view_form {
    unsigned char bytes[CAIRN_VIEW_FORM_MAX];
    size_t size;
    bool cut; /* a string longer than the form keeps */
};

static inline struct cairn_slice cairn_view_form_slice(const struct cairn_view_form *form)
{
    return (struct cairn_slice){(const char *)form->bytes, form->size};
}

/* value: NULL for absent. Numbers must be no NaN. */
void cairn_view_form_of(const struct cairn_value *value, struct cairn_view_form *ret_form);

/* The key of an index entry. */
struct cairn_view_entry {
    unsigned char bytes[CAIRN_VIEW_ENTRY_MAX];
    size_t size;
};

static inline struct cairn_slice cairn_view_entry_slice(const struct cairn_view_entry *entry)
{
    return (struct cairn_slice){(const char *)entry->bytes, entry->size};
}

/* index: < CAIRN_VIEW_INDEXES_MAX; key: 1..400 bytes. */
void cairn_view_entry_of(unsigned index, struct cairn_slice form, struct cairn_slice key,
                         struct cairn_view_entry *ret_entry);

/* Take an entry's key apart; the slices point into it. ECORRUPT when it is none. */
CAIRN_MUST_CHECK enum cairn_rc cairn_view_entry_split(struct cairn_slice entry,
                                                      struct cairn_slice *ret_form,
                                                      struct cairn_slice *ret_key,
                                                      struct cairn_err *err);

/* How many bytes of bytes[0..size) are one whole form; 0 when they do not begin with one. */
size_t cairn_view_form_size(struct cairn_slice bytes);

#endif
