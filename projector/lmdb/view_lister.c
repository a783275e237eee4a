#include "projector/lmdb/view_lister.h"

#include <assert.h>

enum cairn_rc cairn_lister_no_memory(const struct cairn_lister *lister)
{
    return CAIRN_FAIL(lister->err, CAIRN_ENOMEM, "list view %.*s",
                      CAIRN_SLICE_ARG(lister->query->view));
}

struct cairn_slice cairn_lister_copy(const struct cairn_lister *lister, struct cairn_slice bytes)
{
    struct cairn_slice copy;
    return cairn_arena_copy(lister->arena, bytes, &copy) == CAIRN_OK ? copy : CAIRN_SLICE_NONE;
}

enum cairn_rc cairn_lister_row(const struct cairn_lister *lister, struct cairn_slice key,
                               struct cairn_slice *ret_packed)
{
    enum cairn_rc rc =
        cairn_kv_get(lister->snapshot.txn, cairn_lister_rows(lister), key, ret_packed, lister->err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(lister->err, CAIRN_ECORRUPT, "view %.*s: an index names a missing row",
                          CAIRN_SLICE_ARG(lister->query->view));
    }
    return rc;
}

enum cairn_rc cairn_lister_test(struct cairn_lister *lister, struct cairn_slice key,
                                struct cairn_slice packed, struct cairn_value *ret_document,
                                bool *ret_passes)
{
    lister->examined++;
    cairn_arena_reset(&lister->scratch);
    enum cairn_rc rc = cairn_view_document(packed, &lister->scratch, ret_document, lister->err);
    *ret_passes = rc == CAIRN_OK && cairn_view_test_row(&lister->test, key, ret_document);
    return rc;
}

static bool is_selected(const struct cairn_view_query *query, struct cairn_slice name)
{
    for (size_t i = 0; i < query->select_count; i++) {
        if (cairn_slice_equal(query->select[i], name)) {
            return true;
        }
    }
    return false;
}

/* Leave only the members that the query names. */
static enum cairn_rc select_members(struct cairn_lister *lister, struct cairn_value *document)
{
    struct cairn_value_builder chosen = {.arena = lister->arena};
    for (uint32_t i = 0; i < document->count; i++) {
        const struct cairn_member *member = &document->as.members[i];
        struct cairn_slice name = cairn_value_slice(&member->key);
        if (is_selected(lister->query, name) &&
            cairn_value_add_slice(&chosen, name, member->value) != CAIRN_OK) {
            return cairn_lister_no_memory(lister);
        }
    }
    *document = cairn_value_map(&chosen);
    return CAIRN_OK;
}

enum cairn_rc cairn_lister_take(struct cairn_lister *lister, struct cairn_slice key,
                                struct cairn_slice packed)
{
    assert(lister->count < lister->query->limit);
    struct cairn_view_row *row = &lister->rows[lister->count];
    row->key = cairn_lister_copy(lister, key);
    if (row->key.data == NULL) {
        return cairn_lister_no_memory(lister);
    }
    enum cairn_rc rc = cairn_view_document(packed, lister->arena, &row->document, lister->err);
    if (rc == CAIRN_OK && lister->query->select != NULL) {
        rc = select_members(lister, &row->document);
    }
    lister->count += rc == CAIRN_OK;
    return rc;
}
