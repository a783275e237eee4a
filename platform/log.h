/* The process log: one JSON object a line on standard error.
 *
 * {"time":"...","level":"info","component":"command","event":"started","request_id":"...",
 * ...fields} Values are typed by the macro used for them. Never pass secrets or payloads. Libraries
 * return errors; main and request handlers log, once. A line is one write(2) of at most
 * CAIRN_LOG_LINE_MAX bytes: a text that does not fit is cut, a field that does not fit left out,
 * and the line then ends with "cut":true. A line that cannot be written is lost. thread: any. */
#ifndef CAIRN_PLATFORM_LOG_H
#define CAIRN_PLATFORM_LOG_H

#include "platform/clock.h"

#define CAIRN_LOG_LINE_MAX 4096

enum cairn_log_level { CAIRN_LOG_DEBUG, CAIRN_LOG_INFO, CAIRN_LOG_WARN, CAIRN_LOG_ERROR };

struct cairn_log_field {
    const char *name; /* lower case and '_': written as it is */
    enum { CAIRN_LOG_TEXT, CAIRN_LOG_INT, CAIRN_LOG_UINT, CAIRN_LOG_FLOAT, CAIRN_LOG_BOOL } kind;
    struct cairn_slice text; /* need not be valid UTF-8: bad bytes become U+FFFD */
    int64_t integer;
    uint64_t uint;
    double number;
};

#define CAIRN_F_STR(name, value)                                                                   \
    ((struct cairn_log_field){(name), CAIRN_LOG_TEXT, cairn_slice_str(value), 0, 0, 0.0})
#define CAIRN_F_SLICE(name, value)                                                                 \
    ((struct cairn_log_field){(name), CAIRN_LOG_TEXT, (value), 0, 0, 0.0})
#define CAIRN_F_INT(name, value)                                                                   \
    ((struct cairn_log_field){(name), CAIRN_LOG_INT, {NULL, 0}, (value), 0, 0.0})
#define CAIRN_F_UINT(name, value)                                                                  \
    ((struct cairn_log_field){(name), CAIRN_LOG_UINT, {NULL, 0}, 0, (value), 0.0})
#define CAIRN_F_FLOAT(name, value)                                                                 \
    ((struct cairn_log_field){(name), CAIRN_LOG_FLOAT, {NULL, 0}, 0, 0, (value)})
#define CAIRN_F_BOOL(name, value)                                                                  \
    ((struct cairn_log_field){(name), CAIRN_LOG_BOOL, {NULL, 0}, (value), 0, 0.0})

struct cairn_log; /* where lines go and from which level on */

/* fd: written to, not closed. Caller frees. NULL when memory is out. */
CAIRN_MUST_CHECK struct cairn_log *cairn_log_new(int fd, enum cairn_log_level level,
                                                 const struct cairn_clock *clock);
void cairn_log_free(struct cairn_log *log);
bool cairn_log_on(const struct cairn_log *log, enum cairn_log_level level);
/* Write a line. log may be NULL: nothing is written. */
void cairn_log_write(struct cairn_log *log, enum cairn_log_level level, const char *component,
                     const char *event, const struct cairn_log_field *fields, size_t count);
/* "debug", "info", "warn", "error"; EINVAL. */
CAIRN_MUST_CHECK enum cairn_rc cairn_log_level_parse(struct cairn_slice text,
                                                     enum cairn_log_level *ret_level);

/* cairn_log_event(log, CAIRN_LOG_INFO, "command", "started", CAIRN_F_INT("port", 8080)); at least
 * one field */
#define cairn_log_event(log, level, component, event, ...)                                         \
    cairn_log_write(                                                                               \
        (log), (level), (component), (event), (const struct cairn_log_field[]){__VA_ARGS__},       \
        sizeof((const struct cairn_log_field[]){__VA_ARGS__}) / sizeof(struct cairn_log_field))

/* An error as fields: code, detail, place. Logged at `level`. */
void cairn_log_error(struct cairn_log *log, enum cairn_log_level level, const char *component,
                     const char *event, const struct cairn_err *err);

#endif
