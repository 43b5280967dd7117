/* SPDX-License-Identifier: MIT */
/* A check that cannot go on ends with the reason, and takes neither a disk that fails nor missing
 * memory for a fault of the image; what it says of slots. */
#include "reg_fixture.h"

#include "failing_alloc.h"
#include "failing_io.h"

static struct failing_io io;
static struct reg_world world;
static struct reg_place place;

static void setup(void)
{
    static uint8_t large[70000];
    char name[700];
    reg_world_init(&world, failing_io_init(&io, -1, -EIO));
    reg_place_boot(&place, &world);
    struct ktm_txn *txn = reg_begin(&place, 0);
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    ok(txreg_create(txn, "Größe\\Ä", "class", NULL, ERR));
    ok(txreg_set(txn, "Größe", "Größtes", 3, large, sizeof(large), ERR));
    ok(txreg_set(txn, "Größe", name, 3, large, 600, ERR));
    name[64] = 0;
    ok(txreg_set(txn, "Größe\\Ä", name, 3, large, 600, ERR));
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof(name), "Wert %u", i);
        ok(txreg_set(txn, "Größe", name, 3, large, 300, ERR));
    }
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
}

static void teardown(void)
{
    reg_place_auto(&place);
    reg_world_auto(&world);
}

TestSuite(txreg_check_errors, .init = setup, .fini = teardown, .timeout = 60);

struct seen {
    unsigned count;
    char text[TX_ERROR_TEXT_SIZE]; /* of the last */
};

static void see_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct seen *seen = arg;
    (void)file;
    (void)offset;
    seen->count++;
    (void)snprintf(seen->text, sizeof(seen->text), "%s", text);
}

Test(txreg_check_errors, any_allocation_may_fail)
{
    bool failed = true;
    size_t memory = 0;
    for (; failed; memory++) {
        struct seen seen = {.count = 0};
        uint64_t faults = 77;
        failing_alloc_begin(memory);
        enum tx_status status =
            txreg_check(world.io, world.temp.fd, see_fault, &seen, &faults, ERR);
        cr_assert_eq(failing_alloc.in_use, 0);
        failed = failing_alloc_end();
        cr_assert(status == TX_OK || (failed && status == TX_ENOMEM), "%s", reg_err.text);
        cr_assert_eq(faults, status == TX_OK ? 0 : 77);
        cr_assert_eq(seen.count, 0, "after %zu: %s", memory, seen.text);
    }
    cr_assert_gt(memory, 50);
}

Test(txreg_check_errors, any_call_may_fail)
{
    int before = open_descriptors();
    bool failed = true;
    int call = 0;
    for (; failed; call++) {
        struct seen seen = {.count = 0};
        uint64_t faults = 77;
        *io.trace = 0;
        io.calls = 0;
        io.fail_at = call;
        enum tx_status status =
            txreg_check(world.io, world.temp.fd, see_fault, &seen, &faults, ERR);
        io.fail_at = -1; /* the last call, close, may fail: the image was read */
        failed = io.calls > call && (io.calls > call + 1 || !strstr(io.trace, " close"));
        cr_assert_eq(status, failed ? TX_EIO : TX_OK, "call %d", call);
        cr_assert_eq(faults, status == TX_OK ? 0 : 77);
        cr_assert_eq(seen.count, 0, "call %d: %s", call, seen.text);
        cr_assert_eq(open_descriptors(), before);
    }
    cr_assert_gt(call, 20);
}

/* --- Root slots ------------------------------------------------------------------------------- */

static void load_slots(uint8_t data[REG_SLOT_PAGES * REG_PAGE_SIZE], struct reg_slot *slot)
{
    size_t size = REG_SLOT_PAGES * REG_PAGE_SIZE;
    cr_assert_eq(pread(place.reg->fd, data, size, 0), (ssize_t)size);
    cr_assert_null(reg_slot_decode(slot, 0, data));
}

static void store_slots(const uint8_t data[REG_SLOT_PAGES * REG_PAGE_SIZE])
{
    size_t size = REG_SLOT_PAGES * REG_PAGE_SIZE;
    cr_assert_eq(pwrite(place.reg->fd, data, size, 0), (ssize_t)size);
}

typedef enum tx_status check_fn(struct txio *io, int dir, txreg_fault_fn *fn, void *arg,
                                uint64_t *faults, struct tx_error *err);

static void expect_faults(check_fn *check, uint64_t wanted, const char *last)
{
    struct seen seen = {.text = ""};
    uint64_t faults = 77;
    ok(check(world.io, world.temp.fd, see_fault, &seen, &faults, ERR));
    cr_expect_eq(faults, wanted, "%u instead of %u: %s", (unsigned)faults, (unsigned)wanted,
                 seen.text);
    cr_expect_eq(seen.count, faults);
    cr_expect_not_null(strstr(seen.text, last), "%s", seen.text);
}

/* After a crash one slot may be torn, but not both. */
Test(txreg_check_errors, torn_slots_are_faults_of_a_clean_image)
{
    uint8_t data[REG_SLOT_PAGES * REG_PAGE_SIZE];
    struct reg_slot slot;
    load_slots(data, &slot);
    for (unsigned torn = 1; torn < 4; torn++) {
        uint8_t bad[sizeof(data)];
        memcpy(bad, data, sizeof(data));
        bad[700] ^= (uint8_t)(torn & 1);
        bad[REG_PAGE_SIZE + 700] ^= (uint8_t)(torn >> 1);
        store_slots(bad);
        expect_faults(txreg_check, torn == 3 ? 2 : 1, "checksum does not match");
        expect_faults(txreg_check_unclean, torn == 3 ? 1 : 0, torn == 3 ? "checksum" : "");
    }
}

Test(txreg_check_errors, slots_must_agree)
{
    uint8_t data[REG_SLOT_PAGES * REG_PAGE_SIZE];
    struct reg_slot slot;
    load_slots(data, &slot);
    slot.lsn++;
    reg_slot_encode(&slot, 1, data + REG_PAGE_SIZE);
    store_slots(data);
    expect_faults(txreg_check, 1, "root slots of one steady point differ");
    slot.lsn--;
    slot.sequence--; /* the power went between the two */
    reg_slot_encode(&slot, 1, data + REG_PAGE_SIZE);
    store_slots(data);
    expect_faults(txreg_check, 0, "");
    slot.sequence += 2;
    reg_slot_encode(&slot, 1, data + REG_PAGE_SIZE);
    store_slots(data);
    expect_faults(txreg_check, 1, "older than the second root slot");
    fails(TX_ECORRUPT, reg_rm_confirm_steady(place.reg, ERR));
}

/* What a later version has written is not looked into, however many free pages it counts. */
Test(txreg_check_errors, slots_of_another_version_are_one_fault)
{
    uint8_t data[REG_SLOT_PAGES * REG_PAGE_SIZE];
    struct reg_slot slot;
    load_slots(data, &slot);
    slot.format_version++;
    for (unsigned i = 0; i < REG_SLOT_PAGES; i++) {
        uint8_t *page = data + i * (size_t)REG_PAGE_SIZE;
        reg_slot_encode(&slot, i, page);
        tx_put16(page + REG_AT_COUNT, UINT16_MAX);
        tx_put64(page + REG_AT_SEAL, reg_page_seal(page, i));
    }
    store_slots(data);
    expect_faults(txreg_check, 1, "format version 2");
    data[700] ^= 1;
    store_slots(data);
    expect_faults(txreg_check_unclean, 1, "format version 2");
}
