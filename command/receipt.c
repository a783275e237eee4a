#include "command/receipt.h"

#include <assert.h>

/* Events of a receipt that are read at a time. */
#define PAGE_MAX 256

enum cairn_rc cairn_receipt_refuse(struct cairn_err *err)
{
    return CAIRN_FAIL(err, CAIRN_EKEYREUSED,
                      "the Idempotency-Key belongs to another command that was accepted before");
}

/* Read the events that a receipt names into told[receipt->count]. */
static enum cairn_rc read_events(struct cairn_store *store, const struct cairn_receipt *receipt,
                                 struct cairn_arena *arena, struct cairn_arena *scratch,
                                 struct cairn_answer_event *told, uint64_t *ret_last_offset,
                                 struct cairn_err *err)
{
    size_t count = 0;
    while (count < receipt->count) {
        struct cairn_event_page page = {0};
        size_t left = receipt->count - count;
        cairn_arena_reset(scratch);
        enum cairn_rc rc = cairn_store_read_stream(
            store, receipt->stream, receipt->first_version - 1 + count,
            left < PAGE_MAX ? left : PAGE_MAX, CAIRN_FORWARD, scratch, &page, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (page.count == 0) {
            return CAIRN_FAIL(err, CAIRN_ECORRUPT, "stream %.*s ends before version %llu",
                              CAIRN_SLICE_ARG(receipt->stream),
                              (unsigned long long)(receipt->first_version + count));
        }
        for (size_t i = 0; i < page.count && count < receipt->count; i++) {
            const struct cairn_event *event = &page.events[i];
            told[count] = (struct cairn_answer_event){.id = event->id, .version = event->version};
            if (cairn_arena_copy(arena, event->type, &told[count].type) != CAIRN_OK) {
                return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for an answer");
            }
            *ret_last_offset = event->offset;
            count++;
        }
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_receipt_answer(struct cairn_store *store, const struct cairn_command *command,
                                   struct cairn_slice stream, struct cairn_arena *arena,
                                   struct cairn_arena *scratch, struct cairn_answer *answer,
                                   struct cairn_err *err)
{
    assert(command->key.size > 0);
    struct cairn_receipt receipt = {0};
    cairn_arena_reset(scratch);
    uint16_t partition = cairn_store_partition_of(store, stream);
    enum cairn_rc rc = cairn_store_receipt(store, command->key, partition, scratch, &receipt, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (memcmp(receipt.fingerprint, command->fingerprint, sizeof(receipt.fingerprint)) != 0) {
        return cairn_receipt_refuse(err);
    }
    assert(receipt.count > 0 && receipt.first_version > 0);
    struct cairn_answer_event *told = cairn_arena_zalloc(arena, receipt.count, sizeof(*told));
    /* The stream's name lies in scratch, which the pages reuse. */
    if (told == NULL || cairn_arena_copy(arena, receipt.stream, &receipt.stream) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for an answer");
    }
    uint64_t last_offset = 0;
    rc = read_events(store, &receipt, arena, scratch, told, &last_offset, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    *answer = (struct cairn_answer){
        .stream = receipt.stream,
        .version = receipt.first_version + receipt.count - 1,
        .created = receipt.first_version == 1,
        .replayed = true,
        .partition = receipt.partition,
        .offset = last_offset,
        .events = told,
        .event_count = receipt.count,
    };
    return CAIRN_OK;
}
