#include "schemas/format_int.h"

enum { LABEL_MAX = 63, HOSTNAME_MAX = 253, LOCAL_PART_MAX = 64 };

static bool is_label(struct cairn_slice label)
{
    if (label.size == 0 || label.size > LABEL_MAX || label.data[0] == '-' ||
        label.data[label.size - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.size; i++) {
        char c = label.data[i];
        if (!cairn_format_is_letter(c) && !cairn_format_is_digit(c) && c != '-') {
            return false;
        }
    }
    /* Hyphens at the third and fourth place are kept for encodings, of which there is one. */
    return label.size < 4 || label.data[2] != '-' || label.data[3] != '-' ||
           (cairn_slice_equal_nocase(cairn_slice_of(label.data, 4), CAIRN_SLICE_LIT("xn--")) &&
            label.size > 4);
}

/* RFC 1123, section 2.1. */
bool cairn_format_is_hostname(struct cairn_slice text)
{
    if (text.size == 0 || text.size > HOSTNAME_MAX) {
        return false;
    }
    for (;;) {
        size_t size = cairn_slice_find(text, '.');
        if (!is_label(cairn_slice_of(text.data, size))) {
            return false;
        }
        if (size == text.size) {
            return true;
        }
        text = cairn_format_skip(text, size + 1);
    }
}

/* RFC 2673, section 3.2: four numbers up to 255, no leading zeros. */
bool cairn_format_is_ipv4(struct cairn_slice text)
{
    for (int part = 0; part < 4; part++) {
        size_t size = part < 3 ? cairn_slice_find(text, '.') : text.size;
        uint64_t number = 0;
        if (size == 0 || size > 3 || (size > 1 && text.data[0] == '0') ||
            (part < 3 && size == text.size) ||
            cairn_slice_to_u64(cairn_slice_of(text.data, size), &number) != CAIRN_OK ||
            number > 255) {
            return false;
        }
        text = cairn_format_skip(text, part < 3 ? size + 1 : size);
    }
    return true;
}

/* Groups of one to four hexadecimal digits between colons; the last may be an IPv4 address, which
 * counts two. -1: something else. */
static int count_groups(struct cairn_slice text, bool ipv4_allowed)
{
    int groups = 0;
    while (text.size > 0) {
        size_t size = cairn_slice_find(text, ':');
        if (size == text.size && ipv4_allowed && cairn_format_is_ipv4(text)) {
            return groups + 2;
        }
        for (size_t i = 0; i < size; i++) {
            if (!cairn_format_is_hex(text.data[i])) {
                return -1;
            }
        }
        /* A colon must have a group behind it. */
        if (size == 0 || size > 4 || size + 1 == text.size) {
            return -1;
        }
        groups++;
        text = cairn_format_skip(text, size < text.size ? size + 1 : size);
    }
    return groups;
}

static size_t find_double_colon(struct cairn_slice text)
{
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] == ':' && text.data[i + 1] == ':') {
            return i;
        }
    }
    return text.size;
}

/* RFC 4291, section 2.2. */
bool cairn_format_is_ipv6(struct cairn_slice text)
{
    enum { GROUPS = 8 };
    size_t gap = find_double_colon(text);
    if (gap == text.size) {
        return count_groups(text, true) == GROUPS;
    }
    int before = count_groups(cairn_slice_of(text.data, gap), false);
    int behind = count_groups(cairn_format_skip(text, gap + 2), true);
    return before >= 0 && behind >= 0 && before + behind < GROUPS;
}

/* Characters of an atom; beyond ASCII where that is allowed. */
static bool is_atom_character(char c, bool international)
{
    return cairn_format_is_letter(c) || cairn_format_is_digit(c) ||
           cairn_format_is_in(c, "!#$%&'*+-/=?^_`{|}~") ||
           (international && (unsigned char)c >= 0x80);
}

static bool is_dot_atom(struct cairn_slice text, bool international)
{
    bool after_dot = true;
    for (size_t i = 0; i < text.size; i++) {
        bool is_dot = text.data[i] == '.';
        if (is_dot ? after_dot : !is_atom_character(text.data[i], international)) {
            return false;
        }
        after_dot = is_dot;
    }
    return text.size > 0 && !after_dot;
}

static bool is_quoted_string(struct cairn_slice text, bool international)
{
    if (text.size < 2 || text.data[0] != '"' || text.data[text.size - 1] != '"') {
        return false;
    }
    for (size_t i = 1; i + 1 < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = (c >= 0x20 && c < 0x7f) || (international && c >= 0x80);
        if (!is_plain || c == '"') {
            return false;
        }
        if (c == '\\' && ++i + 1 == text.size) {
            return false;
        }
    }
    return true;
}

static bool is_international_domain(struct cairn_slice text)
{
    bool after_dot = true;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool fits = c == '.' ? !after_dot
                             : (unsigned char)c >= 0x80 || c == '-' || cairn_format_is_letter(c) ||
                                   cairn_format_is_digit(c);
        if (!fits) {
            return false;
        }
        after_dot = c == '.';
    }
    return text.size > 0 && text.size <= HOSTNAME_MAX && !after_dot;
}

static bool is_address_literal(struct cairn_slice text)
{
    if (text.size < 2 || text.data[0] != '[' || text.data[text.size - 1] != ']') {
        return false;
    }
    struct cairn_slice address = cairn_slice_of(text.data + 1, text.size - 2);
    if (address.size > 5 &&
        cairn_slice_equal_nocase(cairn_slice_of(address.data, 5), CAIRN_SLICE_LIT("IPv6:"))) {
        return cairn_format_is_ipv6(cairn_format_skip(address, 5));
    }
    return cairn_format_is_ipv4(address);
}

/* RFC 5321, section 4.1.2: the last '@' divides. */
static bool is_mailbox(struct cairn_slice text, bool international)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != '@') {
        at--;
    }
    if (at < 2) {
        return false;
    }
    struct cairn_slice local = cairn_slice_of(text.data, at - 1);
    struct cairn_slice domain = cairn_format_skip(text, at);
    if (local.size > LOCAL_PART_MAX ||
        (!is_dot_atom(local, international) && !is_quoted_string(local, international))) {
        return false;
    }
    return is_address_literal(domain) || cairn_format_is_hostname(domain) ||
           (international && is_international_domain(domain));
}

bool cairn_format_is_email(struct cairn_slice text)
{
    return is_mailbox(text, false);
}

/* RFC 6531: the same with letters beyond ASCII. */
bool cairn_format_is_idn_email(struct cairn_slice text)
{
    return is_mailbox(text, true);
}
