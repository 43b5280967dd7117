/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of one and of two steps, and drawn ones of three, as one transaction and as one
 * transaction each, and with something in the life of a store between. That few operations on few
 * names suffice is what B3 found out (Mohan et al., "Finding Crash-Consistency Bugs with Bounded
 * Black-Box Crash Testing", OSDI 2018).
 */
#include <stdio.h>

#include "sim/crash_internal.h"

#define TREE "tree" /* with its number and "_" begins the name; not of number 0 */

/* What stands between the steps in the name. */
static const char *const ways[CRASH_WAYS] = {
    [CRASH_TOGETHER] = "+",          [CRASH_APART] = "_then_",
    [CRASH_CHECKPOINT] = "_steady_", [CRASH_REOPEN] = "_reopen_",
    [CRASH_RECOVER] = "_recover_",   [CRASH_DETACH] = "_detach_",
    [CRASH_PREPARE] = "_prepare_",   [CRASH_REVERT] = "_revert_",
};

static void plant(struct crash_run *run)
{
    const struct crash_sequence *sequence = (const struct crash_sequence *)run->workload;
    struct ktm_txn *txn = crash_begin(run);
    crash_tree_plant(sequence->tree, run, txn);
    MUST(run, ktm_commit(txn, NULL, &run->err));
    run->spared = true; /* until the last step */
}

static struct ktm_txn *detach_and_attach(struct crash_run *run, struct ktm_txn *txn)
{
    struct ktm_id id = crash_detach(run, txn);
    MUST(run, ktm_attach(txstore_ktm(run->store), &id, &txn, &run->err));
    return txn;
}

/* From one step to the next. */
static struct ktm_txn *between(struct crash_run *run, enum crash_way way, struct ktm_txn *txn)
{
    if (way == CRASH_TOGETHER || way == CRASH_PREPARE) {
        return txn;
    }
    if (way == CRASH_DETACH) {
        return detach_and_attach(run, txn);
    }
    crash_commit(run, txn);
    if (way == CRASH_CHECKPOINT) {
        MUST(run, txstore_checkpoint(run->store, &run->err));
    } else if (way == CRASH_REOPEN || way == CRASH_RECOVER) {
        crash_close(run);
        crash_open(run);
    }
    return crash_begin(run);
}

static void commit_prepared(struct crash_run *run, struct ktm_txn *txn)
{
    struct ktm_id id = crash_prepare(run, txn);
    crash_close(run);
    crash_open(run);
    crash_commit_prepared(run, &id);
}

static void commit_and_revert(struct crash_run *run, struct ktm_txn *txn)
{
    tx_lsn lsn = 0;
    crash_doing(run);
    MUST(run, ktm_commit(txn, &lsn, &run->err));
    crash_done(run);
    if (lsn == 0) {
        return; /* it came to nothing, as to rename a file to another name of it */
    }
    crash_doing(run);
    MUST(run, txstore_revert(run->store, lsn, NULL, &run->err));
    crash_done(run);
}

static void finish(struct crash_run *run, enum crash_way way, struct ktm_txn *txn)
{
    if (way == CRASH_PREPARE) {
        commit_prepared(run, txn);
    } else if (way == CRASH_REVERT) {
        commit_and_revert(run, txn);
    } else {
        crash_commit(run, txn);
    }
}

/* Only the last step is cut: the others are the last ones of shorter sequences. One that is refused
 * makes the sequence as good as a shorter one, too. */
static void work_sequence(struct crash_run *run)
{
    const struct crash_sequence *sequence = (const struct crash_sequence *)run->workload;
    if (sequence->way == CRASH_RECOVER) {
        crash_close(run);
        crash_open_unclean(run);
    }
    struct ktm_txn *txn = crash_begin(run);
    for (unsigned i = 0; i < sequence->count; i++) {
        run->spared = i + 1 < sequence->count;
        if (crash_step_do(sequence->steps[i], sequence->tree, run, txn) != TX_OK) {
            run->is_moot = true;
            ktm_rollback(txn);
            return;
        }
        if (run->spared) {
            txn = between(run, sequence->way, txn);
        }
    }
    finish(run, sequence->way, txn);
}

void crash_sequence_finish(struct crash_sequence *sequence)
{
    char step[CRASH_SEQUENCE_NAME_SIZE];
    char *name = sequence->name;
    size_t room = sizeof sequence->name;
    sequence->workload = (struct crash_workload){name, work_sequence, plant, false, false};
    size_t size = 0;
    if (sequence->tree != 0) {
        size = (size_t)snprintf(name, room, TREE "%u_", sequence->tree);
    }
    for (unsigned i = 0; i < sequence->count; i++) {
        (void)crash_step_format(sequence->steps[i], sequence->tree, step, sizeof step);
        size += (size_t)snprintf(name + size, room - size, "%s%s", /* fits */
                                 i == 0 ? "" : ways[sequence->way], step);
    }
}

/* The step of that name, crash_step_count() when there is none. */
static unsigned parse_step(unsigned tree, const char *text, size_t size)
{
    char name[CRASH_SEQUENCE_NAME_SIZE];
    unsigned i = 0;
    for (; i < crash_step_count(); i++) {
        (void)crash_step_format(i, tree, name, sizeof name);
        if (strlen(name) == size && strncmp(name, text, size) == 0) {
            break;
        }
    }
    return i;
}

/* The one whose mark stands in the name. */
static enum crash_way parse_way(const char *text)
{
    unsigned way = CRASH_TOGETHER + 1;
    while (way < CRASH_WAYS && strstr(text, ways[way]) == NULL) {
        way++;
    }
    return way < CRASH_WAYS ? (enum crash_way)way : CRASH_TOGETHER;
}

bool crash_sequence_parse(struct crash_sequence *sequence, const char *text)
{
    int begin = 0;
    *sequence = (struct crash_sequence){.way = parse_way(text)};
    const char *mark = ways[sequence->way];
    if (sscanf(text, TREE "%u_%n", &sequence->tree, &begin) < 1 || begin == 0) {
        sequence->tree = 0;
        begin = 0;
    }
    text += begin;
    for (const char *next = text; next != NULL; text = next + strlen(mark)) {
        next = strstr(text, mark);
        if (sequence->count == CRASH_SEQUENCE_MAX || sequence->tree >= crash_tree_count()) {
            return false;
        }
        size_t size = next != NULL ? (size_t)(next - text) : strlen(text);
        unsigned step = parse_step(sequence->tree, text, size);
        if (step == crash_step_count()) {
            return false;
        }
        sequence->steps[sequence->count++] = step;
    }
    crash_sequence_finish(sequence);
    return true;
}

/* --- All of them ------------------------------------------------------------------------------ */

/* In every way. False when it is refused: then it is in all. */
static bool each_way(struct crash_sequence sequence, crash_sequence_fn *fn, void *arg)
{
    bool possible = true;
    for (unsigned way = 0; possible && way < (sequence.count > 1 ? CRASH_WAYS : 1u); way++) {
        sequence.way = (enum crash_way)way;
        crash_sequence_finish(&sequence);
        possible = fn(arg, &sequence);
    }
    return possible;
}

static void each_of_tree(unsigned tree, uint64_t triples, crash_sequence_fn *fn, void *arg)
{
    unsigned count = crash_step_count();
    uint64_t random = 1;
    bool possible[CRASH_STEPS_MAX];
    for (unsigned i = 0; i < count; i++) {
        struct crash_sequence sequence = {.tree = tree, .count = 1, .steps = {i}};
        possible[i] = each_way(sequence, fn, arg);
        sequence.count = 2;
        for (; possible[i] && sequence.steps[1] < count; sequence.steps[1]++) {
            (void)each_way(sequence, fn, arg);
        }
    }
    for (uint64_t i = 0; i < triples; i++) {
        struct crash_sequence sequence = {.tree = tree, .count = 3};
        for (unsigned k = 0; k < sequence.count; k++) {
            sequence.steps[k] = (unsigned)((sim_random(&random) >> 16) % count);
        }
        if (possible[sequence.steps[0]]) {
            (void)each_way(sequence, fn, arg);
        }
    }
}

void crash_each_sequence(uint64_t triples, crash_sequence_fn *fn, void *arg)
{
    for (unsigned tree = 0; tree < crash_tree_count(); tree++) {
        each_of_tree(tree, triples / crash_tree_count(), fn, arg);
    }
}
