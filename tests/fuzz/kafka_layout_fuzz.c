/* Whatever lies under the log's key in the control topic, reading it is an answer; a layout that
 * reads is whole, and writes to a text that reads the same. */
#include "eventstore/kafka_layout.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_err err;
    struct cairn_kafka_layout layout;
    struct cairn_kafka_layout again;
    char name[CAIRN_KAFKA_TOPIC_NAME_MAX + 1];
    struct cairn_buf text = {.max = 16 * 1024};
    enum cairn_rc rc =
        cairn_kafka_layout_read(cairn_slice_of((const char *)data, size), &layout, &err);
    assert(rc == CAIRN_OK || rc == CAIRN_EMALFORMED || rc == CAIRN_EUNSUPPORTED);
    if (rc != CAIRN_OK) {
        return 0;
    }
    assert(cairn_kafka_layout_partitions(&layout) <= CAIRN_PARTITIONS_MAX);
    for (uint16_t i = 0; i < layout.topic_count; i++) {
        assert(cairn_kafka_layout_topic(&layout, cairn_slice_str(layout.aggregates[i])) == i);
        cairn_kafka_layout_topic_name(&layout, i, name);
    }
    rc = cairn_kafka_layout_write(&layout, &text);
    assert(rc == CAIRN_OK);
    rc = cairn_kafka_layout_read(cairn_buf_slice(&text), &again, &err);
    assert(rc == CAIRN_OK && memcmp(&layout, &again, sizeof(layout)) == 0);
    cairn_buf_fini(&text);
    return 0;
}
