#include <assert.h>

#include "platform/json.h"
#include "platform/json_number.h"
#include "platform/utf8.h"
#include "platform/value_stack.h"

/* One pass, no recursion: finished values wait on a stack until their container closes. */

struct frame {
    uint32_t from; /* index on the value stack of the container's first value */
    bool is_map;
};

struct reader {
    const char *text; /* the whole input */
    const char *end;  /* behind its last byte */
    const char *at;   /* next byte to look at */
    struct cairn_arena *arena;
    const char *fault;    /* what is wrong, NULL so far; static */
    const char *fault_at; /* where, in text */
    uint32_t depth;       /* frames in use */
    bool decimal;         /* numbers are decimals of any size */
    struct frame frames[CAIRN_VALUE_DEPTH_MAX];
    struct cairn_value_stack stack;
};

static enum cairn_rc refuse(struct reader *reader, const char *at, const char *what)
{
    assert(at >= reader->text && at <= reader->end);
    reader->fault = what;
    reader->fault_at = at;
    return CAIRN_EMALFORMED;
}

static void skip_space(struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    reader->at = at;
}

#define EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes at once: is one of them '"', '\', or a control character? The subtraction borrows
 * only out of a byte that is a hit itself, so a wrong answer is never "none". */
static bool has_stop(uint64_t word)
{
    uint64_t quote = word ^ EVERY_BYTE('"');
    uint64_t backslash = word ^ EVERY_BYTE('\\');
    uint64_t hits = ((quote - EVERY_BYTE(1)) & ~quote) |
                    ((backslash - EVERY_BYTE(1)) & ~backslash) |
                    ((word - EVERY_BYTE(0x20)) & ~word);
    return (hits & EVERY_BYTE(0x80)) != 0;
}

/* From `at` to the first '"', '\' or control character, or the end; *high gathers the top bits. */
static const char *scan_plain(const char *at, const char *end, uint64_t *high)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        if (has_stop(word)) {
            break;
        }
        *high |= word & EVERY_BYTE(0x80);
        at += 8;
    }
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        *high |= (uint64_t)((unsigned char)*at & 0x80u);
        at++;
    }
    return at;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits at `at` as a number, or -1. */
static int32_t hex_quad(const char *at, const char *end)
{
    int32_t unit = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

/* One \uXXXX, or the two of a surrogate pair; *at stands on the backslash and is moved behind. */
static enum cairn_rc unescape_unicode(struct reader *reader, const char **at, char **out)
{
    const char *start = *at;
    int32_t unit = hex_quad(start + 2, reader->end);
    if (unit < 0) {
        return refuse(reader, start, "\\u without four hexadecimal digits");
    }
    uint32_t scalar = (uint32_t)unit;
    *at = start + 6;
    if (scalar >= 0xd800 && scalar <= 0xdfff) {
        const char *next = *at;
        int32_t low =
            scalar <= 0xdbff && reader->end - next >= 6 && next[0] == '\\' && next[1] == 'u'
                ? hex_quad(next + 2, reader->end)
                : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            return refuse(reader, start, "lone surrogate");
        }
        scalar = 0x10000u + ((scalar - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
        *at = next + 6;
    }
    *out += cairn_utf8_encode(scalar, *out);
    return CAIRN_OK;
}

static enum cairn_rc unescape_one(struct reader *reader, const char **at, char **out)
{
    static const char plain_escapes[128] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    const char *start = *at;
    if (reader->end - start < 2) {
        return refuse(reader, reader->end, "string without an end");
    }
    unsigned char code = (unsigned char)start[1];
    if (code == 'u') {
        return unescape_unicode(reader, at, out);
    }
    if (code >= sizeof(plain_escapes) || plain_escapes[code] == '\0') {
        return refuse(reader, start, "unknown escape");
    }
    *(*out)++ = plain_escapes[code];
    *at = start + 2;
    return CAIRN_OK;
}

static enum cairn_rc stop_fault(struct reader *reader, const char *at)
{
    return at == reader->end ? refuse(reader, at, "string without an end")
                             : refuse(reader, at, "control character in a string");
}

/* The bytes a string with escapes may need: up to its closing quote, which need not be there. */
static size_t raw_size(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at != '"') {
        at += *at == '\\' && end - at >= 2 ? 2 : 1;
    }
    return (size_t)(at - start);
}

/* A string with escapes: into the arena, behind the place it came from, which a later complaint
 * about a duplicate key needs. */
static enum cairn_rc read_escaped(struct reader *reader, const char *start, const char *at,
                                  uint64_t high, struct cairn_value *value)
{
    char *memory = cairn_arena_alloc(reader->arena, sizeof(start) + raw_size(start, reader->end));
    if (memory == NULL) {
        return CAIRN_ENOMEM;
    }
    memcpy(memory, &start, sizeof(start));
    char *text = memory + sizeof(start);
    char *out = text;
    const char *run = start;
    for (;;) {
        memcpy(out, run, (size_t)(at - run));
        out += at - run;
        if (at == reader->end || *at != '\\') {
            break;
        }
        enum cairn_rc rc = unescape_one(reader, &at, &out);
        if (rc != CAIRN_OK) {
            return rc;
        }
        run = at;
        at = scan_plain(at, reader->end, &high);
    }
    if (at == reader->end || *at != '"') {
        return stop_fault(reader, at);
    }
    reader->at = at + 1;
    value->count = (uint32_t)(out - text);
    value->as.bytes = text;
    return CAIRN_OK;
}

static enum cairn_rc check_utf8(struct reader *reader, const char *start, const char *end)
{
    struct cairn_slice raw = cairn_slice_of(start, (size_t)(end - start));
    size_t valid = cairn_utf8_valid_prefix(raw);
    if (valid < raw.size) {
        return refuse(reader, start + valid, "invalid UTF-8");
    }
    return CAIRN_OK;
}

/* reader->at stands behind the opening quote. */
static enum cairn_rc read_string(struct reader *reader, struct cairn_value *value)
{
    const char *start = reader->at;
    uint64_t high = 0;
    const char *at = scan_plain(start, reader->end, &high);
    value->type = CAIRN_STRING;
    value->ext_type = 0;
    if (at < reader->end && *at == '"') {
        value->count = (uint32_t)(at - start);
        value->as.bytes = start;
        reader->at = at + 1;
        return high == 0 ? CAIRN_OK : check_utf8(reader, start, at);
    }
    if (at == reader->end || *at != '\\') {
        return stop_fault(reader, at);
    }
    enum cairn_rc rc = read_escaped(reader, start, at, high, value);
    /* Escapes are ASCII: the raw text is valid UTF-8 exactly when what they stand in is. */
    return rc != CAIRN_OK ? rc : check_utf8(reader, start, reader->at - 1);
}

static enum cairn_rc read_number(struct reader *reader, struct cairn_value *value)
{
    const char *fault = NULL;
    enum cairn_rc rc =
        cairn_json_read_number(&reader->at, reader->end, reader->decimal, value, &fault);
    return rc == CAIRN_EMALFORMED ? refuse(reader, reader->at, fault) : rc;
}

static enum cairn_rc read_word(struct reader *reader, struct cairn_slice word,
                               struct cairn_value meaning, struct cairn_value *value)
{
    struct cairn_slice rest = cairn_slice_of(reader->at, (size_t)(reader->end - reader->at));
    if (!cairn_slice_starts(rest, word)) {
        return refuse(reader, reader->at, "unknown word");
    }
    reader->at += word.size;
    *value = meaning;
    return CAIRN_OK;
}

static enum cairn_rc read_scalar(struct reader *reader)
{
    struct cairn_value *value = cairn_value_stack_push(&reader->stack);
    if (value == NULL) {
        return CAIRN_ENOMEM;
    }
    char first = *reader->at;
    if (first == '"') {
        reader->at++;
        return read_string(reader, value);
    }
    if (first == '-' || (first >= '0' && first <= '9')) {
        return read_number(reader, value);
    }
    if (first == 't') {
        return read_word(reader, CAIRN_SLICE_LIT("true"), cairn_value_bool(true), value);
    }
    if (first == 'f') {
        return read_word(reader, CAIRN_SLICE_LIT("false"), cairn_value_bool(false), value);
    }
    if (first == 'n') {
        return read_word(reader, CAIRN_SLICE_LIT("null"), cairn_value_null(), value);
    }
    return refuse(reader, reader->at, "a value was expected");
}

/* A member's key and its colon. */
static enum cairn_rc read_key(struct reader *reader)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != '"') {
        return refuse(reader, reader->at, "a key was expected");
    }
    struct cairn_value *key = cairn_value_stack_push(&reader->stack);
    if (key == NULL) {
        return CAIRN_ENOMEM;
    }
    reader->at++;
    enum cairn_rc rc = read_string(reader, key);
    if (rc != CAIRN_OK) {
        return rc;
    }
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != ':') {
        return refuse(reader, reader->at, "':' was expected");
    }
    reader->at++;
    return CAIRN_OK;
}

/* Where in the text a key stands, its quote included. */
static const char *place_of(const struct reader *reader, const struct cairn_value *key)
{
    const char *start = key->as.bytes;
    uintptr_t place = (uintptr_t)start;
    if (place < (uintptr_t)reader->text || place > (uintptr_t)reader->end) {
        memcpy(&start, key->as.bytes - sizeof(start), sizeof(start));
    }
    return start - 1;
}

static enum cairn_rc close_container(struct reader *reader)
{
    assert(reader->depth > 0);
    struct frame frame = reader->frames[--reader->depth];
    reader->at++;
    if (!frame.is_map) {
        return cairn_value_stack_close_array(&reader->stack, frame.from, reader->arena);
    }
    enum cairn_rc rc = cairn_value_stack_close_map(&reader->stack, frame.from, reader->arena);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_value *map = &reader->stack.values[frame.from];
    uint32_t duplicate = map->count;
    rc = cairn_value_find_duplicate(map->as.members, map->count, &duplicate);
    if (rc == CAIRN_OK && duplicate < map->count) {
        return refuse(reader, place_of(reader, &map->as.members[duplicate].key), "duplicate key");
    }
    return rc;
}

/* Open a container; *ret_closed says that it was empty and is done. */
static enum cairn_rc open_container(struct reader *reader, bool *ret_closed)
{
    bool is_map = *reader->at == '{';
    if (reader->depth == CAIRN_VALUE_DEPTH_MAX) {
        return refuse(reader, reader->at, "nested too deeply");
    }
    reader->frames[reader->depth++] = (struct frame){reader->stack.count, is_map};
    reader->at++;
    skip_space(reader);
    *ret_closed = reader->at < reader->end && *reader->at == (is_map ? '}' : ']');
    if (*ret_closed) {
        return close_container(reader);
    }
    return is_map ? read_key(reader) : CAIRN_OK;
}

/* Behind a value: close what ends here, up to a comma, or to the end of the outermost value. */
static enum cairn_rc read_separator(struct reader *reader)
{
    while (reader->depth > 0) {
        bool is_map = reader->frames[reader->depth - 1].is_map;
        skip_space(reader);
        if (reader->at < reader->end && *reader->at == ',') {
            reader->at++;
            return is_map ? read_key(reader) : CAIRN_OK;
        }
        if (reader->at == reader->end || *reader->at != (is_map ? '}' : ']')) {
            return refuse(reader, reader->at,
                          is_map ? "',' or '}' was expected" : "',' or ']' was expected");
        }
        enum cairn_rc rc = close_container(reader);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc read_document(struct reader *reader)
{
    enum cairn_rc rc = CAIRN_OK;
    do {
        bool is_whole = true; /* a scalar, or a container that was empty */
        skip_space(reader);
        if (reader->at == reader->end) {
            return refuse(reader, reader->at, "a value was expected");
        }
        if (*reader->at == '{' || *reader->at == '[') {
            rc = open_container(reader, &is_whole);
        } else {
            rc = read_scalar(reader);
        }
        if (rc == CAIRN_OK && is_whole) {
            rc = read_separator(reader);
        }
    } while (rc == CAIRN_OK && reader->depth > 0);
    if (rc != CAIRN_OK) {
        return rc;
    }
    skip_space(reader);
    return reader->at == reader->end ? CAIRN_OK
                                     : refuse(reader, reader->at, "text behind the value");
}

static enum cairn_rc read_text(struct cairn_slice text, bool decimal, struct cairn_arena *arena,
                               struct cairn_value *ret_value, size_t *ret_offset,
                               struct cairn_err *err)
{
    assert(arena != NULL);
    assert(ret_value != NULL);
    if (text.size >= UINT32_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "JSON of %zu bytes", text.size);
    }
    struct reader reader;
    reader.text = text.data == NULL ? "" : text.data;
    reader.end = reader.text + text.size;
    reader.at = reader.text;
    reader.arena = arena;
    reader.fault = NULL;
    reader.depth = 0;
    reader.decimal = decimal;
    cairn_value_stack_init(&reader.stack);
    enum cairn_rc rc = read_document(&reader);
    if (rc == CAIRN_OK) {
        assert(reader.stack.count == 1);
        *ret_value = reader.stack.values[0];
    } else if (rc == CAIRN_EMALFORMED) {
        size_t offset = (size_t)(reader.fault_at - reader.text);
        rc = CAIRN_FAIL(err, rc, "JSON: %s at byte %zu", reader.fault, offset);
        if (ret_offset != NULL) {
            *ret_offset = offset;
        }
    } else {
        rc = CAIRN_FAIL(err, rc, "no memory to read JSON of %zu bytes", text.size);
    }
    cairn_value_stack_fini(&reader.stack);
    return rc;
}

enum cairn_rc cairn_json_read(struct cairn_slice text, struct cairn_arena *arena,
                              struct cairn_value *ret_value, size_t *ret_offset,
                              struct cairn_err *err)
{
    return read_text(text, false, arena, ret_value, ret_offset, err);
}

enum cairn_rc cairn_json_read_decimal(struct cairn_slice text, struct cairn_arena *arena,
                                      struct cairn_value *ret_value, struct cairn_err *err)
{
    return read_text(text, true, arena, ret_value, NULL, err);
}
