/* Topics are read a partition at a time, so that what must be remembered is that of one partition:
 * a stream lies in no other. */
#include "eventstore/kafka_verify.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "eventstore/kafka_admin.h"
#include "eventstore/kafka_description.h"
#include "eventstore/kafka_tail.h"
#include "eventstore/replica.h"
#include "platform/hash.h"
#include "platform/map.h"
#include "platform/mem.h"

enum {
    ANSWER_MS = 10000,   /* of the cluster, to one question */
    SLICE_MS = 1000,     /* so often it is looked whether reading goes on */
    IDLE_SLICES_MAX = 30 /* in which nothing came */
};
/* Streams in memory at once. */
#define STREAMS_MAX     ((uint64_t)1 << 21)
#define COMPARE_EVENTS  1024u
#define PROGRESS_EVENTS 65536u
#define PLACE_SIZE      (CAIRN_KAFKA_TOPIC_NAME_MAX + 64)

/* The partition that is read. The tail's thread has it between start and stop. */
struct part {
    uint16_t number;
    uint32_t pass, passes;               /* over classes of streams */
    uint64_t next;                       /* number of the event that comes next, from 1 */
    uint64_t held;                       /* the number of the replica's last event when all began */
    struct cairn_map versions;           /* stream -> version, of this pass's class */
    struct cairn_backend_reader *reader; /* of the replica; NULL: nothing to compare, or no more */
    struct cairn_batch batch;            /* of the reader's */
    size_t at;                           /* in batch */
};

struct check {
    const struct cairn_kafka_verify_options *options;
    const struct cairn_verify_hooks *hooks; /* may be NULL */
    struct cairn_kafka_layout layout;
    struct cairn_backend *replica; /* NULL: there is none to compare with */
    struct cairn_kafka_tail *tail; /* NULL: to be made */
    struct part part;
    uint64_t *highs, *held; /* of each partition: Kafka offset, and the replica's last event */
    uint64_t all;           /* records to read, markers included */
    _Atomic uint64_t read;  /* events */
    struct cairn_kafka_verify_report report;
};

/* ---- faults ---- */

static void name_part(const struct check *check, char out[PLACE_SIZE])
{
    char topic[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    uint16_t lanes = check->layout.lanes;
    cairn_kafka_layout_topic_name(&check->layout, check->part.number / lanes, topic);
    (void)snprintf(out, PLACE_SIZE, "topic %s, partition %u", topic,
                   (unsigned)(check->part.number % lanes));
}

static void fault(struct check *check, const char *place, const char *text)
{
    check->report.faults++;
    if (check->hooks != NULL && check->hooks->fault != NULL) {
        check->hooks->fault(check->hooks->self, place, text);
    }
}

static void fault_at(struct check *check, uint64_t number, const char *text)
{
    char place[PLACE_SIZE];
    name_part(check, place);
    size_t used = strlen(place);
    (void)snprintf(place + used, sizeof(place) - used, ", event %llu", (unsigned long long)number);
    fault(check, place, text);
}

/* The tail has ended: its text begins with the place. */
static void fault_told(struct check *check, const char *told)
{
    char place[PLACE_SIZE];
    name_part(check, place);
    size_t size = strlen(place);
    bool named = strncmp(told, place, size) == 0 && strncmp(told + size, ": ", 2) == 0;
    fault(check, place, named ? told + size + 2 : told);
}

/* ---- an event against the replica's ---- */

static void stop_comparing(struct part *part, struct check *check)
{
    if (part->reader != NULL) {
        check->replica->ops->reader_close(part->reader);
        part->reader = NULL;
    }
}

/* The replica's next event; NULL where it can be compared no more. */
static enum cairn_rc next_held(struct check *check, const struct cairn_event **ret_event,
                               struct cairn_err *err)
{
    struct part *part = &check->part;
    *ret_event = NULL;
    if (part->at == part->batch.count) {
        part->at = 0;
        part->batch.count = 0;
        enum cairn_rc rc =
            check->replica->ops->reader_next(part->reader, COMPARE_EVENTS, &part->batch, err);
        if (rc == CAIRN_ECORRUPT) {
            fault_at(check, part->next, err->text);
            stop_comparing(part, check);
        }
        if (rc != CAIRN_OK) {
            return rc == CAIRN_ECORRUPT ? CAIRN_OK : rc;
        }
    }
    if (part->at < part->batch.count) {
        *ret_event = &part->batch.events[part->at++];
    }
    return CAIRN_OK;
}

static enum cairn_rc compare(struct check *check, const struct cairn_event *event,
                             struct cairn_err *err)
{
    struct part *part = &check->part;
    const struct cairn_event *held = NULL;
    char text[128];
    enum cairn_rc rc = next_held(check, &held, err);
    if (rc != CAIRN_OK || held == NULL) {
        return rc;
    }
    const char *difference = cairn_event_difference(event, held);
    if (difference == NULL) {
        check->report.compared++;
    } else if (memcmp(&held->id, &event->id, sizeof(event->id)) != 0) {
        /* Events may be missing or too many; what follows would differ without telling more. */
        fault_at(check, part->next, "the replica holds another event here, and may from here on");
        stop_comparing(part, check);
    } else {
        (void)snprintf(text, sizeof(text), "the replica holds the event with another %s",
                       difference);
        fault_at(check, part->next, text);
    }
    return CAIRN_OK;
}

/* ---- what the tail delivers ---- */

static bool is_of_pass(const struct part *part, struct cairn_slice stream)
{
    return part->passes == 1 || (cairn_hash64(stream) >> 40) % part->passes == part->pass;
}

/* A command's events follow on one another, so its first one tells. */
static enum cairn_rc check_version(struct check *check, const struct cairn_append *append,
                                   struct cairn_err *err)
{
    struct part *part = &check->part;
    if (!is_of_pass(part, append->stream)) {
        return CAIRN_OK;
    }
    char text[CAIRN_STREAM_BYTES_MAX + 128];
    union cairn_map_value *version = cairn_map_put(&part->versions, append->stream, NULL);
    if (version == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for the versions of a partition's streams");
    }
    check->report.streams += version->number == 0;
    if (append->events[0].version != version->number + 1) {
        (void)snprintf(text, sizeof(text), "version %llu of %.*s follows version %llu",
                       (unsigned long long)append->events[0].version,
                       CAIRN_SLICE_ARG(append->stream), (unsigned long long)version->number);
        fault_at(check, part->next, text);
    }
    version->number = append->actual_version;
    return CAIRN_OK;
}

static void check_place(struct check *check, struct cairn_slice stream)
{
    uint16_t partition = 0;
    if (cairn_kafka_layout_find(&check->layout, stream, &partition) != CAIRN_OK ||
        partition != check->part.number) {
        char text[CAIRN_STREAM_BYTES_MAX + 64];
        (void)snprintf(text, sizeof(text), "%.*s belongs to another partition",
                       CAIRN_SLICE_ARG(stream));
        fault_at(check, check->part.next, text);
    }
}

static enum cairn_rc check_append(struct check *check, const struct cairn_append *append,
                                  struct cairn_err *err)
{
    struct part *part = &check->part;
    enum cairn_rc rc = check_version(check, append, err);
    if (part->pass == 0) {
        check->report.commands++;
        check->report.events += append->count;
        check_place(check, append->stream);
    }
    for (uint16_t i = 0; rc == CAIRN_OK && i < append->count; i++) {
        if (part->reader != NULL && part->next <= part->held) {
            rc = compare(check, &append->events[i], err);
        }
        part->next++;
    }
    return rc;
}

static enum cairn_rc deliver(void *self, const struct cairn_kafka_delivery *delivery,
                             struct cairn_err *err)
{
    struct check *check = self;
    assert(delivery->partition == check->part.number);
    enum cairn_rc rc = CAIRN_OK;
    uint64_t before = check->read;
    for (size_t i = 0; rc == CAIRN_OK && i < delivery->count; i++) {
        rc = check_append(check, &delivery->appends[i], err);
        check->read += delivery->appends[i].count;
    }
    if (check->hooks != NULL && check->hooks->progress != NULL &&
        before / PROGRESS_EVENTS != check->read / PROGRESS_EVENTS) {
        check->hooks->progress(check->hooks->self, check->read, check->all);
    }
    return rc;
}

/* Whoever waits for the partition is told the same. */
static void pass_over(void *self, const struct cairn_err *err)
{
    (void)self;
    assert(err->rc != CAIRN_OK);
}

/* ---- a partition ---- */

static enum cairn_rc open_tail(struct check *check, struct cairn_err *err)
{
    if (check->tail != NULL) {
        return CAIRN_OK;
    }
    const struct cairn_kafka_tail_options options = {.kafka = check->options->kafka,
                                                     .layout = &check->layout,
                                                     .deliver = deliver,
                                                     .failed = pass_over,
                                                     .self = check};
    return cairn_kafka_tail_new(&options, &check->tail, err);
}

/* Until the partition was read to where it ended at first. */
static enum cairn_rc await(struct check *check, struct cairn_err *err)
{
    uint16_t number = check->part.number;
    uint64_t before = UINT64_MAX;
    for (int idle = 0; idle < IDLE_SLICES_MAX; idle++) {
        enum cairn_rc rc =
            cairn_kafka_tail_reach(check->tail, number, check->highs[number], SLICE_MS, err);
        uint64_t now = check->read;
        if (rc != CAIRN_ETIMEDOUT) {
            return rc;
        }
        idle = now != before ? 0 : idle;
        before = now;
    }
    return CAIRN_ETIMEDOUT; /* err says how far it was read */
}

/* Once from the beginning. *ret_whole: to the end. */
static enum cairn_rc read_once(struct check *check, bool *ret_whole, struct cairn_err *err)
{
    struct part *part = &check->part;
    part->next = 1;
    *ret_whole = false;
    enum cairn_rc rc = open_tail(check, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_tail_start(check->tail, part->number, 0, err);
    }
    if (rc == CAIRN_OK) {
        rc = await(check, err);
        cairn_kafka_tail_stop(check->tail, part->number);
    }
    *ret_whole = rc == CAIRN_OK;
    if (rc == CAIRN_ECORRUPT) {
        /* It has ended by itself, and for all partitions. */
        cairn_kafka_tail_free(check->tail);
        check->tail = NULL;
        if (part->pass == 0) {
            fault_told(check, err->text);
        }
        return CAIRN_OK;
    }
    return rc;
}

static enum cairn_rc begin_comparing(struct check *check, struct cairn_err *err)
{
    struct part *part = &check->part;
    const struct cairn_resume from = {0, 0};
    if (part->held == 0) {
        return CAIRN_OK;
    }
    enum cairn_rc rc =
        check->replica->ops->reader_open(check->replica, part->number, 0, from, &part->reader, err);
    if (rc == CAIRN_ECORRUPT) {
        fault_told(check, err->text);
        return CAIRN_OK;
    }
    return rc;
}

static void end_comparing(struct check *check, bool whole)
{
    struct part *part = &check->part;
    if (whole && part->reader != NULL && part->next <= part->held) {
        char text[128];
        unsigned long long more = part->held + 1 - part->next;
        (void)snprintf(text, sizeof(text), "the replica holds %llu events that the topic has not",
                       more);
        fault_at(check, part->next, text);
    }
    stop_comparing(part, check);
}

static uint32_t passes_of(uint64_t high)
{
    return (uint32_t)(high / STREAMS_MAX) + 1;
}

static enum cairn_rc check_part(struct check *check, uint16_t number, struct cairn_err *err)
{
    struct part *part = &check->part;
    bool whole = false;
    *part = (struct part){.number = number,
                          .passes = passes_of(check->highs[number]),
                          .held = check->held[number],
                          .versions = {.max = 4 * STREAMS_MAX}};
    enum cairn_rc rc = begin_comparing(check, err);
    for (; rc == CAIRN_OK && part->pass < part->passes; part->pass++) {
        rc = read_once(check, &whole, err);
        end_comparing(check, whole && rc == CAIRN_OK);
        cairn_map_clear(&part->versions);
    }
    stop_comparing(part, check);
    cairn_map_fini(&part->versions);
    return rc;
}

/* ---- the whole ---- */

/* Asked before it is read: a reader waits for a topic that is not there. */
static enum cairn_rc find_control(const struct cairn_kafka_options *kafka, const char *name,
                                  struct cairn_err *err)
{
    struct cairn_kafka_topic control = {.control = true};
    struct cairn_kafka_admin *admin = NULL;
    uint16_t brokers = 0;
    (void)snprintf(control.name, sizeof(control.name), "%s", name);
    enum cairn_rc rc = cairn_kafka_admin_new(kafka, ANSWER_MS, &admin, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_admin_look(admin, &control, 1, false, &brokers, err);
    }
    cairn_kafka_admin_free(admin);
    return rc == CAIRN_OK && !control.found
               ? CAIRN_FAIL(err, CAIRN_ENOENT, "there is no topic %s: no log was made here", name)
               : rc;
}

static enum cairn_rc read_layout(struct check *check, struct cairn_err *err)
{
    const struct cairn_kafka_options *kafka = &check->options->kafka;
    char topic[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    bool found = false;
    (void)snprintf(topic, sizeof(topic), "%.*s" CAIRN_KAFKA_CONTROL_SUFFIX,
                   CAIRN_SLICE_ARG(kafka->domain));
    enum cairn_rc rc = find_control(kafka, topic, err);
    if (rc == CAIRN_OK) {
        rc = cairn_kafka_description_read(kafka, topic, ANSWER_MS, &found, &check->layout, err);
    }
    return rc != CAIRN_OK || found
               ? rc
               : CAIRN_FAIL(err, CAIRN_ENOENT, "topic %s describes no log: none was made", topic);
}

static bool is_of_log(const struct check *check)
{
    unsigned char id[CAIRN_LOG_ID_BYTES];
    const struct cairn_backend *replica = check->replica;
    replica->ops->identity(replica, id);
    return memcmp(id, check->layout.log_id, sizeof(id)) == 0 &&
           replica->ops->lanes(replica) == check->layout.lanes &&
           replica->ops->partitions(replica) <= cairn_kafka_layout_partitions(&check->layout);
}

static enum cairn_rc open_replica(struct check *check, struct cairn_err *err)
{
    const struct cairn_store_options options = {.data_folder = check->options->data_folder,
                                                .domain = check->options->kafka.domain,
                                                .clock = cairn_clock_system(),
                                                .log_lines = check->options->kafka.log_lines};
    enum cairn_rc rc = cairn_replica_open(&options, NULL, &check->replica, err);
    check->report.replica = rc != CAIRN_ENOENT;
    if (rc == CAIRN_ECORRUPT) {
        fault(check, options.data_folder, err->text);
    } else if (rc == CAIRN_OK && !is_of_log(check)) {
        fault(check, options.data_folder, "the replica is that of another log");
        check->replica->ops->close(check->replica);
        check->replica = NULL;
    }
    return rc == CAIRN_ENOENT || rc == CAIRN_ECORRUPT ? CAIRN_OK : rc;
}

/* The replica's ends before those of the topics: what it holds by then they must have. */
static enum cairn_rc measure(struct check *check, struct cairn_err *err)
{
    uint16_t count = cairn_kafka_layout_partitions(&check->layout);
    uint16_t replicated =
        check->replica == NULL ? 0 : check->replica->ops->partitions(check->replica);
    check->highs = cairn_mem_zalloc(count, sizeof(*check->highs));
    check->held = cairn_mem_zalloc(count, sizeof(*check->held));
    if (check->highs == NULL || check->held == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory to verify topics");
    }
    for (uint16_t p = 0; p < replicated; p++) {
        check->held[p] = check->replica->ops->end(check->replica, p);
    }
    enum cairn_rc rc = open_tail(check, err);
    for (uint16_t p = 0; rc == CAIRN_OK && p < count; p++) {
        rc = cairn_kafka_tail_high(check->tail, p, ANSWER_MS, &check->highs[p], err);
        check->all += check->highs[p] * passes_of(check->highs[p]);
    }
    return rc;
}

static enum cairn_rc run(struct check *check, struct cairn_err *err)
{
    enum cairn_rc rc = read_layout(check, err);
    rc = rc == CAIRN_OK ? open_replica(check, err) : rc;
    rc = rc == CAIRN_OK ? measure(check, err) : rc;
    check->report.topics = check->layout.topic_count;
    check->report.lanes = check->layout.lanes;
    uint16_t count = rc == CAIRN_OK ? cairn_kafka_layout_partitions(&check->layout) : 0;
    for (uint16_t p = 0; rc == CAIRN_OK && p < count; p++) {
        rc = check_part(check, p, err);
    }
    return rc;
}

enum cairn_rc cairn_kafka_verify(const struct cairn_kafka_verify_options *options,
                                 const struct cairn_verify_hooks *hooks,
                                 struct cairn_kafka_verify_report *ret_report,
                                 struct cairn_err *err)
{
    assert(options->data_folder != NULL && options->kafka.domain.size > 0);
    struct check *check = cairn_mem_zalloc(1, sizeof(*check));
    if (check == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory to verify topics");
    }
    check->options = options;
    check->hooks = hooks;
    enum cairn_rc rc = run(check, err);
    cairn_kafka_tail_free(check->tail);
    if (check->replica != NULL) {
        check->replica->ops->close(check->replica);
    }
    cairn_mem_free(check->highs);
    cairn_mem_free(check->held);
    if (rc == CAIRN_OK) {
        *ret_report = check->report;
        if (check->report.faults > 0) {
            rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "the topics of %.*s: %llu faults",
                            CAIRN_SLICE_ARG(options->kafka.domain),
                            (unsigned long long)check->report.faults);
        }
    }
    cairn_mem_free(check);
    return rc;
}
