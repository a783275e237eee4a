#include "tools/log_open.h"

#include <assert.h>
#include <string.h>

#include "platform/file.h"

#define FILES        "files"
#define FILES_PREFIX "files:"
#define LOG_FOLDER   "log"

static bool begins(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

bool cairn_log_place_is_kafka(const char *place)
{
    return begins(place, CAIRN_LOG_KAFKA_PREFIX);
}

bool cairn_log_is_kafka(const struct cairn_config *config)
{
    return cairn_log_place_is_kafka(cairn_config_text(config, "log"));
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
    options->data_folder =
        open->data == NULL ? cairn_config_text(open->config, "data") : open->data;
    if (cairn_log_place_is_kafka(place) && place[strlen(CAIRN_LOG_KAFKA_PREFIX)] != '\0') {
        options->log = place;
        return CAIRN_OK;
    }
    if (strcmp(place, FILES) == 0 ||
        (begins(place, FILES_PREFIX) && place[strlen(FILES_PREFIX)] != '\0')) {
        options->log = FILES;
        if (begins(place, FILES_PREFIX)) {
            options->data_folder = place + strlen(FILES_PREFIX);
        }
        return CAIRN_OK;
    }
    return CAIRN_FAIL(err, CAIRN_EINVAL,
                      "%s: `%s` is no log; say files, files:DIR or kafka:HOST:PORT[,HOST:PORT...]",
                      open->flag == NULL ? "--log" : open->flag, place);
}

/* What a writer needs to know beside the place. */
static void fill_writer(const struct cairn_log_open *open, struct cairn_store_options *options)
{
    const struct cairn_config *config = open->config;
    bool kafka = cairn_log_place_is_kafka(options->log);
    options->appends = open->kind == CAIRN_LOG_APPEND;
    options->writer = options->appends || (kafka && open->kind == CAIRN_LOG_FOLLOW) ||
                      open->kind == CAIRN_LOG_HOLD;
    if (options->appends) {
        options->partitions = (uint16_t)cairn_config_uint(config, "partitions");
        options->segment_bytes = cairn_config_uint(config, "segment-size");
    }
    if (kafka && options->writer) {
        options->kafka_properties = cairn_config_text(config, "kafka-property");
        options->new_partitions = cairn_domain_topics(open->domain).partitions;
        options->replication = cairn_log_replication(config, open->domain);
        options->transactional_ids = (uint16_t)cairn_config_uint(config, "transactional-ids");
    }
}

/* A writer makes an embedded log that is not there; whoever only holds one has misspelt it. */
static enum cairn_rc refuse_missing(const struct cairn_store_options *options,
                                    struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    if (cairn_file_join(path, options->data_folder, LOG_FOLDER) == CAIRN_OK &&
        !cairn_file_is_folder(path)) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "there is no log in %s", options->data_folder);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_log_open(const struct cairn_log_open *open, struct cairn_store **ret_store,
                             struct cairn_err *err)
{
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
    fill_writer(open, &options);
    if (open->kind == CAIRN_LOG_HOLD && !cairn_log_place_is_kafka(options.log)) {
        rc = refuse_missing(&options, err);
    }
    rc = rc == CAIRN_OK ? cairn_store_open(&options, ret_store, err) : rc;
    return rc == CAIRN_OK || open->flag == NULL ? rc : cairn_err_wrap(err, rc, "%s", open->flag);
}
