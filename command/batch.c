/* The batch form: NDJSON, a JSON array or a msgpack array of commands in, the same form out.
 *
 * Commands are read, executed and answered in chunks, so memory does not grow with the batch, and a
 * chunk is parsed and checked outside the lane. */
#include <assert.h>

#include "command/api_int.h"
#include "command/batch_item.h"
#include "command/spread.h"
#include "platform/json.h"
#include "platform/mem.h"
#include "schemas/msgpack.h"

/* Commands of one chunk, and bytes of NDJSON after which a chunk ends early. */
#define CAIRN_BATCH_CHUNK_MAX       2048
#define CAIRN_BATCH_CHUNK_BYTES_MAX ((size_t)2 << 20)
/* Bytes that one chunk may take when parsed and answered. */
#define CAIRN_BATCH_ARENA_MAX ((size_t)256 << 20)
/* Answers beyond this many bytes go out while the batch runs. */
#define CAIRN_BATCH_FLUSH_BYTES ((size_t)4 << 20)

/* One item of the chunk: a command, or the fault that kept it from being one. */
struct item {
    struct cairn_fault_report *fault; /* NULL: it is the next of the commands */
};

struct batch {
    const struct cairn_command_api *api;
    struct cairn_http_request *request;
    struct cairn_http_response *response;
    struct cairn_command origin; /* where all of them come from */
    enum cairn_form form;
    struct cairn_batch_reader reader;
    struct cairn_spread spread;

    struct cairn_slice rest;  /* NDJSON not read yet */
    uint64_t line;            /* of NDJSON, from 1: the last one read */
    struct cairn_value whole; /* otherwise: the array */
    uint32_t next;            /* item of it */

    struct cairn_arena arena; /* of the chunk */
    struct item *items;       /* CAIRN_BATCH_CHUNK_MAX of each; owned */
    struct cairn_command *commands;
    struct cairn_answer *answers;
    const struct cairn_value **foreign; /* answers of other nodes, or NULLs */
    size_t item_count;
    size_t command_count;
    uint64_t answered; /* items, all chunks */
    bool gone;         /* the client does not listen any more */
};

/* ---- reading ---- */

/* Keep the fault of an item, with where it is. False: memory is out. */
static bool keep_fault(struct batch *batch, const struct cairn_fault_report *report,
                       const char *place, uint64_t number)
{
    struct cairn_fault_report *fault = cairn_arena_alloc(&batch->arena, sizeof(*fault));
    struct cairn_value_builder extra = {.arena = &batch->arena};
    bool kept =
        fault != NULL && cairn_value_add(&extra, place, cairn_value_uint(number)) == CAIRN_OK;
    if (kept && report->extra.type == CAIRN_MAP) {
        for (uint32_t i = 0; i < report->extra.count && kept; i++) {
            const struct cairn_member *member = &report->extra.as.members[i];
            kept = cairn_value_add_slice(&extra, cairn_value_slice(&member->key), member->value) ==
                   CAIRN_OK;
        }
    }
    if (kept) {
        fault->err = report->err;
        fault->extra = cairn_value_map(&extra);
        batch->items[batch->item_count].fault = fault;
    }
    return kept;
}

/* Take what reading an item gave into the chunk. False: memory is out. */
static bool take_item(struct batch *batch, enum cairn_rc rc,
                      const struct cairn_fault_report *report, const char *place, uint64_t number)
{
    if (rc != CAIRN_OK) {
        if (!keep_fault(batch, report, place, number)) {
            return false;
        }
    } else {
        struct cairn_command *command = &batch->commands[batch->command_count];
        command->request_id = batch->origin.request_id;
        command->correlation = batch->origin.correlation;
        command->principal = batch->origin.principal;
        command->traceparent = batch->origin.traceparent;
        batch->items[batch->item_count].fault = NULL;
        batch->command_count++;
    }
    batch->item_count++;
    return true;
}

/* The next line that is not blank; false at the end. */
static bool next_line(struct batch *batch, struct cairn_slice *ret_line)
{
    while (batch->rest.size > 0) {
        size_t size = cairn_slice_find(batch->rest, '\n');
        struct cairn_slice line = cairn_slice_of(batch->rest.data, size);
        size_t used = size < batch->rest.size ? size + 1 : size;
        batch->rest = cairn_slice_of(batch->rest.data + used, batch->rest.size - used);
        batch->line++;
        if (line.size > 0 && line.data[line.size - 1] == '\r') {
            line.size--;
        }
        if (cairn_slice_trim(line).size > 0) {
            *ret_line = line;
            return true;
        }
    }
    return false;
}

static bool read_lines(struct batch *batch)
{
    struct cairn_fault_report report;
    struct cairn_slice line;
    size_t bytes = 0;
    while (batch->item_count < CAIRN_BATCH_CHUNK_MAX && bytes < CAIRN_BATCH_CHUNK_BYTES_MAX &&
           next_line(batch, &line)) {
        enum cairn_rc rc;
        bytes += line.size;
        if (line.size > batch->api->body_max) {
            report.extra = cairn_value_null();
            rc = CAIRN_FAIL(&report.err, CAIRN_ETOOBIG, "a command is at most %zu bytes",
                            batch->api->body_max);
        } else {
            rc = cairn_batch_read_line(&batch->reader, line, &batch->arena,
                                       &batch->commands[batch->command_count], &report);
        }
        if (!take_item(batch, rc, &report, "line", batch->line)) {
            return false;
        }
    }
    return true;
}

static bool read_items(struct batch *batch)
{
    struct cairn_fault_report report;
    while (batch->item_count < CAIRN_BATCH_CHUNK_MAX && batch->next < batch->whole.count) {
        enum cairn_rc rc =
            cairn_batch_read_item(&batch->reader, &batch->whole.as.items[batch->next],
                                  &batch->arena, &batch->commands[batch->command_count], &report);
        if (!take_item(batch, rc, &report, "index", batch->next)) {
            return false;
        }
        batch->next++;
    }
    return true;
}

/* ---- answering ---- */

static enum cairn_rc write_value(const struct batch *batch, const struct cairn_value *value)
{
    struct cairn_buf *out = &batch->response->body;
    return batch->form == CAIRN_FORM_MSGPACK ? cairn_msgpack_write(value, out)
                                             : cairn_json_write(value, out);
}

/* Write the answer to one command; report is scratch. */
static enum cairn_rc write_answer(struct batch *batch, size_t command,
                                  struct cairn_fault_report *report)
{
    const struct cairn_answer *answer = &batch->answers[command];
    struct cairn_value value;
    if (batch->foreign[command] != NULL) {
        return write_value(batch, batch->foreign[command]);
    }
    if (answer->rc != CAIRN_OK) {
        cairn_reply_report(answer, &batch->commands[command], &batch->arena, report);
        enum cairn_rc rc = cairn_reply_problem(report, &batch->arena, &value);
        return rc == CAIRN_OK ? write_value(batch, &value) : rc;
    }
    if (batch->form != CAIRN_FORM_MSGPACK) {
        return cairn_reply_json(answer, true, &batch->response->body);
    }
    enum cairn_rc rc = cairn_reply_value(answer, true, &batch->arena, &value);
    return rc == CAIRN_OK ? write_value(batch, &value) : rc;
}

static enum cairn_rc write_fault(struct batch *batch, const struct cairn_fault_report *fault)
{
    struct cairn_value value;
    enum cairn_rc rc = cairn_reply_problem(fault, &batch->arena, &value);
    return rc == CAIRN_OK ? write_value(batch, &value) : rc;
}

/* What stands between two answers. */
static enum cairn_rc write_separator(struct batch *batch)
{
    struct cairn_buf *out = &batch->response->body;
    if (batch->form == CAIRN_FORM_JSON && batch->answered > 0) {
        return cairn_buf_append_byte(out, ',');
    }
    return CAIRN_OK;
}

static enum cairn_rc write_end(struct batch *batch)
{
    struct cairn_buf *out = &batch->response->body;
    return batch->form == CAIRN_FORM_NDJSON ? cairn_buf_append_byte(out, '\n') : CAIRN_OK;
}

static void flush(struct batch *batch)
{
    struct cairn_http_response *response = batch->response;
    if (!response->streamed) {
        response->content_type = cairn_form_media_type(batch->form);
        batch->gone = !cairn_http_stream_begin(batch->request, response);
    }
    if (!batch->gone && response->body.size > 0) {
        batch->gone = !cairn_http_stream_write(batch->request, cairn_buf_slice(&response->body));
    }
    cairn_buf_truncate(&response->body, 0);
}

/* The answers of the chunk, in the order of its items. */
static enum cairn_rc write_chunk(struct batch *batch)
{
    struct cairn_fault_report report;
    size_t command = 0;
    for (size_t i = 0; i < batch->item_count && !batch->gone; i++) {
        const struct cairn_fault_report *fault = batch->items[i].fault;
        enum cairn_rc rc = write_separator(batch);
        if (rc == CAIRN_OK && fault != NULL) {
            rc = write_fault(batch, fault);
        } else if (rc == CAIRN_OK) {
            rc = write_answer(batch, command, &report);
            command++;
        }
        if (rc == CAIRN_OK) {
            rc = write_end(batch);
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        batch->answered++;
        if (batch->response->body.size >= CAIRN_BATCH_FLUSH_BYTES) {
            flush(batch);
        }
    }
    return CAIRN_OK;
}

/* ---- a batch ---- */

/* msgpack's head of an array. */
static enum cairn_rc write_array_head(struct cairn_buf *out, uint32_t count)
{
    unsigned char head[5] = {0xdd, (unsigned char)(count >> 24), (unsigned char)(count >> 16),
                             (unsigned char)(count >> 8), (unsigned char)count};
    return cairn_buf_append(out, cairn_slice_of((const char *)head, sizeof(head)));
}

static enum cairn_rc open_batch(struct batch *batch, struct cairn_fault_report *report)
{
    struct cairn_http_request *request = batch->request;
    struct cairn_err *err = &report->err;
    enum cairn_rc rc = cairn_request_form(request, true, &batch->form, err);
    const char *type = cairn_form_media_type(batch->form);
    if (rc == CAIRN_OK && cairn_http_accepts(request, type, type) < 0) {
        rc = CAIRN_FAIL(err, CAIRN_EACCEPT, "a batch is answered in its own form, %s", type);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_request_origin(request, &batch->origin, err);
    }
    if (rc == CAIRN_OK && batch->form == CAIRN_FORM_NDJSON) {
        batch->rest = request->body;
    } else if (rc == CAIRN_OK) {
        rc = cairn_request_parse(request->body, batch->form, request->arena, &batch->whole, report);
    }
    if (rc == CAIRN_OK && batch->form != CAIRN_FORM_NDJSON && batch->whole.type != CAIRN_ARRAY) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "a batch is an array of commands");
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    batch->items = cairn_mem_alloc(CAIRN_BATCH_CHUNK_MAX * sizeof(*batch->items));
    batch->commands = cairn_mem_alloc(CAIRN_BATCH_CHUNK_MAX * sizeof(*batch->commands));
    batch->answers = cairn_mem_alloc(CAIRN_BATCH_CHUNK_MAX * sizeof(*batch->answers));
    batch->foreign = cairn_mem_alloc(CAIRN_BATCH_CHUNK_MAX * sizeof(*batch->foreign));
    if (batch->items == NULL || batch->commands == NULL || batch->answers == NULL ||
        batch->foreign == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a batch");
    }
    return CAIRN_OK;
}

/* What stands before the first answer and behind the last. */
static enum cairn_rc write_frame(struct batch *batch, bool begin)
{
    struct cairn_buf *out = &batch->response->body;
    switch (batch->form) {
    case CAIRN_FORM_JSON:
        return cairn_buf_append_byte(out, begin ? '[' : ']');
    case CAIRN_FORM_MSGPACK:
        return begin ? write_array_head(out, batch->whole.count) : CAIRN_OK;
    case CAIRN_FORM_NDJSON:
        return CAIRN_OK;
    }
    return CAIRN_EINTERNAL;
}

static enum cairn_rc run_chunks(struct batch *batch)
{
    enum cairn_rc rc = write_frame(batch, true);
    while (rc == CAIRN_OK && !batch->gone) {
        cairn_arena_reset(&batch->arena);
        batch->item_count = 0;
        batch->command_count = 0;
        bool whole = batch->form == CAIRN_FORM_NDJSON ? read_lines(batch) : read_items(batch);
        if (!whole) {
            return CAIRN_ENOMEM;
        }
        if (batch->item_count == 0) {
            return write_frame(batch, false);
        }
        cairn_spread_execute(&batch->spread, batch->commands, batch->answers, batch->foreign,
                             batch->command_count, &batch->arena);
        rc = write_chunk(batch);
    }
    return rc;
}

static void close_batch(struct batch *batch)
{
    cairn_arena_fini(&batch->arena);
    cairn_mem_free(batch->items);
    cairn_mem_free(batch->commands);
    cairn_mem_free(batch->answers);
    cairn_mem_free(batch->foreign);
}

/* A request to another node is no longer than what one may send here. */
static struct cairn_spread spread_of(const struct cairn_command_api *api,
                                     const struct cairn_http_request *request)
{
    return (struct cairn_spread){
        .forward = api->forward,
        .service = api->service,
        .request = request,
        .patience = cairn_patience_of(cairn_forward_clock(api->forward),
                                      cairn_forward_wait_ms(api->forward)),
        .body_bytes = api->batch_body_max < CAIRN_SPREAD_BODY_BYTES ? api->batch_body_max
                                                                    : CAIRN_SPREAD_BODY_BYTES,
    };
}

void cairn_batch_handle(void *self, struct cairn_http_request *request,
                        struct cairn_http_response *response)
{
    const struct cairn_command_api *api = self;
    struct cairn_fault_report report = {.extra = cairn_value_null()};
    struct batch batch = {
        .api = api,
        .request = request,
        .response = response,
        .reader = {.domain = api->domain},
        .spread = spread_of(api, request),
        .arena = {.max = CAIRN_BATCH_ARENA_MAX},
    };
    enum cairn_rc rc = open_batch(&batch, &report);
    if (rc != CAIRN_OK) {
        cairn_command_problem(response, &report, request);
        close_batch(&batch);
        return;
    }
    rc = run_chunks(&batch);
    if (rc == CAIRN_OK && response->streamed) {
        flush(&batch);
    } else if (rc == CAIRN_OK) {
        response->status = 200;
        response->content_type = cairn_form_media_type(batch.form);
    } else if (!response->streamed) {
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, CAIRN_EUNKNOWN,
                         "no memory was left for the answers; some commands may be accepted");
        cairn_http_problem(response, &err, NULL, request);
    }
    /* A stream that ends early shows by its missing answers. */
    close_batch(&batch);
}
