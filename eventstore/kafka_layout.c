#include "eventstore/kafka_layout.h"

#include <assert.h>

#include "eventstore/hex.h"
#include "platform/hash.h"
#include "platform/json.h"

#define HASH "murmur2"

enum {
    FORMAT = 1,
    /* Of the description: 4096 bytes of names, and as much again around them. */
    TEXT_BYTES_MAX = 16 * 1024,
    ARENA_BYTES_MAX = 4 * 1024 * 1024
};

static_assert(CAIRN_KAFKA_DOMAIN_SIZE_MAX + sizeof(CAIRN_KAFKA_CONTROL_SUFFIX) +
                      CAIRN_AGGREGATE_BYTES_MAX <=
                  CAIRN_KAFKA_TOPIC_NAME_MAX,
              "the name of a topic fits");
static_assert(CAIRN_AGGREGATE_BYTES_MAX < CAIRN_KAFKA_DOMAIN_SIZE_MAX, "a domain's name fits");

static bool is_sane(const struct cairn_kafka_layout *layout)
{
    return layout->lanes > 0 && layout->topic_count > 0 &&
           layout->topic_count <= CAIRN_KAFKA_TOPICS_MAX &&
           layout->lanes <= CAIRN_PARTITIONS_MAX / layout->topic_count;
}

uint16_t cairn_kafka_layout_partitions(const struct cairn_kafka_layout *layout)
{
    assert(is_sane(layout));
    return (uint16_t)(layout->lanes * layout->topic_count);
}

uint16_t cairn_kafka_layout_lane(const struct cairn_kafka_layout *layout, uint16_t partition)
{
    assert(partition < cairn_kafka_layout_partitions(layout));
    return partition % layout->lanes;
}

int cairn_kafka_layout_topic(const struct cairn_kafka_layout *layout, struct cairn_slice aggregate)
{
    assert(layout->topic_count <= CAIRN_KAFKA_TOPICS_MAX);
    if (aggregate.size == 0 || aggregate.size > CAIRN_AGGREGATE_BYTES_MAX) {
        return -1;
    }
    for (int i = 0; i < layout->topic_count; i++) {
        const char *name = layout->aggregates[i];
        if (memcmp(name, aggregate.data, aggregate.size) == 0 && name[aggregate.size] == '\0') {
            return i;
        }
    }
    return -1;
}

enum cairn_rc cairn_kafka_layout_find(const struct cairn_kafka_layout *layout,
                                      struct cairn_slice stream, uint16_t *ret_partition)
{
    assert(is_sane(layout) && ret_partition != NULL);
    int topic = cairn_kafka_layout_topic(layout, cairn_stream_aggregate(stream));
    if (topic < 0) {
        return CAIRN_ENOAGGREGATE;
    }
    uint32_t lane = cairn_hash_murmur2(cairn_stream_id(stream)) % layout->lanes;
    *ret_partition = (uint16_t)((uint32_t)topic * layout->lanes + lane);
    assert(cairn_kafka_layout_lane(layout, *ret_partition) == lane);
    return CAIRN_OK;
}

void cairn_kafka_layout_topic_name(const struct cairn_kafka_layout *layout, uint16_t index,
                                   char out[CAIRN_KAFKA_TOPIC_NAME_MAX + 1])
{
    assert(index <= layout->topic_count && layout->topic_count <= CAIRN_KAFKA_TOPICS_MAX);
    bool is_control = index == layout->topic_count;
    struct cairn_slice domain = cairn_slice_str(layout->domain);
    struct cairn_slice suffix = is_control ? CAIRN_SLICE_LIT(CAIRN_KAFKA_CONTROL_SUFFIX)
                                           : cairn_slice_str(layout->aggregates[index]);
    assert(domain.size > 0 && domain.size < CAIRN_KAFKA_DOMAIN_SIZE_MAX && suffix.size > 0);
    char *at = out + domain.size;
    memcpy(out, domain.data, domain.size);
    if (!is_control) {
        *at++ = '.';
    }
    memcpy(at, suffix.data, suffix.size + 1);
}

/* --- the description --- */

static enum cairn_rc describe(const struct cairn_kafka_layout *layout, const char *id,
                              struct cairn_arena *arena, struct cairn_value *ret_value)
{
    struct cairn_value_builder names = {.arena = arena};
    struct cairn_value_builder map = {.arena = arena};
    enum cairn_rc rc = CAIRN_OK;
    for (uint16_t i = 0; i < layout->topic_count && rc == CAIRN_OK; i++) {
        struct cairn_slice name = cairn_slice_str(layout->aggregates[i]);
        rc = cairn_value_push(&names, cairn_value_string(name));
    }
    const struct {
        const char *name;
        struct cairn_value value;
    } members[] = {
        {"format", cairn_value_int(FORMAT)},
        {"id", cairn_value_string(cairn_slice_of(id, 2 * (size_t)CAIRN_LOG_ID_BYTES))},
        {"domain", cairn_value_string(cairn_slice_str(layout->domain))},
        {"partitions", cairn_value_int(layout->lanes)},
        {"hash", cairn_value_string(CAIRN_SLICE_LIT(HASH))},
        {"aggregates", cairn_value_array(&names)},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && rc == CAIRN_OK; i++) {
        rc = cairn_value_add(&map, members[i].name, members[i].value);
    }
    if (rc == CAIRN_OK) {
        *ret_value = cairn_value_map(&map);
    }
    return rc;
}

enum cairn_rc cairn_kafka_layout_write(const struct cairn_kafka_layout *layout,
                                       struct cairn_buf *out)
{
    assert(is_sane(layout) && layout->domain[0] != '\0');
    char id[2 * CAIRN_LOG_ID_BYTES];
    struct cairn_arena arena = {.max = ARENA_BYTES_MAX};
    struct cairn_value value = cairn_value_null();
    cairn_hex_write(layout->log_id, CAIRN_LOG_ID_BYTES, id);
    enum cairn_rc rc = describe(layout, id, &arena, &value);
    if (rc == CAIRN_OK) {
        rc = cairn_json_write(&value, out);
        assert(rc != CAIRN_EINVAL);
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* A member that is an integer in low..high. */
static bool read_integer(const struct cairn_value *map, const char *name, int64_t low, int64_t high,
                         int64_t *ret_number)
{
    const struct cairn_value *value = cairn_value_at(map, name);
    if (value == NULL || value->type != CAIRN_INT || value->as.integer < low ||
        value->as.integer > high) {
        return false;
    }
    *ret_number = value->as.integer;
    return true;
}

/* Format and hash decide whether the rest can be understood at all, so they come first. */
static enum cairn_rc check_format(const struct cairn_value *map, struct cairn_err *err)
{
    int64_t format = 0;
    if (!read_integer(map, "format", 1, INT64_MAX, &format)) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description has no format");
    }
    if (format > FORMAT) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                          "the log has format %lld, this program knows %d: use a newer one",
                          (long long)format, FORMAT);
    }
    struct cairn_slice hash = cairn_value_get_string(map, "hash");
    if (hash.data == NULL) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description has no hash");
    }
    if (!cairn_slice_is(hash, HASH)) {
        return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                          "the log spreads streams by the hash %.*s, this program knows " HASH,
                          CAIRN_SLICE_ARG(hash));
    }
    return CAIRN_OK;
}

static enum cairn_rc read_aggregates(const struct cairn_value *map,
                                     struct cairn_kafka_layout *layout, struct cairn_err *err)
{
    const struct cairn_value *names = cairn_value_at(map, "aggregates");
    if (names == NULL || names->type != CAIRN_ARRAY || names->count == 0 ||
        names->count > CAIRN_KAFKA_TOPICS_MAX) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description must have 1..%d aggregates",
                          CAIRN_KAFKA_TOPICS_MAX);
    }
    for (uint32_t i = 0; i < names->count; i++) {
        const struct cairn_value *item = &names->as.items[i];
        struct cairn_slice name =
            item->type == CAIRN_STRING ? cairn_value_slice(item) : CAIRN_SLICE_LIT("");
        if (!cairn_aggregate_is_valid(name) || cairn_kafka_layout_topic(layout, name) >= 0) {
            return CAIRN_FAIL(err, CAIRN_EMALFORMED,
                              "the log's description: aggregate %u is no name, or there twice", i);
        }
        memcpy(layout->aggregates[i], name.data, name.size);
        layout->topic_count++;
    }
    return CAIRN_OK;
}

static enum cairn_rc read_members(const struct cairn_value *map, struct cairn_kafka_layout *layout,
                                  struct cairn_err *err)
{
    struct cairn_slice domain = cairn_value_get_string(map, "domain");
    struct cairn_slice id = cairn_value_get_string(map, "id");
    int64_t lanes = 0;
    if (!cairn_hex_read(id, layout->log_id, CAIRN_LOG_ID_BYTES)) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description has no id");
    }
    if (!cairn_aggregate_is_valid(domain)) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description has no domain");
    }
    memcpy(layout->domain, domain.data, domain.size);
    if (!read_integer(map, "partitions", 1, CAIRN_PARTITIONS_MAX, &lanes)) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description must have 1..%d partitions",
                          CAIRN_PARTITIONS_MAX);
    }
    layout->lanes = (uint16_t)lanes;
    enum cairn_rc rc = read_aggregates(map, layout, err);
    if (rc == CAIRN_OK && !is_sane(layout)) {
        rc = CAIRN_FAIL(err, CAIRN_EMALFORMED,
                        "the log's description: %u aggregates of %u partitions are more than %d",
                        layout->topic_count, layout->lanes, CAIRN_PARTITIONS_MAX);
    }
    return rc;
}

enum cairn_rc cairn_kafka_layout_read(struct cairn_slice text,
                                      struct cairn_kafka_layout *ret_layout, struct cairn_err *err)
{
    assert(ret_layout != NULL);
    struct cairn_kafka_layout layout = {.lanes = 0};
    struct cairn_arena arena = {.max = ARENA_BYTES_MAX};
    struct cairn_value map;
    if (text.size > TEXT_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "the log's description is longer than %d bytes",
                          TEXT_BYTES_MAX);
    }
    enum cairn_rc rc = cairn_json_read(text, &arena, &map, NULL, err);
    if (rc != CAIRN_OK) {
        rc = cairn_err_wrap(err, rc, "the log's description");
        goto done;
    }
    rc = check_format(&map, err);
    if (rc == CAIRN_OK) {
        rc = read_members(&map, &layout, err);
    }
    if (rc == CAIRN_OK) {
        *ret_layout = layout;
    }
done:
    cairn_arena_fini(&arena);
    return rc;
}
