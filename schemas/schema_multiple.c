#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "platform/json_number.h"
#include "schemas/schema_program.h"

/* multipleOf by decimals: 0.3 is a multiple of 0.1, as its author means it, though the doubles
 * nearest to them are not multiples of one another. */

struct decimal {
    uint64_t digits; /* without trailing zeros; 0 for 0 */
    int32_t power;   /* of ten */
};

static struct decimal trim(struct decimal decimal)
{
    while (decimal.digits != 0 && decimal.digits % 10 == 0) {
        decimal.digits /= 10;
        decimal.power++;
    }
    return decimal;
}

/* The shortest decimal that is the double: at most 17 digits. */
static struct decimal of_double(double number)
{
    char text[CAIRN_JSON_DOUBLE_MAX];
    struct decimal decimal = {0, 0};
    bool in_fraction = false;
    (void)cairn_json_print_double(fabs(number), text);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == 'e') {
            decimal.power += (int32_t)strtol(at + 1, NULL, 10);
            break;
        }
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        decimal.digits = decimal.digits * 10 + (uint64_t)(*at - '0');
        decimal.power -= in_fraction ? 1 : 0;
    }
    return trim(decimal);
}

static struct decimal of_value(const struct cairn_value *value)
{
    if (value->type == CAIRN_FLOAT) {
        return of_double(value->as.number);
    }
    uint64_t magnitude = value->as.uint;
    if (value->type == CAIRN_INT && value->as.integer < 0) {
        magnitude = 0 - (uint64_t)value->as.integer;
    }
    return trim((struct decimal){magnitude, 0});
}

/* (a + b) mod m, for a and b below m, without overflow. */
static uint64_t add_mod(uint64_t a, uint64_t b, uint64_t m)
{
    return a >= m - b ? a - (m - b) : a + b;
}

bool cairn_schema_is_multiple(const struct cairn_value *value, const struct cairn_value *divisor)
{
    assert(cairn_value_is_number(value));
    assert(cairn_value_is_number(divisor));
    if (value->type == CAIRN_FLOAT && !isfinite(value->as.number)) {
        return false;
    }
    struct decimal number = of_value(value);
    struct decimal unit = of_value(divisor);
    assert(unit.digits > 0);
    if (number.digits == 0) {
        return true;
    }
    /* With no trailing zero left, a number of more decimals than the unit cannot be its multiple.
     */
    if (number.power < unit.power) {
        return false;
    }
    uint64_t rest = number.digits % unit.digits;
    for (int32_t i = number.power - unit.power; i > 0 && rest != 0; i--) {
        uint64_t twice = add_mod(rest, rest, unit.digits);
        uint64_t five_times = add_mod(add_mod(twice, twice, unit.digits), rest, unit.digits);
        rest = add_mod(five_times, five_times, unit.digits);
    }
    return rest == 0;
}
