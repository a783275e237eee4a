#include <pthread.h>

#include "tests/unit/command/world.h"

#define ANY CAIRN_EXPECT_ANY

static void assert_rc(const struct cairn_answer *answer, enum cairn_rc rc)
{
    if (answer->rc != rc) {
        fail_msg("%s, not %s: %s", cairn_err_info(answer->rc)->name, cairn_err_info(rc)->name,
                 answer->rc == CAIRN_OK ? "" : answer->err.text);
    }
}

/* ---- the plain way ---- */

static void first_command_creates_the_stream(void **state)
{
    struct world *world = *state;
    struct cairn_answer answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":5}", NULL, ANY});
    assert_rc(&answer, CAIRN_OK);
    assert_true(answer.created);
    assert_false(answer.replayed);
    assert_int_equal(answer.version, 1);
    assert_int_equal(answer.offset, 1);
    assert_int_equal(answer.event_count, 1);
    assert_true(cairn_slice_is(answer.stream, "probe-a"));
    assert_true(cairn_slice_is(answer.events[0].type, "Added"));
    answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":5}", NULL, ANY});
    assert_rc(&answer, CAIRN_OK);
    assert_false(answer.created);
    assert_int_equal(answer.version, 2);
    assert_int_equal(world_events(world, "probe-a"), 2);
}

static void events_say_where_they_come_from(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    struct cairn_command command;
    struct cairn_answer answer;
    struct ask ask = {"a", "Add", "{\"n\":1}", "key-1", ANY};
    world_command(world, &ask, &world->arena, &command);
    command.principal = CAIRN_SLICE_LIT("ada");
    command.traceparent = CAIRN_SLICE_LIT("00-trace");
    cairn_service_execute(world->service, &command, &answer, 1, &world->arena);
    assert_rc(&answer, CAIRN_OK);
    struct cairn_event_page page;
    assert_ok(cairn_store_read_stream(world->store, CAIRN_SLICE_LIT("probe-a"), 0, 10,
                                      CAIRN_FORWARD, &world->arena, &page, &err),
              &err);
    assert_int_equal(page.count, 1);
    const struct cairn_event *event = &page.events[0];
    assert_true(cairn_slice_is(event->causation, "request-1"));
    assert_true(cairn_slice_is(event->correlation, "request-1"));
    assert_true(cairn_slice_is(event->principal, "ada"));
    assert_true(cairn_slice_is(event->traceparent, "00-trace"));
    assert_true(cairn_slice_is(event->key, "key-1"));
    assert_memory_equal(event->fingerprint, command.fingerprint, 16);
    assert_memory_equal(event->id.bytes, answer.events[0].id.bytes, 16);
    assert_int_equal(event->schema_version, 1);
}

static void decide_is_told_the_context(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":41}", NULL, ANY});
    struct cairn_answer answer = world_ask(world, (struct ask){"a", "Context", NULL, NULL, ANY});
    assert_rc(&answer, CAIRN_OK);
    struct cairn_event_page page;
    assert_ok(cairn_store_read_stream(world->store, CAIRN_SLICE_LIT("probe-a"), 1, 10,
                                      CAIRN_FORWARD, &world->arena, &page, &err),
              &err);
    char text[512];
    (void)snprintf(text, sizeof(text), "%.*s", CAIRN_SLICE_ARG(page.events[0].data));
    assert_non_null(strstr(text, "probe-a a 1 nil request-1 20"));
    assert_non_null(strstr(text, "Z 41"));
}

static void rejection_writes_nothing(void **state)
{
    struct world *world = *state;
    struct cairn_answer answer =
        world_ask(world, (struct ask){"a", "Add", "{\"n\":0}", "key", ANY});
    assert_rc(&answer, CAIRN_EREJECTED);
    assert_true(cairn_slice_is(answer.code, "zero"));
    assert_true(cairn_slice_is(answer.detail, "nothing to add to 0"));
    assert_int_equal(world_events(world, "probe-a"), 0);
    /* And its key is free. */
    answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", "key", ANY});
    assert_rc(&answer, CAIRN_OK);
    assert_false(answer.replayed);
}

static void command_without_events_is_accepted(void **state)
{
    struct world *world = *state;
    struct cairn_answer answer = world_ask(world, (struct ask){"a", "Silent", NULL, NULL, ANY});
    assert_rc(&answer, CAIRN_OK);
    assert_int_equal(answer.version, 0);
    assert_int_equal(answer.offset, 0);
    assert_int_equal(answer.event_count, 0);
    assert_false(answer.created);
}

static void many_events_are_one_append(void **state)
{
    struct world *world = *state;
    struct cairn_answer answer =
        world_ask(world, (struct ask){"a", "Many", "{\"n\":1000}", "key", ANY});
    assert_rc(&answer, CAIRN_OK);
    assert_int_equal(answer.event_count, 1000);
    assert_int_equal(answer.version, 1000);
    struct cairn_answer again =
        world_ask(world, (struct ask){"a", "Many", "{\"n\":1000}", "key", ANY});
    assert_rc(&again, CAIRN_OK);
    assert_true(again.replayed);
    assert_int_equal(again.event_count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_memory_equal(again.events[i].id.bytes, answer.events[i].id.bytes, 16);
        assert_int_equal(again.events[i].version, i + 1);
    }
    assert_int_equal(again.offset, answer.offset);
    answer = world_ask(world, (struct ask){"b", "Many", "{\"n\":1001}", NULL, ANY});
    assert_rc(&answer, CAIRN_ESCRIPT);
    assert_non_null(strstr(answer.err.text, "1001 events"));
}

/* ---- versions ---- */

static void expected_version_must_hold(void **state)
{
    struct world *world = *state;
    static const struct {
        int64_t expected;
        enum cairn_rc rc;
    } CASES[] = {
        {CAIRN_EXPECT_SOME, CAIRN_ECONFLICT}, {3, CAIRN_ECONFLICT}, {CAIRN_EXPECT_NONE, CAIRN_OK},
        {CAIRN_EXPECT_NONE, CAIRN_ECONFLICT}, {1, CAIRN_OK},        {1, CAIRN_ECONFLICT},
        {CAIRN_EXPECT_SOME, CAIRN_OK},        {3, CAIRN_OK},
    };
    uint64_t version = 0;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct cairn_answer answer =
            world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, CASES[i].expected});
        assert_rc(&answer, CASES[i].rc);
        version += answer.rc == CAIRN_OK;
        assert_int_equal(answer.version, version);
    }
    assert_int_equal(world_events(world, "probe-a"), 4);
}

/* Append to a stream behind the service's back, as another node would. */
static void append_outside(struct world *world, const char *stream)
{
    struct cairn_err err;
    struct cairn_event event = {
        .type = CAIRN_SLICE_LIT("Added"),
        .time_us = 1,
        .schema_version = 1,
        .data = CAIRN_SLICE_LIT("\x81\xa1n\x01"),
    };
    struct cairn_uuid_source ids = {0};
    event.id = cairn_uuid_next(&ids, 1, cairn_random_system());
    struct cairn_append append = {
        .stream = cairn_slice_str(stream), .expected = ANY, .events = &event, .count = 1};
    assert_ok(cairn_store_append(world->store, 0, &append, 1, &err), &err);
}

static void command_without_version_is_decided_again_after_a_conflict(void **state)
{
    struct world *world = *state;
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    append_outside(world, "probe-a");
    struct cairn_answer answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    assert_rc(&answer, CAIRN_OK);
    assert_int_equal(answer.version, 3);
    assert_int_equal(world_events(world, "probe-a"), 3);
}

static void command_with_version_is_never_decided_again(void **state)
{
    struct world *world = *state;
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    append_outside(world, "probe-a");
    struct cairn_answer answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, 1});
    assert_rc(&answer, CAIRN_ECONFLICT);
    assert_int_equal(answer.version, 2);
    assert_int_equal(world_events(world, "probe-a"), 2);
    /* The fresh version is known now. */
    answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, 2});
    assert_rc(&answer, CAIRN_OK);
}

static void conflict_reopens_the_whole_stream_in_a_group(void **state)
{
    struct world *world = *state;
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    append_outside(world, "probe-a");
    const struct ask asks[] = {{"a", "Add", "{\"n\":2}", "k", ANY},
                               {"b", "Add", "{\"n\":1}", NULL, ANY},
                               {"a", "Add", "{\"n\":0}", NULL, ANY},
                               {"a", "Add", "{\"n\":2}", "k", ANY},
                               {"a", "Add", "{\"n\":4}", NULL, ANY}};
    struct cairn_command commands[5];
    struct cairn_answer answers[5];
    for (size_t i = 0; i < 5; i++) {
        world_command(world, &asks[i], &world->arena, &commands[i]);
    }
    cairn_service_execute(world->service, commands, answers, 5, &world->arena);
    assert_rc(&answers[0], CAIRN_OK);
    assert_int_equal(answers[0].version, 3);
    assert_rc(&answers[1], CAIRN_OK);
    assert_int_equal(answers[1].version, 1);
    /* 1, 1 from outside, 2: the rejection saw what the log holds in the end. */
    assert_rc(&answers[2], CAIRN_EREJECTED);
    assert_true(cairn_slice_is(answers[2].detail, "nothing to add to 4"));
    assert_rc(&answers[3], CAIRN_OK);
    assert_true(answers[3].replayed);
    assert_int_equal(answers[3].version, 3);
    assert_rc(&answers[4], CAIRN_OK);
    assert_int_equal(answers[4].version, 4);
    assert_int_equal(world_events(world, "probe-a"), 4);
}

/* ---- keys ---- */

static void same_key_gives_the_same_answer(void **state)
{
    struct world *world = *state;
    struct ask ask = {"a", "Add", "{\"n\":5}", "key", ANY};
    struct cairn_answer first = world_ask(world, ask);
    assert_rc(&first, CAIRN_OK);
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    for (int round = 0; round < 2; round++) {
        struct cairn_answer again = world_ask(world, ask);
        assert_rc(&again, CAIRN_OK);
        assert_true(again.replayed);
        assert_true(again.created);
        assert_int_equal(again.version, 1);
        assert_int_equal(again.offset, first.offset);
        assert_memory_equal(again.events[0].id.bytes, first.events[0].id.bytes, 16);
        world_stop(world); /* the second round: after a restart */
        world_start(world);
    }
    assert_int_equal(world_events(world, "probe-a"), 2);
}

static void same_key_is_known_after_the_index_is_lost(void **state)
{
    struct world *world = *state;
    struct cairn_err err;
    char index[128];
    struct ask ask = {"a", "Add", "{\"n\":5}", "key", ANY};
    struct cairn_answer first = world_ask(world, ask);
    world_stop(world);
    (void)snprintf(index, sizeof(index), "%s/index", world->data_folder);
    assert_ok(cairn_file_remove_tree(index, &err), &err);
    world_start(world);
    struct cairn_answer again = world_ask(world, ask);
    assert_rc(&again, CAIRN_OK);
    assert_true(again.replayed);
    assert_memory_equal(again.events[0].id.bytes, first.events[0].id.bytes, 16);
}

static void key_of_another_command_is_refused(void **state)
{
    struct world *world = *state;
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":5}", "key", ANY});
    const struct ask others[] = {{"a", "Add", "{\"n\":6}", "key", ANY},
                                 {"b", "Add", "{\"n\":5}", "key", ANY},
                                 {"a", "Many", "{\"n\":5}", "key", ANY}};
    for (size_t i = 0; i < 3; i++) {
        struct cairn_answer answer = world_ask(world, others[i]);
        assert_rc(&answer, CAIRN_EKEYREUSED);
    }
    assert_int_equal(world_events(world, "probe-a"), 1);
    assert_int_equal(world_events(world, "probe-b"), 0);
}

static void keys_meet_inside_one_group(void **state)
{
    struct world *world = *state;
    const struct ask asks[] = {{"a", "Add", "{\"n\":0}", "k", ANY}, /* rejected: k stays free */
                               {"a", "Add", "{\"n\":1}", "k", ANY},
                               {"a", "Add", "{\"n\":1}", "k", ANY},
                               {"a", "Add", "{\"n\":2}", "k", ANY},
                               {"a", "Add", "{\"n\":2}", "l", 1}};
    struct cairn_command commands[5];
    struct cairn_answer answers[5];
    for (size_t i = 0; i < 5; i++) {
        world_command(world, &asks[i], &world->arena, &commands[i]);
    }
    cairn_service_execute(world->service, commands, answers, 5, &world->arena);
    assert_rc(&answers[0], CAIRN_EREJECTED);
    assert_rc(&answers[1], CAIRN_OK);
    assert_false(answers[1].replayed);
    assert_rc(&answers[2], CAIRN_OK);
    assert_true(answers[2].replayed);
    assert_memory_equal(answers[2].events[0].id.bytes, answers[1].events[0].id.bytes, 16);
    assert_int_equal(answers[2].offset, answers[1].offset);
    assert_rc(&answers[3], CAIRN_EKEYREUSED);
    assert_rc(&answers[4], CAIRN_OK);
    assert_int_equal(answers[4].version, 2);
    assert_int_equal(world_events(world, "probe-a"), 2);
}

/* ---- many at once ---- */

struct client {
    pthread_t thread;
    struct world *world;
    pthread_barrier_t *start;
    struct ask ask;
    struct cairn_arena arena;
    struct cairn_answer answer;
};

static void *ask_once(void *self)
{
    struct client *client = self;
    struct cairn_command command;
    world_command(client->world, &client->ask, &client->arena, &command);
    (void)pthread_barrier_wait(client->start);
    cairn_service_execute(client->world->service, &command, &client->answer, 1, &client->arena);
    return NULL;
}

static void two_requests_with_one_key_append_once(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 50; round++) {
        struct client clients[2];
        pthread_barrier_t start;
        char key[16];
        (void)snprintf(key, sizeof(key), "key-%d", round);
        assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
        for (size_t i = 0; i < 2; i++) {
            clients[i] = (struct client){.world = world,
                                         .start = &start,
                                         .ask = {"a", "Add", "{\"n\":1}", key, ANY},
                                         .arena = {.max = 1u << 20}};
            assert_int_equal(pthread_create(&clients[i].thread, NULL, ask_once, &clients[i]), 0);
        }
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
            assert_rc(&clients[i].answer, CAIRN_OK);
        }
        assert_int_equal(clients[0].answer.replayed + clients[1].answer.replayed, 1);
        assert_int_equal(clients[0].answer.version, clients[1].answer.version);
        assert_memory_equal(clients[0].answer.events[0].id.bytes,
                            clients[1].answer.events[0].id.bytes, 16);
        for (size_t i = 0; i < 2; i++) {
            cairn_arena_fini(&clients[i].arena);
        }
        (void)pthread_barrier_destroy(&start);
    }
    assert_int_equal(world_events(world, "probe-a"), 50);
}

/* A client that sends many commands, each with a key, some of them twice. */
struct sender {
    pthread_t thread;
    struct world *world;
    int number;
    int failures;
};

static void *send_many(void *self)
{
    struct sender *sender = self;
    struct cairn_arena arena = {.max = 16u << 20};
    for (int i = 0; i < 200; i++) {
        char id[16];
        char key[32];
        struct cairn_command command;
        struct cairn_answer answer;
        (void)snprintf(id, sizeof(id), "%d", i % 7);
        (void)snprintf(key, sizeof(key), "s%d-%d", sender->number, i - i % 2);
        struct ask ask = {id, "Add", "{\"n\":1}", i % 2 == 0 ? key : NULL, ANY};
        cairn_arena_reset(&arena);
        world_command(sender->world, &ask, &arena, &command);
        cairn_service_execute(sender->world->service, &command, &answer, 1, &arena);
        sender->failures += answer.rc != CAIRN_OK || answer.replayed;
    }
    cairn_arena_fini(&arena);
    return NULL;
}

static void send_from_threads(struct world *world)
{
    enum { SENDERS = 8 };
    struct sender senders[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.world = world, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
        assert_int_equal(senders[i].failures, 0);
    }
    uint64_t events = 0;
    for (int i = 0; i < 7; i++) {
        char stream[16];
        (void)snprintf(stream, sizeof(stream), "probe-%d", i);
        events += world_events(world, stream);
    }
    assert_int_equal(events, SENDERS * 200);
}

static void many_threads_lose_and_double_nothing(void **state)
{
    send_from_threads(*state);
}

static void many_partitions_lose_and_double_nothing(void **state)
{
    (void)state;
    struct world world = {.partitions = 4};
    world_open(&world);
    send_from_threads(&world);
    /* One call over all lanes: every answer is there and in its place. */
    enum { COUNT = 40 };
    struct cairn_command commands[COUNT];
    struct cairn_answer answers[COUNT];
    char ids[COUNT][8];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "m%d", i / 2);
        struct ask ask = {ids[i], "Add", i % 2 == 0 ? "{\"n\":1}" : "{\"n\":0}", NULL, ANY};
        world_command(&world, &ask, &world.arena, &commands[i]);
    }
    cairn_service_execute(world.service, commands, answers, COUNT, &world.arena);
    for (int i = 0; i < COUNT; i++) {
        char stream[24];
        (void)snprintf(stream, sizeof(stream), "probe-%s", ids[i]);
        assert_rc(&answers[i], i % 2 == 0 ? CAIRN_OK : CAIRN_EREJECTED);
        assert_true(cairn_slice_is(answers[i].stream, stream));
        assert_int_equal(answers[i].partition,
                         cairn_store_partition_of(world.store, cairn_slice_str(stream)));
    }
    world_close(&world);
}

static void a_batch_longer_than_a_group_is_answered_whole(void **state)
{
    struct world *world = *state;
    enum { COUNT = 10000 };
    struct cairn_command *commands = calloc(COUNT, sizeof(*commands));
    struct cairn_answer *answers = calloc(COUNT, sizeof(*answers));
    char(*ids)[8] = calloc(COUNT, sizeof(*ids));
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "%d", i % 100);
        struct ask ask = {ids[i], "Add", "{\"n\":1}", NULL, ANY};
        world_command(world, &ask, &world->arena, &commands[i]);
    }
    cairn_service_execute(world->service, commands, answers, COUNT, &world->arena);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_rc(&answers[i], CAIRN_OK);
        assert_int_equal(answers[i].version, i / 100 + 1);
        assert_int_equal(answers[i].offset, i + 1);
    }
    assert_int_equal(world_count(world, "cairn_groups_total"), 3);
    free(commands);
    free(answers);
    free(ids);
}

/* ---- scripts that misbehave ---- */

static void misbehaving_decider_harms_nobody(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *command;
        const char *text;
        const char *place;
    } CASES[] = {
        {"Loop", "instruction", "probe.lua:25"},
        {"Hoard", "memory", "probe.lua:28"},
        {"Throw", "out of order", "probe.lua:30"},
        {"Text", "a string that is no event", "probe.lua"},
        {"Unknown", "no event named \"Nope\"", "probe.lua"},
        {"Bad", "event Added does not match its schema: at \"/n\"", "probe.lua"},
        {"Meddle", "read-only", "probe.lua:34"},
        {"Spoil", "missing", "probe.lua"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct ask asks[] = {{"good", "Add", "{\"n\":1}", NULL, ANY},
                                   {"evil", CASES[i].command, NULL, NULL, ANY},
                                   {"good", "Add", "{\"n\":1}", NULL, ANY},
                                   {"evil", "Add", "{\"n\":1}", NULL, ANY},
                                   {"evil", CASES[i].command, NULL, NULL, ANY},
                                   {"evil", "Add", "{\"n\":1}", NULL, ANY}};
        struct cairn_command commands[6];
        struct cairn_answer answers[6];
        for (size_t k = 0; k < 6; k++) {
            world_command(world, &asks[k], &world->arena, &commands[k]);
        }
        cairn_service_execute(world->service, commands, answers, 6, &world->arena);
        for (size_t k = 0; k < 6; k++) {
            assert_rc(&answers[k], k == 1 || k == 4 ? CAIRN_ESCRIPT : CAIRN_OK);
        }
        if (strstr(answers[1].err.text, CASES[i].text) == NULL) {
            fail_msg("%s: \"%s\" is not in: %s", CASES[i].command, CASES[i].text,
                     answers[1].err.text);
        }
        assert_non_null(answers[1].place);
        assert_string_equal(answers[1].place, CASES[i].place);
        assert_int_equal(answers[5].version, (i + 1) * 2);
    }
    assert_int_equal(world_events(world, "probe-evil"), 16);
    assert_int_equal(world_events(world, "probe-good"), 16);
}

/* ---- states ---- */

static void cost_of_a_command_does_not_grow_with_its_stream(void **state)
{
    (void)state;
    struct world world = {.cache_aggregates = 1};
    world_open(&world);
    uint64_t reads[2] = {0};
    for (int k = 0; k < 2; k++) {
        int calls = k == 0 ? 1 : 10;
        char many[32];
        (void)snprintf(many, sizeof(many), "{\"n\":%d}", k == 0 ? 10 : 1000);
        for (int i = 0; i < calls; i++) {
            struct cairn_answer answer =
                world_ask(&world, (struct ask){k == 0 ? "short" : "long", "Many", many, NULL, ANY});
            assert_rc(&answer, CAIRN_OK);
        }
    }
    for (int i = 0; i < 40; i++) {
        uint64_t before = world_count(&world, "cairn_events_replayed_total");
        struct cairn_answer answer = world_ask(
            &world, (struct ask){i % 2 == 0 ? "short" : "long", "Add", "{\"n\":1}", NULL, ANY});
        assert_rc(&answer, CAIRN_OK);
        reads[i % 2] += world_count(&world, "cairn_events_replayed_total") - before;
    }
    assert_int_equal(world_events(&world, "probe-long"), 10020);
    /* 20 loads each, 10 events at most behind a snapshot. */
    assert_true(reads[0] <= 200);
    assert_true(reads[1] <= 200);
    assert_true(reads[1] > 0);
    world_close(&world);
}

static void states_past_the_memory_of_the_decider_make_room(void **state)
{
    (void)state;
    struct world world = {.lua_memory_bytes = 1u << 20};
    world_open(&world);
    enum { STREAMS = 5000, CALL = 250 };
    static char ids[CALL][8];
    static struct cairn_command commands[CALL];
    static struct cairn_answer answers[CALL];
    for (int i = 0; i < 2 * STREAMS; i += CALL) {
        cairn_arena_reset(&world.arena);
        for (int k = 0; k < CALL; k++) {
            (void)snprintf(ids[k], sizeof(ids[k]), "%d", (i + k) % STREAMS);
            struct ask ask = {ids[k], "Add", "{\"n\":1}", NULL, ANY};
            world_command(&world, &ask, &world.arena, &commands[k]);
        }
        cairn_service_execute(world.service, commands, answers, CALL, &world.arena);
        for (int k = 0; k < CALL; k++) {
            assert_rc(&answers[k], CAIRN_OK);
            assert_int_equal(answers[k].version, i / STREAMS + 1);
        }
    }
    /* Most states had to be loaded again: they do not fit a mebibyte. */
    assert_true(world_count(&world, "cairn_cache_misses_total") > STREAMS + STREAMS / 4);
    world_close(&world);
}

static void hot_state_reads_nothing(void **state)
{
    struct world *world = *state;
    (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    uint64_t misses = world_count(world, "cairn_cache_misses_total");
    for (int i = 0; i < 100; i++) {
        (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":1}", NULL, ANY});
    }
    assert_int_equal(world_count(world, "cairn_cache_misses_total"), misses);
    assert_int_equal(world_count(world, "cairn_events_replayed_total"), 0);
    assert_int_equal(world_count(world, "cairn_cache_hits_total"), 100);
}

static void state_is_the_same_after_a_restart(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 25; i++) {
        (void)world_ask(world, (struct ask){"a", "Add", "{\"n\":3}", NULL, ANY});
    }
    world_stop(world);
    world_start(world);
    struct cairn_answer answer = world_ask(world, (struct ask){"a", "Add", "{\"n\":0}", NULL, ANY});
    assert_rc(&answer, CAIRN_EREJECTED);
    assert_true(cairn_slice_is(answer.detail, "nothing to add to 75"));
    assert_true(world_count(world, "cairn_snapshots_total") >= 2);
    /* From the snapshot at 20: five events. */
    assert_int_equal(world_count(world, "cairn_events_replayed_total"), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(first_command_creates_the_stream),
        TEST(events_say_where_they_come_from),
        TEST(decide_is_told_the_context),
        TEST(rejection_writes_nothing),
        TEST(command_without_events_is_accepted),
        TEST(many_events_are_one_append),
        TEST(expected_version_must_hold),
        TEST(command_without_version_is_decided_again_after_a_conflict),
        TEST(command_with_version_is_never_decided_again),
        TEST(conflict_reopens_the_whole_stream_in_a_group),
        TEST(same_key_gives_the_same_answer),
        TEST(same_key_is_known_after_the_index_is_lost),
        TEST(key_of_another_command_is_refused),
        TEST(keys_meet_inside_one_group),
        TEST(two_requests_with_one_key_append_once),
        TEST(many_threads_lose_and_double_nothing),
        cmocka_unit_test(many_partitions_lose_and_double_nothing),
        TEST(a_batch_longer_than_a_group_is_answered_whole),
        TEST(misbehaving_decider_harms_nobody),
        cmocka_unit_test(cost_of_a_command_does_not_grow_with_its_stream),
        cmocka_unit_test(states_past_the_memory_of_the_decider_make_room),
        TEST(hot_state_reads_nothing),
        TEST(state_is_the_same_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
