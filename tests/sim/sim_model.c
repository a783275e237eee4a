#include "tests/sim/sim_model.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "schemas/msgpack.h"

const char *const CAIRN_SIM_COMMANDS[4] = {"Open", "Deposit", "Withdraw", "Close"};

/* ---- answers ---- */

static void take_first(struct cairn_sim_deed *deed, const struct cairn_answer *answer)
{
    deed->fate = CAIRN_SIM_ACCEPTED;
    deed->version = answer->version;
    deed->offset = answer->offset;
    deed->event_count = answer->event_count;
    deed->first_event = answer->events[0].id;
}

static void compare(const struct cairn_sim_deed *deed, const struct cairn_answer *answer)
{
    CAIRN_SIM_CHECK(answer->version == deed->version, "key %s", deed->key);
    CAIRN_SIM_CHECK(answer->offset == deed->offset, "key %s", deed->key);
    CAIRN_SIM_CHECK(answer->event_count == deed->event_count, "key %s", deed->key);
    CAIRN_SIM_CHECK(memcmp(&answer->events[0].id, &deed->first_event, 16) == 0, "key %s",
                    deed->key);
}

void cairn_sim_model_answer(struct cairn_sim_model *model, struct cairn_sim_deed *deed,
                            const struct cairn_answer *answer)
{
    assert(deed >= model->deeds && deed < model->deeds + model->count);
    bool known = deed->fate == CAIRN_SIM_ACCEPTED;
    enum cairn_rc rc = answer->rc;
    if (rc == CAIRN_OK && known) {
        CAIRN_SIM_CHECK(answer->replayed, "key %s was accepted twice", deed->key);
        compare(deed, answer);
    } else if (rc == CAIRN_OK) {
        CAIRN_SIM_CHECK(answer->event_count > 0, "key %s", deed->key);
        CAIRN_SIM_CHECK(!answer->replayed || deed->fate == CAIRN_SIM_UNKNOWN,
                        "key %s is replayed, but nothing was ever accepted", deed->key);
        take_first(deed, answer);
    } else if (rc == CAIRN_EREJECTED) {
        CAIRN_SIM_CHECK(!known, "key %s was accepted before", deed->key);
        deed->fate = CAIRN_SIM_REFUSED; /* of an unknown outcome: it did not get into the log */
    } else if (rc == CAIRN_EUNKNOWN) {
        /* Somebody who was accepted, and only asks again, stays accepted. */
        deed->fate = known ? deed->fate : CAIRN_SIM_UNKNOWN;
    } else {
        /* Wrote nothing: the fate is what it was. */
        CAIRN_SIM_CHECK(rc == CAIRN_ESTOPPED || rc == CAIRN_EIO || rc == CAIRN_EFULL ||
                            rc == CAIRN_EBUSY,
                        "key %s: %s: %s", deed->key, cairn_err_info(rc)->name, answer->err.text);
    }
}

/* ---- the log ---- */

struct account {
    uint64_t version;
    int64_t balance;
    bool open;
    bool used;
};

static struct cairn_sim_deed *find_deed(struct cairn_sim_model *model, struct cairn_slice key)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->deeds[i].key[0] != '\0' && cairn_slice_is(key, model->deeds[i].key)) {
            return &model->deeds[i];
        }
    }
    return NULL;
}

static int64_t amount_of(const struct cairn_event *event)
{
    struct cairn_arena arena = {.max = 65536};
    struct cairn_value data;
    struct cairn_err err;
    enum cairn_rc rc =
        cairn_msgpack_read(event->data, CAIRN_MSGPACK_DATA, &arena, &data, NULL, &err);
    CAIRN_SIM_CHECK(rc == CAIRN_OK, "%s", err.text);
    const struct cairn_value *amount = cairn_value_at(&data, "amount");
    int64_t found = amount == NULL ? 0 : amount->as.integer;
    cairn_arena_fini(&arena);
    return found;
}

static void apply(struct account *account, const struct cairn_event *event)
{
    int64_t amount = amount_of(event);
    CAIRN_SIM_CHECK(event->version == account->version + 1, "stream %.*s: %llu behind %llu",
                    CAIRN_SLICE_ARG(event->stream), (unsigned long long)event->version,
                    (unsigned long long)account->version);
    account->version = event->version;
    if (cairn_slice_is(event->type, "Opened")) {
        CAIRN_SIM_CHECK(!account->used, "opened twice: %.*s", CAIRN_SLICE_ARG(event->stream));
        account->open = true;
        account->used = true;
        return;
    }
    CAIRN_SIM_CHECK(account->open, "not open: %.*s", CAIRN_SLICE_ARG(event->stream));
    if (cairn_slice_is(event->type, "Deposited")) {
        account->balance += amount;
    } else if (cairn_slice_is(event->type, "Withdrawn")) {
        account->balance -= amount;
        CAIRN_SIM_CHECK(account->balance >= 0, "overdrawn: %.*s", CAIRN_SLICE_ARG(event->stream));
    } else {
        account->open = false;
    }
}

/* The first event of a command that has a key. */
static void meet_key(struct cairn_sim_model *model, const struct cairn_event *event)
{
    struct cairn_sim_deed *deed = find_deed(model, event->key);
    CAIRN_SIM_CHECK(deed != NULL, "key %.*s was never sent", CAIRN_SLICE_ARG(event->key));
    CAIRN_SIM_CHECK(!deed->seen, "key %s is in the log twice", deed->key);
    CAIRN_SIM_CHECK(deed->fate == CAIRN_SIM_ACCEPTED || deed->fate == CAIRN_SIM_UNKNOWN,
                    "key %s is in the log, but its answer said no", deed->key);
    deed->seen = true;
    if (deed->fate == CAIRN_SIM_ACCEPTED) {
        CAIRN_SIM_CHECK(memcmp(&deed->first_event, &event->id, 16) == 0, "key %s", deed->key);
        CAIRN_SIM_CHECK(event->version + event->count - 1 == deed->version, "key %s", deed->key);
        CAIRN_SIM_CHECK(event->offset + event->count - 1 == deed->offset, "key %s", deed->key);
    }
}

static void walk(struct cairn_sim_model *model, struct cairn_store *store, uint16_t partition,
                 struct account *accounts)
{
    struct cairn_err err;
    struct cairn_log_reader *reader = NULL;
    const struct cairn_event *events = NULL;
    size_t count = 0;
    enum cairn_rc rc = cairn_log_reader_open(store, partition, 0, &reader, &err);
    CAIRN_SIM_CHECK(rc == CAIRN_OK, "%s", err.text);
    do {
        rc = cairn_log_reader_next(reader, 1000, &events, &count, &err);
        CAIRN_SIM_CHECK(rc == CAIRN_OK, "%s", err.text);
        for (size_t i = 0; i < count; i++) {
            uint64_t account = 0;
            rc = cairn_slice_to_u64(cairn_stream_id(events[i].stream), &account);
            CAIRN_SIM_CHECK(rc == CAIRN_OK && account < CAIRN_SIM_ACCOUNTS_MAX, "stream");
            apply(&accounts[account], &events[i]);
            if (events[i].key.size > 0 && events[i].index == 0) {
                meet_key(model, &events[i]);
            }
        }
    } while (count > 0);
    cairn_log_reader_close(reader);
}

void cairn_sim_model_check(struct cairn_sim_model *model, struct cairn_store *store)
{
    struct account accounts[CAIRN_SIM_ACCOUNTS_MAX] = {{0}};
    for (size_t i = 0; i < model->count; i++) {
        model->deeds[i].seen = false;
    }
    for (uint16_t partition = 0; partition < cairn_store_partitions(store); partition++) {
        walk(model, store, partition, accounts);
    }
    for (size_t i = 0; i < model->count; i++) {
        const struct cairn_sim_deed *deed = &model->deeds[i];
        CAIRN_SIM_CHECK(deed->fate != CAIRN_SIM_ACCEPTED || deed->seen || deed->key[0] == '\0',
                        "key %s was acknowledged and is lost", deed->key);
    }
}
