#include "tools/send_worker.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "platform/http_client.h"
#include "platform/json.h"

#define ANSWER_BYTES_MAX (64u * 1024u * 1024u)
/* An answer, and beside it the request's and the answer's heads. */
#define ANSWER_ARENA_MAX (ANSWER_BYTES_MAX + 1024u * 1024u)
#define ARENA_BYTES_MAX  (64u * 1024u * 1024u)
#define PAUSE_FIRST_MS   20
#define PAUSE_MAX_MS     2000
#define NS_PER_MS        INT64_C(1000000)

enum { STATUS_OK = 200, STATUS_RATE = 429, STATUS_UNAVAILABLE = 503 };

/* What became of one POST. */
enum outcome {
    ANSWERED, /* 200, a line for each command in `answer` */
    NOT_SENT, /* nothing was written there: all of it may go again */
    UNKNOWN,  /* it may have been carried out: only commands with a key may go again */
    REFUSED   /* the service does not take it: give up */
};

struct connection {
    struct cairn_send_worker *worker;
    struct cairn_http_client *client;
    struct cairn_slice answer;       /* the last one's body, in answer_arena */
    struct cairn_arena answer_arena; /* of one POST */
    struct cairn_arena arena;        /* of one line of the answer */
    struct cairn_send_batch *again;  /* what goes round once more */
    int pause_ms;
    int64_t progress_ns; /* when something was answered last */
};

/* What a failed call means for the commands in it. */
static enum outcome outcome_of(enum cairn_rc rc)
{
    if (rc == CAIRN_EINVAL) {
        return REFUSED;
    }
    return cairn_http_client_unsent(rc) ? NOT_SENT : UNKNOWN;
}

static enum outcome post(struct connection *connection, const struct cairn_send_batch *batch)
{
    const struct cairn_http_field fields[] = {
        {CAIRN_SLICE_LIT("Content-Type"), CAIRN_SLICE_LIT("application/x-ndjson")}};
    struct cairn_send_worker *worker = connection->worker;
    struct cairn_http_call call = {.method = CAIRN_SLICE_LIT("POST"),
                                   .url = cairn_slice_str(worker->url),
                                   .fields = fields,
                                   .field_count = sizeof(fields) / sizeof(fields[0]),
                                   .body = cairn_buf_slice(&batch->text)};
    struct cairn_http_answer answer;
    struct cairn_err err;
    cairn_arena_reset(&connection->answer_arena);
    enum cairn_rc rc = cairn_http_client_request(connection->client, &call,
                                                 &connection->answer_arena, &answer, &err);
    if (rc != CAIRN_OK) {
        (void)CAIRN_FAIL(&worker->err, rc, "%s%s", err.text,
                         rc == CAIRN_EUNREACHABLE ? "; is the service running?" : "");
        return outcome_of(rc);
    }
    connection->answer = answer.body;
    if (answer.status == STATUS_OK) {
        return ANSWERED;
    }
    (void)CAIRN_FAIL(&worker->err, CAIRN_EINVAL, "%s answered %d: %.*s", worker->url, answer.status,
                     answer.body.size > 200 ? 200 : (int)answer.body.size, answer.body.data);
    return answer.status == STATUS_UNAVAILABLE || answer.status == STATUS_RATE ? NOT_SENT : REFUSED;
}

/* May this answered command go again? Its answer must say that it was not carried out, or it must
 * have a key. */
static bool is_retried(const struct cairn_value *answer, bool keyed)
{
    const struct cairn_value *status = cairn_value_at(answer, "status");
    if (status == NULL || status->type != CAIRN_INT ||
        (status->as.integer != STATUS_UNAVAILABLE && status->as.integer != STATUS_RATE)) {
        return false;
    }
    return keyed ||
           !cairn_slice_is(cairn_value_get_string(answer, "type"), "/problems/outcome-unknown");
}

/* Count the answers; what is to be retried goes into `again`. */
static enum cairn_rc take_answers(struct connection *connection,
                                  const struct cairn_send_batch *batch)
{
    struct cairn_send_worker *worker = connection->worker;
    struct cairn_slice rest = connection->answer;
    for (size_t i = 0; i < batch->count; i++) {
        bool missing = rest.size == 0;
        struct cairn_slice line = cairn_slice_take_line(&rest);
        struct cairn_value answer;
        cairn_arena_reset(&connection->arena);
        if (missing ||
            cairn_json_read(line, &connection->arena, &answer, NULL, &worker->err) != CAIRN_OK) {
            return CAIRN_FAIL(&worker->err, CAIRN_EIO,
                              "%s: %zu commands were sent, %zu answers came", worker->url,
                              batch->count, i);
        }
        if (!is_retried(&answer, batch->keyed[i])) {
            cairn_tally_answer(worker->tally, &answer);
            continue;
        }
        enum cairn_rc rc = cairn_send_batch_add(connection->again, cairn_send_batch_line(batch, i),
                                                batch->keyed[i]);
        if (rc != CAIRN_OK) {
            return CAIRN_FAIL(&worker->err, rc, "out of memory for retries");
        }
    }
    return CAIRN_OK;
}

/* Lines that have no answer go again; after an unknown outcome only those with a key, and the
 * others never will have one. */
static enum cairn_rc keep(struct connection *connection, const struct cairn_send_batch *batch,
                          bool unknown)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (unknown && !batch->keyed[i]) {
            lost++;
        } else if (cairn_send_batch_add(connection->again, cairn_send_batch_line(batch, i),
                                        batch->keyed[i]) != CAIRN_OK) {
            return CAIRN_FAIL(&connection->worker->err, CAIRN_ENOMEM, "out of memory for retries");
        }
    }
    if (lost > 0) {
        cairn_tally_unanswered(connection->worker->tally, lost);
    }
    return CAIRN_OK;
}

/* Waits, longer each time without progress. False: the patience of --retry-for is at its end. */
static bool pause_before_retry(struct connection *connection)
{
    struct cairn_send_worker *worker = connection->worker;
    int64_t waited_ns = cairn_clock_monotonic_ns(worker->clock) - connection->progress_ns;
    if (waited_ns / NS_PER_MS >= (int64_t)worker->retry_for_ms) {
        return false;
    }
    struct timespec pause = {.tv_sec = connection->pause_ms / 1000,
                             .tv_nsec = (long)(connection->pause_ms % 1000) * (long)NS_PER_MS};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
    connection->pause_ms =
        connection->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : connection->pause_ms * 2;
    return true;
}

/* Post a batch once. On OK `again` holds what has to go round once more. */
static enum cairn_rc try_batch(struct connection *connection, struct cairn_send_batch *batch)
{
    struct cairn_send_worker *worker = connection->worker;
    cairn_send_batch_clear(connection->again);
    enum outcome outcome = post(connection, batch);
    switch (outcome) {
    case ANSWERED: {
        enum cairn_rc rc = take_answers(connection, batch);
        if (rc == CAIRN_OK && connection->again->count < batch->count) {
            connection->progress_ns = cairn_clock_monotonic_ns(worker->clock);
            connection->pause_ms = PAUSE_FIRST_MS;
        }
        return rc;
    }
    case NOT_SENT:
    case UNKNOWN:
        return keep(connection, batch, outcome == UNKNOWN);
    case REFUSED:
        break;
    }
    return worker->err.rc;
}

/* Send a batch until every command has its answer. */
static enum cairn_rc send_batch(struct connection *connection, struct cairn_send_batch **batch)
{
    connection->pause_ms = PAUSE_FIRST_MS;
    connection->progress_ns = cairn_clock_monotonic_ns(connection->worker->clock);
    for (;;) {
        enum cairn_rc rc = try_batch(connection, *batch);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (connection->again->count == 0) {
            return CAIRN_OK;
        }
        struct cairn_send_batch *retried = connection->again;
        connection->again = *batch;
        *batch = retried;
        if (!pause_before_retry(connection)) {
            rc = connection->worker->err.rc;
            return rc == CAIRN_OK ? CAIRN_FAIL(&connection->worker->err, CAIRN_EBUSY,
                                               "the service stays overloaded")
                                  : rc;
        }
        cairn_tally_retried(connection->worker->tally, retried->count);
    }
}

static enum cairn_rc open_connection(struct connection *connection)
{
    struct cairn_send_worker *worker = connection->worker;
    connection->again = cairn_send_batch_new();
    if (connection->again == NULL) {
        return CAIRN_FAIL(&worker->err, CAIRN_ENOMEM, "out of memory for a connection");
    }
    /* Without a limit on the whole call: a large batch may take its time. */
    struct cairn_http_client_options options = {.response_max_bytes = ANSWER_BYTES_MAX};
    return cairn_http_client_new(&options, &connection->client, &worker->err);
}

void *cairn_send_worker_run(void *arg)
{
    struct cairn_send_worker *worker = arg;
    struct connection connection = {.worker = worker,
                                    .answer_arena = {.max = ANSWER_ARENA_MAX},
                                    .arena = {.max = ARENA_BYTES_MAX}};
    enum cairn_rc rc = open_connection(&connection);
    struct cairn_send_batch *batch = NULL;
    while (rc == CAIRN_OK && (batch = cairn_send_slot_pop(&worker->slot)) != NULL) {
        rc = send_batch(&connection, &batch);
        if (rc != CAIRN_OK) {
            cairn_tally_unanswered(worker->tally, batch->count);
        }
        cairn_send_batch_free(batch);
    }
    worker->rc = rc;
    cairn_send_slot_close(&worker->slot);
    cairn_send_batch_free(connection.again);
    cairn_arena_fini(&connection.arena);
    cairn_arena_fini(&connection.answer_arena);
    cairn_http_client_free(connection.client);
    return NULL;
}
