/* The other end of an HTTP connection, byte by byte: for tests that send what no client library
 * would. Every wait ends after PEER_TIMEOUT_MS with a failed test. */
#ifndef CAIRN_TESTS_SUPPORT_HTTP_PEER_H
#define CAIRN_TESTS_SUPPORT_HTTP_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/cm.h"

enum { PEER_TIMEOUT_MS = 60000, PEER_ANSWER_MAX = 512 * 1024 };

struct peer_answer {
    int status; /* 0: the connection closed without an answer */
    char *text; /* head and body, NUL-ended; owned */
    size_t size;
    const char *body; /* in text */
    size_t body_size;
};

static inline int peer_connect(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval limit = {.tv_sec = PEER_TIMEOUT_MS / 1000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* What the server no longer takes is its right; the answer tells. */
static inline void peer_send(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        size -= (size_t)sent;
    }
}

static inline void peer_say(int fd, const char *text)
{
    peer_send(fd, text, strlen(text));
}

/* The value of a head's field, or NULL; points into the answer. */
static inline const char *peer_field(const struct peer_answer *answer, const char *name)
{
    size_t size = strlen(name);
    const char *line = strstr(answer->text, "\r\n");
    while (line != NULL && line + 2 < answer->body) {
        line += 2;
        if (strncasecmp(line, name, size) == 0 && line[size] == ':') {
            return line + size + 2;
        }
        line = strstr(line, "\r\n");
    }
    return NULL;
}

static inline bool peer_has(const struct peer_answer *answer, const char *name, const char *value)
{
    const char *found = peer_field(answer, name);
    return found != NULL && strncmp(found, value, strlen(value)) == 0 &&
           found[strlen(value)] == '\r';
}

/* Is the answer in text whole? bodiless: it answers a HEAD. */
static inline bool peer_is_whole(struct peer_answer *answer, bool bodiless)
{
    const char *end = strstr(answer->text, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    answer->body = end + 4;
    answer->body_size = answer->size - (size_t)(answer->body - answer->text);
    const char *length = peer_field(answer, "Content-Length");
    if (bodiless) {
        return true;
    }
    if (length == NULL) {
        return peer_field(answer, "Transfer-Encoding") == NULL &&
               peer_field(answer, "Connection") == NULL;
    }
    return answer->body_size >= strtoul(length, NULL, 10);
}

/* Read one answer: to its end by Content-Length, or to the end of the connection. */
static inline struct peer_answer peer_read(int fd, bool bodiless)
{
    struct peer_answer answer = {.text = malloc(PEER_ANSWER_MAX + 1)};
    assert_non_null(answer.text);
    answer.text[0] = '\0';
    answer.body = answer.text;
    while (!peer_is_whole(&answer, bodiless)) {
        /* A pipelined answer behind this one must stay in the socket: byte by byte up to the body.
         */
        const char *length = peer_field(&answer, "Content-Length");
        bool in_body = strstr(answer.text, "\r\n\r\n") != NULL;
        size_t want = 1;
        if (in_body) {
            want = length != NULL ? strtoul(length, NULL, 10) - answer.body_size
                                  : PEER_ANSWER_MAX - answer.size;
        }
        assert_true(want > 0 && answer.size + want <= PEER_ANSWER_MAX);
        ssize_t got = recv(fd, answer.text + answer.size, want, 0);
        if (got <= 0) {
            break;
        }
        answer.size += (size_t)got;
        answer.text[answer.size] = '\0';
    }
    if (strncmp(answer.text, "HTTP/1.1 ", 9) == 0) {
        answer.status = (int)strtol(answer.text + 9, NULL, 10);
    }
    return answer;
}

/* Has the server closed (after what it still had to say)? */
static inline bool peer_is_closed(int fd)
{
    char rest[256];
    ssize_t got = 1;
    while (got > 0) {
        got = recv(fd, rest, sizeof(rest), 0);
    }
    /* A server that stops with a request unread resets the connection. */
    return got == 0 || errno == ECONNRESET;
}

/* One request on a connection of its own. */
static inline struct peer_answer peer_ask(int port, const char *request)
{
    int fd = peer_connect(port);
    peer_say(fd, request);
    struct peer_answer answer = peer_read(fd, strncmp(request, "HEAD", 4) == 0);
    (void)close(fd);
    return answer;
}

static inline void peer_answer_fini(struct peer_answer *answer)
{
    free(answer->text);
    answer->text = NULL;
}

#endif
