/* SPDX-License-Identifier: MIT */
/*
 * Who committed what, in which order: read from the records on their way into the log, so that the
 * oracle knows it without asking the library. The state at any LSN is the replay of the model's
 * transactions in the order of their records.
 */
#ifndef TX_SIM_LEDGER_H
#define TX_SIM_LEDGER_H

#include <sys/uio.h>

#include <txkit/ktm.h>

#include "sim/model.h"

#define LEDGER_OPS_MAX 24u
#define LEDGER_TEXT_SIZE 400u

/* What its owner was told last. */
enum ledger_told {
    LEDGER_RUNNING,
    LEDGER_ASKED, /* commit or prepare was called and has not answered */
    LEDGER_COMMITTED,
    LEDGER_ABORTED,
    LEDGER_PREPARED,
    LEDGER_DETACHED,
    LEDGER_UNKNOWN, /* TX_EOUTCOME, or its process died */
};

struct ledger_txn {
    struct ktm_id id;
    enum ledger_told told;
    bool deciding; /* somebody decides it, or has it attached again */
    bool unsure;   /* of a detached or prepared one: a call about it did not say what it did */
    struct model_op ops[LEDGER_OPS_MAX];
    unsigned op_count;
    unsigned owner; /* number of the process that works with it */
    tx_lsn snapshot;
    struct ledger_txn *next;
};

struct ledger_record {
    tx_lsn lsn;
    uint64_t epoch;
    unsigned kind; /* enum ktm_kind */
    bool commits;  /* a DECIDE that does */
    bool promised; /* its owner was told that it is durable */
    struct ledger_txn *txn;
    const struct model_state *after;
};

struct ledger {
    struct model_arena *arena;
    const struct model_state *first;
    struct ledger_txn *txns;
    struct ledger_record *records; /* ascending LSNs */
    unsigned count, room;
    unsigned known; /* so many have `after` */
    uint64_t epoch; /* newest that is known to have begun */
    struct ledger_seen {
        tx_lsn lsn;
        uint64_t epoch;
        unsigned kind;
    } *seen; /* records that recoveries have read, each as it was read last */
    unsigned seen_count, seen_room;
    uint64_t commits;
    bool may_lose; /* a recovery was hurt where none can stand it: tests/sim/README.md */
    tx_lsn may_lose_from; /* records from here on, for the same reason; 0: none */
    uint64_t lost; /* promised commits that were lost so */
};

void ledger_init(struct ledger *ledger, struct model_arena *arena, const struct model_state *first);
void ledger_release(struct ledger *ledger);
struct ledger_txn *ledger_txn_new(struct ledger *ledger, const struct ktm_id *id, tx_lsn snapshot);
struct ledger_txn *ledger_find(struct ledger *ledger, const struct ktm_id *id);
/* Bytes are written to a segment: note the record that begins with them, if one does. */
void ledger_write(struct ledger *ledger, const struct iovec *parts, int count);
/* A recovery has read these bytes of the segment with that number. What stands there from an
 * earlier life of the file has another one, and is not noted. */
void ledger_read(struct ledger *ledger, uint64_t segment, const uint8_t *data, size_t size);
/* Somebody works in this epoch: when nobody did before, look which records its recovery has found.
 * `log` is only read. False with a text when something promised is lost. */
bool ledger_epoch(struct ledger *ledger, struct txlog *log, char text[LEDGER_TEXT_SIZE]);
/* The state that a snapshot sees; NULL with a text when no order of things makes it. */
const struct model_state *ledger_state(struct ledger *ledger, tx_lsn snapshot,
                                       char text[LEDGER_TEXT_SIZE]);
/* A write goes astray: what nobody was told yet may be lost, unless something comes after it. */
void ledger_may_lose_what_comes(struct ledger *ledger);
/* The owner was told. False with a text when there is no such record. */
bool ledger_promise(struct ledger *ledger, const struct ledger_txn *txn, unsigned kind,
                    char text[LEDGER_TEXT_SIZE]);
/* Records of others at or after this LSN, or undecided ones: what a conflict can be with. */
bool ledger_has_rivals(const struct ledger *ledger, const struct ledger_txn *txn);
/* A process died: what it had not been told nobody knows. */
void ledger_owner_died(struct ledger *ledger, unsigned owner);
/* The record that decides it, NULL: undecided. */
const struct ledger_record *ledger_decision(const struct ledger *ledger,
                                            const struct ledger_txn *txn);
const struct ledger_record *ledger_prepare(const struct ledger *ledger,
                                           const struct ledger_txn *txn);

#endif
