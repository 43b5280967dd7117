/* SPDX-License-Identifier: MIT */
/* A sync of a checkpoint fails, the page cache keeps what the disk never got (ATC'20), the store is
 * opened again and used: what it shows then, it must show after a power cut, too. */
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

/* False when a checkpoint has fewer syncs than that. */
static bool lose_the(uint64_t nth)
{
    struct fault_layer fault;
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    uint64_t faults = 0;
    options.profile = SIM_WEAKEST;
    struct txio *io = sim_new(&options);
    must(txio_mkdir(io, TXIO_CWD, ROOT, 0755, &fixture_err));
    must(txstore_init(io, ROOT, NULL, NULL, &fixture_err));
    fault_init(&fault, io, true);
    struct txstore *store = open_on(&fault.layer.io);
    put(store, 1);
    must(txstore_checkpoint(store, &fixture_err));
    put(store, 2);
    struct fault_rule *rule = fault_add(
        &fault,
        &(struct fault_rule){.ops = SYNCS, .nth = nth, .times = 1, .kind = FAULT_SYNC_KEEPS});
    enum tx_status status = txstore_checkpoint(store, &fixture_err);
    bool failed = rule->fired > 0;
    cr_expect(failed == (status != TX_OK), "sync %lu: %s", (unsigned long)nth, fixture_err.text);
    must(txstore_close(store, &fixture_err));
    fault_release(&fault);
    store = open_on(io);
    expect(store, 2);
    must(txstore_checkpoint(store, &fixture_err)); /* nothing was committed since */
    must(txstore_close(store, &fixture_err));
    struct sim_image *left = sim_durable_image(io); /* the power fails */
    struct txio *later = sim_boot(left, NULL);
    sim_image_drop(left);
    store = open_on(later);
    expect(store, 2);
    must(txstore_close(store, &fixture_err));
    must(txstore_check(later, ROOT, NULL, NULL, NULL, &faults, &fixture_err));
    cr_expect_eq(faults, 0, "sync %lu", (unsigned long)nth);
    sim_free(later);
    sim_free(io);
    return failed;
}

Test(store_lost_sync, what_is_shown_after_any_sync_of_a_checkpoint_failed_stays)
{
    uint64_t nth = 1;
    while (lose_the(nth)) {
        nth++;
    }
    cr_expect_gt(nth, 5, "a checkpoint has more syncs than that");
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
