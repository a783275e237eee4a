/* The log on Kafka, behind the backend interface: topics are the truth, the replica is what is
 * read. */
#include <assert.h>
#include <stdio.h>

#include "eventstore/files_int.h"
#include "eventstore/kafka_int.h"
#include "eventstore/kafka_topics.h"
#include "eventstore/store_deliver.h"
#include "eventstore/store_int.h"
#include "eventstore/store_owner.h"
#include "platform/file.h"
#include "platform/mem.h"
#include "platform/uuid.h"

#define CLUSTER_TIMEOUT_MS 10000
/* A start that reads a long log looks this often whether the tail has failed. */
#define CATCH_UP_SLICE_MS 2000
/* How long those who lead the partitions may take to answer. */
#define PROBE_MS 1000

static struct cairn_kafka *kafka_of(struct cairn_backend *backend)
{
    return (struct cairn_kafka *)backend;
}

static const struct cairn_kafka *kafka_in(const struct cairn_backend *backend)
{
    return (const struct cairn_kafka *)backend;
}

/* ---- what the replica answers ---- */

static uint16_t partitions_of(const struct cairn_backend *backend)
{
    return cairn_kafka_layout_partitions(&kafka_in(backend)->layout);
}

static uint16_t lanes_of(const struct cairn_backend *backend)
{
    return kafka_in(backend)->layout.lanes;
}

static enum cairn_rc find(const struct cairn_backend *backend, struct cairn_slice stream,
                          uint16_t *ret_partition)
{
    return cairn_kafka_layout_find(&kafka_in(backend)->layout, stream, ret_partition);
}

static void identity_of(const struct cairn_backend *backend,
                        unsigned char ret_id[CAIRN_LOG_ID_BYTES])
{
    memcpy(ret_id, kafka_in(backend)->layout.log_id, CAIRN_LOG_ID_BYTES);
}

static enum cairn_rc recover(struct cairn_backend *backend, uint16_t partition,
                             struct cairn_resume known, bool *ret_known_good, struct cairn_err *err)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    return replica->ops->recover(replica, partition, known, ret_known_good, err);
}

static void publish(struct cairn_backend *backend, uint16_t partition, uint64_t end)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    replica->ops->publish(replica, partition, end);
}

static uint64_t end_of(const struct cairn_backend *backend, uint16_t partition)
{
    const struct cairn_backend *replica = kafka_in(backend)->replica;
    return replica->ops->end(replica, partition);
}

static enum cairn_rc wait_for(struct cairn_backend *backend, const struct cairn_position *seen,
                              int timeout_ms, bool *ret_more, struct cairn_err *err)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    return replica->ops->wait(replica, seen, timeout_ms, ret_more, err);
}

static void wake(struct cairn_backend *backend)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    replica->ops->wake(replica);
}

/* A reader is the replica's own: what it was opened by is all it needs. */
static enum cairn_rc reader_open(struct cairn_backend *backend, uint16_t partition, uint64_t after,
                                 struct cairn_resume from, struct cairn_backend_reader **ret_reader,
                                 struct cairn_err *err)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    return replica->ops->reader_open(replica, partition, after, from, ret_reader, err);
}

static enum cairn_rc read_append(struct cairn_backend *backend, uint16_t partition,
                                 uint64_t locator, uint16_t count, struct cairn_arena *arena,
                                 struct cairn_event *ret_events, struct cairn_err *err)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    return replica->ops->read_append(replica, partition, locator, count, arena, ret_events, err);
}

static enum cairn_rc replicate(struct cairn_backend *backend, struct cairn_commit *commit,
                               uint64_t source, struct cairn_err *err)
{
    return cairn_replica_append(kafka_of(backend)->replica, commit, source, err);
}

static enum cairn_rc sync_replica(struct cairn_backend *backend, struct cairn_err *err)
{
    return cairn_replica_sync(kafka_of(backend)->replica, err);
}

static enum cairn_rc stats_of(struct cairn_backend *backend, struct cairn_store_stats *ret_stats,
                              struct cairn_err *err)
{
    struct cairn_backend *replica = kafka_of(backend)->replica;
    return replica->ops->stats(replica, ret_stats, err);
}

/* ---- following ---- */

static enum cairn_rc deliver(void *self, const struct cairn_kafka_delivery *delivery,
                             struct cairn_err *err)
{
    struct cairn_kafka *kafka = self;
    struct cairn_delivery given = {.partition = delivery->partition,
                                   .appends = delivery->appends,
                                   .count = delivery->count,
                                   .source = delivery->source};
    return cairn_store_deliver(kafka->store, &given, err);
}

/* The log cannot be followed any further: an answer could be from an older state without anybody
 * knowing, so nothing is accepted any more. */
static void tail_failed(void *self, const struct cairn_err *why)
{
    struct cairn_kafka *kafka = self;
    cairn_store_stop(kafka->store, why);
}

/* Up to where the log is now; a long one takes as long as it takes. */
static enum cairn_rc catch_up(struct cairn_kafka *kafka, struct cairn_err *err)
{
    uint16_t partitions = cairn_kafka_layout_partitions(&kafka->layout);
    for (uint16_t p = 0; p < partitions; p++) {
        uint64_t high = 0;
        enum cairn_rc rc = cairn_kafka_tail_high(kafka->tail, p, CLUSTER_TIMEOUT_MS, &high, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        uint64_t before = cairn_replica_source(kafka->replica, p);
        for (;;) {
            rc = cairn_kafka_tail_reach(kafka->tail, p, high, CATCH_UP_SLICE_MS, err);
            uint64_t now = cairn_replica_source(kafka->replica, p);
            if (rc != CAIRN_ETIMEDOUT) {
                break;
            }
            cairn_log_event(kafka->log_lines, CAIRN_LOG_INFO, "kafka",
                            now > before ? "reading-the-log" : "waiting-for-the-log",
                            CAIRN_F_UINT("partition", p), CAIRN_F_UINT("offset", now),
                            CAIRN_F_UINT("of", high));
            before = now;
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc start(struct cairn_backend *backend, struct cairn_store *store,
                           struct cairn_err *err)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    kafka->store = store;
    struct cairn_kafka_tail_options tail = {.kafka = kafka->options,
                                            .layout = &kafka->layout,
                                            .deliver = deliver,
                                            .failed = tail_failed,
                                            .self = kafka};
    enum cairn_rc rc = cairn_kafka_tail_new(&tail, &kafka->tail, err);
    for (uint16_t p = 0; rc == CAIRN_OK && p < partitions_of(backend); p++) {
        rc = cairn_kafka_tail_start(kafka->tail, p, cairn_replica_source(kafka->replica, p), err);
    }
    return rc == CAIRN_OK ? catch_up(kafka, err) : rc;
}

/* ---- owning ---- */

static enum cairn_rc announce(struct cairn_backend *backend, const char *url, struct cairn_err *err)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    struct cairn_kafka_control_options control = {.kafka = kafka->options,
                                                  .layout = &kafka->layout,
                                                  .node = kafka->node,
                                                  .url = url,
                                                  .ids = kafka->ids,
                                                  .candidate = kafka->appends,
                                                  .clock = kafka->clock,
                                                  .take = cairn_kafka_lane_take,
                                                  .serve = cairn_kafka_lane_serve,
                                                  .stop = cairn_kafka_lane_stop,
                                                  .self = kafka};
    assert(kafka->control == NULL);
    return cairn_kafka_control_open(&control, &kafka->control, err);
}

static void owner(struct cairn_backend *backend, uint16_t lane, struct cairn_owner *ret_owner)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    struct cairn_owner answer = {.where = CAIRN_OWNER_NONE};
    if (kafka->control != NULL) {
        struct cairn_lane_owner known;
        cairn_kafka_control_owner(kafka->control, lane, &known);
        if (known.state == CAIRN_LANE_OWNED) {
            answer.where = known.mine ? CAIRN_OWNER_HERE : CAIRN_OWNER_ELSEWHERE;
        }
        answer.claimed = known.state == CAIRN_LANE_CLAIMED;
        answer.term = known.term;
        answer.since_us = known.since_us;
        memcpy(answer.node, known.node, sizeof(answer.node));
        memcpy(answer.url, known.url, sizeof(answer.url));
    }
    *ret_owner = answer;
}

static const char *node_of(const struct cairn_backend *backend)
{
    return kafka_in(backend)->node;
}

/* Beats are written and read back, which is what a command needs. Without them, before the node has
 * joined or where it only follows, the leaders are asked. */
static enum cairn_rc reachable(struct cairn_backend *backend, struct cairn_err *err)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    char trouble[CAIRN_KAFKA_TROUBLE_MAX];
    if (kafka->control == NULL || !kafka->appends) {
        return cairn_kafka_tail_probe(kafka->tail, PROBE_MS, err);
    }
    int64_t silence_ms = cairn_kafka_control_silence_ms(kafka->control, trouble);
    return silence_ms <= CAIRN_KAFKA_SILENCE_MS_MAX
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_EUNREACHABLE,
                            "the cluster has not taken a beat of this node for %lld ms%s%s",
                            (long long)silence_ms, trouble[0] == '\0' ? "" : ": ", trouble);
}

/* ---- closing and opening ---- */

/* Before the store lets go of its index: gives up the lanes, ends the tail. */
static void stop(struct cairn_backend *backend)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    cairn_kafka_control_close(kafka->control);
    kafka->control = NULL;
    cairn_kafka_tail_free(kafka->tail);
    kafka->tail = NULL;
}

static void close_kafka(struct cairn_backend *backend)
{
    struct cairn_kafka *kafka = kafka_of(backend);
    if (kafka == NULL) {
        return;
    }
    stop(backend);
    for (uint16_t i = 0; kafka->lanes != NULL && i < kafka->layout.lanes; i++) {
        struct cairn_kafka_lane *lane = &kafka->lanes[i];
        assert(!lane->busy);
        cairn_kafka_writer_close(lane->writer);
        cairn_arena_fini(&lane->arena);
        (void)pthread_cond_destroy(&lane->idle);
        (void)pthread_mutex_destroy(&lane->lock);
    }
    if (kafka->replica != NULL) {
        kafka->replica->ops->close(kafka->replica);
    }
    cairn_mem_free(kafka->lanes);
    cairn_mem_free(kafka->properties);
    cairn_mem_free(kafka->brokers);
    cairn_mem_free(kafka);
}

static const struct cairn_backend_ops kafka_ops = {
    .name = "kafka",
    .close = close_kafka,
    .partitions = partitions_of,
    .lanes = lanes_of,
    .find = find,
    .identity = identity_of,
    .recover = recover,
    .start = start,
    .stop = stop,
    .announce = announce,
    .owner = owner,
    .reachable = reachable,
    .node = node_of,
    .begin = cairn_kafka_lane_begin,
    .commit = cairn_kafka_lane_commit,
    .publish = publish,
    .end = end_of,
    .wait = wait_for,
    .wake = wake,
    .reader_open = reader_open,
    .reader_next = cairn_files_reader_next,
    .reader_seek = cairn_files_reader_seek,
    .reader_close = cairn_files_reader_close,
    .read_append = read_append,
    .stats = stats_of,
    .replicate = replicate,
    .sync = sync_replica,
};

/* The node's name, drawn once for each data folder: a node that comes back gets its lanes back. */
static enum cairn_rc name_node(struct cairn_kafka *kafka, const char *data_folder,
                               struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_buf known = {.max = CAIRN_NODE_ID_MAX};
    enum cairn_rc rc = cairn_file_join(path, data_folder, "node");
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", data_folder);
    }
    if (!cairn_file_exists(path)) {
        char text[CAIRN_UUID_TEXT_SIZE];
        struct cairn_uuid_source ids = {0};
        struct cairn_uuid id =
            cairn_uuid_next(&ids, cairn_clock_now_us(kafka->clock), cairn_random_system());
        cairn_uuid_format(&id, text);
        rc = cairn_file_replace(path, cairn_slice_of(text, sizeof(text)), err);
    }
    rc = rc == CAIRN_OK ? cairn_file_read(path, &known, err) : rc;
    if (rc == CAIRN_OK) {
        (void)snprintf(kafka->node, sizeof(kafka->node), "%.*s",
                       CAIRN_SLICE_ARG(cairn_buf_slice(&known)));
    }
    cairn_buf_fini(&known);
    return rc;
}

static enum cairn_rc make_lanes(struct cairn_kafka *kafka, struct cairn_err *err)
{
    kafka->lanes = cairn_mem_zalloc(kafka->layout.lanes, sizeof(*kafka->lanes));
    if (kafka->lanes == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
    }
    for (uint16_t i = 0; i < kafka->layout.lanes; i++) {
        struct cairn_kafka_lane *lane = &kafka->lanes[i];
        lane->kafka = kafka;
        lane->number = i;
        lane->arena.max = 4 * (size_t)CAIRN_GROUP_BYTES_MAX;
        (void)pthread_mutex_init(&lane->lock, NULL);
        (void)pthread_cond_init(&lane->idle, NULL);
    }
    return CAIRN_OK;
}

static void choose_formats(struct cairn_kafka *kafka, const struct cairn_store_options *options)
{
    for (size_t i = 0; options->json != NULL && i < options->aggregate_count; i++) {
        int topic = cairn_kafka_layout_topic(&kafka->layout, options->aggregates[i]);
        assert(topic >= 0);
        kafka->json[topic] = options->json[i];
    }
}

static enum cairn_rc open_topics(struct cairn_kafka *kafka,
                                 const struct cairn_store_options *options, struct cairn_err *err)
{
    struct cairn_kafka_topics_options topics = {.kafka = kafka->options,
                                                .aggregates = options->aggregates,
                                                .aggregate_count = options->aggregate_count,
                                                .lanes = options->partitions,
                                                .new_lanes = options->new_partitions,
                                                .replication = options->replication,
                                                .create = options->appends,
                                                .timeout_ms = CLUSTER_TIMEOUT_MS};
    enum cairn_rc rc = cairn_kafka_topics_open(&topics, &kafka->layout, err);
    if (rc == CAIRN_OK) {
        kafka->options.domain = cairn_slice_str(kafka->layout.domain);
        choose_formats(kafka, options);
    }
    return rc;
}

/* Before the cluster is asked, let alone written: is the folder this domain's, and free? What is
 * refused here would make topics, or throw a replica away, on a slip of the operator's hand. The
 * replica's lock is only tried; it is taken for good with the replica. */
static enum cairn_rc check_folder(const struct cairn_store_options *options, struct cairn_err *err)
{
    char folder[CAIRN_PATH_MAX];
    char path[CAIRN_PATH_MAX];
    struct cairn_log_head head;
    struct cairn_file_lock lock = {.fd = -1};
    enum cairn_rc rc = cairn_files_refuse_other(options->data_folder, CAIRN_LOG_FOLDER,
                                                "an embedded log", "files", err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (cairn_file_join(folder, options->data_folder, CAIRN_REPLICA_FOLDER) != CAIRN_OK ||
        cairn_file_join(path, folder, "lock") != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s: the path is too long", options->data_folder);
    }
    rc = cairn_file_make_folder(folder, err);
    rc = rc == CAIRN_OK ? cairn_file_lock_open(path, &lock, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    /* One that does not read is thrown away later. */
    if (cairn_log_head_read(folder, &head, NULL) == CAIRN_OK &&
        !cairn_slice_is(options->domain, head.domain)) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL,
                        "%s holds the log of domain %s, not of %.*s: use another --data", folder,
                        head.domain, CAIRN_SLICE_ARG(options->domain));
    }
    cairn_file_lock_close(&lock);
    return rc;
}

static enum cairn_rc copy_options(struct cairn_kafka *kafka,
                                  const struct cairn_store_options *options, struct cairn_err *err)
{
    const char *brokers = options->log + strlen(CAIRN_LOG_KAFKA_PREFIX);
    const char *properties = options->kafka_properties;
    kafka->brokers = cairn_mem_strndup(brokers, strlen(brokers));
    kafka->properties =
        properties == NULL ? NULL : cairn_mem_strndup(properties, strlen(properties));
    if (kafka->brokers == NULL || (properties != NULL && kafka->properties == NULL)) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
    }
    kafka->options = (struct cairn_kafka_options){
        .brokers = kafka->brokers,
        .properties = kafka->properties,
        .domain = options->domain, /* the layout's own, once that is read */
        .log_lines = options->log_lines,
    };
    return CAIRN_OK;
}

static enum cairn_rc open_replica(struct cairn_kafka *kafka,
                                  const struct cairn_store_options *options, struct cairn_err *err)
{
    const struct cairn_kafka_layout *layout = &kafka->layout;
    struct cairn_slice aggregates[CAIRN_KAFKA_TOPICS_MAX];
    struct cairn_replica replica = {
        .lanes = layout->lanes, .aggregate_count = layout->topic_count, .aggregates = aggregates};
    for (uint16_t i = 0; i < layout->topic_count; i++) {
        aggregates[i] = cairn_slice_str(layout->aggregates[i]);
    }
    memcpy(replica.log_id, layout->log_id, sizeof(replica.log_id));
    return cairn_replica_open(options, &replica, &kafka->replica, err);
}

enum cairn_rc cairn_kafka_open(const struct cairn_store_options *options,
                               struct cairn_backend **ret_backend, struct cairn_err *err)
{
    assert(options->writer && options->log != NULL);
    struct cairn_kafka *kafka = cairn_mem_zalloc(1, sizeof(*kafka));
    if (kafka == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the log");
    }
    kafka->backend.ops = &kafka_ops;
    kafka->clock = options->clock == NULL ? cairn_clock_system() : options->clock;
    kafka->log_lines = options->log_lines;
    kafka->appends = options->appends;
    kafka->ids =
        options->transactional_ids == 0 ? CAIRN_KAFKA_IDS_DEFAULT : options->transactional_ids;
    enum cairn_rc rc = copy_options(kafka, options, err);
    rc = rc == CAIRN_OK ? check_folder(options, err) : rc;
    rc = rc == CAIRN_OK ? open_topics(kafka, options, err) : rc;
    rc = rc == CAIRN_OK ? open_replica(kafka, options, err) : rc;
    rc = rc == CAIRN_OK ? name_node(kafka, options->data_folder, err) : rc;
    rc = rc == CAIRN_OK ? make_lanes(kafka, err) : rc;
    if (rc != CAIRN_OK) {
        close_kafka(&kafka->backend);
        return rc;
    }
    *ret_backend = &kafka->backend;
    return CAIRN_OK;
}
