/* A small world for the projector's tests: a domain folder, a log with a writer, and helpers.
 *
 * The domain has one aggregate, `box`, whose event `Added` carries {"n": integer, "to": string},
 * and the views that a test writes. Everything lies in a fresh folder that world_end removes. */
#ifndef CAIRN_TESTS_UNIT_PROJECTOR_WORLD_H
#define CAIRN_TESTS_UNIT_PROJECTOR_WORLD_H

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/file.h"
#include "projector/projector.h"
#include "schemas/msgpack.h"
#include "tests/support/deadline.h"
#include "tests/support/folder.h"

#include "tests/support/cm.h"

struct world {
    char root[64];
    char domain_folder[128];
    char data[128];
    struct cairn_domain *domain;
    struct cairn_store *store;
    struct cairn_uuid_source ids;
    uint64_t appended; /* events so far */
};

/* Write views/NAME.lua. */
static inline void world_view(struct world *world, const char *name, const char *script)
{
    char file[128];
    (void)snprintf(file, sizeof file, "views/%s.lua", name);
    test_folder_write(world->domain_folder, file, script);
}

static inline void world_load_domain(struct world *world)
{
    struct cairn_err err;
    cairn_domain_free(world->domain);
    world->domain = NULL;
    assert_ok(cairn_domain_load(world->domain_folder, &world->domain, &err), &err);
}

static inline void world_open_store(struct world *world, bool writer, uint16_t partitions)
{
    const struct cairn_store_options options = {.data_folder = world->data,
                                                .log = "files",
                                                .writer = writer,
                                                .partitions = partitions,
                                                .domain = CAIRN_SLICE_LIT("test"),
                                                .segment_bytes = 1u << 20,
                                                .clock = cairn_clock_system()};
    struct cairn_err err;
    assert_ok(cairn_store_open(&options, &world->store, &err), &err);
}

static inline void world_close_store(struct world *world)
{
    cairn_store_close(world->store);
    world->store = NULL;
}

/* A folder with the domain but for views; write them, then world_begin. */
static inline void world_make(struct world *world)
{
    static const char *const folders[] = {"schemas/events", "schemas/commands", "views"};
    char path[256];
    struct cairn_err err;
    *world = (struct world){.appended = 0};
    test_folder_make(world->root, sizeof world->root, "projector");
    (void)snprintf(world->domain_folder, sizeof world->domain_folder, "%s/domain", world->root);
    (void)snprintf(world->data, sizeof world->data, "%s/data", world->root);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", world->domain_folder, folders[i]);
        assert_ok(cairn_file_make_folder(path, &err), &err);
    }
    assert_ok(cairn_file_make_folder(world->data, &err), &err);
    test_folder_write(world->domain_folder, "domain.json",
                      "{\"name\":\"test\",\"aggregates\":{\"box\":{}}}");
    test_folder_write(world->domain_folder, "box.lua",
                      "local box = aggregate 'box'\n"
                      "function box.decide.Add(state, cmd) return event('Added', cmd) end\n"
                      "function box.evolve.Added(state, data) end\n");
    test_folder_write(world->domain_folder, "schemas/events/Added.json", "{\"type\":\"object\"}");
    test_folder_write(world->domain_folder, "schemas/commands/Add.json", "{\"type\":\"object\"}");
}

static inline void world_begin(struct world *world, uint16_t partitions)
{
    world_load_domain(world);
    world_open_store(world, true, partitions);
}

static inline void world_end(struct world *world)
{
    cairn_store_close(world->store);
    cairn_domain_free(world->domain);
    test_folder_remove(world->root);
}

static inline struct cairn_projector_options world_options(const struct world *world)
{
    return (struct cairn_projector_options){.domain = world->domain,
                                            .store = world->store,
                                            .data_folder = world->data,
                                            .clock = cairn_clock_system()};
}

/* A child that does not outlive this process, even where a test fails and nobody kills it. LMDB and
 * the log forbid use across fork, so neither may be open. */
static inline pid_t world_fork(void)
{
    pid_t parent = getpid();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
    }
    return child;
}

static inline struct cairn_projector *world_projector(const struct world *world)
{
    const struct cairn_projector_options options = world_options(world);
    struct cairn_projector *projector = NULL;
    struct cairn_err err;
    assert_ok(cairn_projector_start(&options, &projector, &err), &err);
    return projector;
}

/* In a process of its own: keep the views until killed. */
static inline void world_run_projector(struct world *world, int started)
{
    world_open_store(world, false, 0);
    (void)world_projector(world);
    if (write(started, "x", 1) != 1) {
        return;
    }
    for (;;) {
        (void)pause();
    }
}

/* A projector of another process follows; this process writes the log. LMDB and the log forbid use
 * across fork, so the child is forked before anything is open. Returns when the child's projector
 * has started. */
static inline pid_t world_fork_projector(struct world *world)
{
    int ends[2];
    char byte = 0;
    assert_null(world->store);
    assert_int_equal(pipe(ends), 0);
    pid_t child = world_fork();
    if (child == 0) {
        world_run_projector(world, ends[1]);
        _exit(1);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    return child;
}

/* From now on a projector of another process follows, and this one has the log open to write. */
static inline pid_t world_hand_over(struct world *world)
{
    world_close_store(world);
    pid_t child = world_fork_projector(world);
    world_open_store(world, true, 0);
    return child;
}

/* As a power cut would. */
static inline void world_kill(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* An Added event with n and to, everything in arena. */
static inline struct cairn_event world_event(struct world *world, int64_t n, const char *to,
                                             struct cairn_arena *arena)
{
    struct cairn_buf data = {.max = 4096};
    struct cairn_slice copy;
    const struct cairn_member members[] = {
        {cairn_value_string(CAIRN_SLICE_LIT("n")), cairn_value_int(n)},
        {cairn_value_string(CAIRN_SLICE_LIT("to")), cairn_value_string(cairn_slice_str(to))}};
    const struct cairn_value value = {.type = CAIRN_MAP, .count = 2, .as.members = members};
    int64_t now_us = cairn_clock_now_us(cairn_clock_system());
    assert_int_equal(cairn_msgpack_write(&value, &data), CAIRN_OK);
    assert_int_equal(cairn_arena_copy(arena, cairn_buf_slice(&data), &copy), CAIRN_OK);
    cairn_buf_fini(&data);
    return (struct cairn_event){.id = cairn_uuid_next(&world->ids, now_us, cairn_random_system()),
                                .type = CAIRN_SLICE_LIT("Added"),
                                .time_us = now_us,
                                .schema_version = 1,
                                .data = copy};
}

/* One command of count Added events, each with n and to, in the stream box-ID. */
static inline void world_add(struct world *world, const char *id, int64_t n, const char *to,
                             uint16_t count)
{
    struct cairn_err err;
    struct cairn_arena arena = {.max = 1u << 22};
    char stream[64];
    (void)snprintf(stream, sizeof stream, "box-%s", id);
    struct cairn_event *events = cairn_arena_zalloc(&arena, count, sizeof *events);
    assert_non_null(events);
    for (uint16_t i = 0; i < count; i++) {
        events[i] = world_event(world, n, to, &arena);
    }
    struct cairn_append append = {.stream = cairn_slice_str(stream),
                                  .expected = CAIRN_EXPECT_ANY,
                                  .events = events,
                                  .count = count};
    uint16_t partition = cairn_store_partition_of(world->store, append.stream);
    assert_ok(cairn_store_append(world->store, partition, &append, 1, &err), &err);
    assert_int_equal(append.rc, CAIRN_OK);
    world->appended += count;
    cairn_arena_fini(&arena);
}

/* One event with n = 1 in each of the streams box-s0, box-s1, ..., and behind each of them one that
 * goes to "x" in box-good: in groups, so that there is a sync for a thousand. Of a log of one
 * partition. */
static inline void world_add_streams(struct world *world, unsigned count, const char *to)
{
    enum { GROUP = 1000 };
    struct cairn_err err;
    assert_int_equal(cairn_store_partitions(world->store), 1);
    for (unsigned from = 0; from < count; from += GROUP) {
        struct cairn_arena arena = {.max = 1u << 24};
        unsigned streams = count - from < GROUP ? count - from : GROUP;
        struct cairn_append *appends = cairn_arena_zalloc(&arena, 2 * GROUP, sizeof *appends);
        struct cairn_event *events = cairn_arena_zalloc(&arena, 2 * GROUP, sizeof *events);
        assert_non_null(appends);
        assert_non_null(events);
        for (unsigned i = 0; i < 2 * streams; i++) {
            const char *stream = cairn_arena_printf(&arena, "box-s%u", from + i / 2);
            assert_non_null(stream);
            events[i] = world_event(world, 1, i % 2 == 0 ? to : "x", &arena);
            appends[i] = (struct cairn_append){.stream = i % 2 == 0 ? cairn_slice_str(stream)
                                                                    : CAIRN_SLICE_LIT("box-good"),
                                               .expected = CAIRN_EXPECT_ANY,
                                               .events = &events[i],
                                               .count = 1};
        }
        assert_ok(cairn_store_append(world->store, 0, appends, 2 * streams, &err), &err);
        world->appended += 2 * streams;
        cairn_arena_fini(&arena);
    }
}

static inline struct cairn_position world_log_end(const struct world *world)
{
    struct cairn_position end;
    struct cairn_err err;
    assert_ok(cairn_store_end(world->store, &end, &err), &err);
    return end;
}

/* The view's state, the strings in arena. */
static inline struct cairn_view_status world_status(struct cairn_views *views, const char *view,
                                                    struct cairn_arena *arena)
{
    struct cairn_view_status status;
    struct cairn_err err;
    assert_ok(cairn_view_status(views, cairn_slice_str(view), arena, &status, &err), &err);
    return status;
}

/* Wait until the view holds the whole log. One that stops does not get there. */
static inline void world_wait(const struct world *world, struct cairn_views *views,
                              const char *view)
{
    const struct deadline deadline = deadline_begin();
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_position end = world_log_end(world);
    struct cairn_position held;
    struct cairn_err err;
    bool reached = false;
    bool stopped = false;
    while (!reached && !stopped && !deadline_passed(&deadline)) {
        assert_ok(cairn_view_wait(views, cairn_slice_str(view), &end, 100, &held, &err), &err);
        reached = cairn_position_reached(&held, &end);
        stopped = world_status(views, view, &arena).state == CAIRN_VIEW_STOPPED;
        cairn_arena_reset(&arena);
    }
    cairn_arena_fini(&arena);
    if (!reached) {
        fail_msg("view %s did not reach the end of the log%s", view, stopped ? ": stopped" : "");
    }
}

/* Wait for the next commit of the view store, at most 50 ms. */
static inline void world_wait_commit(struct cairn_views *views, const char *view)
{
    struct cairn_position never;
    struct cairn_position held;
    struct cairn_err err;
    memset(&never, 0xFF, sizeof never);
    assert_ok(cairn_view_wait(views, cairn_slice_str(view), &never, 50, &held, &err), &err);
}

/* Wait until the view is in a state, in that generation or a later one, with nothing being built.
 */
static inline struct cairn_view_status world_wait_state(struct cairn_views *views, const char *view,
                                                        enum cairn_view_state state,
                                                        uint64_t generation,
                                                        struct cairn_arena *arena)
{
    const struct deadline deadline = deadline_begin();
    struct cairn_view_status status = {.state = CAIRN_VIEW_BUILDING};
    while (!deadline_passed(&deadline)) {
        cairn_arena_reset(arena);
        status = world_status(views, view, arena);
        if (status.state == state && status.generation >= generation && !status.rebuilding) {
            return status;
        }
        world_wait_commit(views, view);
    }
    fail_msg("view %s is in state %d, generation %llu", view, (int)status.state,
             (unsigned long long)status.generation);
    return status;
}

/* An integer member of a row; -1 when there is no such row. */
static inline int64_t world_number(struct cairn_views *views, const char *view, const char *key,
                                   const char *member)
{
    struct cairn_arena arena = {.max = 1u << 22};
    struct cairn_value row;
    struct cairn_position position;
    struct cairn_err err;
    bool known = false;
    int64_t number = -1;
    enum cairn_rc rc = cairn_view_get(views, cairn_slice_str(view), cairn_slice_str(key), &arena,
                                      &row, &position, &known, &err);
    assert_true(known);
    if (rc == CAIRN_OK) {
        const struct cairn_value *value = cairn_value_at(&row, member);
        assert_non_null(value);
        assert_int_equal(value->type, CAIRN_INT);
        number = value->as.integer;
    } else {
        assert_int_equal(rc, CAIRN_ENOENT);
    }
    cairn_arena_fini(&arena);
    return number;
}

/* Sums n and counts, by `to`. */
static const char world_sums[] = "local sums = view 'sums'\n"
                                 "sums.indexes = { 'sum', 'count' }\n"
                                 "function sums.on.Added(view, event)\n"
                                 "  local row = view:get(event.data.to) or { sum = 0, count = 0 }\n"
                                 "  row.sum = row.sum + event.data.n\n"
                                 "  row.count = row.count + 1\n"
                                 "  view:put(event.data.to, row)\n"
                                 "end\n";

#endif
