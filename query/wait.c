#include "query/wait.h"

#include <assert.h>
#include <stdio.h>

int cairn_wait_seconds(struct cairn_slice field)
{
    struct cairn_slice rest = field;
    while (rest.size > 0) {
        size_t comma = cairn_slice_find(rest, ',');
        struct cairn_slice one = cairn_slice_of(rest.data, comma);
        size_t equals = cairn_slice_find(one, '=');
        struct cairn_slice name = cairn_slice_trim(cairn_slice_of(one.data, equals));
        uint64_t seconds = 0;
        if (equals < one.size && cairn_slice_equal_nocase(name, CAIRN_SLICE_LIT("wait"))) {
            struct cairn_slice value = cairn_slice_of(one.data + equals + 1, one.size - equals - 1);
            if (cairn_slice_to_u64(cairn_slice_trim(value), &seconds) != CAIRN_OK) {
                return -1;
            }
            return seconds > CAIRN_WAIT_MAX_S ? CAIRN_WAIT_MAX_S : (int)seconds;
        }
        size_t used = comma < rest.size ? comma + 1 : comma;
        rest = cairn_slice_of(rest.data + used, rest.size - used);
    }
    return -1;
}

/* A position of a log with more partitions than this one has will never be reached: better said at
 * once than after the time is up. */
static enum cairn_rc check_partitions(const struct cairn_query_api *api,
                                      const struct cairn_position *position, struct cairn_err *err)
{
    for (unsigned p = api->partitions; p < CAIRN_PARTITIONS_MAX; p++) {
        if (position->offsets[p] > 0) {
            return CAIRN_FAIL(err, CAIRN_EINVAL,
                              "Cairn-Position names partition %u; the log has %u", p,
                              (unsigned)api->partitions);
        }
    }
    return CAIRN_OK;
}

static void apply_preference(struct cairn_http_response *response, int seconds)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "wait=%d", seconds);
    assert(size > 0 && (size_t)size < sizeof(text));
    cairn_http_header_add(response, "Preference-Applied", cairn_slice_of(text, (size_t)size));
}

enum cairn_rc cairn_wait_read(struct cairn_query_api *api, const struct cairn_http_request *request,
                              struct cairn_http_response *response, struct cairn_wait *ret_wait,
                              struct cairn_err *err)
{
    assert(api->partitions >= 1 && api->partitions <= CAIRN_PARTITIONS_MAX);
    struct cairn_slice text = cairn_http_header(request, "Cairn-Position");
    ret_wait->asked = false;
    if (text.data == NULL) {
        return CAIRN_OK;
    }
    if (cairn_position_parse(text, &ret_wait->position) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "Cairn-Position is no position: send back what an answer carried");
    }
    enum cairn_rc rc = check_partitions(api, &ret_wait->position, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    int seconds = cairn_wait_seconds(cairn_http_header(request, "Prefer"));
    if (seconds >= 0) {
        apply_preference(response, seconds);
    }
    ret_wait->timeout_ms = (seconds >= 0 ? seconds : CAIRN_WAIT_DEFAULT_S) * 1000;
    ret_wait->asked = true;
    return CAIRN_OK;
}

enum cairn_rc cairn_wait_view(struct cairn_query_api *api, struct cairn_views *views,
                              struct cairn_slice view, const struct cairn_wait *wait,
                              struct cairn_position *ret_held, struct cairn_err *err)
{
    assert(wait->asked);
    cairn_metric_inc(api->waits, 1);
    enum cairn_rc rc =
        cairn_view_wait(views, view, &wait->position, wait->timeout_ms, ret_held, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (cairn_position_reached(ret_held, &wait->position)) {
        return CAIRN_OK;
    }
    return CAIRN_FAIL(err, CAIRN_EBEHIND,
                      "the view %.*s does not hold the asked position yet (waited at most %d s)",
                      CAIRN_SLICE_ARG(view), wait->timeout_ms / 1000);
}

static int left_ms(const struct cairn_clock *clock, int64_t begin_ns, int timeout_ms)
{
    int64_t gone_ms = (cairn_clock_monotonic_ns(clock) - begin_ns) / 1000000;
    return gone_ms >= timeout_ms ? 0 : timeout_ms - (int)gone_ms;
}

enum cairn_rc cairn_wait_log(struct cairn_query_api *api, const struct cairn_wait *wait,
                             struct cairn_position *ret_held, struct cairn_err *err)
{
    int64_t begin_ns = cairn_clock_monotonic_ns(api->options.clock);
    enum cairn_rc rc = cairn_store_end(api->options.store, ret_held, err);
    if (rc != CAIRN_OK || !wait->asked || cairn_position_reached(ret_held, &wait->position)) {
        return rc;
    }
    cairn_metric_inc(api->waits, 1);
    for (;;) {
        int left = left_ms(api->options.clock, begin_ns, wait->timeout_ms);
        if (left == 0 || atomic_load(&api->stopping)) {
            return CAIRN_FAIL(err, CAIRN_EBEHIND,
                              "the log does not hold the asked position (waited at most %d s)",
                              wait->timeout_ms / 1000);
        }
        bool more = false;
        rc = cairn_store_wait(api->options.store, ret_held, left, &more, err);
        if (rc == CAIRN_OK) {
            rc = cairn_store_end(api->options.store, ret_held, err);
        }
        if (rc != CAIRN_OK || cairn_position_reached(ret_held, &wait->position)) {
            return rc;
        }
    }
}
