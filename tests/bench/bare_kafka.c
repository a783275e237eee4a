/* Bare librdkafka loops, as the baselines for Cairn on Kafka:
 *   bare_kafka append BROKERS TOPIC LANES IDS GROUP SECONDS
 *     Per lane one thread and one partition; IDS transactional ids take turns, each transaction
 *     holds GROUP records of 200 bytes with headers as Cairn writes them. Prints
 *     "COMMITS/S EVENTS/S P50_US P99_US".
 *   bare_kafka read BROKERS TOPIC PARTITIONS
 *     A read_committed consumer from the start to the end of all partitions. Prints
 *     "EVENTS/S EVENTS". */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "tests/bench/measure.h"

#define LANES_MAX   64
#define IDS_MAX     16
#define SAMPLES_MAX 200000u
#define BATCH_MAX   4096
#define VALUE_BYTES 200
#define TIMEOUT_MS  30000
#define QUIET_MS    1000

struct pair {
    const char *name, *value;
};

/* The names and the sizes of an event's headers in Cairn. */
static const struct pair record_headers[] = {
    {"ce_specversion", "1.0"},
    {"ce_id", "01902f5e-7b1c-7cc0-8000-3b6a9f4d2e11"},
    {"ce_type", "Deposited"},
    {"ce_source", "/bank/account"},
    {"ce_subject", "account-a0042"},
    {"ce_time", "2026-01-02T03:04:05.678901Z"},
    {"ce_dataschema", "/schemas/events/Deposited/1"},
    {"content-type", "application/json"},
    {"ce_streamversion", "1042"},
    {"ce_commandindex", "0"},
    {"ce_commandcount", "1"},
};

static const struct pair producer_settings[] = {
    {"socket.nagle.disable", "true"},
    {"linger.ms", "5"},
    {"enable.idempotence", "true"},
    {"acks", "all"},
};

static const struct pair reader_settings[] = {
    {"socket.nagle.disable", "true"},
    {"fetch.wait.max.ms", "25"},
    {"fetch.message.max.bytes", "4194304"},
    {"queued.min.messages", "200000"},
    {"queued.max.messages.kbytes", "65536"},
    {"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"},
    {"check.crcs", "true"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"group.id", "bare"},
};

struct plan {
    const char *brokers, *topic;
    int lanes, ids, group;
    double seconds;
    pthread_barrier_t start; /* lanes begin to count together, once all producers are warm */
};

struct lane {
    struct plan *plan;
    int number;
    pthread_t thread;
    rd_kafka_t *producers[IDS_MAX];
    double *samples;
    size_t count;
    double took_s;
    bool failed;
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        (void)fprintf(stderr, "%s: %s\n", name, text);
        return false;
    }
    return true;
}

/* NULL on failure, which was told. */
static rd_kafka_t *handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                              const struct pair *settings, size_t count, const char *brokers)
{
    char text[256];
    bool fine = set(conf, "bootstrap.servers", brokers);
    for (size_t i = 0; fine && i < count; i++) {
        fine = set(conf, settings[i].name, settings[i].value);
    }
    rd_kafka_t *handle = fine ? rd_kafka_new(type, conf, text, sizeof(text)) : NULL;
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
    }
    return handle;
}

/* Without a delivery callback a commit's flush polls in steps of 10 ms. */
static void delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    (void)message;
    (void)opaque;
}

static bool is_ok(rd_kafka_error_t *error)
{
    if (error == NULL) {
        return true;
    }
    (void)fprintf(stderr, "%s\n", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

static rd_kafka_t *producer_new(const struct lane *lane, int i)
{
    char id[64];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)snprintf(id, sizeof(id), "bare.%d.%d", lane->number, i);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    if (!set(conf, "transactional.id", id)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *handle =
        handle_new(RD_KAFKA_PRODUCER, conf, producer_settings,
                   sizeof(producer_settings) / sizeof(producer_settings[0]), lane->plan->brokers);
    if (handle != NULL && !is_ok(rd_kafka_init_transactions(handle, TIMEOUT_MS))) {
        rd_kafka_destroy(handle);
        handle = NULL;
    }
    return handle;
}

static bool produce(const struct lane *lane, rd_kafka_t *producer)
{
    static char value[VALUE_BYTES];
    static char key[] = "a0042";
    size_t count = sizeof(record_headers) / sizeof(record_headers[0]);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++) {
        (void)rd_kafka_header_add(headers, record_headers[i].name, -1, record_headers[i].value, -1);
    }
    /* As an array: the macros of the variadic form are GNU C. */
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = lane->plan->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = lane->number},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {key, sizeof(key) - 1}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, sizeof(value)}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    return is_ok(rd_kafka_produceva(producer, parts, sizeof(parts) / sizeof(parts[0])));
}

static bool commit_group(const struct lane *lane, rd_kafka_t *producer)
{
    bool fine = is_ok(rd_kafka_begin_transaction(producer));
    for (int i = 0; fine && i < lane->plan->group; i++) {
        fine = produce(lane, producer);
    }
    return fine && is_ok(rd_kafka_commit_transaction(producer, TIMEOUT_MS));
}

static void *run_lane(void *self)
{
    struct lane *lane = self;
    const struct plan *plan = lane->plan;
    bool fine = lane->samples != NULL;
    for (int i = 0; fine && i < plan->ids; i++) {
        lane->producers[i] = producer_new(lane, i);
        fine = lane->producers[i] != NULL && commit_group(lane, lane->producers[i]);
    }
    (void)pthread_barrier_wait(&lane->plan->start);
    double begin = now_s();
    double last = begin;
    while (fine && last - begin < plan->seconds && lane->count < SAMPLES_MAX) {
        fine = commit_group(lane, lane->producers[lane->count % (size_t)plan->ids]);
        double now = now_s();
        lane->samples[lane->count++] = now - last;
        last = now;
    }
    lane->took_s = last - begin;
    lane->failed = !fine;
    for (int i = 0; i < plan->ids && lane->producers[i] != NULL; i++) {
        rd_kafka_destroy(lane->producers[i]);
    }
    return NULL;
}

static int print_rates(const struct lane *lanes, const struct plan *plan)
{
    double *all = calloc((size_t)plan->lanes * SAMPLES_MAX, sizeof(*all));
    size_t count = 0;
    double rate = 0;
    bool failed = all == NULL;
    for (int i = 0; !failed && i < plan->lanes; i++) {
        failed = lanes[i].failed || lanes[i].count == 0;
        memcpy(all + count, lanes[i].samples, lanes[i].count * sizeof(*all));
        count += lanes[i].count;
        rate += (double)lanes[i].count / lanes[i].took_s;
    }
    if (!failed) {
        qsort(all, count, sizeof(*all), by_value);
        (void)printf("%.1f %.1f %.1f %.1f\n", rate, rate * plan->group, all[count / 2] * 1e6,
                     all[count * 99 / 100] * 1e6);
    }
    free(all);
    return failed ? 1 : 0;
}

static int append(char **argv)
{
    struct plan plan = {
        .brokers = argv[0], .topic = argv[1], .lanes = (int)strtol(argv[2], NULL, 10)};
    struct lane lanes[LANES_MAX];
    plan.ids = (int)strtol(argv[3], NULL, 10);
    plan.group = (int)strtol(argv[4], NULL, 10);
    plan.seconds = strtod(argv[5], NULL);
    if (plan.lanes < 1 || plan.lanes > LANES_MAX || plan.ids < 1 || plan.ids > IDS_MAX ||
        plan.group < 1) {
        (void)fprintf(stderr, "LANES 1 to %d, IDS 1 to %d, GROUP at least 1\n", LANES_MAX, IDS_MAX);
        return 2;
    }
    (void)pthread_barrier_init(&plan.start, NULL, (unsigned)plan.lanes);
    for (int i = 0; i < plan.lanes; i++) {
        lanes[i] = (struct lane){.plan = &plan, .number = i};
        lanes[i].samples = calloc(SAMPLES_MAX, sizeof(double));
        if (pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]) != 0) {
            return 1; /* the process ends, and the threads with it */
        }
    }
    for (int i = 0; i < plan.lanes; i++) {
        (void)pthread_join(lanes[i].thread, NULL);
    }
    int status = print_rates(lanes, &plan);
    for (int i = 0; i < plan.lanes; i++) {
        free(lanes[i].samples);
    }
    (void)pthread_barrier_destroy(&plan.start);
    return status;
}

/* Counts until every partition told its end; false when nothing came for a while or an error. */
static bool count_events(rd_kafka_queue_t *queue, int partitions, uint64_t *ret_events)
{
    static rd_kafka_message_t *messages[BATCH_MAX];
    uint64_t events = 0;
    int ends = 0;
    double until = now_s() + (double)TIMEOUT_MS / 1000;
    while (ends < partitions && now_s() < until) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, QUIET_MS, messages, BATCH_MAX);
        for (ssize_t i = 0; i < count; i++) {
            events += messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
            ends += messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    *ret_events = events;
    return ends == partitions;
}

static int read_all(char **argv)
{
    int partitions = (int)strtol(argv[2], NULL, 10);
    double begin = now_s();
    rd_kafka_t *handle = handle_new(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), reader_settings,
                                    sizeof(reader_settings) / sizeof(reader_settings[0]), argv[0]);
    if (handle == NULL || partitions < 1) {
        return 1;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++) {
        rd_kafka_topic_partition_list_add(list, argv[1], i)->offset = 0;
    }
    (void)rd_kafka_poll_set_consumer(handle);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle);
    uint64_t events = 0;
    bool fine = rd_kafka_assign(handle, list) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                count_events(queue, partitions, &events);
    double took = now_s() - begin;
    if (fine) {
        (void)printf("%.1f %llu\n", (double)events / took, (unsigned long long)events);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return fine ? 0 : 1;
}

static const struct mode {
    const char *name;
    int arguments;
    int (*run)(char **argv);
} modes[] = {{"append", 6, append}, {"read", 3, read_all}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) == 0 && argc == modes[i].arguments + 2) {
            return modes[i].run(argv + 2);
        }
    }
    (void)fprintf(stderr, "usage: bare_kafka append BROKERS TOPIC LANES IDS GROUP SECONDS\n"
                          "       bare_kafka read BROKERS TOPIC PARTITIONS\n");
    return 2;
}
