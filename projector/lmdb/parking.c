#include "projector/lmdb/parking.h"

#include <assert.h>

/* Streams of one batch that the log names one by one; of a flood it tells the size. */
#define TOLD_MAX 20u

struct cairn_parking_note {
    struct cairn_parked parked;
    char event[CAIRN_UUID_TEXT_SIZE];
    struct cairn_parking_note *next;
};

enum cairn_rc cairn_parking_load(struct cairn_parking *parking, struct cairn_kv_txn *txn,
                                 const struct cairn_parked_place *place, uint32_t parks,
                                 struct cairn_err *err)
{
    if (parking->loaded && parking->note_count == 0) {
        return CAIRN_OK;
    }
    cairn_parking_fini(parking);
    cairn_parked_init(&parking->set);
    enum cairn_rc rc =
        parks == 0 ? CAIRN_OK : cairn_view_parked_load(txn, place, &parking->set, err);
    parking->loaded = rc == CAIRN_OK;
    return rc;
}

void cairn_parking_fini(struct cairn_parking *parking)
{
    cairn_parked_fini(&parking->set);
    *parking = (struct cairn_parking){.loaded = false};
}

enum cairn_rc cairn_parking_add(struct cairn_parking *parking, const struct cairn_event *event,
                                const struct cairn_err *cause, int64_t now_us,
                                struct cairn_arena *arena, struct cairn_err *err)
{
    assert(parking->loaded && event->index < event->count && event->version > event->index);
    struct cairn_slice error = cairn_slice_str(cause->text);
    struct cairn_parking_note *note = cairn_arena_alloc(arena, sizeof *note);
    if (note == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "park a stream");
    }
    cairn_uuid_format(&event->id, note->event);
    note->parked = (struct cairn_parked){.version = event->version - event->index,
                                         .event = cairn_slice_of(note->event, sizeof note->event),
                                         .partition = event->partition,
                                         .offset = event->offset,
                                         .parked_us = now_us};
    if (cairn_arena_copy(arena, event->stream, &note->parked.stream) != CAIRN_OK ||
        cairn_arena_copy(arena, error, &note->parked.error) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "park a stream");
    }
    enum cairn_rc rc = cairn_parked_put(&parking->set, event->stream, note->parked.version, 0, err);
    if (rc == CAIRN_OK) {
        note->next = parking->notes;
        parking->notes = note;
        parking->note_count++;
    }
    return rc;
}

enum cairn_rc cairn_parking_write(const struct cairn_parking *parking, struct cairn_kv_txn *txn,
                                  const struct cairn_parked_place *place, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    const struct cairn_parking_note *note = parking->notes;
    for (size_t i = 0; i < parking->note_count && rc == CAIRN_OK; i++, note = note->next) {
        rc = cairn_view_parked_put(txn, place, &note->parked, err);
    }
    return rc;
}

static void tell(const struct cairn_parked *parked, struct cairn_slice view, struct cairn_log *log)
{
    cairn_log_event(
        log, CAIRN_LOG_WARN, "projector", "stream parked", CAIRN_F_SLICE("view", view),
        CAIRN_F_SLICE("stream", parked->stream), CAIRN_F_UINT("version", parked->version),
        CAIRN_F_SLICE("at_event", parked->event), CAIRN_F_UINT("partition", parked->partition),
        CAIRN_F_UINT("offset", parked->offset), CAIRN_F_SLICE("detail", parked->error));
}

void cairn_parking_done(struct cairn_parking *parking, struct cairn_slice view,
                        struct cairn_log *log)
{
    const struct cairn_parking_note *note = parking->notes;
    for (size_t i = 0; i < parking->note_count && i < TOLD_MAX; i++, note = note->next) {
        tell(&note->parked, view, log);
    }
    if (parking->note_count > TOLD_MAX) {
        cairn_log_event(log, CAIRN_LOG_WARN, "projector", "more streams parked",
                        CAIRN_F_SLICE("view", view),
                        CAIRN_F_UINT("more", parking->note_count - TOLD_MAX),
                        CAIRN_F_UINT("waiting", parking->set.waiting));
    }
    parking->notes = NULL;
    parking->note_count = 0;
}
