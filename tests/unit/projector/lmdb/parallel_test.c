#include "projector/lmdb/parallel.h"

#include "platform/fault.h"
#include "tests/unit/projector/marked.h"

#define PARTITIONS 4
#define STREAMS    37

/* Keyed by streams, with indexes, rows that go and come; never meets. */
static const char keyed[] =
    "local v = view 'marked'\n"
    "v.indexes = { 'sum', 'to' }\n"
    "function v.on.Added(view, event)\n"
    "  local row = view:get(event.stream) or { sum = 0, versions = 0 }\n"
    "  assert(row.versions == 0 or event.version > row.versions, 'order')\n"
    "  if event.data.n % 11 == 3 then view:delete(event.stream) return end\n"
    "  row.sum = row.sum + event.data.n\n"
    "  row.versions = event.version\n"
    "  row.to = event.data.to\n"
    "  view:put(event.stream, row)\n"
    "end\n";
/* Everything into one row. */
static const char totals[] = "local v = view 'marked'\n"
                             "v.indexes = { 'sum' }\n"
                             "function v.on.Added(view, event)\n"
                             "  local row = view:get('all') or { sum = 0, count = 0 }\n"
                             "  row.sum = row.sum + event.data.n\n"
                             "  row.count = row.count + 1\n"
                             "  row.last = event.stream\n"
                             "  view:put('all', row)\n"
                             "end\n";
/* Streams that meet now and then, and read rows of others; in what order partitions come makes no
 * difference to the rows. */
static const char sometimes[] =
    "local v = view 'marked'\n"
    "v.indexes = { 'sum' }\n"
    "function v.on.Added(view, event)\n"
    "  local key = event.data.n % 5 == 0 and event.data.to or event.stream\n"
    "  local other = view:get(event.data.to)\n"
    "  local row = view:get(key) or { sum = 0, seen = 0 }\n"
    "  row.sum = row.sum + event.data.n\n"
    "  row.seen = row.seen + (other and other.sum < 0 and 2 or 1)\n"
    "  view:put(key, row)\n"
    "end\n";

static void fill(struct world *world, unsigned *seed, int commands)
{
    for (int i = 0; i < commands; i++) {
        char id[16];
        char to[16];
        (void)snprintf(id, sizeof id, "s%d", rand_r(seed) % STREAMS);
        (void)snprintf(to, sizeof to, "t%d", rand_r(seed) % 200);
        world_add(world, id, rand_r(seed) % 100, to, (uint16_t)(1 + rand_r(seed) % 20));
    }
}

static unsigned begin_world(struct world *world, const char *script)
{
    unsigned seed = (unsigned)cairn_clock_now_us(cairn_clock_system());
    print_message("seed %u\n", seed);
    world_make(world);
    world_view(world, "marked", script);
    world_begin(world, PARTITIONS);
    return seed;
}

static enum cairn_rc rebuild(const struct world *world, unsigned workers, uint64_t throttle,
                             struct cairn_rebuild_result *result, struct cairn_err *err)
{
    const struct cairn_projector_options options = world_options(world);
    const struct cairn_rebuild_request request = {
        .view = MARKED, .workers = workers, .throttle = throttle};
    return cairn_view_rebuild(&options, &request, NULL, result, err);
}

/* One worker first; then several, whose rows must be the same, to the byte, and whose index entries
 * must be those of a replay. */
static void expect_same(const char *script)
{
    static const unsigned counts[] = {2, 4, 3, 16};
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    unsigned seed = begin_world(&world, script);
    fill(&world, &seed, 3000);
    assert_ok(rebuild(&world, 1, 0, &result, &err), &err);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        /* Batches of different sizes. */
        uint64_t throttle = i % 2 == 0 ? 0 : 40000u + 10000u * (uint64_t)(rand_r(&seed) % 5);
        assert_ok(rebuild(&world, counts[i], throttle, &result, &err), &err);
        assert_true(result.compared);
        assert_int_equal(result.events, world.appended);
        assert_int_equal(result.before.rows, result.after.rows);
        assert_int_equal(result.before.sum, result.after.sum);
        marked_verify(&world);
    }
    world_end(&world);
}

static void a_view_keyed_by_streams_is_the_same(void **state)
{
    (void)state;
    expect_same(keyed);
}

static void a_view_of_totals_is_the_same(void **state)
{
    (void)state;
    expect_same(totals);
}

/* One batch, in which all partitions meet. */
static void workers_that_met_in_every_batch_are_told_as_one(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    unsigned seed = begin_world(&world, totals);
    (void)state;
    fill(&world, &seed, 500);
    assert_ok(rebuild(&world, 4, 0, &result, &err), &err);
    assert_int_equal(result.events, world.appended);
    assert_int_equal(result.workers, 1);
    world_end(&world);
    seed = begin_world(&world, keyed);
    fill(&world, &seed, 500);
    assert_ok(rebuild(&world, 4, 0, &result, &err), &err);
    assert_int_equal(result.workers, 4);
    world_end(&world);
}

static void a_view_whose_streams_meet_now_and_then_is_the_same(void **state)
{
    (void)state;
    expect_same(sometimes);
}

static void what_is_parked_is_the_same(void **state)
{
    static const char parking[] = "local v = view 'marked'\n"
                                  "v.on_error = 'park'\n"
                                  "function v.on.Added(view, event)\n"
                                  "  if event.data.n == 77 then error('77') end\n"
                                  "  local row = view:get(event.stream) or { sum = 0 }\n"
                                  "  view:put(event.stream, { sum = row.sum + event.data.n })\n"
                                  "end\n";
    struct world world;
    struct cairn_rebuild_result one;
    struct cairn_rebuild_result several;
    struct cairn_err err;
    unsigned seed = begin_world(&world, parking);
    (void)state;
    fill(&world, &seed, 500);
    world_add(&world, "s1", 77, "x", 1);
    fill(&world, &seed, 500);
    assert_ok(rebuild(&world, 1, 0, &one, &err), &err);
    assert_true(one.parked > 0);
    assert_ok(rebuild(&world, 4, 20000, &several, &err), &err);
    assert_int_equal(several.parked, one.parked);
    assert_int_equal(several.rows, one.rows);
    marked_verify(&world);
    world_end(&world);
}

static void an_event_that_fails_is_named_as_by_one(void **state)
{
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err one;
    struct cairn_err several;
    unsigned seed = begin_world(&world, keyed);
    (void)state;
    fill(&world, &seed, 300);
    world_add(&world, "s1", 1000, "x", 1);
    fill(&world, &seed, 300);
    marked_write(&world, 1, 1000);
    assert_int_equal(rebuild(&world, 1, 0, &result, &one), CAIRN_EINVAL);
    assert_int_equal(rebuild(&world, 4, 0, &result, &several), CAIRN_EINVAL);
    assert_string_equal(one.text, several.text);
    world_end(&world);
}

static void workers_survive_any_failure(void **state)
{
    static const enum cairn_fault faults[] = {CAIRN_FAULT_THREAD, CAIRN_FAULT_MEM};
    struct world world;
    struct cairn_rebuild_result result;
    struct cairn_err err;
    unsigned seed = begin_world(&world, keyed);
    (void)state;
    fill(&world, &seed, 200);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int stride = faults[i] == CAIRN_FAULT_MEM ? 41 : 1;
        bool fired = true;
        for (int after = 0; fired; after += stride) {
            cairn_fault_arm(faults[i], after);
            enum cairn_rc rc = rebuild(&world, 3, 0, &result, &err);
            fired = cairn_fault_fired(faults[i]);
            cairn_fault_disarm();
            assert_true(fired || rc == CAIRN_OK);
            assert_true(after < 100000);
        }
        marked_verify(&world);
        assert_int_equal(result.events, world.appended);
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_keyed_by_streams_is_the_same),
        cmocka_unit_test(a_view_of_totals_is_the_same),
        cmocka_unit_test(workers_that_met_in_every_batch_are_told_as_one),
        cmocka_unit_test(a_view_whose_streams_meet_now_and_then_is_the_same),
        cmocka_unit_test(what_is_parked_is_the_same),
        cmocka_unit_test(an_event_that_fails_is_named_as_by_one),
        cmocka_unit_test(workers_survive_any_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
