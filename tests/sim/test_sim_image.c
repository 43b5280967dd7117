/* SPDX-License-Identifier: MIT */
/* Choices, images and their counters. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

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

/* A machine with "old" durable under the name "f". */
static struct txio *machine(int *root)
{
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    struct txio *io = sim_new(&options);
    *root = root_of(io);
    int fd = put(io, *root, "f", "old");
    cr_assert_eq(io->ops->syncfs(io, fd), 0);
    cr_assert_eq(io->ops->close(io, fd), 0);
    return io;
}

static bool check_replay(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    char text[SIM_CHOICE_TEXT_SIZE];
    struct sim_choice parsed;
    sim_choice_format(choice, text);
    cr_assert(sim_choice_parse(text, &parsed));
    struct sim_image *again = sim_crash_image(arg, &parsed);
    cr_assert_eq(sim_image_hash(again), sim_image_hash(image), "%s", text);
    sim_image_drop(again);
    return true;
}

static void many_files(struct txio *io, int root, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        int fd = put(io, root, name, "0123456789abcdef");
        cr_assert_eq(io->ops->close(io, fd), 0);
    }
}

Test(sim_image, every_state_can_be_made_again_from_its_choice)
{
    for (unsigned count = 3; count <= 20; count += 17) {
        int root = 0;
        struct txio *io = machine(&root);
        many_files(io, root, count);
        struct sim_capture *cut = sim_capture(io);
        cr_assert_gt(sim_crash_each(cut, NULL, check_replay, cut), 60);
        sim_capture_free(cut);
        sim_free(io);
    }
}

static bool count_hash(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    uint64_t *first = arg;
    (void)choice;
    first[0] = first[0] == 0 ? sim_image_hash(image) : first[0];
    first[1] += sim_image_hash(image) == first[0];
    return true;
}

Test(sim_image, losing_everything_gives_the_disk_of_before)
{
    int root = 0;
    struct txio *io = machine(&root);
    struct sim_capture *before = sim_capture(io);
    struct sim_choice nothing = {SIM_KEEP_PREFIX, 0, 0};
    struct sim_image *image = sim_crash_image(before, &nothing);
    uint64_t hashes[2] = {sim_image_hash(image), 0};
    many_files(io, root, 2);
    struct sim_capture *cut = sim_capture(io);
    (void)sim_crash_each(cut, NULL, count_hash, hashes);
    cr_assert_gt(hashes[1], 0);
    sim_image_drop(image);
    sim_capture_free(before);
    sim_capture_free(cut);
    sim_free(io);
}

Test(sim_image, keeping_everything_gives_the_living_tree)
{
    int root = 0;
    struct txio *io = machine(&root);
    many_files(io, root, 5);
    struct sim_capture *cut = sim_capture(io);
    struct sim_choice all = {SIM_KEEP_PREFIX, 10000, 0};
    struct sim_image *image = sim_crash_image(cut, &all);
    sim_capture_free(cut);
    cr_assert_eq(io->ops->syncfs(io, root), 0);
    cut = sim_capture(io);
    cr_assert_eq(sim_capture_units(cut), 0);
    struct sim_image *synced = sim_crash_image(cut, &all);
    cr_assert_eq(sim_image_hash(image), sim_image_hash(synced));
    sim_image_drop(image);
    sim_image_drop(synced);
    sim_capture_free(cut);
    sim_free(io);
}

Test(sim_image, harness_loses_reorders_and_tears)
{
    int root = 0;
    struct sim_counters before;
    struct sim_counters after;
    sim_get_counters(&before);
    struct txio *io = machine(&root);
    many_files(io, root, 20);
    struct txio_attr attr = {7, 0600, 5, 6, 1, 2};
    cr_assert_eq(io->ops->set_attr(io, root, "f", &attr), 0);
    struct sim_capture *cut = sim_capture(io);
    uint64_t hashes[2] = {0, 0};
    uint64_t made = sim_crash_each(cut, NULL, count_hash, hashes);
    sim_get_counters(&after);
    cr_assert_eq(after.images - before.images, made);
    cr_assert_gt(after.lost - before.lost, 200);
    cr_assert_gt(after.reordered - before.reordered, 200);
    cr_assert_gt(after.torn - before.torn, 100);
    cr_assert_gt(after.torn_attributes - before.torn_attributes, 50);
    sim_capture_free(cut);
    sim_free(io);
}
