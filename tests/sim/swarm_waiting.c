/* SPDX-License-Identifier: MIT */
/* What becomes of transactions that were prepared or detached. */
#include <inttypes.h>

#include "ktm/txn_record.h"
#include "sim/swarm_internal.h"

/* One of those that were told so, drawn. */
struct ledger_txn *swarm_draw_waiting(struct swarm *swarm, enum ledger_told told)
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
        swarm_promise(swarm, txn, KTM_DECIDE);
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
        swarm_roll_back(work);
        return;
    }
    if (swarm_draw(work->swarm, 4) == 0) {
        swarm_detach(work);
    } else {
        swarm_commit(work);
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
        swarm_conflicted(swarm, txn, &work.err);
    } else {
        txn->unsure = true;
        swarm_expect(swarm, status, "attach", &work.err);
    }
    txn->deciding = false;
}

