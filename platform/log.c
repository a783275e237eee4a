#include "platform/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/mem.h"
#include "platform/utf8.h"

struct cairn_log {
    int fd; /* borrowed */
    enum cairn_log_level level;
    const struct cairn_clock *clock; /* borrowed */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

#define LEVEL_COUNT ((int)(sizeof(level_names) / sizeof(level_names[0])))

/* Every line keeps this much room in hand, so that a cut line is still one JSON object. */
#define CUT_MARK ",\"cut\":true}\n"

/* The kernel keeps writes up to PIPE_BUF whole: lines of several processes never mix in a pipe. */
static_assert(CAIRN_LOG_LINE_MAX <= PIPE_BUF, "a line is written whole");

/* A line in the making. A text that does not fit is cut, a field that does not fit is left out
 * whole, and the line then says "cut". */
struct line {
    char text[CAIRN_LOG_LINE_MAX];
    size_t size;
    bool dropped; /* a part of the field at hand did not fit */
    bool cut;     /* anything did not fit */
};

struct cairn_log *cairn_log_new(int fd, enum cairn_log_level level, const struct cairn_clock *clock)
{
    assert(fd >= 0 && clock != NULL);
    assert((int)level >= 0 && (int)level < LEVEL_COUNT);
    struct cairn_log *log = cairn_mem_alloc(sizeof(*log));
    if (log != NULL) {
        *log = (struct cairn_log){fd, level, clock};
    }
    return log;
}

void cairn_log_free(struct cairn_log *log)
{
    cairn_mem_free(log);
}

bool cairn_log_on(const struct cairn_log *log, enum cairn_log_level level)
{
    return log != NULL && level >= log->level;
}

enum cairn_rc cairn_log_level_parse(struct cairn_slice text, enum cairn_log_level *ret_level)
{
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (cairn_slice_is(text, level_names[i])) {
            *ret_level = (enum cairn_log_level)i;
            return CAIRN_OK;
        }
    }
    return CAIRN_EINVAL;
}

static size_t room_of(const struct line *line)
{
    assert(line->size <= sizeof(line->text) - sizeof(CUT_MARK));
    return sizeof(line->text) - sizeof(CUT_MARK) - line->size;
}

static void put(struct line *line, const char *bytes, size_t size)
{
    if (line->dropped || size > room_of(line)) {
        line->dropped = true;
        return;
    }
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void put_str(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Bytes of text[0..) that stand in a JSON string as they are. */
static size_t plain_size(struct cairn_slice text)
{
    size_t at = 0;
    while (at < text.size && (unsigned char)text.data[at] >= 0x20 && text.data[at] != '"' &&
           text.data[at] != '\\' && text.data[at] != 0x7f) {
        at++;
    }
    return at;
}

/* The next piece of a string's content: a run that stands as it is, borrowed from text, or one
 * byte escaped or replaced, in scratch. *ret_used is how much of text it covers. */
static struct cairn_slice next_piece(struct cairn_slice text, char scratch[8], size_t *ret_used)
{
    assert(text.size > 0);
    size_t plain = cairn_utf8_valid_prefix(cairn_slice_of(text.data, plain_size(text)));
    *ret_used = plain > 0 ? plain : 1;
    if (plain > 0) {
        return cairn_slice_of(text.data, plain);
    }
    unsigned char byte = (unsigned char)text.data[0];
    if (byte >= 0x80) {
        return CAIRN_SLICE_LIT("\xEF\xBF\xBD");
    }
    int size = byte == '"' || byte == '\\' ? snprintf(scratch, 8, "\\%c", byte)
                                           : snprintf(scratch, 8, "\\u%04x", byte);
    assert(size > 0 && size < 8);
    return cairn_slice_of(scratch, (size_t)size);
}

/* Bytes of piece, at most room, that do not end inside a code point or an escape. */
static size_t whole_size(struct cairn_slice piece, size_t room)
{
    if (piece.size <= room) {
        return piece.size;
    }
    while (room > 0 && ((unsigned char)piece.data[room] & 0xC0) == 0x80) {
        room--;
    }
    return piece.data[0] == '\\' ? 0 : room;
}

static void put_string(struct line *line, struct cairn_slice text)
{
    if (room_of(line) < 2) {
        line->dropped = true;
    }
    put(line, "\"", 1);
    while (text.size > 0 && !line->dropped) {
        char scratch[8];
        size_t used;
        struct cairn_slice piece = next_piece(text, scratch, &used);
        size_t size = whole_size(piece, room_of(line) - 1);
        put(line, piece.data, size);
        if (size < piece.size) {
            line->cut = true;
            break;
        }
        text = cairn_slice_of(text.data + used, text.size - used);
    }
    put(line, "\"", 1);
}

/* A number as JSON has it; infinity and NaN, which JSON has not, become null. */
static void put_double(struct line *line, double number)
{
    char text[40];
    if (!isfinite(number)) {
        put_str(line, "null");
        return;
    }
    int size = snprintf(text, sizeof(text), "%.17g", number);
    for (int digits = 1; digits < 17; digits++) {
        char shorter[40];
        int shorter_size = snprintf(shorter, sizeof(shorter), "%.*g", digits, number);
        if (strtod(shorter, NULL) == number) {
            memcpy(text, shorter, (size_t)shorter_size + 1);
            size = shorter_size;
            break;
        }
    }
    assert(size > 0 && (size_t)size < sizeof(text));
    put(line, text, (size_t)size);
}

static void put_integer(struct line *line, bool negative, uint64_t number)
{
    char text[24];
    int size =
        snprintf(text, sizeof(text), "%s%llu", negative ? "-" : "", (unsigned long long)number);
    assert(size > 0 && (size_t)size < sizeof(text));
    put(line, text, (size_t)size);
}

static void put_value(struct line *line, const struct cairn_log_field *field)
{
    switch (field->kind) {
    case CAIRN_LOG_TEXT:
        put_string(line, field->text);
        return;
    case CAIRN_LOG_INT:
        put_integer(line, field->integer < 0,
                    field->integer < 0 ? 0 - (uint64_t)field->integer : (uint64_t)field->integer);
        return;
    case CAIRN_LOG_UINT:
        put_integer(line, false, field->uint);
        return;
    case CAIRN_LOG_FLOAT:
        put_double(line, field->number);
        return;
    case CAIRN_LOG_BOOL:
        put_str(line, field->integer != 0 ? "true" : "false");
        return;
    }
    assert(false);
}

/* ,"name":value, or nothing at all where it does not fit. */
static void put_field(struct line *line, const struct cairn_log_field *field)
{
    size_t before = line->size;
    line->dropped = false;
    put_str(line, line->size == 1 ? "\"" : ",\"");
    put_str(line, field->name);
    put_str(line, "\":");
    put_value(line, field);
    if (line->dropped) {
        line->size = before;
        line->cut = true;
    }
}

static void end_line(struct line *line)
{
    const char *end = line->cut ? CUT_MARK : "}\n";
    size_t size = strlen(end);
    assert(size <= sizeof(line->text) - line->size);
    memcpy(line->text + line->size, end, size);
    line->size += size;
}

void cairn_log_write(struct cairn_log *log, enum cairn_log_level level, const char *component,
                     const char *event, const struct cairn_log_field *fields, size_t count)
{
    assert((int)level >= 0 && (int)level < LEVEL_COUNT);
    assert(component != NULL && event != NULL);
    if (!cairn_log_on(log, level)) {
        return;
    }
    char time[CAIRN_TIME_TEXT_MAX];
    (void)cairn_clock_format(cairn_clock_now_us(log->clock), time);
    const struct cairn_log_field head[] = {
        CAIRN_F_STR("time", time),
        CAIRN_F_STR("level", level_names[level]),
        CAIRN_F_STR("component", component),
        CAIRN_F_STR("event", event),
    };
    struct line line = {.size = 0};
    put(&line, "{", 1);
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        put_field(&line, &head[i]);
    }
    for (size_t i = 0; i < count; i++) {
        put_field(&line, &fields[i]);
    }
    end_line(&line);
    ssize_t put_size;
    do {
        put_size = write(log->fd, line.text, line.size);
    } while (put_size < 0 && errno == EINTR);
    /* A log that cannot be written has nowhere to say so. */
}

void cairn_log_error(struct cairn_log *log, enum cairn_log_level level, const char *component,
                     const char *event, const struct cairn_err *err)
{
    assert(err != NULL);
    cairn_log_event(
        log, level, component, event, CAIRN_F_STR("code", cairn_err_info(err->rc)->slug),
        CAIRN_F_STR("detail", err->text), CAIRN_F_INT("os", err->os),
        CAIRN_F_STR("file", err->file == NULL ? "" : err->file), CAIRN_F_INT("line", err->line));
}
