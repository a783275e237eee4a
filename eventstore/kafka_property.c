#include "eventstore/kafka_property.h"

#include <assert.h>

#include "platform/file.h"

/* What nobody but the log itself sets, with the other names that librdkafka knows for it. Where the
 * log is and what belongs to it; what makes a group durable, whole and in order; what makes a
 * reader see committed events alone, each once; how fast a dead owner's transactions end. */
static const char *const fixed[] = {
    "bootstrap.servers",
    "metadata.broker.list",
    "test.mock.num.brokers",
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "transactional.id",
    "transaction.timeout.ms",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "request.timeout.ms",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "queuing.strategy",
    "delivery.report.only.error",
    "produce.offset.report",
    "partitioner",
    "msg_order_cmp",
    "enabled_events",
    "isolation.level",
    "check.crcs",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "allow.auto.create.topics",
};

bool cairn_kafka_property_is_fixed(const char *name)
{
    assert(name != NULL);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (strcmp(name, fixed[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum cairn_rc read_file(struct cairn_slice path, struct cairn_buf *value,
                               struct cairn_err *err)
{
    if (path.size == 0 || path.size >= CAIRN_PATH_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "`file:` needs a path behind it");
    }
    char name[CAIRN_PATH_MAX];
    memcpy(name, path.data, path.size);
    name[path.size] = '\0';
    return cairn_file_read_value(name, value, err);
}

/* The value as it is meant, NUL-ended. */
static enum cairn_rc resolve(struct cairn_slice given, struct cairn_buf *value,
                             struct cairn_err *err)
{
    static const struct cairn_slice prefix = {CAIRN_KAFKA_PROPERTY_FILE_PREFIX,
                                              sizeof(CAIRN_KAFKA_PROPERTY_FILE_PREFIX) - 1};
    enum cairn_rc rc = CAIRN_OK;
    if (cairn_slice_starts(given, prefix)) {
        struct cairn_slice path =
            cairn_slice_of(given.data + prefix.size, given.size - prefix.size);
        rc = read_file(path, value, err);
    } else {
        rc = cairn_buf_append(value, given);
        if (rc != CAIRN_OK) {
            return CAIRN_FAIL(err, rc, "the value is too long");
        }
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_append_byte(value, '\0');
        rc = rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "the value is too long");
    }
    return rc;
}

static enum cairn_rc read_line(struct cairn_slice line, cairn_kafka_property_fn take, void *self,
                               struct cairn_err *err)
{
    size_t size = cairn_slice_find(line, '=');
    struct cairn_slice key = cairn_slice_trim(cairn_slice_of(line.data, size));
    if (size == line.size) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a Kafka property is NAME=VALUE");
    }
    if (key.size == 0 || key.size > CAIRN_KAFKA_PROPERTY_NAME_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the name of a Kafka property has 1 to %d bytes, not %zu",
                          CAIRN_KAFKA_PROPERTY_NAME_MAX, key.size);
    }
    char name[CAIRN_KAFKA_PROPERTY_NAME_MAX + 1];
    memcpy(name, key.data, key.size);
    name[key.size] = '\0';
    if (cairn_kafka_property_is_fixed(name)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the Kafka property %s cannot be set: the log's promises rest on it",
                          name);
    }
    struct cairn_slice given =
        cairn_slice_trim(cairn_slice_of(line.data + size + 1, line.size - size - 1));
    struct cairn_buf value = {.max = CAIRN_KAFKA_PROPERTY_VALUE_MAX};
    enum cairn_rc rc = resolve(given, &value, err);
    if (rc == CAIRN_OK) {
        rc = take(self, name, value.data, err);
    }
    cairn_buf_wipe(&value);
    return rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "Kafka property %s", name);
}

enum cairn_rc cairn_kafka_properties_read(const char *text, cairn_kafka_property_fn take,
                                          void *self, struct cairn_err *err)
{
    assert(take != NULL);
    struct cairn_slice rest = cairn_slice_str(text);
    for (size_t count = 0; rest.size > 0;) {
        size_t size = cairn_slice_find(rest, '\n');
        struct cairn_slice line = cairn_slice_trim(cairn_slice_of(rest.data, size));
        size_t used = size < rest.size ? size + 1 : size;
        rest = cairn_slice_of(rest.data + used, rest.size - used);
        if (line.size == 0) {
            continue;
        }
        if (++count > CAIRN_KAFKA_PROPERTIES_MAX) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "more than %d Kafka properties",
                              CAIRN_KAFKA_PROPERTIES_MAX);
        }
        enum cairn_rc rc = read_line(line, take, self, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}
