/* What a worker thread keeps between requests, so that the hot path stays off the heap. */
#include <assert.h>

#include "platform/http_int.h"
#include "platform/mem.h"

struct cairn_http_worker *cairn_http_worker_new(void)
{
    struct cairn_http_worker *worker = cairn_mem_zalloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->arena.max = CAIRN_HTTP_ARENA_BYTES_MAX;
    worker->wire.max = (size_t)2 * CAIRN_HTTP_JOIN_BYTES_MAX + CAIRN_HTTP_FIELDS_BYTES_MAX;
    worker->fields.max = CAIRN_HTTP_FIELDS_BYTES_MAX;
    worker->body_in.max = CAIRN_HTTP_PIECE_BYTES;
    worker->body_out.max = CAIRN_HTTP_PIECE_BYTES;
    return worker;
}

void cairn_http_worker_free(struct cairn_http_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    cairn_arena_fini(&worker->arena);
    cairn_buf_fini(&worker->wire);
    cairn_buf_fini(&worker->fields);
    cairn_buf_fini(&worker->body_in);
    cairn_buf_fini(&worker->body_out);
    cairn_mem_free(worker);
}

static void clear(struct cairn_buf *buf)
{
    if (buf->cap > CAIRN_HTTP_KEEP_BYTES_MAX) {
        size_t max = buf->max;
        cairn_buf_fini(buf);
        buf->max = max;
    } else {
        cairn_buf_truncate(buf, 0);
    }
    assert(buf->size == 0);
}

void cairn_http_worker_reset(struct cairn_http_worker *worker)
{
    cairn_arena_reset(&worker->arena);
    clear(&worker->wire);
    clear(&worker->fields);
    clear(&worker->body_in);
    clear(&worker->body_out);
}
