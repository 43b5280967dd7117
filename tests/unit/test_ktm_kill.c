/* SPDX-License-Identifier: MIT */
/*
 * A process is killed before each of its calls to the system, in turn, while it commits, prepares,
 * decides, detaches or makes a checkpoint; then another process looks, or the machine boots.
 */
#include <signal.h>
#include <unistd.h>

#include "ktm_world.h"
#include "sim/layer.h"

static struct ktm_id id;

struct killer {
    struct layer layer; /* first */
    unsigned left;
};

static void kill_before(struct layer *layer, struct layer_call *call)
{
    struct killer *killer = (struct killer *)layer;
    if (call->op == LAYER_process_id || call->op == LAYER_monotonic_ns ||
        call->op == LAYER_realtime_ns || killer->left == UINT32_MAX) {
        return;
    }
    if (killer->left-- == 0) {
        (void)kill(getpid(), SIGKILL);
    }
}

static void setup(void)
{
    world_setup();
    commit_pair(&handle, 1, 1);
}

TestSuite(ktm_kill, .init = setup, .fini = world_teardown, .timeout = 300);

struct job {
    void (*work)(struct handle *mine);
    unsigned calls;
};

/* What the child says before it dies: the id, and that it was told success. */
static void *shared_note;
struct note {
    struct ktm_id id;
    _Atomic uint32_t acknowledged;
};

static void child(void *arg)
{
    const struct job *job = arg;
    static struct killer killer;
    struct handle mine;
    layer_init(&killer.layer, txio_posix());
    killer.layer.before = kill_before;
    killer.left = UINT32_MAX;
    handle_join(&mine, world, &killer.layer.io);
    killer.left = job->calls;
    job->work(&mine);
    _exit(0);
}

/* False when the work got through alive. */
static bool killed_after(struct job *job, unsigned calls)
{
    job->calls = calls;
    return in_child(child, job) != 0;
}

static struct note *note_new(void)
{
    /* The last items of a toy's shared memory are used by nobody else. */
    shared_note = (void *)(uintptr_t)&world->live[1]->revision[TOY_ITEMS - 8];
    struct note *note = shared_note;
    memset(note, 0, sizeof *note);
    return note;
}

static void work_commit(struct handle *mine)
{
    struct note *note = shared_note;
    commit_pair(mine, 1, 2);
    atomic_store(&note->acknowledged, 1);
}

/* Both toys agree, and an acknowledged commit is there. */
static void check_pair(uint64_t before, uint64_t after, bool acknowledged, const char *where)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    uint64_t first = toy_get(txn, 0, 1), second = toy_get(txn, 1, 1);
    ktm_rollback(txn);
    cr_assert_eq(first, second, "%s: a mixture", where);
    cr_assert(first == after || (first == before && !acknowledged), "%s: %lu", where, first);
}

Test(ktm_kill, commit_is_whole_or_absent_for_who_lives_on)
{
    struct job job = {.work = work_commit};
    unsigned calls = 0, there = 0;
    bool killed = true;
    for (; killed; calls++) {
        struct note *note = note_new();
        commit_pair(&handle, 1, 1);
        killed = killed_after(&job, calls);
        ok(ktm_settle(handle.tm, ERR));
        check_pair(1, 2, atomic_load(&note->acknowledged), "living");
        there += toy_live_value(world, 0, 1) == 2;
        commit_pair(&handle, 2, calls + 1); /* the store still works */
    }
    /* Some kills were before the append, and more of them after it. */
    cr_expect_geq(calls - there, 2);
    cr_expect_gt(there, 3);
}

Test(ktm_kill, commit_is_whole_or_absent_after_a_reboot)
{
    struct job job = {.work = work_commit};
    bool killed = true;
    for (unsigned calls = 0; killed; calls++) {
        commit_pair(&handle, 1, 1);
        struct note *note = note_new();
        killed = killed_after(&job, calls);
        bool acknowledged = atomic_load(&note->acknowledged);
        handle_reboot(&handle);
        check_pair(1, 2, acknowledged, "rebooted");
    }
}

static void work_prepare(struct handle *mine)
{
    struct note *note = shared_note;
    int dir;
    struct ktm_txn *txn = txn_begin(mine, 0);
    note->id = ktm_txn_id(txn);
    toy_set(txn, 0, 1, 2);
    toy_set(txn, 1, 1, 2);
    ok(ktm_txn_staging(txn, &dir, ERR));
    make_file(dir, "p1", "payload");
    ok(ktm_prepare(txn, ERR));
    atomic_store(&note->acknowledged, 1);
}

static void check_prepared(const struct note *note, bool acknowledged, enum ktm_state state)
{
    struct ktm_txn_info info;
    enum tx_status status = ktm_query(handle.tm, &note->id, &info, ERR);
    cr_assert(status == TX_OK || (status == TX_ENOTFOUND && !acknowledged), "%s", test_err.text);
    check_pair(1, 1, false, "prepared");
    if (status == TX_OK) {
        cr_assert_eq(info.state, state);
        cr_assert(store_has(world, payload_path(&note->id)));
        ok(ktm_commit_prepared(handle.tm, &note->id, NULL, ERR));
        check_pair(2, 2, true, "decided");
        commit_pair(&handle, 1, 1);
    }
}

Test(ktm_kill, prepare_is_whole_or_absent)
{
    struct job job = {.work = work_prepare};
    bool killed = true;
    for (unsigned calls = 0; killed; calls++) {
        struct note *note = note_new();
        killed = killed_after(&job, calls);
        struct note kept = *note;
        bool acknowledged = atomic_load(&note->acknowledged);
        if (kept.id.sequence == 0) {
            continue; /* before there was an id */
        }
        if (calls % 2) {
            ok(ktm_checkpoint(handle.tm, ERR));
            check_prepared(&kept, acknowledged, KTM_PREPARED);
        } else {
            handle_reboot(&handle);
            check_prepared(&kept, acknowledged, KTM_IN_DOUBT);
        }
    }
}

static void work_decide(struct handle *mine)
{
    struct note *note = shared_note;
    ok(ktm_commit_prepared(mine->tm, &id, NULL, ERR));
    atomic_store(&note->acknowledged, 1);
}

Test(ktm_kill, decision_is_made_once)
{
    struct job job = {.work = work_decide};
    bool killed = true;
    for (unsigned calls = 0; killed; calls++) {
        struct ktm_txn *txn = txn_begin(&handle, 0);
        id = ktm_txn_id(txn);
        toy_set(txn, 0, 1, 2);
        toy_set(txn, 1, 1, 2);
        ok(ktm_prepare(txn, ERR));
        struct note *note = note_new();
        killed = killed_after(&job, calls);
        bool acknowledged = atomic_load(&note->acknowledged);
        if (calls % 2) {
            handle_reboot(&handle);
        }
        enum tx_status status = ktm_rollback_prepared(handle.tm, &id, ERR);
        cr_assert(status == TX_OK || status == TX_ENOTFOUND, "%s", test_err.text);
        cr_assert(status == TX_ENOTFOUND || !acknowledged);
        check_pair(status == TX_OK ? 1 : 2, status == TX_OK ? 1 : 2, true, "decided");
        commit_pair(&handle, 1, 1);
    }
}

static void work_attach_and_commit(struct handle *mine)
{
    struct note *note = shared_note;
    struct ktm_txn *txn;
    ok(ktm_attach(mine->tm, &id, &txn, ERR));
    ok(ktm_commit(txn, NULL, ERR));
    atomic_store(&note->acknowledged, 1);
}

Test(ktm_kill, detached_transaction_is_committed_or_still_detached)
{
    struct job job = {.work = work_attach_and_commit};
    bool killed = true;
    unsigned still = 0;
    for (unsigned calls = 0; killed; calls++) {
        struct ktm_txn *txn = txn_begin(&handle, 0);
        id = ktm_txn_id(txn);
        toy_set(txn, 0, 1, 2);
        toy_set(txn, 1, 1, 2);
        ok(ktm_detach(txn, ERR));
        struct note *note = note_new();
        killed = killed_after(&job, calls);
        bool acknowledged = atomic_load(&note->acknowledged);
        if (calls % 3 == 1) {
            handle_reboot(&handle);
        } else if (calls % 3 == 2) {
            ok(ktm_checkpoint(handle.tm, ERR));
        }
        enum tx_status status = ktm_attach(handle.tm, &id, &txn, ERR);
        cr_assert(status == TX_OK || status == TX_ENOTFOUND, "%s", test_err.text);
        cr_assert(status == TX_ENOTFOUND || !acknowledged);
        still += status == TX_OK;
        if (status == TX_OK) {
            ktm_rollback(txn);
        }
        check_pair(status == TX_OK ? 1 : 2, status == TX_OK ? 1 : 2, true, "attached");
        commit_pair(&handle, 1, 1);
    }
    cr_expect_gt(still, 3);
}

static void work_detach(struct handle *mine)
{
    struct note *note = shared_note;
    struct ktm_txn *txn;
    int dir;
    ok(ktm_attach(mine->tm, &id, &txn, ERR));
    toy_set(txn, 0, 1, 3);
    ok(ktm_txn_staging(txn, &dir, ERR));
    ok(ktm_detach(txn, ERR));
    atomic_store(&note->acknowledged, 1);
}

Test(ktm_kill, detaching_again_saves_all_or_leaves_the_old)
{
    struct job job = {.work = work_detach};
    bool killed = true;
    for (unsigned calls = 0; killed; calls++) {
        struct ktm_txn *txn = txn_begin(&handle, 0);
        id = ktm_txn_id(txn);
        toy_set(txn, 0, 1, 2);
        ok(ktm_detach(txn, ERR));
        struct note *note = note_new();
        killed = killed_after(&job, calls);
        bool acknowledged = atomic_load(&note->acknowledged);
        if (calls % 2) {
            handle_reboot(&handle);
        } else {
            ok(ktm_checkpoint(handle.tm, ERR));
        }
        ok(ktm_attach(handle.tm, &id, &txn, ERR));
        uint64_t value = toy_get(txn, 0, 1);
        cr_assert(value == 3 || (value == 2 && !acknowledged));
        ktm_rollback(txn);
    }
}

static void work_checkpoint(struct handle *mine)
{
    ok(ktm_checkpoint(mine->tm, ERR));
}

Test(ktm_kill, checkpoint_loses_nothing)
{
    struct job job = {.work = work_checkpoint};
    bool killed = true;
    for (unsigned calls = 0; killed; calls++) {
        commit_pair(&handle, 1, calls);
        killed = killed_after(&job, calls);
        if (calls % 2) {
            handle_reboot(&handle);
        } else {
            ok(ktm_checkpoint(handle.tm, ERR));
        }
        check_pair(calls, calls, true, "checkpoint");
    }
}

static void work_recover(void *arg)
{
    static struct killer killer;
    struct handle mine;
    layer_init(&killer.layer, txio_posix());
    killer.layer.before = kill_before;
    killer.left = *(unsigned *)arg;
    ok(handle_try_boot(&mine, world, &killer.layer.io));
}

Test(ktm_kill, recovery_can_be_cut_off_anywhere)
{
    bool killed = true;
    for (unsigned calls = 0; killed; calls += 3) {
        commit_pair(&handle, 1, calls);
        handle_close(&handle);
        world_reboot(world);
        killed = in_child(work_recover, &calls) != 0;
        world_reboot(world);
        handle_boot(&handle, world);
        check_pair(calls, calls, true, "recovery");
    }
}
