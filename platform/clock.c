#include "platform/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <time.h>

#define US_PER_S  1000000
#define S_PER_DAY 86400
/* Days from 0000-03-01, where the computing year starts, to 1970-01-01. */
#define DAYS_TO_EPOCH 719468
/* 400 years of the Gregorian calendar. */
#define DAYS_PER_ERA 146097
#define YEAR_MAX     9999
/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z. */
#define TIME_MIN_US INT64_C(-62167219200000000)
#define TIME_MAX_US INT64_C(253402300799999999)

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    int rc = clock_gettime(id, &now);
    assert(rc == 0);
    (void)rc;
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_now_us(void *self)
{
    (void)self;
    return read_ns(CLOCK_REALTIME) / 1000;
}

static int64_t system_monotonic_ns(void *self)
{
    (void)self;
    return read_ns(CLOCK_MONOTONIC);
}

const struct cairn_clock *cairn_clock_system(void)
{
    static const struct cairn_clock system = {system_now_us, system_monotonic_ns, NULL};
    return &system;
}

struct date {
    int64_t year; /* 0..9999 */
    int month;    /* 1..12 */
    int day;      /* 1..31 */
};

/* Day number of a date, 0 = 1970-01-01, in the proleptic Gregorian calendar. Years start in March,
 * so that the leap day is a year's last. */
static int64_t days_of(struct date date)
{
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

/* The inverse of days_of. */
static struct date date_of(int64_t days)
{
    days += DAYS_TO_EPOCH;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct date date = {.year = year_of_era + era * 400,
                        .month = (int)(month < 10 ? month + 3 : month - 9),
                        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1)};
    date.year += date.month <= 2 ? 1 : 0;
    return date;
}

/* `width` decimal digits of number at out. */
static void put_digits(char *out, int64_t number, int width)
{
    assert(number >= 0);
    for (int i = width - 1; i >= 0; i--) {
        out[i] = (char)('0' + number % 10);
        number /= 10;
    }
    assert(number == 0);
}

size_t cairn_clock_format(int64_t time_us, char out[CAIRN_TIME_TEXT_MAX])
{
    static const char form[] = "0000-00-00T00:00:00.000000Z";
    static_assert(sizeof(form) <= CAIRN_TIME_TEXT_MAX, "the text fits");
    time_us = time_us < TIME_MIN_US ? TIME_MIN_US : time_us;
    time_us = time_us > TIME_MAX_US ? TIME_MAX_US : time_us;
    int64_t us = time_us % US_PER_S;
    int64_t seconds = time_us / US_PER_S;
    if (us < 0) {
        us += US_PER_S;
        seconds--;
    }
    int64_t second_of_day = seconds % S_PER_DAY;
    int64_t days = seconds / S_PER_DAY;
    if (second_of_day < 0) {
        second_of_day += S_PER_DAY;
        days--;
    }
    struct date date = date_of(days);
    memcpy(out, form, sizeof(form));
    put_digits(out, date.year, 4);
    put_digits(out + 5, date.month, 2);
    put_digits(out + 8, date.day, 2);
    put_digits(out + 11, second_of_day / 3600, 2);
    put_digits(out + 14, second_of_day / 60 % 60, 2);
    put_digits(out + 17, second_of_day % 60, 2);
    put_digits(out + 20, us, 6);
    return sizeof(form) - 1;
}

/* What is left to read, and whether all was well so far. */
struct reader {
    struct cairn_slice rest;
    bool failed;
};

static bool take_any(struct reader *reader, const char *bytes, char *ret_byte)
{
    if (reader->failed || reader->rest.size == 0 || reader->rest.data[0] == '\0' ||
        strchr(bytes, reader->rest.data[0]) == NULL) {
        return false;
    }
    *ret_byte = reader->rest.data[0];
    reader->rest = cairn_slice_of(reader->rest.data + 1, reader->rest.size - 1);
    return true;
}

static void expect(struct reader *reader, const char *bytes)
{
    char byte;
    reader->failed = !take_any(reader, bytes, &byte);
}

/* A number of exactly `width` digits in low..high. */
static int take_number(struct reader *reader, int width, int low, int high)
{
    int number = 0;
    for (int i = 0; i < width; i++) {
        char digit = '0';
        if (!take_any(reader, "0123456789", &digit)) {
            reader->failed = true;
        }
        number = number * 10 + (digit - '0');
    }
    if (number < low || number > high) {
        reader->failed = true;
    }
    return number;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* An optional fraction of a second in microseconds; digits behind the sixth are cut. */
static int64_t take_fraction(struct reader *reader)
{
    char byte;
    if (!take_any(reader, ".", &byte)) {
        return 0;
    }
    int64_t us = 0;
    int64_t unit = US_PER_S / 10;
    size_t before = reader->rest.size;
    while (take_any(reader, "0123456789", &byte)) {
        us += (byte - '0') * unit;
        unit /= 10;
    }
    if (reader->rest.size == before) {
        reader->failed = true;
    }
    return us;
}

/* "Z" or an offset, in seconds east of UTC. */
static int64_t take_offset(struct reader *reader)
{
    char sign = 'Z';
    if (!take_any(reader, "Zz+-", &sign)) {
        reader->failed = true;
    }
    if (sign == 'Z' || sign == 'z') {
        return 0;
    }
    int hours = take_number(reader, 2, 0, 23);
    expect(reader, ":");
    int minutes = take_number(reader, 2, 0, 59);
    return (sign == '-' ? -1 : 1) * (int64_t)(hours * 3600 + minutes * 60);
}

enum cairn_rc cairn_clock_parse(struct cairn_slice text, int64_t *ret_time_us)
{
    assert(ret_time_us != NULL);
    struct reader reader = {text, false};
    struct date date = {.year = take_number(&reader, 4, 0, YEAR_MAX)};
    expect(&reader, "-");
    date.month = take_number(&reader, 2, 1, 12);
    expect(&reader, "-");
    date.day = take_number(&reader, 2, 1, 31);
    expect(&reader, "Tt ");
    int hour = take_number(&reader, 2, 0, 23);
    expect(&reader, ":");
    int minute = take_number(&reader, 2, 0, 59);
    expect(&reader, ":");
    int second = take_number(&reader, 2, 0, 60);
    int64_t us = take_fraction(&reader);
    int64_t offset = take_offset(&reader);
    if (reader.failed || reader.rest.size > 0 || date.day > days_in_month(date.year, date.month)) {
        return CAIRN_EINVAL;
    }
    int second_of_day = hour * 3600 + minute * 60 + second;
    int64_t seconds = days_of(date) * S_PER_DAY + second_of_day - offset;
    /* A leap second ends a UTC day; POSIX time has none, so it counts as the second after it. */
    if (second == 60 && seconds % S_PER_DAY != 0) {
        return CAIRN_EINVAL;
    }
    int64_t time_us = seconds * US_PER_S + us;
    if (time_us < TIME_MIN_US || time_us > TIME_MAX_US) {
        return CAIRN_EINVAL;
    }
    *ret_time_us = time_us;
    return CAIRN_OK;
}
