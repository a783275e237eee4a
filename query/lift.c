#include "query/lift.h"

#include <assert.h>
#include <pthread.h>

#include "platform/mem.h"
#include "schemas/msgpack.h"

struct cairn_lift {
    const struct cairn_domain *domain;                /* outlives the lift */
    pthread_mutex_t lock;                             /* guards idle and idle_count */
    struct cairn_upcaster *idle[CAIRN_LIFT_IDLE_MAX]; /* owned */
    size_t idle_count;
};

enum cairn_rc cairn_lift_new(const struct cairn_domain *domain, struct cairn_lift **ret_lift,
                             struct cairn_err *err)
{
    assert(domain != NULL && ret_lift != NULL);
    struct cairn_lift *lift = cairn_mem_zalloc(1, sizeof(*lift));
    if (lift == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the pool of upcasters");
    }
    lift->domain = domain;
    if (pthread_mutex_init(&lift->lock, NULL) != 0) {
        cairn_mem_free(lift);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the pool of upcasters: its lock");
    }
    *ret_lift = lift;
    return CAIRN_OK;
}

void cairn_lift_free(struct cairn_lift *lift)
{
    if (lift == NULL) {
        return;
    }
    for (size_t i = 0; i < lift->idle_count; i++) {
        cairn_upcaster_free(lift->idle[i]);
    }
    (void)pthread_mutex_destroy(&lift->lock);
    cairn_mem_free(lift);
}

static enum cairn_rc acquire(struct cairn_lift *lift, struct cairn_upcaster **ret_upcaster,
                             struct cairn_err *err)
{
    struct cairn_upcaster *found = NULL;
    (void)pthread_mutex_lock(&lift->lock);
    if (lift->idle_count > 0) {
        found = lift->idle[--lift->idle_count];
    }
    (void)pthread_mutex_unlock(&lift->lock);
    if (found == NULL) {
        return cairn_upcaster_new(lift->domain, ret_upcaster, err);
    }
    *ret_upcaster = found;
    return CAIRN_OK;
}

static void release(struct cairn_lift *lift, struct cairn_upcaster *upcaster)
{
    assert(upcaster != NULL);
    (void)pthread_mutex_lock(&lift->lock);
    assert(lift->idle_count <= CAIRN_LIFT_IDLE_MAX);
    if (lift->idle_count < CAIRN_LIFT_IDLE_MAX) {
        lift->idle[lift->idle_count++] = upcaster;
        upcaster = NULL;
    }
    (void)pthread_mutex_unlock(&lift->lock);
    cairn_upcaster_free(upcaster);
}

enum cairn_rc cairn_lift_data(struct cairn_lift *lift, const struct cairn_event *event,
                              struct cairn_arena *arena, struct cairn_value *ret_data,
                              struct cairn_err *err)
{
    assert(event != NULL && ret_data != NULL);
    const struct cairn_domain_event *known = cairn_domain_event(lift->domain, event->type);
    if (known == NULL || known->schema_version == event->schema_version) {
        enum cairn_rc rc =
            cairn_msgpack_read(event->data, CAIRN_MSGPACK_TRUSTED, arena, ret_data, NULL, err);
        /* What the log holds passed the strict door once: unreadable now means damaged. */
        return rc == CAIRN_EMALFORMED
                   ? cairn_err_wrap(err, CAIRN_ECORRUPT, "data of an event of %.*s",
                                    CAIRN_SLICE_ARG(event->stream))
                   : rc;
    }
    struct cairn_upcaster *upcaster = NULL;
    enum cairn_rc rc = acquire(lift, &upcaster, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_upcaster_data(upcaster, event, arena, ret_data, err);
    release(lift, upcaster);
    return rc;
}

enum cairn_rc cairn_lift_event(struct cairn_lift *lift, const struct cairn_event *event,
                               struct cairn_slice position, struct cairn_arena *arena,
                               struct cairn_value *ret_event, struct cairn_err *err)
{
    struct cairn_value data;
    enum cairn_rc rc = cairn_lift_data(lift, event, arena, &data, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_event_cloudevent(event, cairn_domain_name(lift->domain), &data, position, arena,
                                ret_event);
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "an event's envelope");
}
