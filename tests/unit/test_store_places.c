/* SPDX-License-Identifier: MIT */
/* Where stores may stand and how they are found; whom the living let join; what a check says of
 * transactions that wait. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/hash.h"
#include "sim/fault.h"
#include "sim/sim.h"
#include "store/store_internal.h"
#include "store_fixture.h"

static struct tx_error *const err = &fixture_err;

static void setup(void)
{
    fixture_make(NULL);
}

TestSuite(store_places, .init = setup, .fini = fixture_remove, .timeout = 60);

static const char *below(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", fixture_root, name);
    return path;
}

static void put(struct txstore *store, const char *path)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, err));
    must(txfs_put(txn, path, "text", 4, NULL, err));
    must(ktm_commit(txn, NULL, err));
}

/* Make a store for the root at `path`, use it, and look whether it is left out of the tree. */
static void use_at(const char *path, bool in_root)
{
    struct txstore_options options = {.store_path = path};
    struct txstore *store = NULL;
    uint64_t faults = 0;
    must(txstore_init(NULL, fixture_root, path, NULL, err));
    cr_expect_eq(txstore_init(NULL, fixture_root, path, NULL, err), TX_EEXIST);
    must(txstore_open(fixture_root, &options, &store, err));
    cr_expect_eq(txstore_name_in_root(store) != NULL, in_root, "%s", path);
    put(store, "file");
    must(txstore_close(store, err));
    must(txstore_check(NULL, fixture_root, path, NULL, NULL, &faults, err));
    cr_expect_eq(faults, 0);
}

Test(store_places, a_store_may_stand_anywhere)
{
    char longer[128];
    cr_assert_eq(mkdir(below("sub"), 0755), 0);
    use_at(below("other"), true);
    use_at(below("sub/store"), false);
    (void)snprintf(longer, sizeof longer, "%s.store", fixture_root); /* begins like the root */
    use_at(longer, false);
    must(txio_remove_tree(txio_posix(), TXIO_CWD, longer, err));
    cr_assert_eq(chdir(below("sub")), 0);
    use_at("here", false);
    cr_assert_eq(chdir("/"), 0);
}

Test(store_places, a_root_may_end_in_slashes)
{
    char root[80];
    struct txstore *store = NULL;
    (void)snprintf(root, sizeof root, "%s//", fixture_root);
    must(txstore_open(root, NULL, &store, err));
    cr_expect_str_eq(txstore_name_in_root(store), TXSTORE_NAME);
    cr_expect_str_eq(txstore_root(store), root);
    cr_expect_not_null(txstore_fs(store));
    cr_expect_not_null(txstore_reg(store));
    put(store, "file");
    must(txstore_close(store, err));
}

Test(store_places, names_that_no_store_can_have_are_refused)
{
    char name[TXFS_NAME_MAX + 1];
    struct txstore_options options = {.store_path = fixture_root};
    struct txstore *store = NULL;
    size_t fits = sizeof name - sizeof ".new";
    char with_slash[80];
    (void)snprintf(with_slash, sizeof with_slash, "%s/", fixture_root);
    cr_expect_eq(txstore_init(NULL, fixture_root, with_slash, NULL, err), TX_EINVAL);
    for (size_t size = fits; size <= fits + 1; size++) {
        memset(name, 'x', size);
        name[size] = '\0';
        cr_expect_eq(txstore_init(NULL, fixture_root, below(name), NULL, err),
                     size == fits ? TX_OK : TX_EINVAL, "%zu: %s", size, err->text);
    }
    /* The root itself. */
    cr_expect_eq(txstore_open(fixture_root, &options, &store, err), TX_ENOTFOUND);
    options.store_path = with_slash;
    cr_expect_eq(txstore_open(fixture_root, &options, &store, err), TX_ENOTFOUND);
}

/* In a machine whose root directory is free for all. */
Test(store_places, a_store_may_stand_at_the_top)
{
    struct sim_options sim = SIM_OPTIONS_DEFAULT;
    struct txio *io = sim_new(&sim);
    struct txstore_options options = {.io = io, .store_path = "/store"};
    struct txstore *store = NULL;
    char root[64];
    must(txio_mkdir(io, TXIO_CWD, "/r", 0755, err));
    must(txstore_init(io, "/r", "/store", NULL, err));
    must(txstore_open("/r", &options, &store, err));
    put(store, "file");
    must(txstore_close(store, err));
    must(txstore_init(io, "/", NULL, NULL, err));
    must(txstore_find(io, "/r", root, sizeof root, err));
    cr_expect_str_eq(root, "/");
    options.store_path = NULL;
    must(txstore_open("/", &options, &store, err));
    put(store, "file");
    must(txstore_close(store, err));
    cr_expect_eq(sim_open_count(io), 0);
    sim_free(io);
}

Test(store_places, paths_from_where_no_store_can_be_found)
{
    char root[64];
    size_t needed = strlen("/proc") + sizeof "/" TXSTORE_NAME;
    cr_expect_eq(txstore_find(NULL, "", root, sizeof root, err), TX_EINVAL);
    cr_expect_eq(txstore_find(NULL, "proc", root, sizeof root, err), TX_EINVAL);
    cr_expect_eq(txstore_find(NULL, "/proc", root, needed - 1, err), TX_EINVAL);
    cr_expect_eq(txstore_find(NULL, "/proc", root, needed, err), TX_ENOTFOUND);
}

Test(store_places, file_with_the_name_of_a_store_is_none)
{
    char root[256];
    struct txstore_options options = {.store_path = below("sub/" TXSTORE_NAME)};
    struct txstore *store = NULL;
    cr_assert_eq(mkdir(below("sub"), 0755), 0);
    int fd = open(below("sub/" TXSTORE_NAME), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    must(txstore_find(NULL, below("sub"), root, sizeof root, err));
    cr_expect_str_eq(root, fixture_root);
    options.store_path = below("sub/" TXSTORE_NAME);
    cr_expect_eq(txstore_open(fixture_root, &options, &store, err), TX_ENOTDIR);
}

/* --- Whom the living let join --- */

Test(store_places, processes_of_another_layout_do_not_join)
{
    struct txstore *store = fixture_open(), *second = NULL;
    struct txstore_shared *head = store->shared;
    uint64_t size = head->size;
    head->size++;
    cr_expect_eq(txstore_open(fixture_root, NULL, &second, err), TX_EVERSION);
    cr_expect_not_null(strstr(err->text, "another version"), "%s", err->text);
    head->size = size;
    atomic_store(&head->magic, 0);
    cr_expect_eq(txstore_open(fixture_root, NULL, &second, err), TX_EVERSION);
    atomic_store(&head->magic, TXSTORE_SHARED_MAGIC);
    second = fixture_open();
    fixture_close(second);
    fixture_close(store);
}

/* The log was closed, and what it holds was not made steady: whoever reads has to recover. */
Test(store_places, a_closed_log_that_is_not_steady_is_recovered_by_who_only_reads)
{
    struct txstore_options options = {.no_checkpoint_on_close = true};
    struct txstore_recovery recovery;
    struct txstore *store = NULL;
    must(txstore_open(fixture_root, &options, &store, err));
    put(store, "file");
    must(txlog_mark_clean(txstore_log(store), err));
    must(txstore_close(store, err));
    options = (struct txstore_options){.mode = TXSTORE_READONLY};
    must(txstore_open(fixture_root, &options, &store, err));
    txstore_get_recovery(store, &recovery);
    cr_expect(recovery.performed);
    cr_expect_eq(recovery.ktm.commits_redone, 1);
    must(txstore_close(store, err));
    cr_expect_eq(access(below("file"), F_OK), 0);
}

/* --- Checks --- */

struct faults {
    unsigned count;
    char file[128];
    char text[256];
};

static void note_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct faults *faults = arg;
    (void)offset;
    faults->count++;
    (void)snprintf(faults->file, sizeof faults->file, "%s", file);
    (void)snprintf(faults->text, sizeof faults->text, "%s", text);
}

static struct ktm_id detach_one(struct txstore *store)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, err));
    must(txfs_put(txn, "staged", "content", 7, NULL, err));
    struct ktm_id id = ktm_txn_id(txn);
    must(ktm_detach(txn, err));
    return id;
}

/* It could be listed a moment ago, and can be read no more. */
Test(store_places, transaction_that_cannot_be_read_is_reported_with_its_place)
{
    struct txstore *store = fixture_open();
    struct fault_layer fault;
    struct faults faults = {.count = 0};
    char path[KTM_STAGING_PATH_SIZE];
    uint64_t count = 0;
    struct ktm_id id = detach_one(store);
    fixture_close(store);
    ktm_staging_path(&id, path);
    fault_init(&fault, txio_posix(), false);
    (void)fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(open), .part = "/changes",
                                                 .nth = 2, .times = 1, .kind = FAULT_ERRNO,
                                                 .os_errno = EIO});
    must(txstore_check(&fault.layer.io, fixture_root, NULL, note_fault, &faults, &count, err));
    cr_expect_eq(count, 1);
    cr_expect_eq(faults.count, 1);
    cr_expect_str_eq(faults.file, path);
    cr_expect_not_null(strstr(faults.text, "changes"), "%s", faults.text);
    fault_release(&fault);
}

Test(store_places, store_of_a_newer_version_is_reported)
{
    struct txstore *store = fixture_open();
    struct faults faults = {.count = 0};
    struct iovec part = {(void *)(uintptr_t) "from the future", 15};
    uint64_t count = 0;
    tx_lsn lsn, next;
    must(txlog_append_begin(txstore_log(store), part.iov_len, &lsn, err));
    must(txlog_append(txstore_log(store), 99, &part, 1, &next, err));
    txlog_append_end(txstore_log(store));
    must(txlog_force(txstore_log(store), next, err));
    txlog_poison(txstore_log(store)); /* so that closing leaves it as it is */
    fixture_close(store);
    must(txstore_check(NULL, fixture_root, NULL, note_fault, &faults, &count, err));
    cr_expect_eq(count, 1);
    cr_expect_str_eq(faults.file, "log");
    cr_expect_not_null(strstr(faults.text, "unknown kind 99"), "%s", faults.text);
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, err), TX_EVERSION);
}

Test(store_places, what_a_store_lacks_is_reported)
{
    struct txstore *store = fixture_open();
    struct faults faults = {.count = 0};
    uint64_t count = 0;
    put(store, "file");
    txlog_poison(txstore_log(store)); /* so that closing leaves a record in the log */
    fixture_close(store);
    cr_assert_eq(truncate(below(TXSTORE_NAME "/log/0000000000000001.seg"), 100), 0);
    must(txstore_check(NULL, fixture_root, NULL, note_fault, &faults, &count, err));
    cr_expect_gt(count, 0);
    cr_expect_eq(count, faults.count);
    cr_assert_eq(unlink(below(TXSTORE_NAME "/control")), 0);
    must(txstore_check(NULL, fixture_root, NULL, note_fault, &faults, &count, err));
    cr_expect_eq(count, 1);
    cr_expect_str_eq(faults.file, "control");
    cr_expect_str_eq(faults.text, "missing");
}

Test(store_places, a_check_of_what_is_no_store_says_so)
{
    uint64_t count = 0;
    must(txio_remove_tree(txio_posix(), TXIO_CWD, below(TXSTORE_NAME), err));
    cr_expect_eq(txstore_check(NULL, fixture_root, NULL, NULL, NULL, &count, err), TX_ENOTFOUND);
}

/* --- History --- */

static enum tx_status note_commit(void *arg, const struct ktm_commit_info *commit,
                                  struct tx_error *error)
{
    tx_lsn *newest = arg;
    (void)error;
    *newest = commit->lsn;
    return TX_OK;
}

Test(store_places, only_what_the_history_has_can_be_reverted)
{
    struct txstore *store = fixture_open();
    tx_lsn newest = 0;
    put(store, "file");
    must(txstore_history(store, note_commit, &newest, err));
    cr_expect_eq(txstore_revert(store, newest + 1, NULL, err), TX_ENOTFOUND);
    cr_expect_not_null(strstr(err->text, "not in the history any more"), "%s", err->text);
    must(txstore_revert(store, newest, NULL, err));
    cr_expect_neq(access(below("file"), F_OK), 0);
    fixture_close(store);
}

/* --- Settings --- */

static void change_settings_file(off_t at, uint8_t byte)
{
    uint8_t bytes[64];
    int fd = open(below(TXSTORE_NAME "/settings"), O_RDWR | O_CLOEXEC);
    cr_assert_eq(pread(fd, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
    bytes[at] = byte;
    tx_put64(bytes + 56, tx_hash64(bytes, 56, 0));
    cr_assert_eq(pwrite(fd, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
    close(fd);
}

Test(store_places, settings_of_another_version_or_size_are_refused)
{
    struct txstore *store = NULL;
    change_settings_file(8, 2);
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, err), TX_EVERSION);
    change_settings_file(8, 1);
    fixture_close(fixture_open());
    change_settings_file(12, 63); /* entries of the conflict table */
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, err), TX_EINVAL);
    cr_assert_eq(truncate(below(TXSTORE_NAME "/settings"), 63), 0);
    cr_expect_eq(txstore_open(fixture_root, NULL, &store, err), TX_ECORRUPT);
    cr_expect_not_null(strstr(err->text, "63 bytes instead of 64"), "%s", err->text);
}

/* Who writes first makes the name of the store durable, or does not write. */
Test(store_places, first_writer_whose_sync_of_the_name_fails_writes_nothing)
{
    struct fault_layer fault;
    struct txstore_options options = {.io = &fault.layer.io};
    struct txstore *store = NULL;
    fault_init(&fault, txio_posix(), false);
    (void)fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(syncfs), .nth = 1, .times = 1,
                                                 .kind = FAULT_ERRNO, .os_errno = EIO});
    cr_expect_eq(txstore_open(fixture_root, &options, &store, err), TX_EIO);
    cr_expect_not_null(strstr(err->text, "name of the store"), "%s", err->text);
    fault_clear(&fault);
    must(txstore_open(fixture_root, &options, &store, err));
    put(store, "file");
    must(txstore_close(store, err));
    fault_release(&fault);
}

Test(store_places, settings_have_limits)
{
    static const struct {
        struct txstore_settings settings;
        bool allowed;
    } cases[] = {
        {{.log_segment_size = TXLOG_SEGMENT_SIZE_MIN}, true},
        {{.log_segment_size = TXLOG_SEGMENT_SIZE_MIN - TXLOG_BLOCK_SIZE}, false},
        {{.log_segment_size = TXLOG_SEGMENT_SIZE_MAX}, true},
        {{.log_segment_size = (uint64_t)TXLOG_SEGMENT_SIZE_MAX + TXLOG_BLOCK_SIZE}, false},
        {{.log_segment_size = TXLOG_SEGMENT_SIZE_MIN + 1}, false},
        {{.log_size_max = 3 * (uint64_t)TXLOG_SEGMENT_SIZE_DEFAULT}, true},
        {{.log_size_max = 3 * (uint64_t)TXLOG_SEGMENT_SIZE_DEFAULT - 1}, false},
        {{.log_segment_size = TXLOG_SEGMENT_SIZE_MIN, .log_size_max = 3 * TXLOG_SEGMENT_SIZE_MIN},
         true},
        {{.inline_max = TXLOG_PAYLOAD_MAX / 2}, true},
        {{.inline_max = TXLOG_PAYLOAD_MAX / 2 + 1}, false},
        {{.conflict_entries = 64}, true},
        {{.conflict_entries = 32}, false},
        {{.conflict_entries = 65}, false},
        {{.conflict_entries = 1u << 24}, true},
        {{.conflict_entries = 1u << 25}, false},
        {{.history_count_max = 0}, true},
    };
    struct txstore *store = fixture_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(txstore_set_settings(store, &cases[i].settings, err),
                     cases[i].allowed ? TX_OK : TX_EINVAL, "%zu: %s", i, err->text);
    }
    fixture_close(store);
    fixture_close(fixture_open());
}
