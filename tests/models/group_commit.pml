/* SPDX-License-Identifier: MIT
 *
 * M1. One log for all, presumed abort, group commit (src/txlog/force.c, src/ktm/run.c, commit.c).
 *
 * Committers append a record each, force, publish, answer. One sync serves all that had been
 * appended before it began; a sync may fail, once; the power may go at any moment and leaves any
 * of the records that no sync has covered. Then recovery: the records up to the first gap.
 *
 * Numbers are those of src/ktm/README.md (K) and src/txlog/README.md (L).
 */
#define TXNS 3
#define NOBODY 255

#define UNKNOWN 0
#define COMMITTED 1
#define ABORTED 2   /* no record, so presumed */
#define OUTCOME 3   /* TX_EOUTCOME: only recovery knows */

byte log[TXNS] = NOBODY;  /* page cache: whose record is the n-th */
bool on_disk[TXNS];
bool dirty[TXNS];         /* the kernel still means to write it */
byte append_lsn;
byte durable_lsn;
byte target_lsn;
byte append_lock = NOBODY;
byte force_lock = NOBODY;
byte published;           /* records carried out */
bool poisoned;
bool off;                 /* the power is gone */
bool may_fail = true;
byte answer[TXNS];        /* told to the caller */
bool wrote[TXNS];

/* The kernel writes back what is dirty below `upto`; or fails, having written some of it, and holds
 * all of it for clean. */
inline sync(upto, good)
{
    at = 0;
    do
    :: at < upto ->
        if
        :: dirty[at] -> on_disk[at] = true
        :: dirty[at] && !good -> skip
        :: !dirty[at] -> skip
        fi;
        dirty[at] = false;
        at++
    :: else -> break
    od;
    at = 0
}

proctype committer(byte me)
{
    byte pc = 0, lsn, at, begun;
    do
    /* order.c: the append lock; nothing is written for a rollback (K4) */
    :: atomic { pc == 0 && !off && append_lock == NOBODY && !poisoned -> append_lock = me; pc = 1 }
    :: atomic { pc == 0 && !off && poisoned -> answer[me] = ABORTED; pc = 9 }
    :: atomic { pc == 1 && !off -> lsn = append_lsn; log[lsn] = me; dirty[lsn] = true; pc = 2 }
    :: atomic { pc == 2 && !off -> append_lsn = lsn + 1; wrote[me] = true; append_lock = NOBODY;
                pc = 3 }
    /* force.c, txlog_force */
    :: atomic { pc == 3 && !off && durable_lsn > lsn -> pc = 6 }
    :: atomic { pc == 3 && !off && durable_lsn <= lsn && poisoned ->
#ifdef MUTANT_ABORT_AFTER_APPEND
                answer[me] = ABORTED;
#else
                answer[me] = OUTCOME;  /* K2: never "aborted" once a record may be there */
#endif
                pc = 9 }
#ifdef MUTANT_ANSWER_FOR_FORCE_UNDER_WAY
    :: atomic { pc == 3 && !off && target_lsn > lsn -> answer[me] = COMMITTED; pc = 9 }
#endif
    :: atomic { pc == 3 && !off && durable_lsn <= lsn && !poisoned && force_lock == NOBODY ->
                force_lock = me; pc = 4 }
    /* force.c, force_lead: the target is read before the sync */
    :: atomic { pc == 4 && !off -> begun = append_lsn; target_lsn = begun; pc = 5 }
    :: atomic { pc == 5 && !off ->
                sync(begun, true);
#ifdef MUTANT_TARGET_READ_AFTER_SYNC
                pc = 7
#else
                durable_lsn = begun; force_lock = NOBODY; pc = 3
#endif
              }
    :: atomic { pc == 5 && !off && may_fail ->
                may_fail = false;
                sync(begun, false);
#ifdef MUTANT_SYNC_AGAIN
                pc = 5                 /* the second one finds nothing dirty and succeeds */
#else
                poisoned = true;       /* L10: before anybody is woken; no sync is repeated */
                force_lock = NOBODY; pc = 3
#endif
              }
#ifdef MUTANT_TARGET_READ_AFTER_SYNC
    :: atomic { pc == 7 && !off -> durable_lsn = append_lsn; force_lock = NOBODY; pc = 3 }
#endif
    /* publish.c: in the order of the log (K5), only what is durable (K1) */
#ifdef MUTANT_PUBLISH_BEFORE_FORCE
    :: atomic { pc == 3 && !off && published == lsn -> published = lsn + 1 }
#endif
    :: atomic { pc == 6 && !off && published <= lsn && published < durable_lsn -> published++ }
    :: atomic { pc == 6 && !off && published > lsn -> answer[me] = COMMITTED; pc = 9 }
    :: pc == 9 || off -> break
    od
}

/* The power goes: what no sync covered is there or not, each record by itself. */
proctype power()
{
    byte at, end;
    bool ended;
    atomic {
        !off -> off = true;
        at = 0;
        do
        :: at < TXNS && log[at] != NOBODY && dirty[at] ->
            if
            :: on_disk[at] = true
            :: skip
            fi;
            at++
        :: at < TXNS && !(log[at] != NOBODY && dirty[at]) -> at++
        :: at == TXNS -> break
        od;
        /* Recovery: everything before the first gap counts (L1, L7), nothing behind it. */
        at = 0; end = 0; ended = false;
        do
        :: at < TXNS && on_disk[at] && !ended -> end = at + 1; at++
        :: at < TXNS && !on_disk[at] ->
#ifdef MUTANT_READ_BEYOND_GAP
            skip;
#else
            ended = true;
#endif
            at++
        :: at < TXNS && on_disk[at] && ended -> at++
        :: at == TXNS -> break
        od;
        assert(published <= end);      /* K1: no effect without a record */
        at = 0;
        do
        :: at < end ->
            assert(on_disk[at]);       /* what is redone has all before it */
            assert(answer[log[at]] != ABORTED);
            at++
        :: else -> break
        od;
        at = 0;
        do
        :: at < append_lsn ->
            assert(answer[log[at]] != COMMITTED || at < end);
            at++
        :: else -> break
        od
    }
}

init
{
    atomic { run committer(0); run committer(1); run committer(2); run power() }
}
