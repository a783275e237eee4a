#include "schemas/format_int.h"

/* RFC 3339. */

/* The two digits at `at` as a number, -1 when they are none. */
static int two_digits(struct cairn_slice text, size_t at)
{
    if (text.size < at + 2 || !cairn_format_is_digit(text.data[at]) ||
        !cairn_format_is_digit(text.data[at + 1])) {
        return -1;
    }
    return (text.data[at] - '0') * 10 + (text.data[at + 1] - '0');
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool cairn_format_is_date(struct cairn_slice text)
{
    int century = two_digits(text, 0);
    int year = two_digits(text, 2);
    if (text.size != 10 || century < 0 || year < 0 || text.data[4] != '-' || text.data[7] != '-') {
        return false;
    }
    int month = two_digits(text, 5);
    int day = two_digits(text, 8);
    return month >= 1 && month <= 12 && day >= 1 && day <= days_of(century * 100 + year, month);
}

/* "Z" or "+hh:mm"; *ret_minutes is what is to be added to UTC. */
static bool read_zone(struct cairn_slice text, int *ret_minutes)
{
    if (text.size == 1 && (text.data[0] == 'Z' || text.data[0] == 'z')) {
        *ret_minutes = 0;
        return true;
    }
    int hours = two_digits(text, 1);
    int minutes = two_digits(text, 4);
    if (text.size != 6 || (text.data[0] != '+' && text.data[0] != '-') || text.data[3] != ':' ||
        hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    *ret_minutes = (hours * 60 + minutes) * (text.data[0] == '-' ? -1 : 1);
    return true;
}

/* A leap second comes at the end of a day of UTC only. */
static bool is_last_minute(int hour, int minute, int zone_minutes)
{
    enum { DAY = 24 * 60 };
    return (hour * 60 + minute - zone_minutes + 2 * DAY) % DAY == DAY - 1;
}

bool cairn_format_is_time(struct cairn_slice text)
{
    int hour = two_digits(text, 0);
    int minute = two_digits(text, 3);
    int second = two_digits(text, 6);
    if (text.size < 9 || text.data[2] != ':' || text.data[5] != ':' || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    size_t at = 8;
    if (text.data[at] == '.') {
        at++;
        while (at < text.size && cairn_format_is_digit(text.data[at])) {
            at++;
        }
        if (at == 9) {
            return false;
        }
    }
    int zone = 0;
    return read_zone(cairn_format_skip(text, at), &zone) &&
           (second < 60 || is_last_minute(hour, minute, zone));
}

bool cairn_format_is_date_time(struct cairn_slice text)
{
    return text.size > 11 && (text.data[10] == 'T' || text.data[10] == 't') &&
           cairn_format_is_date(cairn_slice_of(text.data, 10)) &&
           cairn_format_is_time(cairn_format_skip(text, 11));
}

/* Numbers with units that follow one another in the order of `units`, none left out between two.
 * *ret_count: how many. */
static struct cairn_slice take_units(struct cairn_slice text, const char *units, int *ret_count)
{
    const char *next = NULL;
    *ret_count = 0;
    for (;;) {
        size_t digits = 0;
        while (digits < text.size && cairn_format_is_digit(text.data[digits])) {
            digits++;
        }
        if (digits == 0 || digits == text.size) {
            return text;
        }
        char unit = text.data[digits];
        const char *found = cairn_format_is_in(unit, units) ? strchr(units, unit) : NULL;
        if (found == NULL || (next != NULL && found != next)) {
            return text;
        }
        next = found + 1;
        (*ret_count)++;
        text = cairn_format_skip(text, digits + 1);
    }
}

/* RFC 3339, appendix A: P, then weeks, or a date and perhaps T and a time, or T and a time. */
bool cairn_format_is_duration(struct cairn_slice text)
{
    int dates = 0;
    int times = 0;
    if (text.size < 3 || text.data[0] != 'P') {
        return false;
    }
    struct cairn_slice rest = take_units(cairn_format_skip(text, 1), "W", &dates);
    if (dates == 1) {
        return rest.size == 0;
    }
    rest = take_units(rest, "YMD", &dates);
    if (rest.size == 0) {
        return dates > 0;
    }
    if (rest.data[0] != 'T') {
        return false;
    }
    rest = take_units(cairn_format_skip(rest, 1), "HMS", &times);
    return rest.size == 0 && times > 0;
}
