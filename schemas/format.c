#include "schemas/format.h"

#include <assert.h>

#include "schemas/format_int.h"
#include "schemas/schema_regex.h"

/* RFC 4122: 8-4-4-4-12 hexadecimal digits of any version. */
static bool is_uuid(struct cairn_slice text)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (text.size != sizeof(shape) - 1) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        bool fits = shape[i] == '-' ? text.data[i] == '-' : cairn_format_is_hex(text.data[i]);
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* RFC 6901. */
static bool is_json_pointer(struct cairn_slice text)
{
    if (text.size > 0 && text.data[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '~' &&
            (i + 1 == text.size || (text.data[i + 1] != '0' && text.data[i + 1] != '1'))) {
            return false;
        }
    }
    return true;
}

/* A number without leading zeros, then '#' or a JSON Pointer. */
static bool is_relative_json_pointer(struct cairn_slice text)
{
    size_t digits = 0;
    while (digits < text.size && cairn_format_is_digit(text.data[digits])) {
        digits++;
    }
    if (digits == 0 || (digits > 1 && text.data[0] == '0')) {
        return false;
    }
    struct cairn_slice rest = cairn_format_skip(text, digits);
    return cairn_slice_is(rest, "#") || is_json_pointer(rest);
}

static const struct cairn_format formats[] = {
    {"date-time", "a date and time with a zone (2024-02-29T12:00:00Z)", cairn_format_is_date_time},
    {"date", "a date (2024-02-29)", cairn_format_is_date},
    {"time", "a time with a zone (12:00:00Z)", cairn_format_is_time},
    {"duration", "a duration (P1DT12H)", cairn_format_is_duration},
    {"email", "an e-mail address", cairn_format_is_email},
    {"idn-email", "an e-mail address", cairn_format_is_idn_email},
    {"hostname", "a host name", cairn_format_is_hostname},
    {"ipv4", "an IPv4 address", cairn_format_is_ipv4},
    {"ipv6", "an IPv6 address", cairn_format_is_ipv6},
    {"uri", "a URI", cairn_format_is_uri},
    {"uri-reference", "a URI reference", cairn_format_is_uri_reference},
    {"iri", "an IRI", cairn_format_is_iri},
    {"iri-reference", "an IRI reference", cairn_format_is_iri_reference},
    {"uri-template", "a URI template", cairn_format_is_uri_template},
    {"uuid", "a UUID", is_uuid},
    {"json-pointer", "a JSON Pointer", is_json_pointer},
    {"relative-json-pointer", "a relative JSON Pointer", is_relative_json_pointer},
    {"regex", "a regular expression (ECMA-262)", cairn_schema_regex_is_valid},
};

const struct cairn_format *cairn_format_table(size_t *ret_count)
{
    assert(ret_count != NULL);
    *ret_count = sizeof(formats) / sizeof(formats[0]);
    return formats;
}

const struct cairn_format *cairn_format_find(struct cairn_slice name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (cairn_slice_is(name, formats[i].name)) {
            return &formats[i];
        }
    }
    return NULL;
}
