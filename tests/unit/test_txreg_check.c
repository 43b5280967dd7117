/* SPDX-License-Identifier: MIT */
/* The check finds any flipped bit. */
#include "reg_fixture.h"

#include <stdio.h>

static void fill_place(struct reg_place *place)
{
    uint8_t large[9000];
    char name[600];
    struct ktm_txn *txn = reg_begin(place, 0);
    memset(large, 3, sizeof(large));
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    ok(txreg_create(txn, "Software\\One\\Two", "a class", NULL, ERR));
    ok(txreg_create(txn, "Software\\Three", NULL, NULL, ERR));
    ok(txreg_set(txn, "Software\\One", "large", 3, large, sizeof(large), ERR));
    ok(txreg_set(txn, "Software\\One", "middle", 3, large, 700, ERR));
    ok(txreg_set(txn, "Software\\Three", name, 3, large, 10, ERR));
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof(name), "value %u", i);
        reg_put(txn, "Software\\Three", name, "some text that takes a little room");
    }
    (void)reg_commit(txn);
    txn = reg_begin(place, 0);
    reg_put(txn, "Software\\Three", "value 7", "changed");
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place->tm, ERR));
}

static void fill_more(struct reg_place *place)
{
    uint8_t large[40000] = {7};
    struct ktm_txn *txn = reg_begin(place, 0);
    ok(txreg_set(txn, "Software\\One", "larger", 3, large, sizeof(large), ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place->tm, ERR));
}

static uint64_t count_faults(struct reg_world *world)
{
    uint64_t faults = 0;
    ok(txreg_check(world->io, world->temp.fd, NULL, NULL, &faults, ERR));
    return faults;
}

Test(txreg_check, finds_a_flipped_bit_in_any_byte)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    cr_assert_eq(reg_faults(&world), 0);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    cr_assert_gt(stat.st_size, 10 * REG_PAGE_SIZE);
    unsigned step = reg_scaled(10) >= 10 ? 1 : 7;
    for (off_t at = 0; at < stat.st_size; at += step) {
        uint8_t byte;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << (at % 8));
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        cr_assert_gt(count_faults(&world), 0, "byte %lld", (long long)at);
        byte ^= (uint8_t)(1u << (at % 8));
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
    cr_assert_eq(reg_faults(&world), 0);
}

/* A power cut in a page that the file grew by, and a recovery that found no use for it. */
Test(txreg_check, what_lies_behind_the_pages_in_count_is_no_fault)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    uint8_t torn[REG_PAGE_SIZE + 512];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    memset(torn, 0x5a, sizeof(torn));
    cr_assert_eq(pwrite(fd, torn, 512, stat.st_size), 512);
    cr_expect_eq(count_faults(&world), 0, "part of a page");
    cr_assert_eq(pwrite(fd, torn, sizeof(torn), stat.st_size), (ssize_t)sizeof(torn));
    cr_expect_eq(count_faults(&world), 0, "a page and a part");
    (void)close(fd);
    fill_more(&place); /* the place is used, and whole then */
    cr_expect_eq(reg_faults(&world), 0);
}

/* A whole page that is not the one referred to: a write that was lost, or went astray. */
Test(txreg_check, finds_another_version_of_a_page)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    uint8_t token[KTM_TOKEN_SIZE];
    uint8_t page[REG_PAGE_SIZE];
    struct reg_state state;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    ktm_published_token(place.tm, TXREG_RM, token);
    ok(reg_state_decode(&state, token, ERR));
    reg_place_auto(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    off_t at = (off_t)state.root_page * REG_PAGE_SIZE;
    cr_assert(fd >= 0 && pread(fd, page, sizeof(page), at) == (ssize_t)sizeof(page));
    page[REG_AT_LSN] ^= 1;
    tx_put64(page, reg_page_seal(page, state.root_page));
    cr_assert_null(reg_page_fault(page, state.root_page));
    cr_assert_eq(pwrite(fd, page, sizeof(page), at), (ssize_t)sizeof(page));
    cr_assert_gt(count_faults(&world), 0);
    fails(TX_ECORRUPT, reg_place_try_boot(&place, &world));
    (void)close(fd);
}

Test(txreg_check, finds_a_cut_file)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    reg_place_auto(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    for (off_t size = stat.st_size - 100; size > 0; size -= 3000) {
        cr_assert_eq(ftruncate(fd, size), 0);
        cr_assert_gt(count_faults(&world), 0, "cut to %lld bytes", (long long)size);
    }
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_gt(count_faults(&world), 0);
    fails(TX_ECORRUPT, reg_place_try_boot(&place, &world));
    (void)close(fd);
}

/* Opening an image with a flipped bit shows the same registry, or says that it is damaged. */
static enum tx_status dump_or_fail(struct reg_place *place, struct tx_buf *text);

static enum tx_status nested_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                   size_t size, struct tx_error *err)
{
    TX_TRY(tx_buf_printf(arg, err, "%s:%u:", name, type));
    return tx_buf_append(arg, data, size, err);
}

struct nested {
    struct ktm_txn *txn;
    struct tx_buf *text;
    const char *path;
};

static enum tx_status nested_dump(struct nested *nested, struct tx_error *err);

static enum tx_status nested_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    struct nested *above = arg;
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    TX_TRY(tx_buf_printf(&path, err, "%s%s%s", above->path, *above->path != 0 ? "\\" : "",
                         info->name));
    TX_TRY(tx_buf_put8(&path, 0, err));
    struct nested below = {above->txn, above->text, (const char *)path.data};
    return nested_dump(&below, err);
}

static enum tx_status nested_dump(struct nested *nested, struct tx_error *err)
{
    TX_TRY(tx_buf_printf(nested->text, err, "[%s]", nested->path));
    TX_TRY(txreg_each_value(nested->txn, nested->path, nested_value, nested->text, err));
    return txreg_each_key(nested->txn, nested->path, nested_key, nested, err);
}

static enum tx_status dump_or_fail(struct reg_place *place, struct tx_buf *text)
{
    struct ktm_txn *txn = NULL;
    TX_TRY(ktm_begin(place->tm, NULL, &txn, ERR));
    struct nested nested = {txn, text, ""};
    enum tx_status status = nested_dump(&nested, ERR);
    ktm_rollback(txn);
    return status;
}

Test(txreg_check, a_flipped_bit_is_never_silently_wrong)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    TX_AUTO(tx_buf) wanted = TX_BUF_INIT;
    struct stat stat;
    unsigned refused = 0;
    unsigned same = 0;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    ok(dump_or_fail(&place, &wanted));
    reg_place_auto(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    for (off_t at = 13; at < stat.st_size; at += 997) {
        TX_AUTO(tx_buf) seen = TX_BUF_INIT;
        uint8_t byte;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        enum tx_status status = reg_place_try_boot(&place, &world);
        if (status == TX_OK) {
            status = dump_or_fail(&place, &seen);
        }
        cr_assert(status == TX_OK || status == TX_ECORRUPT, "%s", tx_status_name(status));
        if (status == TX_OK) {
            cr_assert_eq(seen.size, wanted.size);
            cr_assert_arr_eq(seen.data, wanted.data, seen.size);
            same++;
        } else {
            cr_assert_not_null(strstr(reg_err.text, "reg/image"), "%s", reg_err.text);
            cr_assert_not_null(strstr(reg_err.text, "offset"), "%s", reg_err.text);
            refused++;
        }
        reg_place_auto(&place);
        byte ^= 0x10;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        ok(reg_place_try_boot(&place, &world)); /* slots may have been written anew: settle */
        reg_place_auto(&place);
    }
    cr_assert_gt(refused, 5);
    cr_assert_gt(same, 2);
    (void)close(fd);
}

Test(txreg_check, missing_image_is_a_fault)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    uint64_t faults = 0;
    ok(txreg_check(txio_posix(), temp.fd, NULL, NULL, &faults, ERR));
    cr_assert_eq(faults, 1);
}
