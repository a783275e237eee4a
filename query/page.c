#include "query/page.h"

#include <assert.h>

#include "platform/json.h"
#include "schemas/msgpack.h"

/* msgpack: the counts are known at the end only, so both heads are of fixed size and are filled in
 * then.
 *
 *   0   1  fixmap of 1 member (0x81), or 2 with next (0x82)
 *   1   6  fixstr "items"
 *   7   1  array 32 (0xdd)
 *   8   4  number of items, big-endian */
static const char msgpack_head[12] = "\x81\xa5items\xdd\0\0\0";
#define COUNT_AT 8u

static enum cairn_rc written(enum cairn_rc rc, struct cairn_err *err)
{
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "writing the answer");
}

enum cairn_rc cairn_page_begin(struct cairn_page *page, enum cairn_form form,
                               struct cairn_buf *body, struct cairn_err *err)
{
    assert(body != NULL);
    *page = (struct cairn_page){.body = body, .form = form, .begin = body->size};
    struct cairn_slice head = form == CAIRN_FORM_JSON
                                  ? CAIRN_SLICE_LIT("{\"items\":[")
                                  : cairn_slice_of(msgpack_head, sizeof(msgpack_head));
    return written(cairn_buf_append(body, head), err);
}

static enum cairn_rc next_item(struct cairn_page *page, struct cairn_err *err)
{
    assert(page->count < UINT32_MAX);
    page->count++;
    if (page->form != CAIRN_FORM_JSON || page->count == 1) {
        return CAIRN_OK;
    }
    return written(cairn_buf_append_byte(page->body, ','), err);
}

enum cairn_rc cairn_page_item(struct cairn_page *page, const struct cairn_value *item,
                              struct cairn_err *err)
{
    assert(item != NULL);
    enum cairn_rc rc = next_item(page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    return written(page->form == CAIRN_FORM_JSON ? cairn_json_write(item, page->body)
                                                 : cairn_msgpack_write(item, page->body),
                   err);
}

enum cairn_rc cairn_page_row(struct cairn_page *page, struct cairn_slice key,
                             const struct cairn_value *document, struct cairn_err *err)
{
    enum cairn_rc rc = next_item(page, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    return cairn_page_row_write(page->body, page->form, key, document, err);
}

static enum cairn_rc end_json(struct cairn_page *page, struct cairn_slice next)
{
    if (next.size == 0) {
        return cairn_buf_append(page->body, CAIRN_SLICE_LIT("]}"));
    }
    enum cairn_rc rc = cairn_buf_append(page->body, CAIRN_SLICE_LIT("],\"next\":"));
    rc = rc != CAIRN_OK ? rc : cairn_json_write_string(next, page->body);
    return rc != CAIRN_OK ? rc : cairn_buf_append_byte(page->body, '}');
}

static enum cairn_rc end_msgpack(struct cairn_page *page, struct cairn_slice next)
{
    unsigned char *head = (unsigned char *)page->body->data + page->begin;
    for (unsigned i = 0; i < 4; i++) {
        head[COUNT_AT + i] = (unsigned char)(page->count >> (24 - 8 * i));
    }
    if (next.size == 0) {
        return CAIRN_OK;
    }
    head[0] = 0x82;
    struct cairn_value name = cairn_value_string(CAIRN_SLICE_LIT("next"));
    struct cairn_value text = cairn_value_string(next);
    enum cairn_rc rc = cairn_msgpack_write(&name, page->body);
    return rc != CAIRN_OK ? rc : cairn_msgpack_write(&text, page->body);
}

enum cairn_rc cairn_page_end(struct cairn_page *page, struct cairn_slice next,
                             struct cairn_err *err)
{
    assert(page->body->size >= page->begin + 2);
    return written(page->form == CAIRN_FORM_JSON ? end_json(page, next) : end_msgpack(page, next),
                   err);
}

static bool is_key(const struct cairn_member *member)
{
    return cairn_slice_is(cairn_value_slice(&member->key), "key");
}

static enum cairn_rc row_json(struct cairn_buf *body, struct cairn_slice key,
                              const struct cairn_value *document)
{
    enum cairn_rc rc = cairn_buf_append(body, CAIRN_SLICE_LIT("{\"key\":"));
    rc = rc != CAIRN_OK ? rc : cairn_json_write_string(key, body);
    for (uint32_t i = 0; rc == CAIRN_OK && i < document->count; i++) {
        const struct cairn_member *member = &document->as.members[i];
        if (is_key(member)) {
            continue;
        }
        rc = cairn_buf_append_byte(body, ',');
        rc = rc != CAIRN_OK ? rc : cairn_json_write_string(cairn_value_slice(&member->key), body);
        rc = rc != CAIRN_OK ? rc : cairn_buf_append_byte(body, ':');
        rc = rc != CAIRN_OK ? rc : cairn_json_write(&member->value, body);
    }
    return rc != CAIRN_OK ? rc : cairn_buf_append_byte(body, '}');
}

/* A map head of count members. */
static enum cairn_rc map_msgpack(struct cairn_buf *body, uint32_t count)
{
    if (count < 16) {
        return cairn_buf_append_byte(body, (char)(0x80u | count));
    }
    const unsigned char head[5] = {0xdf, (unsigned char)(count >> 24), (unsigned char)(count >> 16),
                                   (unsigned char)(count >> 8), (unsigned char)count};
    return cairn_buf_append(body, cairn_slice_of((const char *)head, sizeof(head)));
}

static enum cairn_rc row_msgpack(struct cairn_buf *body, struct cairn_slice key,
                                 const struct cairn_value *document)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < document->count; i++) {
        count += is_key(&document->as.members[i]) ? 0u : 1u;
    }
    struct cairn_value name = cairn_value_string(CAIRN_SLICE_LIT("key"));
    struct cairn_value text = cairn_value_string(key);
    enum cairn_rc rc = map_msgpack(body, count);
    rc = rc != CAIRN_OK ? rc : cairn_msgpack_write(&name, body);
    rc = rc != CAIRN_OK ? rc : cairn_msgpack_write(&text, body);
    for (uint32_t i = 0; rc == CAIRN_OK && i < document->count; i++) {
        const struct cairn_member *member = &document->as.members[i];
        if (is_key(member)) {
            continue;
        }
        rc = cairn_msgpack_write(&member->key, body);
        rc = rc != CAIRN_OK ? rc : cairn_msgpack_write(&member->value, body);
    }
    return rc;
}

enum cairn_rc cairn_page_row_write(struct cairn_buf *body, enum cairn_form form,
                                   struct cairn_slice key, const struct cairn_value *document,
                                   struct cairn_err *err)
{
    assert(body != NULL && document != NULL);
    if (document->type != CAIRN_MAP) {
        return CAIRN_FAIL(err, CAIRN_EINTERNAL, "a row's document is no map");
    }
    return written(form == CAIRN_FORM_JSON ? row_json(body, key, document)
                                           : row_msgpack(body, key, document),
                   err);
}
