/* SPDX-License-Identifier: MIT */
/* Paths that climb, links planted before and after the vote: nothing outside is touched. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_fixture.h"

static char outside[64];
static struct txstore *store;
static struct ktm_txn *txn;

static char *in_root(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fixture_root, name);
    return path;
}

static void setup(void)
{
    fixture_make(NULL);
    memcpy(outside, "/tmp/txkit-canary.XXXXXX", sizeof "/tmp/txkit-canary.XXXXXX");
    cr_assert_not_null(mkdtemp(outside));
    char path[128];
    snprintf(path, sizeof path, "%s/canary", outside);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && write(fd, "alive", 5) == 5);
    close(fd);
    cr_assert_eq(symlink(outside, in_root("out")), 0);
    cr_assert_eq(symlink("/etc/passwd", in_root("absolute")), 0);
    cr_assert_eq(symlink("../..", in_root("up")), 0);
    cr_assert_eq(mkdir(in_root("dir"), 0755), 0);
    cr_assert_eq(symlink("dir", in_root("inside")), 0);
    store = fixture_open();
    must(txstore_begin(store, NULL, &txn, &fixture_err));
}

/* The canary's directory has exactly one file with the content it had. */
static void expect_canary(void)
{
    char path[128];
    char content[16] = "";
    snprintf(path, sizeof path, "%s/canary", outside);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_expect(fd >= 0 && read(fd, content, sizeof content) == 5 && strcmp(content, "alive") == 0);
    close(fd);
    cr_expect_eq(unlink(path), 0);
    cr_expect_eq(rmdir(outside), 0, "something else is in the canary's directory");
}

static void teardown(void)
{
    fixture_close(store);
    expect_canary();
    fixture_remove();
}

TestSuite(store_hostile, .init = setup, .fini = teardown, .timeout = 120);

Test(store_hostile, every_call_refuses_paths_that_leave)
{
    static const char *const paths[] = {"../x",  "/etc/x",     "a/../../x",  "out/x",
                                        "up/x",  "out/canary", "dir/../../x", ".txkit/control",
                                        "./.txkit/x"};
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600};
    struct txfs_file *file = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *path = paths[i];
        cr_expect_neq(txfs_put(txn, path, "x", 1, NULL, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_mkdir(txn, path, 0755, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_unlink(txn, path, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_remove_tree(txn, path, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_symlink(txn, "y", path, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_link(txn, "dir", path, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_rename(txn, "dir", path, 0, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_set_attr(txn, path, &attr, &fixture_err), TX_OK, "%s", path);
        cr_expect_neq(txfs_open(txn, path, TXFS_WRITE, 0, &file, &fixture_err), TX_OK, "%s", path);
    }
    ktm_rollback(txn);
}

Test(store_hostile, opening_a_link_that_leads_out_is_refused_and_one_inside_is_followed)
{
    struct txfs_file *file = NULL;
    cr_expect_eq(txfs_open(txn, "absolute", TXFS_READ, 0, &file, &fixture_err), TX_EESCAPE);
    must(txfs_put(txn, "inside/f", "x", 1, NULL, &fixture_err));
    must(ktm_commit(txn, NULL, &fixture_err));
    cr_expect_eq(access(in_root("dir/f"), F_OK), 0);
}

Test(store_hostile, directory_swapped_for_a_link_before_the_vote_is_a_conflict)
{
    must(txfs_put(txn, "dir/f", "x", 1, NULL, &fixture_err));
    cr_assert_eq(rmdir(in_root("dir")), 0);
    cr_assert_eq(symlink(outside, in_root("dir")), 0);
    cr_expect_neq(ktm_commit(txn, NULL, &fixture_err), TX_OK);
}

static _Atomic int racing;

static void *swap_forever(void *arg)
{
    char dir[256];
    char link[256];
    (void)arg;
    snprintf(dir, sizeof dir, "%s", in_root("dir"));
    snprintf(link, sizeof link, "%s", in_root("swap"));
    if (symlink(outside, link) != 0) {
        return NULL;
    }
    while (racing) {
        (void)renameat2(AT_FDCWD, dir, AT_FDCWD, link, RENAME_EXCHANGE);
    }
    return NULL;
}

Test(store_hostile, directory_and_link_swapped_during_commits)
{
    pthread_t racer;
    char name[64];
    int committed = 0;
    racing = 1;
    ktm_rollback(txn);
    cr_assert_eq(pthread_create(&racer, NULL, swap_forever, NULL), 0);
    for (int i = 0; i < 300; i++) {
        must(txstore_begin(store, NULL, &txn, &fixture_err));
        snprintf(name, sizeof name, "dir/f%d", i % 7);
        enum tx_status status = txfs_put(txn, name, "x", 1, NULL, &fixture_err);
        if (status == TX_OK) {
            status = ktm_commit(txn, NULL, &fixture_err);
            committed += status == TX_OK;
            cr_expect(status != TX_EPOISONED && status != TX_EOUTCOME, "%s", fixture_err.text);
        } else {
            ktm_rollback(txn);
        }
    }
    racing = 0;
    pthread_join(racer, NULL);
    cr_log_info("%d of 300 committed", committed);
}
