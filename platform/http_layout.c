/* The bytes between the fields of a request's head.
 *
 * civetweb parses the head in place and accepts what RFC 9112 tells a server to refuse: line ends
 * that are a bare LF, folded fields, a space before the colon, fields without a name. It ends each
 * part with NULs where delimiters stood, and leaves every other byte alone, so the gap between two
 * parts tells what stood there: CRLF is two NULs, a bare LF is one, a folded line or a dropped
 * field shows as text. */
#include <assert.h>

#include <civetweb.h>

#include "platform/http_int.h"

/* Where a part ends: the NUL behind it. */
static const char *end_of(const char *part)
{
    return part + strlen(part);
}

/* Are there only spaces from text up to end? */
static bool is_blank(const char *text, const char *end)
{
    while (text < end && *text == ' ') {
        text++;
    }
    return text == end;
}

/* "METHOD SP target SP HTTP/1.1": one space each. */
static bool request_line_is_strict(const struct mg_request_info *info)
{
    const char *target_end = end_of(info->request_uri);
    if (info->query_string != NULL) {
        if (info->query_string != target_end + 1) {
            return false;
        }
        target_end = end_of(info->query_string);
    }
    return info->request_uri == end_of(info->request_method) + 1 &&
           info->http_version == target_end + 1 + strlen("HTTP/");
}

/* Name, colon, spaces, value. */
static bool field_is_strict(const struct mg_header *field)
{
    const char *name_end = end_of(field->name);
    return name_end > field->name && name_end < field->value &&
           is_blank(name_end + 1, field->value);
}

/* Did CR LF stand between part's end and next? */
static bool line_ends(const char *end, const char *next)
{
    return next == end + 2 && end[1] == '\0';
}

/* Does the blank line follow the last part? Behind a field its CR stays and its LF is the NUL that
 * ends the head; behind a request line alone all is NUL (and a bare LF cannot be told). */
static bool head_ends(const struct mg_request_info *info, const char *end)
{
    char blank = info->num_headers > 0 ? '\r' : '\0';
    return end - info->request_method <= CAIRN_HTTP_HEAD_BYTES_MAX - 4 && end[1] == '\0' &&
           end[2] == blank && end[3] == '\0';
}

enum cairn_rc cairn_http_layout_check(const struct mg_request_info *info, struct cairn_err *err)
{
    assert(info->request_method != NULL && info->request_uri != NULL);
    assert(info->num_headers >= 0 && info->num_headers <= MG_MAX_HEADERS);
    if (!request_line_is_strict(info)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the request line has more than one space in a row");
    }
    const char *end = end_of(info->http_version);
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *field = &info->http_headers[i];
        if (!line_ends(end, field->name)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "a line of the head does not end with CR LF, is folded, or has no "
                              "field name");
        }
        if (!field_is_strict(field)) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "a header field's name is not followed by ':'");
        }
        end = end_of(field->value);
    }
    if (!head_ends(info, end)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the head does not end with CR LF CR LF, or its last "
                          "line is folded or has no field name");
    }
    return CAIRN_OK;
}
