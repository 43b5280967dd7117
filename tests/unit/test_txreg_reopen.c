/* SPDX-License-Identifier: MIT */
/* The image over openings: which are refused, and which free pages each finds. */
#include "reg_fixture.h"

#include <stdio.h>

static void run_command(const char *format, const char *path)
{
    char command[600];
    (void)snprintf(command, sizeof(command), format, path, path);
    cr_assert_eq(system(command), 0);
}

/* An image from before the log's beginning cannot be brought up to date. */
Test(txreg_reopen, image_older_than_the_log_is_refused)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    struct ktm_txn *txn = reg_begin(&place, 0);
    reg_put(txn, "", "v", "old");
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    run_command("cp '%s/reg/image' '%s/old'", world.temp.path);
    txn = reg_begin(&place, 0);
    reg_put(txn, "", "v", "new");
    (void)reg_commit(txn);
    run_command("cp '%s/old' '%s/reg/image'", world.temp.path);
    reg_place_crash(&place); /* the log still has what the image lacks */
    txn = reg_begin(&place, 0);
    reg_expect(txn, "", "v", "new");
    reg_put(txn, "", "v", "newer");
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR)); /* trims it */
    reg_place_auto(&place);
    run_command("cp '%s/old' '%s/reg/image'", world.temp.path);
    fails(TX_ECORRUPT, reg_place_try_boot(&place, &world));
    cr_assert_not_null(strstr(reg_err.text, "registry"), "%s", reg_err.text);
}

/* One commit per opening, as a script of commands does: the root slot hands free pages on. */
Test(txreg_reopen, reopening_does_not_lose_free_pages)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place = {.world = NULL};
    struct stat stat;
    off_t early = 0;
    char name[32];
    reg_world_init(&world, NULL);
    for (unsigned i = 0; i < 60; i++) {
        reg_place_boot(&place, &world);
        struct ktm_txn *txn = reg_begin(&place, 0);
        for (unsigned j = 0; j < 50; j++) {
            (void)snprintf(name, sizeof(name), "v%u", j);
            reg_put(txn, "", name, "some text that has to be written again and again");
        }
        (void)reg_commit(txn);
        ok(ktm_checkpoint(place.tm, ERR));
        reg_place_auto(&place);
        cr_assert_eq(fstatat(world.temp.fd, REG_IMAGE_PATH, &stat, 0), 0);
        early = i == 10 ? stat.st_size : early;
    }
    cr_assert_leq(stat.st_size, early + 4 * REG_PAGE_SIZE);
}

/* Torn free pages are blanked by the first redo after a crash, and lost ones are found again. */
Test(txreg_reopen, recovery_mends_and_finds_free_pages)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    char name[32];
    uint64_t faults = 0;
    struct stat stat;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    struct ktm_txn *txn = reg_begin(&place, 0);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "v%u", i);
        ok(txreg_set(txn, "", name, 3, world.temp.path, sizeof(world.temp.path), ERR));
    }
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    reg_put(txn, "", "last", "1");
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof(name), "v%u", i);
        ok(txreg_unset(txn, "", name, ERR));
    }
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    txn = reg_begin(&place, 0);
    reg_put(txn, "", "more", "1");
    (void)reg_commit(txn);
    reg_place_auto(&place);
    /* Tear pages behind the tree: as if they had been on their way. */
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    uint64_t size = (uint64_t)stat.st_size;
    for (uint64_t page = 10; page < 14; page++) {
        cr_assert_eq(pwrite(fd, "torn", 4, (off_t)(page * REG_PAGE_SIZE + 1000)), 4);
    }
    cr_assert_eq(pwrite(fd, "part of a page", 14, (off_t)size), 14);
    ok(txreg_check(world.io, world.temp.fd, NULL, NULL, &faults, ERR));
    cr_assert_eq(faults, 5);
    ok(txreg_check_unclean(world.io, world.temp.fd, NULL, NULL, &faults, ERR));
    cr_assert_eq(faults, 0);
    reg_place_boot(&place, &world);
    cr_assert_eq(reg_faults(&world), 0);
    txn = reg_begin(&place, 0);
    reg_expect(txn, "", "last", "1");
    reg_expect(txn, "", "more", "1");
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof(name), "w%u", i);
        ok(txreg_set(txn, "", name, 3, world.temp.path, sizeof(world.temp.path), ERR));
    }
    (void)reg_commit(txn);
    cr_assert_eq(fstat(fd, &stat), 0);
    cr_assert_leq((uint64_t)stat.st_size, size + REG_PAGE_SIZE);
    (void)close(fd);
}
