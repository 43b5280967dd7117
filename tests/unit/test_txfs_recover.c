/* SPDX-License-Identifier: MIT */
/* A process dies anywhere in a commit; the next one to open the store recovers: old or new, never a
 * mixture. (Cutting the power is the business of tests/sim.) */
#include <sys/wait.h>

#include "publish_fixture.h"
#include "txfs/unsteady.h"

/* A process of its own opens the store, works, and dies before the k-th operation of its commit. */
static bool commit_killed(struct publish_fixture *f, pub_change_fn *first, pub_change_fn *second,
                          uint64_t k)
{
    int state;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        tx_lsn lsn;
        pub_open(f);
        struct ktm_txn *txn = pub_begin(f);
        if (first != NULL) {
            first(f, txn);
            pub_commit(f, txn);
            txn = pub_begin(f);
        }
        second(f, txn);
        pub_kill_at(f, k);
        _exit(ktm_commit(txn, &lsn, &f->err) == TX_OK ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &state, 0), child);
    cr_assert(WIFEXITED(state));
    cr_assert(WEXITSTATUS(state) == 0 || WEXITSTATUS(state) == PUB_KILLED, "commit answers %d",
              WEXITSTATUS(state));
    return WEXITSTATUS(state) == PUB_KILLED;
}

struct outcome {
    bool killed;
    bool is_new;
};

static void dump_both(pub_change_fn *first, pub_change_fn *second, char **before, char **after)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    struct ktm_txn *txn = pub_begin(f);
    if (first != NULL) {
        first(f, txn);
        pub_commit(f, txn);
        txn = pub_begin(f);
    }
    *before = pub_dump(f);
    second(f, txn);
    pub_commit(f, txn);
    *after = pub_dump(f);
}

static struct outcome kill_and_recover(pub_change_fn *first, pub_change_fn *second, uint64_t k,
                                       uint64_t shift, const char *before, const char *after)
{
    PUBLISH_FIXTURE(f, 8);
    char when[64];
    pub_make_tree(f);
    pub_die(f);
    struct outcome outcome = {.killed = commit_killed(f, first, second, k)};
    f->device_shift = shift;
    pub_open(f);
    char *is = pub_dump(f);
    (void)snprintf(when, sizeof(when), "killed before operation %llu", (unsigned long long)k);
    outcome.is_new = strcmp(is, before) != 0;
    pub_assert_same(is, outcome.is_new ? after : before, when);
    cr_assert(outcome.killed || outcome.is_new, "acknowledged, and lost");
    cr_assert_eq(f->foreign_count, 0, "%s: took ours for %s", when, f->foreign_path[0]);
    free(is);
    return outcome;
}

static void kill_everywhere_at(pub_change_fn *first, pub_change_fn *second, uint64_t shift)
{
    char *before;
    char *after;
    unsigned old_count = 0;
    unsigned new_count = 0;
    struct outcome outcome = {.killed = true};
    dump_both(first, second, &before, &after);
    for (uint64_t k = 1; outcome.killed; k++) {
        outcome = kill_and_recover(first, second, k, shift, before, after);
        old_count += !outcome.is_new;
        new_count += outcome.is_new;
    }
    cr_assert_gt(old_count, 0);
    cr_assert_gt(new_count, 20);
    free(before);
    free(after);
}

static void kill_everywhere(pub_change_fn *first, pub_change_fn *second)
{
    kill_everywhere_at(first, second, 0);
}

Test(txfs_recover, killed_anywhere_in_a_commit_of_everything, .timeout = 300)
{
    kill_everywhere(NULL, pub_change_all);
}

/* Further names of what the same commit makes or moves, and so puts in its place first. */
static void link_all(struct publish_fixture *f, struct ktm_txn *txn)
{
    must(txfs_put(txn, "made", "content", 7, NULL, &f->err));
    pub_time(f, txn, "made");
    must(txfs_link(txn, "made", "made-too", &f->err));
    must(txfs_rename(txn, "a", "moved", 0, &f->err));
    must(txfs_link(txn, "moved", "moved-too", &f->err));
}

/* One that a kill left in its slot must not stay there beside a second one. */
Test(txfs_recover, a_further_name_is_not_made_twice, .timeout = 60)
{
    char *before;
    char *after;
    struct outcome outcome = {.killed = true};
    dump_both(NULL, link_all, &before, &after);
    for (uint64_t k = 1; outcome.killed; k++) {
        outcome = kill_and_recover(NULL, link_all, k, 0, before, after);
    }
    cr_assert(outcome.is_new);
    free(before);
    free(after);
}

Test(txfs_recover, killed_anywhere_over_an_unsteady_commit, .timeout = 300)
{
    kill_everywhere(pub_change_all, pub_change_again);
}

Test(txfs_recover, killed_anywhere_in_moves, .timeout = 300)
{
    kill_everywhere(NULL, pub_move_all);
}

/* Disks are numbered in the order in which they are found: after a power cut the volume may have
 * another number than the one that the commit recorded. */
Test(txfs_recover, volume_has_another_number_after_the_crash, .timeout = 600)
{
    kill_everywhere_at(NULL, pub_change_all, 1);
    kill_everywhere_at(pub_change_all, pub_change_again, 1);
    kill_everywhere_at(NULL, pub_move_all, 1);
}

/* Recovery itself dies anywhere. */
static bool recover_killed(struct publish_fixture *f, uint64_t k)
{
    int state;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        pub_kill_at(f, k);
        pub_open(f);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &state, 0), child);
    cr_assert(WIFEXITED(state));
    cr_assert(WEXITSTATUS(state) == 0 || WEXITSTATUS(state) == PUB_KILLED);
    return WEXITSTATUS(state) == PUB_KILLED;
}

static void kill_recovery_everywhere(uint64_t first_kill)
{
    char *before;
    char *after;
    bool killed = true;
    dump_both(NULL, pub_change_all, &before, &after);
    for (uint64_t k = 1; killed; k++) {
        PUBLISH_FIXTURE(f, 8);
        pub_make_tree(f);
        pub_die(f);
        cr_assert(commit_killed(f, NULL, pub_change_all, first_kill));
        killed = recover_killed(f, k);
        pub_open(f);
        char *is = pub_dump(f);
        pub_assert_same(is, after, "killed in recovery");
        free(is);
    }
    free(before);
    free(after);
}

Test(txfs_recover, killed_again_in_recovery, .timeout = 300)
{
    kill_recovery_everywhere(60);
}

/* --- What is evidence of what --- */

static void forget_boot(struct publish_fixture *f)
{
    memset(f->fs->publisher->boot_id, 0xAB, sizeof(f->fs->publisher->boot_id));
}

Test(txfs_recover, a_file_torn_by_a_power_cut_is_rebuilt)
{
    PUBLISH_FIXTURE(f, 8);
    char text[3001];
    memset(text, 'x', 3000);
    text[3000] = '\0';
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", text);
    pub_commit(f, txn);
    pub_die(f);
    /* Sectors 1 and 4 were lost, and the mode. */
    int fd = openat(f->root, "x", O_WRONLY | O_CLOEXEC);
    char zeros[512] = {0};
    cr_assert_eq(pwrite(fd, zeros, 512, 512), 512);
    cr_assert_eq(pwrite(fd, zeros, 512, 2048), 512);
    cr_assert_eq(fchmod(fd, TXFS_BUILD_MODE), 0);
    (void)close(fd);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), text);
    cr_assert_eq(pub_stat(f, "x").st_mode & 07777, 0644);
    cr_assert_eq(f->foreign_count, 0);
}

/* The system wrote a part, somebody else's sync took that to the disk, then the power went. */
Test(txfs_recover, a_file_whose_sector_was_written_in_two_halves_is_rebuilt)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "begin and end");
    pub_commit(f, txn);
    pub_die(f);
    int fd = openat(f->root, "x", O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "begin\0\0\0\0\0\0\0\0", 13, 0), 13);
    (void)close(fd);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "begin and end");
    cr_assert_eq(f->foreign_count, 0);
}

Test(txfs_recover, a_short_file_is_rebuilt_and_a_lost_one_is_made_again)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "content of x");
    pub_put(f, txn, "y", "content of y");
    pub_commit(f, txn);
    pub_die(f);
    int fd = openat(f->root, "x", O_WRONLY | O_TRUNC | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    cr_assert_eq(unlinkat(f->root, "y", 0), 0);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "content of x");
    cr_assert_str_eq(pub_text(f, "y"), "content of y");
}

Test(txfs_recover, extents_lost_from_an_inode_are_written_again)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    struct ktm_txn *txn = pub_begin(f);
    pub_write(f, txn, "x", 2, "AB");
    pub_commit(f, txn);
    txn = pub_begin(f);
    pub_write(f, txn, "x", 3, "CD");
    pub_commit(f, txn);
    ino_t ino = pub_stat(f, "x").st_ino;
    pub_die(f);
    int fd = openat(f->root, "x", O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "0123456789", 10, 0), 10);
    (void)close(fd);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "01ACD56789");
    cr_assert_eq(pub_stat(f, "x").st_ino, ino);
}

Test(txfs_recover, a_name_lost_after_a_power_cut_comes_back_with_the_exchange_done)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "old");
    struct ktm_txn *txn = pub_begin(f);
    forget_boot(f); /* as if written by an earlier run of the system */
    pub_put(f, txn, "x", "new");
    pub_commit(f, txn);
    pub_die(f);
    cr_assert_eq(unlinkat(f->root, "x", 0), 0);
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "new");
}

/* What recovery relies on when it is cut off after it changed a name. */
static void expect_changes_first(struct layer *layer, struct layer_call *call)
{
    struct publish_fixture *f = pub_of(layer);
    if (call->op == LAYER_rename && strcmp(call->where2 + strlen(call->where2) - 3, "big") == 0) {
        cr_assert(pub_in_store(f, "undo/0000000000100000/changes"));
        f->foreign_count++;
    }
}

Test(txfs_recover, names_change_after_the_record_that_says_so)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "big", 9000, 1);
    struct ktm_commit_info info = pub_commit_of(txn, 0x100000);
    TX_AUTO(txfs_unsteady) commit = {.entries = TX_BUF_INIT};
    must(txfs_unsteady_load(&info, &commit, &f->err));
    f->layer.before = expect_changes_first;
    must(txfs_converge(f->fs, &commit, 1, &f->err));
    cr_assert_eq(f->foreign_count, 1);
    cr_assert_neq(pub_stat(f, "big").st_ino, 0);
    ktm_rollback(txn);
}

Test(txfs_recover, a_staged_payload_that_is_nowhere_is_said_to_be_gone)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "big", 9000, 1);
    struct ktm_commit_info info = pub_commit_of(txn, 0x100000);
    struct txfs_unsteady *commit = calloc(1, sizeof(*commit));
    must(txfs_unsteady_load(&info, commit, &f->err));
    char path[TXFS_STAGED_PATH_SIZE];
    txfs_staged_path(&info.id, 1, path);
    cr_assert_eq(unlinkat(f->store, path, 0), 0);
    cr_assert_eq(txfs_converge(f->fs, commit, 1, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, "big"));
    cr_assert_eq(txfs_converge(f->fs, commit, 1, &f->err), TX_ECORRUPT); /* and again */
    txfs_unsteady_release(commit);
    free(commit);
    ktm_rollback(txn);
}

/* Recover what `txn` would commit, with one bit of its staged payload wrong: refused, as often as
 * one tries; then with the bit as it was. */
static void recover_damaged(struct publish_fixture *f, struct ktm_txn *txn)
{
    struct ktm_commit_info info = pub_commit_of(txn, 0x100000);
    TX_AUTO(txfs_unsteady) commit = {.entries = TX_BUF_INIT};
    must(txfs_unsteady_load(&info, &commit, &f->err));
    char path[TXFS_STAGED_PATH_SIZE];
    char before[64];
    (void)snprintf(before, sizeof(before), "%s", pub_text(f, "big"));
    txfs_staged_path(&info.id, 1, path);
    pub_flip(f, path, 5000);
    for (unsigned i = 0; i < 2; i++) { /* the second time `changes` is there */
        cr_assert_eq(txfs_converge(f->fs, &commit, 1, &f->err), TX_ECORRUPT);
        cr_assert_not_null(strstr(f->err.text, "big\" is damaged"), "%s", f->err.text);
        cr_assert_str_eq(pub_text(f, "big"), before);
    }
    pub_flip(f, path, 5000);
    must(txfs_converge(f->fs, &commit, 1, &f->err));
    ktm_rollback(txn);
}

/* Though names may have changed already, and a stranger could have removed it from its place. */
Test(txfs_recover, a_staged_payload_that_is_damaged_is_said_to_be)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put_bytes(f, txn, "big", 9000, 1);
    recover_damaged(f, txn);
    cr_assert_eq(pub_stat(f, "big").st_size, 9000);
}

/* Of a change in place too, before anything of it gets into the file. */
Test(txfs_recover, staged_changes_that_are_damaged_change_nothing)
{
    PUBLISH_FIXTURE(f, 8);
    static char text[9001];
    memset(text, 'n', sizeof(text) - 1);
    pub_foreign(f, "big", "old");
    struct ktm_txn *txn = pub_begin(f);
    pub_write(f, txn, "big", 1, text);
    recover_damaged(f, txn);
    cr_assert_eq(pub_stat(f, "big").st_size, 9001);
}

Test(txfs_recover, old_versions_nobody_vouches_for_are_marked_as_lost)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "first");
    pub_commit(f, txn);
    txn = pub_begin(f);
    pub_put(f, txn, "x", "second");
    tx_lsn lsn = pub_commit(f, txn);
    pub_die(f);
    /* The slot of the second commit lost the content of the first. */
    for (int i = 0; i < 4; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "undo/%016llx/%d", (unsigned long long)lsn, i);
        int fd = openat(f->store, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    pub_open(f);
    cr_assert_str_eq(pub_text(f, "x"), "second");
    txn = pub_begin(f);
    cr_assert_eq(txfs_revert(txn, lsn, &f->err), TX_ENOTFOUND);
    cr_assert_not_null(strstr(f->err.text, "lost"));
    ktm_rollback(txn);
}
