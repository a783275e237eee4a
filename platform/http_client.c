#include "platform/http_client.h"

#include <assert.h>
#include <curl/curl.h>

#include "platform/http_client_int.h"
#include "platform/mem.h"

#define CONNECT_TIMEOUT_MS 5000u
#define RESPONSE_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* A larger buffer is not kept for the next answer. */
#define BUFFER_KEEP_MAX ((size_t)1024 * 1024)
/* Bytes of a URL in an error's text, which is for the cause too. */
#define URL_SHOWN_MAX 160

enum { STATUS_FIRST = 200, STATUS_LAST = 599 };

struct cairn_http_client {
    CURL *curl;
    struct cairn_http_client_options options;
    void *tag; /* the lender's */

    /* Of the call under way. */
    struct cairn_buf body;
    size_t head_bytes;
    bool head_ended; /* the empty line behind the fields has come */
    unsigned begun;  /* how often the request was about to be written */
    bool repeatable; /* the method changes nothing */
    bool torn;       /* a second writing was refused */
    bool too_big;    /* the answer passes a limit */
    bool out_of_memory;
    char text[CURL_ERROR_SIZE]; /* libcurl's own words */
};

/* libcurl calls this when the connection stands, each time before it writes the request: what fails
 * before has sent nothing. It would write a request again, of any method, when a kept connection
 * breaks before the answer, though the first one may have been carried out. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's. */
static int before_writing(void *self, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    struct cairn_http_client *client = self;
    client->torn = client->begun > 0 && !client->repeatable;
    client->begun++;
    return client->torn ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* Called with each line. libcurl takes a head that is cut off by the connection's end for a whole
 * one. */
static size_t take_head(char *data, size_t size, size_t count, void *self)
{
    struct cairn_http_client *client = self;
    struct cairn_slice line = cairn_slice_of(data, size * count);
    if (cairn_slice_starts(line, CAIRN_SLICE_LIT("HTTP/"))) {
        client->head_ended = false;
    } else if (cairn_slice_is(line, "\r\n") || cairn_slice_is(line, "\n")) {
        client->head_ended = true;
    }
    client->head_bytes += line.size;
    client->too_big = client->head_bytes > CAIRN_HTTP_CLIENT_HEAD_BYTES_MAX;
    return client->too_big ? 0 : line.size;
}

static size_t take_body(char *data, size_t size, size_t count, void *self)
{
    struct cairn_http_client *client = self;
    enum cairn_rc rc = cairn_buf_append(&client->body, cairn_slice_of(data, size * count));
    client->too_big = rc == CAIRN_ETOOBIG;
    client->out_of_memory = rc == CAIRN_ENOMEM;
    return rc == CAIRN_OK ? size * count : 0;
}

enum cairn_rc cairn_http_client_new(const struct cairn_http_client_options *options,
                                    struct cairn_http_client **ret_client, struct cairn_err *err)
{
    assert(options != NULL && ret_client != NULL);
    /* Its start and end are counted, and locked only where it says so. */
    if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_THREADSAFE) == 0) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "libcurl %s is not made for threads",
                          curl_version_info(CURLVERSION_NOW)->version);
    }
    struct cairn_http_client *client = cairn_mem_zalloc(1, sizeof(*client));
    if (client == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "an HTTP client");
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        cairn_mem_free(client);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "libcurl does not start");
    }
    client->options = *options;
    if (client->options.connect_timeout_ms == 0) {
        client->options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    }
    client->body.max =
        options->response_max_bytes == 0 ? RESPONSE_BYTES_MAX : options->response_max_bytes;
    client->curl = curl_easy_init();
    if (client->curl == NULL) {
        cairn_http_client_free(client);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "an HTTP client");
    }
    *ret_client = client;
    return CAIRN_OK;
}

void cairn_http_client_free(struct cairn_http_client *client)
{
    if (client == NULL) {
        return;
    }
    curl_easy_cleanup(client->curl);
    cairn_buf_fini(&client->body);
    cairn_mem_free(client);
    curl_global_cleanup();
}

void cairn_http_client_tag(struct cairn_http_client *client, void *tag)
{
    client->tag = tag;
}

void *cairn_http_client_tagged(const struct cairn_http_client *client)
{
    return client->tag;
}

/* False: no memory. */
static bool add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = line == NULL ? NULL : curl_slist_append(*list, line);
    *list = longer == NULL ? *list : longer;
    return longer != NULL;
}

/* The fields in libcurl's notation: "Name;" is one without a value, "Name:" leaves out one that
 * libcurl would add. */
static enum cairn_rc make_lines(const struct cairn_http_call *call, struct cairn_arena *arena,
                                struct curl_slist **lines, struct cairn_err *err)
{
    bool typed = false;
    /* Without the first, libcurl asks for 100 Continue and waits for it before large bodies. */
    bool added = add_line(lines, "Expect:");
    for (size_t i = 0; added && i < call->field_count; i++) {
        const struct cairn_http_field *field = &call->fields[i];
        struct cairn_slice value = cairn_slice_trim(field->value);
        typed = typed || cairn_slice_equal_nocase(field->name, CAIRN_SLICE_LIT("Content-Type"));
        added = add_line(lines,
                         cairn_arena_printf(arena, "%.*s%s%.*s", CAIRN_SLICE_ARG(field->name),
                                            value.size == 0 ? ";" : ": ", CAIRN_SLICE_ARG(value)));
    }
    added = added && (typed || add_line(lines, "Content-Type:"));
    return added ? CAIRN_OK : CAIRN_FAIL(err, CAIRN_ENOMEM, "header fields");
}

/* What holds for every call. */
static bool set_policy(struct cairn_http_client *client)
{
    CURL *curl = client->curl;
    /* Sets all options back and keeps the connection. */
    curl_easy_reset(curl);
    long connect_ms = (long)client->options.connect_timeout_ms;
    return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_DEFAULT_PROTOCOL, "http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           /* Empty: none, whatever the environment says. */
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, (long)CAIRN_HTTP_CLIENT_IDLE_S_MAX) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)client->options.timeout_ms) == CURLE_OK;
}

static bool set_callbacks(struct cairn_http_client *client)
{
    CURL *curl = client->curl;
    return curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->text) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_writing) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PREREQDATA, client) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_head) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, client) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, client) == CURLE_OK;
}

static bool set_method(CURL *curl, const struct cairn_http_call *call, struct cairn_arena *arena)
{
    if (cairn_slice_is(call->method, "GET")) {
        return curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L) == CURLE_OK;
    }
    if (cairn_slice_is(call->method, "HEAD")) {
        return curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) == CURLE_OK;
    }
    struct cairn_slice method;
    const char *body = call->body.size == 0 ? "" : call->body.data;
    curl_off_t size = (curl_off_t)call->body.size;
    return cairn_arena_copy(arena, call->method, &method) == CAIRN_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, size) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method.data) == CURLE_OK;
}

/* Everything before the first byte goes out. The caller frees *lines, on failure too. */
static enum cairn_rc prepare(struct cairn_http_client *client, const struct cairn_http_call *call,
                             struct cairn_arena *arena, struct curl_slist **lines,
                             struct cairn_err *err)
{
    enum cairn_rc rc = cairn_http_call_check(call, err);
    rc = rc == CAIRN_OK ? make_lines(call, arena, lines, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    cairn_buf_truncate(&client->body, 0);
    client->head_bytes = 0;
    client->head_ended = false;
    client->begun = 0;
    client->repeatable = cairn_http_call_is_safe(call);
    client->torn = false;
    client->too_big = false;
    client->out_of_memory = false;
    client->text[0] = '\0';
    struct cairn_slice url;
    if (cairn_arena_copy(arena, call->url, &url) != CAIRN_OK || !set_policy(client) ||
        !set_callbacks(client) || !set_method(client->curl, call, arena) ||
        curl_easy_setopt(client->curl, CURLOPT_URL, url.data) != CURLE_OK ||
        curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, *lines) != CURLE_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a request");
    }
    return CAIRN_OK;
}

static enum cairn_rc explain(const struct cairn_http_client *client,
                             const struct cairn_http_call *call, CURLcode code,
                             struct cairn_err *err)
{
    assert(code != CURLE_OK);
    const char *text = client->text[0] != '\0' ? client->text : curl_easy_strerror(code);
    enum cairn_rc rc = CAIRN_EUNREACHABLE;
    if (client->too_big) {
        rc = CAIRN_ETOOBIG;
        text = "the answer is too large";
    } else if (client->begun > 0) {
        rc = CAIRN_EUNKNOWN;
        text = client->out_of_memory ? "no memory for the answer" : text;
        text = client->torn ? "the connection closed before an answer came" : text;
    } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
        rc = CAIRN_EINVAL;
    } else if (code == CURLE_OUT_OF_MEMORY) {
        rc = CAIRN_ENOMEM;
    }
    int shown = call->url.size > URL_SHOWN_MAX ? URL_SHOWN_MAX : (int)call->url.size;
    return CAIRN_FAIL(err, rc, "%.*s: %s", shown, call->url.data, text);
}

/* The answer's fields into the arena. ETOOBIG past FIELDS_MAX; ENOMEM. */
static enum cairn_rc copy_fields(CURL *curl, struct cairn_arena *arena,
                                 struct cairn_http_answer *answer)
{
    struct curl_header *header = NULL;
    size_t count = 0;
    while ((header = curl_easy_nextheader(curl, CURLH_HEADER, -1, header)) != NULL) {
        count++;
    }
    if (count > CAIRN_HTTP_CLIENT_FIELDS_MAX) {
        return CAIRN_ETOOBIG;
    }
    struct cairn_http_field *fields = cairn_arena_zalloc(arena, count, sizeof(*fields));
    if (fields == NULL) {
        return CAIRN_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        header = curl_easy_nextheader(curl, CURLH_HEADER, -1, header);
        assert(header != NULL);
        struct cairn_slice value = cairn_slice_trim(cairn_slice_str(header->value));
        if (cairn_arena_copy(arena, cairn_slice_str(header->name), &fields[i].name) != CAIRN_OK ||
            cairn_arena_copy(arena, value, &fields[i].value) != CAIRN_OK) {
            return CAIRN_ENOMEM;
        }
    }
    answer->fields = fields;
    answer->field_count = count;
    return CAIRN_OK;
}

static enum cairn_rc copy_answer(struct cairn_http_client *client, struct cairn_arena *arena,
                                 struct cairn_http_answer *ret_answer, struct cairn_err *err)
{
    assert(client->begun > 0);
    long status = 0;
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < STATUS_FIRST || status > STATUS_LAST) {
        return CAIRN_FAIL(err, CAIRN_EUNKNOWN, "an answer of status %ld", status);
    }
    if (!client->head_ended) {
        return CAIRN_FAIL(err, CAIRN_EUNKNOWN, "the answer broke off in its head");
    }
    struct cairn_http_answer answer = {.status = (int)status};
    enum cairn_rc rc = copy_fields(client->curl, arena, &answer);
    if (rc == CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, rc, "the answer has more than %d header fields",
                          CAIRN_HTTP_CLIENT_FIELDS_MAX);
    }
    if (rc != CAIRN_OK ||
        cairn_arena_copy(arena, cairn_buf_slice(&client->body), &answer.body) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EUNKNOWN, "no memory for the answer");
    }
    *ret_answer = answer;
    return CAIRN_OK;
}

enum cairn_rc cairn_http_client_request(struct cairn_http_client *client,
                                        const struct cairn_http_call *call,
                                        struct cairn_arena *arena,
                                        struct cairn_http_answer *ret_answer, struct cairn_err *err)
{
    assert(client != NULL && ret_answer != NULL);
    struct curl_slist *lines = NULL;
    enum cairn_rc rc = prepare(client, call, arena, &lines, err);
    if (rc == CAIRN_OK) {
        CURLcode code = curl_easy_perform(client->curl);
        rc = code == CURLE_OK ? copy_answer(client, arena, ret_answer, err)
                              : explain(client, call, code, err);
    }
    curl_slist_free_all(lines);
    if (client->body.cap > BUFFER_KEEP_MAX) {
        size_t max = client->body.max;
        cairn_buf_fini(&client->body);
        client->body.max = max;
    }
    return rc;
}

bool cairn_http_client_unsent(enum cairn_rc rc)
{
    return rc == CAIRN_EUNREACHABLE || rc == CAIRN_EINVAL || rc == CAIRN_ENOMEM;
}

struct cairn_slice cairn_http_answer_field(const struct cairn_http_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->field_count; i++) {
        if (cairn_slice_equal_nocase(answer->fields[i].name, cairn_slice_str(name))) {
            return answer->fields[i].value;
        }
    }
    return CAIRN_SLICE_NONE;
}
