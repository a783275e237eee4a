/* A view that parks, for the tests of parking: a world with the view `picky`, a projector and what
 * an operator calls. */
#ifndef CAIRN_TESTS_UNIT_PROJECTOR_PICKY_H
#define CAIRN_TESTS_UNIT_PROJECTOR_PICKY_H

#include "projector/lmdb/views_int.h"
#include "projector/parked.h"
#include "projector/replay.h"
#include "tests/unit/projector/world.h"

/* Remembers the order of a stream's numbers. Puts rows before it fails, so that whatever is left of
 * a command that failed would be seen. */
#define PICKY_BODY                                                                                 \
    "local picky = view 'picky'\n"                                                                 \
    "picky.indexes = { 'n' }\n"                                                                    \
    "function picky.on.Added(view, event)\n"                                                       \
    "  local to = event.data.to\n"                                                                 \
    "  local row = view:get(event.stream) or { n = 0, order = '' }\n"                              \
    "  row.n = row.n + 1\n"                                                                        \
    "  row.order = row.order .. event.data.n .. ','\n"                                             \
    "  view:put(event.stream, row)\n"                                                              \
    "  local all = view:get('all') or { n = 0 }\n"                                                 \
    "  all.n = all.n + event.data.n\n"                                                             \
    "  view:put('all', all)\n"                                                                     \
    "  if to == 'ready' then view:put('ready', { n = 1 }) end\n"                                   \
    "  if to == 'needy' and not view:get('ready') then error('not ready') end\n"                   \
    "  if to == 'even' and event.version % 2 == 0 then error('even') end\n"                        \
    "  if to == 'bad' then\n"                                                                      \
    "    view:delete('all')\n"                                                                     \
    "    view:put('trace-' .. event.stream, { n = 1 })\n"                                          \
    "    error('bad')\n"                                                                           \
    "  end\n"                                                                                      \
    "end\n"
static const char picky_parks[] = PICKY_BODY "picky.on_error = 'park'\n";
static const char picky_stops[] = PICKY_BODY "picky.on_error = 'stop'\n";

struct scene {
    struct world world;
    struct cairn_projector *projector; /* NULL: none runs here */
    struct cairn_views *views;         /* the projector's, or opened beside one */
    pid_t child;                       /* has the projector then; 0: there is none */
    struct cairn_arena arena;
    struct cairn_err err;      /* of the last call of an operator, and ... */
    uint64_t events;           /* ... what it cared for */
    struct cairn_parked *rows; /* what was listed last, in arena */
};

static inline void picky_start(struct scene *scene)
{
    scene->projector = world_projector(&scene->world);
    scene->views = cairn_projector_views(scene->projector);
}

/* Look at the views of a projector that runs elsewhere. */
static inline void picky_open_views(struct scene *scene)
{
    assert_null(scene->views);
    assert_ok(cairn_views_open_writer(scene->world.data, true, &scene->views, &scene->err),
              &scene->err);
}

/* Neither follows nor looks any more. */
static inline void picky_stop(struct scene *scene)
{
    if (scene->projector == NULL) {
        cairn_views_close(scene->views);
    }
    cairn_projector_stop(scene->projector);
    scene->projector = NULL;
    scene->views = NULL;
}

static inline void picky_kill(struct scene *scene)
{
    world_kill(scene->child);
    scene->child = 0;
}

/* For cmocka: *state is a scene with a world that has not begun. */
static inline int picky_setup(void **state)
{
    struct scene *scene = test_calloc(1, sizeof *scene);
    scene->arena.max = 1u << 24;
    world_make(&scene->world);
    *state = scene;
    return 0;
}

static inline int picky_teardown(void **state)
{
    struct scene *scene = *state;
    if (scene->child > 0) {
        picky_kill(scene);
    }
    picky_stop(scene);
    cairn_arena_fini(&scene->arena);
    world_end(&scene->world);
    test_free(scene);
    return 0;
}

#define PICKY_TEST(name) cmocka_unit_test_setup_teardown(name, picky_setup, picky_teardown)

/* A log with nothing in it, and a projector that follows. */
static inline void picky_begin(struct scene *scene, const char *script, uint16_t partitions)
{
    world_view(&scene->world, "picky", script);
    world_begin(&scene->world, partitions);
    picky_start(scene);
}

/* The same with the projector in another process. */
static inline void picky_begin_forked(struct scene *scene)
{
    world_view(&scene->world, "picky", picky_parks);
    world_begin(&scene->world, 2);
    scene->child = world_hand_over(&scene->world);
}

static inline void picky_add(struct scene *scene, const char *id, int64_t n, const char *to)
{
    world_add(&scene->world, id, n, to, 1);
}

static inline void picky_catch_up(struct scene *scene)
{
    world_wait(&scene->world, scene->views, "picky");
}

static inline int64_t picky_number(struct scene *scene, const char *key)
{
    return world_number(scene->views, "picky", key, "n");
}

/* The numbers of a stream in the order in which they were applied, in the scene's arena. */
static const char *picky_order(struct scene *scene, const char *stream)
{
    struct cairn_value row;
    struct cairn_position position;
    struct cairn_err err;
    bool known = false;
    enum cairn_rc rc =
        cairn_view_get(scene->views, CAIRN_SLICE_LIT("picky"), cairn_slice_str(stream),
                       &scene->arena, &row, NULL, &position, &known, &err);
    if (rc == CAIRN_ENOENT) {
        return "";
    }
    assert_ok(rc, &err);
    const char *text = cairn_arena_printf(&scene->arena, "%.*s",
                                          CAIRN_SLICE_ARG(cairn_value_get_string(&row, "order")));
    assert_non_null(text);
    return text;
}

/* Beside the projector of this process, where there is one. */
static inline struct cairn_projector_options picky_options(const struct scene *scene)
{
    struct cairn_projector_options options = world_options(&scene->world);
    options.views = scene->views;
    return options;
}

static inline bool picky_contains(struct cairn_slice text, const char *part)
{
    return text.data != NULL && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

/* Returns how many rows there are. */
static inline size_t picky_list(struct scene *scene)
{
    const struct cairn_projector_options options = picky_options(scene);
    size_t count = 0;
    assert_ok(cairn_view_parked(&options, CAIRN_SLICE_LIT("picky"), &scene->arena, &scene->rows,
                                &count, &scene->err),
              &scene->err);
    return count;
}

static inline enum cairn_rc picky_retry(struct scene *scene, const char *stream)
{
    const struct cairn_projector_options options = picky_options(scene);
    return cairn_view_parked_retry(&options, CAIRN_SLICE_LIT("picky"), cairn_slice_str(stream),
                                   &scene->events, &scene->err);
}

static inline enum cairn_rc picky_drop(struct scene *scene, const char *stream)
{
    const struct cairn_projector_options options = picky_options(scene);
    return cairn_view_parked_drop(&options, CAIRN_SLICE_LIT("picky"), cairn_slice_str(stream),
                                  &scene->events, &scene->err);
}

static inline uint64_t picky_parked(struct scene *scene)
{
    return world_status(scene->views, "picky", &scene->arena).parked;
}

/* The live view, held against a replay of the log by its definition, beside whoever follows. */
static inline uint64_t picky_differences(struct scene *scene)
{
    const struct cairn_projector_options options = world_options(&scene->world);
    const struct cairn_compare_request request = {.view = CAIRN_SLICE_LIT("picky"), .stored = true};
    struct cairn_compare_report report;
    struct cairn_err err;
    assert_ok(cairn_view_compare(&options, &request, NULL, &report, &err), &err);
    assert_true(report.level);
    return report.differences;
}

#endif
