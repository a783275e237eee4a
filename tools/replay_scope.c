#include "tools/replay_scope.h"

#include <stdint.h>

#include "platform/clock.h"

/* Events of one read. */
#define READ_EVENTS 4096

static const char *const names[] = {"from", "until", "stream"};

bool cairn_replay_scope_given(const struct cairn_config *config)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (cairn_config_text(config, names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* A place in the log, or a time. Neither is ever the other: a position has no '-'. */
static enum cairn_rc read_where(const struct cairn_config *config, const char *name,
                                struct cairn_position *ret_position, bool *ret_is_position,
                                int64_t *ret_time_us, bool *ret_is_time, struct cairn_err *err)
{
    const char *text = cairn_config_text(config, name);
    if (text == NULL) {
        return CAIRN_OK;
    }
    *ret_is_position = cairn_position_parse(cairn_slice_str(text), ret_position) == CAIRN_OK;
    *ret_is_time =
        !*ret_is_position && cairn_clock_parse(cairn_slice_str(text), ret_time_us) == CAIRN_OK;
    if (*ret_is_position || *ret_is_time) {
        return CAIRN_OK;
    }
    return CAIRN_FAIL(err, CAIRN_EINVAL,
                      "--%s: `%.64s` is neither a position, such as 0:1042, nor a time, such as "
                      "2026-01-31T09:30:00Z",
                      name, text);
}

enum cairn_rc cairn_replay_scope_read(const struct cairn_config *config,
                                      struct cairn_replay_scope *ret_scope, struct cairn_err *err)
{
    struct cairn_replay_scope scope = {.has_until = false};
    const char *stream = cairn_config_text(config, "stream");
    bool has_after = false;
    enum cairn_rc rc = read_where(config, "from", &scope.after, &has_after, &scope.since_us,
                                  &scope.has_since_us, err);
    if (rc == CAIRN_OK) {
        rc = read_where(config, "until", &scope.until, &scope.has_until, &scope.until_us,
                        &scope.has_until_us, err);
    }
    if (rc == CAIRN_OK && stream != NULL) {
        scope.stream = cairn_slice_str(stream);
        if (!cairn_stream_is_valid(scope.stream)) {
            rc = CAIRN_FAIL(err, CAIRN_EINVAL,
                            "--stream: `%.64s` is no stream, which is an aggregate and an id, such "
                            "as order-536365",
                            stream);
        }
    }
    if (rc == CAIRN_OK) {
        *ret_scope = scope;
    }
    return rc;
}

/* ---- places ---- */

/* Where a partition's last command ends of those in front of the first event that is not before
 * limit_us. */
static enum cairn_rc find_time(struct cairn_log_reader *reader, int64_t limit_us,
                               uint64_t *ret_offset, struct cairn_err *err)
{
    const struct cairn_event *events = NULL;
    size_t count = 1;
    uint64_t offset = 0;
    enum cairn_rc rc = CAIRN_OK;
    bool found = false;
    while (rc == CAIRN_OK && count > 0 && !found) {
        rc = cairn_log_reader_next(reader, READ_EVENTS, &events, &count, err);
        for (size_t i = 0; rc == CAIRN_OK && i < count && !found; i++) {
            found = events[i].time_us >= limit_us;
            offset = !found && cairn_event_is_last(&events[i]) ? events[i].offset : offset;
        }
    }
    if (rc == CAIRN_OK) {
        *ret_offset = offset;
    }
    return rc;
}

static enum cairn_rc place_time(struct cairn_store *store, int64_t limit_us,
                                struct cairn_position *position, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t p = 0; rc == CAIRN_OK && p < cairn_store_partitions(store); p++) {
        struct cairn_log_reader *reader = NULL;
        rc = cairn_log_reader_open(store, p, 0, &reader, err);
        rc = rc == CAIRN_OK ? find_time(reader, limit_us, &position->offsets[p], err) : rc;
        cairn_log_reader_close(reader);
    }
    return rc;
}

/* The end of the last command that is whole in front of an offset. */
static enum cairn_rc round_down(struct cairn_store *store, uint16_t partition, uint64_t *offset,
                                struct cairn_err *err)
{
    const struct cairn_event *events = NULL;
    struct cairn_log_reader *reader = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_log_reader_open(store, partition, *offset - 1, &reader, err);
    rc = rc == CAIRN_OK ? cairn_log_reader_next(reader, 1, &events, &count, err) : rc;
    if (rc == CAIRN_OK && count > 0 && events[0].offset == *offset &&
        !cairn_event_is_last(&events[0])) {
        *offset -= (uint64_t)events[0].index + 1;
    }
    cairn_log_reader_close(reader);
    return rc;
}

static enum cairn_rc place_position(struct cairn_store *store, const char *name,
                                    struct cairn_position *position, struct cairn_err *err)
{
    uint16_t partitions = cairn_store_partitions(store);
    struct cairn_position end;
    enum cairn_rc rc = cairn_store_end(store, &end, err);
    for (unsigned p = 0; rc == CAIRN_OK && p < CAIRN_PARTITIONS_MAX; p++) {
        if (position->offsets[p] > 0 && p >= partitions) {
            rc = CAIRN_FAIL(err, CAIRN_EINVAL, "--%s names partition %u; the log has %u", name, p,
                            (unsigned)partitions);
        } else if (position->offsets[p] > 0 && position->offsets[p] < end.offsets[p]) {
            rc = round_down(store, (uint16_t)p, &position->offsets[p], err);
        }
    }
    return rc;
}

enum cairn_rc cairn_replay_scope_place(struct cairn_store *store, struct cairn_replay_scope *scope,
                                       struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    if (scope->has_since_us) {
        rc = place_time(store, scope->since_us, &scope->after, err);
    } else {
        rc = place_position(store, names[0], &scope->after, err);
    }
    if (rc == CAIRN_OK && scope->has_until_us) {
        int64_t limit_us = scope->until_us == INT64_MAX ? INT64_MAX : scope->until_us + 1;
        rc = place_time(store, limit_us, &scope->until, err);
    } else if (rc == CAIRN_OK && scope->has_until) {
        rc = place_position(store, names[1], &scope->until, err);
    }
    if (rc == CAIRN_OK) {
        scope->has_until = scope->has_until || scope->has_until_us;
        scope->has_since_us = false;
        scope->has_until_us = false;
    }
    return rc;
}
