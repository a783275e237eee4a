#include "tools/send_tally.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/json.h"

#define KIND_BYTES_MAX 160

enum { STATUS_OK_FIRST = 200, STATUS_OK_LAST = 299 };

void cairn_tally_init(struct cairn_tally *tally)
{
    *tally = (struct cairn_tally){.kinds = {.max = CAIRN_TALLY_KINDS_MAX}};
    (void)pthread_mutex_init(&tally->lock, NULL);
}

void cairn_tally_fini(struct cairn_tally *tally)
{
    cairn_map_fini(&tally->kinds);
    (void)pthread_mutex_destroy(&tally->lock);
}

static bool is_accepted(const struct cairn_value *answer)
{
    const struct cairn_value *status = cairn_value_at(answer, "status");
    return status != NULL && status->type == CAIRN_INT && status->as.integer >= STATUS_OK_FIRST &&
           status->as.integer <= STATUS_OK_LAST;
}

static bool is_replayed(const struct cairn_value *answer)
{
    const struct cairn_value *replayed = cairn_value_at(answer, "replayed");
    return replayed != NULL && replayed->type == CAIRN_BOOL && replayed->as.boolean;
}

/* "accepted", or the problem's slug, with the decider's code behind it. */
static struct cairn_slice kind_of(const struct cairn_value *answer, bool accepted,
                                  char out[KIND_BYTES_MAX])
{
    if (accepted) {
        return CAIRN_SLICE_LIT("accepted");
    }
    struct cairn_slice type = cairn_value_get_string(answer, "type");
    struct cairn_slice prefix = CAIRN_SLICE_LIT("/problems/");
    if (cairn_slice_starts(type, prefix)) {
        type = cairn_slice_of(type.data + prefix.size, type.size - prefix.size);
    }
    struct cairn_slice code = cairn_value_get_string(answer, "code");
    int size = snprintf(out, KIND_BYTES_MAX, "%.*s%s%.*s", CAIRN_SLICE_ARG(type),
                        code.size == 0 ? "" : " ", CAIRN_SLICE_ARG(code));
    assert(size >= 0);
    return cairn_slice_of(out, size < KIND_BYTES_MAX ? (size_t)size : KIND_BYTES_MAX - 1);
}

void cairn_tally_answer(struct cairn_tally *tally, const struct cairn_value *answer)
{
    char text[KIND_BYTES_MAX];
    bool accepted = is_accepted(answer);
    struct cairn_slice kind = kind_of(answer, accepted, text);
    (void)pthread_mutex_lock(&tally->lock);
    tally->answered++;
    tally->accepted += accepted;
    tally->refused += !accepted;
    tally->replayed += is_replayed(answer);
    union cairn_map_value *count = cairn_map_put(&tally->kinds, kind, NULL);
    if (count != NULL) {
        count->number++;
    }
    (void)pthread_mutex_unlock(&tally->lock);
}

void cairn_tally_unanswered(struct cairn_tally *tally, uint64_t count)
{
    (void)pthread_mutex_lock(&tally->lock);
    tally->unanswered += count;
    (void)pthread_mutex_unlock(&tally->lock);
}

void cairn_tally_retried(struct cairn_tally *tally, uint64_t count)
{
    (void)pthread_mutex_lock(&tally->lock);
    tally->retried += count;
    (void)pthread_mutex_unlock(&tally->lock);
}

uint64_t cairn_tally_answered(struct cairn_tally *tally)
{
    (void)pthread_mutex_lock(&tally->lock);
    uint64_t answered = tally->answered;
    (void)pthread_mutex_unlock(&tally->lock);
    return answered;
}

struct kind {
    struct cairn_slice name;
    uint64_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct kind *left = a;
    const struct kind *right = b;
    if (left->count != right->count) {
        return left->count < right->count ? 1 : -1;
    }
    return cairn_slice_compare(left->name, right->name);
}

/* The kinds, most frequent first. */
static size_t sort_kinds(const struct cairn_tally *tally, struct kind kinds[CAIRN_TALLY_KINDS_MAX])
{
    size_t count = 0;
    size_t cursor = 0;
    union cairn_map_value value;
    while (count < CAIRN_TALLY_KINDS_MAX &&
           cairn_map_next(&tally->kinds, &cursor, &kinds[count].name, &value)) {
        kinds[count++].count = value.number;
    }
    qsort(kinds, count, sizeof(kinds[0]), by_count);
    return count;
}

static enum cairn_rc print_json(const struct cairn_tally *tally, const struct kind *kinds,
                                size_t count, double seconds, struct cairn_buf *out)
{
    enum cairn_rc rc =
        cairn_buf_printf(out,
                         "{\"answered\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64
                         ",\"replayed\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\"retried\":%" PRIu64
                         ",\"seconds\":%.3f,\"kinds\":{",
                         tally->answered, tally->accepted, tally->refused, tally->replayed,
                         tally->unanswered, tally->retried, seconds);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = i == 0 ? CAIRN_OK : cairn_buf_append_byte(out, ',');
        rc = rc == CAIRN_OK ? cairn_json_write_string(kinds[i].name, out) : rc;
        rc = rc == CAIRN_OK ? cairn_buf_printf(out, ":%" PRIu64, kinds[i].count) : rc;
    }
    return rc == CAIRN_OK ? cairn_buf_append_str(out, "}}\n") : rc;
}

static enum cairn_rc print_text(const struct cairn_tally *tally, const struct kind *kinds,
                                size_t count, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_printf(out, "%12" PRIu64 " answered\n", tally->answered);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        rc = cairn_buf_printf(out, "%12" PRIu64 "   %.*s\n", kinds[i].count,
                              CAIRN_SLICE_ARG(kinds[i].name));
    }
    if (rc == CAIRN_OK && tally->replayed > 0) {
        rc = cairn_buf_printf(out, "%12" PRIu64 " of them had been answered before (same key)\n",
                              tally->replayed);
    }
    if (rc == CAIRN_OK && tally->unanswered > 0) {
        rc = cairn_buf_printf(
            out,
            "%12" PRIu64 " without an answer: they may or may not be in the log; commands with a "
            "key can be sent again safely\n",
            tally->unanswered);
    }
    return rc;
}

enum cairn_rc cairn_tally_print(struct cairn_tally *tally, bool json, double seconds,
                                struct cairn_buf *out)
{
    struct kind kinds[CAIRN_TALLY_KINDS_MAX];
    (void)pthread_mutex_lock(&tally->lock);
    size_t count = sort_kinds(tally, kinds);
    enum cairn_rc rc =
        json ? print_json(tally, kinds, count, seconds, out) : print_text(tally, kinds, count, out);
    (void)pthread_mutex_unlock(&tally->lock);
    return rc;
}
