#include "eventstore/replica.h"

#include <assert.h>
#include <stdio.h>
#include <sys/stat.h>

#include "eventstore/files_int.h"
#include "platform/mem.h"

/* Bytes that a partition keeps for encoding; what a large group needs is given back. */
#define REPLICA_GROUP_KEEP_BYTES (256u * 1024u)
/* A reading process looks so often whether its replica is still the writer's. */
#define REPLICA_LOOK_NS 100000000

static struct cairn_files *files_of(struct cairn_backend *backend)
{
    struct cairn_files *files = (struct cairn_files *)backend;
    assert(files->replica);
    return files;
}

/* ---- what is in the folder ---- */

static void describe(const struct cairn_replica *replica, struct cairn_slice domain,
                     struct cairn_log_head *head)
{
    assert(replica->lanes > 0 && replica->aggregate_count > 0);
    assert(replica->aggregate_count <= CAIRN_REPLICA_AGGREGATES_MAX);
    assert((uint32_t)replica->lanes * replica->aggregate_count <= CAIRN_PARTITIONS_MAX);
    memset(head, 0, sizeof(*head));
    head->format = CAIRN_LOG_FORMAT;
    head->partitions = (uint16_t)(replica->lanes * replica->aggregate_count);
    head->lanes = replica->lanes;
    head->aggregate_count = replica->aggregate_count;
    memcpy(head->id, replica->log_id, sizeof(head->id));
    assert(domain.size < sizeof(head->domain));
    if (domain.size > 0) {
        memcpy(head->domain, domain.data, domain.size);
    }
    for (uint16_t i = 0; i < replica->aggregate_count; i++) {
        struct cairn_slice aggregate = replica->aggregates[i];
        assert(aggregate.size > 0 && aggregate.size <= CAIRN_AGGREGATE_BYTES_MAX);
        memcpy(head->aggregates[i], aggregate.data, aggregate.size);
    }
}

/* Is what is there the beginning of what is wanted? A log may have got more aggregates. */
static bool fits(const struct cairn_log_head *there, const struct cairn_log_head *wanted)
{
    return memcmp(there->id, wanted->id, sizeof(there->id)) == 0 &&
           strcmp(there->domain, wanted->domain) == 0 && there->lanes == wanted->lanes &&
           there->aggregate_count <= wanted->aggregate_count &&
           memcmp(there->aggregates, wanted->aggregates,
                  there->aggregate_count * sizeof(there->aggregates[0])) == 0;
}

/* Empty the folder; its description goes first, so that half a replica is none. The lock stays. */
static enum cairn_rc throw_away(struct cairn_files *files, const char *why, struct cairn_err *err)
{
    struct cairn_arena arena = {.max = (size_t)1 << 30};
    const char **names = NULL;
    size_t count = 0;
    char path[CAIRN_PATH_MAX];
    cairn_log_event(files->log_lines, CAIRN_LOG_WARN, "eventstore",
                    "replica thrown away; it is read from its source again",
                    CAIRN_F_STR("folder", files->folder), CAIRN_F_STR("why", why));
    enum cairn_rc rc = cairn_file_join(path, files->folder, "log.txt");
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "%s: the path is too long", files->folder);
    }
    rc = cairn_file_remove_tree(path, err);
    if (rc == CAIRN_OK) {
        rc = cairn_file_list(files->folder, &arena, &names, &count, err);
    }
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        if (strcmp(names[i], "lock") == 0) {
            continue;
        }
        rc = cairn_file_join(path, files->folder, names[i]) == CAIRN_OK
                 ? cairn_file_remove_tree(path, err)
                 : CAIRN_FAIL(err, CAIRN_ETOOBIG, "%s: the path is too long", files->folder);
    }
    cairn_arena_fini(&arena);
    return rc;
}

/* Take what is there where it fits; *ret_why: the reason that it must go, or NULL. */
static enum cairn_rc take(struct cairn_files *files, const struct cairn_log_head *wanted,
                          const char **ret_why, struct cairn_err *err)
{
    char first[CAIRN_PATH_MAX];
    struct cairn_log_head *there = &files->head;
    *ret_why = NULL;
    memset(there, 0, sizeof(*there));
    enum cairn_rc rc = cairn_log_head_read(files->folder, there, err);
    if (rc == CAIRN_ENOENT) {
        rc = cairn_file_join(first, files->folder, "0");
        *ret_why = rc == CAIRN_OK && cairn_file_exists(first) ? "it is not whole" : NULL;
        *there = *wanted;
        return *ret_why != NULL ? CAIRN_OK : cairn_log_head_write(files->folder, there, err);
    }
    if (rc == CAIRN_ECORRUPT || rc == CAIRN_EUNSUPPORTED) {
        *ret_why = rc == CAIRN_ECORRUPT ? "it is damaged" : "it is of another format";
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK && !fits(there, wanted)) {
        *ret_why = "it is of another log";
    } else if (rc == CAIRN_OK && there->aggregate_count < wanted->aggregate_count) {
        *there = *wanted;
        rc = cairn_log_head_write(files->folder, there, err);
    }
    return rc;
}

static enum cairn_rc open_writer(struct cairn_files *files, const struct cairn_log_head *wanted,
                                 struct cairn_err *err)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        const char *why = NULL;
        enum cairn_rc rc = take(files, wanted, &why, err);
        if (rc == CAIRN_OK && why == NULL) {
            rc = cairn_files_attach(files, err);
            why = rc == CAIRN_ECORRUPT ? err->text : NULL;
        }
        if (why == NULL) {
            return rc;
        }
        cairn_files_detach(files);
        struct cairn_err failed = {.rc = CAIRN_OK};
        rc = throw_away(files, why, &failed);
        if (rc != CAIRN_OK) {
            *err = failed;
            return rc;
        }
    }
    return CAIRN_FAIL(err, CAIRN_EIO, "%s: a new replica does not open", files->folder);
}

/* ---- a process that only reads ---- */

static bool identify(const struct cairn_files *files, uint64_t ret_id[2])
{
    char path[CAIRN_PATH_MAX];
    struct stat found;
    if (cairn_file_join(path, files->folder, "head") != CAIRN_OK || stat(path, &found) != 0) {
        return false;
    }
    ret_id[0] = (uint64_t)found.st_dev;
    ret_id[1] = (uint64_t)found.st_ino;
    return true;
}

static enum cairn_rc look(struct cairn_backend *backend, bool now, struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    if (files->writer) {
        return CAIRN_OK;
    }
    int64_t ns = cairn_clock_monotonic_ns(cairn_clock_system());
    if (!atomic_load(&files->replaced) &&
        (now || ns - atomic_load(&files->looked_ns) >= REPLICA_LOOK_NS)) {
        uint64_t id[2] = {0, 0};
        atomic_store(&files->looked_ns, ns);
        if (!identify(files, id) || memcmp(id, files->head_id, sizeof(id)) != 0) {
            atomic_store(&files->replaced, true);
        }
    }
    return atomic_load(&files->replaced)
               ? CAIRN_FAIL(err, CAIRN_ESTOPPED,
                            "%s was thrown away by the process that writes it, which builds "
                            "another: open that one",
                            files->folder)
               : CAIRN_OK;
}

static bool is_replaced(const struct cairn_backend *backend)
{
    const struct cairn_files *files = (const struct cairn_files *)backend;
    uint64_t id[2] = {0, 0};
    return !files->writer && identify(files, id) && memcmp(id, files->head_id, sizeof(id)) != 0;
}

static enum cairn_rc open_reader(struct cairn_files *files,
                                 const struct cairn_store_options *options, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_log_head_read(files->folder, &files->head, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (files->head.lanes == 0 ||
        (options->domain.size > 0 && !cairn_slice_is(options->domain, files->head.domain))) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "%s holds the log of domain %s, not of %.*s",
                          files->folder, files->head.domain, CAIRN_SLICE_ARG(options->domain));
    }
    /* Before the beacon is opened: one that is replaced between is noticed. */
    if (!identify(files, files->head_id)) {
        return CAIRN_FAIL(err, CAIRN_ENOENT, "%s is not there yet", files->folder);
    }
    return cairn_files_attach(files, err);
}

/* ---- the backend ---- */

static uint16_t lanes_of(const struct cairn_backend *backend)
{
    return ((const struct cairn_files *)backend)->head.lanes;
}

static enum cairn_rc find_partition(const struct cairn_backend *backend, struct cairn_slice stream,
                                    uint16_t *ret_partition)
{
    const struct cairn_log_head *head = &((const struct cairn_files *)backend)->head;
    struct cairn_slice aggregate = cairn_stream_aggregate(stream);
    for (uint16_t i = 0; i < head->aggregate_count; i++) {
        if (cairn_slice_is(aggregate, head->aggregates[i])) {
            uint16_t lane = cairn_lane_of_id(cairn_stream_id(stream), head->lanes);
            *ret_partition = (uint16_t)(i * head->lanes + lane);
            return CAIRN_OK;
        }
    }
    return CAIRN_ENOAGGREGATE;
}

static enum cairn_rc refuse_commit(struct cairn_backend *backend, struct cairn_commit *commit,
                                   struct cairn_err *err)
{
    commit->stop = false;
    return CAIRN_FAIL(err, CAIRN_EUNSUPPORTED, "%s is a replica: commands go to its source",
                      files_of(backend)->folder);
}

enum cairn_rc cairn_replica_open(const struct cairn_store_options *options,
                                 const struct cairn_replica *replica,
                                 struct cairn_backend **ret_backend, struct cairn_err *err)
{
    assert(options->writer == (replica != NULL));
    struct cairn_err why = {.rc = CAIRN_OK};
    struct cairn_files *files = cairn_files_new(options, CAIRN_REPLICA_SEGMENT_BYTES);
    if (files == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "open the replica");
    }
    files->replica = true;
    files->replica_ops = cairn_files_ops;
    files->replica_ops.name = "replica";
    files->replica_ops.lanes = lanes_of;
    files->replica_ops.find = find_partition;
    files->replica_ops.recover = cairn_replica_recover;
    files->replica_ops.commit = refuse_commit;
    files->replica_ops.replicate = cairn_replica_append;
    files->replica_ops.sync = cairn_replica_sync;
    files->replica_ops.look = look;
    files->replica_ops.replaced = is_replaced;
    files->backend.ops = &files->replica_ops;
    enum cairn_rc rc = cairn_files_refuse_other(options->data_folder, CAIRN_LOG_FOLDER,
                                                "an embedded log", "files", &why);
    if (rc == CAIRN_OK) {
        rc = cairn_files_enter(files, options->data_folder, CAIRN_REPLICA_FOLDER, &why);
    }
    if (rc == CAIRN_OK && replica != NULL) {
        struct cairn_log_head wanted;
        describe(replica, options->domain, &wanted);
        rc = open_writer(files, &wanted, &why);
    } else if (rc == CAIRN_OK) {
        rc = open_reader(files, options, &why);
    }
    if (rc != CAIRN_OK) {
        if (err != NULL) {
            *err = why;
        }
        files->backend.ops->close(&files->backend);
        return rc;
    }
    *ret_backend = &files->backend;
    return CAIRN_OK;
}

uint64_t cairn_replica_source(struct cairn_backend *backend, uint16_t partition)
{
    struct cairn_files *files = files_of(backend);
    assert(partition < files->head.partitions);
    (void)pthread_mutex_lock(&files->lock);
    uint64_t source = files->parts[partition].source;
    (void)pthread_mutex_unlock(&files->lock);
    return source;
}

/* Where a large group was encoded: many partitions would keep much memory. */
static void give_back(struct cairn_files_part *part)
{
    if (part->group_cap > REPLICA_GROUP_KEEP_BYTES) {
        cairn_mem_free(part->group);
        part->group = NULL;
        part->group_cap = 0;
    }
}

enum cairn_rc cairn_replica_append(struct cairn_backend *backend, struct cairn_commit *commit,
                                   uint64_t source, struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    struct cairn_files_part *part = cairn_files_part_of(files, commit);
    struct cairn_group_head head = {.source = source};
    assert(files->writer && part->next > 0);
    commit->stop = false;
    enum cairn_rc rc = cairn_files_measure(part, commit, &head, err);
    size_t size = (size_t)CAIRN_GROUP_HEADER_BYTES + head.size;
    if (rc == CAIRN_OK) {
        rc = cairn_files_choose(files, part, size, err);
    }
    if (rc == CAIRN_OK) {
        rc = cairn_files_encode(part, commit, &head, files->salt, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    int os = files->disk->write(files->disk->self, part->fd, part->group, size, part->pos);
    give_back(part);
    if (os != 0) {
        return CAIRN_FAIL_OS(err, os, "write %s/%u", files->folder, (unsigned)part->number);
    }
    cairn_files_advance(part, commit, &head);
    (void)pthread_mutex_lock(&files->lock);
    part->dirty = true;
    part->source = source > 0 ? source : part->source;
    (void)pthread_mutex_unlock(&files->lock);
    return CAIRN_OK;
}

/* ---- syncing ---- */

/* Segments that take no more. */
static int sync_left(struct cairn_files *files)
{
    (void)pthread_mutex_lock(&files->lock);
    int *left = files->left;
    size_t count = files->left_count;
    files->left = NULL;
    files->left_count = 0;
    files->left_cap = 0;
    (void)pthread_mutex_unlock(&files->lock);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        int os = files->disk->sync_data(files->disk->self, left[i]);
        failed = failed != 0 ? failed : os;
        files->disk->close(files->disk->self, left[i]);
    }
    cairn_mem_free(left);
    return failed;
}

static int sync_part(struct cairn_files *files, struct cairn_files_part *part)
{
    char folder[CAIRN_PATH_MAX + 8];
    (void)pthread_mutex_lock(&files->lock);
    int fd = part->dirty ? part->fd : -1;
    bool made = part->made;
    part->dirty = false;
    part->made = false;
    part->syncing = fd >= 0;
    (void)pthread_mutex_unlock(&files->lock);
    int os = fd >= 0 ? files->disk->sync_data(files->disk->self, fd) : 0;
    if (os == 0 && made) {
        (void)snprintf(folder, sizeof(folder), "%s/%u", files->folder, (unsigned)part->number);
        os = files->disk->sync_folder(files->disk->self, folder);
    }
    (void)pthread_mutex_lock(&files->lock);
    part->syncing = false;
    (void)pthread_cond_broadcast(&files->filled);
    (void)pthread_mutex_unlock(&files->lock);
    return os;
}

enum cairn_rc cairn_replica_sync(struct cairn_backend *backend, struct cairn_err *err)
{
    struct cairn_files *files = files_of(backend);
    assert(files->writer);
    (void)pthread_mutex_lock(&files->lock);
    int os = files->sync_os;
    (void)pthread_mutex_unlock(&files->lock);
    os = os != 0 ? os : sync_left(files);
    for (uint16_t p = 0; os == 0 && p < files->head.partitions; p++) {
        os = sync_part(files, &files->parts[p]);
    }
    if (os == 0) {
        return CAIRN_OK;
    }
    (void)pthread_mutex_lock(&files->lock);
    files->sync_os = os;
    (void)pthread_mutex_unlock(&files->lock);
    return CAIRN_FAIL_OS(err, os, "sync %s; restart after the cause is gone", files->folder);
}
