#include "projector/lmdb/retry.h"

#include <assert.h>
#include <stdlib.h>

#include "projector/lmdb/parked_apply.h"

/* How far back the newest event that the view has passed may be looked for at once. */
#define BACK_EVENTS 64u
/* A definition, a row, a page of events. */
#define CODE_BYTES_MAX (16u * 1024u * 1024u)
#define PAGE_BYTES_MAX (256u * 1024u * 1024u)

/* One parked stream in hand. */
struct mending {
    const struct cairn_projector_options *options;
    struct cairn_views *views;
    struct cairn_view_tables tables;
    struct cairn_kv_txn *txn; /* a write; NULL: none is open */
    struct cairn_view_head head;
    struct cairn_parked_place place;
    struct cairn_parked parked;
    struct cairn_arena arena; /* of parked, and of the definition */
    struct cairn_arena page;
    struct cairn_parked_outcome outcome; /* of a retry */
};

static enum cairn_rc open_views(const struct cairn_projector_options *options, bool writer,
                                struct cairn_views **ret_views, struct cairn_err *err)
{
    if (options->views != NULL) {
        *ret_views = options->views;
        return CAIRN_OK;
    }
    return writer ? cairn_views_open_writer(options->data_folder, true, ret_views, err)
                  : cairn_views_open(options->data_folder, ret_views, err);
}

static void close_views(const struct cairn_projector_options *options, struct cairn_views *views)
{
    if (options->views == NULL) {
        cairn_views_close(views);
    }
}

/* Begin the transaction, and find the row of the stream in it. */
static enum cairn_rc find_row(struct mending *mending, struct cairn_slice view,
                              struct cairn_slice stream, struct cairn_err *err)
{
    assert(mending->txn == NULL);
    cairn_kv_table_id meta = cairn_views_meta(mending->views);
    enum cairn_rc rc = cairn_kv_write_begin(cairn_views_kv(mending->views), &mending->txn, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_view_head_get(mending->txn, meta, CAIRN_SIDE_LIVE, view, &mending->head, err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, rc, "it has no live generation");
    }
    if (rc == CAIRN_OK) {
        mending->place =
            (struct cairn_parked_place){.meta = meta, .view = view, .slot = mending->head.slot};
        rc = cairn_view_parked_get(mending->txn, &mending->place, stream, &mending->arena,
                                   &mending->parked, err);
    }
    return rc == CAIRN_ENOENT
               ? CAIRN_FAIL(err, rc, "stream %.*s does not wait", CAIRN_SLICE_ARG(stream))
               : rc;
}

static enum cairn_rc begin(struct mending *mending, const struct cairn_projector_options *options,
                           struct cairn_slice view, struct cairn_slice stream,
                           struct cairn_err *err)
{
    *mending = (struct mending){
        .options = options, .arena = {.max = CODE_BYTES_MAX}, .page = {.max = PAGE_BYTES_MAX}};
    enum cairn_rc rc = open_views(options, true, &mending->views, err);
    if (rc == CAIRN_OK) {
        rc = cairn_views_tables(mending->views, view, &mending->tables, err);
    }
    return rc == CAIRN_OK ? find_row(mending, view, stream, err) : rc;
}

/* The set of parked streams has changed: say so, and end the transaction as rc says. */
static enum cairn_rc commit(struct mending *mending, enum cairn_rc rc, struct cairn_err *err)
{
    struct cairn_kv_txn *txn = mending->txn;
    mending->txn = NULL;
    if (rc == CAIRN_OK) {
        mending->head.parks++;
        rc = cairn_view_head_put(txn, mending->place.meta, CAIRN_SIDE_LIVE, mending->place.view,
                                 &mending->head, err);
    }
    return cairn_views_end_write(mending->views, txn, rc, err);
}

static void end(struct mending *mending)
{
    cairn_kv_end(mending->txn);
    if (mending->views != NULL) {
        close_views(mending->options, mending->views);
    }
    cairn_arena_fini(&mending->arena);
    cairn_arena_fini(&mending->page);
}

static bool is_passed(const struct mending *mending, const struct cairn_event *event)
{
    return event->offset <= mending->head.position.offsets[event->partition];
}

/* ---- Listing ----------------------------------------------------------------------------------
 */

struct listing {
    struct cairn_arena *arena;
    struct cairn_parked *rows; /* NULL: they are only counted */
    size_t count;
};

static enum cairn_rc list_row(void *self, const struct cairn_parked *parked, struct cairn_err *err)
{
    struct listing *listing = self;
    size_t at = listing->count++;
    return listing->rows == NULL
               ? CAIRN_OK
               : cairn_parked_copy(parked, listing->arena, &listing->rows[at], err);
}

static int compare_rows(const void *a, const void *b)
{
    const struct cairn_parked *left = a;
    const struct cairn_parked *right = b;
    int order = cairn_slice_compare(left->stream, right->stream);
    return order != 0 ? order : (left->version > right->version) - (left->version < right->version);
}

static enum cairn_rc list_rows(struct cairn_kv_txn *txn, const struct cairn_parked_place *place,
                               struct listing *listing, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_view_parked_each(txn, place, CAIRN_SLICE_NONE, list_row, listing, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    listing->rows = cairn_arena_zalloc(listing->arena, listing->count + 1, sizeof *listing->rows);
    if (listing->rows == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list %zu rows", listing->count);
    }
    listing->count = 0;
    rc = cairn_view_parked_each(txn, place, CAIRN_SLICE_NONE, list_row, listing, err);
    qsort(listing->rows, listing->count, sizeof *listing->rows, compare_rows);
    return rc;
}

enum cairn_rc cairn_parked_lmdb_list(const struct cairn_projector_options *options,
                                     struct cairn_slice view, struct cairn_arena *arena,
                                     struct cairn_parked **ret_parked, size_t *ret_count,
                                     struct cairn_err *err)
{
    assert(options != NULL && ret_parked != NULL && ret_count != NULL);
    struct listing listing = {.arena = arena};
    struct cairn_views *views = NULL;
    struct cairn_kv_txn *txn = NULL;
    struct cairn_view_head head;
    enum cairn_rc rc = open_views(options, false, &views, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_kv_read_begin(cairn_views_kv(views), &txn, err);
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_get(txn, cairn_views_meta(views), CAIRN_SIDE_LIVE, view, &head, err);
        rc = rc == CAIRN_ENOENT ? CAIRN_FAIL(err, rc, "it has no live generation") : rc;
    }
    if (rc == CAIRN_OK) {
        const struct cairn_parked_place place = {
            .meta = cairn_views_meta(views), .view = view, .slot = head.slot};
        rc = list_rows(txn, &place, &listing, err);
    }
    cairn_kv_end(txn);
    close_views(options, views);
    if (rc == CAIRN_OK) {
        *ret_parked = listing.rows;
        *ret_count = listing.count;
    }
    return rc;
}

/* ---- Trying again -----------------------------------------------------------------------------
 */

/* A follower of the live generation, by the definition that made it, that stays where it is. */
static enum cairn_rc open_follower(struct mending *mending, struct cairn_follower **ret_follower,
                                   struct cairn_err *err)
{
    struct cairn_view_code code;
    struct cairn_projection *projection = NULL;
    enum cairn_rc rc = cairn_view_code_get(mending->txn, mending->place.meta, CAIRN_SIDE_LIVE,
                                           mending->place.view, &mending->arena, &code, err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "it has no definition");
    }
    if (rc == CAIRN_OK) {
        rc = cairn_projection_new(mending->place.view, code.script_name, code.script,
                                  &mending->options->lua, &projection, err);
    }
    return rc == CAIRN_OK
               ? cairn_follower_new(mending->place.view, projection, &mending->tables,
                                    CAIRN_SIDE_LIVE, &mending->head, NULL, ret_follower, err)
               : rc;
}

static enum cairn_rc apply_and_remove(struct mending *mending, struct cairn_err *err)
{
    const struct cairn_view_group_options options = {.views = mending->views,
                                                     .store = mending->options->store,
                                                     .domain = mending->options->domain,
                                                     .clock = mending->options->clock};
    struct cairn_view_group group;
    struct cairn_follower *follower = NULL;
    enum cairn_rc rc = cairn_view_group_init(&group, &options, err);
    if (rc == CAIRN_OK) {
        rc = open_follower(mending, &follower, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_parked_apply(&group, follower, mending->txn, &mending->parked, NULL,
                                &mending->outcome, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_parked_delete(mending->txn, &mending->place, mending->parked.stream,
                                      mending->parked.version, err);
    }
    cairn_follower_free(follower);
    cairn_view_group_fini(&group);
    return rc;
}

/* Keep why it failed this time, unless somebody has done something else with it meanwhile. */
static enum cairn_rc note_failure(struct mending *mending, struct cairn_slice view,
                                  struct cairn_slice stream, struct cairn_err *err)
{
    const struct cairn_parked_outcome *outcome = &mending->outcome;
    const uint64_t generation = mending->head.generation;
    const uint64_t version = mending->parked.version;
    char id[CAIRN_UUID_TEXT_SIZE];
    cairn_kv_end(mending->txn);
    mending->txn = NULL;
    cairn_uuid_format(&outcome->event, id);
    enum cairn_rc rc = find_row(mending, view, stream, err);
    if (rc != CAIRN_OK || mending->head.generation != generation ||
        mending->parked.version != version) {
        return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    struct cairn_parked parked = mending->parked;
    parked.event = cairn_slice_of(id, sizeof id);
    parked.partition = outcome->partition;
    parked.offset = outcome->offset;
    parked.error = cairn_slice_str(outcome->cause.text);
    rc = cairn_view_parked_put(mending->txn, &mending->place, &parked, err);
    struct cairn_kv_txn *txn = mending->txn;
    mending->txn = NULL;
    return cairn_views_end_write(mending->views, txn, rc, err);
}

enum cairn_rc cairn_parked_lmdb_retry(const struct cairn_projector_options *options,
                                      struct cairn_slice view, struct cairn_slice stream,
                                      uint64_t *ret_events, struct cairn_err *err)
{
    assert(options != NULL && ret_events != NULL);
    struct mending mending;
    enum cairn_rc rc = begin(&mending, options, view, stream, err);
    if (rc == CAIRN_OK) {
        rc = apply_and_remove(&mending, err);
        if (mending.outcome.refused) {
            const struct cairn_err cause = *err;
            enum cairn_rc noted = note_failure(&mending, view, stream, err);
            rc = noted == CAIRN_OK ? rc : noted;
            if (noted == CAIRN_OK) {
                *err = cause;
            }
        } else {
            rc = commit(&mending, rc, err);
        }
    }
    end(&mending);
    if (rc == CAIRN_OK) {
        *ret_events = mending.outcome.events;
    }
    return rc;
}

/* ---- Giving up --------------------------------------------------------------------------------
 */

/* The version of the stream's newest event that the view has passed. */
static enum cairn_rc find_passed(struct mending *mending, uint64_t *ret_version,
                                 struct cairn_err *err)
{
    struct cairn_event_page page = {.more = true};
    uint64_t before = 0;
    enum cairn_rc rc = cairn_parked_check_log(mending->options->store, &mending->head.position,
                                              mending->parked.partition, err);
    while (rc == CAIRN_OK && page.more) {
        cairn_arena_reset(&mending->page);
        rc = cairn_store_read_stream(mending->options->store, mending->parked.stream, before,
                                     BACK_EVENTS, CAIRN_BACKWARD, &mending->page, &page, err);
        for (size_t i = 0; rc == CAIRN_OK && i < page.count; i++) {
            before = page.events[i].version;
            if (is_passed(mending, &page.events[i])) {
                *ret_version = before;
                return CAIRN_OK;
            }
        }
    }
    return rc == CAIRN_OK ? CAIRN_FAIL(err, CAIRN_ECORRUPT, "the log has no events of %.*s",
                                       CAIRN_SLICE_ARG(mending->parked.stream))
                          : rc;
}

enum cairn_rc cairn_parked_lmdb_drop(const struct cairn_projector_options *options,
                                     struct cairn_slice view, struct cairn_slice stream,
                                     uint64_t *ret_events, struct cairn_err *err)
{
    assert(options != NULL && ret_events != NULL);
    struct mending mending;
    uint64_t until = 0;
    enum cairn_rc rc = begin(&mending, options, view, stream, err);
    if (rc == CAIRN_OK) {
        rc = find_passed(&mending, &until, err);
        if (rc == CAIRN_OK && until < mending.parked.version) {
            rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "the log ends before the version that waits");
        }
        if (rc == CAIRN_OK) {
            mending.parked.until_version = until;
            rc = cairn_view_parked_put(mending.txn, &mending.place, &mending.parked, err);
        }
        rc = commit(&mending, rc, err);
    }
    end(&mending);
    if (rc == CAIRN_OK) {
        *ret_events = until - mending.parked.version + 1;
    }
    return rc;
}
