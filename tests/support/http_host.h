/* A raw server for tests of the HTTP client: it says to each request what the test wants, whole or
 * broken, and counts. */
#ifndef CAIRN_TESTS_SUPPORT_HTTP_HOST_H
#define CAIRN_TESTS_SUPPORT_HTTP_HOST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "platform/http_client.h"
#include "tests/support/http_peer.h"

enum {
    HOST_TIMEOUT_MS = 300,
    HOST_REQUEST_MAX = 1200 * 1024,
    HOST_URL_MAX = 256,
    HOST_BODY_MAX = 1000
};

/* A call to a port of this machine; url holds its URL. */
static inline struct cairn_http_call host_call(int port, const char *method, const char *path,
                                               char url[HOST_URL_MAX])
{
    int size = snprintf(url, HOST_URL_MAX, "http://127.0.0.1:%d%s", port, path);
    assert_in_range(size, 1, HOST_URL_MAX - 1);
    return (struct cairn_http_call){.method = cairn_slice_str(method),
                                    .url = cairn_slice_of(url, (size_t)size)};
}

/* A listener that scripts play the server of. */
struct host {
    int fd;
    int port;
    pthread_t thread;
    const char *answer;      /* what is said to each request */
    unsigned answered_count; /* requests that are answered; then each is read and closed on */
    bool stays_open;         /* wait for the client to close, not the other way round */
    atomic_uint connections;
    atomic_uint requests;
    char last[HOST_REQUEST_MAX]; /* the last request's text; read after the join */
};

/* Reads one request, whose body has a Content-Length. False: the client closed. */
static inline bool host_read(struct host *host, int fd)
{
    size_t size = 0;
    host->last[0] = '\0';
    for (;;) {
        const char *head_end = strstr(host->last, "\r\n\r\n");
        const char *length = strstr(host->last, "Content-Length: ");
        size_t want = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
        if (head_end != NULL && size >= (size_t)(head_end + 4 - host->last) + want) {
            return true;
        }
        ssize_t got = recv(fd, host->last + size, HOST_REQUEST_MAX - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        host->last[size] = '\0';
    }
}

/* One connection at a time, until the listener is shut. */
static inline void *host_run(void *self)
{
    struct host *host = self;
    int fd = -1;
    while ((fd = accept(host->fd, NULL, NULL)) >= 0) {
        atomic_fetch_add(&host->connections, 1);
        while (host_read(host, fd)) {
            if (atomic_fetch_add(&host->requests, 1) >= host->answered_count) {
                break;
            }
            peer_say(fd, host->answer);
            if (!host->stays_open) {
                break;
            }
        }
        (void)close(fd);
    }
    return NULL;
}

/* A socket with a port of its own. While it does not listen, nobody is there. */
static inline int host_bind(int *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline int host_listen(int *ret_port)
{
    int fd = host_bind(ret_port);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static inline void host_begin(struct host *host, const char *answer, unsigned answered_count,
                              bool stays_open)
{
    memset(host, 0, sizeof(*host));
    host->answer = answer;
    host->answered_count = answered_count;
    host->stays_open = stays_open;
    host->fd = host_listen(&host->port);
    assert_int_equal(pthread_create(&host->thread, NULL, host_run, host), 0);
}

/* The client must have let go of its connection: the thread waits in it otherwise. */
static inline void host_end(struct host *host)
{
    (void)shutdown(host->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(host->thread, NULL), 0);
    (void)close(host->fd);
}

/* One call by a client of its own to a host of one answer; how it ends. A host that stays open is
 * given up soon, yet not before it has the request. */
static inline enum cairn_rc host_outcome(const char *method, const char *answer, bool stays_open,
                                         struct cairn_arena *arena,
                                         struct cairn_http_answer *ret_answer,
                                         struct cairn_err *err)
{
    struct host host;
    struct cairn_http_client_options options = {.timeout_ms =
                                                    stays_open ? HOST_TIMEOUT_MS : PEER_TIMEOUT_MS,
                                                .response_max_bytes = HOST_BODY_MAX};
    enum cairn_rc rc = CAIRN_EUNREACHABLE;
    unsigned asked = 0;
    while (asked == 0) {
        struct cairn_http_client *fresh = NULL;
        char url[HOST_URL_MAX];
        host_begin(&host, answer, 1, stays_open);
        assert_ok(cairn_http_client_new(&options, &fresh, err), err);
        struct cairn_http_call call = host_call(host.port, method, "/", url);
        cairn_arena_reset(arena);
        rc = cairn_http_client_request(fresh, &call, arena, ret_answer, err);
        cairn_http_client_free(fresh);
        host_end(&host);
        asked = stays_open ? atomic_load(&host.requests) : 1;
    }
    return rc;
}

#endif
