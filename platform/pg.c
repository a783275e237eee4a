#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include <libpq-fe.h>

#include "platform/clock.h"
#include "platform/mem.h"
#include "platform/pg_int.h"

#define CONNECT_MS 10000
/* An answer comes this long after the server's own statement_timeout at the latest. */
#define GRACE_MS     5000
#define NS_PER_MS    INT64_C(1000000)
#define SETTINGS_MAX 16
/* A TLS record may lie read in the library while the socket has nothing. How long that may wait. */
#define TLS_SLICE_MS   20
#define IDLE_READS_MAX 16
#define NUMBER_MAX     16
#define PATH_BYTES_MAX 256

static int64_t now_ns(void)
{
    return cairn_clock_monotonic_ns(cairn_clock_system());
}

/* poll, through interruptions. *ret_ready: something is there; false: the time is over. */
static enum cairn_rc poll_until(int fd, short events, int64_t until_ns, bool *ret_ready,
                                struct cairn_err *err)
{
    for (;;) {
        int64_t left_ms = (until_ns - now_ns() + NS_PER_MS - 1) / NS_PER_MS;
        left_ms = left_ms < 0 ? 0 : left_ms;
        struct pollfd polled = {.fd = fd, .events = events};
        int count = poll(&polled, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (count >= 0) {
            *ret_ready = count > 0;
            return CAIRN_OK;
        }
        if (errno != EINTR) {
            return CAIRN_FAIL_OS(err, errno, "poll of a PostgreSQL connection");
        }
    }
}

enum cairn_rc cairn_pg_wait(struct cairn_pg *pg, bool write, struct cairn_err *err)
{
    int fd = PQsocket(pg->raw);
    if (fd < 0) {
        return CAIRN_OK;
    }
    int patience_ms = pg->pipeline.open ? pg->pipeline_ms : pg->answer_ms;
    int64_t end_ns = pg->heard_ns + patience_ms * NS_PER_MS;
    bool sealed = PQsslInUse(pg->raw) == 1 || PQgssEncInUse(pg->raw) == 1;
    int64_t slice_ns = now_ns() + TLS_SLICE_MS * NS_PER_MS;
    bool sliced = sealed && slice_ns < end_ns;
    bool ready = false;
    enum cairn_rc rc = poll_until(fd, (short)(POLLIN | (write ? POLLOUT : 0)),
                                  sliced ? slice_ns : end_ns, &ready, err);
    if (rc != CAIRN_OK || (sliced && !ready)) {
        return rc;
    }
    if (!ready) {
        cairn_pg_forgive(pg);
        pg->broken = true;
        return CAIRN_FAIL(err, CAIRN_EBUSY, "the server has said nothing for %d ms", patience_ms);
    }
    pg->heard_ns = now_ns();
    return CAIRN_OK;
}

/* ---- connecting ---- */

static void drop_notice(void *self, const PGresult *result)
{
    (void)self;
    (void)result;
}

static int hosts_of(PGconn *raw)
{
    int commas = 0;
    PQconninfoOption *options = PQconninfo(raw);
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL;
         option++) {
        bool is_hosts =
            strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "hostaddr") == 0;
        int here = 0;
        for (const char *at = is_hosts ? option->val : NULL; at != NULL && *at != '\0'; at++) {
            here += *at == ',' ? 1 : 0;
        }
        commas = here > commas ? here : commas;
    }
    PQconninfoFree(options);
    return commas + 1;
}

/* libpq's steps of a login, each when its socket is ready. */
static enum cairn_rc log_in(struct cairn_pg *pg, int timeout_ms, struct cairn_err *err)
{
    int hosts = hosts_of(pg->raw);
    int64_t end_ns = now_ns() + (int64_t)timeout_ms * hosts * NS_PER_MS;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED || PQstatus(pg->raw) == CONNECTION_BAD) {
            return cairn_pg_fail_connect(pg, err);
        }
        bool ready = false;
        short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        enum cairn_rc rc = poll_until(PQsocket(pg->raw), events, end_ns, &ready, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (!ready) {
            return CAIRN_FAIL(err, CAIRN_EBUSY, "no PostgreSQL answered within %d ms", timeout_ms);
        }
        next = PQconnectPoll(pg->raw);
    }
    return CAIRN_OK;
}

static enum cairn_rc connect_raw(struct cairn_pg *pg, const struct cairn_pg_options *options,
                                 struct cairn_err *err)
{
    /* The URI overrides what stands before it, and is overridden by what stands behind. A host that
     * is gone without a word is noticed in half a minute. */
    const char *const names[] = {
        "fallback_application_name",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "dbname",
        "client_encoding",
        NULL,
    };
    const char *application = options->application == NULL ? "cairn" : options->application;
    const char *uri = options->uri == NULL ? "" : options->uri;
    const char *const values[] = {application, "15", "5", "3", uri, "UTF8", NULL};
    enum cairn_rc rc = cairn_pg_check_uri(uri, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    pg->raw = PQconnectStartParams(names, values, 1);
    if (pg->raw == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a PostgreSQL connection");
    }
    (void)PQsetErrorVerbosity(pg->raw, PQERRORS_VERBOSE);
    (void)PQsetNoticeReceiver(pg->raw, drop_notice, NULL);
    int timeout_ms = options->connect_timeout_ms == 0 ? CONNECT_MS : options->connect_timeout_ms;
    rc = log_in(pg, timeout_ms, err);
    if (rc == CAIRN_OK && PQsetnonblocking(pg->raw, 1) != 0) {
        rc = cairn_pg_fail_raw(pg, err);
    }
    return rc;
}

/* ---- the session ---- */

/* Names and values of settings, on their way to the server as two arrays. */
struct settings {
    struct cairn_slice names[SETTINGS_MAX];
    struct cairn_slice values[SETTINGS_MAX];
    size_t count;
};

static void set(struct settings *settings, const char *name, struct cairn_slice value)
{
    assert(settings->count < SETTINGS_MAX);
    assert(value.data != NULL);
    settings->names[settings->count] = cairn_slice_str(name);
    settings->values[settings->count] = value;
    settings->count++;
}

/* Values travel as text: these say which text, whatever the server's or the role's defaults. */
static const struct {
    const char *name;
    const char *value;
} fixed[] = {
    {"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"},
    {"bytea_output", "hex"},   {"extra_float_digits", "1"},   {"standard_conforming_strings", "on"},
};

static void set_ms(struct settings *settings, const char *name, int ms, char text[NUMBER_MAX])
{
    if (ms > 0) {
        int size = snprintf(text, NUMBER_MAX, "%d", ms);
        assert(size > 0 && size < NUMBER_MAX);
        set(settings, name, cairn_slice_of(text, (size_t)size));
    }
}

static enum cairn_rc send_settings(struct cairn_pg *pg, const struct settings *settings,
                                   struct cairn_err *err)
{
    struct cairn_buf names = {.max = 4096};
    struct cairn_buf values = {.max = 4096};
    enum cairn_rc rc = cairn_pg_array(&names, settings->names, settings->count);
    rc = rc == CAIRN_OK ? cairn_pg_array(&values, settings->values, settings->count) : rc;
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "settings of a PostgreSQL connection");
    } else {
        struct cairn_slice both[] = {cairn_buf_slice(&names), cairn_buf_slice(&values)};
        rc = cairn_pg_query(pg,
                            "SELECT pg_catalog.set_config(s.name, s.value, false)"
                            " FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]),"
                            " pg_catalog.unnest($2::pg_catalog.text[]))"
                            " AS s(name, value)",
                            both, 2, NULL, err);
    }
    cairn_buf_fini(&names);
    cairn_buf_fini(&values);
    return rc;
}

static enum cairn_rc begin_session(struct cairn_pg *pg, const struct cairn_pg_options *options,
                                   struct cairn_err *err)
{
    struct settings settings = {.count = 0};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        set(&settings, fixed[i].name, cairn_slice_str(fixed[i].value));
    }
    char statement_ms[NUMBER_MAX];
    char lock_ms[NUMBER_MAX];
    set_ms(&settings, "statement_timeout", options->statement_timeout_ms, statement_ms);
    set_ms(&settings, "lock_timeout", options->lock_timeout_ms, lock_ms);
    if (options->read_only) {
        set(&settings, "default_transaction_read_only", CAIRN_SLICE_LIT("on"));
    }
    struct cairn_buf path = {.max = PATH_BYTES_MAX};
    enum cairn_rc rc = CAIRN_OK;
    if (options->schema != NULL) {
        rc = cairn_pg_quote_name(&path, cairn_slice_str(options->schema));
        rc = rc == CAIRN_OK ? cairn_buf_append_str(&path, ", pg_catalog") : rc;
        if (rc == CAIRN_OK) {
            set(&settings, "search_path", cairn_buf_slice(&path));
        } else {
            rc = CAIRN_FAIL(err, rc, "'%s' is no name of a schema", options->schema);
        }
    }
    rc = rc == CAIRN_OK ? send_settings(pg, &settings, err) : rc;
    cairn_buf_fini(&path);
    return rc;
}

static int answer_ms_of(const struct cairn_pg_options *options)
{
    if (options->answer_timeout_ms > 0) {
        return options->answer_timeout_ms;
    }
    int statement_ms = options->statement_timeout_ms;
    return statement_ms == 0 || statement_ms > CAIRN_PG_ANSWER_MS ? CAIRN_PG_ANSWER_MS
                                                                  : statement_ms + GRACE_MS;
}

enum cairn_rc cairn_pg_open(const struct cairn_pg_options *options, struct cairn_pg **ret_pg,
                            struct cairn_err *err)
{
    assert(options != NULL && ret_pg != NULL);
    assert(options->connect_timeout_ms >= 0 && options->statement_timeout_ms >= 0);
    assert(options->lock_timeout_ms >= 0 && options->answer_timeout_ms >= 0);
    struct cairn_pg *pg = cairn_mem_zalloc(1, sizeof(*pg));
    if (pg == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a PostgreSQL connection");
    }
    pg->values.max = CAIRN_PG_VALUES_BYTES_MAX;
    pg->usual_ms = answer_ms_of(options);
    pg->answer_ms = pg->usual_ms;
    pg->pipeline_ms =
        options->answer_timeout_ms > 0 ? options->answer_timeout_ms : CAIRN_PG_ANSWER_MS;
    pg->read_only = options->read_only;
    enum cairn_rc rc = connect_raw(pg, options, err);
    rc = rc == CAIRN_OK ? begin_session(pg, options, err) : rc;
    if (rc != CAIRN_OK) {
        cairn_pg_close(pg);
        return cairn_err_wrap(err, rc, "PostgreSQL");
    }
    *ret_pg = pg;
    return CAIRN_OK;
}

void cairn_pg_close(struct cairn_pg *pg)
{
    if (pg == NULL) {
        return;
    }
    PQfinish(pg->raw);
    cairn_buf_fini(&pg->values);
    cairn_mem_free(pg->pipeline.touched);
    cairn_mem_free(pg);
}

void cairn_pg_set_patience(struct cairn_pg *pg, int answer_timeout_ms)
{
    assert(answer_timeout_ms > 0);
    pg->answer_ms = answer_timeout_ms;
}

bool cairn_pg_is_broken(const struct cairn_pg *pg)
{
    assert(pg != NULL);
    return pg->broken || PQstatus(pg->raw) != CONNECTION_OK;
}

bool cairn_pg_is_idle(struct cairn_pg *pg)
{
    if (cairn_pg_is_broken(pg) || pg->pipeline.open ||
        PQtransactionStatus(pg->raw) != PQTRANS_IDLE) {
        return false;
    }
    /* To an idle connection a server says farewell, or gives a notice: the end of the stream comes
     * behind its words. */
    struct pollfd polled = {.fd = PQsocket(pg->raw), .events = POLLIN};
    for (int i = 0; i < IDLE_READS_MAX && !pg->broken && poll(&polled, 1, 0) > 0; i++) {
        pg->broken = PQconsumeInput(pg->raw) == 0;
    }
    return !cairn_pg_is_broken(pg);
}

const char *cairn_pg_sqlstate(const struct cairn_pg *pg)
{
    assert(pg != NULL);
    return pg->sqlstate;
}

unsigned cairn_pg_error_at(const struct cairn_pg *pg)
{
    assert(pg != NULL);
    return pg->error_at;
}
