#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"

enum {
    FOLDER_MODE = 0750,
    /* Deeper trees are not ours; the limit bounds the recursion of remove_tree. */
    TREE_DEPTH_MAX = 64
};

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
