/* SPDX-License-Identifier: MIT */
#include "sim/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ktm/txn_record.h"
#include "sim/sim_internal.h"
#include "txlog/log_format.h"

void ledger_init(struct ledger *ledger, struct model_arena *arena, const struct model_state *first)
{
    *ledger = (struct ledger){.arena = arena, .first = first};
}

void ledger_release(struct ledger *ledger)
{
    while (ledger->txns != NULL) {
        struct ledger_txn *txn = ledger->txns;
        ledger->txns = txn->next;
        free(txn);
    }
    free(ledger->records);
    free(ledger->seen);
}

struct ledger_txn *ledger_txn_new(struct ledger *ledger, const struct ktm_id *id, tx_lsn snapshot)
{
    struct ledger_txn *txn = sim_need(malloc(sizeof *txn));
    txn->id = *id;
    txn->told = LEDGER_RUNNING;
    txn->deciding = false;
    txn->unsure = false;
    txn->op_count = 0;
    txn->owner = 0;
    txn->snapshot = snapshot;
    txn->next = ledger->txns;
    ledger->txns = txn;
    return txn;
}

struct ledger_txn *ledger_find(struct ledger *ledger, const struct ktm_id *id)
{
    struct ledger_txn *txn = ledger->txns;
    while (txn != NULL && (txn->id.epoch != id->epoch || txn->id.sequence != id->sequence)) {
        txn = txn->next;
    }
    return txn;
}

void ledger_owner_died(struct ledger *ledger, unsigned owner)
{
    for (struct ledger_txn *txn = ledger->txns; txn != NULL; txn = txn->next) {
        if (txn->owner != owner) {
            continue;
        }
        if (txn->told == LEDGER_RUNNING) {
            txn->told = LEDGER_ABORTED;
        } else if (txn->told == LEDGER_ASKED) {
            txn->told = LEDGER_UNKNOWN;
        }
        txn->unsure = txn->unsure || txn->deciding;
        txn->deciding = false;
    }
}

/* --- Records ---------------------------------------------------------------------------------- */

/* The first record at or after an LSN. */
static unsigned find_lsn(const struct ledger *ledger, tx_lsn lsn)
{
    unsigned at = ledger->count;
    while (at > 0 && ledger->records[at - 1].lsn >= lsn) {
        at--;
    }
    return at;
}

static struct ledger_seen *find_seen(const struct ledger *ledger, tx_lsn lsn)
{
    unsigned at = ledger->seen_count;
    while (at > 0 && ledger->seen[at - 1].lsn != lsn) {
        at--;
    }
    return at > 0 ? &ledger->seen[at - 1] : NULL;
}

static void put_record(struct ledger *ledger, const struct ledger_record *record)
{
    unsigned at = find_lsn(ledger, record->lsn);
    bool there = at < ledger->count && ledger->records[at].lsn == record->lsn;
    if (there && ledger->records[at].epoch == record->epoch &&
        ledger->records[at].txn == record->txn && ledger->records[at].kind == record->kind) {
        return; /* written again by recovery */
    }
    struct ledger_seen *seen = find_seen(ledger, record->lsn);
    if (seen != NULL) {
        *seen = ledger->seen[--ledger->seen_count];
    }
    if (!there) {
        if (ledger->count == ledger->room) {
            ledger->room = ledger->room * 2 + 64;
            ledger->records =
                sim_need(realloc(ledger->records, ledger->room * sizeof *ledger->records));
        }
        memmove(ledger->records + at + 1, ledger->records + at,
                (ledger->count - at) * sizeof *ledger->records);
        ledger->count++;
    }
    ledger->records[at] = *record;
    ledger->known = ledger->known < at ? ledger->known : at;
}

void ledger_write(struct ledger *ledger, const struct iovec *parts, int count)
{
    struct frame_header frame;
    const uint8_t *first = parts[0].iov_base;
    if (parts[0].iov_len < FRAME_HEADER_SIZE || tx_get32(first) != FRAME_MAGIC ||
        !frame_decode(&frame, first)) {
        return;
    }
    if (count < 2 || parts[0].iov_len != FRAME_HEADER_SIZE) {
        return; /* recovery writes its own record, or one again that is known */
    }
    struct ledger_record record = {.lsn = frame.lsn, .epoch = frame.epoch, .kind = frame.kind};
    const uint8_t *payload = parts[1].iov_base;
    struct ktm_id id;
    if (frame.kind == KTM_DECIDE && parts[1].iov_len >= KTM_DECISION_SIZE) {
        struct ktm_decision decision;
        (void)tx_fields_decode(ktm_decision_fields, &decision, payload);
        id = (struct ktm_id){decision.epoch, decision.sequence};
        record.commits = decision.outcome == KTM_DECIDE_COMMIT;
    } else if (parts[1].iov_len >= KTM_HEADER_SIZE) {
        struct ktm_header header;
        (void)tx_fields_decode(ktm_header_fields, &header, payload);
        id = (struct ktm_id){header.epoch, header.sequence};
    } else {
        return;
    }
    record.txn = ledger_find(ledger, &id);
    if (record.txn != NULL) {
        put_record(ledger, &record);
    }
}

/* --- Recoveries ------------------------------------------------------------------------------- */

static void note_seen(struct ledger *ledger, const struct frame_header *frame)
{
    struct ledger_seen *seen = find_seen(ledger, frame->lsn);
    if (seen == NULL) {
        if (ledger->seen_count == ledger->seen_room) {
            ledger->seen_room = ledger->seen_room * 2 + 64;
            ledger->seen = sim_need(realloc(ledger->seen, ledger->seen_room * sizeof *seen));
        }
        seen = &ledger->seen[ledger->seen_count++];
    }
    *seen = (struct ledger_seen){frame->lsn, frame->epoch, frame->kind};
}

void ledger_read(struct ledger *ledger, uint64_t segment, const uint8_t *data, size_t size)
{
    struct frame_header frame;
    for (size_t at = 0; at + FRAME_HEADER_SIZE <= size; at += TXLOG_BLOCK_SIZE) {
        if (tx_get32(data + at) == FRAME_MAGIC && frame_decode(&frame, data + at) &&
            frame.segment == segment) {
            note_seen(ledger, &frame);
        }
    }
}

/* What was trimmed before the recovery was durable; what the recovery read and then trimmed was
 * there or not; the rest is in the log or is not. */
static bool survives(const struct ledger *ledger, struct txlog *log,
                     const struct ledger_record *record)
{
    const struct ledger_seen *seen = find_seen(ledger, record->lsn);
    struct tx_buf payload = TX_BUF_INIT;
    struct txlog_record found;
    struct txlog_info info;
    enum tx_status status = txlog_read(log, record->lsn, &found, &payload, NULL);
    tx_buf_release(&payload);
    txlog_get_info(log, &info);
    if (record->lsn < info.start_lsn) {
        return seen == NULL || (seen->epoch == record->epoch && seen->kind == record->kind);
    }
    return status == TX_OK && found.epoch == record->epoch && found.kind == record->kind;
}

static bool lose(struct ledger *ledger, const struct ledger_record *record,
                 char text[LEDGER_TEXT_SIZE])
{
    bool hurt = ledger->may_lose ||
                (ledger->may_lose_from != 0 && record->lsn >= ledger->may_lose_from);
    if (hurt || !record->promised) {
        ledger->lost += hurt;
        return true;
    }
    (void)snprintf(text, LEDGER_TEXT_SIZE,
                   "promised transaction %" PRIu64 "-%" PRIu64 " at LSN %" PRIu64
                   " is lost by the recovery of epoch %" PRIu64,
                   record->txn->id.epoch, record->txn->id.sequence, record->lsn, ledger->epoch);
    return false;
}

void ledger_may_lose_what_comes(struct ledger *ledger)
{
    ledger->may_lose_from = 1;
    for (unsigned i = 0; i < ledger->count; i++) {
        if (ledger->records[i].promised) {
            ledger->may_lose_from = ledger->records[i].lsn + 1;
        }
    }
}

bool ledger_epoch(struct ledger *ledger, struct txlog *log, char text[LEDGER_TEXT_SIZE])
{
    struct txlog_info info;
    unsigned kept = 0;
    bool fine = true;
    txlog_get_info(log, &info);
    if (info.identity.epoch <= ledger->epoch) {
        return true;
    }
    ledger->epoch = info.identity.epoch;
    for (unsigned i = 0; i < ledger->count; i++) {
        const struct ledger_record *record = &ledger->records[i];
        if (record->epoch >= ledger->epoch || survives(ledger, log, record)) {
            ledger->records[kept++] = *record;
            continue;
        }
        ledger->known = ledger->known < kept ? ledger->known : kept;
        fine = lose(ledger, record, text) && fine;
    }
    ledger->count = kept;
    return fine;
}

/* --- States ----------------------------------------------------------------------------------- */

static bool carry_out(struct ledger *ledger, unsigned at, char text[LEDGER_TEXT_SIZE])
{
    struct ledger_record *record = &ledger->records[at];
    const struct model_state *before = at == 0 ? ledger->first : ledger->records[at - 1].after;
    const struct ledger_txn *txn = record->txn;
    bool has_effects = record->kind == KTM_COMMIT || record->commits;
    const char *wrong = NULL;
    char misfit[MODEL_TEXT_SIZE] = "";
    record->after = before;
    for (unsigned i = 0; i < at && has_effects; i++) {
        const struct ledger_record *earlier = &ledger->records[i];
        if (earlier->txn == txn && earlier->kind != KTM_PREPARE) {
            wrong = "was committed before";
        }
    }
    if (txn->told == LEDGER_ABORTED && record->kind != KTM_PREPARE && has_effects) {
        wrong = "was answered as aborted";
    }
    if (has_effects && wrong == NULL) {
        struct model_state *after = model_alloc(ledger->arena, sizeof *after);
        *after = *before;
        if (!model_replay(ledger->arena, after, txn->ops, txn->op_count, misfit)) {
            wrong = "overlooked a change: it found something else before ";
        }
        record->after = after;
    }
    if (wrong != NULL) {
        (void)snprintf(text, LEDGER_TEXT_SIZE,
                       "transaction %" PRIu64 "-%" PRIu64 ", committed at LSN %" PRIu64 ", %s%s",
                       txn->id.epoch, txn->id.sequence, record->lsn, wrong, misfit);
    }
    return wrong == NULL;
}

const struct model_state *ledger_state(struct ledger *ledger, tx_lsn snapshot,
                                       char text[LEDGER_TEXT_SIZE])
{
    unsigned count = find_lsn(ledger, snapshot);
    for (; ledger->known < count; ledger->known++) {
        if (!carry_out(ledger, ledger->known, text)) {
            return NULL;
        }
    }
    return count == 0 ? ledger->first : ledger->records[count - 1].after;
}

bool ledger_promise(struct ledger *ledger, const struct ledger_txn *txn, unsigned kind,
                    char text[LEDGER_TEXT_SIZE])
{
    for (unsigned i = ledger->count; i-- > 0;) {
        struct ledger_record *record = &ledger->records[i];
        if (record->txn == txn && record->kind == kind) {
            record->promised = true;
            ledger->commits += kind == KTM_COMMIT || record->commits;
            return true;
        }
    }
    (void)snprintf(text, LEDGER_TEXT_SIZE,
                   "transaction %" PRIu64 "-%" PRIu64 " was answered as durable and is not in "
                   "the log",
                   txn->id.epoch, txn->id.sequence);
    return false;
}

const struct ledger_record *ledger_decision(const struct ledger *ledger,
                                            const struct ledger_txn *txn)
{
    for (unsigned i = ledger->count; i-- > 0;) {
        const struct ledger_record *record = &ledger->records[i];
        if (record->txn == txn && record->kind != KTM_PREPARE) {
            return record;
        }
    }
    return NULL;
}

const struct ledger_record *ledger_prepare(const struct ledger *ledger,
                                           const struct ledger_txn *txn)
{
    for (unsigned i = ledger->count; i-- > 0;) {
        const struct ledger_record *record = &ledger->records[i];
        if (record->txn == txn && record->kind == KTM_PREPARE) {
            return record;
        }
    }
    return NULL;
}

bool ledger_has_rivals(const struct ledger *ledger, const struct ledger_txn *txn)
{
    for (unsigned i = ledger->count; i-- > 0;) {
        const struct ledger_record *record = &ledger->records[i];
        if (record->txn != txn && (record->lsn >= txn->snapshot || record->kind == KTM_PREPARE)) {
            return true;
        }
    }
    return false;
}
