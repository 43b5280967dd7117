/* SPDX-License-Identifier: MIT */
/* When the faults are over everything must get well: what waits is decided, commits and
 * checkpoints work, the store is whole. */
#include <inttypes.h>

#include "sim/swarm_internal.h"

#define WAITING_MAX 256u

struct waiting {
    struct ktm_txn_info infos[WAITING_MAX];
    unsigned count;
};

static enum tx_status collect(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    struct waiting *waiting = arg;
    if (waiting->count == WAITING_MAX) {
        return tx_error_set(err, TX_ELIMIT, "more than %u transactions wait", WAITING_MAX);
    }
    waiting->infos[waiting->count++] = *info;
    return TX_OK;
}

/* --- What waits ------------------------------------------------------------------------------- */

static bool is_listed(const struct waiting *waiting, const struct ledger_txn *txn)
{
    for (unsigned i = 0; i < waiting->count; i++) {
        const struct ktm_id *id = &waiting->infos[i].id;
        if (id->epoch == txn->id.epoch && id->sequence == txn->id.sequence) {
            return true;
        }
    }
    return false;
}

static void nothing_is_missing(struct swarm *swarm, const struct waiting *waiting)
{
    for (const struct ledger_txn *txn = swarm->ledger.txns; txn != NULL; txn = txn->next) {
        bool waits = txn->told == LEDGER_PREPARED || txn->told == LEDGER_DETACHED;
        if (waits && !txn->unsure && !is_listed(waiting, txn)) {
            swarm_wrong(swarm, "%s transaction %" PRIu64 "-%" PRIu64 " is not listed",
                        txn->told == LEDGER_PREPARED ? "prepared" : "detached", txn->id.epoch,
                        txn->id.sequence);
        }
    }
}

static void settle_one(struct swarm *swarm, struct swarm_process *process,
                       const struct ktm_txn_info *info)
{
    struct ledger_txn *txn = ledger_find(&swarm->ledger, &info->id);
    char text[KTM_ID_TEXT_SIZE];
    ktm_id_format(&info->id, text);
    if (txn == NULL) {
        swarm_wrong(swarm, "transaction %s is listed and nobody began it", text);
    }
    if (info->state == KTM_ACTIVE) {
        bool legal = txn->told == LEDGER_DETACHED || txn->told == LEDGER_UNKNOWN || txn->unsure;
        if (!legal) {
            swarm_wrong(swarm, "transaction %s is listed as detached, its owner was told %d", text,
                        (int)txn->told);
        }
        swarm_attach(swarm, process, txn);
        return;
    }
    const struct ledger_record *decision = ledger_decision(&swarm->ledger, txn);
    if (ledger_prepare(&swarm->ledger, txn) == NULL || decision != NULL ||
        (txn->told != LEDGER_PREPARED && txn->told != LEDGER_UNKNOWN && !txn->unsure)) {
        swarm_wrong(swarm, "transaction %s is listed as prepared, its owner was told %d%s", text,
                    (int)txn->told, decision != NULL ? ", and it is decided" : "");
    }
    swarm_decide(swarm, process, txn);
}

static void settle_waiting(struct swarm *swarm, struct swarm_process *process)
{
    struct waiting *waiting = model_alloc(&swarm->arena, sizeof *waiting);
    struct tx_error err = {0};
    swarm_expect(swarm, ktm_list(txstore_ktm(process->store), collect, waiting, &err), "list",
                 &err);
    nothing_is_missing(swarm, waiting);
    for (unsigned i = 0; i < waiting->count; i++) {
        settle_one(swarm, process, &waiting->infos[i]);
    }
}

/* --- All is well ------------------------------------------------------------------------------ */

static void look(struct swarm *swarm, struct swarm_process *process)
{
    struct swarm_work work = {.swarm = swarm, .process = process};
    if (!swarm_begin(&work) || !swarm_look_all(&work)) {
        swarm_wrong(swarm, "the store cannot be read: %s", work.err.text);
    }
    work.model->told = LEDGER_ABORTED;
    ktm_rollback(work.txn);
}

static void change(struct swarm *swarm, struct swarm_process *process)
{
    struct swarm_work work = {.swarm = swarm, .process = process};
    if (!swarm_begin(&work)) {
        swarm_wrong(swarm, "a transaction cannot begin: %s", work.err.text);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (!swarm_operate(&work)) {
            swarm_wrong(swarm, "an operation is refused: %s", work.err.text);
        }
    }
    swarm_commit(&work);
    if (work.model->told != LEDGER_COMMITTED) {
        swarm_wrong(swarm, "a lone transaction is refused: %s", work.err.text);
    }
}

void swarm_settle(struct swarm *swarm, struct swarm_process *process)
{
    struct tx_error err = {0};
    look(swarm, process);
    settle_waiting(swarm, process);
    change(swarm, process);
    swarm_expect(swarm, txstore_checkpoint(process->store, &err), "last checkpoint", &err);
    swarm_count(swarm, SWARM_CHECKPOINTS);
    change(swarm, process);
    look(swarm, process);
}
