/* Content negotiation: Accept against two media types, Content-Type against one. */
#include <assert.h>

#include "platform/http_int.h"

/* "0", "0.5", "1.000" as thousandths; anything else counts as 0: a range we cannot read is not
 * asked for. */
static int quality(struct cairn_slice text)
{
    if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
        (text.size > 1 && text.data[1] != '.')) {
        return 0;
    }
    int value = (text.data[0] - '0') * 1000;
    int unit = 100;
    for (size_t i = 2; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return 0;
        }
        value += (text.data[i] - '0') * unit;
        unit /= 10;
    }
    return value > 1000 ? 1000 : value;
}

/* One element of Accept: the range and its q. */
struct range {
    struct cairn_slice type;
    int q; /* 0..1000 */
};

static struct range read_range(struct cairn_slice element)
{
    size_t size = cairn_slice_find(element, ';');
    struct range range = {cairn_slice_trim(cairn_slice_of(element.data, size)), 1000};
    while (size < element.size) {
        element = cairn_slice_of(element.data + size + 1, element.size - size - 1);
        size = cairn_slice_find(element, ';');
        struct cairn_slice piece = cairn_slice_trim(cairn_slice_of(element.data, size));
        if (piece.size > 2 && (piece.data[0] | 0x20) == 'q' && piece.data[1] == '=') {
            range.q = quality(cairn_slice_of(piece.data + 2, piece.size - 2));
        }
    }
    return range;
}

/* How exactly range names type: 3 the type itself, 2 its family, 1 anything, 0 not at all. */
static int precision(struct cairn_slice range, struct cairn_slice type)
{
    if (cairn_slice_equal_nocase(range, type)) {
        return 3;
    }
    if (cairn_slice_is(range, "*/*")) {
        return 1;
    }
    size_t family = cairn_slice_find(type, '/') + 1;
    bool is_family = range.size == family + 1 && range.data[family] == '*' &&
                     cairn_slice_equal_nocase(cairn_slice_of(range.data, family),
                                              cairn_slice_of(type.data, family));
    return is_family ? 2 : 0;
}

/* What Accept gives to type: the q of the most precise range. */
static int wish(struct cairn_slice accept, struct cairn_slice type)
{
    int best = 0;
    int q = 0;
    while (accept.size > 0) {
        size_t size = cairn_slice_find(accept, ',');
        struct range range = read_range(cairn_slice_of(accept.data, size));
        int exact = precision(range.type, type);
        if (exact > best) {
            best = exact;
            q = range.q;
        }
        size_t skip = size < accept.size ? size + 1 : size;
        accept = cairn_slice_of(accept.data + skip, accept.size - skip);
    }
    assert(q >= 0 && q <= 1000);
    return q;
}

int cairn_http_accepts(const struct cairn_http_request *request, const char *first,
                       const char *second)
{
    struct cairn_slice accept = cairn_http_header(request, "Accept");
    if (accept.size == 0) {
        return 0;
    }
    int first_q = wish(accept, cairn_slice_str(first));
    int second_q = wish(accept, cairn_slice_str(second));
    if (first_q == 0 && second_q == 0) {
        return -1;
    }
    return second_q > first_q ? 1 : 0;
}

bool cairn_http_content_is(const struct cairn_http_request *request, const char *media_type)
{
    struct cairn_slice type = cairn_http_header(request, "Content-Type");
    type = cairn_slice_trim(cairn_slice_of(type.data, cairn_slice_find(type, ';')));
    return cairn_slice_equal_nocase(type, cairn_slice_str(media_type));
}
