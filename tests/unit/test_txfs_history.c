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

/* A crash while a commit was being dropped leaves any of its files. */
Test(txfs_history, what_is_half_dropped_is_no_history_whatever_is_left)
{
    PUBLISH_FIXTURE(f, 1);
    struct seen seen = {0};
    char path[64];
    uint64_t faults;
    tx_lsn first = commit_x(f, "1", "1");
    must(ktm_checkpoint(f->tm, &f->err));
    (void)snprintf(path, sizeof path, "undo/%016llx", (unsigned long long)first);
    cr_assert_eq(renameat(f->store, path, f->store, "undo/aside"), 0);
    cr_assert_eq(mkdirat(f->store, path, 0700), 0);
    commit_x(f, "2", "2");
    must(ktm_checkpoint(f->tm, &f->err));
    cr_assert_not(pub_in_store(f, path));
    cr_assert_eq(renameat(f->store, "undo/aside", f->store, path), 0);
    (void)snprintf(path, sizeof path, "undo/%016llx/sums", (unsigned long long)first);
    cr_assert_eq(unlinkat(f->store, path, 0), 0);
    f->fs->history_count_max = 7;
    must(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
    cr_assert_eq(faults, 0);
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 1);
    struct ktm_txn *txn = pub_begin(f);
    cr_assert_eq(txfs_revert(txn, first, &f->err), TX_ENOTFOUND);
    ktm_rollback(txn);
    commit_x(f, "3", "3");
    must(ktm_checkpoint(f->tm, &f->err));
    (void)snprintf(path, sizeof path, "undo/%016llx", (unsigned long long)first);
    cr_assert_not(pub_in_store(f, path));
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
    int fd = openat(f->store, path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    cr_assert_eq(pread(fd, &byte, 1, 130), 1);
    byte ^= 1;
    cr_assert_eq(pwrite(fd, &byte, 1, 130), 1);
    (void)close(fd);
    must(txfs_history(f->fs, see, &seen, &f->err)); /* not steady: may be in the making */
    cr_assert_eq(seen.count, 0);
    must(ktm_checkpoint(f->tm, &f->err));
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

/* --- Commits without files --- */

/* One entry of another RM. */
static struct ktm_commit_info other_commit(tx_lsn lsn, const char *text)
{
    static uint8_t entry[8 + 16];
    struct ktm_commit_info info = {.lsn = lsn, .next_lsn = lsn + 4096, .entry_count = 1};
    memset(entry, 0, sizeof(entry));
    entry[0] = 1;
    entry[4] = 16;
    (void)snprintf((char *)entry + 8, 16, "%.15s", text);
    (void)snprintf(info.description, sizeof(info.description), "%s", text);
    info.entries = (struct ktm_cursor){entry, sizeof(entry)};
    return info;
}

static void redo_other(struct publish_fixture *f, tx_lsn lsn, const char *text)
{
    uint8_t token[KTM_TOKEN_SIZE];
    struct ktm_commit_info info = other_commit(lsn, text);
    must(txfs_redo(f->fs, &info, KTM_REDO_LIVE, token, &f->err));
}

static off_t others_size(struct publish_fixture *f)
{
    struct stat st = {.st_size = 0};
    (void)fstatat(f->store, "undo/others", &st, 0);
    return st.st_size;
}

Test(txfs_history, commits_without_files_stand_between_those_with)
{
    PUBLISH_FIXTURE(f, 8);
    struct seen seen = {0};
    redo_other(f, 4096, "before");
    tx_lsn lsn = commit_x(f, "1", "files");
    redo_other(f, lsn + 1, "after");
    redo_other(f, lsn + 1, "after"); /* by the next publisher once more */
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 3);
    cr_assert_str_eq(seen.descriptions[0], "before");
    cr_assert_str_eq(seen.descriptions[1], "files");
    cr_assert_str_eq(seen.descriptions[2], "after");
    struct ktm_txn *txn = pub_begin(f);
    must(txfs_revert(txn, 4096, &f->err)); /* there is nothing to do, and it is known */
    ktm_rollback(txn);
}

Test(txfs_history, of_all_commits_the_newest_are_delivered)
{
    PUBLISH_FIXTURE(f, 2);
    struct seen seen = {0};
    tx_lsn lsn = commit_x(f, "1", "1");
    redo_other(f, lsn + 1, "2");
    redo_other(f, lsn + 2, "3");
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 2);
    cr_assert_str_eq(seen.descriptions[0], "2");
    cr_assert_str_eq(seen.descriptions[1], "3");
}

/* And another process comes. */
static void cut_others(struct publish_fixture *f, off_t size)
{
    int fd = openat(f->store, "undo/others", O_RDWR | O_CLOEXEC);
    cr_assert_eq(ftruncate(fd, size), 0);
    (void)close(fd);
    txfs_publisher_close(f->fs);
    must(txfs_publisher_open(f->fs, &f->err));
}

Test(txfs_history, a_record_cut_short_by_a_crash_is_overwritten)
{
    PUBLISH_FIXTURE(f, 8);
    const char *longer = "a longer description, so that something is left of it";
    redo_other(f, 4096, "first");
    off_t good = others_size(f);
    redo_other(f, 8192, longer);
    for (off_t size = others_size(f) - 1; size > good; size -= 7) {
        struct seen seen = {0};
        cut_others(f, size);
        must(txfs_history(f->fs, see, &seen, &f->err));
        cr_assert_eq(seen.count, 1);
        redo_other(f, 8192, "short");
        must(txfs_history(f->fs, see, &seen, &f->err));
        cr_assert_eq(seen.count, 3);
        cr_assert_str_eq(seen.descriptions[2], "short");
        cut_others(f, good);
        redo_other(f, 8192, longer);
    }
}

Test(txfs_history, two_processes_append_in_turn)
{
    PUBLISH_FIXTURE(f, 8);
    struct seen seen = {0};
    struct txfs_publisher *second;
    struct txfs_publisher *first = f->fs->publisher;
    must(txfs_publisher_open(f->fs, &f->err));
    second = f->fs->publisher;
    for (unsigned i = 0; i < 6; i++) {
        f->fs->publisher = i % 2 == 0 ? first : second;
        redo_other(f, 4096 * (i + 1), i % 2 == 0 ? "even" : "odd");
    }
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 6);
    f->fs->publisher = second;
    txfs_publisher_close(f->fs);
    f->fs->publisher = first;
}

Test(txfs_history, the_file_of_others_is_shortened_and_goes_on)
{
    PUBLISH_FIXTURE(f, 3);
    static const uint8_t token[KTM_TOKEN_SIZE];
    struct seen seen = {0};
    uint64_t faults;
    struct txfs_publisher *first = f->fs->publisher;
    must(txfs_publisher_open(f->fs, &f->err));
    struct txfs_publisher *second = f->fs->publisher;
    redo_other(f, 4096, "seen by the second");
    f->fs->publisher = first;
    for (unsigned i = 1; i < 300; i++) {
        redo_other(f, 4096 * (i + 1), "many");
    }
    off_t before = others_size(f);
    must(txfs_steady(f->fs, 4096 * 301, token, &f->err));
    cr_assert_lt(others_size(f) * 50, before);
    must(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
    cr_assert_eq(faults, 0);
    f->fs->publisher = second; /* which still has the longer file open */
    redo_other(f, 4096 * 301, "newest");
    must(txfs_history(f->fs, see, &seen, &f->err));
    cr_assert_eq(seen.count, 3);
    cr_assert_str_eq(seen.descriptions[2], "newest");
    txfs_publisher_close(f->fs);
    f->fs->publisher = first;
}

Test(txfs_history, a_flipped_bit_in_a_durable_record_is_found)
{
    PUBLISH_FIXTURE(f, 8);
    static const uint8_t token[KTM_TOKEN_SIZE];
    uint64_t faults;
    redo_other(f, 4096, "first");
    redo_other(f, 8192, "second");
    must(txfs_steady(f->fs, 12288, token, &f->err));
    int fd = openat(f->store, "undo/others", O_RDWR | O_CLOEXEC);
    for (off_t at = 0; at < others_size(f); at++) {
        char was;
        cr_assert_eq(pread(fd, &was, 1, at), 1);
        char is = (char)(was ^ (1 << (at % 8)));
        cr_assert_eq(pwrite(fd, &is, 1, at), 1);
        must(txfs_check(f->fs, NULL, NULL, &faults, &f->err));
        cr_assert_eq(faults, 1, "byte %lld", (long long)at);
        cr_assert_eq(pwrite(fd, &was, 1, at), 1);
    }
    (void)close(fd);
}
