/* Reading a whole log and checking everything in it, without opening it as a store: it changes
 * nothing and works beside a writer.
 *
 * Versions of a stream must be dense and ids unique. Neither fits memory for a log of any length,
 * so streams and ids are spread over classes by hash, and the log is read once for each class: as
 * often as it takes to keep a class's entries within about VERIFY_ENTRIES_MAX. A log of
 * up to 2 million events takes one pass. */
#include <assert.h>
#include <stdio.h>

#include "eventstore/scan.h"
#include "platform/beacon.h"
#include "platform/hash.h"
#include "platform/map.h"
#include "platform/mem.h"

/* Streams, and ids, in memory at once. */
#define VERIFY_ENTRIES_MAX   ((size_t)1 << 21)
#define VERIFY_PROGRESS_STEP (8u * 1024u * 1024u)

/* A set of 128-bit ids: open addressing, the zero id apart. */
struct id_set {
    struct cairn_uuid *slots;
    size_t cap; /* power of two */
    size_t count;
};

struct verify {
    char folder[CAIRN_PATH_MAX]; /* <data>/log or <data>/replica */
    struct cairn_log_head head;
    struct cairn_beacon *beacon; /* NULL: there is none */
    const struct cairn_verify_hooks *hooks;
    struct cairn_verify_report report;
    struct cairn_scan scan;
    uint64_t all, told; /* bytes */
    uint64_t published; /* of the partition at hand */
    uint32_t pass, passes;
    struct cairn_map versions; /* stream -> version, of this pass's class */
    struct id_set ids;
    struct cairn_err *err;
};

static void fault(struct verify *verify, const char *place, const char *text)
{
    verify->report.faults++;
    if (verify->hooks != NULL && verify->hooks->fault != NULL) {
        verify->hooks->fault(verify->hooks->self, place, text);
    }
}

static void fault_at(struct verify *verify, uint64_t at, const char *text)
{
    char place[CAIRN_PATH_MAX + 32];
    (void)snprintf(place, sizeof(place), "%s: byte %llu", verify->scan.path,
                   (unsigned long long)at);
    fault(verify, place, text);
}

/* What the scan said, "path: byte 1: why", as a place and a text. */
static void fault_told(struct verify *verify, const char *told)
{
    size_t path = strlen(verify->scan.path);
    const char *colon = strncmp(told, verify->scan.path, path) == 0 && told[path] == ':'
                            ? strstr(told + path + 1, ": ")
                            : NULL;
    if (colon == NULL) {
        fault(verify, verify->scan.path, told);
        return;
    }
    char place[CAIRN_ERR_TEXT_MAX];
    (void)snprintf(place, sizeof(place), "%.*s", (int)(colon - told), told);
    fault(verify, place, colon + 2);
}

static void progress(struct verify *verify, bool always)
{
    if (verify->hooks != NULL && verify->hooks->progress != NULL &&
        (always || verify->report.bytes - verify->told >= VERIFY_PROGRESS_STEP)) {
        verify->told = verify->report.bytes;
        verify->hooks->progress(verify->hooks->self, verify->report.bytes, verify->all);
    }
}

/* False: memory is out. *ret_added: the id was not there. */
static bool add_id(struct id_set *set, const struct cairn_uuid *id, bool *ret_added)
{
    static const struct cairn_uuid none = {{0}};
    if (2 * (set->count + 1) > set->cap) {
        struct id_set grown = {.cap = set->cap == 0 ? 4096 : set->cap * 2};
        grown.slots = cairn_mem_zalloc(grown.cap, sizeof(*grown.slots));
        if (grown.slots == NULL) {
            return false;
        }
        for (size_t i = 0; i < set->cap; i++) {
            bool ignored;
            if (memcmp(&set->slots[i], &none, sizeof(none)) != 0) {
                (void)add_id(&grown, &set->slots[i], &ignored);
            }
        }
        cairn_mem_free(set->slots);
        *set = grown;
    }
    uint64_t hash = cairn_hash64(cairn_slice_of((const char *)id->bytes, sizeof(id->bytes)));
    size_t at = (size_t)hash & (set->cap - 1);
    while (memcmp(&set->slots[at], &none, sizeof(none)) != 0) {
        if (memcmp(&set->slots[at], id, sizeof(*id)) == 0) {
            *ret_added = false;
            return true;
        }
        at = (at + 1) & (set->cap - 1);
    }
    set->slots[at] = *id;
    set->count++;
    *ret_added = true;
    return true;
}

static bool is_mine(const struct verify *verify, struct cairn_slice name)
{
    return verify->passes == 1 || (cairn_hash64(name) >> 40) % verify->passes == verify->pass;
}

static enum cairn_rc out_of_memory(struct verify *verify)
{
    return CAIRN_FAIL(verify->err, CAIRN_ENOMEM, "verify %s", verify->folder);
}

static enum cairn_rc check_event(struct verify *verify, const struct cairn_event *event,
                                 uint64_t at)
{
    if (is_mine(verify, event->stream)) {
        union cairn_map_value *version = cairn_map_put(&verify->versions, event->stream, NULL);
        if (version == NULL) {
            return out_of_memory(verify);
        }
        verify->report.streams += version->number == 0 ? 1 : 0;
        if (event->version != version->number + 1) {
            char text[CAIRN_STREAM_BYTES_MAX + 128];
            (void)snprintf(text, sizeof(text), "version %llu of %.*s follows version %llu",
                           (unsigned long long)event->version, CAIRN_SLICE_ARG(event->stream),
                           (unsigned long long)version->number);
            fault_at(verify, at, text);
        }
        version->number = event->version;
    }
    struct cairn_slice id = cairn_slice_of((const char *)event->id.bytes, sizeof(event->id.bytes));
    if (is_mine(verify, id)) {
        bool added = true;
        if (!add_id(&verify->ids, &event->id, &added)) {
            return out_of_memory(verify);
        }
        if (!added) {
            fault_at(verify, at, "the event's id was used before");
        }
    }
    return CAIRN_OK;
}

/* The next place at or behind `at` where a group header lies; 0: none to the end of the file. */
static enum cairn_rc find_next(struct verify *verify, uint64_t at, uint64_t *ret_at,
                               struct cairn_group_head *ret_head)
{
    *ret_at = 0;
    for (;;) {
        struct cairn_slice bytes = CAIRN_SLICE_NONE;
        enum cairn_rc rc = cairn_scan_bytes(&verify->scan, at, 64 * 1024, &bytes, verify->err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        for (size_t i = 0; i + CAIRN_GROUP_HEADER_BYTES <= bytes.size; i += 8) {
            if (cairn_group_head_read(bytes.data + i, verify->scan.salt,
                                      cairn_locator(verify->scan.segment, (uint32_t)(at + i)),
                                      ret_head)) {
                *ret_at = at + i;
                return CAIRN_OK;
            }
        }
        if (bytes.size < 64 * 1024) {
            return CAIRN_OK;
        }
        at += 64 * 1024 - CAIRN_GROUP_HEADER_BYTES;
    }
}

static enum cairn_rc check_group(struct verify *verify, uint64_t at,
                                 const struct cairn_group_head *head)
{
    struct cairn_err err;
    enum cairn_rc rc = cairn_scan_group(&verify->scan, at, head, 0, true, &err);
    if (rc == CAIRN_ECORRUPT) {
        uint64_t following = 0;
        struct cairn_group_head ignored;
        rc = find_next(verify, at + CAIRN_GROUP_HEADER_BYTES, &following, &ignored);
        if (head->first_offset > verify->published && following == 0) {
            verify->report.torn_tail = true;
        } else if (verify->pass == 0) {
            fault_told(verify, err.text);
        }
        return rc;
    }
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(verify->err, rc, "%s", err.text);
    }
    for (uint32_t i = 0; rc == CAIRN_OK && i < head->events; i++) {
        rc = check_event(verify, &verify->scan.events[i],
                         cairn_locator_at(verify->scan.locators[i]));
    }
    if (verify->pass == 0) {
        verify->report.events += head->events;
        verify->report.commands += head->appends;
    }
    return rc;
}

/* All groups of one segment. next: offset that must come; it is moved on. */
static enum cairn_rc check_groups(struct verify *verify, uint64_t *next)
{
    uint64_t at = CAIRN_SEGMENT_HEADER_BYTES;
    uint64_t start = at;
    for (;;) {
        struct cairn_group_head head;
        enum cairn_scan_found found = CAIRN_SCAN_EMPTY;
        enum cairn_rc rc = cairn_scan_head(&verify->scan, at, &found, &head, verify->err);
        if (rc == CAIRN_OK && found != CAIRN_SCAN_GROUP) {
            uint64_t skipped = at;
            rc = find_next(verify, at, &at, &head);
            if (rc == CAIRN_OK && at == 0) {
                verify->report.torn_tail = verify->report.torn_tail || found == CAIRN_SCAN_BROKEN;
                return CAIRN_OK;
            }
            if (rc == CAIRN_OK && verify->pass == 0) {
                fault_at(verify, skipped, "there is no group header, and groups follow");
            }
        }
        if (rc != CAIRN_OK) {
            return rc;
        }
        if (head.first_offset != *next && verify->pass == 0) {
            fault_at(verify, at, "the group's first offset is not the next one");
        }
        rc = check_group(verify, at, &head);
        if (rc != CAIRN_OK) {
            return rc;
        }
        *next = head.first_offset + head.events;
        at += (uint64_t)CAIRN_GROUP_HEADER_BYTES + head.size;
        verify->report.bytes += at - start;
        start = at;
        progress(verify, false);
    }
}

static void check_segment_head(struct verify *verify, uint16_t partition, uint32_t number,
                               uint64_t base)
{
    struct cairn_segment_head head = {0};
    struct cairn_slice bytes = CAIRN_SLICE_NONE;
    struct cairn_err err;
    const char *why = "the file is shorter than its header";
    bool whole =
        cairn_scan_bytes(&verify->scan, 0, CAIRN_SEGMENT_HEADER_BYTES, &bytes, &err) == CAIRN_OK &&
        bytes.size == CAIRN_SEGMENT_HEADER_BYTES &&
        cairn_segment_head_read(bytes.data, &head, &why);
    if (!whole) {
        fault_at(verify, 0, why);
    } else if (memcmp(head.log_id, verify->head.id, sizeof(head.log_id)) != 0) {
        fault_at(verify, 0, "it belongs to another log");
    } else if (head.partition != partition || head.number != number || head.base != base) {
        fault_at(verify, 0, "it is another segment of this log, or one before it is missing");
    }
}

static enum cairn_rc check_partition(struct verify *verify, uint16_t partition)
{
    struct cairn_arena arena = {.max = (size_t)1 << 30};
    uint64_t *bases = NULL;
    size_t count = 0;
    uint64_t next = 1;
    /* Before the list: what was published by then must be in it. */
    verify->published = verify->beacon == NULL ? 0 : cairn_beacon_load(verify->beacon, partition);
    verify->scan.partition = partition;
    enum cairn_rc rc =
        cairn_segment_list(verify->folder, partition, &arena, &bases, &count, verify->err);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        char path[CAIRN_PATH_MAX];
        uint32_t number = (uint32_t)i + 1;
        rc = cairn_segment_path(path, verify->folder, partition, bases[i], verify->err);
        if (rc == CAIRN_OK) {
            rc = cairn_scan_open(&verify->scan, path, number, verify->err);
        }
        if (rc != CAIRN_OK) {
            break;
        }
        if (verify->pass == 0) {
            verify->report.segments++;
            check_segment_head(verify, partition, number, bases[i]);
        }
        if (bases[i] != next && verify->pass == 0) {
            fault_at(verify, 0, "the segment before it ends at another offset");
        }
        next = bases[i];
        rc = check_groups(verify, &next);
    }
    if (rc == CAIRN_OK && next - 1 < verify->published && verify->pass == 0) {
        char text[128];
        (void)snprintf(text, sizeof(text), "the log ends at offset %llu, but %llu was acknowledged",
                       (unsigned long long)(next - 1), (unsigned long long)verify->published);
        char place[CAIRN_PATH_MAX + 8];
        (void)snprintf(place, sizeof(place), "%s/%u", verify->folder, (unsigned)partition);
        fault(verify, place, text);
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* How many bytes there are to read, and how many events at most. */
static enum cairn_rc measure(struct verify *verify)
{
    uint64_t bytes = 0;
    for (uint16_t p = 0; p < verify->head.partitions; p++) {
        struct cairn_arena arena = {.max = (size_t)1 << 30};
        uint64_t *bases = NULL;
        size_t count = 0;
        enum cairn_rc rc =
            cairn_segment_list(verify->folder, p, &arena, &bases, &count, verify->err);
        for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
            char path[CAIRN_PATH_MAX];
            uint64_t size = 0;
            rc = cairn_segment_path(path, verify->folder, p, bases[i], verify->err);
            if (rc == CAIRN_OK) {
                rc = cairn_scan_open(&verify->scan, path, (uint32_t)i + 1, verify->err);
            }
            if (rc == CAIRN_OK) {
                (void)verify->scan.disk->size(verify->scan.disk->self, verify->scan.fd, &size);
            }
            bytes += size;
        }
        cairn_arena_fini(&arena);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    uint64_t events_at_most = 0;
    for (uint16_t p = 0; verify->beacon != NULL && p < verify->head.partitions; p++) {
        events_at_most += cairn_beacon_load(verify->beacon, p);
    }
    if (events_at_most == 0) {
        events_at_most = bytes / (CAIRN_RECORD_HEADER_BYTES + 8);
    }
    verify->passes = (uint32_t)(events_at_most / VERIFY_ENTRIES_MAX) + 1;
    verify->all = bytes * verify->passes;
    return CAIRN_OK;
}

static enum cairn_rc walk(struct verify *verify)
{
    enum cairn_rc rc = measure(verify);
    for (verify->pass = 0; rc == CAIRN_OK && verify->pass < verify->passes; verify->pass++) {
        for (uint16_t p = 0; rc == CAIRN_OK && p < verify->head.partitions; p++) {
            rc = check_partition(verify, p);
        }
        cairn_map_clear(&verify->versions);
        cairn_mem_free(verify->ids.slots);
        verify->ids = (struct id_set){0};
    }
    progress(verify, true);
    verify->report.bytes /= verify->passes > 0 ? verify->passes : 1;
    return rc;
}

/* The log, or where there is none the replica of one. */
static enum cairn_rc find_folder(struct verify *verify, const char *data_folder)
{
    char path[CAIRN_PATH_MAX];
    enum cairn_rc rc = cairn_file_join(path, data_folder, "replica");
    if (rc == CAIRN_OK) {
        rc = cairn_file_join(verify->folder, data_folder,
                             cairn_file_is_folder(path) ? "replica" : "log");
    }
    return rc;
}

enum cairn_rc cairn_store_verify(const char *data_folder, const struct cairn_verify_hooks *hooks,
                                 struct cairn_verify_report *ret_report, struct cairn_err *err)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_err ignored;
    struct verify *verify = cairn_mem_zalloc(1, sizeof(*verify));
    if (verify == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "verify %s", data_folder);
    }
    verify->hooks = hooks;
    verify->err = err;
    verify->scan.disk = cairn_disk_system();
    verify->scan.fd = -1;
    verify->versions.max = 4 * VERIFY_ENTRIES_MAX;
    enum cairn_rc rc = find_folder(verify, data_folder);
    if (rc == CAIRN_OK) {
        rc = cairn_file_join(path, verify->folder, "head");
    }
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "%s: the path is too long", data_folder);
    } else {
        rc = cairn_log_head_read(verify->folder, &verify->head, err);
    }
    if (rc == CAIRN_OK) {
        verify->scan.salt = cairn_log_salt(verify->head.id);
        if (cairn_beacon_open(path, false, &verify->beacon, &ignored) == CAIRN_ECORRUPT) {
            fault(verify, path, ignored.text);
        }
        rc = walk(verify);
    }
    if (rc == CAIRN_OK) {
        *ret_report = verify->report;
        if (verify->report.faults > 0) {
            rc = CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s: %llu faults", verify->folder,
                            (unsigned long long)verify->report.faults);
        }
    }
    cairn_map_fini(&verify->versions);
    cairn_mem_free(verify->ids.slots);
    cairn_scan_fini(&verify->scan);
    cairn_beacon_close(verify->beacon);
    cairn_mem_free(verify);
    return rc;
}
