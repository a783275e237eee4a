/* The live feed: GET /events as text/event-stream.
 *
 *   retry: 2000                    once, at the start
 *
 *   id: 0:17                       the position behind the event
 *   event: Deposited
 *   data: {"specversion":"1.0",...}
 *
 *   id: 0:4711                     no data: only moves the client's last event id, past events that
 *                                  the filter left out
 *
 *   :                              heartbeat
 */
#include <assert.h>

#include "platform/json.h"
#include "query/events_api.h"
#include "query/history.h"
#include "query/reply.h"
#include "query/wait.h"

#define PIECE_BYTES      (32u * 1024u) /* sent at once while catching up */
#define BUFFER_BYTES_MAX (16u * 1024u * 1024u)
#define ID_EVERY_NS      1000000000 /* an id alone is sent at most this often */
#define SKIPPED_MAX      10000u     /* ... or after so many events that were left out */

struct feed {
    struct cairn_query_api *api;
    struct cairn_http_request *request;
    struct cairn_events_query query;
    struct cairn_history *history; /* owned */
    struct cairn_arena arena;      /* of one event */
    struct cairn_buf out;          /* not sent yet */
    uint64_t sent;                 /* events put so far */
    uint32_t skipped;              /* events left out since the last id; counts up to SKIPPED_MAX */
    int64_t id_ns;                 /* monotonic; when the last id went out */
};

/* Send what is in hand. false: the peer is gone or the server stops. */
static bool flush(struct feed *feed)
{
    if (feed->out.size > 0 &&
        !cairn_http_stream_write(feed->request, cairn_buf_slice(&feed->out))) {
        return false;
    }
    cairn_buf_truncate(&feed->out, 0);
    return !atomic_load(&feed->api->stopping) && !cairn_http_stopping(feed->request);
}

static enum cairn_rc put_id(struct feed *feed)
{
    enum cairn_rc rc = cairn_buf_append(&feed->out, CAIRN_SLICE_LIT("id: "));
    rc = rc != CAIRN_OK ? rc
                        : cairn_position_write(cairn_history_position(feed->history), &feed->out);
    feed->skipped = 0;
    feed->id_ns = cairn_clock_monotonic_ns(feed->api->options.clock);
    return rc != CAIRN_OK ? rc : cairn_buf_append_byte(&feed->out, '\n');
}

static enum cairn_rc put_event(struct feed *feed, const struct cairn_event *event,
                               struct cairn_err *err)
{
    cairn_arena_reset(&feed->arena);
    char *position = cairn_position_text(cairn_history_position(feed->history), &feed->arena);
    if (position == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a position");
    }
    struct cairn_value value;
    enum cairn_rc rc = cairn_lift_event(feed->api->lift, event, cairn_slice_str(position),
                                        &feed->arena, &value, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = put_id(feed);
    rc = rc != CAIRN_OK ? rc : cairn_buf_append(&feed->out, CAIRN_SLICE_LIT("event: "));
    rc = rc != CAIRN_OK ? rc : cairn_buf_append(&feed->out, event->type);
    rc = rc != CAIRN_OK ? rc : cairn_buf_append(&feed->out, CAIRN_SLICE_LIT("\ndata: "));
    rc = rc != CAIRN_OK ? rc : cairn_json_write(&value, &feed->out);
    rc = rc != CAIRN_OK ? rc : cairn_buf_append(&feed->out, CAIRN_SLICE_LIT("\n\n"));
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "writing an event");
    }
    feed->sent++;
    cairn_metric_inc(feed->api->feed_events, 1);
    return CAIRN_OK;
}

/* Tell the client how far the filter has looked: an id without data. */
static enum cairn_rc put_progress(struct feed *feed, struct cairn_err *err)
{
    enum cairn_rc rc = put_id(feed);
    rc = rc != CAIRN_OK ? rc : cairn_buf_append_byte(&feed->out, '\n');
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "writing an id");
}

static bool is_complete(const struct feed *feed)
{
    return feed->query.limit > 0 && feed->sent >= feed->query.limit;
}

static enum cairn_rc take_event(struct feed *feed, const struct cairn_event *event,
                                struct cairn_err *err)
{
    if (cairn_events_query_wants(&feed->query, event)) {
        return put_event(feed, event, err);
    }
    feed->skipped++;
    return feed->skipped < SKIPPED_MAX ? CAIRN_OK : put_progress(feed, err);
}

/* Send everything up to the end of the log. *ret_open false: the feed is over. */
static enum cairn_rc catch_up(struct feed *feed, bool *ret_open, struct cairn_err *err)
{
    *ret_open = true;
    for (unsigned taken = 1;; taken++) {
        const struct cairn_event *event = NULL;
        enum cairn_rc rc = cairn_history_next(feed->history, &event, err);
        if (rc == CAIRN_OK && event != NULL) {
            rc = take_event(feed, event, err);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        bool over = event == NULL || is_complete(feed);
        bool due = over || feed->out.size >= PIECE_BYTES || taken % 1024 == 0;
        if (due && !flush(feed)) {
            *ret_open = false;
            return CAIRN_OK;
        }
        if (over) {
            *ret_open = !is_complete(feed);
            return CAIRN_OK;
        }
    }
}

/* At the end of the log: sleep until there is more, with a sign of life when there is not. */
static enum cairn_rc wait_more(struct feed *feed, struct cairn_err *err)
{
    const struct cairn_query_api *api = feed->api;
    bool more = false;
    enum cairn_rc rc = cairn_store_wait(api->options.store, cairn_history_position(feed->history),
                                        api->options.heartbeat_ms, &more, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    int64_t now_ns = cairn_clock_monotonic_ns(api->options.clock);
    if (feed->skipped > 0 && (!more || now_ns - feed->id_ns >= ID_EVERY_NS)) {
        return put_progress(feed, err);
    }
    if (!more) {
        rc = cairn_buf_append(&feed->out, CAIRN_SLICE_LIT(":\n\n"));
        return rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "writing a heartbeat");
    }
    return CAIRN_OK;
}

static enum cairn_rc follow(struct feed *feed, struct cairn_err *err)
{
    bool open = false;
    enum cairn_rc rc = cairn_buf_append(&feed->out, CAIRN_SLICE_LIT("retry: 2000\n\n"));
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "writing the feed's head");
    }
    for (;;) {
        rc = catch_up(feed, &open, err);
        if (rc != CAIRN_OK || !open) {
            return rc;
        }
        rc = wait_more(feed, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
}

/* The head has gone out, so a failure can only end the stream: the client comes again with its last
 * id and meets the cause, if it stays, at the same event. */
static void stream(struct feed *feed)
{
    struct cairn_err err;
    enum cairn_rc rc = follow(feed, &err);
    if (rc != CAIRN_OK) {
        cairn_log_error(feed->api->options.log, CAIRN_LOG_ERROR, "query", "feed-failed", &err);
    }
}

static enum cairn_rc prepare(struct feed *feed, struct cairn_http_response *response,
                             struct cairn_position *held, struct cairn_err *err)
{
    struct cairn_wait wait;
    struct cairn_slice last_id = cairn_http_header(feed->request, "Last-Event-ID");
    enum cairn_rc rc =
        cairn_events_query_read(feed->api, feed->request, last_id, &feed->query, err);
    rc = rc != CAIRN_OK ? rc : cairn_wait_read(feed->api, feed->request, response, &wait, err);
    rc = rc != CAIRN_OK ? rc : cairn_wait_log(feed->api, &wait, held, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (feed->query.at_end) {
        feed->query.after = *held;
    }
    return cairn_history_open(feed->api->options.store, &feed->query.after, &feed->history, err);
}

static void run(struct feed *feed, struct cairn_http_response *response)
{
    struct cairn_err err;
    struct cairn_position held = {{0}};
    enum cairn_rc rc = prepare(feed, response, &held, &err);
    if (rc == CAIRN_EBEHIND) {
        cairn_reply_fail_at(feed->request, response, &held, &err);
        return;
    }
    if (rc != CAIRN_OK) {
        cairn_reply_fail(feed->request, response, &err);
        return;
    }
    response->content_type = "text/event-stream";
    cairn_http_header_add(response, "Cache-Control", CAIRN_SLICE_LIT("no-store"));
    cairn_http_header_add(response, "Vary", CAIRN_SLICE_LIT("Accept"));
    /* Proxies of the nginx family collect small answers unless told not to. */
    cairn_http_header_add(response, "X-Accel-Buffering", CAIRN_SLICE_LIT("no"));
    if (cairn_http_stream_begin(feed->request, response)) {
        stream(feed);
    }
}

void cairn_feed_run(struct cairn_query_api *api, struct cairn_http_request *request,
                    struct cairn_http_response *response)
{
    assert(api != NULL);
    if (atomic_fetch_add(&api->feeds, 1) >= api->options.feeds_max) {
        (void)atomic_fetch_sub(&api->feeds, 1);
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, CAIRN_EBUSY, "%u live feeds are open, which is the most",
                         api->options.feeds_max);
        cairn_http_problem(response, &err, NULL, request);
        return;
    }
    cairn_metric_set(api->feeds_now, (int64_t)atomic_load(&api->feeds));
    struct feed feed = {.api = api,
                        .request = request,
                        .arena = {.max = CAIRN_EVENTS_ARENA_MAX},
                        .out = {.max = BUFFER_BYTES_MAX}};
    run(&feed, response);
    cairn_history_close(feed.history);
    cairn_arena_fini(&feed.arena);
    cairn_buf_fini(&feed.out);
    unsigned left = atomic_fetch_sub(&api->feeds, 1) - 1;
    cairn_metric_set(api->feeds_now, (int64_t)left);
}
