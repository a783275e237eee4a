#include "command/spread_part.h"

#include <assert.h>

#include "command/request.h"
#include "platform/fault.h"
#include "schemas/msgpack.h"

/* msgpack's head of an array with 32 bits of count. */
#define HEAD_BYTES 5
/* A single command at its largest: a batch's worth of JSON grows to about twice that. */
#define BODY_BYTES_MAX ((size_t)128 << 20)
/* Containers that data may nest: the array and the item stand around it. */
#define DATA_DEPTH_MAX (CAIRN_VALUE_DEPTH_MAX - 2)
/* aggregate, id, command, data, key, expected */
#define ITEM_MEMBERS_MAX 6

void cairn_spread_part_init(struct cairn_spread_part *part, const struct cairn_spread *spread,
                            const struct cairn_owner *owner)
{
    assert(owner->where == CAIRN_OWNER_ELSEWHERE);
    *part = (struct cairn_spread_part){.owner = *owner,
                                       .body = {.max = BODY_BYTES_MAX},
                                       .spread = spread,
                                       .arena = {.max = CAIRN_FORWARD_ARENA_MAX}};
}

void cairn_spread_part_fini(struct cairn_spread_part *part)
{
    assert(!part->started);
    cairn_buf_fini(&part->body);
    cairn_arena_fini(&part->arena);
}

/* ---- there ---- */

static bool is_deeper(const struct cairn_value *value, int max)
{
    bool deeper = false;
    if (value->type == CAIRN_ARRAY) {
        deeper = max == 0;
        for (uint32_t i = 0; i < value->count && !deeper; i++) {
            deeper = is_deeper(&value->as.items[i], max - 1);
        }
    } else if (value->type == CAIRN_MAP) {
        deeper = max == 0;
        for (uint32_t i = 0; i < value->count && !deeper; i++) {
            deeper = is_deeper(&value->as.members[i].value, max - 1);
        }
    }
    return deeper;
}

static void add_member(struct cairn_value *item, struct cairn_member *members, const char *name,
                       struct cairn_value value)
{
    assert(item->count < ITEM_MEMBERS_MAX);
    members[item->count] = (struct cairn_member){cairn_value_string(cairn_slice_str(name)), value};
    item->count++;
}

static enum cairn_rc write_item(const struct cairn_command *command, struct cairn_buf *out)
{
    struct cairn_member members[ITEM_MEMBERS_MAX];
    struct cairn_value item = {.type = CAIRN_MAP, .as.members = members};
    add_member(&item, members, "aggregate", cairn_value_string(command->command->aggregate));
    add_member(&item, members, "id", cairn_value_string(command->id));
    add_member(&item, members, "command", cairn_value_string(command->command->name));
    add_member(&item, members, "data", *command->data);
    if (command->key.size > 0) {
        add_member(&item, members, "key", cairn_value_string(command->key));
    }
    if (command->expected != CAIRN_EXPECT_ANY) {
        assert(command->expected >= 0);
        add_member(&item, members, "expected", cairn_value_int(command->expected));
    }
    return cairn_msgpack_write(&item, out);
}

/* The head of the array, with the count as it is now. */
static void patch_head(struct cairn_spread_part *part)
{
    assert(part->body.size >= HEAD_BYTES && part->count <= UINT32_MAX);
    const unsigned char head[HEAD_BYTES] = {
        0xdd, (unsigned char)(part->count >> 24), (unsigned char)(part->count >> 16),
        (unsigned char)(part->count >> 8), (unsigned char)part->count};
    memcpy(part->body.data, head, sizeof(head));
}

enum cairn_rc cairn_spread_part_add(struct cairn_spread_part *part,
                                    const struct cairn_command *command, bool *ret_added,
                                    struct cairn_err *err)
{
    size_t limit = part->spread->body_bytes;
    assert(limit > 0 && !part->started);
    if (part->full) {
        *ret_added = false;
        return CAIRN_OK;
    }
    if (is_deeper(command->data, DATA_DEPTH_MAX)) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "data of a batch nests at most %d deep",
                          DATA_DEPTH_MAX);
    }
    enum cairn_rc rc = CAIRN_OK;
    if (part->body.size == 0) {
        rc = cairn_buf_append(&part->body, CAIRN_SLICE_LIT("\xdd\0\0\0\0"));
    }
    size_t before = part->body.size;
    if (rc == CAIRN_OK) {
        rc = write_item(command, &part->body);
    }
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(&part->body, before);
        return CAIRN_FAIL(err, rc, "cannot pass a command on to the owner, node %s",
                          part->owner.node);
    }
    if (part->count > 0 && part->body.size > limit) {
        cairn_buf_truncate(&part->body, before);
        part->full = true;
    } else {
        part->count++;
        part->full = part->body.size >= limit;
    }
    *ret_added = part->body.size > before;
    return CAIRN_OK;
}

static void send(struct cairn_spread_part *part)
{
    const char *type = cairn_form_media_type(CAIRN_FORM_MSGPACK);
    const struct cairn_forward_call call = {
        .owner = &part->owner,
        .request = part->spread->request,
        .path = CAIRN_SLICE_LIT("/commands"),
        .fields = {{CAIRN_SLICE_LIT("Content-Type"), cairn_slice_str(type)},
                   {CAIRN_SLICE_LIT("Accept"), cairn_slice_str(type)}},
        .field_count = 2,
        .body = cairn_buf_slice(&part->body),
    };
    part->rc =
        cairn_forward_send(part->spread->forward, &call, &part->arena, &part->answer, &part->err);
}

static void *run(void *self)
{
    send(self);
    return NULL;
}

void cairn_spread_part_begin(struct cairn_spread_part *part)
{
    assert(part->count > 0 && !part->started);
    patch_head(part);
    part->started =
        !cairn_fault_hit(CAIRN_FAULT_THREAD) && pthread_create(&part->thread, NULL, run, part) == 0;
}

void cairn_spread_part_end(struct cairn_spread_part *part)
{
    if (!part->started) {
        send(part);
        return;
    }
    int os = pthread_join(part->thread, NULL);
    assert(os == 0);
    (void)os;
    part->started = false;
}

/* ---- and back ---- */

static enum cairn_rc read_problem(struct cairn_spread_part *part, struct cairn_arena *arena,
                                  const struct cairn_value **ret_answers, struct cairn_err *err)
{
    struct cairn_value *problem = cairn_arena_alloc(arena, sizeof(*problem));
    if (problem == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a problem");
    }
    enum cairn_rc rc = cairn_forward_problem(&part->answer, arena, problem, err);
    if (rc == CAIRN_OK) {
        *ret_answers = problem;
    }
    return rc;
}

static enum cairn_rc read_answers(const struct cairn_spread_part *part, struct cairn_arena *arena,
                                  const struct cairn_value **ret_answers, struct cairn_err *err)
{
    struct cairn_value all;
    enum cairn_rc rc =
        cairn_msgpack_read(part->answer.body, CAIRN_MSGPACK_DATA, arena, &all, NULL, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (all.type != CAIRN_ARRAY || all.count != part->count) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "%zu commands got %u answers", part->count,
                          all.type == CAIRN_ARRAY ? all.count : 0);
    }
    *ret_answers = all.as.items;
    return CAIRN_OK;
}

enum cairn_rc cairn_spread_part_read(struct cairn_spread_part *part, struct cairn_arena *arena,
                                     const struct cairn_value **ret_answers, bool *ret_single,
                                     struct cairn_err *err)
{
    assert(!part->started && part->count > 0);
    if (part->rc != CAIRN_OK) {
        *err = part->err;
        return part->rc;
    }
    bool problem = part->answer.status >= 400;
    /* Values borrow from the text, which has to live as long as they do. */
    enum cairn_rc rc = cairn_arena_copy(arena, part->answer.body, &part->answer.body);
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "no memory for the answers");
    } else {
        rc = problem ? read_problem(part, arena, ret_answers, err)
                     : read_answers(part, arena, ret_answers, err);
    }
    if (rc != CAIRN_OK) {
        return cairn_err_wrap(err, CAIRN_EUNKNOWN, "the owner, node %s", part->owner.node);
    }
    *ret_single = problem;
    return CAIRN_OK;
}
