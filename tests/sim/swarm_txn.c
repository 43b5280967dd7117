/* SPDX-License-Identifier: MIT */
/* What the threads of a history do: one transaction after the other, and what becomes of those
 * that were prepared or detached. */
#include <inttypes.h>

#include "ktm/txn_record.h"
#include "sim/swarm_internal.h"

#define OPERATIONS_MAX 6u

static void promise(struct swarm *swarm, const struct ledger_txn *txn, unsigned kind)
{
    char text[LEDGER_TEXT_SIZE];
    if (!ledger_promise(&swarm->ledger, txn, kind, text)) {
        swarm_wrong(swarm, "%s", text);
    }
}

/* --- The end of a transaction ------------------------------------------------------------------ */

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

static void conflicted(struct swarm *swarm, const struct ledger_txn *txn,
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

static void commit(struct swarm_work *work)
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
            promise(swarm, txn, KTM_COMMIT);
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
        conflicted(swarm, txn, &work->err);
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
        promise(swarm, txn, KTM_PREPARE);
        swarm_count(swarm, SWARM_PREPARED);
    } else {
        txn->told = status == TX_EOUTCOME ? LEDGER_UNKNOWN : LEDGER_ABORTED;
    }
    if (status == TX_ECONFLICT) {
        conflicted(swarm, txn, &work->err);
    } else {
        swarm_expect(swarm, status, "prepare", &work->err);
    }
}

static void roll_back(struct swarm_work *work)
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

static void detach(struct swarm_work *work)
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
    roll_back(work);
    swarm_expect(swarm, status, "detach", &work->err);
}

static void finish(struct swarm_work *work)
{
    const struct swarm_plan *plan = &work->swarm->plan;
    bool writes = changes_something(work->model);
    if (writes && swarm_chance(work->swarm, plan->prepare)) {
        prepare(work);
    } else if (writes && swarm_chance(work->swarm, plan->detach)) {
        detach(work);
    } else if (swarm_draw(work->swarm, 10) == 0) {
        roll_back(work);
    } else {
        commit(work);
    }
}

/* --- A transaction ----------------------------------------------------------------------------- */

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
}

/* False when it cannot begin. */
static bool begin(struct swarm_work *work)
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
    if (ledger_find(&swarm->ledger, &id) != NULL) {
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
    if (!begin(&work)) {
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
        roll_back(&work);
    }
}

/* --- What waits -------------------------------------------------------------------------------- */

/* One of those that were told so, drawn. */
static struct ledger_txn *draw_waiting(struct swarm *swarm, enum ledger_told told)
{
    struct ledger_txn *chosen = NULL;
    unsigned count = 0;
    for (struct ledger_txn *txn = swarm->ledger.txns; txn != NULL; txn = txn->next) {
        if (txn->told == told && !txn->deciding && swarm_draw(swarm, ++count) == 0) {
            chosen = txn;
        }
    }
    return chosen;
}

static void missing(struct swarm *swarm, struct ledger_txn *txn, const struct tx_error *err)
{
    if (!txn->unsure) {
        swarm_wrong(swarm, "transaction %" PRIu64 "-%" PRIu64 " is gone: %s", txn->id.epoch,
                    txn->id.sequence, err->text);
    }
    txn->told = LEDGER_UNKNOWN;
}

void swarm_decide(struct swarm *swarm, struct swarm_process *process, struct ledger_txn *txn)
{
    struct tx_error err = {0};
    struct ktm *tm = txstore_ktm(process->store);
    bool commits = swarm_draw(swarm, 3) != 0;
    txn->deciding = true;
    txn->owner = process->number;
    enum tx_status status = commits ? ktm_commit_prepared(tm, &txn->id, NULL, &err)
                                    : ktm_rollback_prepared(tm, &txn->id, &err);
    swarm_say(swarm, "p%u: %s %" PRIu64 "-%" PRIu64 ": %s %s", process->number,
              commits ? "commit prepared" : "roll back prepared", txn->id.epoch, txn->id.sequence,
              tx_status_name(status), status != TX_OK ? err.text : "");
    txn->deciding = false;
    if (status == TX_OK || status == TX_EPENDING) {
        promise(swarm, txn, KTM_DECIDE);
        txn->told = commits ? LEDGER_COMMITTED : LEDGER_ABORTED;
    } else if (status == TX_EOUTCOME) {
        txn->unsure = true;
    } else if (status == TX_ENOTFOUND || status == TX_EMISUSE) {
        missing(swarm, txn, &err);
        return;
    }
    if (status != TX_EBUSY) {
        swarm_expect(swarm, status, "decide", &err);
    }
}

static void end_attached(struct swarm_work *work)
{
    bool was_unsure = work->model->unsure;
    work->model->unsure = true; /* what was saved may stay when its removal fails */
    if (swarm_draw(work->swarm, 4) == 0) {
        roll_back(work);
        return;
    }
    if (swarm_draw(work->swarm, 4) == 0) {
        detach(work);
    } else {
        commit(work);
    }
    work->model->unsure = work->model->told == LEDGER_DETACHED ? was_unsure : true;
}

void swarm_attach(struct swarm *swarm, struct swarm_process *process, struct ledger_txn *txn)
{
    struct swarm_work work = {.swarm = swarm, .process = process, .model = txn};
    struct ktm *tm = txstore_ktm(process->store);
    txn->deciding = true;
    txn->owner = process->number;
    bool discards = swarm_draw(swarm, 5) == 0;
    enum tx_status status = discards ? ktm_discard(tm, &txn->id, &work.err)
                                     : ktm_attach(tm, &txn->id, &work.txn, &work.err);
    swarm_say(swarm, "p%u: %s %" PRIu64 "-%" PRIu64 ": %s %s", process->number,
              discards ? "discard" : "attach", txn->id.epoch, txn->id.sequence,
              tx_status_name(status), status != TX_OK ? work.err.text : "");
    if (status == TX_OK && discards) {
        txn->told = LEDGER_ABORTED;
    } else if (status == TX_OK) {
        end_attached(&work);
    } else if (status == TX_ENOTFOUND || status == TX_EMISUSE) {
        missing(swarm, txn, &work.err);
    } else if (status == TX_ECONFLICT) {
        conflicted(swarm, txn, &work.err);
    } else {
        txn->unsure = true;
        swarm_expect(swarm, status, "attach", &work.err);
    }
    txn->deciding = false;
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
    struct ledger_txn *txn = NULL;
    if (swarm_chance(swarm, swarm->plan.checkpoint)) {
        checkpoint(swarm, process);
    } else if (swarm_draw(swarm, 4) == 0 && (txn = draw_waiting(swarm, LEDGER_PREPARED)) != NULL) {
        swarm_decide(swarm, process, txn);
    } else if (swarm_draw(swarm, 4) == 0 && (txn = draw_waiting(swarm, LEDGER_DETACHED)) != NULL) {
        swarm_attach(swarm, process, txn);
    } else {
        new_transaction(swarm, process);
    }
    if (txlog_is_poisoned(txstore_log(process->store))) {
        process->reopen = true;
    }
}

bool swarm_begin(struct swarm_work *work) { return begin(work); }

void swarm_commit(struct swarm_work *work) { commit(work); }
