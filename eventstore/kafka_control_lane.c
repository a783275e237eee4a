/* Carrying out what the rules wish for, each lane on a thread of its own that lives for as long as
 * there is something to do for it. */
#include <assert.h>
#include <errno.h>

#include "eventstore/kafka_control_int.h"
#include "platform/fault.h"

enum { RETRY_MS = 200 }; /* behind a wish that failed */

static struct cairn_control_record record_of(struct cairn_kafka_hand *hand,
                                             enum cairn_control_kind kind, uint16_t ids)
{
    struct cairn_control_record record = cairn_kafka_control_record(hand->control, kind);
    record.lane = hand->lane;
    record.term = hand->term;
    record.ids = ids;
    return record;
}

/* As the log says: how many transactional ids of the lane may be in use. */
static uint16_t known_ids(struct cairn_kafka_hand *hand)
{
    struct cairn_lane_owner owner;
    cairn_kafka_control_owner(hand->control, hand->lane, &owner);
    return owner.ids;
}

static void tell(struct cairn_kafka_hand *hand, const char *event)
{
    cairn_log_event(hand->control->options.kafka.log_lines, CAIRN_LOG_INFO, "kafka", event,
                    CAIRN_F_UINT("lane", hand->lane), CAIRN_F_UINT("term", hand->term));
}

/* ---- wishes ---- */

static enum cairn_rc claim(struct cairn_kafka_hand *hand, struct cairn_err *err)
{
    struct cairn_control_record record = record_of(hand, CAIRN_CONTROL_CLAIM, known_ids(hand));
    return cairn_kafka_control_write(hand->control, &record, NULL, err);
}

static enum cairn_rc stop(struct cairn_kafka_hand *hand, struct cairn_err *err)
{
    (void)err;
    if (hand->held) {
        hand->control->options.stop(hand->control->options.self, hand->lane);
        hand->held = false;
        tell(hand, "lane_stopped");
    }
    return CAIRN_OK;
}

static enum cairn_rc take(struct cairn_kafka_hand *hand, struct cairn_err *err)
{
    const struct cairn_kafka_control_options *options = &hand->control->options;
    assert(!hand->held);
    enum cairn_rc rc = options->take(options->self, hand->lane, known_ids(hand), err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    hand->held = true;
    struct cairn_control_record record = record_of(hand, CAIRN_CONTROL_READY, options->ids);
    rc = cairn_kafka_control_write(hand->control, &record, NULL, err);
    if (rc != CAIRN_OK) {
        (void)stop(hand, NULL);
    }
    return rc;
}

static enum cairn_rc serve(struct cairn_kafka_hand *hand, struct cairn_err *err)
{
    (void)err;
    assert(hand->held);
    hand->control->options.serve(hand->control->options.self, hand->lane);
    tell(hand, "lane_served");
    return CAIRN_OK;
}

static enum cairn_rc release(struct cairn_kafka_hand *hand, struct cairn_err *err)
{
    (void)stop(hand, NULL);
    struct cairn_control_record record = record_of(hand, CAIRN_CONTROL_RELEASE, known_ids(hand));
    return cairn_kafka_control_write(hand->control, &record, NULL, err);
}

static enum cairn_rc carry_out(struct cairn_kafka_hand *hand, struct cairn_err *err)
{
    static enum cairn_rc (*const deeds[])(struct cairn_kafka_hand *, struct cairn_err *) = {
        [CAIRN_WISH_CLAIM] = claim, [CAIRN_WISH_TAKE] = take,       [CAIRN_WISH_SERVE] = serve,
        [CAIRN_WISH_STOP] = stop,   [CAIRN_WISH_RELEASE] = release,
    };
    assert(hand->wish != CAIRN_WISH_NOTHING);
    enum cairn_rc rc = deeds[hand->wish](hand, err);
    if (rc != CAIRN_OK && rc != CAIRN_ESTOPPED) {
        static const char *const names[] = {[CAIRN_WISH_CLAIM] = "claim",
                                            [CAIRN_WISH_TAKE] = "take",
                                            [CAIRN_WISH_SERVE] = "serve",
                                            [CAIRN_WISH_STOP] = "stop",
                                            [CAIRN_WISH_RELEASE] = "release"};
        (void)cairn_err_wrap(err, rc, "%s lane %u", names[hand->wish], (unsigned)hand->lane);
        cairn_log_error(hand->control->options.kafka.log_lines, CAIRN_LOG_WARN, "kafka",
                        "lane_failed", err);
    }
    return rc;
}

/* ---- threads ---- */

/* Under the lock: it is given up for a while. */
static void rest(struct cairn_kafka_control *control)
{
    struct timespec until = cairn_kafka_after_ms(RETRY_MS);
    int timed_out = 0;
    while (timed_out == 0 && !control->ending) {
        timed_out = pthread_cond_timedwait(&control->changed, &control->lock, &until);
    }
}

/* Under the lock. False: there is nothing to do. */
static bool ask(struct cairn_kafka_hand *hand)
{
    hand->wish = cairn_ownership_wish(hand->control->rules, hand->lane, &hand->term);
    return hand->wish != CAIRN_WISH_NOTHING;
}

static void *run(void *argument)
{
    struct cairn_kafka_hand *hand = argument;
    struct cairn_kafka_control *control = hand->control;
    for (bool more = true; more;) {
        struct cairn_err err;
        enum cairn_rc rc = carry_out(hand, &err);
        (void)pthread_mutex_lock(&control->lock);
        if (rc == CAIRN_OK) {
            cairn_ownership_done(control->rules, hand->lane, hand->wish);
        } else {
            cairn_ownership_failed(control->rules, hand->lane, hand->wish);
            rest(control);
        }
        (void)pthread_cond_broadcast(&control->changed);
        more = !control->ending && ask(hand);
        hand->running = more;
        (void)pthread_mutex_unlock(&control->lock);
    }
    return NULL;
}

/* Under the lock. The thread before has let go of the lock for good, so joining it is short. */
static void start(struct cairn_kafka_hand *hand)
{
    if (hand->joinable) {
        (void)pthread_join(hand->thread, NULL);
    }
    hand->running =
        !cairn_fault_hit(CAIRN_FAULT_THREAD) && pthread_create(&hand->thread, NULL, run, hand) == 0;
    hand->joinable = hand->running;
    if (!hand->running) {
        cairn_ownership_failed(hand->control->rules, hand->lane, hand->wish);
    }
}

void cairn_kafka_control_pursue(struct cairn_kafka_control *control)
{
    if (!control->options.candidate) {
        return;
    }
    (void)pthread_mutex_lock(&control->lock);
    for (uint16_t i = 0; !control->ending && i < control->options.layout->lanes; i++) {
        struct cairn_kafka_hand *hand = &control->hands[i];
        if (!hand->running && ask(hand)) {
            start(hand);
        }
    }
    (void)pthread_mutex_unlock(&control->lock);
}

void cairn_kafka_control_end_lanes(struct cairn_kafka_control *control)
{
    for (uint16_t i = 0; control->hands != NULL && i < control->options.layout->lanes; i++) {
        struct cairn_kafka_hand *hand = &control->hands[i];
        if (hand->joinable) {
            (void)pthread_join(hand->thread, NULL);
            hand->joinable = false;
        }
        (void)stop(hand, NULL);
    }
}
