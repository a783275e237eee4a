#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "eventstore/kafka_topics.h"
#include "platform/mem.h"
#include "schemas/domain.h"
#include "tools/log_open.h"
#include "tools/verbs.h"

/* What one answer of the cluster may take: long enough for a broker under load, and short enough
 * for somebody who waits at a terminal. */
#define ANSWER_MS 5000
#define LOG_KAFKA "kafka:"

static void print_topic(void *self, const char *name, uint16_t partitions, uint16_t replication)
{
    size_t *count = self;
    (*count)++;
    (void)printf("%s: partitions %u, replication %u\n", name, (unsigned)partitions,
                 (unsigned)replication);
}

static void print_fault(void *self, const char *topic, const char *text)
{
    (void)self;
    (void)printf("%s: FAULT: %s\n", topic, text);
}

/* A line for each topic and each fault, and one that sums them up. */
static enum cairn_rc check(const struct cairn_kafka_topics_options *options, size_t *ret_faults,
                           struct cairn_err *err)
{
    size_t topics = 0;
    struct cairn_kafka_topics_hooks hooks = {
        .topic = print_topic, .fault = print_fault, .self = &topics};
    enum cairn_rc rc = cairn_kafka_topics_check(options, &hooks, ret_faults, err);
    if (rc == CAIRN_OK) {
        (void)printf("%.*s: %zu topics, %zu faults\n", CAIRN_SLICE_ARG(options->kafka.domain),
                     topics, *ret_faults);
    }
    return rc;
}

static enum cairn_rc create(const struct cairn_kafka_topics_options *options, size_t *ret_faults,
                            struct cairn_err *err)
{
    struct cairn_kafka_layout layout;
    enum cairn_rc rc = cairn_kafka_topics_open(options, &layout, err);
    return rc == CAIRN_OK ? check(options, ret_faults, err) : rc;
}

static const struct action {
    const char *name;
    bool create;
    enum cairn_rc (*run)(const struct cairn_kafka_topics_options *options, size_t *ret_faults,
                         struct cairn_err *err);
} actions[] = {{"create", true, create}, {"check", false, check}};

static const struct action *find(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, name) == 0) {
            return &actions[i];
        }
    }
    return NULL;
}

/* The action upon the domain's topics. brokers: behind "kafka:". */
static enum cairn_rc run(const struct action *action, const struct cairn_config *config,
                         const struct cairn_domain *domain, const char *brokers, size_t *ret_faults,
                         struct cairn_err *err)
{
    size_t count = cairn_domain_aggregate_count(domain);
    struct cairn_slice *aggregates = cairn_mem_zalloc(count + 1, sizeof(*aggregates));
    if (aggregates == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "the topics of a domain");
    }
    for (size_t i = 0; i < count; i++) {
        aggregates[i] = cairn_domain_aggregate_at(domain, i)->name;
    }
    struct cairn_kafka_topics_options options = {
        .kafka = {.brokers = brokers,
                  .properties = cairn_config_text(config, "kafka-property"),
                  .domain = cairn_domain_name(domain)},
        .aggregates = aggregates,
        .aggregate_count = count,
        .lanes = (uint16_t)cairn_config_uint(config, "partitions"),
        .new_lanes = cairn_domain_topics(domain).partitions,
        .replication = cairn_log_replication(config, domain),
        .create = action->create,
        .timeout_ms = ANSWER_MS,
    };
    enum cairn_rc rc = action->run(&options, ret_faults, err);
    cairn_mem_free(aggregates);
    return rc;
}

int cairn_verb_topics(const struct cairn_config *config, struct cairn_err *err)
{
    assert(cairn_config_operand_count(config) == 2);
    const struct action *action = find(cairn_config_operand(config, 0));
    struct cairn_slice log = cairn_slice_str(cairn_config_text(config, "log"));
    if (action == NULL) {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "topics does create or check, not `%.64s`",
                         cairn_config_operand(config, 0));
        return 2;
    }
    if (!cairn_slice_starts(log, CAIRN_SLICE_LIT(LOG_KAFKA))) {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL,
                         "only a log on Kafka has topics; say where it is: --log kafka:HOST:PORT");
        return 2;
    }
    struct cairn_domain *domain = NULL;
    size_t faults = 0;
    enum cairn_rc rc = cairn_domain_load(cairn_config_operand(config, 1), &domain, err);
    if (rc == CAIRN_OK) {
        rc = run(action, config, domain, log.data + sizeof(LOG_KAFKA) - 1, &faults, err);
    }
    cairn_domain_free(domain);
    return rc == CAIRN_OK && faults == 0 ? 0 : 1;
}
