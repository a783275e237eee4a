#include "platform/lua_pattern.h"

#include <assert.h>

enum { DEPTH_MAX = 200 }; /* matches within one another, as many as Lua allows */

#define NO_MATCH SIZE_MAX

/* A match in hand: the recursion's depth beside what the caller sees. */
struct matcher {
    struct cairn_pattern_match *match;
    int depth;
};

static size_t match_from(struct matcher *matcher, size_t s, size_t p);

static size_t fail(struct matcher *matcher, const char *fault)
{
    if (matcher->match->fault == NULL) {
        matcher->match->fault = fault;
    }
    return NO_MATCH;
}

/* Book one step; false when there is none left. */
static bool step(struct matcher *matcher)
{
    if (matcher->match->steps_left == 0) {
        (void)fail(matcher, "pattern takes too many steps");
        return false;
    }
    matcher->match->steps_left--;
    return true;
}

/* ---- classes ---- */

static bool in_range(unsigned char c, char low, char high)
{
    return c >= (unsigned char)low && c <= (unsigned char)high;
}

static bool is_letter(unsigned char c)
{
    return in_range(c, 'a', 'z') || in_range(c, 'A', 'Z');
}

static bool is_visible(unsigned char c)
{
    return c > ' ' && c < 0x7f;
}

/* %a, %d, ...: letter is lower case. A letter that names no class stands for itself. */
static bool in_class(unsigned char c, char letter, bool *ret_known)
{
    bool digit = in_range(c, '0', '9');
    *ret_known = true;
    switch (letter) {
    case 'a':
        return is_letter(c);
    case 'c':
        return c < ' ' || c == 0x7f;
    case 'd':
        return digit;
    case 'g':
        return is_visible(c);
    case 'l':
        return in_range(c, 'a', 'z');
    case 'p':
        return is_visible(c) && !is_letter(c) && !digit;
    case 's':
        return c == ' ' || in_range(c, '\t', '\r');
    case 'u':
        return in_range(c, 'A', 'Z');
    case 'w':
        return is_letter(c) || digit;
    case 'x':
        return digit || in_range(c, 'a', 'f') || in_range(c, 'A', 'F');
    default:
        *ret_known = false;
        return false;
    }
}

/* What follows a '%'. */
static bool in_escape(unsigned char c, char letter)
{
    bool known;
    bool upper = in_range((unsigned char)letter, 'A', 'Z');
    bool inside = in_class(c, upper ? (char)(letter - 'A' + 'a') : letter, &known);
    if (!known) {
        return c == (unsigned char)letter;
    }
    return inside != upper;
}

/* [set]: p at '[', end behind ']'. */
static bool in_set(const struct matcher *matcher, unsigned char c, size_t p, size_t end)
{
    const char *pattern = matcher->match->pattern.data;
    size_t last = end - 1;
    bool inside = false;
    p++;
    bool negated = pattern[p] == '^';
    p += negated;
    while (p < last && !inside) {
        if (pattern[p] == '%') {
            inside = in_escape(c, pattern[p + 1]);
            p += 2;
        } else if (p + 2 < last && pattern[p + 1] == '-') {
            inside = c >= (unsigned char)pattern[p] && c <= (unsigned char)pattern[p + 2];
            p += 3;
        } else {
            inside = c == (unsigned char)pattern[p];
            p++;
        }
    }
    return inside != negated;
}

/* The offset behind the single item at p: a character, an escape, a set. NO_MATCH: malformed. */
static size_t item_end(struct matcher *matcher, size_t p)
{
    struct cairn_slice pattern = matcher->match->pattern;
    assert(p < pattern.size);
    if (pattern.data[p] == '%') {
        return p + 1 < pattern.size ? p + 2 : fail(matcher, "malformed pattern (ends with '%')");
    }
    if (pattern.data[p] != '[') {
        return p + 1;
    }
    size_t at = p + 1;
    at += at < pattern.size && pattern.data[at] == '^';
    for (bool first = true; at < pattern.size; first = false) {
        if (pattern.data[at] == ']' && !first) {
            return at + 1;
        }
        at += pattern.data[at] == '%' ? 2 : 1;
    }
    return fail(matcher, "malformed pattern (missing ']')");
}

/* Does the item p..end match the byte at s? False at the subject's end. */
static bool item_matches(struct matcher *matcher, size_t s, size_t p, size_t end)
{
    struct cairn_slice subject = matcher->match->subject;
    const char *pattern = matcher->match->pattern.data;
    if (s >= subject.size || !step(matcher)) {
        return false;
    }
    unsigned char c = (unsigned char)subject.data[s];
    switch (pattern[p]) {
    case '.':
        return true;
    case '%':
        return in_escape(c, pattern[p + 1]);
    case '[':
        return in_set(matcher, c, p, end);
    default:
        return c == (unsigned char)pattern[p];
    }
}

/* ---- repetition ---- */

/* item* with at least `least` of them, as many as possible first. */
static size_t match_longest(struct matcher *matcher, size_t s, size_t p, size_t end, size_t least)
{
    size_t count = 0;
    while (item_matches(matcher, s + count, p, end)) {
        count++;
    }
    for (;;) {
        if (count < least || matcher->match->fault != NULL) {
            return NO_MATCH;
        }
        size_t behind = match_from(matcher, s + count, end + 1);
        if (behind != NO_MATCH || count == 0) {
            return behind;
        }
        count--;
    }
}

/* item-: as few as possible first. */
static size_t match_shortest(struct matcher *matcher, size_t s, size_t p, size_t end)
{
    for (;;) {
        size_t behind = match_from(matcher, s, end + 1);
        if (behind != NO_MATCH || matcher->match->fault != NULL ||
            !item_matches(matcher, s, p, end)) {
            return behind;
        }
        s++;
    }
}

/* ---- captures and the two special items ---- */

static size_t open_capture(struct matcher *matcher, size_t s, size_t p)
{
    struct cairn_pattern_match *match = matcher->match;
    bool position = p + 1 < match->pattern.size && match->pattern.data[p + 1] == ')';
    if (match->capture_count >= CAIRN_PATTERN_CAPTURES_MAX) {
        return fail(matcher, "too many captures");
    }
    match->captures[match->capture_count++] = (struct cairn_pattern_capture){
        .kind = position ? CAIRN_CAPTURE_POSITION : CAIRN_CAPTURE_OPEN, .begin = s};
    size_t behind = match_from(matcher, s, position ? p + 2 : p + 1);
    if (behind == NO_MATCH) {
        match->capture_count--;
    }
    return behind;
}

static size_t close_capture(struct matcher *matcher, size_t s, size_t p)
{
    struct cairn_pattern_match *match = matcher->match;
    size_t index = match->capture_count;
    while (index > 0 && match->captures[index - 1].kind != CAIRN_CAPTURE_OPEN) {
        index--;
    }
    if (index == 0) {
        return fail(matcher, "invalid pattern capture");
    }
    struct cairn_pattern_capture *capture = &match->captures[index - 1];
    capture->kind = CAIRN_CAPTURE_TEXT;
    capture->size = s - capture->begin;
    size_t behind = match_from(matcher, s, p + 1);
    if (behind == NO_MATCH) {
        capture->kind = CAIRN_CAPTURE_OPEN;
    }
    return behind;
}

/* %1..%9: the text of that capture again. */
static size_t match_back(struct matcher *matcher, size_t s, char digit)
{
    const struct cairn_pattern_match *match = matcher->match;
    size_t index = (size_t)(digit - '1');
    if (digit == '0' || index >= match->capture_count ||
        match->captures[index].kind == CAIRN_CAPTURE_OPEN) {
        return fail(matcher, "invalid capture index");
    }
    const struct cairn_pattern_capture *capture = &match->captures[index];
    /* A position has no text that could come again. */
    if (capture->kind == CAIRN_CAPTURE_POSITION || match->subject.size - s < capture->size ||
        memcmp(match->subject.data + capture->begin, match->subject.data + s, capture->size) != 0) {
        return NO_MATCH;
    }
    return s + capture->size;
}

/* %bxy: from x to the y that balances it; p at 'x'. */
static size_t match_balance(struct matcher *matcher, size_t s, size_t p)
{
    struct cairn_slice pattern = matcher->match->pattern;
    struct cairn_slice subject = matcher->match->subject;
    if (p + 1 >= pattern.size) {
        return fail(matcher, "malformed pattern (missing arguments to '%b')");
    }
    if (s >= subject.size || subject.data[s] != pattern.data[p]) {
        return NO_MATCH;
    }
    size_t open = 1;
    for (size_t at = s + 1; at < subject.size && step(matcher); at++) {
        if (subject.data[at] == pattern.data[p + 1]) {
            if (--open == 0) {
                return at + 1;
            }
        } else if (subject.data[at] == pattern.data[p]) {
            open++;
        }
    }
    return NO_MATCH;
}

/* %f[set]: s is where the set begins to hold. Returns the pattern offset behind, or NO_MATCH. */
static size_t match_frontier(struct matcher *matcher, size_t s, size_t p)
{
    struct cairn_slice pattern = matcher->match->pattern;
    struct cairn_slice subject = matcher->match->subject;
    if (p >= pattern.size || pattern.data[p] != '[') {
        return fail(matcher, "missing '[' after '%f' in pattern");
    }
    size_t end = item_end(matcher, p);
    if (end == NO_MATCH) {
        return NO_MATCH;
    }
    unsigned char before = s == 0 ? 0 : (unsigned char)subject.data[s - 1];
    unsigned char here = s < subject.size ? (unsigned char)subject.data[s] : 0;
    return !in_set(matcher, before, p, end) && in_set(matcher, here, p, end) ? end : NO_MATCH;
}

/* ---- the walk ---- */

/* What to do after one piece of the pattern: go on at (s, p), or end with `result`. */
struct move {
    bool ends;
    size_t result;
    size_t s;
    size_t p;
};

static struct move end_with(size_t result)
{
    return (struct move){.ends = true, .result = result};
}

static struct move go_on(size_t s, size_t p)
{
    return (struct move){.s = s, .p = p};
}

/* %b, %f and %1..%9. False: p is an ordinary escape. */
static bool special_escape(struct matcher *matcher, size_t s, size_t p, struct move *ret_move)
{
    struct cairn_slice pattern = matcher->match->pattern;
    char letter = p + 1 < pattern.size ? pattern.data[p + 1] : '\0';
    size_t behind;
    if (letter == 'b') {
        behind = match_balance(matcher, s, p + 2);
        *ret_move = behind == NO_MATCH ? end_with(NO_MATCH) : go_on(behind, p + 4);
        return true;
    }
    if (letter == 'f') {
        behind = match_frontier(matcher, s, p + 2);
        *ret_move = behind == NO_MATCH ? end_with(NO_MATCH) : go_on(s, behind);
        return true;
    }
    if (letter >= '0' && letter <= '9') {
        behind = match_back(matcher, s, letter);
        *ret_move = behind == NO_MATCH ? end_with(NO_MATCH) : go_on(behind, p + 2);
        return true;
    }
    return false;
}

/* A single item and the repetition behind it. */
static struct move match_item(struct matcher *matcher, size_t s, size_t p)
{
    struct cairn_slice pattern = matcher->match->pattern;
    size_t end = item_end(matcher, p);
    if (end == NO_MATCH) {
        return end_with(NO_MATCH);
    }
    switch (end < pattern.size ? pattern.data[end] : '\0') {
    case '*':
        return end_with(match_longest(matcher, s, p, end, 0));
    case '+':
        return end_with(match_longest(matcher, s, p, end, 1));
    case '-':
        return end_with(match_shortest(matcher, s, p, end));
    case '?':
        if (item_matches(matcher, s, p, end)) {
            size_t behind = match_from(matcher, s + 1, end + 1);
            if (behind != NO_MATCH) {
                return end_with(behind);
            }
        }
        return go_on(s, end + 1);
    default:
        return item_matches(matcher, s, p, end) ? go_on(s + 1, end) : end_with(NO_MATCH);
    }
}

static struct move move_on(struct matcher *matcher, size_t s, size_t p)
{
    struct cairn_slice pattern = matcher->match->pattern;
    struct move move;
    switch (pattern.data[p]) {
    case '(':
        return end_with(open_capture(matcher, s, p));
    case ')':
        return end_with(close_capture(matcher, s, p));
    case '$':
        if (p + 1 == pattern.size) {
            return end_with(s == matcher->match->subject.size ? s : NO_MATCH);
        }
        return match_item(matcher, s, p);
    case '%':
        if (special_escape(matcher, s, p, &move)) {
            return move;
        }
        return match_item(matcher, s, p);
    default:
        return match_item(matcher, s, p);
    }
}

/* Match the pattern from p on at s: the offset behind, or NO_MATCH. */
static size_t match_from(struct matcher *matcher, size_t s, size_t p)
{
    size_t result = s;
    if (++matcher->depth > DEPTH_MAX) {
        matcher->depth--;
        return fail(matcher, "pattern too complex");
    }
    while (p < matcher->match->pattern.size) {
        struct move move = end_with(NO_MATCH);
        if (matcher->match->fault == NULL && step(matcher)) {
            move = move_on(matcher, s, p);
        }
        if (move.ends) {
            result = move.result;
            break;
        }
        s = move.s;
        p = move.p;
        result = s;
    }
    matcher->depth--;
    return matcher->match->fault == NULL ? result : NO_MATCH;
}

bool cairn_pattern_match_at(struct cairn_pattern_match *match, size_t offset, size_t *ret_end)
{
    struct matcher matcher = {.match = match};
    assert(offset <= match->subject.size);
    match->capture_count = 0;
    size_t end = match_from(&matcher, offset, 0);
    assert(matcher.depth == 0);
    if (end == NO_MATCH) {
        return false;
    }
    *ret_end = end;
    return true;
}
