#include "eventstore/kafka_fence.h"

#include <assert.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "platform/clock.h"

/* The first answer to a fresh handle takes some 30 ms. A try that met an open transaction has
 * started its abort, which is done long before the second one asks. Waits double, so that a slow
 * cluster is not flooded with handles. */
enum { FIRST_WAIT_MS = 60, WAIT_MAX_MS = 8000, TRIES_MAX = 1000 };

static int64_t now_ms(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system()) / 1000000;
}

/* A time-out alone says little: what went wrong on the way stands behind it. */
static enum cairn_rc fail(const rd_kafka_t *handle, rd_kafka_error_t *error, const char *id,
                          struct cairn_err *err)
{
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    cairn_kafka_handle_trouble(handle, trouble);
    enum cairn_rc rc = cairn_kafka_rc(rd_kafka_error_code(error));
    return CAIRN_FAIL(err, rc, "fence %s: %s%s%s", id, rd_kafka_error_string(error),
                      trouble[0] == '\0' ? "" : ": ", trouble);
}

/* Wait out what a try left of its time, so that an error that comes at once is not asked for again
 * and again. */
static void rest(int64_t until_ms)
{
    int64_t left = until_ms - now_ms();
    if (left > 0) {
        struct timespec pause = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

enum cairn_rc cairn_kafka_fence(const struct cairn_kafka_options *options,
                                const struct cairn_kafka_handle_options *handle, int timeout_ms,
                                struct rd_kafka_s **ret_handle, struct cairn_err *err)
{
    assert(handle->kind == CAIRN_KAFKA_TRANSACTIONS && handle->transactional_id != NULL);
    assert(timeout_ms > 0);
    int64_t until = now_ms() + timeout_ms;
    int64_t wait = FIRST_WAIT_MS;
    for (int tries = 1;; tries++) {
        rd_kafka_t *made = NULL;
        enum cairn_rc rc = cairn_kafka_handle_new(options, handle, &made, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        int64_t began = now_ms();
        int64_t left = until - began > 1 ? until - began : 1;
        bool last = left <= wait || tries == TRIES_MAX;
        rd_kafka_error_t *error = rd_kafka_init_transactions(made, (int)(last ? left : wait));
        if (error == NULL) {
            *ret_handle = made;
            return CAIRN_OK;
        }
        bool again = rd_kafka_error_is_retriable(error) && !rd_kafka_error_is_fatal(error);
        if (!again || last) {
            rc = fail(made, error, handle->transactional_id, err);
        }
        rd_kafka_error_destroy(error);
        cairn_kafka_handle_free(made);
        if (rc != CAIRN_OK) {
            return rc;
        }
        rest(began + wait);
        wait = wait * 2 < WAIT_MAX_MS ? wait * 2 : WAIT_MAX_MS;
    }
}
