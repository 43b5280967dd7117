/* SPDX-License-Identifier: MIT */
/*
 * Errors instead of power cuts: each operation fails in turn, once or from there on, with every
 * errno that it may have, and syncs in the three ways in which file systems fail them.
 */
#include <inttypes.h>

#include "sim/crash_internal.h"

#define SYNCS (LAYER_BIT(datasync) | LAYER_BIT(sync) | LAYER_BIT(syncfs))
#define SPACE                                                                                      \
    (LAYER_BIT(pwritev) | LAYER_BIT(truncate) | LAYER_BIT(allocate) | LAYER_BIT(mkdir) |           \
     LAYER_BIT(rename) | LAYER_BIT(link) | LAYER_BIT(symlink) | LAYER_BIT(open) |                  \
     LAYER_BIT(set_attr) | LAYER_BIT(set_xattr))
#define CHANGES                                                                                    \
    (SPACE | LAYER_BIT(unlink) | LAYER_BIT(rmdir) | LAYER_BIT(remove_xattr) | LAYER_BIT(mknod))
#define READS                                                                                      \
    (LAYER_BIT(pread) | LAYER_BIT(stat) | LAYER_BIT(fstat) | LAYER_BIT(list) |                     \
     LAYER_BIT(readlink) | LAYER_BIT(get_xattr) | LAYER_BIT(list_xattr) | LAYER_BIT(fs_info))
#define ONCE 1
#define FOR_EVER 0

/* What an interrupted call says is for the layer below the seam (OS_CALL in src/txio), which tries
 * again; here it is one more errno. */
static const struct kind {
    const char *name;
    uint64_t ops;
    enum fault_kind kind;
    int os_errno;
    uint64_t times;
} kinds[] = {
    {"EIO once", CHANGES | SYNCS, FAULT_ERRNO, EIO, ONCE},
    {"EIO for ever", CHANGES | SYNCS, FAULT_ERRNO, EIO, FOR_EVER},
    {"EIO of a look once", READS, FAULT_ERRNO, EIO, ONCE},
    {"EIO of looks for ever", READS, FAULT_ERRNO, EIO, FOR_EVER},
    {"ENOSPC once", SPACE, FAULT_ERRNO, ENOSPC, ONCE},
    {"ENOSPC for ever", SPACE, FAULT_ERRNO, ENOSPC, FOR_EVER},
    {"EDQUOT once", SPACE, FAULT_ERRNO, EDQUOT, ONCE},
    {"EDQUOT for ever", SPACE, FAULT_ERRNO, EDQUOT, FOR_EVER},
    {"EROFS once", CHANGES, FAULT_ERRNO, EROFS, ONCE},
    {"EROFS for ever", CHANGES, FAULT_ERRNO, EROFS, FOR_EVER},
    {"EINTR once", CHANGES | SYNCS | READS | LAYER_BIT(lock), FAULT_ERRNO, EINTR, ONCE},
    {"EINTR for ever", CHANGES | SYNCS | READS, FAULT_ERRNO, EINTR, FOR_EVER},
    {"EMFILE once", LAYER_BIT(open), FAULT_ERRNO, EMFILE, ONCE},
    {"EMFILE for ever", LAYER_BIT(open), FAULT_ERRNO, EMFILE, FOR_EVER},
    {"ENOMEM once", CHANGES | SYNCS | READS | LAYER_BIT(map) | LAYER_BIT(lock), FAULT_ERRNO, ENOMEM,
     ONCE},
    {"ENOMEM for ever", CHANGES | SYNCS | READS, FAULT_ERRNO, ENOMEM, FOR_EVER},
    {"EACCES once", CHANGES | READS, FAULT_ERRNO, EACCES, ONCE},
    {"EACCES for ever", CHANGES | READS, FAULT_ERRNO, EACCES, FOR_EVER},
    {"ESTALE once", CHANGES | SYNCS | READS, FAULT_ERRNO, ESTALE, ONCE},
    {"ESTALE for ever", CHANGES | SYNCS | READS, FAULT_ERRNO, ESTALE, FOR_EVER},
    {"error after the fact", CHANGES & ~LAYER_BIT(open), FAULT_ERRNO_AFTER, EIO, ONCE},
    {"short write or read", LAYER_BIT(pwritev) | LAYER_BIT(pread), FAULT_SHORT, 0, ONCE},
    {"all short", LAYER_BIT(pwritev) | LAYER_BIT(pread), FAULT_SHORT, 0, FOR_EVER},
    {"sync keeps", SYNCS, FAULT_SYNC_KEEPS, EIO, ONCE},
    {"sync reverts", SYNCS, FAULT_SYNC_REVERTS, EIO, ONCE},
    {"sync fails late", SYNCS, FAULT_SYNC_LATE, EIO, ONCE},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool fault_has_fired(void *arg)
{
    struct crash_failure *failure = arg;
    return fault_fired(&failure->run.fault) > 0;
}

static void fault_end(void *arg)
{
    struct crash_failure *failure = arg;
    fault_clear(&failure->run.fault);
}

static void fault_suspend(void *arg, bool suspended)
{
    struct crash_failure *failure = arg;
    failure->run.fault.suspended = suspended;
}

/* False when there is no such call any more. */
static bool fail_one(const struct crash_run *reference, struct crash_tally *tally,
                     const struct kind *kind, uint64_t nth)
{
    struct fault_rule rule = {.ops = kind->ops, .nth = nth, .times = kind->times,
                              .kind = kind->kind, .os_errno = kind->os_errno};
    struct crash_failure failure = {
        .tally = tally,
        .kind = kind->name,
        .nth = nth,
        .has_fired = fault_has_fired,
        .end = fault_end,
        .may_cut = kind->kind != FAULT_SYNC_LATE, /* it lied: nobody could keep a promise */
    };
    failure.arg = &failure;
    crash_failure_prepare(&failure, reference);
    failure.run.suspend = fault_suspend;
    (void)fault_add(&failure.run.fault, &rule);
    return crash_failure_run(&failure);
}

/* When only some fail, the kinds take turns at the calls, so that each call meets some. */
static void fail_all(const struct crash_run *reference, struct crash_tally *tally)
{
    for (unsigned i = 0; i < KINDS; i++) {
        uint64_t nth = 1 + i % tally->every;
        while (crash_tally_goes_on(tally) && fail_one(reference, tally, &kinds[i], nth)) {
            nth += tally->every;
        }
    }
}

bool crash_faults(const char *workload, struct crash_tally *tally)
{
    return crash_each_failure("errors", workload, tally, fail_all);
}
