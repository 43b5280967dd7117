/* SPDX-License-Identifier: MIT */
/* Pages to be written again: who may have which, and publishers that are killed anywhere. */
#include "reg_fixture.h"

#include <stdio.h>
#include <sys/wait.h>

#include "hook_io.h"

Test(txreg_ring, pages_wait_for_steady_point_and_snapshots)
{
    TX_AUTO(reg_image) image;
    reg_image_init(&image, NULL);
    struct reg_shared *ring = image.shared;
    reg_ring_reset(ring, 100);
    reg_ring_push(ring, 10, 150);
    reg_ring_push(ring, 11, 160);
    cr_assert_eq(reg_ring_pop(ring, 200), 0, "neither steady nor free of readers");
    reg_ring_set_steady(ring, 155);
    cr_assert_eq(reg_ring_pop(ring, 200), 0, "somebody reads the state at 100");
    reg_ring_set_oldest(ring, 149);
    cr_assert_eq(reg_ring_pop(ring, 200), 0);
    reg_ring_set_oldest(ring, 200);
    cr_assert_eq(reg_ring_pop(ring, 200), 10);
    cr_assert_eq(reg_ring_pop(ring, 200), 0, "11 is not free in the steady state");
    reg_ring_set_steady(ring, 120); /* never goes back */
    reg_ring_set_steady(ring, 160);
    cr_assert_eq(reg_ring_pop(ring, 200), 11);
    cr_assert_eq(reg_ring_count(ring), 0);
}

Test(txreg_ring, rewind_undoes_what_was_not_published)
{
    TX_AUTO(reg_image) image;
    reg_image_init(&image, NULL);
    struct reg_shared *ring = image.shared;
    reg_ring_reset(ring, 1000);
    for (uint32_t page = 10; page < 20; page++) {
        reg_ring_push(ring, page, 500);
    }
    for (unsigned i = 0; i < 3; i++) { /* carried out three times */
        reg_ring_rewind(ring, 600);
        cr_assert_eq(reg_ring_count(ring), 10);
        cr_assert_eq(reg_ring_pop(ring, 600), 10);
        cr_assert_eq(reg_ring_pop(ring, 600), 11);
        reg_ring_push(ring, 30, 600);
    }
    reg_ring_rewind(ring, 700); /* 600 was published */
    cr_assert_eq(reg_ring_pop(ring, 700), 12);
    reg_ring_rewind(ring, 700);
    cr_assert_eq(reg_ring_pop(ring, 700), 12);
    cr_assert_eq(reg_ring_count(ring), 8);
}

Test(txreg_ring, full_ring_forgets_pages_but_never_gives_one_twice)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_page_set) seen = {NULL, 0};
    reg_image_init(&image, NULL);
    struct reg_shared *ring = image.shared;
    ok(reg_page_set_init(&seen, 3 * REG_RING_SIZE, ERR));
    reg_ring_reset(ring, 0);
    for (uint32_t i = 0; i < REG_RING_SIZE + 10; i++) {
        reg_ring_push(ring, 2 + i, 1);
    }
    cr_assert_eq(reg_ring_count(ring), REG_RING_SIZE);
    reg_ring_set_steady(ring, 5);
    reg_ring_set_oldest(ring, 5);
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert(reg_page_set_add(&seen, reg_ring_pop(ring, 10)));
    }
    for (uint32_t i = 0; i < 200; i++) { /* writes over the places that were popped */
        reg_ring_push(ring, 2 * REG_RING_SIZE + i, 10);
    }
    cr_assert_eq(reg_ring_count(ring), REG_RING_SIZE);
    reg_ring_rewind(ring, 11); /* all of that was published */
    cr_assert_eq(reg_ring_count(ring), REG_RING_SIZE);
    reg_ring_rewind(ring, 10); /* what was overwritten is lost, nothing comes twice */
    for (uint32_t page = reg_ring_pop(ring, 10); page != 0; page = reg_ring_pop(ring, 10)) {
        (void)reg_page_set_add(&seen, page);
        cr_assert_lt(page, REG_RING_SIZE + 2);
    }
    cr_assert_leq(reg_ring_count(ring), 0);
}

Test(txreg_ring, root_slot_gets_only_what_is_free_there)
{
    TX_AUTO(reg_image) image;
    uint32_t pages[4];
    reg_image_init(&image, NULL);
    struct reg_shared *ring = image.shared;
    reg_ring_reset(ring, 0);
    reg_ring_push(ring, 5, 10);
    reg_ring_push(ring, 6, 20);
    reg_ring_push(ring, 7, 30);
    cr_assert_eq(reg_ring_list(ring, 20, pages, 4), 2);
    cr_assert_eq(pages[0], 5);
    cr_assert_eq(pages[1], 6);
    cr_assert_eq(reg_ring_list(ring, 40, pages, 1), 1);
}

/* A process dies at the n-th write of its commit, whichever file that goes to. */
static int die(struct hook_io *hook, enum hook_op op, enum hook_when when)
{
    if (op == HOOK_PWRITEV && (int)when == hook->when && --hook->at < 0) {
        _exit(7);
    }
    return 0;
}

static void work(struct reg_place *place, unsigned round)
{
    char name[32];
    char text[300];
    struct ktm_txn *txn = reg_begin(place, 0);
    memset(text, 'a' + (int)(round % 26), sizeof(text));
    text[sizeof(text) - 1] = 0;
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "v%u", (i * 7 + round) % 97);
        reg_put(txn, "", name, text);
    }
    (void)snprintf(name, sizeof(name), "%u", round);
    reg_put(txn, "", "round", name);
    (void)reg_commit(txn);
}

static bool in_child(struct reg_world *world, int at, enum hook_when when, unsigned round)
{
    int status;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct hook_io hook;
        struct reg_world mine = *world;
        struct reg_place place;
        mine.io = hook_init(&hook, NULL);
        reg_place_join(&place, &mine);
        hook.at = at;
        hook.when = when;
        hook.fn = die;
        work(&place, round);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
    return WEXITSTATUS(status) == 0;
}

Test(txreg_ring, killed_publishers_are_followed_by_others)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    unsigned rounds = reg_scaled(60) < 20 ? 20 : reg_scaled(60); /* fewer cannot show a leak */
    unsigned round = 0;
    unsigned killed = 0;
    off_t half_way = 0;
    for (unsigned i = 0; i < rounds; i++) {
        bool survived = in_child(&world, (int)(i % 9), i % 2 == 0 ? HOOK_BEFORE : HOOK_AFTER,
                                 ++round);
        killed += !survived;
        char *found = NULL;
        char wanted[2][32];
        (void)snprintf(wanted[0], sizeof(wanted[0]), "%u", round);
        (void)snprintf(wanted[1], sizeof(wanted[1]), "%u", round - 1);
        struct ktm_txn *txn = reg_begin(&place, 0);
        reg_put(txn, "", "mine", "1"); /* waits for what the dead left */
        (void)reg_commit(txn);
        txn = reg_begin(&place, KTM_READ_ONLY);
        if (txreg_get_string(txn, "", "round", &found, ERR) == TX_OK) {
            cr_assert(strcmp(found, wanted[0]) == 0 || (!survived && strcmp(found, wanted[1]) == 0),
                      "%s instead of %s", found, wanted[0]);
            tx_free(found);
        }
        ktm_rollback(txn);
        work(&place, round);
        if (i % 3 == 0) {
            ok(ktm_checkpoint(place.tm, ERR));
            cr_assert_eq(reg_faults(&world), 0);
        }
        cr_assert_eq(fstatat(world.temp.fd, REG_IMAGE_PATH, &stat, 0), 0);
        half_way = i < rounds / 2 ? stat.st_size : half_way;
    }
    cr_assert_geq(killed, rounds / 10);
    cr_assert_leq(stat.st_size, half_way + 50 * (off_t)REG_PAGE_SIZE, "the dead leak pages: %lld",
                  (long long)(stat.st_size - half_way));
    reg_place_crash(&place);
    cr_assert_eq(reg_faults(&world), 0);
}
