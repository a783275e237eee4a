/* Status codes and their reason phrases. */
#include <assert.h>

#include "platform/http_int.h"

struct status {
    int code;
    const char *reason;
};

/* The last row stands for every status that is not in the table. */
static const struct status statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {0, "Unknown"},
};

enum { STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

static_assert(STATUS_COUNT <= CAIRN_HTTP_STATUS_SLOTS_MAX, "the meter has a slot for each");

size_t cairn_http_status_slot(int status)
{
    size_t slot = 0;
    while (slot < STATUS_COUNT - 1 && statuses[slot].code != status) {
        slot++;
    }
    return slot;
}

size_t cairn_http_status_slots(void)
{
    return STATUS_COUNT;
}

const char *cairn_http_reason(int status)
{
    return statuses[cairn_http_status_slot(status)].reason;
}
