/* `cairn migrate`: every event of one log into another, as it is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "eventstore/store_owner.h"
#include "platform/file.h"
#include "tools/base.h"
#include "tools/log_compare.h"
#include "tools/log_copy.h"
#include "tools/log_open.h"
#include "tools/verbs.h"

/* A lane that another node owns may be a dead node's, which is known a moment later; one that
 * nobody owns waits for the cluster, which is slow when its transactions begin. */
#define OWNED_WAIT_MS 30000
#define LANE_WAIT_MS  120000
#define LANE_PAUSE_MS 20
#define NS_PER_MS     INT64_C(1000000)
/* Under --data, while a log on Kafka is read back. */
#define CHECK_FOLDER "migrate-check"

struct migration {
    const struct cairn_config *config;
    struct cairn_base base;
    struct cairn_stop stop;
    const char *from_place, *to_place;
    struct cairn_store *from, *to;
    char check[CAIRN_PATH_MAX];     /* "<data>/migrate-check" */
    struct cairn_position from_end; /* when it was opened */
    bool moving;                    /* --to may have been written */
};

/* ---- both logs ---- */

static enum cairn_rc find_places(struct migration *migration, struct cairn_err *err)
{
    const struct cairn_config *config = migration->config;
    migration->from_place = cairn_config_text(config, "from");
    migration->to_place = cairn_config_text(config, "to");
    if (migration->from_place == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "say where the events are: --from files:DIR or --from kafka:HOST:PORT");
    }
    if (strcmp(migration->from_place, migration->to_place) == 0) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "--from and --to are the same log");
    }
    if (cairn_log_place_is_kafka(migration->from_place) &&
        cairn_log_place_is_kafka(migration->to_place)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "--from and --to are both on Kafka: move to files:DIR first, and from "
                          "there on");
    }
    return cairn_file_join(migration->check, cairn_config_text(config, "data"), CHECK_FOLDER) ==
                   CAIRN_OK
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_ETOOBIG, "--data: the path is too long");
}

static enum cairn_rc open_both(struct migration *migration, struct cairn_err *err)
{
    struct cairn_log_open open = {.config = migration->config,
                                  .domain = migration->base.domain,
                                  .log = migration->base.log,
                                  .place = migration->from_place,
                                  .flag = "--from",
                                  .kind = CAIRN_LOG_HOLD};
    enum cairn_rc rc = cairn_log_open(&open, &migration->from, err);
    rc = rc == CAIRN_OK ? cairn_store_end(migration->from, &migration->from_end, err) : rc;
    open.place = migration->to_place;
    open.flag = "--to";
    open.kind = CAIRN_LOG_APPEND;
    return rc == CAIRN_OK ? cairn_log_open(&open, &migration->to, err) : rc;
}

/* What is in --to must have come from --from; said before anything is written. */
static enum cairn_rc check_target(struct migration *migration, struct cairn_err *err)
{
    struct cairn_log_compare compare = {.part = migration->to,
                                        .whole = migration->from,
                                        .stop = &migration->stop,
                                        .what = "events were there"};
    struct cairn_store_stats stats = {0};
    enum cairn_rc rc = cairn_store_stats(migration->to, &stats, err);
    if (rc == CAIRN_OK && stats.events > 0) {
        rc = cairn_log_compare(&compare, err);
    }
    return rc == CAIRN_ECONFLICT
               ? cairn_err_wrap(err, rc, "--to is neither empty nor a copy of --from")
               : rc;
}

/* Why a lane cannot be written after so long, as an error; OK: it may yet come. */
static enum cairn_rc give_up(struct cairn_store *to, uint16_t lane, int64_t waited_ns,
                             struct cairn_err *err)
{
    struct cairn_owner owner;
    cairn_store_owner(to, lane, &owner);
    if (owner.where == CAIRN_OWNER_ELSEWHERE && waited_ns > OWNED_WAIT_MS * NS_PER_MS) {
        return CAIRN_FAIL(err, CAIRN_ENOOWNER,
                          "--to is served by the node at %s: end all that serve it", owner.url);
    }
    return waited_ns > LANE_WAIT_MS * NS_PER_MS
               ? cairn_err_wrap(err, err->rc, "cannot write all of --to")
               : CAIRN_OK;
}

/* A lane is taken a moment after the store was announced. */
static enum cairn_rc take_lanes(struct migration *migration, struct cairn_err *err)
{
    const struct cairn_clock *clock = cairn_clock_system();
    int64_t began_ns = cairn_clock_monotonic_ns(clock);
    enum cairn_rc rc = cairn_store_announce(migration->to, "", err);
    for (uint16_t lane = 0; rc == CAIRN_OK && lane < cairn_store_lanes(migration->to);) {
        uint64_t term = 0;
        if (cairn_store_begin(migration->to, lane, &term, err) == CAIRN_OK) {
            lane++;
        } else if (cairn_stop_came(&migration->stop, LANE_PAUSE_MS)) {
            rc = CAIRN_FAIL(err, CAIRN_ESTOPPED, "ended by a signal");
        } else {
            rc = give_up(migration->to, lane, cairn_clock_monotonic_ns(clock) - began_ns, err);
        }
    }
    return rc;
}

/* ---- the comparison ---- */

/* On Kafka what was written is read back from the topics: the replica was fed by this process. */
static enum cairn_rc open_check(struct migration *migration, struct cairn_err *err)
{
    struct cairn_log_open open = {.config = migration->config,
                                  .domain = migration->base.domain,
                                  .log = migration->base.log,
                                  .place = migration->to_place,
                                  .flag = "--to",
                                  .data = migration->check,
                                  .kind = CAIRN_LOG_FOLLOW};
    cairn_store_close(migration->to);
    migration->to = NULL;
    enum cairn_rc rc = cairn_file_remove_tree(migration->check, err);
    rc = rc == CAIRN_OK ? cairn_file_make_folder(migration->check, err) : rc;
    return rc == CAIRN_OK ? cairn_log_open(&open, &migration->to, err) : rc;
}

/* What came to --from meanwhile differs rightly, if the comparison has met it: it tells nothing
 * about the rest. rc: what the comparison came to. */
static enum cairn_rc check_growth(struct migration *migration, enum cairn_rc rc,
                                  struct cairn_err *err)
{
    struct cairn_position end;
    struct cairn_err why;
    enum cairn_rc looked = cairn_store_end(migration->from, &end, &why);
    uint64_t grown = looked == CAIRN_OK ? cairn_position_lag(&migration->from_end, &end) : 0;
    if (grown > 0) {
        return CAIRN_FAIL(err, CAIRN_EBUSY,
                          "--from got %" PRIu64 " events meanwhile: end what writes it", grown);
    }
    if (rc == CAIRN_OK && looked != CAIRN_OK) {
        *err = why;
        return looked;
    }
    return rc;
}

static enum cairn_rc compare(struct migration *migration, struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    if (cairn_log_place_is_kafka(migration->to_place)) {
        rc = open_check(migration, err);
    }
    struct cairn_log_compare compare = {.part = migration->from,
                                        .whole = migration->to,
                                        .stop = &migration->stop,
                                        .what = "events compared"};
    rc = rc == CAIRN_OK ? cairn_log_compare_all(&compare, err) : rc;
    if (rc == CAIRN_ECONFLICT) {
        rc = cairn_err_wrap(err, CAIRN_ECORRUPT, "--to is not the same as --from");
    }
    return rc == CAIRN_OK || rc == CAIRN_ECORRUPT ? check_growth(migration, rc, err) : rc;
}

/* ---- the verb ---- */

static enum cairn_rc migrate(struct migration *migration, struct cairn_err *err)
{
    struct cairn_store_stats stats = {0};
    uint64_t written = 0;
    enum cairn_rc rc = open_both(migration, err);
    rc = rc == CAIRN_OK ? cairn_store_stats(migration->from, &stats, err) : rc;
    rc = rc == CAIRN_OK ? check_target(migration, err) : rc;
    rc = rc == CAIRN_OK ? take_lanes(migration, err) : rc;
    if (rc == CAIRN_OK) {
        migration->moving = true;
        const struct cairn_log_copy copy = {
            .from = migration->from, .to = migration->to, .stop = &migration->stop};
        rc = cairn_log_copy(&copy, &written, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("moved %" PRIu64 " events, %" PRIu64 " were there already\n", written,
                     stats.events - written);
        (void)fflush(stdout);
        rc = compare(migration, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("compared %" PRIu64 " events: the same\n", stats.events);
    }
    return rc;
}

static void close_both(struct migration *migration)
{
    struct cairn_err err = {.rc = CAIRN_OK};
    cairn_store_close(migration->to);
    cairn_store_close(migration->from);
    if (migration->check[0] != '\0' && cairn_file_remove_tree(migration->check, &err) != CAIRN_OK) {
        cairn_log_error(migration->base.log, CAIRN_LOG_WARN, "migrate", "not removed", &err);
    }
    cairn_base_close(&migration->base);
}

int cairn_verb_migrate(const struct cairn_config *config, struct cairn_err *err)
{
    struct migration migration = {.config = config};
    cairn_stop_begin(&migration.stop);
    enum cairn_rc rc = find_places(&migration, err);
    rc = rc == CAIRN_OK
             ? cairn_base_open(config, cairn_config_operand(config, 0), &migration.base, err)
             : rc;
    rc = rc == CAIRN_OK ? migrate(&migration, err) : rc;
    close_both(&migration);
    if (migration.moving && cairn_err_info(rc)->retry == CAIRN_RETRY_LATER) {
        rc = cairn_err_wrap(err, rc, "not done, run the same command again to go on");
    }
    return rc == CAIRN_OK ? 0 : 1;
}
