#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/fault.h"
#include "platform/file.h"

enum { FILE_MODE = 0640 };

static int disk_open(void *self, const char *path, bool write, bool create, int *ret_fd)
{
    (void)self;
    assert(write || !create);
    int flags = (write ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0) | O_CLOEXEC;
    int fd;
    do {
        fd = open(path, flags, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return errno;
    }
    *ret_fd = fd;
    return 0;
}

static int disk_read(void *self, int fd, void *data, size_t size, uint64_t at, size_t *ret_size)
{
    (void)self;
    assert(at <= INT64_MAX);
    if (cairn_fault_hit(CAIRN_FAULT_READ)) {
        return EIO;
    }
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, (char *)data + done, size - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_size = done;
    return 0;
}

/* All of data at `at`, whatever the kernel cuts it into. */
static int write_all(int fd, const char *data, size_t size, uint64_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put = pwrite(fd, data + done, size - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return errno;
        }
        if (put == 0) {
            return EIO;
        }
        done += (size_t)put;
    }
    return 0;
}

static int disk_write(void *self, int fd, const void *data, size_t size, uint64_t at)
{
    (void)self;
    assert(at <= INT64_MAX);
    if (cairn_fault_hit(CAIRN_FAULT_WRITE)) {
        return ENOSPC;
    }
    if (cairn_fault_hit(CAIRN_FAULT_WRITE_SHORT)) {
        int os = write_all(fd, data, size / 2, at);
        return os != 0 ? os : ENOSPC;
    }
    return write_all(fd, data, size, at);
}

/* A sync is never repeated, EINTR included: after a failure the kernel may have dropped the dirty
 * pages, and a second call would report success over the loss. */
static int disk_sync_data(void *self, int fd)
{
    (void)self;
    if (cairn_fault_hit(CAIRN_FAULT_SYNC)) {
        return EIO;
    }
    return fdatasync(fd) == 0 ? 0 : errno;
}

static int disk_sync_all(void *self, int fd)
{
    (void)self;
    if (cairn_fault_hit(CAIRN_FAULT_SYNC)) {
        return EIO;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

static int disk_size(void *self, int fd, uint64_t *ret_size)
{
    (void)self;
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return errno;
    }
    assert(status.st_size >= 0);
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int disk_truncate(void *self, int fd, uint64_t size)
{
    (void)self;
    assert(size <= INT64_MAX);
    int rc;
    do {
        rc = ftruncate(fd, (off_t)size);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

static int disk_allocate(void *self, int fd, uint64_t at, uint64_t size)
{
    (void)self;
    assert(at <= INT64_MAX && size <= INT64_MAX - at);
    int rc;
    do {
        rc = fallocate(fd, 0, (off_t)at, (off_t)size);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

static void disk_close(void *self, int fd)
{
    (void)self;
    assert(fd >= 0);
    (void)close(fd);
}

static int disk_sync_folder(void *self, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int os = disk_sync_all(self, fd);
    (void)close(fd);
    return os;
}

const struct cairn_disk *cairn_disk_system(void)
{
    static const struct cairn_disk system = {
        .open = disk_open,
        .read = disk_read,
        .write = disk_write,
        .sync_data = disk_sync_data,
        .sync_all = disk_sync_all,
        .size = disk_size,
        .truncate = disk_truncate,
        .allocate = disk_allocate,
        .close = disk_close,
        .sync_folder = disk_sync_folder,
    };
    return &system;
}
