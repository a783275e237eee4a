#include "projector/lmdb/compare_scratch.h"

#include <stdio.h>
#include <unistd.h>

/* Names in the data folder. */
#define NAMES_BYTES_MAX (16u * 1024u * 1024u)
/* A scratch place is PREFIX, view, process. */
#define SCRATCH_PREFIX "compare-"

/* The lock of a scratch place in the data folder: held as long as somebody compares in it. */
static enum cairn_rc lock_folder(const char *folder, struct cairn_file_lock *ret_lock,
                                 struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    return cairn_file_join(path, folder, "scratch.lock") != CAIRN_OK
               ? CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long")
               : cairn_file_lock_open(path, ret_lock, err);
}

/* Remove what comparisons left that were killed. What cannot be removed is in nobody's way. */
static void sweep(const char *data_folder)
{
    struct cairn_arena arena = {.max = NAMES_BYTES_MAX};
    const char **names = NULL;
    size_t count = 0;
    if (cairn_file_list(data_folder, &arena, &names, &count, NULL) != CAIRN_OK) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        char path[CAIRN_PATH_MAX];
        struct cairn_file_lock lock = {-1};
        if (cairn_slice_starts(cairn_slice_str(names[i]), CAIRN_SLICE_LIT(SCRATCH_PREFIX)) &&
            cairn_file_join(path, data_folder, names[i]) == CAIRN_OK &&
            lock_folder(path, &lock, NULL) == CAIRN_OK) {
            (void)cairn_file_remove_tree(path, NULL);
            cairn_file_lock_close(&lock);
        }
    }
    cairn_arena_fini(&arena);
}

enum cairn_rc cairn_compare_scratch_open(struct cairn_compare_scratch *scratch,
                                         const char *data_folder, struct cairn_slice view,
                                         struct cairn_err *err)
{
    char name[CAIRN_VIEW_NAME_BYTES_MAX + 48];
    (void)snprintf(name, sizeof name, SCRATCH_PREFIX "%.*s-%ld", CAIRN_SLICE_ARG(view),
                   (long)getpid());
    if (cairn_file_join(scratch->folder, data_folder, name) != CAIRN_OK) {
        scratch->folder[0] = 0;
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "the path of the data folder is too long");
    }
    sweep(data_folder);
    enum cairn_rc rc = cairn_file_make_folder(scratch->folder, err);
    if (rc == CAIRN_OK) {
        rc = lock_folder(scratch->folder, &scratch->lock, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_views_open_writer(scratch->folder, false, &scratch->views, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_views_tables(scratch->views, view, &scratch->tables, err);
    }
    return rc;
}

void cairn_compare_scratch_close(struct cairn_compare_scratch *scratch)
{
    cairn_views_close(scratch->views);
    if (scratch->folder[0] != 0) {
        (void)cairn_file_remove_tree(scratch->folder, NULL);
    }
    cairn_file_lock_close(&scratch->lock);
}
