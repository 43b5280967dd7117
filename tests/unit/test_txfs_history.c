/* SPDX-License-Identifier: MIT */
/* What undo/ knows of old commits. */
#include "publish_fixture.h"

struct seen {
    unsigned count;
    tx_lsn lsns[16];
    char descriptions[16][32];
    unsigned entries[16];
    bool content;
};

static enum tx_status see(void *arg, const struct ktm_commit_info *commit, struct tx_error *err)
{
    struct seen *seen = arg;
    struct ktm_cursor cursor = commit->entries;
    struct ktm_change change;
    (void)err;
    cr_assert_lt(seen->count, 16);
    seen->lsns[seen->count] = commit->lsn;
    (void)snprintf(seen->descriptions[seen->count], 32, "%.31s", commit->description);
    while (ktm_cursor_next(&cursor, &change)) {
        struct txfs_change described;
        if (change.rm == TXFS_RM) {
            cr_assert_eq(txfs_change_decode(&change, &described, NULL), TX_OK);
            seen->content |= described.content != NULL;
        }
        seen->entries[seen->count]++;
    }
    cr_assert_eq(commit->entry_count, seen->entries[seen->count]);
    seen->count++;
    return TX_OK;
}

static tx_lsn commit_x(struct publish_fixture *f, const char *text, const char *description)
{
    struct ktm_begin_options options = {.description = description};
    struct ktm_txn *txn;
    tx_lsn lsn;
    must(ktm_begin(f->tm, &options, &txn, &f->err));
    pub_put(f, txn, "x", text);
    must(ktm_commit(txn, &lsn, &f->err));
    return lsn;
}

Test(txfs_history, commits_come_oldest_first_with_hashes_for_contents)
{
    PUBLISH_FIXTURE(f, 8);
    struct seen seen = {0};
    tx_lsn first = commit_x(f, "1", "the first");
    tx_lsn second = commit_x(f, "2", "the second");
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(seen.lsns[0], first);
    cr_assert_eq(seen.lsns[1], second);
    cr_assert_str_eq(seen.descriptions[1], "the second");
    cr_assert_not(seen.content);
}

Test(txfs_history, the_newest_are_kept_over_checkpoints_and_deaths)
{
    PUBLISH_FIXTURE(f, 2);
    struct seen seen = {0};
    commit_x(f, "1", "1");
    commit_x(f, "2", "2");
    must(ktm_checkpoint(f->tm, &f->err));
    commit_x(f, "3", "3");
    pub_die(f);
    pub_open(f);
    must(ktm_checkpoint(f->tm, &f->err));
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 2);
    cr_assert_str_eq(seen.descriptions[0], "2");
    cr_assert_str_eq(seen.descriptions[1], "3");
}

Test(txfs_history, without_history_nothing_is_kept_after_a_checkpoint)
{
    PUBLISH_FIXTURE(f, 0);
    struct seen seen = {0};
    commit_x(f, "1", "1");
    must(ktm_checkpoint(f->tm, &f->err));
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 0);
}

Test(txfs_history, a_damaged_commit_is_refused)
{
    PUBLISH_FIXTURE(f, 8);
    struct seen seen = {0};
    char path[64];
    (void)snprintf(path, sizeof(path), "undo/%016llx/changes",
                   (unsigned long long)commit_x(f, "1", "1"));
    int fd = openat(f->store, path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "!", 1, 130), 1);
    (void)close(fd);
    cr_assert_eq(txfs_history(f->fs, see, &seen, &f->err), TX_ECORRUPT);
    cr_assert_not_null(strstr(f->err.text, path));
}

static enum tx_status refuse(void *arg, const struct ktm_commit_info *commit, struct tx_error *err)
{
    (void)arg;
    (void)commit;
    return tx_error_set(err, TX_EBUSY, "enough");
}

Test(txfs_history, the_answer_of_the_callback_ends_it)
{
    PUBLISH_FIXTURE(f, 8);
    commit_x(f, "1", "1");
    cr_assert_eq(txfs_history(f->fs, refuse, NULL, &f->err), TX_EBUSY);
}
