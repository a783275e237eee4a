#include <assert.h>
#include <stdio.h>

#include <libpq-fe.h>

#include "platform/pg_int.h"

#define WORDS_MAX 320

/* What an SQLSTATE, or all that start so, means. The longer one stands first. */
static const struct {
    const char *start;
    enum cairn_rc rc;
} classes[] = {
    {"08", CAIRN_EBUSY},         /* connection exceptions */
    {"25P03", CAIRN_EBUSY},      /* idle_in_transaction_session_timeout: it hung up */
    {"28", CAIRN_EFORBIDDEN},    /* invalid authorization */
    {"3D", CAIRN_EFORBIDDEN},    /* no such database */
    {"40002", CAIRN_EINVAL},     /* a deferred constraint */
    {"40", CAIRN_EBUSY},         /* serialization failure, deadlock */
    {"42501", CAIRN_EFORBIDDEN}, /* insufficient privilege */
    {"53300", CAIRN_EBUSY},      /* too many connections */
    {"53400", CAIRN_EBUSY},      /* a configured limit, as of temporary files */
    {"53", CAIRN_EFULL},         /* disk, memory */
    {"55006", CAIRN_EBUSY},      /* object in use */
    {"55P03", CAIRN_EBUSY},      /* lock not available */
    {"57014", CAIRN_ETIMEDOUT},  /* query canceled */
    {"57P", CAIRN_EBUSY},        /* shutting down, crashed, starting */
    {"58", CAIRN_EIO},           /* the server's system */
    {"72", CAIRN_EBUSY},         /* snapshot too old */
    {"XX001", CAIRN_ECORRUPT},   /* data corrupted */
    {"XX002", CAIRN_ECORRUPT},   /* index corrupted */
    {"XX", CAIRN_EINTERNAL},     /* the server's own mistakes */
};

/* What a server in recovery answers to a write. */
#define READ_ONLY_TRANSACTION "25006"

static enum cairn_rc find_class(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(sqlstate, classes[i].start, strlen(classes[i].start)) == 0) {
            return classes[i].rc;
        }
    }
    return CAIRN_EINVAL;
}

enum cairn_rc cairn_pg_class(const char *sqlstate, bool read_only)
{
    assert(sqlstate != NULL);
    if (sqlstate[0] == '\0') {
        return CAIRN_EBUSY;
    }
    /* To a session that means to write it says that it is connected to a standby, perhaps one that
     * was the primary a moment ago: another connection finds the one that is. */
    if (strcmp(sqlstate, READ_ONLY_TRANSACTION) == 0) {
        return read_only ? CAIRN_EINVAL : CAIRN_EBUSY;
    }
    enum cairn_rc rc = find_class(sqlstate);
    /* Who only reads does it for somebody else, to whom a right that this service lacks is no
     * refusal: its operator mends it. */
    return read_only && rc == CAIRN_EFORBIDDEN ? CAIRN_EUNREACHABLE : rc;
}

void cairn_pg_forgive(struct cairn_pg *pg)
{
    pg->sqlstate[0] = '\0';
    pg->error_at = 0;
}

static void keep_sqlstate(char *out, const char *sqlstate)
{
    size_t size = sqlstate == NULL ? 0 : strnlen(sqlstate, CAIRN_PG_SQLSTATE_BYTES);
    if (size > 0) {
        memcpy(out, sqlstate, size);
    }
    out[size] = '\0';
}

/* The server counts characters from 1, we count bytes. */
static unsigned place_of(const char *position, const char *sql)
{
    uint64_t wanted = 0;
    if (position == NULL || sql == NULL ||
        cairn_slice_to_u64(cairn_slice_str(position), &wanted) != CAIRN_OK || wanted == 0) {
        return 0;
    }
    uint64_t at = 0;
    for (size_t i = 0; sql[i] != '\0'; i++) {
        bool starts = ((unsigned char)sql[i] & 0xC0u) != 0x80u;
        at += starts ? 1 : 0;
        if (at == wanted && starts) {
            return (unsigned)i + 1;
        }
    }
    return (unsigned)strlen(sql) + 1;
}

/* libpq's words on one line, without the places in the server's source that its verbose form names.
 */
static void tidy(const char *words, char out[WORDS_MAX])
{
    struct cairn_slice rest = cairn_slice_str(words);
    size_t size = 0;
    out[0] = '\0';
    while (rest.size > 0) {
        struct cairn_slice line = cairn_slice_trim(cairn_slice_take_line(&rest));
        if (line.size == 0 || cairn_slice_starts(line, CAIRN_SLICE_LIT("LOCATION:"))) {
            continue;
        }
        int added = snprintf(out + size, WORDS_MAX - size, "%s%.*s", size == 0 ? "" : "; ",
                             CAIRN_SLICE_ARG(line));
        assert(added >= 0);
        size += (size_t)added;
        if (size >= WORDS_MAX) {
            return;
        }
    }
}

enum cairn_rc cairn_pg_fail_raw(struct cairn_pg *pg, struct cairn_err *err)
{
    char words[WORDS_MAX];
    cairn_pg_forgive(pg);
    tidy(PQerrorMessage(pg->raw), words);
    bool gone = PQstatus(pg->raw) != CONNECTION_OK;
    pg->broken = pg->broken || gone;
    return CAIRN_FAIL(err, gone ? CAIRN_EBUSY : CAIRN_EINTERNAL, "%s",
                      words[0] == '\0' ? "the connection is lost" : words);
}

enum cairn_rc cairn_pg_fail_result(struct cairn_pg *pg, const struct pg_result *raw,
                                   const char *sql, struct cairn_err *err)
{
    const char *sqlstate = PQresultErrorField(raw, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(raw, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate == NULL || primary == NULL) {
        return cairn_pg_fail_raw(pg, err);
    }
    keep_sqlstate(pg->sqlstate, sqlstate);
    pg->error_at = place_of(PQresultErrorField(raw, PG_DIAG_STATEMENT_POSITION), sql);
    const char *severity = PQresultErrorField(raw, PG_DIAG_SEVERITY_NONLOCALIZED);
    bool standby = !pg->read_only && strcmp(pg->sqlstate, READ_ONLY_TRANSACTION) == 0;
    if (standby || (severity != NULL && strcmp(severity, "ERROR") != 0)) {
        pg->broken = true;
    }
    /* The detail is left out: it holds whole rows. */
    const char *hint = PQresultErrorField(raw, PG_DIAG_MESSAGE_HINT);
    return CAIRN_FAIL(err, cairn_pg_class(pg->sqlstate, pg->read_only), "%s (%s)%s%s", primary,
                      pg->sqlstate, hint == NULL ? "" : "; ", hint == NULL ? "" : hint);
}

/* ---- connections that did not come about ---- */

/* libpq hands out no SQLSTATE of a login; in its verbose form the words hold it: "FATAL:  28P01:
 * password authentication failed". The last one counts, as several hosts may have been asked. */
static bool find_sqlstate(const char *words, char ret_sqlstate[6])
{
    bool found = false;
    for (const char *at = strstr(words, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        const char *state = at + 3;
        size_t size = strspn(state, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (size == CAIRN_PG_SQLSTATE_BYTES && state[size] == ':') {
            keep_sqlstate(ret_sqlstate, state);
            found = true;
        }
    }
    return found;
}

/* Words of libpq itself, which are English: the first that occurs decides. */
static const struct {
    const char *words;
    enum cairn_rc rc;
} own_words[] = {
    {"SSL SYSCALL error", CAIRN_EBUSY},
    {"out of memory", CAIRN_ENOMEM},
    {"invalid ", CAIRN_EINVAL},
    {"could not match ", CAIRN_EINVAL},
    {"no password supplied", CAIRN_EFORBIDDEN},
    {"SSL", CAIRN_EFORBIDDEN},
    {"certificate", CAIRN_EFORBIDDEN},
    {"private key", CAIRN_EFORBIDDEN},
    {"GSS", CAIRN_EFORBIDDEN},
    {"authentication", CAIRN_EFORBIDDEN},
    {"SCRAM", CAIRN_EFORBIDDEN},
    {"SASL", CAIRN_EFORBIDDEN},
};

enum cairn_rc cairn_pg_class_connect(const char *words, char ret_sqlstate[6])
{
    ret_sqlstate[0] = '\0';
    if (find_sqlstate(words, ret_sqlstate)) {
        return cairn_pg_class(ret_sqlstate, false);
    }
    for (size_t i = 0; i < sizeof(own_words) / sizeof(own_words[0]); i++) {
        if (strstr(words, own_words[i].words) != NULL) {
            return own_words[i].rc;
        }
    }
    return CAIRN_EBUSY;
}

enum cairn_rc cairn_pg_fail_connect(struct cairn_pg *pg, struct cairn_err *err)
{
    char words[WORDS_MAX];
    const char *said = PQerrorMessage(pg->raw);
    enum cairn_rc rc = cairn_pg_class_connect(said, pg->sqlstate);
    tidy(said, words);
    pg->broken = true;
    return CAIRN_FAIL(err, rc, "%s", words[0] == '\0' ? "no connection" : words);
}

/* ---- a URI that tells too much ---- */

static enum cairn_rc refuse_uri(struct cairn_err *err, const char *why)
{
    return CAIRN_FAIL(err, CAIRN_EINVAL, "the PostgreSQL URI is not valid: %s", why);
}

/* postgres://user:password@host:port/database?name=value, where a password that holds a bare '@' or
 * '/' makes hosts and ports of its pieces. */
static enum cairn_rc check_authority(const char *uri, struct cairn_err *err)
{
    const char *start = strstr(uri, "://");
    if (start == NULL) {
        return CAIRN_OK;
    }
    start += 3;
    size_t user = strcspn(start, "@/");
    const char *host = start[user] == '@' ? start + user + 1 : start;
    if (memchr(host, '@', strcspn(host, "?")) != NULL) {
        return refuse_uri(err, "a '@' or '/' in the user or the password is written %40 or %2F");
    }
    return CAIRN_OK;
}

static bool is_ports(const char *text)
{
    return text == NULL || strspn(text, "0123456789,") == strlen(text);
}

enum cairn_rc cairn_pg_check_uri(const char *uri, struct cairn_err *err)
{
    enum cairn_rc rc = check_authority(uri, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    char *words = NULL;
    PQconninfoOption *options = PQconninfoParse(uri, &words);
    if (options == NULL) {
        /* What it quotes may be the password. */
        const char *kind = words == NULL ? "out of memory" : words;
        rc = CAIRN_FAIL(err, words == NULL ? CAIRN_ENOMEM : CAIRN_EINVAL,
                        "the PostgreSQL URI is not valid: %.*s... (want "
                        "postgres://user@host:port/database, or words like host=... dbname=...)",
                        (int)strcspn(kind, "\"\n"), kind);
        PQfreemem(words);
        return rc;
    }
    for (const PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, "port") == 0 && !is_ports(option->val)) {
            rc = refuse_uri(err, "its port is no number");
        }
    }
    PQconninfoFree(options);
    return rc;
}
