#include "tools/log_open.h"

#include <assert.h>
#include <string.h>

#define FILES  "files"
#define FILES_ "files:"

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool cairn_log_is_kafka(const struct cairn_config *config)
{
    return begins(cairn_config_text(config, "log"), CAIRN_LOG_KAFKA_PREFIX);
}

uint16_t cairn_log_replication(const struct cairn_config *config, const struct cairn_domain *domain)
{
    uint16_t wanted = (uint16_t)cairn_config_uint(config, "replication");
    return wanted != 0 ? wanted : cairn_domain_topics(domain).replication;
}

/* What place means for the data folder and the backend. */
static enum cairn_rc find_place(const struct cairn_log_open *open,
                                struct cairn_store_options *options, struct cairn_err *err)
{
    const char *place = open->place == NULL ? cairn_config_text(open->config, "log") : open->place;
    options->data_folder = cairn_config_text(open->config, "data");
    if (begins(place, CAIRN_LOG_KAFKA_PREFIX) && place[strlen(CAIRN_LOG_KAFKA_PREFIX)] != '\0') {
        options->log = place;
        return CAIRN_OK;
    }
    if (strcmp(place, FILES) == 0 || (begins(place, FILES_) && place[strlen(FILES_)] != '\0')) {
        options->log = FILES;
        if (begins(place, FILES_)) {
            options->data_folder = place + strlen(FILES_);
        }
        return CAIRN_OK;
    }
    return CAIRN_FAIL(err, CAIRN_EINVAL,
                      "%s: `%s` is no log; say files, files:DIR or kafka:HOST:PORT[,HOST:PORT...]",
                      open->flag == NULL ? "--log" : open->flag, place);
}

enum cairn_rc cairn_log_open(const struct cairn_log_open *open, struct cairn_store **ret_store,
                             struct cairn_err *err)
{
    const struct cairn_config *config = open->config;
    struct cairn_slice aggregates[CAIRN_PARTITIONS_MAX];
    bool json[CAIRN_PARTITIONS_MAX];
    size_t count = cairn_domain_aggregate_count(open->domain);
    struct cairn_store_options options = {
        .domain = cairn_domain_name(open->domain),
        .aggregates = aggregates,
        .json = json,
        .clock = cairn_clock_system(),
        .log_lines = open->log,
        .metrics = open->metrics,
    };
    for (size_t i = 0; i < count && i < CAIRN_PARTITIONS_MAX; i++) {
        const struct cairn_domain_aggregate *aggregate = cairn_domain_aggregate_at(open->domain, i);
        json[i] = aggregate->json;
        aggregates[options.aggregate_count++] = aggregate->name;
    }
    enum cairn_rc rc = find_place(open, &options, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    bool kafka = begins(options.log, CAIRN_LOG_KAFKA_PREFIX);
    options.appends = open->kind == CAIRN_LOG_APPEND;
    options.writer = options.appends || (kafka && open->kind == CAIRN_LOG_FOLLOW);
    if (options.appends) {
        options.partitions = (uint16_t)cairn_config_uint(config, "partitions");
        options.segment_bytes = cairn_config_uint(config, "segment-size");
    }
    if (kafka && options.writer) {
        options.kafka_properties = cairn_config_text(config, "kafka-property");
        options.new_partitions = cairn_domain_topics(open->domain).partitions;
        options.replication = cairn_log_replication(config, open->domain);
        options.transactional_ids = (uint16_t)cairn_config_uint(config, "transactional-ids");
    }
    return cairn_store_open(&options, ret_store, err);
}
