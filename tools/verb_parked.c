#include <inttypes.h>
#include <stdio.h>

#include "platform/json.h"
#include "projector/replay.h"
#include "tools/event_line.h"
#include "tools/log_access.h"
#include "tools/verbs.h"

#define LIST_BYTES_MAX  ((size_t)64 * 1024 * 1024)
#define EVENT_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define PAGE_EVENTS     500

/* What was asked for. */
struct asking {
    const struct cairn_config *config;
    struct cairn_log_access access;
    struct cairn_slice view;   /* empty: all */
    struct cairn_slice stream; /* empty: all that wait */
    size_t failed;             /* streams that failed again */
};

/* ---- list ---- */

/* How many of its events wait, up to the end of the log. */
static enum cairn_rc count_waiting(struct asking *asking, const struct cairn_parked *parked,
                                   uint64_t *ret_count, struct cairn_err *err)
{
    uint64_t version = 0;
    enum cairn_rc rc = cairn_store_head(asking->access.store, parked->stream, &version, err);
    if (rc == CAIRN_OK) {
        *ret_count = version < parked->version ? 0 : version - parked->version + 1;
    }
    return rc;
}

static enum cairn_rc print_json(struct cairn_slice view, const struct cairn_parked *parked,
                                uint64_t waiting, const char *since, struct cairn_err *err)
{
    struct cairn_buf error = {.max = LIST_BYTES_MAX};
    if (cairn_json_write_string(parked->error, &error) != CAIRN_OK) {
        cairn_buf_fini(&error);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    (void)printf("{\"view\":\"%.*s\",\"stream\":\"%.*s\",\"version\":%" PRIu64
                 ",\"waiting\":%" PRIu64 ",\"event\":\"%.*s\",\"position\":\"%u:%" PRIu64
                 "\",\"since\":\"%s\",\"error\":%.*s}\n",
                 CAIRN_SLICE_ARG(view), CAIRN_SLICE_ARG(parked->stream), parked->version, waiting,
                 CAIRN_SLICE_ARG(parked->event), (unsigned)parked->partition, parked->offset, since,
                 CAIRN_SLICE_ARG(cairn_buf_slice(&error)));
    cairn_buf_fini(&error);
    return CAIRN_OK;
}

static enum cairn_rc print_parked(struct asking *asking, struct cairn_slice view,
                                  const struct cairn_parked *parked, struct cairn_err *err)
{
    char since[CAIRN_TIME_TEXT_MAX];
    uint64_t waiting = 0;
    (void)cairn_clock_format(parked->parked_us, since);
    enum cairn_rc rc = count_waiting(asking, parked, &waiting, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (cairn_config_bool(asking->config, "json")) {
        return print_json(view, parked, waiting, since, err);
    }
    (void)printf("%.*s: %.*s waits from version %" PRIu64 " on, %" PRIu64
                 " events, since %s: event %.*s at %u:%" PRIu64 ": %.*s\n",
                 CAIRN_SLICE_ARG(view), CAIRN_SLICE_ARG(parked->stream), parked->version, waiting,
                 since, CAIRN_SLICE_ARG(parked->event), (unsigned)parked->partition, parked->offset,
                 CAIRN_SLICE_ARG(parked->error));
    return CAIRN_OK;
}

/* Those of one view that wait and that were asked for. */
static enum cairn_rc
each_parked(struct asking *asking, struct cairn_slice view,
            enum cairn_rc (*run)(struct asking *asking, struct cairn_slice view,
                                 const struct cairn_parked *parked, struct cairn_err *err),
            size_t *count, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = LIST_BYTES_MAX};
    struct cairn_parked *parked = NULL;
    size_t found = 0;
    enum cairn_rc rc =
        cairn_view_parked(&asking->access.projector, view, &arena, &parked, &found, err);
    for (size_t i = 0; i < found && rc == CAIRN_OK; i++) {
        bool wanted =
            asking->stream.size == 0 || cairn_slice_equal(asking->stream, parked[i].stream);
        if (wanted && parked[i].until_version == 0) {
            rc = run(asking, view, &parked[i], err);
            (*count)++;
        }
    }
    cairn_arena_fini(&arena);
    return rc;
}

static void print_none(const struct asking *asking)
{
    if (!cairn_config_bool(asking->config, "json")) {
        (void)printf("nothing is parked\n");
    }
}

/* Of one view of all. Which is not there to be asked is told, and the others are listed. */
static enum cairn_rc list_view(struct asking *asking, const struct cairn_domain_view *view,
                               size_t *count, struct cairn_err *err)
{
    if (view->kind == CAIRN_VIEW_POSTGRES && asking->access.projector.postgres == NULL) {
        (void)fprintf(stderr, "view %.*s lies in PostgreSQL: left out without --postgres\n",
                      CAIRN_SLICE_ARG(view->name));
        return CAIRN_OK;
    }
    enum cairn_rc rc = each_parked(asking, view->name, print_parked, count, err);
    if (rc == CAIRN_ENOENT) {
        (void)fprintf(stderr, "view %.*s has no live generation yet: left out\n",
                      CAIRN_SLICE_ARG(view->name));
        return CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc list(struct asking *asking, struct cairn_err *err)
{
    const struct cairn_domain *domain = asking->access.domain;
    size_t count = 0;
    enum cairn_rc rc = CAIRN_OK;
    if (asking->view.size > 0) {
        rc = each_parked(asking, asking->view, print_parked, &count, err);
    }
    for (size_t i = 0;
         asking->view.size == 0 && i < cairn_domain_view_count(domain) && rc == CAIRN_OK; i++) {
        rc = list_view(asking, cairn_domain_view_at(domain, i), &count, err);
    }
    if (rc == CAIRN_OK && count == 0) {
        print_none(asking);
    }
    return rc;
}

/* ---- show ---- */

/* The waiting events of a stream, one CloudEvent a line. */
static enum cairn_rc print_events(struct asking *asking, const struct cairn_parked *parked,
                                  struct cairn_upcaster *upcaster, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = EVENT_BYTES_MAX};
    struct cairn_buf out = {.max = EVENT_BYTES_MAX};
    struct cairn_event_page page = {.more = true};
    uint64_t after = parked->version - 1;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && page.more) {
        cairn_arena_reset(&arena);
        cairn_buf_truncate(&out, 0);
        rc = cairn_store_read_stream(asking->access.store, parked->stream, after, PAGE_EVENTS,
                                     CAIRN_FORWARD, &arena, &page, err);
        for (size_t i = 0; rc == CAIRN_OK && i < page.count; i++) {
            rc = cairn_event_line(asking->access.domain, upcaster, &page.events[i], &arena, &out,
                                  err);
            after = page.events[i].version;
        }
        if (rc == CAIRN_OK && fwrite(out.data, 1, out.size, stdout) != out.size) {
            rc = CAIRN_FAIL(err, CAIRN_EIO, "standard output");
        }
    }
    cairn_buf_fini(&out);
    cairn_arena_fini(&arena);
    return rc;
}

static enum cairn_rc show_one(struct asking *asking, struct cairn_slice view,
                              const struct cairn_parked *parked, struct cairn_err *err)
{
    struct cairn_upcaster *upcaster = NULL;
    enum cairn_rc rc = print_parked(asking, view, parked, err);
    rc = rc == CAIRN_OK ? cairn_upcaster_new(asking->access.domain, &upcaster, err) : rc;
    rc = rc == CAIRN_OK ? print_events(asking, parked, upcaster, err) : rc;
    cairn_upcaster_free(upcaster);
    return rc;
}

static enum cairn_rc must_find(const struct asking *asking, size_t count, struct cairn_err *err)
{
    return count > 0 ? CAIRN_OK
                     : CAIRN_FAIL(err, CAIRN_ENOENT, "stream %.*s is not parked in view %.*s",
                                  CAIRN_SLICE_ARG(asking->stream), CAIRN_SLICE_ARG(asking->view));
}

static enum cairn_rc show(struct asking *asking, struct cairn_err *err)
{
    size_t count = 0;
    enum cairn_rc rc = each_parked(asking, asking->view, show_one, &count, err);
    return rc == CAIRN_OK ? must_find(asking, count, err) : rc;
}

/* ---- retry and drop ---- */

static void print_done(const struct asking *asking, const struct cairn_parked *parked,
                       const char *what, uint64_t events)
{
    if (cairn_config_bool(asking->config, "json")) {
        (void)printf("{\"view\":\"%.*s\",\"stream\":\"%.*s\",\"%s\":%" PRIu64 "}\n",
                     CAIRN_SLICE_ARG(asking->view), CAIRN_SLICE_ARG(parked->stream), what, events);
    } else {
        (void)printf("%.*s: %.*s: %" PRIu64 " events %s\n", CAIRN_SLICE_ARG(asking->view),
                     CAIRN_SLICE_ARG(parked->stream), events, what);
    }
}

/* None of its events was applied, since they are in one transaction. */
static enum cairn_rc print_failed(const struct asking *asking, const struct cairn_parked *parked,
                                  const struct cairn_err *why, struct cairn_err *err)
{
    struct cairn_buf error = {.max = LIST_BYTES_MAX};
    if (!cairn_config_bool(asking->config, "json")) {
        (void)fprintf(stderr, "cairn: %.*s: %s\n", CAIRN_SLICE_ARG(parked->stream), why->text);
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_json_write_string(cairn_slice_str(why->text), &error);
    if (rc != CAIRN_OK) {
        cairn_buf_fini(&error);
        return CAIRN_FAIL(err, rc, "tell what failed");
    }
    (void)printf("{\"view\":\"%.*s\",\"stream\":\"%.*s\",\"applied\":0,\"error\":%.*s}\n",
                 CAIRN_SLICE_ARG(asking->view), CAIRN_SLICE_ARG(parked->stream),
                 CAIRN_SLICE_ARG(cairn_buf_slice(&error)));
    cairn_buf_fini(&error);
    return CAIRN_OK;
}

/* A stream that fails again is told, and the others are tried all the same. */
static enum cairn_rc retry_one(struct asking *asking, struct cairn_slice view,
                               const struct cairn_parked *parked, struct cairn_err *err)
{
    uint64_t events = 0;
    struct cairn_err why;
    enum cairn_rc rc =
        cairn_view_parked_retry(&asking->access.projector, view, parked->stream, &events, &why);
    if (rc == CAIRN_ESCRIPT || rc == CAIRN_EINVAL) {
        asking->failed++;
        return print_failed(asking, parked, &why, err);
    }
    if (rc == CAIRN_OK) {
        print_done(asking, parked, "applied", events);
    } else {
        *err = why;
    }
    return rc;
}

static enum cairn_rc retry(struct asking *asking, struct cairn_err *err)
{
    size_t count = 0;
    enum cairn_rc rc = each_parked(asking, asking->view, retry_one, &count, err);
    if (rc == CAIRN_OK && asking->stream.size > 0) {
        rc = must_find(asking, count, err);
    } else if (rc == CAIRN_OK && count == 0) {
        print_none(asking);
    }
    if (rc == CAIRN_OK && asking->failed > 0) {
        rc = CAIRN_FAIL(err, CAIRN_ESCRIPT, "%zu of %zu streams failed again and stay parked",
                        asking->failed, count);
    }
    return rc;
}

static enum cairn_rc drop_one(struct asking *asking, struct cairn_slice view,
                              const struct cairn_parked *parked, struct cairn_err *err)
{
    uint64_t events = 0;
    enum cairn_rc rc =
        cairn_view_parked_drop(&asking->access.projector, view, parked->stream, &events, err);
    if (rc == CAIRN_OK) {
        print_done(asking, parked, "dropped", events);
    }
    return rc;
}

static enum cairn_rc drop(struct asking *asking, struct cairn_err *err)
{
    size_t count = 0;
    enum cairn_rc rc = each_parked(asking, asking->view, drop_one, &count, err);
    return rc == CAIRN_OK ? must_find(asking, count, err) : rc;
}

/* ---- which of them ---- */

static const struct action {
    const char *name;
    bool needs_view, needs_stream;
    enum cairn_rc (*run)(struct asking *asking, struct cairn_err *err);
} actions[] = {{"list", false, false, list},
               {"show", true, true, show},
               {"retry", true, false, retry},
               {"drop", true, true, drop}};

static const struct action *find(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

int cairn_verb_parked(const struct cairn_config *config, struct cairn_err *err)
{
    const struct action *action = find(cairn_config_operand(config, 0));
    struct asking asking = {.config = config,
                            .view = cairn_slice_str(cairn_config_text(config, "view")),
                            .stream = cairn_slice_str(cairn_config_text(config, "stream"))};
    if (action == NULL) {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "parked does list, show, retry or drop, not `%.64s`",
                         cairn_config_operand(config, 0));
        return 2;
    }
    if ((action->needs_view && asking.view.size == 0) ||
        (action->needs_stream && asking.stream.size == 0)) {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "parked %s needs --view%s; cairn parked list tells",
                         action->name, action->needs_stream ? " and --stream" : "");
        return 2;
    }
    enum cairn_rc rc =
        cairn_log_access_open(config, cairn_config_operand(config, 1), &asking.access, err);
    rc = rc == CAIRN_OK ? action->run(&asking, err) : rc;
    cairn_log_access_close(&asking.access);
    return rc == CAIRN_OK ? 0 : 1;
}
