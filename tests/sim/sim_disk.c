#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const struct cairn_disk *machine(void)
{
    return cairn_disk_system();
}

static void forget(struct cairn_sim_undo *undo)
{
    free(undo->path);
    free(undo->old);
    free(undo->new);
    *undo = (struct cairn_sim_undo){0};
}

/* What was written to path is safe now. */
static void settle(struct cairn_sim_disk *disk, const char *path)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->undo_count; i++) {
        if (strcmp(disk->undo[i].path, path) == 0) {
            forget(&disk->undo[i]);
        } else {
            disk->undo[kept] = disk->undo[i];
            kept++;
        }
    }
    disk->undo_count = kept;
}

/* Count one write or sync. Returns the errno that it fails with, or 0. */
static int strike(struct cairn_sim_disk *disk, bool sync)
{
    if (disk->dead) {
        return EIO;
    }
    if (disk->fault_in == 0 || --disk->fault_in > 0) {
        return 0;
    }
    if ((disk->fault == CAIRN_SIM_FULL && sync) || (disk->fault == CAIRN_SIM_SICK && !sync)) {
        disk->fault_in = 1; /* not its kind: the next one */
        return 0;
    }
    disk->dead = disk->fault == CAIRN_SIM_CRASH;
    return disk->fault == CAIRN_SIM_FULL ? ENOSPC : EIO;
}

/* ---- the disk's functions ---- */

static int open_file(void *self, const char *path, bool write, bool create, int *ret_fd)
{
    struct cairn_sim_disk *disk = self;
    if (disk->dead) {
        return EIO;
    }
    int os = machine()->open(machine()->self, path, write, create, ret_fd);
    if (os == 0) {
        assert(*ret_fd >= 0 && *ret_fd < CAIRN_SIM_FDS_MAX);
        disk->paths[*ret_fd] = strdup(path);
        assert(disk->paths[*ret_fd] != NULL);
    }
    return os;
}

static int read_file(void *self, int fd, void *data, size_t size, uint64_t at, size_t *ret_size)
{
    const struct cairn_sim_disk *disk = self;
    return disk->dead ? EIO : machine()->read(machine()->self, fd, data, size, at, ret_size);
}

static int write_file(void *self, int fd, const void *data, size_t size, uint64_t at)
{
    struct cairn_sim_disk *disk = self;
    bool was_dead = disk->dead;
    int os = strike(disk, false);
    if (was_dead || (os != 0 && !disk->dead)) {
        return os;
    }
    assert(disk->undo_count < CAIRN_SIM_UNDO_MAX);
    struct cairn_sim_undo undo = {.path = strdup(disk->paths[fd]),
                                  .at = at,
                                  .size = size,
                                  .old = malloc(size + 1),
                                  .new = malloc(size + 1)};
    assert(undo.path != NULL && undo.old != NULL && undo.new != NULL);
    int read_os = machine()->read(machine()->self, fd, undo.old, size, at, &undo.old_size);
    assert(read_os == 0);
    memcpy(undo.new, data, size);
    disk->undo[disk->undo_count] = undo;
    disk->undo_count++;
    int write_os = machine()->write(machine()->self, fd, data, size, at);
    assert(write_os == 0);
    return os;
}

static int sync_file(struct cairn_sim_disk *disk, int fd)
{
    int os = strike(disk, true);
    if (os == 0) {
        settle(disk, disk->paths[fd]);
    }
    return os;
}

static int sync_data(void *self, int fd)
{
    return sync_file(self, fd);
}

static int sync_all(void *self, int fd)
{
    return sync_file(self, fd);
}

static int size_of(void *self, int fd, uint64_t *ret_size)
{
    const struct cairn_sim_disk *disk = self;
    return disk->dead ? EIO : machine()->size(machine()->self, fd, ret_size);
}

/* Sizes are not forgotten: a file that is longer than the log knows reads as zeros there, which is
 * what losing the write leaves as well. */
static int truncate_file(void *self, int fd, uint64_t size)
{
    struct cairn_sim_disk *disk = self;
    if (disk->dead) {
        return EIO;
    }
    return machine()->truncate(machine()->self, fd, size);
}

static int allocate_file(void *self, int fd, uint64_t at, uint64_t size)
{
    struct cairn_sim_disk *disk = self;
    if (disk->dead) {
        return EIO;
    }
    return machine()->allocate(machine()->self, fd, at, size);
}

static void close_file(void *self, int fd)
{
    struct cairn_sim_disk *disk = self;
    free(disk->paths[fd]);
    disk->paths[fd] = NULL;
    machine()->close(machine()->self, fd);
}

static int sync_folder(void *self, const char *path)
{
    struct cairn_sim_disk *disk = self;
    (void)path;
    return strike(disk, true);
}

/* ---- the simulation's ---- */

void cairn_sim_disk_init(struct cairn_sim_disk *disk, struct cairn_sim_random *random)
{
    *disk = (struct cairn_sim_disk){.random = random};
    disk->face = (struct cairn_disk){
        .open = open_file,
        .read = read_file,
        .write = write_file,
        .sync_data = sync_data,
        .sync_all = sync_all,
        .size = size_of,
        .truncate = truncate_file,
        .allocate = allocate_file,
        .close = close_file,
        .sync_folder = sync_folder,
        .self = disk,
    };
}

void cairn_sim_disk_fini(struct cairn_sim_disk *disk)
{
    for (size_t i = 0; i < disk->undo_count; i++) {
        forget(&disk->undo[i]);
    }
    disk->undo_count = 0;
}

void cairn_sim_disk_arm(struct cairn_sim_disk *disk, enum cairn_sim_fault fault,
                        uint64_t operations)
{
    assert(operations > 0);
    disk->fault = fault;
    disk->fault_in = operations;
}

/* Make the bytes of a write be there up to `kept`, and the old ones behind. */
static void redo(const struct cairn_sim_undo *undo, size_t kept)
{
    int fd = open(undo->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return; /* the file went the way of its folder entry */
    }
    ssize_t put = pwrite(fd, undo->new, kept, (off_t)undo->at);
    assert(put == (ssize_t)kept);
    if (undo->old_size > kept) {
        put = pwrite(fd, undo->old + kept, undo->old_size - kept, (off_t)(undo->at + kept));
        assert(put == (ssize_t)(undo->old_size - kept));
    } else if (undo->old_size < undo->size) {
        char *zeros = calloc(1, undo->size);
        size_t from = kept > undo->old_size ? kept : undo->old_size;
        assert(zeros != NULL);
        put = pwrite(fd, zeros, undo->size - from, (off_t)(undo->at + from));
        assert(put == (ssize_t)(undo->size - from));
        free(zeros);
    }
    (void)close(fd);
}

void cairn_sim_disk_reboot(struct cairn_sim_disk *disk)
{
    /* Newest first, so that what an older write found stays right under a newer one's loss. */
    for (size_t i = disk->undo_count; i > 0; i--) {
        struct cairn_sim_undo *undo = &disk->undo[i - 1];
        size_t kept = 0;
        if (cairn_sim_chance(disk->random, 30)) {
            kept = undo->size;
        } else if (i == disk->undo_count && cairn_sim_chance(disk->random, 60)) {
            kept = (size_t)cairn_sim_below(disk->random, undo->size + 1);
        }
        redo(undo, kept);
        forget(undo);
    }
    disk->undo_count = 0;
    disk->fault_in = 0;
    disk->dead = false;
}
