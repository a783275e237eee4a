/* A server that takes each request and does no good with it: for tests of those who ask. */
#ifndef CAIRN_TESTS_SUPPORT_HTTP_TRAP_H
#define CAIRN_TESTS_SUPPORT_HTTP_TRAP_H

#include <pthread.h>
#include <stdio.h>

#include "tests/support/http_host.h"

enum trap_answer {
    TRAP_CLOSES,
    TRAP_SAYS_HTML,
    TRAP_SAYS_GATEWAY,
    TRAP_SAYS_ONE_OF_MANY, /* a msgpack array of one answer */
    TRAP_SAYS_NO_OWNER,
    TRAP_SAYS_OVERLOADED
};

struct trap {
    enum trap_answer answer;
    int fd; /* listens */
    char url[64];
    pthread_t thread;
    unsigned asked; /* requests taken; this and what follows is the thread's until it ended */
    char mark[128]; /* Cairn-Forwarded of the last one; empty without */
};

static const char *const trap_answers[] = {
    [TRAP_CLOSES] = "",
    [TRAP_SAYS_HTML] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n"
                       "Connection: close\r\n\r\nhi",
    [TRAP_SAYS_GATEWAY] = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n"
                          "Content-Length: 2\r\nConnection: close\r\n\r\nno",
    [TRAP_SAYS_ONE_OF_MANY] = "HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\n"
                              "Content-Length: 2\r\nConnection: close\r\n\r\n\x91\x80",
    [TRAP_SAYS_OVERLOADED] = "HTTP/1.1 503 Service Unavailable\r\n"
                             "Content-Type: application/problem+json\r\n"
                             "Content-Length: 44\r\nConnection: close\r\n\r\n"
                             "{\"type\":\"/problems/overloaded\",\"status\":503}",
    [TRAP_SAYS_NO_OWNER] = "HTTP/1.1 503 Service Unavailable\r\n"
                           "Content-Type: application/problem+json\r\nRetry-After: 1\r\n"
                           "Content-Length: 42\r\nConnection: close\r\n\r\n"
                           "{\"type\":\"/problems/no-owner\",\"status\":503}",
};

/* Read one request to its end. False: the connection brought none. */
static inline bool trap_read(struct trap *trap, int fd)
{
    struct peer_answer request = {.text = malloc(PEER_ANSWER_MAX + 1)};
    assert_non_null(request.text);
    request.text[0] = '\0';
    request.body = request.text;
    ssize_t got = 1;
    while (got > 0 && !peer_is_whole(&request, false)) {
        got = recv(fd, request.text + request.size, PEER_ANSWER_MAX - request.size, 0);
        request.size += got > 0 ? (size_t)got : 0;
        request.text[request.size] = '\0';
    }
    bool whole = request.size > 0;
    const char *mark = whole ? peer_field(&request, "Cairn-Forwarded") : NULL;
    int size = mark == NULL ? 0 : (int)strcspn(mark, "\r");
    (void)snprintf(trap->mark, sizeof(trap->mark), "%.*s", size, mark == NULL ? "" : mark);
    peer_answer_fini(&request);
    return whole;
}

static inline void *trap_run(void *self)
{
    struct trap *trap = self;
    int fd = accept(trap->fd, NULL, NULL);
    while (fd >= 0) {
        if (trap_read(trap, fd)) {
            trap->asked++;
            peer_say(fd, trap_answers[trap->answer]);
        }
        (void)close(fd);
        fd = accept(trap->fd, NULL, NULL);
    }
    return NULL;
}

static inline void trap_begin(struct trap *trap)
{
    int port = 0;
    trap->fd = host_listen(&port);
    (void)snprintf(trap->url, sizeof(trap->url), "http://127.0.0.1:%d", port);
    assert_int_equal(pthread_create(&trap->thread, NULL, trap_run, trap), 0);
}

/* How many requests it has taken. */
static inline unsigned trap_end(struct trap *trap)
{
    (void)shutdown(trap->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(trap->thread, NULL), 0);
    (void)close(trap->fd);
    return trap->asked;
}

#endif
