/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <string.h>

#include "txio/txio_internal.h"
#include "unit/failing_alloc.h"
#include "unit/failing_io.h"
#include "unit/temp_dir.h"

Test(txio_helpers, short_reads_are_completed)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    char data[16];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "0123456789");
    int fd = openat(temp.fd, "f", O_RDONLY | O_CLOEXEC);
    failing.most = 3;
    cr_assert_eq(txio_read_full(io, fd, data, 8, 2, NULL), TX_OK);
    cr_assert_eq(memcmp(data, "23456789", 8), 0);
    cr_assert_eq(failing.calls, 3);
    cr_assert_eq(txio_read_full(io, fd, data, 0, 1000, NULL), TX_OK);
}

Test(txio_helpers, a_file_that_ends_early_is_corrupt)
{
    struct txio *io = txio_posix();
    struct tx_error err;
    char data[16];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "0123456789");
    int fd = openat(temp.fd, "f", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(txio_read_full(io, fd, data, 10, 0, &err), TX_OK);
    cr_assert_eq(txio_read_full(io, fd, data, 11, 0, &err), TX_ECORRUPT);
    cr_assert_str_eq(err.text, "file ends at byte 10, 1 bytes too early");
    cr_assert_eq(txio_read_full(io, -1, data, 11, 0, &err), TX_EIO);
    cr_assert_str_eq(err.text, "read 11 bytes at offset 0: Bad file descriptor");
}

Test(txio_helpers, short_writes_are_completed_over_all_parts)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    const struct iovec parts[8] = {{NULL, 0},         {(char[]){"ab"}, 2}, {(char[]){"c"}, 1},
                                   {NULL, 0},         {NULL, 0},           {(char[]){"defg"}, 4},
                                   {(char[]){"h"}, 1}, {NULL, 0}};
    for (size_t most = 0; most < 10; most++) {
        struct failing_io failing;
        struct txio *io = failing_io_init(&failing, -1, 0);
        make_file(temp.fd, "f", "..");
        int fd = openat(temp.fd, "f", O_RDWR | O_CLOEXEC);
        failing.most = most;
        cr_assert_eq(txio_write_full(io, fd, parts, 8, 2, NULL), TX_OK);
        cr_assert(file_is(temp.fd, "f", "..abcdefgh"), "steps of %zu", most);
        (void)close(fd);
    }
}

static int64_t write_nothing(struct txio *io, int fd, const struct iovec *parts, int count,
                             uint64_t offset)
{
    (void)io, (void)fd, (void)parts, (void)count, (void)offset;
    return 0;
}

Test(txio_helpers, writes_that_cannot_go_on_end)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, 1, -ENOSPC);
    struct tx_error err;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    const struct iovec parts[9] = {{(char[]){"abcd"}, 4}};
    make_file(temp.fd, "f", "");
    int fd = openat(temp.fd, "f", O_RDWR | O_CLOEXEC);
    failing.most = 3;
    cr_assert_eq(txio_write_full(io, fd, parts, 1, 7, &err), TX_ENOSPC);
    cr_assert_str_eq(err.text, "write at offset 10: No space left on device");
    failing.ops.pwritev = write_nothing;
    cr_assert_eq(txio_write_full(io, fd, parts, 1, 0, &err), TX_EIO);
    cr_assert_eq(txio_write_full(io, fd, parts, 0, 0, &err), TX_OK);
    cr_assert_eq(txio_write_full(io, fd, parts, 9, 0, &err), TX_EMISUSE);
    cr_assert_eq(txio_write_full(io, fd, parts, -1, 0, &err), TX_EMISUSE);
}

/* --- txio_replace_file --- */

Test(txio_helpers, replace_makes_and_replaces)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", "one", 3, NULL), TX_OK);
    cr_assert(file_is(temp.fd, "f", "one"));
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", "2", 1, NULL), TX_OK);
    cr_assert(file_is(temp.fd, "f", "2"));
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", NULL, 0, NULL), TX_OK);
    cr_assert(file_is(temp.fd, "f", ""));
    cr_assert_eq(txio_replace_file(io, temp.fd, "d/f", "three", 5, NULL), TX_OK);
    cr_assert(file_is(temp.fd, "d/f", "three"));
    cr_assert_eq(fchdir(temp.fd), 0);
    cr_assert_eq(txio_replace_file(io, TXIO_CWD, "g", "4", 1, NULL), TX_OK);
    cr_assert_eq(txio_replace_file(io, TXIO_CWD, "./d/../h", "5", 1, NULL), TX_OK);
    cr_assert(file_is(temp.fd, "g", "4"));
    cr_assert(file_is(temp.fd, "h", "5"));
}

Test(txio_helpers, replace_refuses_what_is_no_name_and_leaves_no_draft)
{
    static const char *const names[] = {"", "d/", ".", "..", "d/.", "d/.."};
    struct txio *io = txio_posix();
    struct tx_error err;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(txio_replace_file(io, temp.fd, names[i], "x", 1, &err), TX_EINVAL);
    }
    cr_assert_str_eq(err.text, "\"..\" is no name for a file");
    cr_assert_eq(txio_replace_file(io, TXIO_CWD, "/", "x", 1, NULL), TX_EINVAL);
    cr_assert_eq(unlinkat(temp.fd, "d", AT_REMOVEDIR), 0); /* empty, and then all is */
    cr_assert_eq(rmdir(temp.path), 0);
    cr_assert_eq(mkdir(temp.path, 0700), 0);
}

Test(txio_helpers, replace_syncs_the_data_before_the_name_and_the_name_last)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", "one", 3, NULL), TX_OK);
    cr_assert_str_eq(failing.trace, " open lock fstat stat truncate pwritev datasync rename close"
                                    " sync");
}

Test(txio_helpers, a_draft_that_a_crash_left_is_taken_over)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "f", "old");
    make_file(temp.fd, "f.new", "a long and unfinished draft");
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", "new", 3, NULL), TX_OK);
    cr_assert(file_is(temp.fd, "f", "new"));
    cr_assert_not(exists(temp.fd, "f.new"));
}

Test(txio_helpers, replace_never_writes_through_a_link)
{
    struct txio *io = txio_posix();
    struct stat stat;
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_file(temp.fd, "canary", "alive");
    make_dir(temp.fd, "d");
    cr_assert_eq(symlinkat("../canary", temp.fd, "d/f.new"), 0);
    cr_assert_eq(symlinkat("../canary", temp.fd, "d/g"), 0);
    cr_assert_eq(symlinkat("d", temp.fd, "link"), 0);
    cr_assert_eq(txio_replace_file(io, temp.fd, "d/f", "x", 1, NULL), TX_EESCAPE);
    cr_assert_eq(txio_replace_file(io, temp.fd, "link/f", "x", 1, NULL), TX_EESCAPE);
    cr_assert_eq(txio_replace_file(io, temp.fd, "../f", "x", 1, NULL), TX_EESCAPE);
    cr_assert_eq(txio_replace_file(io, temp.fd, "d/g", "x", 1, NULL), TX_OK);
    cr_assert_eq(fstatat(temp.fd, "d/g", &stat, AT_SYMLINK_NOFOLLOW), 0);
    cr_assert(S_ISREG(stat.st_mode));
    cr_assert(file_is(temp.fd, "canary", "alive"));
}

/* Fail each call of a replacement in turn. */
static bool replace_failing_at(int fail_at, const char *name)
{
    struct failing_io failing;
    struct tx_error err = {.status = TX_OK};
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    make_file(temp.fd, name, "old");
    int before = open_descriptors();
    struct txio *io = failing_io_init(&failing, fail_at, -EIO);
    enum tx_status status = txio_replace_file(io, temp.fd, name, "new!", 4, &err);
    bool renamed = strstr(failing.trace, "rename close sync") != NULL;
    cr_assert(file_is(temp.fd, name, renamed ? "new!" : "old"), "call %d:%s", fail_at,
              failing.trace);
    cr_assert(status == TX_EIO || renamed);
    cr_assert(status == TX_OK || err.text[0] != '\0');
    cr_assert_eq(open_descriptors(), before, "call %d:%s", fail_at, failing.trace);
    cr_assert(renamed || status != TX_OK);
    char draft[16];
    (void)snprintf(draft, sizeof(draft), "%s.new", name);
    if (status != TX_OK && strstr(failing.trace, "truncate") != NULL) {
        cr_assert_not(exists(temp.fd, draft), "call %d:%s", fail_at, failing.trace);
    }
    return failing.calls > fail_at;
}

Test(txio_helpers, every_failure_of_a_replacement_leaves_the_old_or_the_new)
{
    static const char *const names[] = {"f", "d/f"};
    for (size_t i = 0; i < 2; i++) {
        int fail_at = 0;
        while (replace_failing_at(fail_at, names[i])) {
            fail_at++;
        }
        cr_assert_eq(fail_at, i == 0 ? 10 : 12);
    }
}

static int stat_something_else(struct txio *io, int dir, const char *path, struct txio_stat *stat)
{
    int result = txio_posix()->ops->stat(io, dir, path, stat);
    stat->ino++;
    return result;
}

Test(txio_helpers, a_draft_that_others_keep_taking_is_given_up)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int before = open_descriptors();
    failing.ops.stat = stat_something_else;
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", "new", 3, NULL), TX_EBUSY);
    cr_assert_not(exists(temp.fd, "f"));
    cr_assert(exists(temp.fd, "f.new")); /* it might be theirs */
    cr_assert_eq(open_descriptors(), before);
}

static int stats;

/* Nothing, a file of another file system, another file, and only then the draft. */
static int stat_at_last(struct txio *io, int dir, const char *path, struct txio_stat *stat)
{
    int result = txio_posix()->ops->stat(io, dir, path, stat);
    stat->dev += stats == 1;
    stat->ino += stats == 2;
    return stats++ == 0 ? -ENOENT : result;
}

Test(txio_helpers, a_draft_whose_name_others_took_is_made_again)
{
    struct failing_io failing;
    struct txio *io = failing_io_init(&failing, -1, 0);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int before = open_descriptors();
    failing.ops.stat = stat_at_last;
    cr_assert_eq(txio_replace_file(io, temp.fd, "f", "new", 3, NULL), TX_OK);
    cr_assert_eq(stats, 4);
    cr_assert(file_is(temp.fd, "f", "new"));
    cr_assert_eq(open_descriptors(), before);
}

Test(txio_helpers, names_at_the_limit_of_length)
{
    struct txio *io = txio_posix();
    char name[253];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    memset(name, 'n', sizeof(name));
    name[252] = '\0';
    cr_assert_eq(txio_replace_file(io, temp.fd, name, "x", 1, NULL), TX_ELIMIT);
    name[251] = '\0';
    cr_assert_eq(txio_replace_file(io, temp.fd, name, "x", 1, NULL), TX_OK);
    cr_assert(file_is(temp.fd, name, "x"));
}

Test(txio_helpers, replace_without_memory_changes_nothing)
{
    struct txio *io = txio_posix();
    TX_AUTO(temp_dir) temp = temp_dir_new();
    make_dir(temp.fd, "d");
    cr_assert_eq(fchdir(temp.fd), 0);
    failing_alloc_begin(0);
    cr_assert_eq(txio_replace_file(io, temp.fd, "d/f", "x", 1, NULL), TX_ENOMEM);
    cr_assert_eq(txio_replace_file(io, TXIO_CWD, "f", "x", 1, NULL), TX_ENOMEM);
    cr_assert(failing_alloc_end());
    cr_assert_not(exists(temp.fd, "d/f"));
    cr_assert_not(exists(temp.fd, "f"));
}

/* --- Many at once --- */

struct replacer {
    int dir;
    char letter;
};

static void *replace_often(void *arg)
{
    struct replacer *replacer = arg;
    char text[1000];
    memset(text, replacer->letter, sizeof(text));
    for (int i = 0; i < 50; i++) {
        size_t size = (size_t)(replacer->letter - 'a' + 1) * 200;
        if (txio_replace_file(txio_posix(), replacer->dir, "f", text, size, NULL) != TX_OK) {
            return arg;
        }
    }
    return NULL;
}

Test(txio_helpers, concurrent_replacements_leave_one_whole_file, .timeout = 60)
{
    struct replacer replacers[4];
    pthread_t threads[4];
    TX_AUTO(temp_dir) temp = temp_dir_new();
    for (int i = 0; i < 4; i++) {
        replacers[i] = (struct replacer){temp.fd, (char)('a' + i)};
        cr_assert_eq(pthread_create(&threads[i], NULL, replace_often, &replacers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        cr_assert_eq(pthread_join(threads[i], &failed), 0);
        cr_assert_null(failed);
    }
    char text[1001] = "";
    int fd = openat(temp.fd, "f", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, text, 1000);
    (void)close(fd);
    cr_assert_eq(size, (text[0] - 'a' + 1) * 200);
    cr_assert_eq(strspn(text, (char[]){text[0], '\0'}), (size_t)size);
    cr_assert_not(exists(temp.fd, "f.new"));
}
