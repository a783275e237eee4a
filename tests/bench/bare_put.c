/* A bare LMDB put loop, as the baseline for projecting: bare_put FOLDER EVENTS BATCH KEYS ROW_BYTES
 * Each event rewrites one of KEYS rows; BATCH events a synced transaction. Prints events per
 * second. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

#include "tests/bench/measure.h"

#define ROW_BYTES_MAX 4096

static int put_batch(MDB_env *env, MDB_dbi dbi, uint64_t first, uint64_t batch, uint64_t keys,
                     size_t row_bytes)
{
    char row[ROW_BYTES_MAX];
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    for (uint64_t n = first; rc == 0 && n < first + batch; n++) {
        uint64_t number = (n * UINT64_C(0x9e3779b97f4a7c15)) % keys;
        MDB_val key = {sizeof(number), &number};
        MDB_val value = {row_bytes, row};
        memset(row, (int)(n & 0x7f), row_bytes);
        rc = mdb_put(txn, dbi, &key, &value, 0);
    }
    return rc == 0 ? mdb_txn_commit(txn) : rc;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr, "usage: bare_put FOLDER EVENTS BATCH KEYS ROW_BYTES\n");
        return 2;
    }
    uint64_t events = strtoull(argv[2], NULL, 10);
    uint64_t batch = strtoull(argv[3], NULL, 10);
    uint64_t keys = strtoull(argv[4], NULL, 10);
    size_t row_bytes = strtoul(argv[5], NULL, 10);
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    int rc = row_bytes > ROW_BYTES_MAX ? 1 : mdb_env_create(&env);
    rc = rc == 0 ? mdb_env_set_mapsize(env, (size_t)4 << 30) : rc;
    rc = rc == 0 ? mdb_env_open(env, argv[1], 0, 0644) : rc;
    rc = rc == 0 ? mdb_txn_begin(env, NULL, 0, &txn) : rc;
    rc = rc == 0 ? mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &dbi) : rc;
    rc = rc == 0 ? mdb_txn_commit(txn) : rc;
    double begin = now_s();
    for (uint64_t n = 0; rc == 0 && n < events; n += batch) {
        rc = put_batch(env, dbi, n, batch, keys, row_bytes);
    }
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", mdb_strerror(rc));
        return 1;
    }
    (void)printf("%.0f\n", (double)events / (now_s() - begin));
    mdb_env_close(env);
    return 0;
}
