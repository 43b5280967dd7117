/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <limits.h>

#include "ktm_fixture.h"

Test(ktm_txn_id, text_of_an_id_reads_back)
{
    static const struct ktm_id ids[] = {
        {0, 0}, {1, 1}, {3, 42}, {UINT64_MAX, UINT64_MAX}, {10, 0}, {UINT64_MAX - 1, 9}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char text[KTM_ID_TEXT_SIZE];
        struct ktm_id read;
        ktm_id_format(&ids[i], text);
        ok(ktm_id_parse(text, &read, ERR));
        cr_expect_eq(ktm_id_compare(&read, &ids[i]), 0, "%s", text);
    }
}

Test(ktm_txn_id, anything_else_is_refused)
{
    static const char *const wrong[] = {
        "",      "-",      "1",     "1-",    "-1",    "1--1",  "+1-1", "1-+1", " 1-1",
        "1-1 ",  "01-1",   "1-01",  "1-1a",  "a-1",   "1.1",   "1-1-1", "0x1-1",
        "18446744073709551616-1", "1-18446744073709551616", "99999999999999999999999-1"};
    struct ktm_id id = {7, 7};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_eq(ktm_id_parse(wrong[i], &id, ERR), TX_EINVAL, "\"%s\"", wrong[i]);
    }
    cr_expect_eq(ktm_id_parse(NULL, &id, ERR), TX_EINVAL);
    cr_expect_eq(id.epoch, 7);
}

Test(ktm_txn_id, order_is_by_epoch_then_sequence)
{
    struct ktm_id a = {1, 9}, b = {2, 1}, c = {2, 2};
    cr_expect_lt(ktm_id_compare(&a, &b), 0);
    cr_expect_lt(ktm_id_compare(&b, &c), 0);
    cr_expect_gt(ktm_id_compare(&c, &a), 0);
    cr_expect_eq(ktm_id_compare(&c, &c), 0);
}

Test(ktm_txn_id, global_identifier_names_store_epoch_sequence_and_branch)
{
    struct world *world = world_new(NULL);
    struct handle handle;
    handle_boot(&handle, world);
    struct txlog_info info = handle_log_info(&handle);
    struct ktm_id id = {3, 42};
    char gid[KTM_GID_TEXT_SIZE];
    ktm_gid_format(handle.tm, &id, 7, gid);
    cr_assert_eq(strlen(gid), strlen("txkit:") + 36 + strlen(":3:42:7"), "%s", gid);
    cr_expect_eq(strncmp(gid, "txkit:", 6), 0);
    cr_expect_str_eq(gid + 6 + 36, ":3:42:7");
    char first[3];
    (void)snprintf(first, sizeof first, "%02x", info.identity.uuid[0]);
    cr_expect_eq(strncmp(gid + 6, first, 2), 0, "%s", gid);
    cr_expect_eq(gid[14], '-');
    id = (struct ktm_id){UINT64_MAX, UINT64_MAX};
    ktm_gid_format(handle.tm, &id, UINT_MAX, gid); /* PostgreSQL takes less than 200 bytes */
    cr_expect_eq(strlen(gid), strlen("txkit:") + 36 + 3 + 20 + 20 + 10, "%s", gid);
    handle_close(&handle);
    world_free(world);
}

Test(ktm_txn_id, ids_are_new_in_every_epoch_and_handle)
{
    struct world *world = world_new(NULL);
    struct handle one, two;
    handle_boot(&one, world);
    handle_join(&two, world, NULL);
    struct ktm_txn *a = txn_begin(&one, 0);
    struct ktm_txn *b = txn_begin(&two, 0);
    struct ktm_txn *c = txn_begin(&one, 0);
    struct ktm_id first = ktm_txn_id(a), second = ktm_txn_id(b), third = ktm_txn_id(c);
    cr_expect_eq(first.sequence + 1, second.sequence);
    cr_expect_eq(second.sequence + 1, third.sequence);
    handle_close(&two);
    handle_reboot(&one);
    struct ktm_txn *d = txn_begin(&one, 0);
    cr_expect_gt(ktm_txn_id(d).epoch, first.epoch);
    handle_close(&one);
    world_free(world);
}

Test(ktm_txn_id, staging_path)
{
    char path[KTM_STAGING_PATH_SIZE];
    struct ktm_id id = {UINT64_MAX, UINT64_MAX};
    ktm_staging_path(&id, path);
    cr_expect_str_eq(path, "tx/18446744073709551615-18446744073709551615");
}
