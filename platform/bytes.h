/* Bytes: a slice borrows, a buf owns.
 *
 * A slice is passed by value, is not NUL-ended, and lives as long as the docstring that hands it
 * out says. A buf has a hard `max`: growing past it is CAIRN_ETOOBIG, never growth. A zeroed buf
 * with max set is ready; cairn_buf_fini is always safe, twice too. thread: owner. */
#ifndef CAIRN_PLATFORM_BYTES_H
#define CAIRN_PLATFORM_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "platform/err.h"

struct cairn_slice {
    const char *data; /* may be NULL when size is 0 */
    size_t size;      /* bytes */
};

#define CAIRN_SLICE_LIT(literal) ((struct cairn_slice){(literal), sizeof(literal) - 1})
#define CAIRN_SLICE_NONE         ((struct cairn_slice){NULL, 0})
/* For printf's "%.*s". */
#define CAIRN_SLICE_ARG(slice) (int)(slice).size, ((slice).data == NULL ? "" : (slice).data)

static inline struct cairn_slice cairn_slice_of(const char *data, size_t size)
{
    return (struct cairn_slice){data, size};
}

static inline struct cairn_slice cairn_slice_str(const char *text)
{
    return (struct cairn_slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool cairn_slice_equal(struct cairn_slice a, struct cairn_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool cairn_slice_is(struct cairn_slice a, const char *text)
{
    return cairn_slice_equal(a, cairn_slice_str(text));
}

/* memcmp order, the shorter first among equals: <0, 0, >0. */
int cairn_slice_compare(struct cairn_slice a, struct cairn_slice b);
bool cairn_slice_starts(struct cairn_slice text, struct cairn_slice prefix);
/* ASCII letters compare without case, as HTTP's field names do. */
bool cairn_slice_equal_nocase(struct cairn_slice a, struct cairn_slice b);
/* Constant in time for equal sizes: for secrets. */
bool cairn_slice_equal_secret(struct cairn_slice a, struct cairn_slice b);
/* Index of the first `byte`, or text.size. */
size_t cairn_slice_find(struct cairn_slice text, char byte);
/* Takes the first line off *text, with its '\n', and returns it without that; the last one may have
 * none. An empty text gives an empty line. */
struct cairn_slice cairn_slice_take_line(struct cairn_slice *text);
/* Without ASCII space and tab at either end. */
struct cairn_slice cairn_slice_trim(struct cairn_slice text);

/* Whole text as a decimal number, no sign, no space. EINVAL when it is none or does not fit. */
CAIRN_MUST_CHECK enum cairn_rc cairn_slice_to_u64(struct cairn_slice text, uint64_t *ret_number);
/* The same with an optional leading '-'. */
CAIRN_MUST_CHECK enum cairn_rc cairn_slice_to_i64(struct cairn_slice text, int64_t *ret_number);

struct cairn_buf {
    char *data;
    size_t size; /* bytes used */
    size_t cap;  /* bytes allocated */
    size_t max;  /* bytes it may ever hold; > 0 */
};

static inline struct cairn_slice cairn_buf_slice(const struct cairn_buf *buf)
{
    return (struct cairn_slice){buf->data, buf->size};
}

/* Room for `more` bytes behind size. ETOOBIG, ENOMEM; the content is untouched. */
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_reserve(struct cairn_buf *buf, size_t more);
/* Copy bytes, which must not lie in buf itself, to the end; all or nothing. ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_append(struct cairn_buf *buf, struct cairn_slice bytes);
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_append_byte(struct cairn_buf *buf, char byte);
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_append_str(struct cairn_buf *buf, const char *text);
/* All or nothing. Takes one byte of room more than it appends, for printf's NUL: a text that would
 * fill buf to the last byte is CAIRN_ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_printf(struct cairn_buf *buf, const char *format, ...)
    CAIRN_PRINTF(2, 3);
/* Decimal, without printf's cost. */
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_append_u64(struct cairn_buf *buf, uint64_t number);
CAIRN_MUST_CHECK enum cairn_rc cairn_buf_append_i64(struct cairn_buf *buf, int64_t number);
/* Drop what is behind size `to`. */
void cairn_buf_truncate(struct cairn_buf *buf, size_t to);
void cairn_buf_fini(struct cairn_buf *buf);
/* The same for a buf that held a secret: its memory is overwritten first. */
void cairn_buf_wipe(struct cairn_buf *buf);

#endif
