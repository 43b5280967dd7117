/* SPDX-License-Identifier: MIT */
/*
 * Installing many files over existing ones, durably: txkit in one transaction, the classical
 * write + fsync + rename for each file, and `cp -r` + `sync` (which is neither atomic nor ordered).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define FILE_SIZE 4096
#define DIRECTORIES 100

static const char *directory;
static char content[FILE_SIZE];

static void name_of(char *path, size_t size, const char *base, long i)
{
    bench_text(path, size, "%s%sd%02ld/f%05ld", base, *base ? "/" : "", i % DIRECTORIES, i);
}

static void write_file(const char *path, bool durable)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, content, FILE_SIZE) != FILE_SIZE || (durable && fsync(fd) != 0) ||
        close(fd) != 0) {
        bench_die(path, "write");
    }
}

static void make_tree(const char *base, long files)
{
    char path[4200];
    if (mkdir(base, 0755) != 0) {
        bench_die(base, "mkdir");
    }
    for (long i = 0; i < DIRECTORIES; i++) {
        bench_text(path, sizeof path, "%s/d%02ld", base, i);
        if (mkdir(path, 0755) != 0) {
            bench_die(path, "mkdir");
        }
    }
    for (long i = 0; i < files; i++) {
        name_of(path, sizeof path, base, i);
        write_file(path, false);
    }
}

static double run_each(const char *base, long files)
{
    char path[4200];
    char temporary[4210];
    double start = bench_seconds();
    memset(content, 'e', sizeof content);
    for (long i = 0; i < files; i++) {
        name_of(path, sizeof path, base, i);
        bench_text(temporary, sizeof temporary, "%s.new", path);
        write_file(temporary, true);
        if (rename(temporary, path) != 0) {
            bench_die(path, "rename");
        }
    }
    for (long i = 0; i < DIRECTORIES; i++) {
        bench_text(path, sizeof path, "%s/d%02ld", base, i);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) != 0) {
            bench_die(path, "fsync");
        }
        close(fd);
    }
    return bench_seconds() - start;
}

static double run_copy(const char *source, const char *target)
{
    double start = bench_seconds();
    char *argv[] = {"cp", "-r", "-T", (char *)source, (char *)target, NULL};
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        bench_die("cp", "failed");
    }
    int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0) {
        bench_die(target, "sync");
    }
    close(fd);
    return bench_seconds() - start;
}

struct store_times {
    double stage, commit, checkpoint;
};

static struct store_times run_store(struct txstore *store, long files)
{
    struct ktm_txn *txn = NULL;
    struct tx_error err = {0};
    struct store_times times;
    char path[64];
    double start = bench_seconds();
    memset(content, 's', sizeof content);
    bench_must(txstore_begin(store, NULL, &txn, &err), &err, "begin");
    for (long i = 0; i < files; i++) {
        name_of(path, sizeof path, "", i);
        bench_must(txfs_put(txn, path, content, FILE_SIZE, NULL, &err), &err, "put");
    }
    double staged = bench_seconds();
    bench_must(ktm_commit(txn, NULL, &err), &err, "commit");
    double committed = bench_seconds();
    bench_must(txstore_checkpoint(store, &err), &err, "checkpoint");
    times.stage = staged - start;
    times.commit = committed - staged;
    times.checkpoint = bench_seconds() - committed;
    return times;
}

static void compare(long files, long rounds)
{
    struct bench_series each = {.name = "write, fsync, rename each (+ directories)"};
    struct bench_series copy = {.name = "cp -r, then sync (not atomic)"};
    struct bench_series whole = {.name = "txkit: begin to commit (durable and visible)"};
    struct bench_series commit = {.name = "txkit: of that, ktm_commit alone"};
    struct bench_series checkpoint = {.name = "txkit: checkpoint afterwards"};
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    struct txstore *store = NULL;
    struct tx_error err = {0};
    char trees[4][4200];
    char title[80];
    static const char *const names[] = {"each", "copy", "source", "store"};
    for (int i = 0; i < 4; i++) {
        bench_text(trees[i], sizeof trees[i], "%s/%s-%ld", directory, names[i], files);
        make_tree(trees[i], files);
    }
    settings.log_segment_size = 64 << 20;
    bench_must(txstore_init(NULL, trees[3], NULL, &settings, &err), &err, "init");
    bench_must(txstore_open(trees[3], NULL, &store, &err), &err, "open");
    sync();
    for (long round = 0; round < rounds; round++) {
        bench_add(&each, run_each(trees[0], files));
        bench_add(&copy, run_copy(trees[2], trees[1]));
        struct store_times times = run_store(store, files);
        bench_add(&whole, times.stage + times.commit);
        bench_add(&commit, times.commit);
        bench_add(&checkpoint, times.checkpoint);
    }
    bench_must(txstore_close(store, &err), &err, "close");
    bench_text(title, sizeof title, "Installing %ld files of 4 KiB over existing ones", files);
    bench_head(title, "ms", "fsync each (higher is faster)");
    bench_row(&each, "ms", 1e3, &each);
    bench_row(&copy, "ms", 1e3, &each);
    bench_row(&whole, "ms", 1e3, &each);
    bench_row(&commit, "ms", 1e3, &each);
    bench_row(&checkpoint, "ms", 1e3, &each);
}

int main(void)
{
    long rounds = bench_number("BENCH_ROUNDS", 5);
    directory = bench_directory();
    compare(1000, rounds);
    compare(10000, rounds);
    return 0;
}
