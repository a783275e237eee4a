/* The log on Kafka keeps the contract, on a real broker.
 *
 * Each test's folder has a domain of its own on the broker, named in a file of that folder: who
 * opens the folder again meets the same log, and a folder made anew a new one. */
#include <stdio.h>
#include <stdlib.h>

#include <librdkafka/rdkafka.h>

#include "eventstore/kafka_client.h"
#include "platform/uuid.h"
#include "tests/contract/suite.h"

#include "tests/support/cm.h"

enum { OWN_MS = 60000, LOOK_MS = 20, BROKER_MS = 30000, TOPICS_MAX = 256 };

/* In the environment, where a test's child process finds it as well. */
#define RUN_VARIABLE "CAIRN_CONTRACT_RUN"

enum { ID_SIZE = 8 };

static enum cairn_rc mark(const char *path, struct cairn_err *err)
{
    char text[ID_SIZE + 1];
    uint32_t number = 0;
    const struct cairn_random *random = cairn_random_system();
    random->fill(random->self, &number, sizeof(number));
    (void)snprintf(text, sizeof(text), "%08x", (unsigned)number);
    return cairn_file_replace(path, cairn_slice_of(text, ID_SIZE), err);
}

/* "bank" becomes "<run>_<the folder's id>_bank". A writer marks a folder that has no id yet. */
static enum cairn_rc name_domain(const struct cairn_store_options *options, struct cairn_buf *out,
                                 bool *ret_new, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_buf id = {.max = ID_SIZE};
    enum cairn_rc rc = cairn_file_join(path, options->data_folder, "contract-id");
    *ret_new = rc == CAIRN_OK && !cairn_file_exists(path);
    if (*ret_new && options->writer) {
        rc = cairn_file_make_folder(options->data_folder, err);
        rc = rc == CAIRN_OK ? mark(path, err) : rc;
    }
    if (rc == CAIRN_OK && cairn_file_exists(path)) {
        rc = cairn_file_read(path, &id, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_printf(out, "%s_%.*s_%.*s", getenv(RUN_VARIABLE),
                              CAIRN_SLICE_ARG(cairn_buf_slice(&id)),
                              CAIRN_SLICE_ARG(options->domain));
    }
    cairn_buf_fini(&id);
    return rc;
}

/* Until this process may append to every lane. */
static enum cairn_rc own_all(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_position end;
    int64_t until = cairn_clock_monotonic_ns(cairn_clock_system()) + (int64_t)OWN_MS * 1000000;
    enum cairn_rc rc = cairn_store_end(store, &end, err);
    for (uint16_t lane = 0; rc == CAIRN_OK && lane < cairn_store_lanes(store);) {
        uint64_t term = 0;
        bool more = false;
        rc = cairn_store_begin(store, lane, &term, err);
        if (rc == CAIRN_OK) {
            lane++;
        } else if (rc == CAIRN_ENOOWNER && cairn_clock_monotonic_ns(cairn_clock_system()) < until) {
            rc = cairn_store_wait(store, &end, LOOK_MS, &more, err);
        }
    }
    return rc;
}

static enum cairn_rc open_log(const struct cairn_store_options *options,
                              struct cairn_store **ret_store, struct cairn_err *err)
{
    struct cairn_store *store = NULL;
    enum cairn_rc rc = cairn_store_open(options, &store, err);
    if (rc == CAIRN_OK && options->writer) {
        rc = cairn_store_announce(store, "", err);
        rc = rc == CAIRN_OK ? own_all(store, err) : rc;
    }
    if (rc != CAIRN_OK) {
        cairn_store_close(store);
        return rc;
    }
    *ret_store = store;
    return CAIRN_OK;
}

static enum cairn_rc open_as(struct cairn_store_options *options, bool json,
                             struct cairn_store **ret_store, struct cairn_err *err)
{
    const struct cairn_slice aggregates[] = {CAIRN_SLICE_LIT("account")};
    struct cairn_buf log = {.max = 1024};
    struct cairn_buf domain = {.max = 1024};
    bool is_new = false;
    enum cairn_rc rc =
        cairn_buf_printf(&log, "%s%s", CAIRN_LOG_KAFKA_PREFIX, getenv("CAIRN_KAFKA"));
    rc = rc == CAIRN_OK ? name_domain(options, &domain, &is_new, err) : rc;
    if (rc == CAIRN_OK) {
        struct cairn_store_options own = *options;
        own.log = log.data;
        own.domain = cairn_buf_slice(&domain);
        own.aggregates = aggregates;
        own.json = &json;
        own.aggregate_count = 1;
        own.appends = true;
        if (is_new && own.partitions == 0) {
            own.partitions = 1; /* as the suite expects of a new log */
        }
        rc = open_log(&own, ret_store, err);
    }
    cairn_buf_fini(&log);
    cairn_buf_fini(&domain);
    return rc;
}

static enum cairn_rc open_kafka(struct cairn_store_options *options, struct cairn_store **ret_store,
                                struct cairn_err *err)
{
    return open_as(options, false, ret_store, err);
}

static enum cairn_rc open_json(struct cairn_store_options *options, struct cairn_store **ret_store,
                               struct cairn_err *err)
{
    return open_as(options, true, ret_store, err);
}

/* ---- behind the tests ---- */

/* The names of this run's topics, borrowed from metadata. */
static size_t pick(const struct rd_kafka_metadata *metadata, rd_kafka_DeleteTopic_t **topics)
{
    const char *run = getenv(RUN_VARIABLE);
    size_t count = 0;
    for (int i = 0; i < metadata->topic_cnt && count < TOPICS_MAX; i++) {
        if (strncmp(metadata->topics[i].topic, run, strlen(run)) == 0) {
            topics[count++] = rd_kafka_DeleteTopic_new(metadata->topics[i].topic);
        }
    }
    return count;
}

static bool remove_topics(void)
{
    struct cairn_err err;
    rd_kafka_t *handle = NULL;
    const struct rd_kafka_metadata *metadata = NULL;
    const struct cairn_kafka_options kafka = {.brokers = getenv("CAIRN_KAFKA"),
                                              .domain = CAIRN_SLICE_LIT("contract")};
    const struct cairn_kafka_handle_options options = {.kind = CAIRN_KAFKA_ADMIN};
    if (cairn_kafka_handle_new(&kafka, &options, &handle, &err) != CAIRN_OK) {
        return false;
    }
    bool done = false;
    if (rd_kafka_metadata(handle, 1, NULL, &metadata, BROKER_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_DeleteTopic_t *topics[TOPICS_MAX];
        size_t count = pick(metadata, topics);
        rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
        rd_kafka_DeleteTopics(handle, topics, count, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, BROKER_MS);
        done = event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_event_destroy(event);
        rd_kafka_DeleteTopic_destroy_array(topics, count);
        rd_kafka_queue_destroy(queue);
        rd_kafka_metadata_destroy(metadata);
    }
    cairn_kafka_handle_free(handle);
    return done;
}

int main(void)
{
    char run[64];
    if (getenv("CAIRN_KAFKA") == NULL) {
        print_message("SKIPPED: CAIRN_KAFKA=host:port names no broker\n");
        return 0;
    }
    (void)snprintf(run, sizeof(run), "contract_%llx",
                   (unsigned long long)cairn_clock_now_us(cairn_clock_system()));
    if (setenv(RUN_VARIABLE, run, 1) != 0) {
        return 1;
    }
    int failures = contract_run("kafka", open_kafka);
    failures += contract_run_records("kafka_json", open_json);
    if (!remove_topics()) {
        print_message("the topics of %s are still on the broker\n", run);
    }
    return failures;
}
