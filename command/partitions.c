#include "command/partitions.h"

#include <assert.h>

#include "command/forward.h"
#include "platform/json.h"

static struct cairn_slice state_of(const struct cairn_owner *owner)
{
    if (owner->where != CAIRN_OWNER_NONE) {
        return CAIRN_SLICE_LIT("owned");
    }
    return owner->claimed ? CAIRN_SLICE_LIT("claimed") : CAIRN_SLICE_LIT("free");
}

/* Members of one item; the first failure stays. */
struct members {
    struct cairn_value_builder builder;
    enum cairn_rc rc;
};

static void add(struct members *members, const char *name, struct cairn_value value)
{
    if (members->rc == CAIRN_OK) {
        members->rc = cairn_value_add(&members->builder, name, value);
    }
}

/* text is copied; an empty one is no member. */
static void add_text(struct members *members, const char *name, struct cairn_slice text)
{
    struct cairn_slice copy;
    if (members->rc == CAIRN_OK && text.size > 0) {
        members->rc = cairn_arena_copy(members->builder.arena, text, &copy);
        if (members->rc == CAIRN_OK) {
            add(members, name, cairn_value_string(copy));
        }
    }
}

static enum cairn_rc describe(const struct cairn_forward *forward, uint16_t lane,
                              struct cairn_value_builder *items)
{
    struct cairn_owner owner;
    struct members members = {.builder = {.arena = items->arena}};
    char since[CAIRN_TIME_TEXT_MAX];
    cairn_forward_owner(forward, lane, &owner);
    add(&members, "partition", cairn_value_int(lane));
    add(&members, "state", cairn_value_string(state_of(&owner)));
    add_text(&members, "node", cairn_slice_str(owner.node));
    add_text(&members, "url", cairn_slice_str(owner.url));
    add(&members, "term", cairn_value_uint(owner.term));
    if (owner.since_us > 0) {
        size_t size = cairn_clock_format(owner.since_us, since);
        add_text(&members, "since", cairn_slice_of(since, size));
    }
    add(&members, "here", cairn_value_bool(owner.where == CAIRN_OWNER_HERE));
    return members.rc == CAIRN_OK ? cairn_value_push(items, cairn_value_map(&members.builder))
                                  : members.rc;
}

void cairn_partitions_handle(void *self, struct cairn_http_request *request,
                             struct cairn_http_response *response)
{
    const struct cairn_forward *forward = self;
    struct cairn_value_builder items = {.arena = request->arena};
    struct cairn_value_builder page = {.arena = request->arena};
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t lane = 0; lane < cairn_forward_lanes(forward) && rc == CAIRN_OK; lane++) {
        rc = describe(forward, lane, &items);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_value_add(&page, "items", cairn_value_array(&items));
    }
    if (rc == CAIRN_OK) {
        struct cairn_value body = cairn_value_map(&page);
        rc = cairn_json_write(&body, &response->body);
    }
    if (rc != CAIRN_OK) {
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, rc, "cannot list the partitions");
        cairn_http_problem(response, &err, NULL, request);
        return;
    }
    assert(response->body.size > 0);
    response->content_type = "application/json";
    cairn_http_header_add(response, "Cache-Control", CAIRN_SLICE_LIT("no-store"));
}
