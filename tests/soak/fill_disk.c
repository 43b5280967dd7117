/* SPDX-License-Identifier: MIT */
/*
 * Fill a small file system through a store until nothing fits, at every step asking: did the commit
 * succeed or fail cleanly? can a transaction be rolled back? can the store be opened? does space
 * come back? Run by tests/scenario/full_disk.sh on a real 8 MiB file system.
 *
 *     fill_disk ROOT
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <txkit/txkit.h>

#define FILES_MAX 4000
#define SIZES 3

static const char *root;
static struct txstore *store;
static struct tx_error err;
static int test_number;
static bool failed;

static void result(bool good, const char *what)
{
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++test_number, what);
    failed |= !good;
}

static unsigned long long free_bytes(void)
{
    struct statvfs stat;
    return statvfs(root, &stat) == 0 ? (unsigned long long)stat.f_bfree * stat.f_frsize : 0;
}

static bool reopen(void)
{
    enum tx_status status = store ? txstore_close(store, &err) : TX_OK;
    if (status != TX_OK) {
        printf("# close: %s\n", err.text);
    }
    store = NULL;
    status = txstore_open(root, NULL, &store, &err);
    if (status != TX_OK) {
        printf("# open: %s\n", err.text);
    }
    return status == TX_OK;
}

/* One file and one value in one transaction. */
static enum tx_status put_one(unsigned number, size_t size)
{
    static char content[200 * 1024];
    struct ktm_txn *txn = NULL;
    char name[32];
    memset(content, (int)('a' + number % 26), sizeof content);
    snprintf(name, sizeof name, "f%05u", number);
    enum tx_status status = txstore_begin(store, NULL, &txn, &err);
    if (status == TX_OK) {
        status = txfs_put(txn, name, content, size, NULL, &err);
    }
    if (status == TX_OK) {
        status = txreg_create(txn, "Disk", NULL, NULL, &err);
    }
    if (status == TX_OK) {
        status = txreg_set_u32(txn, "Disk", name, number, &err);
    }
    if (status != TX_OK) {
        ktm_rollback(txn);
        return status;
    }
    return ktm_commit(txn, NULL, &err);
}

/* A file and its value are both there, or neither is. */
static bool present(struct ktm_txn *txn, unsigned number, bool *whole)
{
    char name[32];
    struct txio_stat stat;
    struct tx_error ignored;
    char *text = NULL;
    snprintf(name, sizeof name, "f%05u", number);
    bool file = txfs_stat(txn, name, &stat, &ignored) == TX_OK;
    enum tx_status status = txreg_get_string(txn, "Disk", name, &text, &ignored);
    bool value = status == TX_OK || status == TX_ETYPE; /* it is a number, not a string */
    free(text);
    *whole = file == value;
    return file;
}

/* Every acknowledged number is there whole, every refused one is not there at all. */
static bool consistent(const unsigned char *acknowledged, unsigned count)
{
    struct ktm_txn *txn = NULL;
    bool good = true;
    if (txstore_begin(store, NULL, &txn, &err) != TX_OK) {
        printf("# begin: %s\n", err.text);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        bool whole = true;
        bool there = present(txn, i, &whole);
        if (!whole || there != (acknowledged[i] == 1)) {
            printf("# f%05u: there %d, whole %d, acknowledged %d\n", i, there, whole,
                   acknowledged[i]);
            good = false;
        }
    }
    ktm_rollback(txn);
    return good;
}

static enum tx_status remove_all(unsigned count)
{
    enum tx_status status = TX_OK;
    for (unsigned start = 0; status == TX_OK && start < count; start += 16) {
        struct ktm_txn *txn = NULL;
        status = txstore_begin(store, NULL, &txn, &err);
        for (unsigned i = start; status == TX_OK && i < start + 16 && i < count; i++) {
            char name[32];
            snprintf(name, sizeof name, "f%05u", i);
            status = txfs_unlink(txn, name, &err);
            status = status == TX_ENOTFOUND ? TX_OK : status;
        }
        if (status != TX_OK) {
            ktm_rollback(txn);
        } else {
            status = ktm_commit(txn, NULL, &err);
        }
    }
    return status;
}

int main(int argc, char **argv)
{
    static unsigned char acknowledged[FILES_MAX];
    static const size_t sizes[SIZES] = {200 * 1024, 20 * 1024, 100};
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    unsigned count = 0;
    unsigned refused = 0;
    bool clean = true;
    if (argc != 2) {
        return 2;
    }
    root = argv[1];
    settings.log_segment_size = 256 * 1024;
    settings.conflict_entries = 1024;
    settings.history_count_max = 0;
    if (txstore_init(NULL, root, NULL, &settings, &err) != TX_OK || !reopen()) {
        printf("Bail out! %s\n", err.text);
        return 1;
    }
    unsigned long long at_start = free_bytes();
    for (size_t s = 0; s < SIZES; s++) {
        /* Until three in a row do not fit: large files first, then what fits into the rest. */
        for (unsigned in_a_row = 0; in_a_row < 3 && count < FILES_MAX; count++) {
            enum tx_status status = put_one(count, sizes[s]);
            acknowledged[count] = status == TX_OK || status == TX_EPENDING;
            in_a_row = acknowledged[count] ? 0 : in_a_row + 1;
            refused += !acknowledged[count];
            if (status != TX_OK && status != TX_ENOSPC) {
                printf("# f%05u: %s: %s\n", count, tx_status_name(status), err.text);
                clean = false;
            }
        }
    }
    printf("# %u commits, %u refused, %llu bytes left\n", count - refused, refused, free_bytes());
    result(clean, "a commit on a full disk succeeds or answers no space");
    result(refused >= 3 * SIZES && count > refused + 10, "the disk did fill up");
    result(consistent(acknowledged, count),
           "what was acknowledged is there, what was refused is not");
    struct ktm_txn *txn = NULL;
    bool rolled = txstore_begin(store, NULL, &txn, &err) == TX_OK;
    struct tx_error ignored;
    (void)!txfs_put(txn, "never", "x", 1, NULL, &ignored);
    ktm_rollback(txn);
    result(rolled, "a transaction can be begun and rolled back on a full disk");
    result(reopen() && consistent(acknowledged, count), "the store opens on the full disk");
    enum tx_status status = remove_all(count);
    if (status != TX_OK) {
        printf("# remove: %s\n", err.text);
    }
    result(status == TX_OK, "files can be removed on the full disk");
    result(reopen(), "it opens again");
    unsigned long long at_end = free_bytes();
    printf("# free at the start %llu, at the end %llu\n", at_start, at_end);
    result(at_end + (512u << 10) >= at_start, "space returns");
    result(txstore_close(store, &err) == TX_OK, "it closes");
    uint64_t faults = 1;
    result(txstore_check(NULL, root, NULL, NULL, NULL, &faults, &err) == TX_OK && faults == 0,
           "check finds nothing");
    printf("1..%d\n", test_number);
    return failed;
}
