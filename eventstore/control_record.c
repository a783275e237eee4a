#include "eventstore/control_record.h"

#include <assert.h>

#include "platform/clock.h"
#include "platform/json.h"

#define ARENA_MAX ((size_t)64 * 1024)

enum {
    HAS_LANE = 1,
    HAS_URL = 2,
    HAS_LEAVING = 4,
};

struct kind {
    const char *name;
    unsigned has;
};

static const struct kind kinds[] = {
    [CAIRN_CONTROL_BEAT] = {"beat", HAS_URL | HAS_LEAVING},
    [CAIRN_CONTROL_LEAVE] = {"leave", 0},
    [CAIRN_CONTROL_CLAIM] = {"claim", HAS_LANE},
    [CAIRN_CONTROL_READY] = {"ready", HAS_LANE | HAS_URL},
    [CAIRN_CONTROL_RELEASE] = {"release", HAS_LANE},
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };
static_assert(KIND_COUNT == (int)CAIRN_CONTROL_ERASE, "only a tombstone has no name");

bool cairn_node_id_valid(struct cairn_slice id)
{
    if (id.size == 0 || id.size > CAIRN_NODE_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        char byte = id.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !(byte >= '0' && byte <= '9') && byte != '.' && byte != '_' && byte != '-') {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

static enum cairn_rc write_key(const struct cairn_control_record *record, struct cairn_buf *out)
{
    if (record->lane == CAIRN_LANE_NONE) {
        return cairn_buf_printf(out, "node/%s", record->node);
    }
    return cairn_buf_printf(out, "lane/%u/%s", (unsigned)record->lane, record->node);
}

static enum cairn_rc write_url(const struct cairn_control_record *record, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_append(out, CAIRN_SLICE_LIT(",\"url\":"));
    return rc != CAIRN_OK ? rc : cairn_json_write_string(cairn_slice_str(record->url), out);
}

static enum cairn_rc write_value(const struct cairn_control_record *record, struct cairn_buf *out)
{
    const struct kind *kind = &kinds[record->kind];
    char run[CAIRN_UUID_TEXT_SIZE];
    char time[CAIRN_TIME_TEXT_MAX];
    cairn_uuid_format(&record->run, run);
    (void)cairn_clock_format(record->time_us, time);
    enum cairn_rc rc = cairn_buf_printf(out, "{\"kind\":\"%s\",\"run\":\"%.*s\"", kind->name,
                                        CAIRN_UUID_TEXT_SIZE, run);
    if (rc == CAIRN_OK && (kind->has & HAS_LANE) != 0) {
        rc = cairn_buf_printf(out, ",\"term\":%llu,\"ids\":%u", (unsigned long long)record->term,
                              (unsigned)record->ids);
    }
    if (rc == CAIRN_OK && (kind->has & HAS_URL) != 0) {
        rc = write_url(record, out);
    }
    if (rc == CAIRN_OK && (kind->has & HAS_LEAVING) != 0) {
        rc = cairn_buf_printf(out, ",\"leaving\":%s", record->leaving ? "true" : "false");
    }
    return rc != CAIRN_OK ? rc : cairn_buf_printf(out, ",\"time\":\"%s\"}", time);
}

enum cairn_rc cairn_control_write(const struct cairn_control_record *record,
                                  struct cairn_buf *out_key, struct cairn_buf *out_value)
{
    assert(record != NULL && out_key != NULL && out_value != NULL);
    assert(cairn_node_id_valid(cairn_slice_str(record->node)));
    size_t key_size = out_key->size;
    size_t value_size = out_value->size;
    enum cairn_rc rc = write_key(record, out_key);
    if (rc == CAIRN_OK && record->kind != CAIRN_CONTROL_ERASE) {
        bool lane = (kinds[record->kind].has & HAS_LANE) != 0;
        assert(lane == (record->lane != CAIRN_LANE_NONE));
        rc = write_value(record, out_value);
    }
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out_key, key_size);
        cairn_buf_truncate(out_value, value_size);
    }
    return rc;
}

/* ---- reading ---- */

/* lane/<n>/<node> or node/<node>; no two keys mean the same. */
static bool read_key(struct cairn_slice key, struct cairn_control_record *out)
{
    static const struct cairn_slice lane_prefix = {"lane/", 5};
    static const struct cairn_slice node_prefix = {"node/", 5};
    out->lane = CAIRN_LANE_NONE;
    if (key.data == NULL) {
        return false;
    }
    bool lane_key = cairn_slice_starts(key, lane_prefix);
    if (!lane_key && !cairn_slice_starts(key, node_prefix)) {
        return false;
    }
    struct cairn_slice rest =
        cairn_slice_of(key.data + node_prefix.size, key.size - node_prefix.size);
    if (lane_key) {
        size_t slash = cairn_slice_find(rest, '/');
        uint64_t lane = 0;
        struct cairn_slice number = cairn_slice_of(rest.data, slash);
        bool canonical = slash == 1 || (slash > 1 && number.data[0] != '0');
        if (slash == rest.size || !canonical || cairn_slice_to_u64(number, &lane) != CAIRN_OK ||
            lane >= CAIRN_LANE_NONE) {
            return false;
        }
        out->lane = (uint16_t)lane;
        rest = cairn_slice_of(rest.data + slash + 1, rest.size - slash - 1);
    }
    if (!cairn_node_id_valid(rest)) {
        return false;
    }
    memcpy(out->node, rest.data, rest.size);
    return true;
}

static bool read_kind(const struct cairn_value *map, struct cairn_control_record *out)
{
    struct cairn_slice name = cairn_value_get_string(map, "kind");
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (cairn_slice_is(name, kinds[i].name)) {
            out->kind = (enum cairn_control_kind)i;
            return true;
        }
    }
    return false;
}

static bool read_number(const struct cairn_value *map, const char *name, int64_t min, int64_t max,
                        int64_t *ret_number)
{
    const struct cairn_value *value = cairn_value_at(map, name);
    if (value == NULL || value->type != CAIRN_INT || value->as.integer < min ||
        value->as.integer > max) {
        return false;
    }
    *ret_number = value->as.integer;
    return true;
}

static bool read_url(const struct cairn_value *map, struct cairn_control_record *out)
{
    struct cairn_slice url = cairn_value_get_string(map, "url");
    if (url.data == NULL || url.size > CAIRN_NODE_URL_MAX ||
        cairn_slice_find(url, '\0') != url.size) {
        return false;
    }
    memcpy(out->url, url.data, url.size);
    return true;
}

/* The members that the kind has beside "kind". */
static bool read_members(const struct cairn_value *map, struct cairn_control_record *out)
{
    unsigned has = kinds[out->kind].has;
    int64_t term = 0;
    int64_t ids = 0;
    if (((has & HAS_LANE) != 0) != (out->lane != CAIRN_LANE_NONE) ||
        cairn_uuid_parse(cairn_value_get_string(map, "run"), &out->run) != CAIRN_OK ||
        cairn_clock_parse(cairn_value_get_string(map, "time"), &out->time_us) != CAIRN_OK) {
        return false;
    }
    if ((has & HAS_LANE) != 0 && (!read_number(map, "term", 1, (int64_t)CAIRN_TERM_MAX, &term) ||
                                  !read_number(map, "ids", 0, UINT16_MAX, &ids))) {
        return false;
    }
    const struct cairn_value *leaving = cairn_value_at(map, "leaving");
    if ((has & HAS_LEAVING) != 0 && (leaving == NULL || leaving->type != CAIRN_BOOL)) {
        return false;
    }
    out->term = (uint64_t)term;
    out->ids = (uint16_t)ids;
    out->leaving = (has & HAS_LEAVING) != 0 && leaving->as.boolean;
    return (has & HAS_URL) == 0 || read_url(map, out);
}

static enum cairn_rc read_value(struct cairn_slice text, struct cairn_control_record *out,
                                struct cairn_err *err)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_value map;
    enum cairn_rc rc = CAIRN_OK;
    if (text.size > CAIRN_CONTROL_VALUE_MAX) {
        rc = CAIRN_FAIL(err, CAIRN_EMALFORMED, "%zu bytes are too many", text.size);
    } else {
        rc = cairn_json_read(text, &arena, &map, NULL, err);
    }
    if (rc == CAIRN_OK && (!read_kind(&map, out) || !read_members(&map, out))) {
        rc = CAIRN_FAIL(err, CAIRN_EMALFORMED, "not a record that this version knows: %.*s",
                        CAIRN_SLICE_ARG(text));
    }
    cairn_arena_fini(&arena);
    return rc;
}

enum cairn_rc cairn_control_read(struct cairn_slice key, struct cairn_slice value,
                                 struct cairn_control_record *ret_record, struct cairn_err *err)
{
    assert(ret_record != NULL && (key.data != NULL || key.size == 0));
    struct cairn_control_record record = {.kind = CAIRN_CONTROL_ERASE};
    if (!read_key(key, &record)) {
        return CAIRN_FAIL(err, CAIRN_EMALFORMED, "control record: key \"%.*s\"",
                          CAIRN_SLICE_ARG(key));
    }
    if (value.data != NULL) {
        enum cairn_rc rc = read_value(value, &record, err);
        if (rc != CAIRN_OK) {
            return cairn_err_wrap(err, rc, "control record %.*s", CAIRN_SLICE_ARG(key));
        }
    }
    *ret_record = record;
    return CAIRN_OK;
}
