/* SPDX-License-Identifier: MIT */
/* A sync of a checkpoint fails, the page cache keeps what the disk never got (ATC'20), the store is
 * opened again and used: what it shows then, it must show after a power cut, too. */
#include <errno.h>

#include "store_fixture.h"

#include "base/buf.h"
#include "sim/fault.h"
#include "sim/sim.h"

#define ROOT "/r"
#define SYNCS (LAYER_BIT(datasync) | LAYER_BIT(sync) | LAYER_BIT(syncfs))

static struct txstore *open_on(struct txio *io)
{
    struct txstore_options options = {.io = io, .no_checkpoint_on_close = true};
    struct txstore *store = NULL;
    must(txstore_open(ROOT, &options, &store, &fixture_err));
    return store;
}

static void put(struct txstore *store, uint32_t value)
{
    struct ktm_txn *txn = NULL;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_put(txn, "file", &value, sizeof value, NULL, &fixture_err));
    must(txreg_create(txn, "Key", NULL, NULL, &fixture_err));
    must(txreg_set_u32(txn, "Key", "value", value, &fixture_err));
    must(ktm_commit(txn, NULL, &fixture_err));
}

static void expect(struct txstore *store, uint32_t value)
{
    struct ktm_txn *txn = NULL;
    struct txfs_file *file = NULL;
    uint32_t content = 0;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint32_t type;
    size_t done = 0;
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_open(txn, "file", TXFS_READ, 0, &file, &fixture_err));
    must(txfs_pread(file, &content, sizeof content, 0, &done, &fixture_err));
    txfs_abandon(file);
    must(txreg_get(txn, "Key", "value", &type, &data, &fixture_err));
    ktm_rollback(txn);
    cr_expect_eq(content, value);
    cr_assert_eq(data.size, sizeof value);
    cr_expect_eq(memcmp(data.data, &value, sizeof value), 0);
}

/* The nth sync of a checkpoint is lost, after so many commits more than one. */
struct loss {
    uint64_t nth;
    uint32_t more;
};

static void tell_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    const struct loss *loss = arg;
    if (loss->more > 0 && strstr(text, "differs from its sums") != NULL) {
        return; /* a version kept for revert, made and displaced since the last steady point */
    }
    cr_expect(false, "sync %lu: %s at %lu: %s", (unsigned long)loss->nth, file,
              (unsigned long)offset, text);
}

/* No new file in log/, and none that could be used again. */
static void fill_log(struct txio *io, struct fault_layer *fault)
{
    for (unsigned spare = 1; spare < 9; spare++) {
        char path[64];
        (void)snprintf(path, sizeof path, ROOT "/.txkit/log/spare-%016u", spare);
        (void)io->ops->unlink(io, TXIO_CWD, path);
    }
    (void)fault_add(fault, &(struct fault_rule){.ops = LAYER_BIT(allocate), .nth = 1,
                                                .part = "/log/", .os_errno = ENOSPC});
}

/* False when a checkpoint has fewer syncs than that. `more`: commits before the one that counts, so
 * that it ends at a segment's end or elsewhere. */
static bool lose_the(uint64_t nth, uint32_t more, bool full)
{
    struct fault_layer fault;
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    uint64_t faults = 0;
    options.profile = SIM_WEAKEST;
    settings.log_segment_size = TXLOG_SEGMENT_SIZE_MIN;
    struct txio *io = sim_new(&options);
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &fixture_err));
    must(txstore_init(io, ROOT, NULL, &settings, &fixture_err));
    fault_init(&fault, io, true);
    struct txstore *store = open_on(&fault.layer.io);
    put(store, 1);
    must(txstore_checkpoint(store, &fixture_err));
    for (uint32_t i = 0; i <= more; i++) {
        put(store, 2);
    }
    struct fault_rule *rule = fault_add(
        &fault,
        &(struct fault_rule){.ops = SYNCS, .nth = nth, .times = 1, .kind = FAULT_SYNC_KEEPS});
    enum tx_status status = txstore_checkpoint(store, &fixture_err);
    bool failed = rule->fired > 0;
    cr_expect(failed == (status != TX_OK), "sync %lu: %s", (unsigned long)nth, fixture_err.text);
    must(txstore_close(store, &fixture_err));
    fault_clear(&fault);
    if (full) {
        fill_log(io, &fault);
    }
    store = open_on(&fault.layer.io);
    expect(store, 2);
    must(txstore_checkpoint(store, &fixture_err)); /* nothing was committed since */
    must(txstore_close(store, &fixture_err));
    fault_release(&fault);
    struct sim_image *left = sim_durable_image(io); /* the power fails */
    struct txio *later = sim_boot(left, NULL);
    sim_image_drop(left);
    store = open_on(later);
    expect(store, 2);
    must(txstore_close(store, &fixture_err));
    struct loss loss = {nth, more};
    must(txstore_check(later, ROOT, NULL, tell_fault, &loss, &faults, &fixture_err));
    sim_free(later);
    sim_free(io);
    return failed;
}

Test(store_lost_sync, what_is_shown_after_any_sync_of_a_checkpoint_failed_stays)
{
    uint64_t nth = 1;
    while (lose_the(nth, 0, false)) {
        nth++;
    }
    cr_expect_gt(nth, 5, "a checkpoint has more syncs than that");
}

/* Found by the simulator: where the log has no room for the record of the new epoch, its end is
 * where the RMs said that they were steady, and nobody wrote again what only the cache had. */
Test(store_lost_sync, what_is_shown_stays_when_the_log_has_no_room_either)
{
    for (uint32_t more = 0; more < 3; more++) {
        for (uint64_t nth = 1; lose_the(nth, more, true); nth++) {
        }
    }
}

/* A file that only the log has yet is changed in place by a transaction that is prepared. Recovery
 * after a power cut makes the file anew, and the change must still fit it when it is decided. */
Test(store_lost_sync, what_was_prepared_still_fits_a_file_that_was_not_steady)
{
    uint32_t value = 2;
    struct txfs_file *file = NULL;
    struct ktm_txn *txn = NULL;
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    options.profile = SIM_WEAKEST;
    struct txio *io = sim_new(&options);
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &fixture_err));
    must(txstore_init(io, ROOT, NULL, NULL, &fixture_err));
    struct txstore *store = open_on(io);
    put(store, 1);
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_open(txn, "file", TXFS_WRITE, 0, &file, &fixture_err));
    must(txfs_pwrite(file, &value, sizeof value, 0, &fixture_err));
    must(txfs_close(file, &fixture_err));
    must(txreg_set_u32(txn, "Key", "value", value, &fixture_err));
    struct ktm_id id = ktm_txn_id(txn);
    must(ktm_prepare(txn, &fixture_err));
    struct sim_image *left = sim_durable_image(io); /* the power fails */
    struct txio *later = sim_boot(left, NULL);
    sim_image_drop(left);
    struct txstore *again = open_on(later);
    expect(again, 1);
    must(ktm_commit_prepared(txstore_ktm(again), &id, NULL, &fixture_err));
    expect(again, 2);
    must(txstore_close(again, &fixture_err));
    must(txstore_close(store, &fixture_err));
    sim_free(later);
    sim_free(io);
}

/* --- Bad reads -------------------------------------------------------------------------------- */

/* A record of two blocks: the place of one that is lost is not filled by that of an epoch. */
static tx_lsn put_large(struct txstore *store, uint32_t value)
{
    tx_lsn lsn = 0;
    uint8_t noise[4000];
    uint64_t random = 1;
    struct ktm_txn *txn = NULL;
    for (size_t i = 0; i < sizeof noise; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u; /* Knuth's */
        noise[i] = (uint8_t)(random >> 56);
    }
    must(txstore_begin(store, NULL, &txn, &fixture_err));
    must(txfs_put(txn, "file", &value, sizeof value, NULL, &fixture_err));
    must(txfs_put(txn, "noise", noise, sizeof noise, NULL, &fixture_err));
    must(txreg_create(txn, "Key", NULL, NULL, &fixture_err));
    must(txreg_set_u32(txn, "Key", "value", value, &fixture_err));
    must(ktm_commit(txn, &lsn, &fixture_err));
    return lsn;
}

/* A checkpoint that stopped before the log was trimmed, then a recovery to which one read of the
 * log delivers a flipped bit. False when it makes fewer reads than that. */
static bool flip_in_the(uint64_t nth, uint64_t random)
{
    struct fault_layer fault;
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    struct txstore_options opening = {.no_checkpoint_on_close = true};
    struct txstore *store = NULL;
    settings.log_segment_size = TXLOG_SEGMENT_SIZE_MIN;
    struct txio *io = sim_new(&options);
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &fixture_err));
    must(txstore_init(io, ROOT, NULL, &settings, &fixture_err));
    fault_init(&fault, io, true);
    fault.random = random;
    opening.io = &fault.layer.io;
    store = open_on(&fault.layer.io);
    tx_lsn lsn = put_large(store, 2);
    (void)fault_add(&fault, &(struct fault_rule){.ops = LAYER_BIT(pwritev), .part = "/control",
                                                 .nth = 1, .os_errno = EIO});
    cr_expect_eq(txstore_checkpoint(store, &fixture_err), TX_EIO);
    must(txstore_close(store, &fixture_err));
    fault_clear(&fault);
    struct fault_rule *flip = fault_add(
        &fault, &(struct fault_rule){.ops = LAYER_BIT(pread), .part = ".seg", .nth = nth,
                                     .times = 1, .kind = FAULT_FLIP});
    enum tx_status status = txstore_open(ROOT, &opening, &store, &fixture_err);
    cr_expect(status == TX_OK || status == TX_ECORRUPT || status == TX_EIO, "%s",
              tx_status_name(status));
    if (status == TX_OK) {
        must(txstore_close(store, &fixture_err));
    }
    bool fired = flip->fired > 0;
    fault_release(&fault);
    opening.io = io;
    status = txstore_open(ROOT, &opening, &store, &fixture_err);
    cr_expect_eq(status, TX_OK, "read %lu, random %lu: %s", (unsigned long)nth,
                 (unsigned long)random, fixture_err.text);
    if (status == TX_OK) {
        struct txlog_record record;
        expect(store, 2);
        must(txlog_read(txstore_log(store), lsn, &record, NULL, &fixture_err));
        cr_expect_eq(record.next_lsn - lsn, 8192, "the commit is gone from the log");
        must(txstore_close(store, &fixture_err));
    }
    sim_free(io);
    return fired;
}

/* Found by the simulator: recovery took the bad read for a torn tail, cut the log below what the
 * files said to be steady, and the store was refused from then on. */
Test(store_lost_sync, a_bad_read_does_not_cut_the_log_below_what_is_steady)
{
    for (uint64_t random = 1; random < 30; random++) {
        for (uint64_t nth = 1; flip_in_the(nth, random); nth++) {
        }
    }
}
