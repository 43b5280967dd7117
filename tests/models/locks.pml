/* SPDX-License-Identifier: MIT
 *
 * M5. The append lock and the publish lock change hands while processes die (src/ktm/order.c,
 * conflict.c, publish.c, prepared.c, prepared_table.c, src/txlog/append.c).
 *
 * Three transactions write one key. One begins early and commits, one begins at any time and
 * commits, the third is prepared, and then two deciders race for its decision. Each may be killed at
 * any instruction.
 *
 * Numbers are those of src/ktm/README.md (K) and src/txlog/README.md (L).
 */
#define LSNS 5
#define NOBODY 255

#define NOTHING 0
#define COMMIT 1
#define PREPARE 2
#define DECIDE 3

/* --- Log: forced at once, the force is M1's --- */
byte kind[LSNS];            /* what stands at an LSN ... */
bool whole[LSNS];           /* ... written to its end */
byte append_lsn;
byte write_lsn;             /* above append_lsn: a writer began */

/* --- Shared memory --- */
byte stamp;                 /* conflict table: LSN plus one of the newest write of the key */
byte slot;                  /* prepared table: LSN plus one of the PREPARE, 0: free */
byte slot_decided;
byte published;             /* LSN */
byte value;                 /* the RM's state: LSN plus one of the last effect */

/* --- Kernel --- */
byte append_lock = NOBODY;
byte publish_lock = NOBODY;
byte id_lock = NOBODY;      /* the lock byte of the prepared transaction */

byte deaths = 2;
byte decisions;             /* ghost */

inline release(me)
{
    append_lock = (append_lock == me -> NOBODY : append_lock);
    publish_lock = (publish_lock == me -> NOBODY : publish_lock);
    id_lock = (id_lock == me -> NOBODY : id_lock)
}

inline carry_out()
{
    value = (kind[published] == COMMIT || kind[published] == DECIDE -> published + 1 : value);
    slot_decided = (kind[published] == DECIDE -> published + 1 : slot_decided)
}

/* An undecided PREPARE holds the key: a slot whose record is there (K15, K17). */
#define undecided (slot != 0 && slot_decided == 0 && slot - 1 < append_lsn && \
                   kind[slot - 1] == PREPARE)

/* The first committer wins (K14): nobody wrote the key between this snapshot and this record. */
inline expect_first()
{
    d_step {
        i = snapshot;
        do
        :: i < lsn -> assert(kind[i] != COMMIT && kind[i] != DECIDE); i++
        :: else -> break
        od;
        i = 0;
        assert(what == PREPARE || !undecided)
    }
}

proctype writer(byte me; byte what; bool early)
{
    byte pc = 0, lsn, i, validated, snapshot;
    do
    :: atomic { pc == 0 -> snapshot = (early -> 0 : published); pc = 12 }
    /* vote.c: the RM compares with what is published (K12) */
    :: atomic { pc == 12 && value <= snapshot -> validated = published; pc = 1 }
    :: atomic { pc == 12 && value > snapshot -> pc = 9 }   /* it finds the conflict itself */
    :: atomic { pc == 1 && append_lock == NOBODY -> append_lock = me; pc = 2 }
    /* append_clear: wipe what a dead writer began (L, table of kills) */
    :: atomic { pc == 2 ->
#ifndef MUTANT_LEFTOVER_NOT_WIPED
                kind[append_lsn] = NOTHING; whole[append_lsn] = false; write_lsn = append_lsn;
#endif
                lsn = append_lsn; pc = 3 }
    /* order.c, conflicts_check */
#ifdef MUTANT_PREPARED_HOLDS_NOTHING
    :: atomic { pc == 3 && false -> skip }
#else
    :: atomic { pc == 3 && undecided -> release(me); pc = 9 }
#endif
    :: atomic { pc == 3 && !undecided && stamp > lsn ->
                /* announced in vain: it hides what was known, so it is "not known" (K13) */
#ifdef MUTANT_STAMP_OF_THE_DEAD_IS_NO_CONFLICT
                pc = 4
#else
                if
                :: validated < lsn -> release(me); pc = 10
                :: else -> pc = 4
                fi
#endif
              }
    :: atomic { pc == 3 && !undecided && stamp <= lsn && stamp > snapshot ->
                release(me); pc = 9 }
    :: atomic { pc == 3 && !undecided && stamp <= snapshot -> pc = 4 }
#ifdef MUTANT_PREPARED_HOLDS_NOTHING
    :: atomic { pc == 3 && undecided && stamp <= snapshot -> pc = 4 }
#endif
    /* announce (K13, K17), then the record (L8: append_lsn after the bytes) */
#ifdef MUTANT_ANNOUNCED_AFTERWARDS
    :: atomic { pc == 4 -> pc = 5 }
#else
    :: atomic { pc == 4 && what == COMMIT -> stamp = lsn + 1; pc = 5 }
    :: atomic { pc == 4 && what == PREPARE -> slot_decided = 0; slot = lsn + 1; pc = 5 }
#endif
    :: atomic { pc == 5 -> write_lsn = lsn + 1; kind[lsn] = what; pc = 6 }
    :: atomic { pc == 6 -> whole[lsn] = true; pc = 7 }
    :: atomic { pc == 7 -> expect_first(); append_lsn = lsn + 1; release(me); pc = 8 }
#ifdef MUTANT_ANNOUNCED_AFTERWARDS
    :: atomic { pc == 8 && what == COMMIT -> stamp = lsn + 1; pc = 9 }
    :: atomic { pc == 8 && what == PREPARE -> slot_decided = 0; slot = lsn + 1; pc = 9 }
#else
    :: atomic { pc == 8 -> pc = 9 }
#endif
    /* vote again: publish all that there is first */
    :: atomic { pc == 10 && published == append_lsn -> pc = 12 }
    :: atomic { pc == 10 && published < append_lsn && publish_lock == NOBODY ->
                publish_lock = me; pc = 11 }
    :: atomic { pc == 11 && published < append_lsn ->
                carry_out(); published++ }
    :: atomic { pc == 11 && published == append_lsn -> release(me); pc = 10 }
    :: atomic { pc < 9 && deaths > 0 -> deaths--; release(me); pc = 9 }
    :: pc == 9 -> break
    od
}

/* publish.c: in the order of the log, the effect before `published`, so that a killed publisher's
 * record is carried out again (K5). */
proctype publisher(byte me)
{
    byte pc = 0;
    do
    :: atomic { pc == 0 && published < append_lsn && publish_lock == NOBODY ->
                publish_lock = me; pc = 1 }
#ifdef MUTANT_PUBLISHED_BEFORE_THE_EFFECT
    :: atomic { pc == 1 -> published++; pc = 2 }
    :: atomic { pc == 2 ->
                value = (kind[published - 1] == COMMIT ||
                         (kind[published - 1] == DECIDE) -> published : value);
                slot_decided = (kind[published - 1] == DECIDE -> published : slot_decided);
                release(me); pc = 0 }
#else
    :: atomic { pc == 1 ->
                assert(whole[published]);
                carry_out();
                pc = 2 }
    :: atomic { pc == 2 -> published++; release(me); pc = 0 }
#endif
    :: atomic { pc > 0 && deaths > 0 -> deaths--; release(me); pc = 0 }
    :: atomic { pc == 0 && timeout -> break }
    od
}

/* prepared.c: the id's lock, settle, look, append a DECIDE (K18). */
proctype decider(byte me)
{
    byte pc = 0, lsn;
    do
#ifdef MUTANT_DECIDED_WITHOUT_HOLDING_THE_ID
    :: atomic { pc == 0 && undecided -> pc = 1 }
#else
    :: atomic { pc == 0 && undecided && id_lock == NOBODY -> id_lock = me; pc = 1 }
#endif
#ifdef MUTANT_DECIDED_WITHOUT_SETTLING
    :: atomic { pc == 1 -> pc = 2 }
#else
    :: atomic { pc == 1 && published == append_lsn -> pc = 2 }
#endif
    :: atomic { pc == 2 && !undecided -> release(me); pc = 9 }
    :: atomic { pc == 2 && undecided -> pc = 3 }
    :: atomic { pc == 3 && append_lock == NOBODY -> append_lock = me; pc = 4 }
    :: atomic { pc == 4 -> lsn = append_lsn; stamp = lsn + 1; pc = 5 }
    :: atomic { pc == 5 -> kind[lsn] = DECIDE; whole[lsn] = true; pc = 6 }
    :: atomic { pc == 6 -> append_lsn = lsn + 1; decisions++;
                assert(decisions == 1);                    /* decided once, by whomsoever */
                append_lock = NOBODY; pc = 7 }
    :: atomic { pc == 7 && published > lsn -> release(me); pc = 9 }
    :: atomic { pc < 9 && deaths > 0 && pc > 0 -> deaths--; release(me); pc = 9 }
    :: atomic { pc == 0 && timeout -> break }
    :: pc == 9 -> break
    od
}

/* Nobody is at work any more: what is in the log is whole, carried out, and nothing else is. */
active proctype monitor()
{
    byte at;
    atomic {
        timeout && append_lock == NOBODY && publish_lock == NOBODY ->
        /* log_trim.c, mark_locked: nothing may stand behind a clean end, it would come back */
#ifndef MUTANT_LEFTOVER_NOT_WIPED
        kind[append_lsn] = NOTHING; whole[append_lsn] = false;
#endif
        assert(!whole[append_lsn]);
        at = 0;
        do
        :: at < append_lsn -> assert(whole[at] && kind[at] != NOTHING); at++
        :: else -> break
        od;
        assert(published == append_lsn);
        assert(value <= append_lsn);
        assert(append_lsn == 0 || kind[append_lsn - 1] == PREPARE || value == append_lsn)
    }
}

init
{
    atomic {
        run writer(0, COMMIT, true); run writer(1, COMMIT, false); run writer(2, PREPARE, true);
        run publisher(3); run publisher(4); run decider(5); run decider(6)
    }
}
