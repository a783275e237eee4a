#include "platform/beacon.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform/mem.h"

enum { FILE_BYTES = 4096, FORMAT_VERSION = 1, FILE_MODE = 0640 };

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

/* Make the file whole: a new one gets its size and its head. Two writers that race write the same
 * bytes. */
static enum cairn_rc prepare(int fd, const char *path, struct cairn_err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return CAIRN_FAIL_OS(err, errno, "stat %s", path);
    }
    if (status.st_size != 0) {
        return CAIRN_OK;
    }
    struct {
        char magic[8];
        uint32_t version;
    } head = {.version = FORMAT_VERSION};
    memcpy(head.magic, MAGIC, sizeof(head.magic));
    if (ftruncate(fd, FILE_BYTES) != 0) {
        return CAIRN_FAIL_OS(err, errno, "size %s", path);
    }
    ssize_t put = pwrite(fd, &head, 12, 0);
    if (put != 12) {
        return CAIRN_FAIL_OS(err, put < 0 ? errno : ENOSPC, "write %s", path);
    }
    return CAIRN_OK;
}

static enum cairn_rc check(int fd, const char *path, struct cairn_err *err)
{
    struct stat status;
    char head[12];
    uint32_t version;
    if (fstat(fd, &status) != 0) {
        return CAIRN_FAIL_OS(err, errno, "stat %s", path);
    }
    if (status.st_size != FILE_BYTES || pread(fd, head, sizeof(head), 0) != sizeof(head)) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s is not a beacon: it has %lld bytes", path,
                          (long long)status.st_size);
    }
    memcpy(&version, head + 8, sizeof(version));
    if (memcmp(head, MAGIC, 8) != 0 || version != FORMAT_VERSION) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "%s is not a beacon of version %d", path,
                          FORMAT_VERSION);
    }
    return CAIRN_OK;
}

static enum cairn_rc map_page(int fd, const char *path, bool writer, struct page **ret_page,
                              struct cairn_err *err)
{
    enum cairn_rc rc = writer ? prepare(fd, path, err) : CAIRN_OK;
    if (rc == CAIRN_OK) {
        rc = check(fd, path, err);
    }
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
    int fd = open(path, (writer ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        enum cairn_rc rc = CAIRN_FAIL_OS(err, errno, "open %s", path);
        cairn_mem_free(beacon);
        return rc;
    }
    enum cairn_rc rc = map_page(fd, path, writer, &beacon->page, err);
    (void)close(fd);
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
