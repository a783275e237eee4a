/* A disk that forgets: the machine's own, with every write that was not synced kept as an undo
 * record.
 *
 * It crashes at a chosen operation: from then on everything fails, and cairn_sim_disk_reboot leaves
 * on the real disk what a power cut might have left: each write that was not synced is there, gone,
 * or, if it was the last, torn in the middle. thread: owner. */
#ifndef CAIRN_TESTS_SIM_SIM_DISK_H
#define CAIRN_TESTS_SIM_SIM_DISK_H

#include "platform/file.h"
#include "tests/sim/sim_random.h"

#define CAIRN_SIM_UNDO_MAX 4096
#define CAIRN_SIM_FDS_MAX  256

/* A write that may be lost. */
struct cairn_sim_undo {
    char *path; /* owned */
    uint64_t at;
    size_t size;     /* bytes written */
    size_t old_size; /* bytes that were there before, <= size */
    char *old;       /* owned */
    char *new;       /* owned */
};

enum cairn_sim_fault {
    CAIRN_SIM_CRASH, /* everything fails from here on */
    CAIRN_SIM_FULL,  /* this write fails with ENOSPC and nothing of it is there */
    CAIRN_SIM_SICK   /* this sync fails with EIO, once */
};

struct cairn_sim_disk {
    struct cairn_disk face; /* give this to the store */
    struct cairn_sim_random *random;
    char *paths[CAIRN_SIM_FDS_MAX]; /* of open files, by number */
    struct cairn_sim_undo undo[CAIRN_SIM_UNDO_MAX];
    size_t undo_count;
    enum cairn_sim_fault fault;
    uint64_t fault_in; /* operations until it strikes; 0: none is armed */
    bool dead;         /* crashed */
};

void cairn_sim_disk_init(struct cairn_sim_disk *disk, struct cairn_sim_random *random);
void cairn_sim_disk_fini(struct cairn_sim_disk *disk);
/* Strike at the `operations`-th write or sync from now, from 1. */
void cairn_sim_disk_arm(struct cairn_sim_disk *disk, enum cairn_sim_fault fault,
                        uint64_t operations);
/* Leave on the real disk what a power cut would, and work again. Every file must be closed. */
void cairn_sim_disk_reboot(struct cairn_sim_disk *disk);

#endif
