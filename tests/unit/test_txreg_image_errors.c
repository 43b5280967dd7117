/* SPDX-License-Identifier: MIT */
/* Images that cannot be made, opened, read or made steady, and images without shared memory. */
#include "reg_fixture.h"

#include "failing_alloc.h"
#include "failing_io.h"

Test(txreg_image_errors, making_one_may_fail_anywhere)
{
    struct failing_io io;
    int before = open_descriptors();
    bool failed = true;
    int call = 0;
    for (; failed; call++) {
        TX_AUTO(temp_dir) temp = temp_dir_new();
        enum tx_status status =
            txreg_image_create(failing_io_init(&io, call, -EIO), temp.fd, ERR);
        failed = io.calls > call;
        cr_assert_eq(status, failed ? TX_EIO : TX_OK, "call %d: %s", call, reg_err.text);
    }
    cr_assert_gt(call, 7); /* mkdir, open, open, pwritev, sync, close, sync, close */
    cr_assert_eq(open_descriptors(), before);
    TX_AUTO(temp_dir) temp = temp_dir_new();
    failing_alloc_begin(0);
    fails(TX_ENOMEM, txreg_image_create(txio_posix(), temp.fd, ERR));
    (void)failing_alloc_end();
}

Test(txreg_image_errors, its_steady_token_can_be_read_alone)
{
    struct failing_io io;
    TX_AUTO(reg_image) image;
    int before;
    tx_lsn lsn = 77;
    uint8_t token[KTM_TOKEN_SIZE];
    uint8_t wanted[KTM_TOKEN_SIZE];
    reg_image_init(&image, NULL);
    reg_state_encode(&image.state, wanted);
    before = open_descriptors();
    for (int call = 0; call < 3; call++) { /* open, pread, close */
        fails(TX_EIO, txreg_steady_token(failing_io_init(&io, call, -EIO), image.temp.fd, &lsn,
                                         token, ERR));
        cr_assert_eq(lsn, 77);
    }
    ok(txreg_steady_token(failing_io_init(&io, 3, -EIO), image.temp.fd, &lsn, token, ERR));
    cr_assert_eq(lsn, image.lsn);
    cr_assert_arr_eq(token, wanted, sizeof(token));
    cr_assert_eq(open_descriptors(), before);
}

static void change(struct reg_image *image, unsigned id)
{
    TX_AUTO(reg_writer) writer = {.reg = image->reg};
    struct reg_key key;
    image->lsn += 4096;
    reg_key_head(&key, id, REG_VALUE);
    ok(reg_writer_init(&writer, image->reg, &image->state, image->lsn, image->lsn, ERR));
    ok(reg_writer_put(&writer, &key, key.bytes, key.size, ERR));
    ok(reg_writer_finish(&writer, ERR));
    image->state = writer.state;
}

static bool has(struct reg_image *image, unsigned id)
{
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_hit) hit = REG_HIT_INIT;
    struct reg_key key;
    reg_key_head(&key, id, REG_VALUE);
    reg_tree_open(&tree, image->reg, &image->state);
    ok(reg_tree_get(&tree, &key, &hit, ERR));
    return hit.payload != NULL;
}

static void tear_second(struct reg_image *image)
{
    cr_assert_eq(pwrite(image->reg->fd, "torn", 4, REG_PAGE_SIZE + 1000), 4);
}

/* Whatever fails, the next attempt succeeds, and what opens before it finds one of the two. */
Test(txreg_image_errors, making_it_steady_may_fail_anywhere)
{
    struct failing_io io;
    TX_AUTO(reg_image) image;
    uint8_t token[KTM_TOKEN_SIZE];
    bool failed = true;
    int call = 0;
    struct txio *failing = failing_io_init(&io, -1, -EIO);
    reg_image_init(&image, failing);
    for (; failed; call++) {
        change(&image, 10 + (unsigned)call);
        struct reg_state state = image.state;
        tx_lsn lsn = image.lsn;
        reg_state_encode(&state, token);
        tear_second(&image);
        io.calls = 0;
        io.fail_at = call;
        enum tx_status status = reg_rm_steady(image.reg, lsn, token, ERR);
        io.fail_at = -1;
        failed = io.calls > call;
        cr_assert_eq(status, failed ? TX_EIO : TX_OK, "call %d: %s", call, reg_err.text);
        reg_image_reopen(&image, failing);
        cr_assert(image.lsn == lsn || (failed && image.lsn == lsn - 4096));
        cr_assert_eq(has(&image, 10 + (unsigned)call), image.lsn == lsn);
        image.state = state;
        image.lsn = lsn;
        ok(reg_rm_steady(image.reg, lsn, token, ERR));
        reg_image_reopen(&image, failing);
        cr_assert(image.lsn == lsn && has(&image, 10 + (unsigned)call));
    }
    cr_assert_gt(call, 8);
}

Test(txreg_image_errors, confirming_it_may_fail_anywhere)
{
    struct failing_io io;
    TX_AUTO(reg_image) image;
    bool failed = true;
    int call = 0;
    reg_image_init(&image, failing_io_init(&io, -1, -EIO));
    for (; failed; call++) {
        tear_second(&image);
        io.calls = 0;
        io.fail_at = call;
        enum tx_status status = reg_rm_confirm_steady(image.reg, ERR);
        io.fail_at = -1;
        failed = io.calls > call;
        cr_assert_eq(status, failed ? TX_EIO : TX_OK, "call %d: %s", call, reg_err.text);
    }
    cr_assert_gt(call, 6);
    reg_image_reopen(&image, NULL);
    cr_assert_eq(image.lsn, 0);
}

static void close_reg(struct txreg **reg)
{
    txreg_rm_close(*reg);
}

/* Who cannot write to it may read it; redo says why not more. */
Test(txreg_image_errors, an_image_that_cannot_be_written_is_read)
{
    static const int errors[] = {-EROFS, -EACCES, -EPERM};
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    struct ktm_txn *txn = reg_begin(&place, 0);
    reg_put(txn, "", "v", "1");
    struct ktm_commit_info commit = {.lsn = 1u << 20, .next_lsn = (1u << 20) + 4096,
                                     .entries = ktm_txn_entries(txn)};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct failing_io io;
        uint8_t token[KTM_TOKEN_SIZE];
        tx_lsn lsn;
        struct txreg_options options = {.io = failing_io_init(&io, 0, errors[i]),
                                        .store_dir = world.temp.fd};
        struct txreg *reg __attribute__((cleanup(close_reg))) = NULL;
        ok(txreg_rm_open(&options, &reg, ERR));
        ok(reg_rm_open_steady(reg, &lsn, token, ERR));
        fails(TX_EREADONLY, reg_rm_redo(reg, &commit, KTM_REDO_LIVE, token, ERR));
    }
    ktm_rollback(txn);
}

Test(txreg_image_errors, opening_may_fail)
{
    struct failing_io io;
    TX_AUTO(reg_image) image;
    struct txreg *reg;
    struct txreg_options options = {.io = failing_io_init(&io, 0, -EMFILE)};
    reg_image_init(&image, NULL);
    options.store_dir = image.temp.fd;
    cr_assert_neq(txreg_rm_open(&options, &reg, ERR), TX_OK);
    failing_alloc_begin(0);
    fails(TX_ENOMEM, txreg_rm_open(&options, &reg, ERR));
    (void)failing_alloc_end();
}

/* As the tools have it that only look: nothing is written twice then. */
Test(txreg_image_errors, without_shared_memory_pages_are_not_used_again)
{
    TX_AUTO(reg_image) image;
    uint8_t token[KTM_TOKEN_SIZE];
    struct txreg_options options = {.io = txio_posix()};
    struct txreg *reg __attribute__((cleanup(close_reg))) = NULL;
    reg_image_init(&image, NULL);
    options.store_dir = image.temp.fd;
    ok(txreg_rm_open(&options, &reg, ERR));
    ok(reg_rm_open_steady(reg, &image.lsn, token, ERR));
    struct txreg *shared = image.reg;
    image.reg = reg;
    for (unsigned i = 10; i < 14; i++) {
        uint32_t pages = image.state.page_count;
        change(&image, i);
        cr_assert_eq(image.state.page_count, pages + 1);
        reg_state_encode(&image.state, token);
        ok(reg_rm_steady(reg, image.lsn, token, ERR));
        ok(reg_rm_trim(reg, image.lsn, image.lsn, ERR));
        cr_assert(has(&image, i) && has(&image, 10));
    }
    image.reg = shared;
}

Test(txreg_image_errors, redo_needs_no_shared_memory)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    uint8_t token[KTM_TOKEN_SIZE];
    struct reg_state before;
    struct reg_state after;
    tx_lsn lsn;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "key", NULL, NULL, ERR));
    struct ktm_commit_info commit = {.lsn = 1u << 20, .next_lsn = (1u << 20) + 4096,
                                     .entries = ktm_txn_entries(txn)};
    struct txreg_options options = {.io = txio_posix(), .store_dir = world.temp.fd};
    struct txreg *reg __attribute__((cleanup(close_reg))) = NULL;
    ok(txreg_rm_open(&options, &reg, ERR));
    ok(reg_rm_open_steady(reg, &lsn, token, ERR));
    ok(reg_state_decode(&before, token, ERR));
    ok(reg_rm_redo(reg, &commit, KTM_REDO_RECOVER, token, ERR));
    ok(reg_state_decode(&after, token, ERR));
    cr_assert_eq(after.key_count, before.key_count + 1);
    cr_assert_eq(after.page_count, before.page_count + 1);
    ktm_rollback(txn);
}

/* A token is decoded only if it makes sense in every field. */
Test(txreg_image_errors, states_are_checked_field_by_field)
{
    const struct reg_state sound = {.root_page = 5, .page_count = 9, .next_key_id = 2,
                                    .used_pages = 7, .height = REG_LEVEL_MAX + 1};
    struct reg_state bad[10];
    struct reg_state read;
    uint8_t token[KTM_TOKEN_SIZE];
    for (unsigned i = 0; i < 10; i++) {
        bad[i] = sound;
    }
    bad[1].height = 0;
    bad[2].height = REG_LEVEL_MAX + 2;
    bad[3].root_page = REG_SLOT_PAGES - 1;
    bad[4].root_page = 9;
    bad[5].used_pages = 0;
    bad[6].used_pages = 8;
    bad[7].next_key_id = REG_ROOT_ID;
    bad[8].next_key_id = REG_NEW_ID;
    bad[9].page_count = 0;
    for (unsigned i = 0; i < 10; i++) {
        reg_state_encode(&bad[i], token);
        fails(i == 0 ? TX_OK : TX_ECORRUPT, reg_state_decode(&read, token, ERR));
    }
}

Test(txreg_image_errors, slots_are_checked_field_by_field)
{
    struct reg_slot slot = {.format_version = REG_FORMAT_VERSION, .page_size = REG_PAGE_SIZE,
                            .free_count = 2, .free_pages = {7, 8}};
    struct reg_slot read;
    uint8_t data[REG_PAGE_SIZE];
    slot.state = (struct reg_state){.root_page = 5, .page_count = 9, .next_key_id = 2,
                                    .used_pages = 1, .height = 1};
    reg_slot_encode(&slot, 0, data);
    cr_assert_null(reg_slot_decode(&read, 0, data));
    static const uint32_t lists[][2] = {{8, 7}, {7, 7}, {7, 9}, {1, 7}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        memcpy(slot.free_pages, lists[i], sizeof(lists[i]));
        reg_slot_encode(&slot, 0, data);
        cr_assert_str_eq(reg_slot_decode(&read, 0, data), "malformed list of free pages");
    }
    tx_put16(data + REG_AT_COUNT, REG_SLOT_FREE_MAX + 1);
    tx_put64(data + REG_AT_SEAL, reg_page_seal(data, 0));
    cr_assert_str_eq(reg_slot_decode(&read, 0, data), "impossible state");
    slot.state.height = 0;
    reg_slot_encode(&slot, 0, data);
    cr_assert_str_eq(reg_slot_decode(&read, 0, data), "impossible state");
    data[REG_AT_KIND] = REG_PAGE_DATA;
    tx_put64(data + REG_AT_SEAL, reg_page_seal(data, 0));
    cr_assert_str_eq(reg_slot_decode(&read, 0, data), "not a root slot");
}
