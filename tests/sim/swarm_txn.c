/* SPDX-License-Identifier: MIT */
/* What the threads of a history do: one transaction after the other, and what becomes of those
 * that were prepared or detached. */
#include <inttypes.h>

#include "ktm/txn_record.h"
#include "sim/swarm_internal.h"

#define OPERATIONS_MAX 6u

void swarm_promise(struct swarm *swarm, const struct ledger_txn *txn, unsigned kind)
{
    char text[LEDGER_TEXT_SIZE];
    if (!ledger_promise(&swarm->ledger, txn, kind, text)) {
        swarm_wrong(swarm, "%s", text);
    }
    if (swarm->watched) {
        order_acknowledge(&swarm->order);
    }
}

/* --- The end of a transaction ----------------------------------------------------------------- */

static bool changes_something(const struct ledger_txn *txn)
{
    for (unsigned i = 0; i < txn->op_count; i++) {
        enum model_op_kind kind = txn->ops[i].kind;
        if (kind < MODEL_READ_FILE && (kind != MODEL_CREATE_KEY || txn->ops[i].found_key == 0)) {
            return true;
        }
    }
    return false;
}

void swarm_conflicted(struct swarm *swarm, const struct ledger_txn *txn,
                       const struct tx_error *err)
{
    swarm_count(swarm, SWARM_CONFLICTS);
    /* Keys that a killed one announced in vain are false alarms (src/ktm/README.md, 13). */
    bool killed = swarm->result->counters[SWARM_KILL] > 0;
    /* What a detached one had found, recovery may have built anew. */
    bool survivor = txn->id.epoch < swarm->ledger.epoch;
    if (!killed && !survivor && !swarm->hurt && !ledger_has_rivals(&swarm->ledger, txn)) {
        swarm_wrong(swarm, "conflict with nobody: %s", err->text);
    }
}

void swarm_commit(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    struct ledger_txn *txn = work->model;
    tx_lsn lsn = 0;
    txn->told = LEDGER_ASKED;
    enum tx_status status = ktm_commit(work->txn, &lsn, &work->err);
    swarm_say(swarm, "p%u: commit %" PRIu64 "-%" PRIu64 ": %s at LSN %" PRIu64 " %s",
              work->process->number, txn->id.epoch, txn->id.sequence, tx_status_name(status), lsn,
              status != TX_OK ? work->err.text : "");
    if (status == TX_OK || status == TX_EPENDING) {
        txn->told = LEDGER_COMMITTED;
        if (lsn != 0) {
            swarm_promise(swarm, txn, KTM_COMMIT);
        } else if (changes_something(txn)) {
            swarm_wrong(swarm, "a commit with changes wrote nothing");
        }
        swarm_count(swarm, SWARM_COMMITS);
    } else if (status == TX_EOUTCOME) {
        txn->told = LEDGER_UNKNOWN;
        swarm_count(swarm, SWARM_UNKNOWN);
    } else {
        txn->told = LEDGER_ABORTED;
    }
    if (status == TX_ECONFLICT) {
        swarm_conflicted(swarm, txn, &work->err);
    } else {
        swarm_expect(swarm, status, "commit", &work->err);
    }
}

static void prepare(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    struct ledger_txn *txn = work->model;
    txn->told = LEDGER_ASKED;
    enum tx_status status = ktm_prepare(work->txn, &work->err);
    swarm_say(swarm, "p%u: prepare %" PRIu64 "-%" PRIu64 ": %s", work->process->number,
              txn->id.epoch, txn->id.sequence, tx_status_name(status));
    if (status == TX_OK) {
        txn->told = LEDGER_PREPARED;
        swarm_promise(swarm, txn, KTM_PREPARE);
        swarm_count(swarm, SWARM_PREPARED);
    } else {
        txn->told = status == TX_EOUTCOME ? LEDGER_UNKNOWN : LEDGER_ABORTED;
    }
    if (status == TX_ECONFLICT) {
        swarm_conflicted(swarm, txn, &work->err);
    } else {
        swarm_expect(swarm, status, "prepare", &work->err);
    }
}

void swarm_roll_back(struct swarm_work *work)
{
    work->model->told = LEDGER_ABORTED;
    ktm_rollback(work->txn);
}

/* A detached transaction keeps no reads. */
static void forget_looks(struct ledger_txn *txn)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < txn->op_count; i++) {
        if (txn->ops[i].kind < MODEL_READ_FILE &&
            (txn->ops[i].kind != MODEL_CREATE_KEY || txn->ops[i].found_key == 0)) {
            txn->ops[kept++] = txn->ops[i];
        }
    }
    txn->op_count = kept;
}

void swarm_detach(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    forget_looks(work->model);
    work->model->told = LEDGER_ASKED;
    enum tx_status status = ktm_detach(work->txn, &work->err);
    swarm_say(swarm, "p%u: detach %" PRIu64 "-%" PRIu64 ": %s", work->process->number,
              work->model->id.epoch, work->model->id.sequence, tx_status_name(status));
    if (status == TX_OK) {
        work->model->told = LEDGER_DETACHED;
        swarm_count(swarm, SWARM_DETACHED);
        return;
    }
    work->model->unsure = true; /* what was saved is removed by rolling back, if that works */
    swarm_roll_back(work);
    swarm_expect(swarm, status, "detach", &work->err);
}

static void finish(struct swarm_work *work)
{
    const struct swarm_plan *plan = &work->swarm->plan;
    bool writes = changes_something(work->model);
    if (writes && swarm_chance(work->swarm, plan->prepare)) {
        prepare(work);
    } else if (writes && swarm_chance(work->swarm, plan->detach)) {
        swarm_detach(work);
    } else if (swarm_draw(work->swarm, 10) == 0) {
        swarm_roll_back(work);
    } else {
        swarm_commit(work);
    }
}

/* --- A transaction ---------------------------------------------------------------------------- */

static bool use_savepoint(struct swarm_work *work)
{
    struct model_state view = work->view;
    unsigned op_count = work->model->op_count;
    enum tx_status status = ktm_savepoint(work->txn, "mark", &work->err);
    for (unsigned i = 0; i < 2 && status == TX_OK; i++) {
        if (!swarm_operate(work)) {
            return false;
        }
    }
    if (status == TX_OK) {
        status = ktm_rollback_to(work->txn, "mark", &work->err);
        work->view = view;
        work->model->op_count = op_count;
        swarm_count(work->swarm, SWARM_SAVEPOINTS);
    }
    swarm_expect(work->swarm, status, "savepoint", &work->err);
    return status == TX_OK && swarm_look(work);
}

static bool step(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    if (swarm_chance(swarm, swarm->plan.savepoint)) {
        return use_savepoint(work);
    }
    return swarm_draw(swarm, 3) == 0 ? swarm_look(work) : swarm_operate(work);
}

void swarm_epoch(struct swarm_process *process)
{
    struct swarm *swarm = process->swarm;
    char text[LEDGER_TEXT_SIZE];
    swarm->quiet = true;
    bool fine = ledger_epoch(&swarm->ledger, txstore_log(process->store), text);
    swarm->quiet = false;
    if (!fine) {
        swarm_wrong(swarm, "%s", text);
    }
    if (swarm->ledger.lost > 0) {
        /* A damaged read passed for a torn end. Only what was acknowledged last can go so, but the
         * tree has it already: there is no state to compare with any more (docs/faults.md, 9). */
        swarm->given_up = true;
        swarm_say(swarm, "commits are lost to a damaged end of the log");
        sched_stop(&swarm->sched);
    }
}

/* False when it cannot begin. */
bool swarm_begin(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    char text[LEDGER_TEXT_SIZE];
    work->serializable = swarm_chance(swarm, swarm->plan.serializable);
    struct ktm_begin_options options = {
        .description = "of the swarm",
        .flags = work->serializable ? KTM_SERIALIZABLE : 0,
    };
    enum tx_status status =
        txstore_begin(work->process->store, &options, &work->txn, &work->err);
    swarm_expect(swarm, status, "begin", &work->err);
    if (status != TX_OK) {
        return false;
    }
    struct ktm_id id = ktm_txn_id(work->txn);
    tx_lsn snapshot = ktm_txn_snapshot(work->txn);
    const struct model_state *state = NULL;
    swarm_epoch(work->process);
    state = ledger_state(&swarm->ledger, snapshot, text);
    if (state == NULL) {
        swarm_wrong(swarm, "%s", text);
    }
    swarm_count(swarm, SWARM_TRANSACTIONS);
    swarm_say(swarm, "p%u: begin %" PRIu64 "-%" PRIu64 " at LSN %" PRIu64,
              work->process->number, id.epoch, id.sequence, snapshot);
    if (id.epoch != 0 && ledger_find(&swarm->ledger, &id) != NULL) {
        swarm_wrong(swarm, "identifier %" PRIu64 "-%" PRIu64 " was given before", id.epoch,
                    id.sequence);
    }
    work->model = ledger_txn_new(&swarm->ledger, &id, snapshot);
    work->model->owner = work->process->number;
    work->view = *state;
    return true;
}

static void new_transaction(struct swarm *swarm, struct swarm_process *process)
{
    struct swarm_work work = {.swarm = swarm, .process = process};
    if (!swarm_begin(&work)) {
        return;
    }
    bool going = !swarm_chance(swarm, swarm->plan.look_all) || swarm_look_all(&work);
    unsigned steps = swarm_draw(swarm, OPERATIONS_MAX + 1);
    for (unsigned i = 0; i < steps && going; i++) {
        going = step(&work);
    }
    if (going) {
        finish(&work);
    } else {
        swarm_roll_back(&work);
    }
}

void swarm_read(struct swarm *swarm, struct swarm_process *process)
{
    struct swarm_work work = {.swarm = swarm, .process = process};
    if (swarm_begin(&work)) {
        bool going = !swarm_chance(swarm, swarm->plan.look_all) || swarm_look_all(&work);
        for (unsigned i = swarm_draw(swarm, OPERATIONS_MAX + 1); i > 0 && going; i--) {
            going = swarm_look(&work);
        }
        swarm_roll_back(&work);
    }
    if (swarm_draw(swarm, 3) == 0 || txlog_is_poisoned(txstore_log(process->store))) {
        process->reopen = true;
    }
}

static void checkpoint(struct swarm *swarm, struct swarm_process *process)
{
    struct tx_error err = {0};
    enum tx_status status = txstore_checkpoint(process->store, &err);
    swarm_say(swarm, "p%u: checkpoint: %s", process->number, tx_status_name(status));
    swarm_expect(swarm, status, "checkpoint", &err);
    if (status == TX_OK) {
        swarm_count(swarm, SWARM_CHECKPOINTS);
    }
}

void swarm_transact(struct swarm *swarm, struct swarm_process *process)
{
    struct ledger_txn *prepared = NULL;
    struct ledger_txn *detached = NULL;
    if (swarm_draw(swarm, 4) == 0) {
        prepared = swarm_draw_waiting(swarm, LEDGER_PREPARED);
    }
    if (swarm_draw(swarm, 4) == 0) {
        detached = swarm_draw_waiting(swarm, LEDGER_DETACHED);
    }
    if (swarm_chance(swarm, swarm->plan.checkpoint)) {
        checkpoint(swarm, process);
    } else if (prepared != NULL) {
        swarm_decide(swarm, process, prepared);
    } else if (detached != NULL) {
        swarm_attach(swarm, process, detached);
    } else {
        new_transaction(swarm, process);
    }
    if (txlog_is_poisoned(txstore_log(process->store))) {
        process->reopen = true;
    }
}
