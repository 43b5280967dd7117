/* SPDX-License-Identifier: MIT */
/* Small programs and the exact sets of disks that a power cut may leave behind them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

enum { STATES_MAX = 200, TEXT = 400 };

struct states {
    char text[STATES_MAX][TEXT];
    unsigned count;
    uint64_t made;
};

/* --- Small programs --------------------------------------------------------------------------- */

static int root_of(struct txio *io)
{
    int fd = io->ops->open(io, TXIO_CWD, "/", TXIO_DIRECTORY, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

static void write_at(struct txio *io, int fd, const char *text, uint64_t offset)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    cr_assert_eq(io->ops->pwritev(io, fd, &part, 1, offset), (int64_t)part.iov_len);
}

static int put(struct txio *io, int dir, const char *path, const char *text)
{
    int fd = io->ops->open(io, dir, path, TXIO_WRITE | TXIO_CREATE, 0644);
    cr_assert_geq(fd, 0);
    write_at(io, fd, text, 0);
    return fd;
}

static void sync_of(struct txio *io, int fd) { cr_assert_eq(io->ops->sync(io, fd), 0); }

/* A machine with "old" durable under the name "f". */
static struct txio *machine(enum sim_profile profile, int *root)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.profile = profile;
    struct txio *io = sim_new(&options);
    *root = root_of(io);
    int fd = put(io, *root, "f", "old");
    cr_assert_eq(io->ops->syncfs(io, fd), 0);
    cr_assert_eq(io->ops->close(io, fd), 0);
    return io;
}

/* --- What is left ----------------------------------------------------------------------------- */

struct listing {
    struct txio *io;
    int dir;
    char names[16][64];
    unsigned count;
};

static int add_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct listing *listing = arg;
    (void)ino;
    (void)type;
    (void)snprintf(listing->names[listing->count++], 64, "%s", name);
    return 0;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void add_text(char text[TEXT], const char *more)
{
    size_t size = strlen(text);
    (void)snprintf(text + size, TEXT - size, "%s", more);
}

static void describe(struct txio *io, int dir, char *text)
{
    struct listing listing = {.io = io, .dir = dir};
    cr_assert_eq(io->ops->list(io, dir, add_name, &listing), 0);
    qsort(listing.names, listing.count, 64, by_text);
    for (unsigned i = 0; i < listing.count; i++) {
        const char *name = listing.names[i];
        char content[64] = "";
        int fd = io->ops->open(io, dir, name, TXIO_READ, 0);
        int64_t size = io->ops->pread(io, fd, content, sizeof content - 1, 0);
        add_text(text, name);
        add_text(text, size >= 0 ? "=" : "{");
        for (int64_t k = 0; k < size; k++) {
            content[k] = content[k] == '\0' ? '.' : content[k];
        }
        add_text(text, content);
        if (size == -EISDIR) {
            describe(io, fd, text);
            add_text(text, "}");
        }
        add_text(text, " ");
        cr_assert_eq(io->ops->close(io, fd), 0);
    }
}

static void describe_image(const struct sim_image *image, char text[TEXT])
{
    struct txio *io = sim_boot(image, NULL);
    text[0] = '\0';
    describe(io, root_of(io), text);
    sim_free(io);
}

static bool add_state(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct states *states = arg;
    char text[TEXT];
    (void)choice;
    describe_image(image, text);
    for (unsigned i = 0; i < states->count; i++) {
        if (strcmp(states->text[i], text) == 0) {
            return true;
        }
    }
    cr_assert_lt(states->count, STATES_MAX);
    memcpy(states->text[states->count++], text, TEXT);
    return true;
}

/* Compare what a cut now may leave with the expected list, in any order; ends the machine. */
static void expect(struct txio *io, const char *const *expected, unsigned count)
{
    struct states states = {.count = 0};
    struct sim_capture *cut = sim_capture(io);
    struct sim_plan plan = {.tears = 40};
    states.made = sim_crash_each(cut, &plan, add_state, &states);
    for (unsigned i = 0; i < states.count; i++) {
        bool found = false;
        for (unsigned k = 0; k < count && !found; k++) {
            found = strcmp(states.text[i], expected[k]) == 0;
        }
        cr_expect(found, "unexpected state '%s'", states.text[i]);
    }
    cr_expect_eq(states.count, count, "%u states, expected %u", states.count, count);
    sim_capture_free(cut);
    sim_free(io);
}

#define EXPECT(io, ...)                                                                            \
    do {                                                                                           \
        const char *const list_[] = {__VA_ARGS__};                                                 \
        expect(io, list_, sizeof list_ / sizeof *list_);                                           \
    } while (0)

/* --- Contents --------------------------------------------------------------------------------- */

Test(sim_crash, synced_file_is_there)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    EXPECT(io, "f=old ");
}

Test(sim_crash, overwrite_may_be_lost)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    (void)put(io, root, "f", "new");
    EXPECT(io, "f=old ", "f=new ");
}

Test(sim_crash, new_size_may_be_durable_before_the_data)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    int fd = io->ops->open(io, root, "f", TXIO_WRITE, 0);
    write_at(io, fd, "er", 3);
    EXPECT(io, "f=old ", "f=old.. ", "f=older ");
}

Test(sim_crash, data_below_the_old_size_may_be_durable_before_the_new_size)
{
    int root = 0;
    struct txio *io = machine(SIM_EXT4, &root);
    int fd = io->ops->open(io, root, "f", TXIO_WRITE, 0);
    write_at(io, fd, "newer", 0);
    EXPECT(io, "f=old ", "f=new ", "f=newer ");
}

Test(sim_crash, truncation_may_have_made_zero_what_it_has_not_cut_off)
{
    int root = 0;
    struct txio *io = machine(SIM_XFS, &root);
    int fd = io->ops->open(io, root, "f", TXIO_WRITE, 0);
    cr_assert_eq(io->ops->truncate(io, fd, 1), 0);
    EXPECT(io, "f=old ", "f=o.. ", "f=o ");
}

Test(sim_crash, truncated_and_rewritten_file_may_be_anything_between)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    int fd = io->ops->open(io, root, "f", TXIO_WRITE | TXIO_TRUNCATE, 0);
    write_at(io, fd, "n", 0);
    EXPECT(io, "f=old ", "f= ", "f=n ", "f=. ", "f=n.. "); /* a sector is written as a whole */
}

Test(sim_crash, datasync_makes_data_and_size_durable)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    int fd = put(io, root, "f", "newer");
    cr_assert_eq(io->ops->datasync(io, fd), 0);
    EXPECT(io, "f=newer ");
}

static unsigned count_mixed(const char *text, char old, char new)
{
    return strchr(text, old) != NULL && strchr(text, new) != NULL;
}

struct sectors {
    unsigned mixed, whole;
    bool bad;
};

static bool look_at_sectors(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct sectors *sectors = arg;
    struct txio *io = sim_boot(image, NULL);
    static char data[4097];
    (void)choice;
    int fd = io->ops->open(io, TXIO_CWD, "/f", TXIO_READ, 0);
    cr_assert_eq(io->ops->pread(io, fd, data, 4096, 0), 4096);
    for (unsigned i = 0; i < 4096; i++) {
        sectors->bad = sectors->bad || data[i] != data[i / 512 * 512];
    }
    sectors->mixed += count_mixed(data, 'o', 'n');
    sectors->whole += !count_mixed(data, 'o', 'n');
    sim_free(io);
    return true;
}

Test(sim_crash, large_write_is_torn_at_sectors_only)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    static char text[4097];
    struct sectors sectors = {0};
    memset(text, 'o', 4096);
    int fd = put(io, root, "f", text);
    sync_of(io, fd);
    memset(text, 'n', 4096);
    write_at(io, fd, text, 0);
    struct sim_capture *cut = sim_capture(io);
    struct sim_plan plan = {.tears = 64};
    (void)sim_crash_each(cut, &plan, look_at_sectors, &sectors);
    cr_assert_not(sectors.bad);
    cr_assert_gt(sectors.mixed, 10);
    cr_assert_gt(sectors.whole, 2);
    sim_capture_free(cut);
    sim_free(io);
}

/* --- Names ------------------------------------------------------------------------------------ */

Test(sim_crash, unsynced_name_of_a_synced_file_may_vanish)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    sync_of(io, put(io, root, "g", "x"));
    EXPECT(io, "f=old ", "f=old g=x ");
}

Test(sim_crash, rename_without_sync_may_empty_the_file)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    (void)put(io, root, "t", "new");
    cr_assert_eq(io->ops->rename(io, root, "t", root, "f", TXIO_REPLACE), 0);
    EXPECT(io, "f=old ", "f=old t= ", "f=old t=... ", "f=old t=new ", "f= ", "f=... ", "f=new ");
}

Test(sim_crash, rename_after_sync_is_all_or_nothing)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    sync_of(io, put(io, root, "t", "new"));
    cr_assert_eq(io->ops->rename(io, root, "t", root, "f", TXIO_REPLACE), 0);
    EXPECT(io, "f=old ", "f=old t=new ", "f=new ");
}

Test(sim_crash, replace_by_the_book_is_durable)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    sync_of(io, put(io, root, "t", "new"));
    cr_assert_eq(io->ops->rename(io, root, "t", root, "f", TXIO_REPLACE), 0);
    sync_of(io, root);
    EXPECT(io, "f=new ");
}

Test(sim_crash, exchange_is_atomic)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    sync_of(io, put(io, root, "g", "x"));
    sync_of(io, root);
    cr_assert_eq(io->ops->rename(io, root, "f", root, "g", TXIO_EXCHANGE), 0);
    EXPECT(io, "f=old g=x ", "f=x g=old ");
}

Test(sim_crash, unlink_may_overtake_a_new_name)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->link(io, root, "f", root, "g"), 0);
    cr_assert_eq(io->ops->unlink(io, root, "f"), 0);
    EXPECT(io, "f=old ", "f=old g=old ", "g=old ", "");
}

Test(sim_crash, changes_of_one_name_stay_in_order)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->unlink(io, root, "f"), 0);
    cr_assert_eq(io->ops->mkdir(io, root, "f", 0755), 0);
    EXPECT(io, "f=old ", "", "f{} ");
}

Test(sim_crash, syncing_a_new_directory_does_not_make_its_name_durable)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->mkdir(io, root, "d", 0755), 0);
    int dir = io->ops->open(io, root, "d", TXIO_DIRECTORY, 0);
    sync_of(io, put(io, dir, "x", "1"));
    sync_of(io, dir);
    EXPECT(io, "f=old ", "d{x=1 } f=old ");
}

Test(sim_crash, move_into_a_new_directory_loses_nothing)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->mkdir(io, root, "d", 0755), 0);
    cr_assert_eq(io->ops->rename(io, root, "f", root, "d/f", TXIO_REPLACE), 0);
    EXPECT(io, "f=old ", "d{} f=old ", "d{f=old } f=old ", "d{f=old } ");
}

/* btrfs keeps the old name when the new directory alone was synced; Linux 6.18. */
Test(sim_crash, move_to_a_synced_directory_may_leave_the_old_name)
{
    int root = 0;
    struct txio *io = machine(SIM_BTRFS, &root);
    cr_assert_eq(io->ops->mkdir(io, root, "d", 0755), 0);
    int dir = io->ops->open(io, root, "d", TXIO_DIRECTORY, 0);
    sync_of(io, root);
    cr_assert_eq(io->ops->rename(io, root, "f", root, "d/f", TXIO_REPLACE), 0);
    sync_of(io, dir);
    EXPECT(io, "d{f=old } f=old ", "d{f=old } ");
}

Test(sim_crash, move_from_a_synced_directory_is_whole)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->mkdir(io, root, "d", 0755), 0);
    sync_of(io, root);
    cr_assert_eq(io->ops->rename(io, root, "f", root, "d/f", TXIO_REPLACE), 0);
    sync_of(io, root);
    EXPECT(io, "d{f=old } ");
}

/* XFS has nothing to log, so its syncfs does not make the disk flush; Linux 6.18. */
Test(sim_crash, overwritten_contents_outlive_a_syncfs_only_with_a_flush)
{
    int root = 0;
    struct txio *io = machine(SIM_XFS, &root);
    int fd = put(io, root, "f", "new");
    cr_assert_eq(io->ops->syncfs(io, fd), 0);
    struct sim_image *image = sim_durable_image(io);
    char text[TEXT];
    describe_image(image, text);
    cr_expect_str_eq(text, "f=old ");
    sim_image_drop(image);
    int other = put(io, root, "g", "1");
    cr_assert_eq(io->ops->datasync(io, other), 0); /* the cache of a disk has no files */
    EXPECT(io, "f=new g=1 ");
}

Test(sim_crash, directory_goes_only_when_it_is_empty_on_disk)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->mkdir(io, root, "d", 0755), 0);
    int fd = put(io, root, "d/x", "1");
    cr_assert_eq(io->ops->syncfs(io, fd), 0);
    cr_assert_eq(io->ops->unlink(io, root, "d/x"), 0);
    cr_assert_eq(io->ops->rmdir(io, root, "d"), 0);
    EXPECT(io, "d{x=1 } f=old ", "d{} f=old ", "f=old ");
}

Test(sim_crash, moves_of_directories_tie_no_knot)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    cr_assert_eq(io->ops->mkdir(io, root, "p", 0755), 0);
    cr_assert_eq(io->ops->mkdir(io, root, "p/d", 0755), 0);
    cr_assert_eq(io->ops->mkdir(io, root, "q", 0755), 0);
    cr_assert_eq(io->ops->syncfs(io, root), 0);
    cr_assert_eq(io->ops->rename(io, root, "p/d", root, "q/d", TXIO_REPLACE), 0);
    cr_assert_eq(io->ops->rename(io, root, "p", root, "q/d/p", TXIO_REPLACE), 0);
    EXPECT(io, "f=old p{d{} } q{} ", "f=old p{} q{d{} } ", "f=old q{d{p{} } } ");
}

/* --- Profiles --------------------------------------------------------------------------------- */

Test(sim_crash, journal_keeps_names_in_order)
{
    int root = 0;
    struct txio *io = machine(SIM_XFS, &root);
    cr_assert_eq(io->ops->link(io, root, "f", root, "g"), 0);
    cr_assert_eq(io->ops->unlink(io, root, "f"), 0);
    EXPECT(io, "f=old ", "f=old g=old ", "g=old ");
}

Test(sim_crash, ext4_never_empties_a_renamed_over_file)
{
    int root = 0;
    struct txio *io = machine(SIM_EXT4, &root);
    (void)put(io, root, "t", "new");
    cr_assert_eq(io->ops->rename(io, root, "t", root, "f", TXIO_REPLACE), 0);
    EXPECT(io, "f=old ", "f=old t= ", "f=old t=new ", "f=new ");
}

Test(sim_crash, xfs_may_empty_a_renamed_over_file)
{
    int root = 0;
    struct txio *io = machine(SIM_XFS, &root);
    (void)put(io, root, "t", "new");
    cr_assert_eq(io->ops->rename(io, root, "t", root, "f", TXIO_REPLACE), 0);
    EXPECT(io, "f=old ", "f=old t= ", "f=old t=... ", "f=old t=new ", "f= ", "f=... ", "f=new ");
}

/* --- Failing syncs ---------------------------------------------------------------------------- */

Test(sim_crash, data_of_a_failed_sync_never_reaches_the_disk)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    int fd = put(io, root, "f", "new");
    sim_fail_sync(io, fd, SIM_SYNC_KEEPS);
    sync_of(io, fd); /* the second one succeeds, and lies */
    char data[4] = "";
    cr_assert_eq(io->ops->pread(io, fd, data, 3, 0), 3);
    cr_assert_str_eq(data, "new");
    EXPECT(io, "f=old ");
}

Test(sim_crash, failed_sync_may_show_the_old_data_again)
{
    int root = 0;
    struct txio *io = machine(SIM_WEAKEST, &root);
    int fd = put(io, root, "f", "new");
    sim_fail_sync(io, fd, SIM_SYNC_REVERTS);
    char data[4] = "";
    cr_assert_eq(io->ops->pread(io, fd, data, 3, 0), 3);
    cr_assert_str_eq(data, "old");
    EXPECT(io, "f=old ");
}
