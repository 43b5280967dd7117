/* SPDX-License-Identifier: MIT */
/* Point reads of registry values by path and name, against SQLite with a prepared statement. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#include <txkit/memory.h>

#define KEYS 1000
#define VALUES 100

static const char *directory;
static long reads;
static struct txstore *store;
static sqlite3 *database;
static sqlite3_stmt *get_statement;
static uint64_t state = 1;

static unsigned draw(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % limit;
}

static void name_random(char *key, size_t key_size, char *name, size_t name_size)
{
    unsigned number = draw(KEYS);
    bench_text(key, key_size, "Software\\Vendor\\Product%u\\Settings%u", number / 10, number % 10);
    bench_text(name, name_size, "Value%u", draw(VALUES));
}

static void sql(const char *text)
{
    if (sqlite3_exec(database, text, NULL, NULL, NULL) != SQLITE_OK) {
        bench_die(text, sqlite3_errmsg(database));
    }
}

static void load_store(struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    char key[128];
    char name[32];
    bench_must(txstore_init(NULL, directory, NULL, NULL, err), err, "init");
    bench_must(txstore_open(directory, NULL, &store, err), err, "open");
    bench_must(txstore_begin(store, NULL, &txn, err), err, "begin");
    for (unsigned k = 0; k < KEYS; k++) {
        bench_text(key, sizeof key, "Software\\Vendor\\Product%u\\Settings%u", k / 10, k % 10);
        bench_must(txreg_create(txn, key, NULL, NULL, err), err, "create");
        for (unsigned v = 0; v < VALUES; v++) {
            bench_text(name, sizeof name, "Value%u", v);
            bench_must(txreg_set(txn, key, name, TXREG_BINARY, key, 40, err), err, "set");
        }
    }
    bench_must(ktm_commit(txn, NULL, err), err, "commit");
    bench_must(txstore_checkpoint(store, err), err, "checkpoint");
}

static void load_sqlite(void)
{
    sqlite3_stmt *put = NULL;
    char path[4200];
    char key[128];
    char name[32];
    bench_text(path, sizeof path, "%s/sqlite.db", directory);
    if (sqlite3_open(path, &database) != SQLITE_OK) {
        bench_die(path, "open");
    }
    sql("PRAGMA journal_mode=WAL");
    sql("CREATE TABLE t(k TEXT, n TEXT, type INT, v BLOB, PRIMARY KEY(k, n)) WITHOUT ROWID");
    sql("BEGIN");
    sqlite3_prepare_v2(database, "INSERT INTO t VALUES(?,?,3,?)", -1, &put, NULL);
    for (unsigned k = 0; k < KEYS; k++) {
        bench_text(key, sizeof key, "Software\\Vendor\\Product%u\\Settings%u", k / 10, k % 10);
        for (unsigned v = 0; v < VALUES; v++) {
            bench_text(name, sizeof name, "Value%u", v);
            sqlite3_bind_text(put, 1, key, -1, SQLITE_STATIC);
            sqlite3_bind_text(put, 2, name, -1, SQLITE_STATIC);
            sqlite3_bind_blob(put, 3, key, 40, SQLITE_STATIC);
            sqlite3_step(put);
            sqlite3_reset(put);
        }
    }
    sqlite3_finalize(put);
    sql("COMMIT");
    sqlite3_prepare_v2(database, "SELECT type, v FROM t WHERE k=? AND n=?", -1, &get_statement,
                       NULL);
}

static void read_one(struct ktm_txn *txn, struct tx_buf *data)
{
    char key[128];
    char name[32];
    uint32_t type = 0;
    struct tx_error err = {0};
    name_random(key, sizeof key, name, sizeof name);
    bench_must(txreg_get(txn, key, name, &type, data, &err), &err, "get");
    if (data->size != 40) {
        bench_die(key, "wrong size");
    }
}

static double run_snapshot(struct tx_buf *data)
{
    struct ktm_txn *txn = NULL;
    struct tx_error err = {0};
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    bench_must(txstore_begin(store, &options, &txn, &err), &err, "begin");
    double start = bench_seconds();
    for (long i = 0; i < reads; i++) {
        read_one(txn, data);
    }
    double spent = bench_seconds() - start;
    ktm_rollback(txn);
    return spent / (double)reads;
}

static double run_transactions(struct tx_buf *data)
{
    struct tx_error err = {0};
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    double start = bench_seconds();
    for (long i = 0; i < reads / 4; i++) {
        struct ktm_txn *txn = NULL;
        bench_must(txstore_begin(store, &options, &txn, &err), &err, "begin");
        read_one(txn, data);
        ktm_rollback(txn);
    }
    return (bench_seconds() - start) / (double)(reads / 4);
}

static double run_sqlite(bool in_transaction)
{
    long count = in_transaction ? reads : reads / 4;
    char key[128];
    char name[32];
    double start = bench_seconds();
    if (in_transaction) {
        sql("BEGIN");
    }
    for (long i = 0; i < count; i++) {
        name_random(key, sizeof key, name, sizeof name);
        sqlite3_bind_text(get_statement, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_text(get_statement, 2, name, -1, SQLITE_STATIC);
        if (sqlite3_step(get_statement) != SQLITE_ROW ||
            sqlite3_column_bytes(get_statement, 1) != 40) {
            bench_die(key, "not found");
        }
        sqlite3_reset(get_statement);
    }
    if (in_transaction) {
        sql("COMMIT");
    }
    return (bench_seconds() - start) / (double)count;
}

int main(void)
{
    struct tx_error err = {0};
    struct bench_series store_reads = {.name = "txkit, one snapshot"};
    struct bench_series store_each = {.name = "txkit, a transaction per read"};
    struct bench_series sqlite_reads = {.name = "SQLite, one transaction"};
    struct bench_series sqlite_each = {.name = "SQLite, a transaction per read"};
    struct tx_buf data = {0};
    long rounds = bench_number("BENCH_ROUNDS", 7);
    reads = bench_number("BENCH_READS", 200000);
    directory = bench_directory();
    load_store(&err);
    load_sqlite();
    for (long round = 0; round < rounds; round++) {
        bench_add(&store_reads, run_snapshot(&data));
        bench_add(&sqlite_reads, run_sqlite(true));
        bench_add(&store_each, run_transactions(&data));
        bench_add(&sqlite_each, run_sqlite(false));
    }
    bench_head("Registry point reads by path (100,000 values)", "us per read",
               "SQLite, one transaction (higher is faster)");
    bench_row(&sqlite_reads, "us", 1e6, &sqlite_reads);
    bench_row(&store_reads, "us", 1e6, &sqlite_reads);
    bench_row(&sqlite_each, "us", 1e6, &sqlite_reads);
    bench_row(&store_each, "us", 1e6, &sqlite_reads);
    sqlite3_finalize(get_statement);
    sqlite3_close(database);
    tx_buf_release(&data);
    bench_must(txstore_close(store, &err), &err, "close");
    return 0;
}
