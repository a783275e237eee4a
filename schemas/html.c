#include "schemas/html.h"

#include <assert.h>
#include <stdio.h>

#define NONCE_BYTES 16u
#define MARK        "{{nonce}}"

/* Bytes before the first mark, or all of them. */
static size_t find_mark(struct cairn_slice text)
{
    const size_t size = sizeof(MARK) - 1;
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.data + i, MARK, size) == 0) {
            return i;
        }
    }
    return text.size;
}

static enum cairn_rc append_page(struct cairn_slice html, struct cairn_slice nonce,
                                 struct cairn_buf *out)
{
    struct cairn_slice rest = html;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && rest.size > 0) {
        size_t before = find_mark(rest);
        rc = cairn_buf_append(out, cairn_slice_of(rest.data, before));
        if (rc != CAIRN_OK || before == rest.size) {
            break;
        }
        rc = cairn_buf_append(out, nonce);
        size_t used = before + sizeof(MARK) - 1;
        rest = cairn_slice_of(rest.data + used, rest.size - used);
    }
    return rc;
}

enum cairn_rc cairn_html_write(struct cairn_slice html, const struct cairn_random *random,
                               struct cairn_buf *out, char policy[CAIRN_HTML_POLICY_MAX],
                               struct cairn_err *err)
{
    assert(html.size > 0 && random != NULL);
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[NONCE_BYTES];
    char nonce[2 * NONCE_BYTES + 1];
    random->fill(random->self, bytes, sizeof(bytes));
    for (size_t i = 0; i < NONCE_BYTES; i++) {
        nonce[2 * i] = digits[bytes[i] >> 4];
        nonce[2 * i + 1] = digits[bytes[i] & 15];
    }
    nonce[2 * NONCE_BYTES] = '\0';
    int size =
        snprintf(policy, CAIRN_HTML_POLICY_MAX,
                 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; img-src data:; "
                 "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                 nonce, nonce);
    assert(size > 0 && size < CAIRN_HTML_POLICY_MAX);
    enum cairn_rc rc = append_page(html, cairn_slice_of(nonce, 2 * NONCE_BYTES), out);
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "writing a page");
}
