/* SPDX-License-Identifier: MIT */
/*
 * One small durable commit: against the floor (pwrite of 4 KiB and fdatasync on written blocks) and
 * against SQLite in WAL mode with synchronous=FULL. Methods take turns within each round.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define THREADS 16

static const char *directory;
static long commits;
static char value[100];

static int floor_fd;
static struct txstore *store;
static sqlite3 *database;
static sqlite3_stmt *begin_statement, *put_statement, *commit_statement;

static void open_floor(void)
{
    static char block[1 << 20];
    char path[4200];
    bench_text(path, sizeof path, "%s/floor", directory);
    floor_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; floor_fd >= 0 && i < 16; i++) {
        if (pwrite(floor_fd, block, sizeof block, (off_t)i * (off_t)sizeof block) < 0) {
            bench_die(path, "write");
        }
    }
    if (floor_fd < 0 || fsync(floor_fd) != 0) {
        bench_die(path, "open");
    }
}

static double run_floor(void)
{
    static char block[4096];
    double start = bench_seconds();
    for (long i = 0; i < commits; i++) {
        block[0]++;
        if (pwrite(floor_fd, block, sizeof block, (i % 4096) * 4096) != sizeof block ||
            fdatasync(floor_fd) != 0) {
            bench_die("floor", "write");
        }
    }
    return (bench_seconds() - start) / (double)commits;
}

static void commit_one(int thread, long i, bool with_file)
{
    struct ktm_txn *txn = NULL;
    struct tx_error err = {0};
    char name[32];
    char path[32];
    bench_text(name, sizeof name, "v%ld", i % 1000);
    bench_text(path, sizeof path, "Bench%d", thread);
    bench_must(txstore_begin(store, NULL, &txn, &err), &err, "begin");
    if (i == 0) {
        bench_must(txreg_create(txn, path, NULL, NULL, &err), &err, "create");
    }
    bench_must(txreg_set(txn, path, name, TXREG_BINARY, value, sizeof value, &err), &err, "set");
    if (with_file) {
        bench_text(path, sizeof path, "f%ld", i % 100);
        bench_must(txfs_put(txn, path, value, sizeof value, NULL, &err), &err, "put");
    }
    bench_must(ktm_commit(txn, NULL, &err), &err, "commit");
}

static double run_store(bool with_file)
{
    double start = bench_seconds();
    for (long i = 0; i < commits; i++) {
        value[0]++;
        commit_one(0, i, with_file);
    }
    return (bench_seconds() - start) / (double)commits;
}

static void *store_thread(void *arg)
{
    for (long i = 0; i < commits; i++) {
        commit_one((int)(intptr_t)arg, i, false);
    }
    return NULL;
}

static double run_threads(void)
{
    pthread_t threads[THREADS];
    double start = bench_seconds();
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, store_thread, (void *)(intptr_t)(i + 1));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return (bench_seconds() - start) / (double)(commits * THREADS);
}

static void sql(const char *text)
{
    if (sqlite3_exec(database, text, NULL, NULL, NULL) != SQLITE_OK) {
        bench_die(text, sqlite3_errmsg(database));
    }
}

static void open_sqlite(void)
{
    char path[4200];
    bench_text(path, sizeof path, "%s/sqlite.db", directory);
    if (sqlite3_open(path, &database) != SQLITE_OK) {
        bench_die(path, "open");
    }
    sql("PRAGMA journal_mode=WAL");
    sql("PRAGMA synchronous=FULL");
    sql("CREATE TABLE t(k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID");
    sqlite3_prepare_v2(database, "BEGIN IMMEDIATE", -1, &begin_statement, NULL);
    sqlite3_prepare_v2(database, "INSERT OR REPLACE INTO t VALUES(?,?)", -1, &put_statement, NULL);
    sqlite3_prepare_v2(database, "COMMIT", -1, &commit_statement, NULL);
}

static void step(sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) {
        bench_die("sqlite", sqlite3_errmsg(database));
    }
}

static double run_sqlite(void)
{
    double start = bench_seconds();
    for (long i = 0; i < commits; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "v%ld", i % 1000);
        value[0]++;
        step(begin_statement);
        sqlite3_bind_text(put_statement, 1, name, length, SQLITE_STATIC);
        sqlite3_bind_blob(put_statement, 2, value, sizeof value, SQLITE_STATIC);
        step(put_statement);
        step(commit_statement);
    }
    return (bench_seconds() - start) / (double)commits;
}

static void close_all(struct tx_error *err)
{
    sqlite3_finalize(begin_statement);
    sqlite3_finalize(put_statement);
    sqlite3_finalize(commit_statement);
    sqlite3_close(database);
    bench_must(txstore_close(store, err), err, "close");
    close(floor_fd);
}

int main(void)
{
    struct tx_error err = {0};
    struct bench_series bare = {.name = "pwrite 4 KiB + fdatasync, written blocks"};
    struct bench_series one = {.name = "txkit: one registry value"};
    struct bench_series both = {.name = "txkit: one registry value and one file"};
    struct bench_series many = {.name = "txkit: one registry value, 16 threads"};
    struct bench_series sqlite = {.name = "SQLite WAL, synchronous=FULL: one row"};
    long rounds = bench_number("BENCH_ROUNDS", 7);
    commits = bench_number("BENCH_COMMITS", 500);
    directory = bench_directory();
    open_floor();
    open_sqlite();
    bench_must(txstore_init(NULL, directory, NULL, NULL, &err), &err, "init");
    bench_must(txstore_open(directory, NULL, &store, &err), &err, "open");
    for (long round = 0; round < rounds; round++) {
        bench_add(&bare, run_floor());
        bench_add(&one, run_store(false));
        bench_add(&both, run_store(true));
        bench_add(&many, run_threads());
        bench_add(&sqlite, run_sqlite());
    }
    bench_head("One small durable commit", "us per commit", "floor (higher is faster)");
    bench_row(&bare, "us", 1e6, &bare);
    bench_row(&one, "us", 1e6, &bare);
    bench_row(&both, "us", 1e6, &bare);
    bench_row(&many, "us", 1e6, &bare);
    bench_row(&sqlite, "us", 1e6, &bare);
    close_all(&err);
    return 0;
}
