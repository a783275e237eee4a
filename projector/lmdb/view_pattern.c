#include "projector/lmdb/view_pattern.h"

#include <assert.h>

struct cairn_slice cairn_view_pattern_prefix(struct cairn_slice pattern)
{
    return cairn_slice_of(pattern.data, cairn_slice_find(pattern, '*'));
}

static struct cairn_slice skip(struct cairn_slice text, size_t size)
{
    assert(size <= text.size);
    return size == 0 ? text : cairn_slice_of(text.data + size, text.size - size);
}

static bool ends(struct cairn_slice text, struct cairn_slice tail)
{
    return tail.size <= text.size && cairn_slice_equal(skip(text, text.size - tail.size), tail);
}

/* Each piece between two stars is taken where it is found first: a later place would only leave
 * less for the pieces behind it. */
bool cairn_view_pattern_match(struct cairn_slice pattern, struct cairn_slice text)
{
    struct cairn_slice piece = cairn_view_pattern_prefix(pattern);
    if (piece.size == pattern.size) {
        return cairn_slice_equal(pattern, text);
    }
    if (!cairn_slice_starts(text, piece)) {
        return false;
    }
    pattern = skip(pattern, piece.size + 1);
    text = skip(text, piece.size);
    for (;;) {
        piece = cairn_view_pattern_prefix(pattern);
        if (piece.size == pattern.size) {
            return ends(text, piece);
        }
        if (piece.size > 0) {
            const char *found = text.size < piece.size
                                    ? NULL
                                    : memmem(text.data, text.size, piece.data, piece.size);
            if (found == NULL) {
                return false;
            }
            text = skip(text, (size_t)(found - text.data) + piece.size);
        }
        pattern = skip(pattern, piece.size + 1);
    }
}
