#include "platform/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/fault.h"

enum {
    FILE_MODE = 0640,
    FOLDER_MODE = 0750,
    READ_CHUNK = 64 * 1024,
    PID_TEXT_MAX = 24,
    /* Deeper trees are not ours; the limit bounds the recursion of remove_tree. */
    TREE_DEPTH_MAX = 64
};

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

bool cairn_file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

bool cairn_file_is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static enum cairn_rc make_one(const char *path, struct cairn_err *err)
{
    if (mkdir(path, FOLDER_MODE) == 0) {
        return CAIRN_OK;
    }
    int os = errno;
    if (cairn_file_is_folder(path)) {
        return CAIRN_OK;
    }
    return CAIRN_FAIL_OS(err, os, "make folder %s", path);
}

enum cairn_rc cairn_file_make_folder(const char *path, struct cairn_err *err)
{
    char prefix[CAIRN_PATH_MAX];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(prefix)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a folder's path has 1 to %d bytes, not %zu",
                          CAIRN_PATH_MAX - 1, size);
    }
    memcpy(prefix, path, size + 1);
    for (size_t i = 1; i < size; i++) {
        if (prefix[i] != '/') {
            continue;
        }
        prefix[i] = '\0';
        enum cairn_rc rc = make_one(prefix, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        prefix[i] = '/';
    }
    return make_one(path, err);
}

/* Read fd to its end; the size need not be known before (pipes and /proc have none). */
static enum cairn_rc read_to_end(int fd, const char *path, struct cairn_buf *out,
                                 struct cairn_err *err)
{
    const struct cairn_disk *disk = cairn_disk_system();
    uint64_t at = 0;
    for (;;) {
        /* One byte more than max is asked for, so that a file that just fits is told from one
         * that does not. */
        size_t left = out->max - out->size;
        size_t wanted = left < READ_CHUNK ? left : READ_CHUNK;
        char extra;
        enum cairn_rc rc = cairn_buf_reserve(out, wanted);
        if (rc != CAIRN_OK) {
            return CAIRN_FAIL(err, rc, "read %s", path);
        }
        size_t got = 0;
        int os = disk->read(disk->self, fd, wanted == 0 ? &extra : out->data + out->size,
                            wanted == 0 ? 1 : wanted, at, &got);
        if (os != 0) {
            return CAIRN_FAIL_OS(err, os, "read %s", path);
        }
        if (got == 0) {
            return CAIRN_OK;
        }
        if (wanted == 0) {
            return CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s is larger than %zu bytes", path, out->max);
        }
        out->size += got;
        at += got;
    }
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

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int by_name(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

struct name_node {
    struct name_node *next;
    const char *name;
};

/* The folder's names as a list in arena, in the order of the system. */
static enum cairn_rc collect(DIR *folder, const char *path, struct cairn_arena *arena,
                             struct name_node **ret_first, size_t *ret_count, struct cairn_err *err)
{
    struct name_node *first = NULL;
    size_t count = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL && errno != 0) {
            return CAIRN_FAIL_OS(err, errno, "list %s", path);
        }
        if (entry == NULL) {
            break;
        }
        if (is_dots(entry->d_name)) {
            continue;
        }
        struct name_node *node = cairn_arena_alloc(arena, sizeof(*node));
        struct cairn_slice name = CAIRN_SLICE_NONE;
        if (node == NULL ||
            cairn_arena_copy(arena, cairn_slice_str(entry->d_name), &name) != CAIRN_OK) {
            return CAIRN_FAIL(err, CAIRN_ENOMEM, "list %s", path);
        }
        node->name = name.data;
        node->next = first;
        first = node;
        count++;
    }
    *ret_first = first;
    *ret_count = count;
    return CAIRN_OK;
}

enum cairn_rc cairn_file_list(const char *path, struct cairn_arena *arena, const char ***ret_names,
                              size_t *ret_count, struct cairn_err *err)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return CAIRN_FAIL_OS(err, errno, "list %s", path);
    }
    struct name_node *node = NULL;
    size_t count = 0;
    enum cairn_rc rc = collect(folder, path, arena, &node, &count, err);
    (void)closedir(folder);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const char **names = cairn_arena_zalloc(arena, count + 1, sizeof(*names));
    if (names == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list %s", path);
    }
    for (size_t i = 0; node != NULL; node = node->next) {
        names[i++] = node->name;
    }
    qsort(names, count, sizeof(*names), by_name);
    *ret_names = names;
    *ret_count = count;
    return CAIRN_OK;
}

static int remove_content(int parent, const char *name, int depth);

/* Delete one entry of the folder open as parent, whatever it is. */
static int remove_entry(int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return errno;
    }
    int os = remove_content(parent, name, depth);
    if (os != 0) {
        return os;
    }
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

static int remove_content(int parent, const char *name, int depth)
{
    if (depth >= TREE_DEPTH_MAX) {
        return ELOOP;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : errno;
    }
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        int os = errno;
        (void)close(fd);
        return os;
    }
    int os = 0;
    while (os == 0) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            os = errno;
            break;
        }
        if (!is_dots(entry->d_name)) {
            os = remove_entry(fd, entry->d_name, depth + 1);
        }
    }
    (void)closedir(folder);
    return os;
}

enum cairn_rc cairn_file_remove_tree(const char *path, struct cairn_err *err)
{
    assert(path[0] != '\0');
    int os = remove_entry(AT_FDCWD, path, 0);
    return os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "remove %s", path);
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
    int os = ftruncate(fd, 0) == 0 ? write_all(fd, text, (size_t)size, 0) : errno;
    return os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "write %s", path);
}

enum cairn_rc cairn_file_lock_open(const char *path, struct cairn_file_lock *ret_lock,
                                   struct cairn_err *err)
{
    int fd = -1;
    int os = disk_open(NULL, path, true, true, &fd);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "open %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        os = errno;
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
