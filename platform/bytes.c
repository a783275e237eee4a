#include "platform/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "platform/mem.h"

enum { BUF_FIRST_CAP = 64, DECIMAL_MAX = 20 };

int cairn_slice_compare(struct cairn_slice a, struct cairn_slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

bool cairn_slice_starts(struct cairn_slice text, struct cairn_slice prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool cairn_slice_equal_nocase(struct cairn_slice a, struct cairn_slice b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

bool cairn_slice_equal_secret(struct cairn_slice a, struct cairn_slice b)
{
    if (a.size != b.size) {
        return false;
    }
    unsigned char differ = 0;
    for (size_t i = 0; i < a.size; i++) {
        differ = (unsigned char)(differ | ((unsigned char)a.data[i] ^ (unsigned char)b.data[i]));
    }
    return differ == 0;
}

size_t cairn_slice_find(struct cairn_slice text, char byte)
{
    const char *at = text.size == 0 ? NULL : memchr(text.data, byte, text.size);
    return at == NULL ? text.size : (size_t)(at - text.data);
}

struct cairn_slice cairn_slice_take_line(struct cairn_slice *text)
{
    struct cairn_slice line = cairn_slice_of(text->data, cairn_slice_find(*text, '\n'));
    size_t taken = line.size + (line.size < text->size ? 1 : 0);
    if (taken > 0) {
        *text = cairn_slice_of(text->data + taken, text->size - taken);
    }
    return line;
}

struct cairn_slice cairn_slice_trim(struct cairn_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

enum cairn_rc cairn_slice_to_u64(struct cairn_slice text, uint64_t *ret_number)
{
    if (text.size == 0 || text.size > DECIMAL_MAX) {
        return CAIRN_EINVAL;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return CAIRN_EINVAL;
        }
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            return CAIRN_EINVAL;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return CAIRN_OK;
}

enum cairn_rc cairn_slice_to_i64(struct cairn_slice text, int64_t *ret_number)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t number = 0;
    if (negative) {
        text = cairn_slice_of(text.data + 1, text.size - 1);
    }
    if (cairn_slice_to_u64(text, &number) != CAIRN_OK) {
        return CAIRN_EINVAL;
    }
    if (number > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return CAIRN_EINVAL;
    }
    *ret_number = negative ? (int64_t)(0 - number) : (int64_t)number;
    return CAIRN_OK;
}

enum cairn_rc cairn_buf_reserve(struct cairn_buf *buf, size_t more)
{
    assert(buf->max > 0);
    assert(buf->size <= buf->cap);
    if (buf->size > buf->max || more > buf->max - buf->size) {
        return CAIRN_ETOOBIG;
    }
    if (more <= buf->cap - buf->size) {
        return CAIRN_OK;
    }
    size_t wanted = buf->size + more;
    size_t cap = buf->cap < BUF_FIRST_CAP ? BUF_FIRST_CAP : buf->cap;
    while (cap < wanted) {
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    }
    cap = cap > buf->max ? buf->max : cap;
    assert(cap >= wanted);
    char *data = cairn_mem_realloc(buf->data, cap);
    if (data == NULL) {
        return CAIRN_ENOMEM;
    }
    buf->data = data;
    buf->cap = cap;
    return CAIRN_OK;
}

enum cairn_rc cairn_buf_append(struct cairn_buf *buf, struct cairn_slice bytes)
{
    enum cairn_rc rc = cairn_buf_reserve(buf, bytes.size);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (bytes.size > 0) {
        memcpy(buf->data + buf->size, bytes.data, bytes.size);
        buf->size += bytes.size;
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_buf_append_byte(struct cairn_buf *buf, char byte)
{
    enum cairn_rc rc = cairn_buf_reserve(buf, 1);
    if (rc == CAIRN_OK) {
        buf->data[buf->size++] = byte;
    }
    return rc;
}

enum cairn_rc cairn_buf_append_str(struct cairn_buf *buf, const char *text)
{
    return cairn_buf_append(buf, cairn_slice_str(text));
}

enum cairn_rc cairn_buf_printf(struct cairn_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(wanted >= 0);
    /* The terminating NUL needs a byte of room, which is not counted in size. */
    enum cairn_rc rc = cairn_buf_reserve(buf, (size_t)wanted + 1);
    if (rc == CAIRN_OK) {
        (void)vsnprintf(buf->data + buf->size, (size_t)wanted + 1, format, again);
        buf->size += (size_t)wanted;
    }
    va_end(again);
    return rc;
}

static enum cairn_rc append_decimal(struct cairn_buf *buf, bool negative, uint64_t number)
{
    char digits[DECIMAL_MAX + 1];
    size_t at = sizeof(digits);
    do {
        assert(at > 1);
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (negative) {
        digits[--at] = '-';
    }
    return cairn_buf_append(buf, cairn_slice_of(digits + at, sizeof(digits) - at));
}

enum cairn_rc cairn_buf_append_u64(struct cairn_buf *buf, uint64_t number)
{
    return append_decimal(buf, false, number);
}

enum cairn_rc cairn_buf_append_i64(struct cairn_buf *buf, int64_t number)
{
    bool negative = number < 0;
    return append_decimal(buf, negative, negative ? 0 - (uint64_t)number : (uint64_t)number);
}

void cairn_buf_truncate(struct cairn_buf *buf, size_t to)
{
    assert(to <= buf->size);
    buf->size = to;
}

void cairn_buf_fini(struct cairn_buf *buf)
{
    if (buf == NULL) {
        return;
    }
    cairn_mem_free(buf->data);
    buf->data = NULL;
    buf->size = 0;
    buf->cap = 0;
}

void cairn_buf_wipe(struct cairn_buf *buf)
{
    if (buf != NULL && buf->data != NULL) {
        cairn_mem_wipe(buf->data, buf->cap);
    }
    cairn_buf_fini(buf);
}
