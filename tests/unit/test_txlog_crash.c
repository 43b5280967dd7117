/* SPDX-License-Identifier: MIT */
/*
 * Power cuts on a simulated disk: a small history of a log is cut before each of its operations,
 * every disk that may be left is recovered, and those recoveries are cut again. What was
 * acknowledged must be there, in order and whole, and nothing that was never appended.
 */
#include "unit/log_fixture.h"

#include <stdlib.h>

#include "sim/sim.h"

/* What the world has been told. */
struct ledger {
    uint32_t appended; /* kinds 1..appended were given to the log, the last perhaps in part */
    uint32_t durable;  /* acknowledged */
    uint32_t trimmed;  /* kinds up to here were given up; */
    uint32_t trimming; /* perhaps up to here */
};

struct cutter {
    struct ledger ledger;
    unsigned depth;     /* cuts that are still made inside a recovery */
    uint64_t images;
    uint64_t recovered; /* distinct disks */
    uint64_t kept;      /* of those: with records written again */
    unsigned nest_each; /* one in so many recoveries is cut again */
    bool disk_is_full; /* from the beginning, and while nonsense may stand where one was writing */
    struct sim_plan plan;
    uint64_t *seen; /* hashes of disks, open addressing */
    size_t seen_size;
};

enum { SEEN_SIZE = 1 << 18 };

/* True the first time. */
static bool see(struct cutter *cutter, uint64_t hash)
{
    hash ^= (uint64_t)cutter->ledger.durable << 32 ^ cutter->ledger.appended * 0x9e3779b9u;
    hash += hash == 0;
    for (size_t i = hash % SEEN_SIZE; cutter->seen_size < SEEN_SIZE / 2; i = (i + 1) % SEEN_SIZE) {
        if (cutter->seen[i] == hash) {
            return false;
        }
        if (cutter->seen[i] == 0) {
            cutter->seen[i] = hash;
            cutter->seen_size++;
            return true;
        }
    }
    return true;
}

static int root_of(struct txio *io)
{
    int fd = io->ops->open(io, TXIO_CWD, "/", TXIO_READ | TXIO_DIRECTORY, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

static void expect_ledger(struct log_user *user, const struct ledger *ledger)
{
    struct log_contents contents;
    log_contents(user, &contents);
    uint32_t first = contents.count > 0 ? contents.kinds[0] : 0;
    for (unsigned i = 0; i < contents.count; i++) {
        cr_assert_eq(contents.kinds[i], first + i, "record %u after %u", contents.kinds[i],
                     first + i - 1);
    }
    uint32_t last = contents.count > 0 ? first + contents.count - 1 : ledger->durable;
    cr_assert_geq(last, ledger->durable, "record %u was acknowledged, the last is %u",
                  ledger->durable, last);
    cr_assert_leq(last, ledger->appended);
    if (contents.count > 0) {
        cr_assert(first == ledger->trimmed + 1 || first == ledger->trimming + 1,
                  "begins with %u, trimmed to %u", first, ledger->trimmed);
    } else {
        cr_assert(ledger->durable <= ledger->trimmed || ledger->durable <= ledger->trimming);
    }
}

static bool cut(void *arg, struct sim_image *image, const struct sim_choice *choice);

static void before_op(void *arg, struct txio *io, uint64_t index, const char *op)
{
    struct cutter *cutter = arg;
    (void)index;
    (void)op;
    struct sim_capture *capture = sim_capture(io);
    sim_crash_each(capture, &cutter->plan, cut, cutter);
    sim_capture_free(capture);
}

/* Use the log after its recovery, telling the ledger. */
static void use_recovered(struct log_user *user, struct ledger *ledger)
{
    struct log_contents contents;
    log_contents(user, &contents);
    uint32_t last = contents.count > 0 ? contents.kinds[contents.count - 1] : ledger->durable;
    /* What recovery has shown stays; what it has cut off is given again. */
    ledger->appended = ledger->durable = last;
    ledger->trimming = ledger->trimmed =
        contents.count > 0 ? contents.kinds[0] - 1 : ledger->durable;
    for (unsigned i = 0; i < 2; i++) {
        tx_lsn next;
        ledger->appended++;
        if (log_try_put(user, ledger->appended, i == 0 ? 300 : 9000, &next) != TX_OK) {
            cr_assert_eq(test_err.status, TX_ENOSPC);
            ledger->appended--;
        }
    }
    ok(txlog_force(user->log, log_info(user).append_lsn, &test_err));
    ledger->durable = ledger->appended;
}

static void recover_image(struct cutter *cutter, struct sim_image *image)
{
    bool nest = cutter->recovered % cutter->nest_each == 0;
    struct cutter inner = {.ledger = cutter->ledger, .depth = nest ? cutter->depth - 1 : 0,
                           .nest_each = 1, .plan = cutter->plan, .seen = cutter->seen};
    struct log_user user;
    struct txio *io = sim_boot(image, NULL);
    if (cutter->disk_is_full) {
        inner.disk_is_full = true;
        sim_limit_space(io, 1);
    }
    if (inner.depth > 0) {
        inner.plan.exhaustive_max = 4;
        inner.plan.samples = 4;
        inner.plan.seed += cutter->recovered;
        sim_on_op(io, before_op, &inner);
    }
    log_open(&user, io, root_of(io));
    expect_ledger(&user, &inner.ledger);
    cutter->kept += log_info(&user).append_lsn > 0 && user.recovery.rewritten_bytes > 0;
    use_recovered(&user, &inner.ledger);
    expect_ledger(&user, &inner.ledger);
    sim_on_op(io, NULL, NULL);
    log_close_clean(&user);
    cr_assert_eq(log_faults(io, root_of(io)), 0, "%s", log_faults_text(io, root_of(io)));
    sim_free(io);
    cutter->images += inner.images;
    cutter->recovered += inner.recovered;
}

static bool cut(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct cutter *cutter = arg;
    char text[SIM_CHOICE_TEXT_SIZE];
    cutter->images++;
    if (!see(cutter, sim_image_hash(image))) {
        return true;
    }
    sim_choice_format(choice, text);
    cutter->recovered++;
    recover_image(cutter, image);
    return true;
}

/* --- Histories --- */

static void put(struct cutter *cutter, struct log_user *user, size_t size)
{
    cutter->ledger.appended++;
    log_put(user, cutter->ledger.appended, size);
}

static void force(struct cutter *cutter, struct log_user *user)
{
    ok(txlog_force(user->log, log_info(user).append_lsn, &test_err));
    cutter->ledger.durable = cutter->ledger.appended;
}

static void trim(struct cutter *cutter, struct log_user *user, uint32_t upto)
{
    struct log_contents contents;
    log_contents(user, &contents);
    tx_lsn lsn = log_info(user).durable_lsn;
    for (unsigned i = 0; i < contents.count; i++) {
        lsn = contents.kinds[i] == upto + 1 ? contents.lsns[i] : lsn;
    }
    cutter->ledger.trimming = upto;
    ok(txlog_trim(user->log, lsn, &test_err));
    cutter->ledger.trimmed = upto;
}

static void history_forces(struct cutter *cutter, struct log_user *user)
{
    put(cutter, user, 100);
    force(cutter, user);
    put(cutter, user, 5000);
    put(cutter, user, 10);
    put(cutter, user, 10);
    force(cutter, user);
    put(cutter, user, 30000);
    put(cutter, user, 10);
    force(cutter, user);
    put(cutter, user, 10);
}

static void history_recoveries(struct cutter *cutter, struct log_user *user)
{
    put(cutter, user, 100);
    force(cutter, user);
    put(cutter, user, 5000);
    put(cutter, user, 10);
    log_reopen(user);
    cutter->ledger.durable = cutter->ledger.appended;
    put(cutter, user, 9000);
    log_reopen(user);
    cutter->ledger.durable = cutter->ledger.appended;
    put(cutter, user, 100);
    force(cutter, user);
    put(cutter, user, 100); /* the mark itself forces it */
    ok(txlog_mark_clean(user->log, &test_err));
    cutter->ledger.durable = cutter->ledger.appended;
    log_reopen(user);
    put(cutter, user, 100);
    force(cutter, user);
}

static void history_trims(struct cutter *cutter, struct log_user *user)
{
    for (unsigned i = 0; i < 4; i++) {
        put(cutter, user, 5000);
        put(cutter, user, 5000);
        force(cutter, user);
        trim(cutter, user, cutter->ledger.durable - (i % 2));
    }
    put(cutter, user, 20000);
    force(cutter, user);
    trim(cutter, user, cutter->ledger.durable);
    ok(txlog_prepare_segment(user->log, &test_err));
    put(cutter, user, 100);
    force(cutter, user);
}

/* All the room is taken by segments of which nothing is durable: recovery has to drop some. */
static void history_full(struct cutter *cutter, struct log_user *user)
{
    put(cutter, user, 100);
    force(cutter, user);
    for (unsigned i = 0; i < 5; i++) {
        put(cutter, user, 8200);
    }
}

/* A disk that has been full from the beginning: what was acknowledged last stands beside a spare,
 * then, once that is used, without one. */
static void history_full_disk(struct cutter *cutter, struct log_user *user)
{
    static const size_t sizes[] = {100, 5000, 100};
    sim_limit_space(user->io, 1);
    cutter->disk_is_full = true;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put(cutter, user, sizes[i]);
        force(cutter, user);
    }
    tx_lsn next;
    fails(TX_ENOSPC, log_try_put(user, 9, 100, &next));
}

/* `nest_each` 0: recoveries are not cut. */
static void cut_everywhere(void (*history)(struct cutter *, struct log_user *), unsigned nest_each,
                           uint64_t size_max, struct sim_plan plan)
{
    static const char *const log_files[] = {"/log/", "/control", NULL};
    struct sim_options options = SIM_OPTIONS_DEFAULT;
    const char *scale = getenv("TXKIT_TEST_SCALE");
    if (nest_each > 0 && scale != NULL && strtod(scale, NULL) < 0.2) { /* sanitizers, counters */
        nest_each *= 10;
        plan.exhaustive_max = 4;
        plan.samples = 4;
        plan.tears = 1;
    }
    struct cutter cutter = {.depth = nest_each > 0 ? 2 : 1,
                            .nest_each = nest_each > 0 ? nest_each : 1,
                            .plan = plan,
                            .seen = calloc(SEEN_SIZE, sizeof(uint64_t))};
    struct log_user user;
    options.profile = SIM_WEAKEST;
    options.garbage = log_files;
    struct txio *io = sim_new(&options);
    int root = root_of(io);
    log_make(io, root, size_max);
    cr_assert_eq(io->ops->syncfs(io, root), 0);
    sim_on_op(io, before_op, &cutter);
    log_open(&user, io, root);
    history(&cutter, &user);
    before_op(&cutter, io, 0, "end");
    sim_on_op(io, NULL, NULL);
    log_close(&user);
    sim_free(io);
    free(cutter.seen);
    fprintf(stderr, "# %llu images, %llu disks recovered, %llu with records written again\n",
            (unsigned long long)cutter.images, (unsigned long long)cutter.recovered,
            (unsigned long long)cutter.kept);
    cr_assert_gt(cutter.recovered, 100);
    cr_assert_gt(cutter.kept, 5);
}

static const struct sim_plan wide = {.exhaustive_max = 8, .samples = 24, .tears = 3, .seed = 1};
static const struct sim_plan narrow = {.exhaustive_max = 5, .samples = 8, .tears = 2, .seed = 2};

TestSuite(txlog_crash, .timeout = 300);

Test(txlog_crash, of_appends_and_forces)
{
    cut_everywhere(history_forces, 0, 0, wide);
}

Test(txlog_crash, of_recoveries)
{
    cut_everywhere(history_recoveries, 0, 0, wide);
}

Test(txlog_crash, of_trims_and_recycled_segments)
{
    cut_everywhere(history_trims, 0, 0, wide);
}

Test(txlog_crash, of_appends_and_again_of_their_recovery)
{
    cut_everywhere(history_forces, 2, 0, narrow);
}

Test(txlog_crash, of_recoveries_and_again_of_their_recovery)
{
    cut_everywhere(history_recoveries, 40, 0, narrow);
}

Test(txlog_crash, of_trims_and_again_of_their_recovery)
{
    cut_everywhere(history_trims, 2, 0, narrow);
}

Test(txlog_crash, of_a_full_log_and_again_of_its_recovery)
{
    cut_everywhere(history_full, 3, 6 * SMALL_SEGMENT, narrow);
}

Test(txlog_crash, of_a_full_disk_and_again_of_its_recovery)
{
    cut_everywhere(history_full_disk, 1, 0, wide);
}
