#include "projector/compare_parked.h"

#include <assert.h>

struct copying {
    const struct cairn_compare_parked *into;
    uint32_t count;
};

static enum cairn_rc copy_row(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    struct copying *copying = self;
    copying->count++;
    return cairn_view_parked_put(copying->into->txn, &copying->into->place, parked, err);
}

enum cairn_rc cairn_compare_parked_copy(const struct cairn_compare_parked *from,
                                        const struct cairn_compare_parked *into,
                                        uint32_t *ret_count, struct cairn_err *err)
{
    struct copying copying = {.into = into};
    assert(from->txn != into->txn && ret_count != NULL);
    enum cairn_rc rc =
        cairn_view_parked_each(from->txn, &from->place, CAIRN_SLICE_NONE, copy_row, &copying, err);
    if (rc == CAIRN_OK) {
        *ret_count = copying.count;
    }
    return rc;
}

/* Rows of one generation, looked up in another. */
struct matching {
    const struct cairn_compare_parked *other;
    const struct cairn_parked *wanted;
    uint64_t count;
    uint64_t found;
};

static enum cairn_rc match_row(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    struct matching *matching = self;
    (void)err;
    matching->found += parked->version == matching->wanted->version &&
                       parked->until_version == matching->wanted->until_version;
    return CAIRN_OK;
}

static enum cairn_rc look_up(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    struct matching *matching = self;
    matching->count++;
    matching->wanted = parked;
    return cairn_view_parked_each(matching->other->txn, &matching->other->place, parked->stream,
                                  match_row, matching, err);
}

/* Are the rows of a among those of b? */
static enum cairn_rc is_within(const struct cairn_compare_parked *a,
                               const struct cairn_compare_parked *b, bool *ret_within,
                               struct cairn_err *err)
{
    struct matching matching = {.other = b};
    enum cairn_rc rc =
        cairn_view_parked_each(a->txn, &a->place, CAIRN_SLICE_NONE, look_up, &matching, err);
    *ret_within = rc == CAIRN_OK && matching.found == matching.count;
    return rc;
}

enum cairn_rc cairn_compare_parked_same(const struct cairn_compare_parked *a,
                                        const struct cairn_compare_parked *b, bool *ret_same,
                                        struct cairn_err *err)
{
    bool within = false;
    assert(a->txn != b->txn && ret_same != NULL);
    enum cairn_rc rc = is_within(a, b, &within, err);
    if (rc == CAIRN_OK && within) {
        rc = is_within(b, a, &within, err);
    }
    if (rc == CAIRN_OK) {
        *ret_same = within;
    }
    return rc;
}
