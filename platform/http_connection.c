/* Connections: counted, limited, and woken when the server stops.
 *
 * civetweb waits in poll(2) for new connections and for the next request of each, with two seconds
 * between looks at its stop flag, and does not tell us its sockets. At a stop we find them among
 * the process's descriptors by their local address and shut them, which ends the waiting at once.
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/http_int.h"

bool cairn_http_connection_begin(struct cairn_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    http->connections++;
    bool within = http->connections <= http->options.connections_max;
    cairn_metric_set(http->meter.connections, http->connections);
    (void)pthread_mutex_unlock(&http->lock);
    return within;
}

void cairn_http_connection_end(struct cairn_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    assert(http->connections > 0);
    http->connections--;
    cairn_metric_set(http->meter.connections, http->connections);
    (void)pthread_mutex_unlock(&http->lock);
}

/* Is fd the socket that http listens on, or one that it accepted? */
static bool is_ours(const struct cairn_http *http, int fd)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &size) != 0 || name.ss_family != AF_INET) {
        return false;
    }
    struct sockaddr_in local;
    memcpy(&local, &name, sizeof(local));
    return ntohs(local.sin_port) == http->port &&
           (http->address == 0 || local.sin_addr.s_addr == http->address);
}

void cairn_http_connections_shut(const struct cairn_http *http, bool both)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return; /* the stop then takes civetweb's two seconds */
    }
    for (;;) {
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            break;
        }
        uint64_t number = 0;
        if (cairn_slice_to_u64(cairn_slice_str(entry->d_name), &number) != CAIRN_OK) {
            continue;
        }
        /* A worker may close its socket meanwhile and the number may be given to another file; the
         * duplicate is the same socket from the look to the shutdown. */
        int copy = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
        if (copy >= 0) {
            if (is_ours(http, copy)) {
                (void)shutdown(copy, both ? SHUT_RDWR : SHUT_RD);
            }
            (void)close(copy);
        }
    }
    (void)closedir(folder);
}
