/* The bare HTTP library, as the baseline for Cairn's handlers: bare_http PORT THREADS post|get
 * FOLDER
 *
 * post: reads the body and answers 200 bytes of JSON. get: looks /NUMBER up in LMDB (1,000,000 keys
 * made at the first start, 300 bytes each) and answers it. One mg_write an answer, keep-alive, an
 * auth handler against the stat. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <civetweb.h>
#include <lmdb.h>

#define KEYS      1000000u
#define ROW_BYTES 300
#define HEAD_FORMAT                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"

struct store {
    MDB_env *env;
    MDB_dbi dbi;
};

static int allow(struct mg_connection *connection, void *self)
{
    (void)connection;
    (void)self;
    return 1;
}

static void answer(struct mg_connection *connection, const void *body, size_t size)
{
    char out[1024];
    int head = snprintf(out, sizeof(out), HEAD_FORMAT, size);
    memcpy(out + head, body, size);
    (void)mg_write(connection, out, (size_t)head + size);
}

static int post(struct mg_connection *connection, void *self)
{
    char body[4096];
    static const char text[] = "{\"stream\":\"account-0000000042\",\"version\":2,\"position\":\"0:"
                               "1042\",\"events\":[{\"id\":"
                               "\"01902f5e-7b1c-7cc0-8000-3b6a9f4d2e11\",\"type\":\"Deposited\","
                               "\"version\":2}],\"pad\":\"000000000000\"}";
    (void)self;
    while (mg_read(connection, body, sizeof(body)) > 0) {
    }
    answer(connection, text, sizeof(text) - 1);
    return 200;
}

static int get(struct mg_connection *connection, void *self)
{
    const struct store *store = self;
    const struct mg_request_info *info = mg_get_request_info(connection);
    uint64_t number = strtoull(strrchr(info->local_uri, '/') + 1, NULL, 10);
    MDB_txn *txn = NULL;
    MDB_val key = {sizeof(number), &number};
    MDB_val value = {0, NULL};
    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) == 0 &&
        mdb_get(txn, store->dbi, &key, &value) == 0) {
        answer(connection, value.mv_data, value.mv_size);
    } else {
        answer(connection, "{}", 2);
    }
    mdb_txn_abort(txn);
    return 200;
}

static int fill(struct store *store)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    char row[ROW_BYTES];
    memset(row, 'x', sizeof(row));
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    rc = rc == 0 ? mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &store->dbi) : rc;
    rc = rc == 0 ? mdb_stat(txn, store->dbi, &stat) : rc;
    for (uint64_t n = 0; rc == 0 && stat.ms_entries < KEYS && n < KEYS; n++) {
        MDB_val key = {sizeof(n), &n};
        MDB_val value = {sizeof(row), row};
        rc = mdb_put(txn, store->dbi, &key, &value, MDB_APPEND);
    }
    return rc == 0 ? mdb_txn_commit(txn) : rc;
}

static int open_store(struct store *store, const char *folder)
{
    int rc = mdb_env_create(&store->env);
    rc = rc == 0 ? mdb_env_set_mapsize(store->env, (size_t)4 << 30) : rc;
    rc = rc == 0 ? mdb_env_set_maxreaders(store->env, 2048) : rc;
    rc = rc == 0 ? mdb_env_open(store->env, folder, MDB_NOTLS | MDB_NOSYNC, 0644) : rc;
    return rc == 0 ? fill(store) : rc;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        (void)fprintf(stderr, "usage: bare_http PORT THREADS post|get FOLDER\n");
        return 2;
    }
    struct store store = {NULL, 0};
    if (open_store(&store, argv[4]) != 0) {
        (void)fprintf(stderr, "cannot open the store\n");
        return 1;
    }
    char listen[64];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%s", argv[1]);
    const char *options[] = {"listening_ports",
                             listen,
                             "num_threads",
                             argv[2],
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "60000",
                             "tcp_nodelay",
                             "1",
                             NULL};
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)mg_init_library(0);
    struct mg_context *context = mg_start(NULL, NULL, options);
    if (context == NULL) {
        (void)fprintf(stderr, "cannot listen on %s\n", listen);
        return 1;
    }
    mg_set_auth_handler(context, "/**", allow, NULL);
    mg_set_request_handler(context, "/**", strcmp(argv[3], "get") == 0 ? get : post, &store);
    (void)printf("ready\n");
    (void)fflush(stdout);
    int signal = 0;
    (void)sigwait(&signals, &signal);
    mg_stop(context);
    mdb_env_close(store.env);
    return 0;
}
