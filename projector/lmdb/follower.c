#include "projector/lmdb/follower.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/mem.h"
#include "projector/lmdb/view_key.h"
#include "schemas/msgpack.h"

struct cairn_slice cairn_follower_name(const struct cairn_follower *follower)
{
    return cairn_slice_str(follower->name);
}

void cairn_follower_metrics_add(struct cairn_metrics *metrics, struct cairn_slice view,
                                struct cairn_follower_metrics *ret_metrics)
{
    char labels[CAIRN_VIEW_NAME_BYTES_MAX + 16];
    (void)snprintf(labels, sizeof labels, "view=\"%.*s\"", CAIRN_SLICE_ARG(view));
    ret_metrics->lag = cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_lag_events", labels,
                                         "Events of the log that the view does not hold yet.");
    ret_metrics->events = cairn_metrics_add(metrics, CAIRN_COUNTER, "cairn_view_events_total",
                                            labels, "Events applied to the view.");
    ret_metrics->stopped =
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_stopped", labels,
                          "1 while the view's projection stands at an event that it failed at.");
    ret_metrics->parked =
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_parked_streams", labels,
                          "Streams whose events wait, because the view "
                          "could not apply one of them.");
    ret_metrics->build_done =
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_rebuild_done_events", labels,
                          "Events applied to the generation that is being built; 0: none is.");
    ret_metrics->build_all =
        cairn_metrics_add(metrics, CAIRN_GAUGE, "cairn_view_rebuild_all_events", labels,
                          "Events that the generation being built has to apply.");
}

/* Of the live generation alone, as its row says: one beside it may fail as it likes. */
static void show_stopped(const struct cairn_follower *follower)
{
    if (follower->side == CAIRN_SIDE_LIVE) {
        cairn_metric_set(follower->metrics.stopped, follower->head.state == CAIRN_VIEW_STOPPED);
    }
}

enum cairn_rc cairn_follower_new(struct cairn_slice name, struct cairn_projection *projection,
                                 const struct cairn_view_tables *tables, enum cairn_view_side side,
                                 const struct cairn_view_head *head, struct cairn_metrics *metrics,
                                 struct cairn_follower **ret_follower, struct cairn_err *err)
{
    assert(name.size > 0 && name.size <= CAIRN_VIEW_NAME_BYTES_MAX);
    struct cairn_follower *follower = cairn_mem_zalloc(1, sizeof *follower);
    if (follower == NULL) {
        cairn_projection_free(projection);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "follow the log for view %.*s", CAIRN_SLICE_ARG(name));
    }
    memcpy(follower->name, name.data, name.size);
    follower->projection = projection;
    follower->tables = *tables;
    follower->side = side;
    follower->head = *head;
    if (metrics != NULL) {
        cairn_follower_metrics_add(metrics, cairn_follower_name(follower), &follower->metrics);
        show_stopped(follower);
    }
    if (projection == NULL) {
        follower->head.state = CAIRN_VIEW_STOPPED;
    }
    *ret_follower = follower;
    return CAIRN_OK;
}

void cairn_follower_free(struct cairn_follower *follower)
{
    if (follower == NULL) {
        return;
    }
    cairn_projection_free(follower->projection);
    cairn_parking_fini(&follower->parking);
    cairn_mem_free(follower);
}

/* ---- Applying ---------------------------------------------------------------------------------
 */

static enum cairn_rc read_row(void *self, struct cairn_slice key, struct cairn_slice *ret_packed,
                              struct cairn_err *err)
{
    struct cairn_follower *follower = self;
    return cairn_kv_get(follower->snapshot, follower->tables.rows[follower->head.slot], key,
                        ret_packed, err);
}

static struct cairn_parked_place parked_place(const struct cairn_follower *follower,
                                              cairn_kv_table_id meta)
{
    return (struct cairn_parked_place){
        .meta = meta, .view = cairn_follower_name(follower), .slot = follower->head.slot};
}

static void show_parked(const struct cairn_follower *follower)
{
    if (follower->side == CAIRN_SIDE_LIVE) {
        cairn_metric_set(follower->metrics.parked, (int64_t)follower->parking.set.waiting);
    }
}

static enum cairn_rc load_parked(struct cairn_follower *follower, struct cairn_kv_txn *snapshot,
                                 cairn_kv_table_id meta, struct cairn_err *err)
{
    const struct cairn_parked_place place = parked_place(follower, meta);
    enum cairn_rc rc =
        cairn_parking_load(&follower->parking, snapshot, &place, follower->head.parks, err);
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, rc, "view %s", follower->name);
    }
    show_parked(follower);
    return CAIRN_OK;
}

enum cairn_rc cairn_follower_begin(struct cairn_follower *follower, struct cairn_kv_txn *snapshot,
                                   cairn_kv_table_id meta, struct cairn_arena *arena,
                                   struct cairn_err *err)
{
    const struct cairn_row_reader reader = {.get = read_row, .self = follower};
    follower->snapshot = snapshot;
    follower->next = follower->head;
    follower->failure.failed = false;
    follower->row_op_count = 0;
    follower->index_op_count = 0;
    cairn_projection_begin(follower->projection, arena, &reader);
    return load_parked(follower, snapshot, meta, err);
}

static void fail(struct cairn_follower *follower, const struct cairn_event *event,
                 const struct cairn_err *cause)
{
    follower->next.position.offsets[event->partition] = follower->before_offset;
    follower->next.events = follower->before_events;
    follower->failure = (struct cairn_follower_failure){.failed = true,
                                                        .err = *cause,
                                                        .event = event->id,
                                                        .partition = event->partition,
                                                        .offset = event->offset};
}

enum cairn_rc cairn_follower_refuse(struct cairn_follower *follower,
                                    const struct cairn_event *event, const struct cairn_err *cause,
                                    int64_t now_us, struct cairn_arena *arena,
                                    struct cairn_err *err)
{
    assert(!follower->failure.failed);
    cairn_projection_undo(follower->projection);
    if (!cairn_projection_parks(follower->projection)) {
        fail(follower, event, cause);
        return CAIRN_OK;
    }
    struct cairn_err full;
    enum cairn_rc rc = cairn_parking_add(&follower->parking, event, cause, now_us, arena, &full);
    if (rc == CAIRN_ETOOBIG) {
        struct cairn_err both = *cause;
        (void)cairn_err_wrap(&both, CAIRN_ESCRIPT, "%s, so the definition seems wrong", full.text);
        fail(follower, event, &both);
        return CAIRN_OK;
    }
    if (rc != CAIRN_OK) {
        *err = full;
    }
    return rc;
}

/* ---- Sealing ----------------------------------------------------------------------------------
 */

static enum cairn_rc load_old(struct cairn_follower *follower, struct cairn_write *write,
                              struct cairn_err *err)
{
    if (write->old_state != CAIRN_OLD_UNKNOWN) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = read_row(follower, write->key, &write->old, err);
    write->old_state = rc == CAIRN_OK ? CAIRN_OLD_PRESENT : CAIRN_OLD_ABSENT;
    return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
}

static enum cairn_rc add_index_op(struct cairn_follower *follower, unsigned index,
                                  struct cairn_slice form, struct cairn_slice key, bool put,
                                  struct cairn_arena *arena, struct cairn_err *err)
{
    struct cairn_view_entry entry;
    struct cairn_follower_op *op = &follower->index_ops[follower->index_op_count];
    cairn_view_entry_of(index, form, key, &entry);
    if (cairn_arena_copy(arena, cairn_view_entry_slice(&entry), &op->key) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "index a row");
    }
    op->value = put ? CAIRN_SLICE_LIT("") : CAIRN_SLICE_NONE;
    follower->index_op_count++;
    return CAIRN_OK;
}

/* The entries of one index for one row: out with the old, in with the new, where they differ. */
static enum cairn_rc diff_index(struct cairn_follower *follower, unsigned index,
                                const struct cairn_write *write, const struct cairn_value *old,
                                struct cairn_arena *arena, struct cairn_err *err)
{
    struct cairn_view_form before = {.size = 0};
    struct cairn_view_form after = {.size = 0};
    struct cairn_slice column = cairn_projection_code(follower->projection)->columns[index].name;
    if (old != NULL) {
        cairn_view_form_of(cairn_value_get(old, column), &before);
    }
    if (write->present) {
        cairn_view_form_of(cairn_value_get(&write->value, column), &after);
    }
    if (cairn_slice_equal(cairn_view_form_slice(&before), cairn_view_form_slice(&after))) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = CAIRN_OK;
    if (before.size > 0) {
        rc = add_index_op(follower, index, cairn_view_form_slice(&before), write->key, false, arena,
                          err);
    }
    if (after.size > 0 && rc == CAIRN_OK) {
        rc = add_index_op(follower, index, cairn_view_form_slice(&after), write->key, true, arena,
                          err);
    }
    return rc;
}

static enum cairn_rc diff_indexes(struct cairn_follower *follower, const struct cairn_write *write,
                                  struct cairn_arena *arena, struct cairn_err *err)
{
    struct cairn_value old;
    bool had = write->old_state == CAIRN_OLD_PRESENT;
    enum cairn_rc rc = CAIRN_OK;
    if (had) {
        rc = cairn_msgpack_read(write->old, CAIRN_MSGPACK_TRUSTED, arena, &old, NULL, err);
        rc = rc == CAIRN_EMALFORMED ? cairn_err_wrap(err, CAIRN_ECORRUPT, "a stored row") : rc;
    }
    size_t count = cairn_projection_code(follower->projection)->column_count;
    for (unsigned i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = diff_index(follower, i, write, had ? &old : NULL, arena, err);
    }
    return rc;
}

/* Pack a row through a buffer that is used again, and keep a copy in arena. */
static enum cairn_rc pack_row(const struct cairn_write *write, struct cairn_buf *buffer,
                              struct cairn_arena *arena, struct cairn_slice *ret_packed,
                              struct cairn_err *err)
{
    cairn_buf_truncate(buffer, 0);
    enum cairn_rc rc = cairn_msgpack_write(&write->value, buffer);
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(arena, cairn_buf_slice(buffer), ret_packed);
    }
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "pack a row");
}

static enum cairn_rc seal_row(struct cairn_follower *follower, struct cairn_write *write,
                              struct cairn_buf *buffer, struct cairn_arena *arena,
                              struct cairn_err *err)
{
    bool indexed = cairn_projection_code(follower->projection)->column_count > 0;
    struct cairn_follower_op op = {.key = write->key, .value = CAIRN_SLICE_NONE};
    enum cairn_rc rc = indexed ? load_old(follower, write, err) : CAIRN_OK;
    if (rc == CAIRN_OK && write->present) {
        rc = pack_row(write, buffer, arena, &op.value, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool had = write->old_state == CAIRN_OLD_PRESENT;
    if ((had && write->present && cairn_slice_equal(write->old, op.value)) ||
        (write->old_state == CAIRN_OLD_ABSENT && !write->present)) {
        return CAIRN_OK; /* as it was */
    }
    follower->row_ops[follower->row_op_count++] = op;
    return indexed ? diff_indexes(follower, write, arena, err) : CAIRN_OK;
}

static int compare_ops(const void *a, const void *b)
{
    const struct cairn_follower_op *left = a;
    const struct cairn_follower_op *right = b;
    return cairn_slice_compare(left->key, right->key);
}

enum cairn_rc cairn_follower_seal(struct cairn_follower *follower, struct cairn_arena *arena,
                                  struct cairn_err *err)
{
    struct cairn_writeset *set = cairn_projection_writes(follower->projection);
    size_t columns = cairn_projection_code(follower->projection)->column_count;
    cairn_writeset_sort(set);
    follower->row_ops = cairn_arena_alloc(arena, (set->count + 1) * sizeof *follower->row_ops);
    follower->index_ops =
        cairn_arena_alloc(arena, (set->count * columns * 2 + 1) * sizeof *follower->index_ops);
    if (follower->row_ops == NULL || follower->index_ops == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "prepare %zu rows", set->count);
    }
    struct cairn_buf buffer = {.max = 2u * CAIRN_VIEW_ROW_BYTES_MAX};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < set->count && rc == CAIRN_OK; i++) {
        if (set->entries[i].dirty) {
            rc = seal_row(follower, &set->entries[i], &buffer, arena, err);
        }
    }
    cairn_buf_fini(&buffer);
    if (rc == CAIRN_OK && follower->index_op_count > 1) {
        qsort(follower->index_ops, follower->index_op_count, sizeof *follower->index_ops,
              compare_ops);
    }
    return rc;
}

/* ---- Writing ----------------------------------------------------------------------------------
 */

/* Is the follower's generation still the one that the store knows on its side, and where it is? */
static enum cairn_rc check_place(struct cairn_follower *follower, struct cairn_kv_txn *txn,
                                 cairn_kv_table_id meta, struct cairn_err *err)
{
    struct cairn_view_head stored;
    enum cairn_rc rc =
        cairn_view_head_get(txn, meta, follower->side, cairn_follower_name(follower), &stored, err);
    if (rc == CAIRN_OK) {
        follower->moved = cairn_follower_differs(follower, &stored);
    } else if (rc == CAIRN_ENOENT) {
        follower->moved = true;
        rc = CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc write_ops(struct cairn_kv_txn *txn, cairn_kv_table_id table,
                               const struct cairn_follower_op *ops, size_t count,
                               struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = ops[i].value.data == NULL ? cairn_kv_delete(txn, table, ops[i].key, err)
                                       : cairn_kv_put(txn, table, ops[i].key, ops[i].value, err);
    }
    return rc;
}

static enum cairn_rc write_stop(struct cairn_follower *follower, struct cairn_kv_txn *txn,
                                cairn_kv_table_id meta, struct cairn_err *err)
{
    char id[CAIRN_UUID_TEXT_SIZE];
    cairn_uuid_format(&follower->failure.event, id);
    const struct cairn_view_stop stop = {.error = cairn_slice_str(follower->failure.err.text),
                                         .event = cairn_slice_of(id, sizeof id),
                                         .partition = follower->failure.partition,
                                         .offset = follower->failure.offset,
                                         .of_build = follower->side != CAIRN_SIDE_LIVE};
    return cairn_view_stop_put(txn, meta, cairn_follower_name(follower), &stop, err);
}

enum cairn_rc cairn_follower_write(struct cairn_follower *follower, struct cairn_kv_txn *txn,
                                   cairn_kv_table_id meta, struct cairn_err *err)
{
    unsigned slot = follower->head.slot;
    enum cairn_rc rc = check_place(follower, txn, meta, err);
    if (rc != CAIRN_OK || follower->moved) {
        return rc;
    }
    rc =
        write_ops(txn, follower->tables.rows[slot], follower->row_ops, follower->row_op_count, err);
    if (rc == CAIRN_OK) {
        rc = write_ops(txn, follower->tables.index[slot], follower->index_ops,
                       follower->index_op_count, err);
    }
    if (rc == CAIRN_OK && follower->parking.note_count > 0) {
        const struct cairn_parked_place place = parked_place(follower, meta);
        follower->next.parks = follower->head.parks + (uint32_t)follower->parking.note_count;
        rc = cairn_parking_write(&follower->parking, txn, &place, err);
    }
    if (rc == CAIRN_OK && follower->failure.failed) {
        if (follower->side == CAIRN_SIDE_LIVE) {
            follower->next.state = CAIRN_VIEW_STOPPED;
        }
        rc = write_stop(follower, txn, meta, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_view_head_put(txn, meta, follower->side, cairn_follower_name(follower),
                                 &follower->next, err);
    }
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "view %s", follower->name);
}

enum cairn_rc cairn_follower_check(const struct cairn_follower *follower, struct cairn_err *err)
{
    const struct cairn_follower_failure *failure = &follower->failure;
    if (follower->moved) {
        return CAIRN_FAIL(err, CAIRN_ELOCKED, "another process has taken the build");
    }
    if (failure->failed) {
        char id[CAIRN_UUID_TEXT_SIZE];
        cairn_uuid_format(&failure->event, id);
        *err = failure->err;
        return cairn_err_wrap(err, CAIRN_EINVAL, "event %.*s at %u:%llu", (int)sizeof id, id,
                              failure->partition, (unsigned long long)failure->offset);
    }
    return CAIRN_OK;
}

void cairn_follower_done(struct cairn_follower *follower, struct cairn_log *log)
{
    if (follower->moved) {
        return;
    }
    assert(follower->next.events >= follower->head.events);
    cairn_metric_inc(follower->metrics.events, follower->next.events - follower->head.events);
    follower->head = follower->next;
    show_stopped(follower);
    if (follower->parking.note_count > 0) {
        cairn_parking_done(&follower->parking, cairn_follower_name(follower), log);
        show_parked(follower);
    }
    if (follower->side != CAIRN_SIDE_LIVE || follower->head.state == CAIRN_VIEW_BUILDING) {
        cairn_metric_set(follower->metrics.build_done, (int64_t)follower->head.events);
        cairn_metric_set(follower->metrics.build_all, (int64_t)follower->head.all);
    }
}
