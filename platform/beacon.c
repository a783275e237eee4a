#include "platform/beacon.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/mem.h"

enum { FILE_BYTES = 4096, FORMAT_VERSION = 1 };

#define MAGIC "CAIRNBCN"

/* The file as mapped; its layout is drawn in the header. */
struct page {
    char magic[8];
    uint32_t version;
    _Atomic uint32_t bell;
    _Atomic uint64_t slots[CAIRN_BEACON_SLOTS_MAX];
};

static_assert(sizeof(_Atomic uint32_t) == 4 && sizeof(_Atomic uint64_t) == 8, "as on disk");
static_assert(offsetof(struct page, bell) == 12 && offsetof(struct page, slots) == 16, "layout");
static_assert(sizeof(struct page) <= FILE_BYTES, "the slots fit the file");
static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2,
              "atomics shared between processes need no lock");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

struct cairn_beacon {
    struct page *page; /* mapped shared; read-only for a reader */
    bool writer;
};

/* Whether the first 12 bytes of a file are a beacon's, or those that a power cut or a full disk
 * left of one: the file's name can be on disk before its content. */
enum head { HEAD_GOOD, HEAD_BLANK, HEAD_FOREIGN };

static const unsigned char good_head[12] = MAGIC "\1";

/* Whether the bytes are the beginning of a good head, none of it or all of it, and zeros. */
static bool is_begun(const unsigned char bytes[12])
{
    size_t same = 0;
    while (same < sizeof(good_head) && bytes[same] == good_head[same]) {
        same++;
    }
    while (same < sizeof(good_head) && bytes[same] == 0) {
        same++;
    }
    return same == sizeof(good_head);
}

static enum cairn_rc read_head(int fd, const char *path, enum head *ret_head, struct cairn_err *err)
{
    const struct cairn_disk *disk = cairn_disk_system();
    unsigned char bytes[12] = {0};
    uint64_t size = 0;
    size_t got = 0;
    int os = disk->size(disk->self, fd, &size);
    if (os == 0) {
        os = disk->read(disk->self, fd, bytes, sizeof(bytes), 0, &got);
    }
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "read %s", path);
    }
    bool good = size == FILE_BYTES && memcmp(bytes, good_head, sizeof(bytes)) == 0;
    bool blank = size <= FILE_BYTES && is_begun(bytes);
    *ret_head = good ? HEAD_GOOD : blank ? HEAD_BLANK : HEAD_FOREIGN;
    return CAIRN_OK;
}

/* Write the whole page and not its head alone: a store to a mapped hole is SIGBUS on a full disk.
 * The head goes last, so that a reader that comes between waits for a good one. */
static enum cairn_rc write_page(int fd, const char *path, struct cairn_err *err)
{
    static const char zeros[FILE_BYTES - sizeof(good_head)];
    const struct cairn_disk *disk = cairn_disk_system();
    int os = disk->write(disk->self, fd, zeros, sizeof(zeros), sizeof(good_head));
    if (os == 0) {
        os = disk->write(disk->self, fd, good_head, sizeof(good_head), 0);
    }
    return os == 0 ? CAIRN_OK : CAIRN_FAIL_OS(err, os, "write %s", path);
}

/* A reader takes a blank file for one that is not there yet. */
static enum cairn_rc prepare(int fd, const char *path, bool writer, struct cairn_err *err)
{
    enum head head = HEAD_FOREIGN;
    enum cairn_rc rc = read_head(fd, path, &head, err);
    if (rc != CAIRN_OK || head == HEAD_GOOD) {
        return rc;
    }
    if (head == HEAD_FOREIGN) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s is not a beacon of version %d", path,
                          FORMAT_VERSION);
    }
    if (!writer) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "%s holds nothing yet", path);
    }
    return write_page(fd, path, err);
}

static enum cairn_rc map_page(int fd, const char *path, bool writer, struct page **ret_page,
                              struct cairn_err *err)
{
    enum cairn_rc rc = prepare(fd, path, writer, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    int rights = writer ? PROT_READ | PROT_WRITE : PROT_READ;
    void *memory = mmap(NULL, FILE_BYTES, rights, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return CAIRN_FAIL_OS(err, errno, "map %s", path);
    }
    *ret_page = memory;
    return CAIRN_OK;
}

enum cairn_rc cairn_beacon_open(const char *path, bool writer, struct cairn_beacon **ret_beacon,
                                struct cairn_err *err)
{
    assert(path != NULL && ret_beacon != NULL);
    struct cairn_beacon *beacon = cairn_mem_zalloc(1, sizeof(*beacon));
    if (beacon == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open %s", path);
    }
    const struct cairn_disk *disk = cairn_disk_system();
    enum cairn_rc rc = CAIRN_OK;
    int fd = -1;
    int os = disk->open(disk->self, path, writer, writer, &fd);
    if (os != 0) {
        rc = CAIRN_FAIL_OS(err, os, "open %s", path);
    } else {
        rc = map_page(fd, path, writer, &beacon->page, err);
        disk->close(disk->self, fd);
    }
    if (rc != CAIRN_OK) {
        cairn_mem_free(beacon);
        return rc;
    }
    beacon->writer = writer;
    *ret_beacon = beacon;
    return CAIRN_OK;
}

uint64_t cairn_beacon_load(const struct cairn_beacon *beacon, unsigned slot)
{
    assert(slot < CAIRN_BEACON_SLOTS_MAX);
    return atomic_load_explicit(&beacon->page->slots[slot], memory_order_acquire);
}

void cairn_beacon_store(struct cairn_beacon *beacon, unsigned slot, uint64_t value)
{
    assert(beacon->writer);
    assert(slot < CAIRN_BEACON_SLOTS_MAX);
    atomic_store_explicit(&beacon->page->slots[slot], value, memory_order_release);
}

/* The futex must not be PRIVATE: the word is shared between processes through the file. */
void cairn_beacon_ring(struct cairn_beacon *beacon)
{
    assert(beacon->writer);
    atomic_fetch_add_explicit(&beacon->page->bell, 1, memory_order_seq_cst);
    (void)syscall(SYS_futex, &beacon->page->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint32_t cairn_beacon_bell(const struct cairn_beacon *beacon)
{
    return atomic_load_explicit(&beacon->page->bell, memory_order_seq_cst);
}

void cairn_beacon_wait(const struct cairn_beacon *beacon, uint32_t seen, int timeout_ms)
{
    assert(timeout_ms >= 0);
    if (cairn_beacon_bell(beacon) != seen) {
        return;
    }
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    (void)syscall(SYS_futex, &beacon->page->bell, FUTEX_WAIT, seen, &timeout, NULL, 0);
}

void cairn_beacon_close(struct cairn_beacon *beacon)
{
    if (beacon == NULL) {
        return;
    }
    (void)munmap(beacon->page, FILE_BYTES);
    cairn_mem_free(beacon);
}
