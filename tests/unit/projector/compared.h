/* What a comparison told, for the tests of comparisons. */
#ifndef CAIRN_TESTS_UNIT_PROJECTOR_COMPARED_H
#define CAIRN_TESTS_UNIT_PROJECTOR_COMPARED_H

#include <dirent.h>

#include "projector/lmdb/views_int.h"
#include "projector/replay.h"
#include "tests/unit/projector/world.h"

#define COMPARED_MAX 8

struct compared_row {
    enum cairn_difference kind;
    char key[64];
    char live[128];
    char replayed[128];
};

struct compared {
    struct cairn_compare_report report;
    struct cairn_err err;
    size_t count; /* differences told */
    struct compared_row told[COMPARED_MAX];
    size_t row_count; /* replayed rows told */
    struct compared_row rows[COMPARED_MAX];
    int patience; /* calls of cancelled that pass; below 0: all */
};

static inline void compared_text(char *out, size_t size, struct cairn_slice text)
{
    (void)snprintf(out, size, "%.*s", CAIRN_SLICE_ARG(text));
}

static inline void compared_note(void *self, const struct cairn_row_difference *difference)
{
    struct compared *compared = self;
    assert_true(compared->count < COMPARED_MAX);
    struct compared_row *row = &compared->told[compared->count++];
    row->kind = difference->kind;
    assert_int_equal(difference->table.size, 0);
    compared_text(row->key, sizeof row->key, difference->key);
    compared_text(row->live, sizeof row->live, difference->live);
    compared_text(row->replayed, sizeof row->replayed, difference->replayed);
}

static inline void compared_row(void *self, struct cairn_slice table, struct cairn_slice key,
                                struct cairn_slice json)
{
    struct compared *compared = self;
    assert_true(compared->row_count < COMPARED_MAX);
    struct compared_row *row = &compared->rows[compared->row_count++];
    assert_int_equal(table.size, 0);
    compared_text(row->key, sizeof row->key, key);
    compared_text(row->replayed, sizeof row->replayed, json);
}

static inline bool compared_cancelled(void *self)
{
    struct compared *compared = self;
    return compared->patience == 0 || (compared->patience > 0 && compared->patience-- == 0);
}

/* Compare; patience must be set, everything else is filled in. */
static inline enum cairn_rc compared_run(const struct world *world,
                                         const struct cairn_compare_request *request,
                                         struct compared *compared)
{
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_compare_hooks hooks = {.different = compared_note,
                                              .row = compared_row,
                                              .cancelled = compared_cancelled,
                                              .self = compared};
    *compared = (struct compared){.patience = compared->patience};
    return cairn_view_compare(&options, request, &hooks, &compared->report, &compared->err);
}

/* Is a scratch place left in the data folder? */
static inline bool compared_left_something(const struct world *world)
{
    bool left = false;
    DIR *folder = opendir(world->data);
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        left = left || strncmp(entry->d_name, "compare-", 8) == 0;
    }
    (void)closedir(folder);
    return left;
}

static inline void compared_project(const struct world *world, const char *view)
{
    struct cairn_projector *projector = world_projector(world);
    world_wait(world, cairn_projector_views(projector), view);
    cairn_projector_stop(projector);
}

#endif
