#include "tools/replay_scope.h"

#include "platform/clock.h"

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
