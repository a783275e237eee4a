#include "platform/json_number.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/mem.h"

enum {
    TOKEN_INLINE = 128, /* bytes of a number that need no heap on the slow path */
    POWER_MAX = 22,     /* 10^22 is the last power of ten that a double holds exactly */
    FRACTION_MAX = 6,   /* digits behind the point that the quick printer tries */
    DIGITS_MAX = 17,    /* significant digits that tell every double from every other */
    SAFE_SCALE = 290    /* 15 digits times ten to less than this: no overflow, no lost bits */
};

#define EXACT_MAX  (UINT64_C(1) << 53)          /* integers below are exact doubles */
#define UNIQUE_MAX (UINT64_C(1000000000000000)) /* 15 digits: no two are the same double */

static const double powers_of_ten[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* What a number is made of. */
struct spelling {
    const char *start;
    const char *end;
    uint64_t digits; /* all of them as one number, right unless overflows */
    int32_t scale;   /* power of ten that digits is to be multiplied with, right unless long */
    bool negative;
    bool overflows; /* digits do not fit 64 bits */
    bool is_float;  /* has '.', 'e' or 'E' */
    bool is_long;   /* an exponent or a fraction of absurd length: leave it to strtod */
};

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *take_digits(const char *at, const char *end, struct spelling *spelling)
{
    uint64_t digits = spelling->digits;
    while (is_digit(at, end)) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (digits > (UINT64_MAX - digit) / 10) {
            spelling->overflows = true;
        }
        digits = digits * 10 + digit;
        at++;
    }
    spelling->digits = digits;
    return at;
}

static const char *take_exponent(const char *at, const char *end, struct spelling *spelling)
{
    bool negative = at < end && *at == '-';
    int32_t exponent = 0;
    if (at < end && (*at == '-' || *at == '+')) {
        at++;
    }
    if (!is_digit(at, end)) {
        spelling->end = at;
        return NULL;
    }
    while (is_digit(at, end)) {
        if (exponent < 100000) {
            exponent = exponent * 10 + (*at - '0');
        } else {
            spelling->is_long = true;
        }
        at++;
    }
    spelling->scale += negative ? -exponent : exponent;
    return at;
}

/* The grammar of RFC 8259, section 6. False with spelling->end at the fault. */
static bool spell(const char *at, const char *end, struct spelling *spelling)
{
    spelling->negative = *at == '-';
    at += spelling->negative ? 1 : 0;
    const char *first = at;
    at = take_digits(at, end, spelling);
    if (at == first || (*first == '0' && at - first > 1)) {
        spelling->end = at == first ? at : first + 1;
        return false;
    }
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        spelling->is_float = true;
        at = take_digits(at, end, spelling);
        if (at == fraction) {
            spelling->end = at;
            return false;
        }
        spelling->is_long = at - fraction > 1000;
        spelling->scale = spelling->is_long ? 0 : -(int32_t)(at - fraction);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        spelling->is_float = true;
        at = take_exponent(at + 1, end, spelling);
        if (at == NULL) {
            return false;
        }
    }
    spelling->end = at;
    return true;
}

/* Clinger's quick path: both operands are exact doubles, so one correctly rounded multiplication or
 * division gives the correctly rounded result. */
static bool is_exact(const struct spelling *spelling)
{
    return !spelling->overflows && !spelling->is_long && spelling->digits <= EXACT_MAX &&
           spelling->scale >= -POWER_MAX && spelling->scale <= POWER_MAX;
}

static enum cairn_rc read_slowly(const struct spelling *spelling, double *ret_number)
{
    char inline_copy[TOKEN_INLINE];
    char *copy = inline_copy;
    size_t size = (size_t)(spelling->end - spelling->start);
    if (size >= sizeof(inline_copy)) {
        copy = cairn_mem_alloc(size + 1);
        if (copy == NULL) {
            return CAIRN_ENOMEM;
        }
    }
    memcpy(copy, spelling->start, size);
    copy[size] = '\0';
    char *stopped = NULL;
    *ret_number = strtod(copy, &stopped);
    assert(stopped == copy + size);
    if (copy != inline_copy) {
        cairn_mem_free(copy);
    }
    return CAIRN_OK;
}

static enum cairn_rc read_float(const struct spelling *spelling, double *ret_number)
{
    if (!is_exact(spelling)) {
        return read_slowly(spelling, ret_number);
    }
    double number = (double)spelling->digits;
    number = spelling->scale < 0 ? number / powers_of_ten[-spelling->scale]
                                 : number * powers_of_ten[spelling->scale];
    *ret_number = spelling->negative ? -number : number;
    return CAIRN_OK;
}

/* The digits from the first that is not 0 to the last that is not 0; DIGITS_MAX + 1 where there are
 * more than DIGITS_MAX. */
static size_t take_significant(const struct spelling *spelling, char digits[DIGITS_MAX])
{
    size_t count = 0; /* with zeros that may turn out to be at the end */
    size_t held = 0;
    for (const char *at = spelling->start; at < spelling->end && *at != 'e' && *at != 'E'; at++) {
        if (*at < '0' || *at > '9' || (*at == '0' && count == 0)) {
            continue;
        }
        if (count < DIGITS_MAX) {
            digits[count] = *at;
        }
        count++;
        held = *at == '0' ? held : count;
    }
    return held > DIGITS_MAX ? DIGITS_MAX + 1 : held;
}

/* Does the double, printed with as many digits, read as it was spelled? */
static bool is_faithful(const struct spelling *spelling, double number)
{
    char digits[DIGITS_MAX];
    char printed[DIGITS_MAX + 16];
    if (!isfinite(number)) {
        return false;
    }
    if (!spelling->overflows && !spelling->is_long && spelling->digits < UNIQUE_MAX &&
        spelling->scale > -SAFE_SCALE && spelling->scale < SAFE_SCALE) {
        return true;
    }
    size_t count = take_significant(spelling, digits);
    if (count == 0 || count > DIGITS_MAX) {
        return count == 0;
    }
    (void)snprintf(printed, sizeof(printed), "%.*e", (int)count - 1, fabs(number));
    return printed[0] == digits[0] &&
           (count == 1 || memcmp(printed + 2, digits + 1, count - 1) == 0);
}

static enum cairn_rc to_float(const struct spelling *spelling, bool decimal,
                              struct cairn_value *ret_value, const char **ret_fault)
{
    double number = 0;
    enum cairn_rc rc = read_float(spelling, &number);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (decimal && !is_faithful(spelling, number)) {
        size_t size = (size_t)(spelling->end - spelling->start);
        *ret_value = cairn_value_decimal(cairn_slice_of(spelling->start, size));
        return CAIRN_OK;
    }
    if (isinf(number)) {
        *ret_fault = "number beyond the range of a double";
        return CAIRN_EMALFORMED;
    }
    *ret_value = cairn_value_float(number);
    return CAIRN_OK;
}

/* An integer has one form; "-0" has none and is the double. */
static enum cairn_rc to_integer(const struct spelling *spelling, bool decimal,
                                struct cairn_value *ret_value, const char **ret_fault)
{
    uint64_t max = spelling->negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX;
    bool is_beyond = spelling->overflows || spelling->digits > max;
    if (is_beyond && decimal) {
        return to_float(spelling, decimal, ret_value, ret_fault);
    }
    if (is_beyond) {
        *ret_fault = "number beyond 64-bit integers";
        return CAIRN_EMALFORMED;
    }
    if (!spelling->negative) {
        *ret_value = cairn_value_uint(spelling->digits);
    } else if (spelling->digits == 0) {
        *ret_value = cairn_value_float(-0.0);
    } else {
        *ret_value = cairn_value_int((int64_t)(0 - spelling->digits));
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_json_read_number(const char **at, const char *end, bool decimal,
                                     struct cairn_value *ret_value, const char **ret_fault)
{
    assert(*at < end);
    struct spelling spelling = {.start = *at};
    if (!spell(*at, end, &spelling)) {
        *at = spelling.end;
        *ret_fault = "malformed number";
        return CAIRN_EMALFORMED;
    }
    enum cairn_rc rc = spelling.is_float ? to_float(&spelling, decimal, ret_value, ret_fault)
                                         : to_integer(&spelling, decimal, ret_value, ret_fault);
    if (rc == CAIRN_OK) {
        *at = spelling.end;
    }
    return rc;
}

/* Decimal digits of `whole`, at least `width` of them, NUL-ended. */
static size_t print_digits(uint64_t whole, int width, char *out)
{
    char digits[24];
    size_t count = 0;
    while (whole > 0 || width > 0) {
        digits[count++] = (char)('0' + whole % 10);
        whole /= 10;
        width--;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = digits[count - 1 - i];
    }
    out[count] = '\0';
    return count;
}

/* Most doubles of real data are short decimals. m / 10^k is correctly rounded and so is reading
 * "m / 10^k" as text; with m under 10^15 no other decimal that short is the same double. */
static size_t print_decimal(double number, char *out)
{
    double magnitude = fabs(number);
    for (int places = 0; places <= FRACTION_MAX; places++) {
        double scaled = magnitude * powers_of_ten[places];
        if (scaled >= (double)UNIQUE_MAX) {
            return 0;
        }
        uint64_t rounded = (uint64_t)(scaled + 0.5);
        if ((double)rounded / powers_of_ten[places] != magnitude) {
            continue;
        }
        uint64_t unit = (uint64_t)powers_of_ten[places];
        size_t size = signbit(number) ? 1 : 0;
        out[0] = '-';
        size += print_digits(rounded / unit, 1, out + size);
        out[size++] = '.';
        return size + print_digits(rounded % unit, places > 0 ? places : 1, out + size);
    }
    return 0;
}

size_t cairn_json_print_double(double number, char out[CAIRN_JSON_DOUBLE_MAX])
{
    assert(isfinite(number));
    size_t quick = print_decimal(number, out);
    if (quick > 0) {
        return quick;
    }
    int size = 0;
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(out, CAIRN_JSON_DOUBLE_MAX, "%.*g", digits, number);
        assert(size > 0 && size + 3 <= CAIRN_JSON_DOUBLE_MAX);
        if (strtod(out, NULL) == number) {
            break;
        }
    }
    if (strpbrk(out, ".e") == NULL) {
        memcpy(out + size, ".0", 3);
        size += 2;
    }
    return (size_t)size;
}
