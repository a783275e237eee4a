/* A bare append + fdatasync loop into a zero-filled file: bare_log FILE BYTES SECONDS
 * Prints groups per second and the median in microseconds, as "GROUPS P50". */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define FILE_BYTES  ((size_t)256 << 20)
#define SAMPLES_MAX 1000000u

static int zero_fill(int fd)
{
    static char zeros[1 << 20];
    for (size_t at = 0; at < FILE_BYTES; at += sizeof(zeros)) {
        if (pwrite(fd, zeros, sizeof(zeros), (off_t)at) != (ssize_t)sizeof(zeros)) {
            return -1;
        }
    }
    return fsync(fd);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bare_log FILE BYTES SECONDS\n");
        return 2;
    }
    size_t size = strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *group = calloc(1, size);
    double *samples = calloc(SAMPLES_MAX, sizeof(*samples));
    if (fd < 0 || group == NULL || samples == NULL || zero_fill(fd) != 0) {
        (void)fprintf(stderr, "cannot prepare %s\n", argv[1]);
        return 1;
    }
    memset(group, 'e', size);
    size_t count = 0;
    size_t at = 0;
    double begin = now_s();
    double last = begin;
    while (last - begin < seconds && count < SAMPLES_MAX) {
        at = at + size > FILE_BYTES ? 0 : at;
        if (pwrite(fd, group, size, (off_t)at) != (ssize_t)size || fdatasync(fd) != 0) {
            return 1;
        }
        at += size;
        double now = now_s();
        samples[count++] = now - last;
        last = now;
    }
    qsort(samples, count, sizeof(*samples), by_value);
    (void)printf("%.0f %.1f\n", (double)count / (last - begin), samples[count / 2] * 1e6);
    (void)close(fd);
    (void)unlink(argv[1]);
    return 0;
}
