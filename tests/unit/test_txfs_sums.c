/* SPDX-License-Identifier: MIT */
/* Sums over what is kept: each attribute counts, and what nobody may read is passed over. */
#include <errno.h>
#include <sys/xattr.h>

#include "publish_failures.h"

typedef void harm_fn(struct publish_fixture *f, const char *path);

/* A commit that displaces a file, a pipe and a directory tree, made steady. */
static void make_kept(struct publish_fixture *f)
{
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_unlink(txn, "kind", &f->err));
    must(txfs_unlink(txn, "pipe", &f->err));
    must(txfs_remove_tree(txn, "gone", &f->err));
    pub_commit(f, txn);
}

static uint64_t faults_of(struct publish_fixture *f)
{
    uint64_t faults;
    must(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
    return faults;
}

/* Where an object of the tree is kept, by its inode. */
static void find_kept(struct publish_fixture *f, ino_t ino, char path[96])
{
    TX_AUTO(tx_buf) lsns = TX_BUF_INIT;
    struct stat st;
    must(txfs_undo_list(f->fs, &lsns, &f->err));
    for (unsigned i = 0; i < 16; i++) {
        tx_lsn lsn = ((const tx_lsn *)(const void *)lsns.data)[0];
        (void)snprintf(path, 96, "undo/%016llx/%u", (unsigned long long)lsn, i);
        if (fstatat(f->store, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == ino) {
            return;
        }
    }
    cr_assert_fail("not kept");
}

static void other_mode(struct publish_fixture *f, const char *path)
{
    cr_assert_eq(fchmodat(f->store, path, 0601, 0), 0);
}
static void other_owner(struct publish_fixture *f, const char *path)
{
    cr_assert_eq(fchownat(f->store, path, 12, (gid_t)-1, 0), 0);
}
static void other_group(struct publish_fixture *f, const char *path)
{
    cr_assert_eq(fchownat(f->store, path, (uid_t)-1, 34, 0), 0);
}
static void other_time(struct publish_fixture *f, const char *path)
{
    struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    cr_assert_eq(utimensat(f->store, path, times, 0), 0);
}
static void other_attribute(struct publish_fixture *f, const char *path)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s/.txkit/%s", f->temp.path, path);
    cr_assert_eq(setxattr(full, "user.x", "1", 1, 0), 0);
}
static void other_size(struct publish_fixture *f, const char *path)
{
    struct stat st;
    int fd = openat(f->store, path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(ftruncate(fd, st.st_size + 1), 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    cr_assert_eq(futimens(fd, times), 0);
    (void)close(fd);
}

Test(txfs_sums, each_difference_of_an_old_version_is_found)
{
    static harm_fn *const all[] = {other_mode,      other_time,  other_attribute,
                                   other_size,      other_owner, other_group};
    size_t count = sizeof(all) / sizeof(*all) - (getuid() != 0 ? 2 : 0);
    for (size_t i = 0; i < count; i++) {
        PUBLISH_FIXTURE(f, 8);
        char path[96];
        pub_make_tree(f);
        ino_t ino = pub_stat(f, "kind").st_ino;
        make_kept(f);
        must(ktm_checkpoint(f->tm, &f->err));
        cr_assert_eq(faults_of(f), 0);
        find_kept(f, ino, path);
        all[i](f, path);
        cr_assert_eq(faults_of(f), 1, "%zu", i);
    }
}

/* --- What nobody may read --- */

static struct {
    char part[96];
    uint64_t ops;
    int error;
} denied;

static void deny(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if ((denied.ops >> call->op & 1) != 0 && strstr(call->where, denied.part) != NULL) {
        call->done = true;
        call->result = -denied.error;
    }
}

Test(txfs_sums, what_nobody_may_read_is_passed_over)
{
    static const struct {
        const char *object;
        uint64_t ops;
        int error;
    } all[] = {{"kind", LAYER_BIT(open), EACCES},      {"kind", LAYER_BIT(stat), EACCES},
               {"kind", LAYER_BIT(stat), ENAMETOOLONG}, {"gone", LAYER_BIT(open), EACCES},
               {"gone", LAYER_BIT(open), ENAMETOOLONG}, {"kind", LAYER_BIT(list_xattr), EACCES}};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        PUBLISH_FIXTURE(f, 8);
        pub_make_tree(f);
        ino_t ino = pub_stat(f, all[i].object).st_ino;
        make_kept(f);
        find_kept(f, ino, denied.part);
        denied.ops = all[i].ops;
        denied.error = all[i].error;
        f->layer.before = deny;
        must(ktm_checkpoint(f->tm, &f->err));
        cr_assert_eq(faults_of(f), 0, "%zu", i);
        f->layer.before = NULL;
    }
}

/* --- Less history than before --- */

static void put_x(struct publish_fixture *f)
{
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "text");
    pub_commit(f, txn);
}

static size_t history_count(struct publish_fixture *f)
{
    TX_AUTO(tx_buf) lsns = TX_BUF_INIT;
    must(txfs_undo_list(f->fs, &lsns, &f->err));
    return lsns.size / sizeof(tx_lsn);
}

Test(txfs_sums, settings_that_ask_for_less_history_trim_it)
{
    PUBLISH_FIXTURE(f, 8);
    struct txfs_mark mark;
    for (int i = 0; i < 4; i++) {
        put_x(f);
    }
    must(ktm_checkpoint(f->tm, &f->err));
    cr_assert_eq(history_count(f), 4);
    must(txfs_mark_read(f->fs, &mark, &f->err));
    f->fs->history_count_max = 1;
    must(txfs_trim(f->fs, mark.lsn, mark.lsn, &f->err));
    cr_assert_eq(history_count(f), 1);
    tx_lsn bound = mark.history_lsn;
    must(txfs_mark_read(f->fs, &mark, &f->err));
    cr_assert_gt(mark.history_lsn, bound);
}

/* What a crash left on its way out. */
Test(txfs_sums, what_cannot_be_dropped_is_told)
{
    PUBLISH_FIXTURE(f, 8);
    struct txfs_mark mark;
    put_x(f);
    must(ktm_checkpoint(f->tm, &f->err));
    must(txfs_mark_read(f->fs, &mark, &f->err));
    make_dir(f->store, "undo/gone-0000000000000777");
    make_file(f->store, "undo/gone-0000000000000777/x", "x");
    (void)snprintf(denied.part, sizeof(denied.part), "gone-0000000000000777");
    denied.ops = LAYER_BIT(unlink);
    denied.error = EIO;
    f->layer.before = deny;
    cr_assert_eq(txfs_trim(f->fs, mark.lsn, mark.lsn, &f->err), TX_EIO);
    denied.error = EACCES; /* for another time */
    must(txfs_trim(f->fs, mark.lsn, mark.lsn, &f->err));
    cr_assert(pub_in_store(f, "undo/gone-0000000000000777/x"));
    f->layer.before = NULL;
    must(txfs_trim(f->fs, mark.lsn, mark.lsn, &f->err));
    cr_assert_not(pub_in_store(f, "undo/gone-0000000000000777"));
}

/* --- Commits without files, when a call fails --- */

static struct ktm_commit_info other_commit(tx_lsn lsn)
{
    static uint8_t entry[8 + 16] = {1, 0, 0, 0, 16};
    return (struct ktm_commit_info){.lsn = lsn,
                                    .next_lsn = lsn + 4096,
                                    .entry_count = 1,
                                    .entries = {entry, sizeof(entry)}};
}

static enum tx_status redo_others(struct publish_fixture *f)
{
    static const uint8_t steady[KTM_TOKEN_SIZE];
    uint8_t token[KTM_TOKEN_SIZE];
    for (tx_lsn lsn = 0x100000; lsn < 0x100000 + 4 * 4096; lsn += 4096) {
        struct ktm_commit_info info = other_commit(lsn);
        TX_TRY(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    }
    return txfs_steady(f->fs, 0x100000 + 4 * 4096, steady, &f->err);
}

/* A piece of a record is at the end. */
static void prepare_others(struct publish_fixture *f)
{
    uint8_t token[KTM_TOKEN_SIZE];
    struct ktm_commit_info info = other_commit(0x80000);
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    int fd = openat(f->store, "undo/others", O_WRONLY | O_APPEND | O_CLOEXEC);
    cr_assert_eq(write(fd, "TTXCHG01 a piece", 16), 16);
    (void)close(fd);
}

static void finish_others(struct publish_fixture *f)
{
    unsigned count = 0;
    must(pub_count_history(f, &count));
    cr_assert_eq(count, 5);
    cr_assert_eq(faults_of(f), 0);
}

Test(txfs_sums, commits_without_files_are_noted_once_whatever_fails)
{
    static const struct pub_scene scene = {
        .prepare = prepare_others, .act = redo_others, .finish = finish_others, .as_first = true};
    cr_assert_gt(pub_fail_each(&scene, PUB_CALLS, EIO), 15);
    cr_assert_gt(pub_fail_each(&scene, PUB_ALLOCATIONS, 0), 10);
}

/* Long descriptions fill the file before there are many records. */
Test(txfs_sums, a_large_file_of_others_is_shortened_whatever_its_count)
{
    for (uint32_t kept = 0; kept <= 1; kept++) {
        PUBLISH_FIXTURE(f, 1);
        static const uint8_t steady[KTM_TOKEN_SIZE];
        uint8_t token[KTM_TOKEN_SIZE];
        uint8_t *entry = calloc(1, 400008);
        struct ktm_commit_info info = other_commit(0x100000);
        entry[0] = 1;
        tx_put32(entry + 4, 400000);
        info.entries = (struct ktm_cursor){entry, 400008};
        for (tx_lsn lsn = 0x100000; lsn < 0x100000 + 4 * 4096; lsn += 4096) {
            info.lsn = lsn;
            info.next_lsn = lsn + 4096;
            must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
        }
        f->fs->history_count_max = kept;
        must(txfs_steady(f->fs, 0x100000 + 4 * 4096, steady, &f->err));
        struct stat st;
        cr_assert_eq(fstatat(f->store, "undo/others", &st, 0), 0);
        cr_assert_eq(st.st_size < 800000, kept == 1);
        cr_assert_eq(faults_of(f), 0);
        free(entry);
    }
}
