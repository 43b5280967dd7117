/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of one and of two steps, and drawn ones of three, as one transaction and as one
 * transaction each. That few operations on few names suffice is what B3 found out (Mohan et al.,
 * "Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI 2018).
 */
#include <stdio.h>

#include "sim/crash_internal.h"

#define APART "_then_"
#define TOGETHER "+"

static void small_tree(struct crash_run *run)
{
    struct ktm_txn *txn = crash_begin(run);
    MUST(run, txfs_put(txn, "f", crash_bytes(run, 300), 300, NULL, &run->err));
    MUST(run, txfs_mkdir(txn, "d", 0755, &run->err));
    MUST(run, txfs_put(txn, "d/g", crash_bytes(run, 4500), 4500, NULL, &run->err));
    MUST(run, txreg_create(txn, "K\\S", NULL, NULL, &run->err));
    MUST(run, txreg_set_u32(txn, "K", "v", 1, &run->err));
    MUST(run, txreg_set_u32(txn, "K\\S", "v", 2, &run->err));
    MUST(run, ktm_commit(txn, NULL, &run->err));
    run->spared = true; /* until the last step */
}

/* Only the last step is cut: the others are the last ones of shorter sequences. One that is refused
 * makes the sequence as good as a shorter one, too. */
static void work_sequence(struct crash_run *run)
{
    const struct crash_sequence *sequence = (const struct crash_sequence *)run->workload;
    struct ktm_txn *txn = crash_begin(run);
    for (unsigned i = 0; i < sequence->count; i++) {
        run->spared = i + 1 < sequence->count;
        if (crash_step_do(sequence->steps[i], run, txn) != TX_OK) {
            run->is_moot = true;
            ktm_rollback(txn);
            return;
        }
        if (sequence->apart && run->spared) {
            crash_commit(run, txn);
            txn = crash_begin(run);
        }
    }
    crash_commit(run, txn);
}

void crash_sequence_make(struct crash_sequence *sequence, const unsigned *which, unsigned count,
                         bool apart)
{
    *sequence = (struct crash_sequence){.count = count, .apart = apart};
    sequence->workload = (struct crash_workload){sequence->name, work_sequence, small_tree, false,
                                                 false};
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        sequence->steps[i] = which[i];
        if (i > 0) {
            size += (size_t)snprintf(sequence->name + size, sizeof sequence->name - size, "%s",
                                     apart ? APART : TOGETHER);
        }
        size += (size_t)crash_step_format(which[i], sequence->name + size, sizeof sequence->name - size);
    }
}

/* The step that the text begins with, crash_step_count() when there is none. */
static unsigned parse_step(const char *text, size_t size)
{
    char name[CRASH_SEQUENCE_NAME_SIZE];
    unsigned i = 0;
    for (; i < crash_step_count(); i++) {
        (void)crash_step_format(i, name, sizeof name);
        if (strlen(name) == size && strncmp(name, text, size) == 0) {
            break;
        }
    }
    return i;
}

bool crash_sequence_parse(struct crash_sequence *sequence, const char *text)
{
    bool apart = strstr(text, APART) != NULL;
    const char *between = apart ? APART : TOGETHER;
    unsigned which[CRASH_SEQUENCE_MAX];
    unsigned count = 0;
    for (const char *next = text; next != NULL; text = next + strlen(between)) {
        next = strstr(text, between);
        if (count == CRASH_SEQUENCE_MAX) {
            return false;
        }
        which[count] = parse_step(text, next != NULL ? (size_t)(next - text) : strlen(text));
        if (which[count++] == crash_step_count()) {
            return false;
        }
    }
    crash_sequence_make(sequence, which, count, apart);
    return true;
}

/* --- All of them ------------------------------------------------------------------------------ */

static void do_both(const unsigned *which, unsigned count, crash_sequence_fn *fn, void *arg)
{
    struct crash_sequence sequence;
    for (int apart = 0; apart < (count > 1 ? 2 : 1); apart++) {
        crash_sequence_make(&sequence, which, count, apart != 0);
        fn(arg, &sequence);
    }
}

void crash_each_sequence(uint64_t triples, crash_sequence_fn *fn, void *arg)
{
    unsigned count = crash_step_count();
    unsigned which[CRASH_SEQUENCE_MAX];
    for (which[0] = 0; which[0] < count; which[0]++) {
        do_both(which, 1, fn, arg);
        for (which[1] = 0; which[1] < count; which[1]++) {
            do_both(which, 2, fn, arg);
        }
    }
    uint64_t random = 1;
    for (uint64_t i = 0; i < triples; i++) {
        for (unsigned k = 0; k < 3; k++) {
            which[k] = (unsigned)((sim_random(&random) >> 16) % count);
        }
        do_both(which, 3, fn, arg);
    }
}
