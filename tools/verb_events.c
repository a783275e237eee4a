#include <errno.h>
#include <stdio.h>

#include "platform/mem.h"
#include "tools/event_line.h"
#include "tools/log_access.h"
#include "tools/verbs.h"

#define BATCH_EVENTS    1000
#define OUT_BYTES_MAX   (256u * 1024u * 1024u)
#define OUT_FLUSH_BYTES (256u * 1024u)
#define ARENA_BYTES_MAX (256u * 1024u * 1024u)
#define FOLLOW_WAIT_MS  1000

/* What is printed, and how far it has come. */
struct printing {
    struct cairn_log_access access;
    struct cairn_upcaster *upcaster;
    struct cairn_slice aggregate, type, stream; /* filters; data NULL: none */
    uint64_t left;                              /* events still to print */
    bool follow;
    struct cairn_position position;
    struct cairn_log_reader *readers[CAIRN_PARTITIONS_MAX];
    struct cairn_arena arena;
    struct cairn_buf out;
};

static bool is_wanted(const struct printing *printing, const struct cairn_event *event)
{
    return (printing->stream.data == NULL || cairn_slice_equal(printing->stream, event->stream)) &&
           (printing->type.data == NULL || cairn_slice_equal(printing->type, event->type)) &&
           (printing->aggregate.data == NULL ||
            cairn_slice_equal(printing->aggregate, cairn_stream_aggregate(event->stream)));
}

static enum cairn_rc flush(struct printing *printing, struct cairn_err *err)
{
    size_t size = printing->out.size;
    if (size > 0 && (fwrite(printing->out.data, 1, size, stdout) != size || fflush(stdout) != 0)) {
        return CAIRN_FAIL_OS(err, errno, "standard output");
    }
    cairn_buf_truncate(&printing->out, 0);
    return CAIRN_OK;
}

static enum cairn_rc print_event(struct printing *printing, const struct cairn_event *event,
                                 struct cairn_err *err)
{
    cairn_arena_reset(&printing->arena);
    enum cairn_rc rc = cairn_event_line(printing->access.domain, printing->upcaster, event,
                                        &printing->arena, &printing->out, err);
    return rc == CAIRN_OK && printing->out.size >= OUT_FLUSH_BYTES ? flush(printing, err) : rc;
}

/* Print what a partition holds behind the position. */
static enum cairn_rc print_partition(struct printing *printing, uint16_t partition,
                                     struct cairn_err *err)
{
    for (;;) {
        const struct cairn_event *events = NULL;
        size_t count = 0;
        enum cairn_rc rc =
            cairn_log_reader_next(printing->readers[partition], BATCH_EVENTS, &events, &count, err);
        if (rc != CAIRN_OK || count == 0) {
            return rc;
        }
        for (size_t i = 0; i < count && printing->left > 0; i++) {
            printing->position.offsets[partition] = events[i].offset;
            if (!is_wanted(printing, &events[i])) {
                continue;
            }
            rc = print_event(printing, &events[i], err);
            if (rc != CAIRN_OK) {
                return rc;
            }
            printing->left--;
        }
        if (printing->left == 0) {
            return CAIRN_OK;
        }
    }
}

static enum cairn_rc print_log(struct printing *printing, struct cairn_err *err)
{
    uint16_t partitions = cairn_store_partitions(printing->access.store);
    for (;;) {
        enum cairn_rc rc = CAIRN_OK;
        for (uint16_t p = 0; rc == CAIRN_OK && p < partitions && printing->left > 0; p++) {
            rc = print_partition(printing, p, err);
        }
        rc = rc == CAIRN_OK ? flush(printing, err) : rc;
        bool more = false;
        if (rc != CAIRN_OK || !printing->follow || printing->left == 0) {
            return rc;
        }
        rc = cairn_store_wait(printing->access.store, &printing->position, FOLLOW_WAIT_MS, &more,
                              err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
}

static enum cairn_rc open_printing(struct printing *printing, const struct cairn_config *config,
                                   struct cairn_err *err)
{
    const char *after = cairn_config_text(config, "after");
    if (after != NULL &&
        cairn_position_parse(cairn_slice_str(after), &printing->position) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "--after: `%s` is no position, such as 0:1042", after);
    }
    enum cairn_rc rc =
        cairn_log_access_open(config, cairn_config_operand(config, 0), &printing->access, err);
    rc =
        rc == CAIRN_OK ? cairn_upcaster_new(printing->access.domain, &printing->upcaster, err) : rc;
    for (uint16_t p = 0; rc == CAIRN_OK && p < cairn_store_partitions(printing->access.store);
         p++) {
        rc = cairn_log_reader_open(printing->access.store, p, printing->position.offsets[p],
                                   &printing->readers[p], err);
    }
    return rc;
}

static void close_printing(struct printing *printing)
{
    for (size_t p = 0; p < CAIRN_PARTITIONS_MAX; p++) {
        cairn_log_reader_close(printing->readers[p]);
    }
    cairn_upcaster_free(printing->upcaster);
    cairn_log_access_close(&printing->access);
    cairn_arena_fini(&printing->arena);
    cairn_buf_fini(&printing->out);
}

int cairn_verb_events(const struct cairn_config *config, struct cairn_err *err)
{
    struct printing *printing = cairn_mem_zalloc(1, sizeof(*printing));
    if (printing == NULL) {
        (void)CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
        return 1;
    }
    uint64_t limit = cairn_config_uint(config, "limit");
    printing->aggregate = cairn_slice_str(cairn_config_text(config, "aggregate"));
    printing->type = cairn_slice_str(cairn_config_text(config, "type"));
    printing->stream = cairn_slice_str(cairn_config_text(config, "stream"));
    printing->left = limit == 0 ? UINT64_MAX : limit;
    printing->follow = cairn_config_bool(config, "follow");
    printing->arena.max = ARENA_BYTES_MAX;
    printing->out.max = OUT_BYTES_MAX;
    enum cairn_rc rc = open_printing(printing, config, err);
    rc = rc == CAIRN_OK ? print_log(printing, err) : rc;
    close_printing(printing);
    cairn_mem_free(printing);
    return rc == CAIRN_OK ? 0 : 1;
}
