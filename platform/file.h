/* Files: the disk as a parameter, and helpers for whole files and folders.
 *
 * The log writes through struct cairn_disk, so that a simulation can own the disk; everything else
 * uses the helpers below. Fault points: WRITE, WRITE_SHORT, SYNC, READ. */
#ifndef CAIRN_PLATFORM_FILE_H
#define CAIRN_PLATFORM_FILE_H

#include "platform/arena.h"
#include "platform/bytes.h"

/* The disk under the log. Every function reports by errno value, 0 for success; none retries. */
struct cairn_disk {
    int (*open)(void *self, const char *path, bool write, bool create, int *ret_fd);
    /* Reads up to size bytes; *ret_size < size only at the end of the file. */
    int (*read)(void *self, int fd, void *data, size_t size, uint64_t at, size_t *ret_size);
    /* All bytes, or an errno with an unknown part of them written. */
    int (*write)(void *self, int fd, const void *data, size_t size, uint64_t at);
    int (*sync_data)(void *self, int fd); /* fdatasync */
    int (*sync_all)(void *self, int fd);  /* fsync: size and metadata too */
    int (*size)(void *self, int fd, uint64_t *ret_size);
    int (*truncate)(void *self, int fd, uint64_t size);
    /* Reserve blocks; may answer EOPNOTSUPP. Content reads as zeros. */
    int (*allocate)(void *self, int fd, uint64_t at, uint64_t size);
    void (*close)(void *self, int fd);
    int (*sync_folder)(void *self, const char *path);
    void *self;
};

/* The machine's disk, with the fault points. The pointer is static. thread: any. */
const struct cairn_disk *cairn_disk_system(void);

#define CAIRN_PATH_MAX 4096

/* Create folder and its parents (mode 0750). OK when it exists. */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_make_folder(const char *path, struct cairn_err *err);
/* Whole file into out (appended). ENOENT, ETOOBIG, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_read(const char *path, struct cairn_buf *out,
                                               struct cairn_err *err);
/* A file that holds one value, such as a password: its content (appended) without its last line
 * end, which editors leave behind it. errors: EINVAL (a zero byte in it), those of cairn_file_read;
 * out is as before then. */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_read_value(const char *path, struct cairn_buf *out,
                                                     struct cairn_err *err);
/* Write beside (PATH.PID.new), fsync, rename over, fsync the folder: readers see the old file or
 * the new one. After a failure the old file stands, or, where only the folder's fsync failed, the
 * new one. One thread at a time for a path. */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_replace(const char *path, struct cairn_slice content,
                                                  struct cairn_err *err);
bool cairn_file_exists(const char *path);
bool cairn_file_is_folder(const char *path);
/* Names in a folder, sorted bytewise, "." and ".." left out, in arena. ENOENT, EIO, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_list(const char *path, struct cairn_arena *arena,
                                               const char ***ret_names, size_t *ret_count,
                                               struct cairn_err *err);
/* Delete a folder with everything in it; OK when it is not there. Does not follow symbolic links.
 */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_remove_tree(const char *path, struct cairn_err *err);
/* "a/b/c" from parts (NULL-ended list) into out[CAIRN_PATH_MAX]. ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_file_join(char out[CAIRN_PATH_MAX], const char *first,
                                               const char *second);

/* An exclusive lock on path (made when missing), held until close or the end of the process. Holds
 * the owner's pid as text for the message. ELOCKED names the pid that has it. */
struct cairn_file_lock {
    int fd; /* -1: not held */
};
CAIRN_MUST_CHECK enum cairn_rc
cairn_file_lock_open(const char *path, struct cairn_file_lock *ret_lock, struct cairn_err *err);
void cairn_file_lock_close(struct cairn_file_lock *lock);
/* Has anybody the lock at this moment, this process included? False too where that cannot be told.
 */
bool cairn_file_lock_is_held(const char *path);

#endif
