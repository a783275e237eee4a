#include "schemas/format_int.h"

/* RFC 3986, and RFC 3987 for IRIs: the same grammar with letters beyond ASCII. */

#define UNRESERVED "-._~"
#define SUB_DELIMS "!$&'()*+,;="

/* Letters, digits, percent sequences, and the characters of `more`. */
static bool is_made_of(struct cairn_slice text, const char *more, bool international)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            if (text.size - i < 3 || !cairn_format_is_hex(text.data[i + 1]) ||
                !cairn_format_is_hex(text.data[i + 2])) {
                return false;
            }
            i += 2;
            continue;
        }
        bool fits = cairn_format_is_letter(c) || cairn_format_is_digit(c) ||
                    cairn_format_is_in(c, more) || (international && (unsigned char)c >= 0x80);
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* The part before the first character of `stops`; text is moved behind it. */
static struct cairn_slice take_until(struct cairn_slice *text, const char *stops)
{
    size_t size = 0;
    while (size < text->size && !cairn_format_is_in(text->data[size], stops)) {
        size++;
    }
    struct cairn_slice part = cairn_slice_of(text->data, size);
    *text = cairn_format_skip(*text, size);
    return part;
}

static bool is_port(struct cairn_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!cairn_format_is_digit(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* "[...]": IPv6, or "v1.something". */
static bool is_ip_literal(struct cairn_slice text)
{
    if (text.size > 3 && (text.data[0] == 'v' || text.data[0] == 'V')) {
        struct cairn_slice rest = cairn_format_skip(text, 1);
        struct cairn_slice version = take_until(&rest, ".");
        bool is_hex = version.size > 0;
        for (size_t i = 0; i < version.size; i++) {
            is_hex = is_hex && cairn_format_is_hex(version.data[i]);
        }
        return is_hex && rest.size > 1 &&
               is_made_of(cairn_format_skip(rest, 1), UNRESERVED SUB_DELIMS ":", false) &&
               cairn_slice_find(rest, '%') == rest.size;
    }
    return cairn_format_is_ipv6(text);
}

static bool is_authority(struct cairn_slice text, bool international)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != '@') {
        at--;
    }
    if (at > 0) {
        struct cairn_slice user = cairn_slice_of(text.data, at - 1);
        if (!is_made_of(user, UNRESERVED SUB_DELIMS ":", international)) {
            return false;
        }
        text = cairn_format_skip(text, at);
    }
    if (text.size > 0 && text.data[0] == '[') {
        size_t close = cairn_slice_find(text, ']');
        if (close == text.size || !is_ip_literal(cairn_slice_of(text.data + 1, close - 1))) {
            return false;
        }
        text = cairn_format_skip(text, close + 1);
    } else {
        struct cairn_slice host = take_until(&text, ":");
        if (!is_made_of(host, UNRESERVED SUB_DELIMS, international)) {
            return false;
        }
    }
    return text.size == 0 || (text.data[0] == ':' && is_port(cairn_format_skip(text, 1)));
}

/* Bytes of "scheme:", 0 when there is none. */
static size_t scheme_size(struct cairn_slice text)
{
    size_t colon = cairn_slice_find(text, ':');
    if (colon == text.size || colon == 0 || !cairn_format_is_letter(text.data[0])) {
        return 0;
    }
    for (size_t i = 1; i < colon; i++) {
        char c = text.data[i];
        if (!cairn_format_is_letter(c) && !cairn_format_is_digit(c) &&
            !cairn_format_is_in(c, "+-.")) {
            return 0;
        }
    }
    return colon + 1;
}

static bool is_reference(struct cairn_slice text, bool scheme_needed, bool international)
{
    size_t scheme = scheme_size(text);
    if (scheme == 0 && scheme_needed) {
        return false;
    }
    text = cairn_format_skip(text, scheme);
    bool has_authority = cairn_slice_starts(text, CAIRN_SLICE_LIT("//"));
    if (has_authority) {
        text = cairn_format_skip(text, 2);
        if (!is_authority(take_until(&text, "/?#"), international)) {
            return false;
        }
    }
    struct cairn_slice path = take_until(&text, "?#");
    if (!is_made_of(path, UNRESERVED SUB_DELIMS ":@/", international)) {
        return false;
    }
    /* Without a scheme, a colon in the first segment would be read as one. */
    size_t colon = cairn_slice_find(path, ':');
    if (scheme == 0 && !has_authority && colon < cairn_slice_find(path, '/')) {
        return false;
    }
    if (text.size > 0 && text.data[0] == '?') {
        text = cairn_format_skip(text, 1);
        if (!is_made_of(take_until(&text, "#"), UNRESERVED SUB_DELIMS ":@/?", international)) {
            return false;
        }
    }
    return text.size == 0 ||
           is_made_of(cairn_format_skip(text, 1), UNRESERVED SUB_DELIMS ":@/?", international);
}

bool cairn_format_is_uri(struct cairn_slice text)
{
    return is_reference(text, true, false);
}

bool cairn_format_is_uri_reference(struct cairn_slice text)
{
    return is_reference(text, false, false);
}

bool cairn_format_is_iri(struct cairn_slice text)
{
    return is_reference(text, true, true);
}

bool cairn_format_is_iri_reference(struct cairn_slice text)
{
    return is_reference(text, false, true);
}

/* name, name*, or name:1 to name:9999. */
static bool is_variable(struct cairn_slice text)
{
    struct cairn_slice name = take_until(&text, ":*");
    if (name.size == 0 || name.data[0] == '.' || !is_made_of(name, "_.", false)) {
        return false;
    }
    if (text.size == 0 || cairn_slice_is(text, "*")) {
        return true;
    }
    uint64_t length = 0;
    struct cairn_slice digits = cairn_format_skip(text, 1);
    return text.data[0] == ':' && digits.size <= 4 &&
           cairn_slice_to_u64(digits, &length) == CAIRN_OK && digits.data[0] != '0';
}

/* What stands between braces: an operator or none, then variables. */
static bool is_expression(struct cairn_slice text)
{
    if (text.size > 0 && cairn_format_is_in(text.data[0], "+#./;?&=,!@|")) {
        text = cairn_format_skip(text, 1);
    }
    for (;;) {
        if (!is_variable(take_until(&text, ","))) {
            return false;
        }
        if (text.size == 0) {
            return true;
        }
        text = cairn_format_skip(text, 1);
    }
}

/* RFC 6570. */
bool cairn_format_is_uri_template(struct cairn_slice text)
{
    while (text.size > 0) {
        struct cairn_slice literal = take_until(&text, "{}");
        for (size_t i = 0; i < literal.size; i++) {
            unsigned char c = (unsigned char)literal.data[i];
            if (c <= 0x20 || c == 0x7f || cairn_format_is_in((char)c, "\"'<>\\^`|")) {
                return false;
            }
        }
        if (text.size == 0) {
            break;
        }
        size_t close = cairn_slice_find(text, '}');
        if (text.data[0] != '{' || close == text.size ||
            !is_expression(cairn_slice_of(text.data + 1, close - 1))) {
            return false;
        }
        text = cairn_format_skip(text, close + 1);
    }
    return true;
}
