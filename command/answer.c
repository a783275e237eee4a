#include "command/answer.h"

#include <assert.h>

void cairn_answer_fail(struct cairn_answer *answer, const struct cairn_err *err)
{
    assert(err->rc != CAIRN_OK);
    answer->rc = err->rc;
    answer->err = *err;
    answer->event_count = 0;
    answer->events = NULL;
    answer->created = false;
    answer->replayed = false;
    answer->offset = 0;
}

/* False: memory is out. */
static bool copy_into(struct cairn_answer *copy, struct cairn_arena *arena)
{
    size_t count = copy->event_count;
    struct cairn_answer_event *events = cairn_arena_zalloc(arena, count, sizeof(*events));
    if (events == NULL || cairn_arena_copy(arena, copy->stream, &copy->stream) != CAIRN_OK ||
        cairn_arena_copy(arena, copy->code, &copy->code) != CAIRN_OK ||
        cairn_arena_copy(arena, copy->detail, &copy->detail) != CAIRN_OK) {
        return false;
    }
    if (copy->place != NULL) {
        copy->place = cairn_arena_printf(arena, "%s", copy->place);
    }
    for (size_t i = 0; i < count; i++) {
        /* The type is the catalogue's text or the first answer's arena: copied either way. */
        events[i] = copy->events[i];
        if (cairn_arena_copy(arena, copy->events[i].type, &events[i].type) != CAIRN_OK) {
            return false;
        }
    }
    copy->events = events;
    return true;
}

void cairn_answer_copy(const struct cairn_answer *answer, struct cairn_arena *arena,
                       struct cairn_answer *ret_copy)
{
    assert(answer->event_count == 0 || answer->events != NULL);
    struct cairn_answer copy = *answer;
    if (!copy_into(&copy, arena)) {
        struct cairn_err err;
        (void)CAIRN_FAIL(&err, CAIRN_ENOMEM, "no memory for the answer");
        copy = (struct cairn_answer){0};
        cairn_answer_fail(&copy, &err);
    }
    *ret_copy = copy;
}
