/* SPDX-License-Identifier: MIT */
/* Carrying out commits on a real tree, and finishing what a killed publisher began. */
#include <sys/wait.h>

#include "publish_fixture.h"

Test(txfs_publish, a_new_file_stands_with_content_mode_and_time)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE | TXIO_ATTR_TIMES,
                             .mode = 04755,
                             .atime_ns = 1000000007,
                             .mtime_ns = -5};
    must(txfs_put(txn, "x", "content", 7, &attr, &f->err));
    pub_commit(f, txn);
    struct stat st = pub_stat(f, "x");
    cr_assert_str_eq(pub_text(f, "x"), "content");
    cr_assert_eq(st.st_mode, S_IFREG | 04755);
    cr_assert_eq(st.st_atim.tv_sec, 1);
    cr_assert_eq(st.st_mtim.tv_sec, -1);
    cr_assert_eq(st.st_mtim.tv_nsec, 999999995);
}

Test(txfs_publish, a_replaced_file_is_the_old_inode_in_its_slot)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "old");
    ino_t old = pub_stat(f, "x").st_ino;
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "new");
    char slot[128];
    struct stat st;
    (void)snprintf(slot, sizeof(slot), ".txkit/undo/%016llx/0",
                   (unsigned long long)pub_commit(f, txn));
    cr_assert_str_eq(pub_text(f, "x"), "new");
    int found = fstatat(f->root, slot, &st, 0);
    if (found != 0) { /* the times were a second entry */
        slot[strlen(slot) - 1] = '1';
        found = fstatat(f->root, slot, &st, 0);
    }
    cr_assert_eq(found, 0);
    cr_assert_eq(st.st_ino, old);
    cr_assert_str_eq(pub_text(f, slot), "old");
    cr_assert_eq(f->foreign_count, 0);
}

Test(txfs_publish, readers_with_the_old_file_open_keep_it)
{
    PUBLISH_FIXTURE(f, 8);
    char text[4] = "";
    pub_foreign(f, "x", "old");
    int fd = openat(f->root, "x", O_RDONLY | O_CLOEXEC);
    struct ktm_txn *txn = pub_begin(f);
    pub_put(f, txn, "x", "new");
    pub_commit(f, txn);
    cr_assert_eq(read(fd, text, 3), 3);
    cr_assert_str_eq(text, "old");
    (void)close(fd);
}

Test(txfs_publish, a_write_in_place_keeps_the_inode_and_saves_the_old_bytes)
{
    PUBLISH_FIXTURE(f, 8);
    pub_foreign(f, "x", "0123456789");
    struct stat before = pub_stat(f, "x");
    struct ktm_txn *txn = pub_begin(f);
    pub_write(f, txn, "x", 8, "ABCD");
    tx_lsn lsn = pub_commit(f, txn);
    cr_assert_eq(pub_stat(f, "x").st_ino, before.st_ino);
    cr_assert_str_eq(pub_text(f, "x"), "01234567ABCD");
    TX_AUTO(txfs_saved) saved = {.head = TX_BUF_INIT};
    char slot[TXFS_SLOT_PATH_SIZE];
    enum tx_status status = TX_ENOTFOUND;
    for (uint32_t i = 0; i < 4 && status == TX_ENOTFOUND; i++) {
        txfs_slot_path(lsn, 's', i, slot);
        status = txfs_saved_read(f->fs, slot, &saved, &f->err);
    }
    must(status);
    cr_assert_eq(saved.size, 10);
    cr_assert_eq(saved.ino, before.st_ino);
    cr_assert_eq(saved.mtime_ns, before.st_mtim.tv_sec * 1000000000 + before.st_mtim.tv_nsec);
    cr_assert_eq(saved.extent_count, 1);
    struct txfs_extent at = txfs_saved_extent(&saved, 0);
    cr_assert_eq(at.offset, 8);
    cr_assert_eq(at.length, 2);
}

Test(txfs_publish, an_explicit_time_of_a_directory_outlives_its_new_children)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    struct ktm_txn *txn = pub_begin(f);
    pub_time(f, txn, "timed");
    pub_put(f, txn, "timed/child", "x");
    must(txfs_mkdir(txn, "timed/timed2", 0755, &f->err));
    pub_time(f, txn, "timed/timed2");
    pub_put(f, txn, "timed/timed2/child", "x");
    pub_commit(f, txn);
    cr_assert_eq(pub_stat(f, "timed").st_mtim.tv_sec, 1600000000);
    cr_assert_eq(pub_stat(f, "timed/timed2").st_mtim.tv_sec, 1600000000);
}

Test(txfs_publish, moves_out_of_each_other_and_swaps_end_right)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    ino_t a = pub_stat(f, "a").st_ino;
    ino_t swap1 = pub_stat(f, "swap1").st_ino;
    ino_t e = pub_stat(f, "d/sub/e").st_ino;
    struct ktm_txn *txn = pub_begin(f);
    pub_move_all(f, txn);
    pub_commit(f, txn);
    cr_assert_eq(pub_stat(f, "dd/a-moved").st_ino, a);
    cr_assert_str_eq(pub_text(f, "a"), "a new one at the old place");
    cr_assert_eq(pub_stat(f, "swap2").st_ino, swap1);
    cr_assert_neq(pub_stat(f, "swap1/two").st_ino, 0);
    cr_assert_neq(pub_stat(f, "swap2/one").st_ino, 0);
    cr_assert_eq(pub_stat(f, "e").st_ino, e);
    cr_assert_eq(pub_stat(f, "d").st_ino, 0);
    cr_assert_str_eq(pub_text(f, "dd/c"), "changed in a moved directory");
    cr_assert_eq(pub_stat(f, "kind").st_mode & 07777, 0600);
    cr_assert_eq(pub_stat(f, "dd/sub/gone/deep/y").st_ino, 0);
    cr_assert_neq(pub_stat(f, "dd/sub/gone/x").st_ino, 0);
    cr_assert_eq(f->foreign_count, 0);
}

static uint64_t count_changes;
static void count_before(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    count_changes += layer_op_changes(call->op) && call->op != LAYER_wait;
}

Test(txfs_publish, a_small_file_costs_five_changing_calls)
{
    PUBLISH_FIXTURE(f, 8);
    struct ktm_txn *txn = pub_begin(f);
    for (int i = 0; i < 100; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "f%d", i);
        must(txfs_put(txn, path, "x", 1, NULL, &f->err));
    }
    struct ktm_commit_info info = pub_commit_of(txn, 0x100000);
    uint8_t token[KTM_TOKEN_SIZE];
    f->layer.before = count_before;
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    f->layer.before = NULL;
    /* open, write, attributes, rename; and a few for the commit as a whole */
    cr_assert_leq(count_changes, 100 * 4 + 10, "%llu", (unsigned long long)count_changes);
    ktm_rollback(txn);
}

/* --- A publisher is killed before each of its operations; another finishes --- */

static char *run_whole(pub_change_fn *first, pub_change_fn *second)
{
    PUBLISH_FIXTURE(f, 8);
    pub_make_tree(f);
    struct ktm_txn *txn = pub_begin(f);
    if (first != NULL) {
        first(f, txn);
        pub_commit(f, txn);
        txn = pub_begin(f);
    }
    second(f, txn);
    pub_commit(f, txn);
    return pub_dump(f);
}

static bool redo_killed(struct publish_fixture *f, const struct ktm_commit_info *info, uint64_t k)
{
    uint8_t token[KTM_TOKEN_SIZE];
    int state;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        pub_kill_at(f, k);
        enum tx_status status = txfs_redo(f->fs, info, KTM_REDO_LIVE, token, &f->err);
        _exit(status == TX_OK ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &state, 0), child);
    cr_assert(WIFEXITED(state));
    cr_assert(WEXITSTATUS(state) == 0 || WEXITSTATUS(state) == PUB_KILLED);
    return WEXITSTATUS(state) == PUB_KILLED;
}

static bool kill_and_finish(pub_change_fn *first, pub_change_fn *second, uint64_t k,
                            const char *wanted)
{
    PUBLISH_FIXTURE(f, 8);
    char when[64];
    uint8_t token[KTM_TOKEN_SIZE];
    pub_make_tree(f);
    struct ktm_txn *txn = pub_begin(f);
    if (first != NULL) {
        first(f, txn);
        pub_commit(f, txn);
        txn = pub_begin(f);
    }
    second(f, txn);
    struct ktm_commit_info info = pub_commit_of(txn, 0x100000);
    bool killed = redo_killed(f, &info, k);
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    char *is = pub_dump(f);
    (void)snprintf(when, sizeof(when), "killed before operation %llu", (unsigned long long)k);
    pub_assert_same(is, wanted, when);
    cr_assert_eq(f->foreign_count, 0, "%s: took ours for %s", when, f->foreign_path[0]);
    free(is);
    /* And a third time, over what is complete. */
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
    is = pub_dump(f);
    pub_assert_same(is, wanted, "carried out again");
    free(is);
    ktm_rollback(txn);
    return killed;
}

static void kill_everywhere(pub_change_fn *first, pub_change_fn *second, uint64_t at_least)
{
    char *wanted = run_whole(first, second);
    uint64_t k = 1;
    while (kill_and_finish(first, second, k, wanted)) {
        k++;
    }
    cr_assert_geq(k, at_least, "only %llu operations", (unsigned long long)k);
    free(wanted);
}

Test(txfs_publish, killed_anywhere_another_publisher_finishes, .timeout = 300)
{
    kill_everywhere(NULL, pub_change_all, 60);
}

Test(txfs_publish, killed_anywhere_over_an_unsteady_commit, .timeout = 300)
{
    kill_everywhere(pub_change_all, pub_change_again, 30);
}

Test(txfs_publish, killed_anywhere_in_moves, .timeout = 300)
{
    kill_everywhere(NULL, pub_move_all, 25);
}
