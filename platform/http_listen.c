/* The address to listen on: parsed, resolved, and tried before civetweb sees it, so that the error
 * names the address and the reason. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/http_int.h"

enum { HOST_MAX = 256 };

static enum cairn_rc split(const char *listen, char host[HOST_MAX], uint16_t *ret_port,
                           struct cairn_err *err)
{
    const char *colon = strrchr(listen, ':');
    uint64_t port = 0;
    if (colon == NULL || colon == listen || colon - listen >= HOST_MAX ||
        cairn_slice_to_u64(cairn_slice_str(colon + 1), &port) != CAIRN_OK || port > 65535) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "listen '%s' is not HOST:PORT, as in 127.0.0.1:8080 or localhost:0",
                          listen);
    }
    if (listen[0] == '[') {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                          "listen '%s': the HTTP library of this system is built without IPv6; "
                          "listen on an IPv4 address, and put a proxy in front for IPv6",
                          listen);
    }
    memcpy(host, listen, (size_t)(colon - listen));
    host[colon - listen] = '\0';
    *ret_port = (uint16_t)port;
    return CAIRN_OK;
}

/* Bind once: civetweb's own failure has no errno. */
static enum cairn_rc try_bind(const char *listen_text, const struct sockaddr_in *address,
                              struct cairn_err *err)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        int os = errno;
        return CAIRN_FAIL_OS(err, os, "cannot listen on %s", listen_text);
    }
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int failed = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    if (failed == 0) {
        failed = listen(fd, 1);
    }
    int os = errno;
    (void)close(fd);
    if (failed != 0) {
        return CAIRN_FAIL_OS(err, os, "cannot listen on %s", listen_text);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_http_listen_check(struct cairn_http *http, struct cairn_err *err)
{
    assert(http->options.listen != NULL);
    char host[HOST_MAX];
    uint16_t port = 0;
    enum cairn_rc rc = split(http->options.listen, host, &port, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, NULL, &hints, &found);
    if (failed != 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "listen '%s': %s", http->options.listen,
                          gai_strerror(failed));
    }
    assert(found != NULL && found->ai_addrlen == sizeof(struct sockaddr_in));
    struct sockaddr_in address;
    memcpy(&address, found->ai_addr, sizeof(address));
    freeaddrinfo(found);
    address.sin_port = htons(port);
    http->address = address.sin_addr.s_addr;
    char numeric[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &address.sin_addr, numeric, sizeof(numeric));
    (void)snprintf(http->listen, sizeof(http->listen), "%s:%u", numeric, (unsigned)port);
    return try_bind(http->options.listen, &address, err);
}
