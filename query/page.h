/* A page on its way out: {"items": [...], "next": "..."} in either form, written piece by piece
 * into the body, so that no tree of the whole is built. thread: owner. */
#ifndef CAIRN_QUERY_PAGE_H
#define CAIRN_QUERY_PAGE_H

#include "query/reply.h"

struct cairn_page {
    struct cairn_buf *body; /* the response's */
    enum cairn_form form;
    uint32_t count; /* items so far */
    size_t begin;   /* where the page starts in body */
};

CAIRN_MUST_CHECK enum cairn_rc cairn_page_begin(struct cairn_page *page, enum cairn_form form,
                                                struct cairn_buf *body, struct cairn_err *err);
CAIRN_MUST_CHECK enum cairn_rc
cairn_page_item(struct cairn_page *page, const struct cairn_value *item, struct cairn_err *err);
/* A row of a view: its document with its key in front. */
CAIRN_MUST_CHECK enum cairn_rc cairn_page_row(struct cairn_page *page, struct cairn_slice key,
                                              const struct cairn_value *document,
                                              struct cairn_err *err);
/* next: empty for none. */
CAIRN_MUST_CHECK enum cairn_rc cairn_page_end(struct cairn_page *page, struct cairn_slice next,
                                              struct cairn_err *err);

/* A row alone: `key` and the document's members; a member of the document that is called key gives
 * way. errors: EINTERNAL (the document is no map), ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_page_row_write(struct cairn_buf *body, enum cairn_form form,
                                                    struct cairn_slice key,
                                                    const struct cairn_value *document,
                                                    struct cairn_err *err);

#endif
