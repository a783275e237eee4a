/* The tests behind the table of formats. For the format files of this folder. */
#ifndef CAIRN_SCHEMAS_FORMAT_INT_H
#define CAIRN_SCHEMAS_FORMAT_INT_H

#include "schemas/format.h"

/* format_time.c */
cairn_format_fn cairn_format_is_date;
cairn_format_fn cairn_format_is_time;
cairn_format_fn cairn_format_is_date_time;
cairn_format_fn cairn_format_is_duration;
/* format_net.c */
cairn_format_fn cairn_format_is_hostname;
cairn_format_fn cairn_format_is_ipv4;
cairn_format_fn cairn_format_is_ipv6;
cairn_format_fn cairn_format_is_email;
cairn_format_fn cairn_format_is_idn_email;
/* format_uri.c */
cairn_format_fn cairn_format_is_uri;
cairn_format_fn cairn_format_is_uri_reference;
cairn_format_fn cairn_format_is_iri;
cairn_format_fn cairn_format_is_iri_reference;
cairn_format_fn cairn_format_is_uri_template;

static inline bool cairn_format_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool cairn_format_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool cairn_format_is_hex(char c)
{
    return cairn_format_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Is c one of the characters of set, NUL never being? */
static inline bool cairn_format_is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Without its first `size` bytes. */
static inline struct cairn_slice cairn_format_skip(struct cairn_slice text, size_t size)
{
    return cairn_slice_of(text.data + size, text.size - size);
}

#endif
