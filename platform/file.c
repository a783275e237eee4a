#include "platform/file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { READ_CHUNK = 64 * 1024, PID_TEXT_MAX = 24 };

/* How often a lock is asked for, and how long between: somebody's look at it may be in the way for
 * a moment. */
#define LOCK_TRIES_MAX 5
#define LOCK_PAUSE_NS  2000000

/* Whether fd has a byte at `at`, where out is full. */
static enum cairn_rc check_end(int fd, const char *path, uint64_t at, size_t max,
                               struct cairn_err *err)
{
    const struct cairn_disk *disk = cairn_disk_system();
    char extra;
    size_t got = 0;
    int os = disk->read(disk->self, fd, &extra, 1, at, &got);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "read %s", path);
    }
    return got == 0 ? CAIRN_OK
                    : CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s does not fit %zu bytes", path, max);
}

/* Read fd to its end; the size need not be known before (files in /proc have none). */
static enum cairn_rc read_to_end(int fd, const char *path, struct cairn_buf *out,
                                 struct cairn_err *err)
{
    const struct cairn_disk *disk = cairn_disk_system();
    uint64_t at = 0;
    while (out->size < out->max) {
        size_t left = out->max - out->size;
        size_t wanted = left < READ_CHUNK ? left : READ_CHUNK;
        enum cairn_rc rc = cairn_buf_reserve(out, wanted);
        if (rc != CAIRN_OK) {
            return CAIRN_FAIL(err, rc, "read %s", path);
        }
        size_t got = 0;
        int os = disk->read(disk->self, fd, out->data + out->size, wanted, at, &got);
        if (os != 0) {
            return CAIRN_FAIL_OS(err, os, "read %s", path);
        }
        out->size += got;
        at += got;
        if (got < wanted) {
            return CAIRN_OK;
        }
    }
    return check_end(fd, path, at, out->max, err);
}

enum cairn_rc cairn_file_read(const char *path, struct cairn_buf *out, struct cairn_err *err)
{
    assert(out->max > 0);
    assert(out->size <= out->max);
    const struct cairn_disk *disk = cairn_disk_system();
    int fd = -1;
    int os = disk->open(disk->self, path, false, false, &fd);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "open %s", path);
    }
    size_t before = out->size;
    enum cairn_rc rc = read_to_end(fd, path, out, err);
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out, before);
    }
    disk->close(disk->self, fd);
    return rc;
}

enum cairn_rc cairn_file_read_value(const char *path, struct cairn_buf *out, struct cairn_err *err)
{
    size_t before = out->size;
    enum cairn_rc rc = cairn_file_read(path, out, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_slice value = cairn_slice_of(out->data + before, out->size - before);
    if (cairn_slice_find(value, '\0') < value.size) {
        cairn_buf_truncate(out, before);
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s holds a zero byte", path);
    }
    if (value.size > 0 && value.data[value.size - 1] == '\n') {
        value.size--;
        value.size -= value.size > 0 && value.data[value.size - 1] == '\r';
    }
    cairn_buf_truncate(out, before + value.size);
    return CAIRN_OK;
}

/* The folder that holds path, "." where path names none. */
static void folder_of(const char *path, char out[CAIRN_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    assert(size < CAIRN_PATH_MAX);
    if (slash == NULL) {
        memcpy(out, ".", 2);
    } else if (size == 0) {
        memcpy(out, "/", 2);
    } else {
        memcpy(out, path, size);
        out[size] = '\0';
    }
}

/* Content into a new file at path, on disk when it returns. */
static int write_new(const char *path, struct cairn_slice content)
{
    const struct cairn_disk *disk = cairn_disk_system();
    int fd = -1;
    int os = disk->open(disk->self, path, true, true, &fd);
    if (os != 0) {
        return os;
    }
    os = disk->truncate(disk->self, fd, 0);
    if (os == 0) {
        os = disk->write(disk->self, fd, content.data, content.size, 0);
    }
    if (os == 0) {
        os = disk->sync_all(disk->self, fd);
    }
    disk->close(disk->self, fd);
    return os;
}

enum cairn_rc cairn_file_replace(const char *path, struct cairn_slice content,
                                 struct cairn_err *err)
{
    char beside[CAIRN_PATH_MAX];
    char folder[CAIRN_PATH_MAX];
    int printed = snprintf(beside, sizeof(beside), "%s.%ld.new", path, (long)getpid());
    if (printed < 0 || (size_t)printed >= sizeof(beside)) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path is too long");
    }
    folder_of(path, folder);
    int os = write_new(beside, content);
    if (os == 0 && rename(beside, path) != 0) {
        os = errno;
    }
    if (os != 0) {
        (void)unlink(beside);
        return CAIRN_FAIL_OS(err, os, "write %s", path);
    }
    const struct cairn_disk *disk = cairn_disk_system();
    os = disk->sync_folder(disk->self, folder);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "sync folder %s", folder);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_file_join(char out[CAIRN_PATH_MAX], const char *first, const char *second)
{
    size_t size = strlen(first);
    const char *between = size == 0 || first[size - 1] == '/' ? "" : "/";
    int printed = snprintf(out, CAIRN_PATH_MAX, "%s%s%s", first, between, second);
    return printed < 0 || printed >= CAIRN_PATH_MAX ? CAIRN_ETOOBIG : CAIRN_OK;
}

/* The pid that the holder wrote into the lock's file, 0 where there is none to read. */
static uint64_t read_holder(int fd)
{
    char text[PID_TEXT_MAX];
    ssize_t got = pread(fd, text, sizeof(text), 0);
    uint64_t pid = 0;
    if (got > 0) {
        struct cairn_slice line = cairn_slice_of(text, (size_t)got);
        line.size = cairn_slice_find(line, '\n');
        if (cairn_slice_to_u64(line, &pid) != CAIRN_OK) {
            return 0;
        }
    }
    return pid;
}

static enum cairn_rc write_holder(int fd, const char *path, struct cairn_err *err)
{
    char text[PID_TEXT_MAX];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    assert(size > 0 && (size_t)size < sizeof(text));
    const struct cairn_disk *disk = cairn_disk_system();
    int os = disk->truncate(disk->self, fd, 0);
    if (os == 0) {
        os = disk->write(disk->self, fd, text, (size_t)size, 0);
    }
    return os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "write %s", path);
}

/* 0, or errno. */
static int take_lock(int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    int os = EWOULDBLOCK;
    for (int i = 0; os == EWOULDBLOCK && i < LOCK_TRIES_MAX; i++) {
        if (i > 0) {
            (void)nanosleep(&pause, NULL);
        }
        os = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    }
    return os;
}

enum cairn_rc cairn_file_lock_open(const char *path, struct cairn_file_lock *ret_lock,
                                   struct cairn_err *err)
{
    const struct cairn_disk *disk = cairn_disk_system();
    int fd = -1;
    int os = disk->open(disk->self, path, true, true, &fd);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "open %s", path);
    }
    os = take_lock(fd);
    if (os != 0) {
        uint64_t pid = read_holder(fd);
        (void)close(fd);
        if (os != EWOULDBLOCK) {
            return CAIRN_FAIL_OS(err, os, "lock %s", path);
        }
        return CAIRN_FAIL(err, CAIRN_ELOCKED, "%s is held by process %llu", path,
                          (unsigned long long)pid);
    }
    enum cairn_rc rc = write_holder(fd, path, err);
    if (rc != CAIRN_OK) {
        (void)close(fd);
        return rc;
    }
    ret_lock->fd = fd;
    return CAIRN_OK;
}

void cairn_file_lock_close(struct cairn_file_lock *lock)
{
    if (lock == NULL || lock->fd < 0) {
        return;
    }
    (void)close(lock->fd);
    lock->fd = -1;
}

bool cairn_file_lock_is_held(const char *path)
{
    const struct cairn_disk *disk = cairn_disk_system();
    int fd = -1;
    if (disk->open(disk->self, path, false, false, &fd) != 0) {
        return false;
    }
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return held;
}
