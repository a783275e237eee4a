#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/hash.h"
#include "platform/json.h"
#include "platform/mem.h"
#include "tools/progress.h"
#include "tools/send_worker.h"
#include "tools/verbs.h"

#define READ_BYTES        (1u << 20)
#define URL_BYTES_MAX     2048
#define ARENA_BYTES_MAX   (16u * 1024u * 1024u)
#define SUMMARY_BYTES_MAX (256u * 1024u)

/* The sending of one file. */
struct sending {
    FILE *file;
    uint64_t file_bytes; /* 0: not known */
    uint64_t read_bytes;
    size_t batch_lines;
    struct cairn_send_worker *workers;
    struct cairn_send_batch **filling; /* one for each worker */
    pthread_t *threads;
    size_t count; /* of workers that run */
    struct cairn_tally tally;
    struct cairn_progress progress;
    struct cairn_arena arena;
    char url[URL_BYTES_MAX];
};

static enum cairn_rc open_file(struct sending *sending, const char *path, struct cairn_err *err)
{
    if (path[0] == '-' && path[1] == '\0') {
        sending->file = stdin;
        return CAIRN_OK;
    }
    sending->file = fopen(path, "rbe");
    if (sending->file == NULL) {
        return CAIRN_FAIL_OS(err, errno, "%s", path);
    }
    struct stat info;
    if (fstat(fileno(sending->file), &info) == 0 && S_ISREG(info.st_mode)) {
        sending->file_bytes = (uint64_t)info.st_size;
    }
    return CAIRN_OK;
}

static enum cairn_rc start_workers(struct sending *sending, const struct cairn_config *config,
                                   struct cairn_err *err)
{
    size_t wanted = (size_t)cairn_config_uint(config, "connections");
    sending->workers = cairn_mem_zalloc(wanted, sizeof(*sending->workers));
    sending->filling = cairn_mem_zalloc(wanted, sizeof(*sending->filling));
    sending->threads = cairn_mem_zalloc(wanted, sizeof(*sending->threads));
    if (sending->workers == NULL || sending->filling == NULL || sending->threads == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < wanted; i++) {
        struct cairn_send_worker *worker = &sending->workers[i];
        cairn_send_slot_init(&worker->slot);
        worker->url = sending->url;
        worker->retry_for_ms = cairn_config_uint(config, "retry-for");
        worker->tally = &sending->tally;
        worker->clock = cairn_clock_system();
        int os = pthread_create(&sending->threads[i], NULL, cairn_send_worker_run, worker);
        if (os != 0) {
            cairn_send_slot_fini(&worker->slot);
            return CAIRN_FAIL_OS(err, os, "cannot start a thread");
        }
        sending->count++;
    }
    return CAIRN_OK;
}

static void show_progress(struct sending *sending)
{
    double part =
        sending->file_bytes == 0 ? -1.0 : (double)sending->read_bytes / (double)sending->file_bytes;
    cairn_progress_show(&sending->progress, cairn_tally_answered(&sending->tally), part);
}

/* Hand the worker's batch over, if there is anything in it. */
static enum cairn_rc hand_over(struct sending *sending, size_t worker, struct cairn_err *err)
{
    struct cairn_send_batch *batch = sending->filling[worker];
    if (batch == NULL || batch->count == 0) {
        return CAIRN_OK;
    }
    if (!cairn_send_slot_push(&sending->workers[worker].slot, batch)) {
        /* The worker gave up; it says why when it is joined. */
        return CAIRN_FAIL(err, CAIRN_ESTOPPED, "a connection gave up");
    }
    sending->filling[worker] = NULL;
    show_progress(sending);
    return CAIRN_OK;
}

/* Which connection takes the line: all commands of an aggregate share one, so that their order is
 * kept. */
static size_t route(struct sending *sending, struct cairn_slice line, bool *ret_keyed)
{
    struct cairn_value command;
    cairn_arena_reset(&sending->arena);
    *ret_keyed = false;
    if (cairn_json_read(line, &sending->arena, &command, NULL, NULL) != CAIRN_OK) {
        return 0; /* the service says what is wrong with it */
    }
    *ret_keyed = cairn_value_get_string(&command, "key").size > 0;
    uint64_t aggregate = cairn_hash64(cairn_value_get_string(&command, "aggregate"));
    uint64_t id = cairn_hash64(cairn_value_get_string(&command, "id"));
    return (size_t)((aggregate ^ (id * UINT64_C(0x9e3779b97f4a7c15))) % sending->count);
}

static enum cairn_rc add_line(struct sending *sending, struct cairn_slice line,
                              struct cairn_err *err)
{
    bool keyed = false;
    size_t worker = route(sending, line, &keyed);
    struct cairn_send_batch **batch = &sending->filling[worker];
    if (*batch != NULL && (*batch)->text.size + line.size + 1 > CAIRN_SEND_BATCH_BYTES_MAX) {
        enum cairn_rc rc = hand_over(sending, worker, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    if (*batch == NULL && (*batch = cairn_send_batch_new()) == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    enum cairn_rc rc = cairn_send_batch_add(*batch, line, keyed);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "out of memory");
    }
    return (*batch)->count >= sending->batch_lines ? hand_over(sending, worker, err) : CAIRN_OK;
}

/* Read the file line by line; blank lines are skipped. */
static enum cairn_rc read_lines(struct sending *sending, struct cairn_err *err)
{
    struct cairn_buf text = {.max = CAIRN_SEND_LINE_BYTES_MAX + READ_BYTES};
    enum cairn_rc rc = CAIRN_OK;
    bool end = false;
    while (rc == CAIRN_OK && !end) {
        rc = cairn_buf_reserve(&text, READ_BYTES);
        if (rc != CAIRN_OK) {
            rc = CAIRN_FAIL(err, rc, "a line is longer than %u bytes", CAIRN_SEND_LINE_BYTES_MAX);
            break;
        }
        size_t got = fread(text.data + text.size, 1, READ_BYTES, sending->file);
        text.size += got;
        sending->read_bytes += got;
        end = got < READ_BYTES;
        struct cairn_slice rest = cairn_buf_slice(&text);
        while (rc == CAIRN_OK && rest.size > 0) {
            if (!end && cairn_slice_find(rest, '\n') == rest.size) {
                break;
            }
            struct cairn_slice line = cairn_slice_take_line(&rest);
            line.size -= line.size > 0 && line.data[line.size - 1] == '\r';
            rc = cairn_slice_trim(line).size == 0 ? CAIRN_OK : add_line(sending, line, err);
        }
        if (rest.size > 0) {
            memmove(text.data, rest.data, rest.size);
        }
        cairn_buf_truncate(&text, rest.size);
    }
    if (rc == CAIRN_OK && ferror(sending->file) != 0) {
        rc = CAIRN_FAIL_OS(err, errno, "cannot read the file");
    }
    cairn_buf_fini(&text);
    return rc;
}

/* Ends the workers; the first one's failure becomes err. */
static enum cairn_rc join_workers(struct sending *sending, enum cairn_rc rc, struct cairn_err *err)
{
    bool told = false;
    for (size_t i = 0; i < sending->count; i++) {
        cairn_send_slot_close(&sending->workers[i].slot);
    }
    for (size_t i = 0; i < sending->count; i++) {
        (void)pthread_join(sending->threads[i], NULL);
        if (sending->workers[i].rc != CAIRN_OK && !told) {
            *err = sending->workers[i].err;
            rc = sending->workers[i].rc;
            told = true;
        }
        cairn_send_slot_fini(&sending->workers[i].slot);
    }
    return rc;
}

static enum cairn_rc print_summary(struct sending *sending, bool json)
{
    struct cairn_buf out = {.max = SUMMARY_BYTES_MAX};
    enum cairn_rc rc =
        cairn_tally_print(&sending->tally, json, cairn_progress_seconds(&sending->progress), &out);
    if (rc == CAIRN_OK &&
        (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)) {
        rc = CAIRN_EIO;
    }
    cairn_buf_fini(&out);
    return rc;
}

static enum cairn_rc send_file(struct sending *sending, const struct cairn_config *config,
                               struct cairn_err *err)
{
    enum cairn_rc rc = start_workers(sending, config, err);
    rc = rc == CAIRN_OK ? read_lines(sending, err) : rc;
    for (size_t i = 0; rc == CAIRN_OK && i < sending->count; i++) {
        rc = hand_over(sending, i, err);
    }
    /* Closing a slot lets its worker finish the batch it still holds. */
    return join_workers(sending, rc, err);
}

static void close_sending(struct sending *sending, size_t connections)
{
    for (size_t i = 0; sending->filling != NULL && i < connections; i++) {
        cairn_send_batch_free(sending->filling[i]);
    }
    cairn_mem_free(sending->filling);
    cairn_mem_free(sending->workers);
    cairn_mem_free(sending->threads);
    cairn_arena_fini(&sending->arena);
    cairn_tally_fini(&sending->tally);
    if (sending->file != NULL && sending->file != stdin) {
        (void)fclose(sending->file);
    }
}

int cairn_verb_send(const struct cairn_config *config, struct cairn_err *err)
{
    bool json = cairn_config_bool(config, "json");
    struct sending sending = {.arena = {.max = ARENA_BYTES_MAX},
                              .batch_lines = (size_t)cairn_config_uint(config, "batch")};
    cairn_tally_init(&sending.tally);
    cairn_progress_begin(&sending.progress, cairn_clock_system(), "commands", json);
    struct cairn_slice to = cairn_slice_str(cairn_config_text(config, "to"));
    while (to.size > 0 && to.data[to.size - 1] == '/') {
        to.size--;
    }
    int size = snprintf(sending.url, sizeof(sending.url), "%.*s/commands", CAIRN_SLICE_ARG(to));
    enum cairn_rc rc = CAIRN_OK;
    if (size < 0 || (size_t)size >= sizeof(sending.url)) {
        rc = CAIRN_FAIL(err, CAIRN_EINVAL, "--to: the URL is too long");
    }
    rc = rc == CAIRN_OK ? open_file(&sending, cairn_config_operand(config, 0), err) : rc;
    if (rc == CAIRN_OK) {
        rc = send_file(&sending, config, err);
        cairn_progress_end(&sending.progress, cairn_tally_answered(&sending.tally));
        enum cairn_rc printed = print_summary(&sending, json);
        if (rc == CAIRN_OK && printed != CAIRN_OK) {
            rc = CAIRN_FAIL(err, printed, "cannot print the summary");
        }
        if (rc == CAIRN_OK && sending.tally.unanswered > 0) {
            rc = CAIRN_FAIL(err, CAIRN_EUNKNOWN, "not every command has an answer");
        }
    }
    close_sending(&sending, (size_t)cairn_config_uint(config, "connections"));
    return rc == CAIRN_OK ? 0 : 1;
}
