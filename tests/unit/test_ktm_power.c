/* SPDX-License-Identifier: MIT */
/*
 * The power is cut before each operation of a workload that commits, prepares, decides, detaches,
 * attaches, moves inodes and makes checkpoints, and the disk keeps whatever it likes of what was
 * not synced. Each disk is booted and recovered; what is found must be the state before the step
 * or the state after it, nothing else. Now and then the power is cut again during the recovery.
 */
#include "ktm_fixture.h"
#include "sim/sim.h"

#define STORE "store"
#define CUTS_MAX 4096
#define PRINT_SIZE 512

struct power {
    struct txio *io;
    struct world *world;
    struct handle handle;
    struct ktm_id prepared;
    struct ktm_id detached;
    struct sim_capture *cuts[CUTS_MAX];
    unsigned cut_count;
    char before[PRINT_SIZE];
    char after[PRINT_SIZE];
    uint64_t images;
    uint64_t second_cuts;
    bool in_recovery;
};

static struct power power;

static struct txio *print_io;

static enum tx_status print_listed(void *arg, const struct ktm_txn_info *info,
                                   struct tx_error *err)
{
    char *text = arg, path[KTM_STAGING_PATH_SIZE + sizeof STORE];
    size_t size = strlen(text);
    struct txio_stat stat;
    struct txio *io = print_io;
    (void)err;
    (void)snprintf(path, sizeof path, STORE "/tx/%lu-%lu", (unsigned long)info->id.epoch,
                   (unsigned long)info->id.sequence);
    bool has_directory = io->ops->stat(io, TXIO_CWD, path, &stat) >= 0;
    /* Prepared here, in doubt after a boot. */
    (void)snprintf(text + size, PRINT_SIZE - size, " %s:%lu%s",
                   info->state == KTM_ACTIVE ? "detached" : "prepared",
                   (unsigned long)info->id.sequence, has_directory ? "" : " without directory");
    return TX_OK;
}

/* All that the library shows of the store. */
static void print_store(struct handle *handle, char text[PRINT_SIZE])
{
    struct ktm_txn *txn = txn_begin(handle, 0);
    print_io = handle->io;
    text[0] = '\0';
    for (unsigned toy = 0; toy < TOYS; toy++) {
        for (uint32_t item = 0; item < 5; item++) {
            size_t size = strlen(text);
            (void)snprintf(text + size, PRINT_SIZE - size, " %lu",
                           (unsigned long)toy_get(txn, toy, item));
        }
    }
    ktm_rollback(txn);
    ok(ktm_list(handle->tm, print_listed, text, ERR));
}

static void take_cut(void *arg, struct txio *io, uint64_t index, const char *op)
{
    (void)arg;
    (void)index;
    (void)op;
    cr_assert_lt(power.cut_count, CUTS_MAX);
    power.cuts[power.cut_count++] = sim_capture(io);
}

static void check_boot(struct sim_image *image, const struct sim_choice *choice);

static bool check_second(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    (void)arg;
    power.second_cuts++;
    check_boot(image, choice);
    return true;
}

struct second {
    uint64_t at;
    struct sim_capture *cut;
};

static void take_second(void *arg, struct txio *io, uint64_t index, const char *op)
{
    struct second *second = arg;
    (void)index;
    (void)op;
    if (second->at-- == 0) {
        second->cut = sim_capture(io);
    }
}

static void check_boot(struct sim_image *image, const struct sim_choice *choice)
{
    char found[PRINT_SIZE], text[SIM_CHOICE_TEXT_SIZE];
    struct handle handle;
    struct second second = {.at = power.images % 61, .cut = NULL};
    struct txio *io = sim_boot(image, NULL);
    struct world *world = world_at(STORE);
    bool cut_again = !power.in_recovery && power.images % 16 == 0;
    if (cut_again) {
        sim_on_op(io, take_second, &second);
    }
    sim_choice_format(choice, text);
    enum tx_status status = handle_try_boot(&handle, world, io);
    cr_assert_eq(status, TX_OK, "%s: %s", text, test_err.text);
    sim_on_op(io, NULL, NULL);
    print_store(&handle, found);
    cr_assert(strcmp(found, power.before) == 0 || strcmp(found, power.after) == 0,
              "%s: found%s\n before%s\n after%s", text, found, power.before, power.after);
    handle_close(&handle);
    world_forget(world);
    sim_free(io);
    power.images++;
    if (second.cut) {
        /* Whatever the first recovery had begun: the same two states are allowed. */
        struct sim_plan plan = {.samples_only = true, .samples = 4, .seed = power.images};
        power.in_recovery = true;
        (void)sim_crash_each(second.cut, &plan, check_second, NULL);
        power.in_recovery = false;
        sim_capture_free(second.cut);
    }
}

static bool check_image(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    (void)arg;
    check_boot(image, choice);
    return true;
}

static void step(void (*work)(struct handle *handle))
{
    print_store(&power.handle, power.before);
    power.cut_count = 0;
    sim_on_op(power.io, take_cut, NULL);
    work(&power.handle);
    power.cuts[power.cut_count++] = sim_capture(power.io); /* right after the acknowledgement */
    sim_on_op(power.io, NULL, NULL);
    print_store(&power.handle, power.after);
    for (unsigned i = 0; i < power.cut_count; i++) {
        struct sim_plan plan = {.exhaustive_max = 6, .samples = 32, .seed = i + 1};
        if (i + 1 == power.cut_count) {
            memcpy(power.before, power.after, PRINT_SIZE); /* acknowledged: nothing else will do */
        }
        (void)sim_crash_each(power.cuts[i], &plan, check_image, NULL);
        sim_capture_free(power.cuts[i]);
    }
}

static void commit_first(struct handle *handle)
{
    commit_pair(handle, 1, 1);
}

static void commit_second(struct handle *handle)
{
    commit_pair(handle, 1, 2);
}

static void prepare_third(struct handle *handle)
{
    int dir;
    struct ktm_txn *txn = txn_begin(handle, 0);
    power.prepared = ktm_txn_id(txn);
    toy_set(txn, 0, 2, 3);
    toy_set(txn, 1, 2, 3);
    ok(ktm_txn_staging(txn, &dir, ERR));
    ok(ktm_prepare(txn, ERR));
}

static void detach_fourth(struct handle *handle)
{
    struct ktm_txn *txn = txn_begin(handle, 0);
    power.detached = ktm_txn_id(txn);
    toy_set(txn, 0, 3, 4);
    toy_set(txn, 1, 3, 4);
    ok(ktm_detach(txn, ERR));
}

static void checkpoint(struct handle *handle)
{
    ok(ktm_checkpoint(handle->tm, ERR));
}

static void attach_and_commit(struct handle *handle)
{
    struct ktm_txn *txn;
    ok(ktm_attach(handle->tm, &power.detached, &txn, ERR));
    ok(ktm_commit(txn, NULL, ERR));
}

static void decide_commit(struct handle *handle)
{
    ok(ktm_commit_prepared(handle->tm, &power.prepared, NULL, ERR));
}

static void decide_rollback(struct handle *handle)
{
    ok(ktm_rollback_prepared(handle->tm, &power.prepared, ERR));
}

static void commit_barrier(struct handle *handle)
{
    struct ktm_txn *txn = txn_begin(handle, 0);
    toy_entry(txn, 0, TOY_SET_WITH_BARRIER, 4, 5);
    ok(ktm_commit(txn, NULL, ERR));
}

static void attach_and_prepare(struct handle *handle)
{
    struct ktm_txn *txn;
    ok(ktm_attach(handle->tm, &power.detached, &txn, ERR));
    power.prepared = power.detached;
    ok(ktm_prepare(txn, ERR));
}

static void attach_and_roll_back(struct handle *handle)
{
    struct ktm_txn *txn;
    ok(ktm_attach(handle->tm, &power.detached, &txn, ERR));
    ktm_rollback(txn);
}

static void power_on(uint64_t seed, enum sim_profile profile)
{
    struct sim_options options = {.seed = seed, .umask = 022, .profile = profile};
    struct txlog_settings settings = {.segment_size = TXLOG_SEGMENT_SIZE_MIN};
    struct txlog_identity identity;
    power = (struct power){.io = sim_new(&options)};
    cr_assert_eq(power.io->ops->mkdir(power.io, TXIO_CWD, STORE, 0700), 0);
    int dir = power.io->ops->open(power.io, TXIO_CWD, STORE, TXIO_READ | TXIO_DIRECTORY, 0);
    ok(txlog_create(power.io, dir, &settings, &identity, ERR));
    cr_assert_eq(power.io->ops->syncfs(power.io, dir), 0);
    (void)power.io->ops->close(power.io, dir);
    power.world = world_at(STORE);
    ok(handle_try_boot(&power.handle, power.world, power.io));
}

static void power_off(uint64_t images)
{
    cr_expect_gt(power.images, images, "%lu disks", (unsigned long)power.images);
    cr_expect_gt(power.second_cuts, images / 40, "%lu", (unsigned long)power.second_cuts);
    handle_close(&power.handle);
    world_forget(power.world);
    sim_free(power.io);
}

Test(ktm_power, every_cut_leaves_the_state_before_or_after_a_step, .timeout = 300)
{
    static void (*const steps[])(struct handle *handle) = {
        commit_first,   commit_second,     prepare_third,  commit_first,  checkpoint,
        commit_second,  detach_fourth,     decide_commit,  checkpoint,    commit_barrier,
        commit_first,   attach_and_commit, commit_barrier, checkpoint,    prepare_third,
        detach_fourth,  checkpoint,        decide_rollback, attach_and_prepare, commit_second,
        checkpoint,     decide_commit,     checkpoint,     detach_fourth, attach_and_roll_back,
        commit_first,
    };
    power_on(1, SIM_WEAKEST);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        step(steps[i]);
    }
    power_off(1500);
}

Test(ktm_power, file_systems_with_a_journal_are_no_worse, .timeout = 300)
{
    power_on(2, SIM_EXT4);
    step(prepare_third);
    step(detach_fourth);
    step(checkpoint);
    step(decide_commit);
    step(attach_and_commit);
    step(checkpoint);
    power_off(150);
}
