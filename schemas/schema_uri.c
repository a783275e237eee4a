#include "schemas/schema_uri.h"

#include <assert.h>

/* The five parts of RFC 3986, appendix B; data is NULL where a part is absent. */
struct parts {
    struct cairn_slice scheme;    /* with its ':' */
    struct cairn_slice authority; /* with its "//" */
    struct cairn_slice path;      /* never absent */
    struct cairn_slice query;     /* with its '?' */
    struct cairn_slice fragment;  /* without its '#' */
};

static struct cairn_slice take(struct cairn_slice *rest, size_t size)
{
    assert(size <= rest->size);
    struct cairn_slice head = cairn_slice_of(rest->data, size);
    rest->data += size;
    rest->size -= size;
    return head;
}

static size_t find_any(struct cairn_slice text, const char *bytes)
{
    size_t at = 0;
    while (at < text.size && (text.data[at] == '\0' || strchr(bytes, text.data[at]) == NULL)) {
        at++;
    }
    return at;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Bytes of "scheme:", 0 when there is none. */
static size_t scheme_size(struct cairn_slice uri)
{
    size_t colon = find_any(uri, ":/?#");
    if (colon == uri.size || uri.data[colon] != ':' || !is_letter(uri.data[0])) {
        return 0;
    }
    for (size_t i = 1; i < colon; i++) {
        char c = uri.data[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') {
            return 0;
        }
    }
    return colon + 1;
}

static struct parts split(struct cairn_slice uri)
{
    struct parts parts = {.path = CAIRN_SLICE_NONE};
    struct cairn_slice rest = uri.data == NULL ? CAIRN_SLICE_LIT("") : uri;
    size_t scheme = scheme_size(rest);
    if (scheme > 0) {
        parts.scheme = take(&rest, scheme);
    }
    if (cairn_slice_starts(rest, CAIRN_SLICE_LIT("//"))) {
        struct cairn_slice behind = cairn_slice_of(rest.data + 2, rest.size - 2);
        parts.authority = take(&rest, 2 + find_any(behind, "/?#"));
    }
    parts.path = take(&rest, find_any(rest, "?#"));
    if (rest.size > 0 && rest.data[0] == '?') {
        parts.query = take(&rest, cairn_slice_find(rest, '#'));
    }
    if (rest.size > 0) {
        parts.fragment = cairn_slice_of(rest.data + 1, rest.size - 1);
    }
    return parts;
}

bool cairn_schema_uri_is_absolute(struct cairn_slice uri)
{
    return uri.size > 0 && scheme_size(uri) > 0;
}

static void append(char *out, size_t *size, struct cairn_slice piece)
{
    if (piece.size > 0) {
        memcpy(out + *size, piece.data, piece.size);
        *size += piece.size;
    }
}

/* Drop the last segment and its '/', but nothing before `start`. */
static void drop_segment(const char *out, size_t start, size_t *size)
{
    while (*size > start && out[*size - 1] != '/') {
        (*size)--;
    }
    if (*size > start) {
        (*size)--;
    }
}

/* Section 5.2.4, on a path that begins with '/'. */
static void append_without_dots(char *out, size_t *size, struct cairn_slice path)
{
    size_t start = *size;
    while (path.size > 0) {
        struct cairn_slice behind = cairn_slice_of(path.data + 1, path.size - 1);
        struct cairn_slice segment = take(&path, 1 + cairn_slice_find(behind, '/'));
        bool is_last = path.size == 0;
        bool is_up = cairn_slice_is(segment, "/..");
        if (!is_up && !cairn_slice_is(segment, "/.")) {
            append(out, size, segment);
            continue;
        }
        if (is_up) {
            drop_segment(out, start, size);
        }
        if (is_last) {
            append(out, size, CAIRN_SLICE_LIT("/"));
        }
    }
}

/* A relative path behind the base's last '/' (section 5.2.3), in out. */
static size_t merge(char *out, const struct parts *base, struct cairn_slice path)
{
    size_t size = 0;
    size_t keep = base->path.size;
    while (keep > 0 && base->path.data[keep - 1] != '/') {
        keep--;
    }
    if (keep == 0 && base->authority.data != NULL) {
        append(out, &size, CAIRN_SLICE_LIT("/"));
    }
    append(out, &size, cairn_slice_of(base->path.data, keep));
    append(out, &size, path);
    return size;
}

static int hex_digit(char c)
{
    static const char hex_digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(hex_digits, c);
    return at == NULL ? -1 : (int)(at - hex_digits) % 16;
}

static enum cairn_rc decode(struct cairn_slice text, struct cairn_arena *arena,
                            struct cairn_slice *ret_text)
{
    if (text.data == NULL) {
        *ret_text = text;
        return CAIRN_OK;
    }
    char *out = cairn_arena_alloc(arena, text.size + 1);
    size_t size = 0;
    if (out == NULL) {
        return CAIRN_ENOMEM;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            out[size++] = text.data[i];
            continue;
        }
        int high = text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
        int low = text.size - i > 2 ? hex_digit(text.data[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return CAIRN_EINVAL;
        }
        out[size++] = (char)(unsigned char)(high * 16 + low);
        i += 2;
    }
    *ret_text = cairn_slice_of(out, size);
    return CAIRN_OK;
}

/* Section 5.2.2 without the fragment; scratch and out have room for all of both. */
static size_t recompose(const struct parts *base, const struct parts *reference, char *scratch,
                        char *out)
{
    size_t size = 0;
    bool own = reference->scheme.data != NULL;
    bool own_authority = own || reference->authority.data != NULL;
    bool own_path = own_authority || reference->path.size > 0;
    bool own_query = own_path || reference->query.data != NULL;
    struct cairn_slice path = own_path ? reference->path : base->path;
    append(out, &size, own ? reference->scheme : base->scheme);
    append(out, &size, own_authority ? reference->authority : base->authority);
    if (own_path && !own_authority && path.data[0] != '/') {
        path = cairn_slice_of(scratch, merge(scratch, base, path));
    }
    if (path.size > 0 && path.data[0] == '/') {
        append_without_dots(out, &size, path);
    } else {
        append(out, &size, path);
    }
    append(out, &size, own_query ? reference->query : base->query);
    return size;
}

enum cairn_rc cairn_schema_uri_resolve(struct cairn_slice base, struct cairn_slice reference,
                                       struct cairn_arena *arena, struct cairn_slice *ret_uri,
                                       struct cairn_slice *ret_fragment)
{
    struct parts from = split(base);
    struct parts to = split(reference);
    char *scratch = cairn_arena_alloc(arena, base.size + reference.size + 2);
    char *out = cairn_arena_alloc(arena, base.size + reference.size + 2);
    if (scratch == NULL || out == NULL) {
        return CAIRN_ENOMEM;
    }
    enum cairn_rc rc = decode(to.fragment, arena, ret_fragment);
    if (rc == CAIRN_OK) {
        *ret_uri = cairn_slice_of(out, recompose(&from, &to, scratch, out));
    }
    return rc;
}
