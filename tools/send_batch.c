#include "tools/send_batch.h"

#include <assert.h>

#include "platform/mem.h"

struct cairn_send_batch *cairn_send_batch_new(void)
{
    struct cairn_send_batch *batch = cairn_mem_zalloc(1, sizeof(*batch));
    if (batch != NULL) {
        batch->text.max = CAIRN_SEND_BATCH_BYTES_MAX;
    }
    return batch;
}

void cairn_send_batch_free(struct cairn_send_batch *batch)
{
    if (batch != NULL) {
        cairn_buf_fini(&batch->text);
        cairn_mem_free(batch);
    }
}

void cairn_send_batch_clear(struct cairn_send_batch *batch)
{
    cairn_buf_truncate(&batch->text, 0);
    batch->count = 0;
}

enum cairn_rc cairn_send_batch_add(struct cairn_send_batch *batch, struct cairn_slice line,
                                   bool keyed)
{
    assert(batch->count <= CAIRN_SEND_BATCH_LINES_MAX);
    if (batch->count == CAIRN_SEND_BATCH_LINES_MAX) {
        return CAIRN_ETOOBIG;
    }
    enum cairn_rc rc = cairn_buf_reserve(&batch->text, line.size + 1);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (line.size > 0) {
        memcpy(batch->text.data + batch->text.size, line.data, line.size);
    }
    batch->text.data[batch->text.size + line.size] = '\n';
    batch->text.size += line.size + 1;
    batch->ends[batch->count] = (uint32_t)batch->text.size;
    batch->keyed[batch->count] = keyed;
    batch->count++;
    return CAIRN_OK;
}

struct cairn_slice cairn_send_batch_line(const struct cairn_send_batch *batch, size_t index)
{
    assert(index < batch->count);
    uint32_t begin = index == 0 ? 0 : batch->ends[index - 1];
    return cairn_slice_of(batch->text.data + begin, batch->ends[index] - begin - 1);
}

void cairn_send_slot_init(struct cairn_send_slot *slot)
{
    *slot = (struct cairn_send_slot){.batch = NULL};
    (void)pthread_mutex_init(&slot->lock, NULL);
    (void)pthread_cond_init(&slot->changed, NULL);
}

void cairn_send_slot_fini(struct cairn_send_slot *slot)
{
    cairn_send_batch_free(slot->batch);
    (void)pthread_cond_destroy(&slot->changed);
    (void)pthread_mutex_destroy(&slot->lock);
}

bool cairn_send_slot_push(struct cairn_send_slot *slot, struct cairn_send_batch *batch)
{
    (void)pthread_mutex_lock(&slot->lock);
    while (slot->batch != NULL && !slot->closed) {
        (void)pthread_cond_wait(&slot->changed, &slot->lock);
    }
    bool given = !slot->closed;
    if (given) {
        slot->batch = batch;
        (void)pthread_cond_broadcast(&slot->changed);
    }
    (void)pthread_mutex_unlock(&slot->lock);
    return given;
}

struct cairn_send_batch *cairn_send_slot_pop(struct cairn_send_slot *slot)
{
    (void)pthread_mutex_lock(&slot->lock);
    while (slot->batch == NULL && !slot->closed) {
        (void)pthread_cond_wait(&slot->changed, &slot->lock);
    }
    struct cairn_send_batch *batch = slot->batch;
    slot->batch = NULL;
    (void)pthread_cond_broadcast(&slot->changed);
    (void)pthread_mutex_unlock(&slot->lock);
    return batch;
}

void cairn_send_slot_close(struct cairn_send_slot *slot)
{
    (void)pthread_mutex_lock(&slot->lock);
    slot->closed = true;
    (void)pthread_cond_broadcast(&slot->changed);
    (void)pthread_mutex_unlock(&slot->lock);
}
