/* Readers of a view that is rebuilt and rolled back under load: what they read never goes back and
 * is never of a half-built view. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/projector/marked.h"

#define READERS  2
#define SWITCHES 12
#define COMMANDS 4000 /* beside them */

/* One reader. Every event adds 1, so the sum of the row `all`, the sum over the rows of streams,
 * and the events up to the position are one number. */
struct reader {
    struct cairn_views *views;
    atomic_bool *stop;
    struct cairn_position last;
    atomic_uint looks;
    uint64_t marks[3]; /* looks at rows by each script; this and what follows until the join */
    char wrong[200];
};

static void complain(struct reader *reader, const char *what, uint64_t one, uint64_t other)
{
    (void)snprintf(reader->wrong, sizeof reader->wrong, "%s: %llu and %llu", what,
                   (unsigned long long)one, (unsigned long long)other);
}

static void check_position(struct reader *reader, const struct cairn_position *position)
{
    if (!cairn_position_reached(position, &reader->last)) {
        complain(reader, "went back", position->offsets[0], reader->last.offsets[0]);
    }
    reader->last = *position;
}

static void look_at_row(struct reader *reader, struct cairn_arena *arena)
{
    struct cairn_value row;
    struct cairn_position position;
    struct cairn_err err;
    bool known = false;
    if (cairn_view_get(reader->views, MARKED, CAIRN_SLICE_LIT("all"), arena, &row, NULL, &position,
                       &known, &err) != CAIRN_OK) {
        (void)snprintf(reader->wrong, sizeof reader->wrong, "%.150s", err.text);
        return;
    }
    uint64_t sum = (uint64_t)cairn_value_at(&row, "sum")->as.integer;
    int64_t mark = cairn_value_at(&row, "mark")->as.integer;
    if (sum != position.offsets[0] + position.offsets[1]) {
        complain(reader, "sum", sum, position.offsets[0] + position.offsets[1]);
    }
    check_position(reader, &position);
    reader->marks[mark == 1 || mark == 2 ? mark : 0]++;
}

/* A page by an index: its entries and rows are of one generation. */
static void look_at_page(struct reader *reader, struct cairn_arena *arena)
{
    const struct cairn_view_query query = {
        .view = MARKED, .order = CAIRN_SLICE_LIT("sum"), .limit = 100};
    struct cairn_view_page page;
    struct cairn_err err;
    if (cairn_view_list(reader->views, &query, arena, &page, &err) != CAIRN_OK) {
        (void)snprintf(reader->wrong, sizeof reader->wrong, "%.150s", err.text);
        return;
    }
    uint64_t counted = 0;
    for (size_t i = 0; i < page.count; i++) {
        const struct cairn_value *count = cairn_value_at(&page.rows[i].document, "count");
        counted += count == NULL ? 0 : (uint64_t)count->as.integer;
    }
    if (counted != page.position.offsets[0] + page.position.offsets[1]) {
        complain(reader, "counted", counted, page.position.offsets[0] + page.position.offsets[1]);
    }
    check_position(reader, &page.position);
}

static void *read_on(void *argument)
{
    struct reader *reader = argument;
    struct cairn_arena arena = {.max = 1u << 22};
    while (!atomic_load(reader->stop) && reader->wrong[0] == 0) {
        cairn_arena_reset(&arena);
        look_at_row(reader, &arena);
        look_at_page(reader, &arena);
        atomic_fetch_add(&reader->looks, 1);
    }
    cairn_arena_fini(&arena);
    return NULL;
}

static void write_view(struct world *world, int mark)
{
    char script[512];
    (void)snprintf(script, sizeof script,
                   "local marked = view 'marked'\n"
                   "marked.indexes = { 'sum' }\n"
                   "function marked.on.Added(view, event)\n"
                   "  local all = view:get('all') or { sum = 0, mark = %d }\n"
                   "  all.sum = all.sum + event.data.n\n"
                   "  view:put('all', all)\n"
                   "  local row = view:get(event.stream) or { count = 0 }\n"
                   "  row.count = row.count + event.data.n\n"
                   "  view:put(event.stream, row)\n"
                   "end\n",
                   mark);
    world_view(world, "marked", script);
    world_load_domain(world);
}

static pid_t fork_projector(struct world *world)
{
    pid_t child = world_fork();
    if (child == 0) {
        world_open_store(world, false, 0);
        (void)world_projector(world);
        for (;;) {
            (void)pause();
        }
    }
    return child;
}

/* Rebuild and roll back in a process of its own, in the order that the seed gives, once a byte says
 * that readers read. */
static pid_t fork_operator(struct world *world, unsigned seed, int *ret_begin)
{
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = world_fork();
    if (child == 0) {
        struct cairn_rebuild_result result;
        struct cairn_err err;
        enum cairn_rc rc =
            read(ends[0], &byte, 1) == 1 ? CAIRN_OK : CAIRN_FAIL(&err, CAIRN_EIO, "no byte");
        world_open_store(world, false, 0);
        for (int i = 0; i < SWITCHES && (rc == CAIRN_OK || rc == CAIRN_ELOCKED); i++) {
            rc = rand_r(&seed) % 2 == 0 ? marked_rebuild(world, NULL, &result, &err)
                                        : marked_rollback(world, NULL, &result, &err);
            i -= rc == CAIRN_ELOCKED; /* the projector builds the changed definition */
        }
        if (rc != CAIRN_OK) {
            (void)fprintf(stderr, "operator: %s\n", err.text);
        }
        _exit(rc == CAIRN_OK ? 0 : 1);
    }
    (void)close(ends[0]);
    *ret_begin = ends[1];
    return child;
}

/* Returns when each has looked. */
static void start_readers(struct world *world, struct cairn_views **views, atomic_bool *stop,
                          struct reader readers[READERS], pthread_t threads[READERS])
{
    struct cairn_err err;
    assert_ok(cairn_views_open(world->data, views, &err), &err);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.views = *views, .stop = stop};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (int i = 0; i < READERS; i++) {
        while (atomic_load(&readers[i].looks) == 0) {
            (void)sched_yield();
        }
    }
}

static void readers_never_go_back_and_never_see_half_a_view(void **state)
{
    struct marked_scene *scene = *state;
    struct world *world = &scene->world;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    struct cairn_views *views = NULL;
    atomic_bool stop = false;
    int status = 0;
    unsigned seed = (unsigned)cairn_clock_now_us(cairn_clock_system());
    int begin = -1;
    print_message("seed %u\n", seed);
    write_view(world, 1);
    world_open_store(world, true, 2);
    for (int i = 0; i < 40; i++) {
        world_add(world, i % 2 == 0 ? "a" : "b", 1, "x", 50);
    }
    marked_project(world, 1);
    write_view(world, 2);
    marked_project(world, 2);
    world_close_store(world);
    pid_t projector = fork_projector(world);
    pid_t keeper = fork_operator(world, seed, &begin);
    world_open_store(world, true, 0);
    start_readers(world, &views, &stop, readers, threads);
    assert_int_equal(write(begin, "x", 1), 1);
    /* So much, and no more: where a writer is faster than builds are, they would never end. */
    for (unsigned i = 0; waitpid(keeper, &status, WNOHANG) == 0; i++) {
        if (i < COMMANDS) {
            world_add(world,
                      i % 3 == 0   ? "a"
                      : i % 3 == 1 ? "b"
                                   : "c",
                      1, "x", (uint16_t)(1 + i % 7));
        } else {
            (void)sched_yield();
        }
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    world_wait(world, views, "marked");
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(readers[i].wrong, "");
        assert_int_equal(readers[i].marks[0], 0);
        assert_true(readers[i].marks[2] > 0);
    }
    cairn_views_close(views);
    world_kill(projector);
    (void)close(begin);
    struct marked marked = marked_look(world);
    assert_int_equal(marked.generation, 2 + SWITCHES);
    assert_int_equal(marked.sum, world->appended);
    marked_verify(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MARKED_TEST(readers_never_go_back_and_never_see_half_a_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
