/* SPDX-License-Identifier: MIT */
/* Making, finding, opening and closing stores; who may, and what a crash leaves. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_fixture.h"

static void setup(void)
{
    fixture_make(NULL);
}

TestSuite(store_open, .init = setup, .fini = fixture_remove, .timeout = 60);

static char *below(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture_root, name);
    return path;
}

static void put(struct txstore *store, const char *path, const char *text)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_put(txn, path, text, strlen(text), NULL, &fixture_err));
    must(ktm_commit(txn, NULL, &fixture_err));
}

static void expect_file(const char *name, const char *text)
{
    char content[64] = "";
    int fd = open(below(name), O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0, "%s: %s", name, strerror(errno));
    cr_expect(read(fd, content, sizeof content - 1) == (ssize_t)strlen(text));
    cr_expect_str_eq(content, text);
    close(fd);
}

Test(store_open, second_init_is_refused)
{
    cr_expect_eq(txstore_init(NULL, fixture_root, NULL, NULL, &fixture_err), TX_EEXIST);
}

/* Each handle is a process to the others: it has a descriptor and locks of its own. */
Test(store_open, as_many_processes_as_the_limit_and_not_one_more)
{
    static struct txstore *stores[TXSTORE_PROCESSES_MAX];
    struct txstore *store = NULL;
    struct rlimit files;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    for (int i = 0; i < TXSTORE_PROCESSES_MAX; i++) {
        stores[i] = fixture_open();
    }
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_ELIMIT);
    cr_expect(strstr(fixture_err.text, "128 processes"), "%s", fixture_err.text);
    fixture_close(stores[0]);
    stores[0] = fixture_open(); /* its place is free again */
    put(stores[0], "a", "text");
    for (int i = 0; i < TXSTORE_PROCESSES_MAX; i++) {
        fixture_close(stores[i]);
    }
    expect_file("a", "text");
}

static int refuse_allocation(struct txio *io, int fd, uint64_t offset, uint64_t size)
{
    (void)io, (void)fd, (void)offset, (void)size;
    return -ENOSPC;
}

/* Memory that is mapped and has no blocks would kill the process when the disk is full. */
Test(store_open, shared_memory_without_its_blocks_is_refused)
{
    struct txio_ops ops = *txio_posix()->ops;
    struct txio io = {.ops = &ops};
    struct txstore_options options = {.io = &io};
    struct txstore *store = NULL;
    struct stat shm;
    ops.allocate = refuse_allocation;
    cr_expect_eq(txstore_open(fixture_root, &options, &store, &fixture_err), TX_ENOSPC);
    store = fixture_open();
    cr_assert_eq(stat(below(".txkit/shm"), &shm), 0);
    cr_expect_geq(shm.st_blocks * 512, shm.st_size);
    fixture_close(store);
}

Test(store_open, leftover_of_an_interrupted_init_is_no_store_and_is_replaced)
{
    must(txio_remove_tree(txio_posix(), TXIO_CWD, below(".txkit"), &fixture_err));
    cr_assert_eq(mkdir(below(".txkit.new"), 0700), 0);
    cr_assert_eq(mkdir(below(".txkit.new/log"), 0700), 0);
    struct txstore *store = NULL;
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_ENOTFOUND);
    must(txstore_init(NULL, fixture_root, NULL, NULL, &fixture_err));
    cr_expect_eq(access(below(".txkit.new"), F_OK), -1);
    fixture_close(fixture_open());
}

Test(store_open, store_that_others_can_write_is_refused)
{
    struct txstore *store = NULL;
    cr_assert_eq(chmod(below(".txkit"), 0770), 0);
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_EPERM);
}

Test(store_open, store_of_another_user_is_refused)
{
    struct txstore *store = NULL;
    if (geteuid() != 0) {
        cr_skip_test("needs root");
    }
    cr_assert_eq(chown(below(".txkit"), 12345, 12345), 0);
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_EPERM);
}

Test(store_open, symbolic_link_in_place_of_the_store_is_refused)
{
    struct txstore *store = NULL;
    cr_assert_eq(rename(below(".txkit"), "/tmp/txkit-elsewhere"), 0);
    cr_assert_eq(symlink("/tmp/txkit-elsewhere", below(".txkit")), 0);
    cr_expect_neq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_OK);
    must(txio_remove_tree(txio_posix(), TXIO_CWD, "/tmp/txkit-elsewhere", &fixture_err));
}

Test(store_open, find_goes_upwards)
{
    char root[256];
    cr_assert_eq(mkdir(below("a"), 0755), 0);
    cr_assert_eq(mkdir(below("a/b"), 0755), 0);
    must(txstore_find(NULL, below("a/b"), root, sizeof root, &fixture_err));
    cr_expect_str_eq(root, fixture_root);
    cr_expect_eq(txstore_find(NULL, "/proc", root, sizeof root, &fixture_err), TX_ENOTFOUND);
}

Test(store_open, what_one_handle_commits_another_sees)
{
    struct txstore *a = fixture_open();
    struct txstore *b = fixture_open();
    struct ktm_txn *txn = NULL;
    struct txio_stat stat;
    put(a, "f", "one");
    must(txstore_begin(b, NULL, &txn, &fixture_err));
    must(txfs_stat(txn, "f", &stat, &fixture_err));
    cr_expect_eq(stat.size, 3);
    ktm_rollback(txn);
    fixture_close(a);
    put(b, "f", "three");
    fixture_close(b);
    expect_file("f", "three");
}

Test(store_open, killed_owner_leaves_a_store_that_recovers)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct txstore *store = fixture_open();
        put(store, "f", "durable");
        _exit(0); /* no close: as if it were killed */
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    struct txstore *store = fixture_open();
    struct txstore_recovery recovery;
    txstore_get_recovery(store, &recovery);
    cr_expect(recovery.performed);
    cr_expect_not(recovery.ktm.log.was_clean);
    cr_expect_eq(recovery.ktm.commits_redone, 1);
    fixture_close(store);
    expect_file("f", "durable");
    store = fixture_open();
    txstore_get_recovery(store, &recovery);
    cr_expect(recovery.ktm.log.was_clean, "a closed store is clean");
    fixture_close(store);
}

Test(store_open, forked_child_is_told_so)
{
    struct txstore *store = fixture_open();
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    pid_t pid = fork();
    if (pid == 0) {
        struct ktm_txn *mine = NULL;
        struct tx_error err = {0};
        int bad = txstore_begin(store, NULL, &mine, &err) != TX_EFORKED;
        bad |= (txfs_put(txn, "f", "x", 1, NULL, &err) != TX_EFORKED) << 1;
        bad |= (ktm_commit(txn, NULL, &err) != TX_EFORKED) << 2;
        bad |= (txstore_close(store, &err) != TX_OK) << 3;
        _exit(bad);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %d", status);
    must(txfs_put(txn, "f", "parent", 6, NULL, &fixture_err));
    must(ktm_commit(txn, NULL, &fixture_err));
    fixture_close(store);
    expect_file("f", "parent");
}

Test(store_open, busy_store_times_out)
{
    struct txstore_options options = {.lock_timeout_ms = 50};
    struct txstore *store = NULL;
    int fd = open(below(".txkit/control"), O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TXIO_LOCK_OPEN,
                         .l_len = 1};
    cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    cr_expect_eq(txstore_open(fixture_root, &options, &store, &fixture_err), TX_EBUSY);
    close(fd);
    fixture_close(fixture_open());
}

Test(store_open, settings_survive_and_bad_ones_are_refused)
{
    struct txstore *store = fixture_open();
    struct txstore_settings settings;
    txstore_get_settings(store, &settings);
    cr_expect_eq(settings.log_segment_size, TXLOG_SEGMENT_SIZE_DEFAULT);
    settings.history_count_max = 3;
    must(txstore_set_settings(store, &settings, &fixture_err));
    settings.log_segment_size = TXLOG_SEGMENT_SIZE_MIN - 4096;
    cr_expect_eq(txstore_set_settings(store, &settings, &fixture_err), TX_EINVAL);
    settings.log_segment_size = TXLOG_SEGMENT_SIZE_MIN;
    settings.conflict_entries = 100;
    cr_expect_eq(txstore_set_settings(store, &settings, &fixture_err), TX_EINVAL);
    fixture_close(store);
    store = fixture_open();
    txstore_get_settings(store, &settings);
    cr_expect_eq(settings.history_count_max, 3);
    fixture_close(store);
}

Test(store_open, flipped_bit_in_settings_is_refused_and_found)
{
    int fd = open(below(".txkit/settings"), O_RDWR | O_CLOEXEC);
    uint8_t byte;
    uint64_t faults = 0;
    struct txstore *store = NULL;
    for (off_t at = 0; pread(fd, &byte, 1, at) == 1; at++) {
        uint8_t flipped = byte ^ 0x10;
        cr_assert_eq(pwrite(fd, &flipped, 1, at), 1);
        cr_expect_neq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_OK, "byte %ld",
                      (long)at);
        must(txstore_check(NULL, fixture_root, NULL, NULL, NULL, &faults, &fixture_err));
        cr_expect(faults > 0, "byte %ld", (long)at);
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    must(txstore_check(NULL, fixture_root, NULL, NULL, NULL, &faults, &fixture_err));
    cr_expect_eq(faults, 0);
}

/* Found by fuzz_store: without the mark, files counted as steady from where the log begins. */
Test(store_open, a_steady_point_that_is_gone_is_refused_and_found)
{
    struct txstore *store = fixture_open();
    uint64_t faults = 0;
    put(store, "file", "content");
    fixture_close(store); /* steady now, and the log trimmed */
    cr_assert_eq(unlink(below(".txkit/undo/steady")), 0);
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, &fixture_err), TX_ECORRUPT);
    must(txstore_check(NULL, fixture_root, NULL, NULL, NULL, &faults, &fixture_err));
    cr_expect(faults > 0);
}
