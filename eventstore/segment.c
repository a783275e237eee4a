#include "eventstore/segment.h"

#include <assert.h>
#include <stdio.h>

#include "eventstore/le.h"
#include "platform/hash.h"

enum {
    AT_MAGIC = 0,
    AT_FORMAT = 8,
    AT_HEADER_BYTES = 12,
    AT_PARTITION = 16,
    AT_NUMBER = 20,
    AT_BASE = 24,
    AT_BYTES = 32,
    AT_LOG_ID = 40,
    AT_DOMAIN = 56,
    AT_TIME = 64,
    AT_ZERO = 72,
    AT_CHECKSUM = CAIRN_SEGMENT_HEADER_BYTES - 8,
    LOG_FILE_BYTES_MAX = 8192,
    NAME_DIGITS = 20
};

#define LOG_FILE "log.txt"

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'S', 'E', 'G'};

static_assert(AT_LOG_ID + CAIRN_LOG_ID_BYTES == AT_DOMAIN && AT_TIME + 8 == AT_ZERO,
              "the segment header is on disk for ever");
static_assert(CAIRN_SEGMENT_NAME_SIZE == NAME_DIGITS + 4, "digits and .seg");
static_assert((uint64_t)CAIRN_SEGMENT_BYTES_MAX + CAIRN_GROUP_BYTES_MAX < UINT32_MAX,
              "a byte of a segment fits the lower half of a locator");

void cairn_segment_head_write(const struct cairn_segment_head *head,
                              char out[CAIRN_SEGMENT_HEADER_BYTES])
{
    assert(head->number > 0 && head->base > 0);
    memset(out, 0, CAIRN_SEGMENT_HEADER_BYTES);
    memcpy(out + AT_MAGIC, magic, sizeof(magic));
    cairn_put_u32(out + AT_FORMAT, CAIRN_LOG_FORMAT);
    cairn_put_u32(out + AT_HEADER_BYTES, CAIRN_SEGMENT_HEADER_BYTES);
    cairn_put_u32(out + AT_PARTITION, head->partition);
    cairn_put_u32(out + AT_NUMBER, head->number);
    cairn_put_u64(out + AT_BASE, head->base);
    cairn_put_u64(out + AT_BYTES, head->bytes);
    memcpy(out + AT_LOG_ID, head->log_id, sizeof(head->log_id));
    cairn_put_u64(out + AT_DOMAIN, head->domain_hash);
    cairn_put_u64(out + AT_TIME, (uint64_t)head->time_us);
    cairn_put_u64(out + AT_CHECKSUM, cairn_hash64(cairn_slice_of(out, AT_CHECKSUM)));
}

bool cairn_segment_head_read(const char bytes[CAIRN_SEGMENT_HEADER_BYTES],
                             struct cairn_segment_head *ret_head, const char **ret_why)
{
    if (memcmp(bytes + AT_MAGIC, magic, sizeof(magic)) != 0) {
        *ret_why = "it does not start as a segment does";
        return false;
    }
    if (cairn_get_u32(bytes + AT_FORMAT) != CAIRN_LOG_FORMAT) {
        *ret_why = "its format is not one that this program knows";
        return false;
    }
    if (cairn_get_u64(bytes + AT_CHECKSUM) != cairn_hash64(cairn_slice_of(bytes, AT_CHECKSUM)) ||
        cairn_get_u32(bytes + AT_HEADER_BYTES) != CAIRN_SEGMENT_HEADER_BYTES) {
        *ret_why = "the header's checksum does not match";
        return false;
    }
    ret_head->partition = cairn_get_u32(bytes + AT_PARTITION);
    ret_head->number = cairn_get_u32(bytes + AT_NUMBER);
    ret_head->base = cairn_get_u64(bytes + AT_BASE);
    ret_head->bytes = cairn_get_u64(bytes + AT_BYTES);
    memcpy(ret_head->log_id, bytes + AT_LOG_ID, sizeof(ret_head->log_id));
    ret_head->domain_hash = cairn_get_u64(bytes + AT_DOMAIN);
    ret_head->time_us = (int64_t)cairn_get_u64(bytes + AT_TIME);
    return true;
}

uint64_t cairn_segment_name_parse(const char *name)
{
    struct cairn_slice text = cairn_slice_str(name);
    uint64_t base = 0;
    if (text.size != CAIRN_SEGMENT_NAME_SIZE || strcmp(name + NAME_DIGITS, ".seg") != 0 ||
        cairn_slice_to_u64(cairn_slice_of(name, NAME_DIGITS), &base) != CAIRN_OK) {
        return 0;
    }
    return base;
}

enum cairn_rc cairn_segment_path(char out[CAIRN_PATH_MAX], const char *log_folder,
                                 uint16_t partition, uint64_t base, struct cairn_err *err)
{
    int size = snprintf(out, CAIRN_PATH_MAX, "%s/%u/%020llu.seg", log_folder, (unsigned)partition,
                        (unsigned long long)base);
    if (size < 0 || size >= CAIRN_PATH_MAX) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s: the path is too long", log_folder);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_segment_list(const char *log_folder, uint16_t partition,
                                 struct cairn_arena *arena, uint64_t **ret_bases, size_t *ret_count,
                                 struct cairn_err *err)
{
    char folder[CAIRN_PATH_MAX];
    int size = snprintf(folder, sizeof(folder), "%s/%u", log_folder, (unsigned)partition);
    if (size < 0 || (size_t)size >= sizeof(folder)) {
        return CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s: the path is too long", log_folder);
    }
    const char **names = NULL;
    size_t names_count = 0;
    *ret_bases = NULL;
    *ret_count = 0;
    if (!cairn_file_is_folder(folder)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_file_list(folder, arena, &names, &names_count, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    uint64_t *bases = cairn_arena_alloc(arena, (names_count + 1) * sizeof(*bases));
    if (bases == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "list %s", folder);
    }
    size_t count = 0;
    for (size_t i = 0; i < names_count; i++) {
        uint64_t base = cairn_segment_name_parse(names[i]);
        if (base > 0) {
            assert(count == 0 || bases[count - 1] < base); /* names sort as their numbers */
            bases[count++] = base;
        }
    }
    *ret_bases = bases;
    *ret_count = count;
    return CAIRN_OK;
}

uint64_t cairn_log_salt(const unsigned char id[CAIRN_LOG_ID_BYTES])
{
    char bytes[CAIRN_LOG_ID_BYTES];
    memcpy(bytes, id, sizeof(bytes));
    return cairn_hash64(cairn_slice_of(bytes, sizeof(bytes)));
}

/* The text of log.txt; it is compared byte for byte with what was read, so one log has one text. */
static enum cairn_rc print_head(const struct cairn_log_head *head, struct cairn_buf *out)
{
    enum cairn_rc rc = cairn_buf_printf(out, "cairn log\nformat %u\npartitions %u\nid ",
                                        (unsigned)head->format, (unsigned)head->partitions);
    for (size_t i = 0; rc == CAIRN_OK && i < sizeof(head->id); i++) {
        rc = cairn_buf_printf(out, "%02x", (unsigned)head->id[i]);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_printf(out, "\ndomain %s\n", head->domain);
    }
    if (rc == CAIRN_OK && head->lanes > 0) {
        rc = cairn_buf_printf(out, "lanes %u\n", (unsigned)head->lanes);
    }
    for (uint16_t i = 0; rc == CAIRN_OK && i < head->aggregate_count; i++) {
        rc = cairn_buf_printf(out, "aggregate %s\n", head->aggregates[i]);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_buf_printf(out, "checksum %016llx\n",
                              (unsigned long long)cairn_hash64(cairn_buf_slice(out)));
    }
    return rc;
}

/* What stands behind `label` on the next line of *text. */
static bool take_line(struct cairn_slice *text, const char *label, struct cairn_slice *ret_value)
{
    size_t end = cairn_slice_find(*text, '\n');
    struct cairn_slice line = cairn_slice_of(text->data, end);
    struct cairn_slice prefix = cairn_slice_str(label);
    if (end == text->size || !cairn_slice_starts(line, prefix)) {
        return false;
    }
    *ret_value = cairn_slice_of(line.data + prefix.size, line.size - prefix.size);
    *text = cairn_slice_of(text->data + end + 1, text->size - end - 1);
    return true;
}

static bool parse_id(struct cairn_slice text, unsigned char id[CAIRN_LOG_ID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    if (text.size != 2 * CAIRN_LOG_ID_BYTES) {
        return false;
    }
    memset(id, 0, CAIRN_LOG_ID_BYTES);
    for (size_t i = 0; i < text.size; i++) {
        const char *digit = memchr(digits, text.data[i], sizeof(digits) - 1);
        if (digit == NULL) {
            return false;
        }
        id[i / 2] = (unsigned char)((unsigned)id[i / 2] << 4 | (unsigned)(digit - digits));
    }
    return true;
}

/* The lines that only a replica has. */
static bool parse_layout(struct cairn_slice text, struct cairn_log_head *head)
{
    struct cairn_slice value = CAIRN_SLICE_NONE;
    uint64_t lanes = 0;
    if (!take_line(&text, "lanes ", &value)) {
        return true;
    }
    if (cairn_slice_to_u64(value, &lanes) != CAIRN_OK || lanes == 0 ||
        lanes > CAIRN_PARTITIONS_MAX) {
        return false;
    }
    head->lanes = (uint16_t)lanes;
    while (head->aggregate_count < CAIRN_LOG_AGGREGATES_MAX &&
           take_line(&text, "aggregate ", &value)) {
        if (!cairn_aggregate_is_valid(value)) {
            return false;
        }
        memcpy(head->aggregates[head->aggregate_count++], value.data, value.size);
    }
    return (uint64_t)head->lanes * head->aggregate_count == head->partitions;
}

static bool parse_head(struct cairn_slice text, struct cairn_log_head *head)
{
    struct cairn_slice value = CAIRN_SLICE_NONE;
    uint64_t format = 0;
    uint64_t partitions = 0;
    if (!take_line(&text, "cairn log", &value) || !take_line(&text, "format ", &value) ||
        cairn_slice_to_u64(value, &format) != CAIRN_OK || format == 0 || format > UINT32_MAX) {
        return false;
    }
    head->format = (uint32_t)format;
    if (format != CAIRN_LOG_FORMAT) {
        return true; /* nothing more is known of it */
    }
    if (!take_line(&text, "partitions ", &value) ||
        cairn_slice_to_u64(value, &partitions) != CAIRN_OK || partitions == 0 ||
        partitions > CAIRN_PARTITIONS_MAX) {
        return false;
    }
    head->partitions = (uint16_t)partitions;
    if (!take_line(&text, "id ", &value) || !parse_id(value, head->id) ||
        !take_line(&text, "domain ", &value) || value.size >= sizeof(head->domain)) {
        return false;
    }
    memset(head->domain, 0, sizeof(head->domain));
    memcpy(head->domain, value.data, value.size);
    return parse_layout(text, head);
}

enum cairn_rc cairn_log_head_read(const char *log_folder, struct cairn_log_head *ret_head,
                                  struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_buf text = {.max = LOG_FILE_BYTES_MAX};
    struct cairn_buf again = {.max = LOG_FILE_BYTES_MAX};
    struct cairn_log_head head = {0};
    enum cairn_rc rc = cairn_file_join(path, log_folder, LOG_FILE);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", log_folder);
    }
    rc = cairn_file_read(path, &text, err);
    if (rc != CAIRN_OK) {
        goto done;
    }
    if (!parse_head(cairn_buf_slice(&text), &head)) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s does not describe a log", path);
        goto done;
    }
    if (head.format != CAIRN_LOG_FORMAT) {
        rc = CAIRN_FAIL(err, CAIRN_EUNSUPPORTED,
                        "%s: format %u; this program reads and writes format %u", path,
                        (unsigned)head.format, CAIRN_LOG_FORMAT);
        goto done;
    }
    rc = print_head(&head, &again);
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "read %s", path);
    } else if (!cairn_slice_equal(cairn_buf_slice(&text), cairn_buf_slice(&again))) {
        rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: the checksum does not match", path);
    } else {
        *ret_head = head;
    }
done:
    cairn_buf_fini(&again);
    cairn_buf_fini(&text);
    return rc;
}

enum cairn_rc cairn_log_head_write(const char *log_folder, const struct cairn_log_head *head,
                                   struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_buf text = {.max = LOG_FILE_BYTES_MAX};
    enum cairn_rc rc = cairn_file_join(path, log_folder, LOG_FILE);
    if (rc == CAIRN_OK) {
        rc = print_head(head, &text);
    }
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "describe the log in %s", log_folder);
    } else {
        rc = cairn_file_replace(path, cairn_buf_slice(&text), err);
    }
    cairn_buf_fini(&text);
    return rc;
}
