#include "projector/drive.h"

#include "projector/lmdb/group.h"

void cairn_drive_init(struct cairn_drive *drive, cairn_drive_step_fn step, void *self,
                      struct cairn_rebuild_hooks hooks, const struct cairn_clock *clock,
                      uint64_t throttle)
{
    clock = clock == NULL ? cairn_clock_system() : clock;
    *drive = (struct cairn_drive){.step = step, .self = self, .hooks = hooks};
    cairn_pace_init(&drive->pace, clock, throttle);
    cairn_build_meter_init(&drive->meter, clock, hooks.progress, hooks.self);
}

enum cairn_rc cairn_drive_step(struct cairn_drive *drive, size_t *ret_events, struct cairn_err *err)
{
    const struct cairn_rebuild_hooks *hooks = &drive->hooks;
    size_t max_events = cairn_pace_batch(&drive->pace, CAIRN_GROUP_BUILD_EVENTS);
    struct cairn_drive_batch batch = {.events = 0};
    if (hooks->cancelled != NULL && hooks->cancelled(hooks->self)) {
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "cancelled; nothing was switched");
    }
    enum cairn_rc rc = drive->step(drive->self, max_events, &batch, err);
    if (rc == CAIRN_OK) {
        cairn_build_meter_report(&drive->meter, batch.done, batch.all, false);
        cairn_pace_wait(&drive->pace, batch.events, hooks->cancelled, hooks->self);
        *ret_events = batch.events;
    }
    return rc;
}

enum cairn_rc cairn_drive_run(struct cairn_drive *drive, struct cairn_err *err)
{
    size_t events = 1;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && events > 0) {
        rc = cairn_drive_step(drive, &events, err);
    }
    return rc;
}
