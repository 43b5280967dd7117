/* SPDX-License-Identifier: MIT
 *
 * M2. Opening, joining, recovering, dying; epochs and ids; who may remove tx/<id>/
 * (src/store/open.c, src/txlog/log_recover.c, src/ktm/sweep.c, hold.c, process_slot.c).
 *
 * Two processes open the store, run a transaction each with a staged payload, sweep, close, die at
 * any instruction and come again; the power may go once. Who gets the recovery byte alone recovers:
 * a new epoch, forced, before anything of it is used; shared memory from nothing.
 *
 * Numbers are those of src/ktm/README.md (K) and src/txlog/README.md (L).
 */
#define PROCESSES 2
#define IDS 8            /* epoch * 2 + sequence; two of an epoch are enough */
#define EPOCHS 4
#define NOBODY 255

/* --- Kernel: lock bytes, which die with their holder --- */
byte open_byte = NOBODY;
bool recovery_shared[PROCESSES];
byte recovery_alone = NOBODY;
byte held_id[PROCESSES] = NOBODY; /* the lock byte of a transaction's id */
byte checkpoint_byte = NOBODY;

/* --- Disk --- */
byte epoch_cached = 0;   /* control in the page cache */
byte epoch_durable = 0;
bool directory[IDS];     /* tx/<id>/ */
bool logged[IDS];        /* its COMMIT is in the log and not steady */
bool used[IDS];          /* ghost: the id was given out */

/* --- Shared memory --- */
bool shared_good;        /* of somebody who lives */
byte epoch_now;
byte sequence_now;

byte deaths = 2;
bool may_cut = true;
byte recovering = 0;     /* ghost */

#define alone_possible(me) (recovery_alone == NOBODY && !recovery_shared[1 - me])

inline die(me)
{
    open_byte = (open_byte == me -> NOBODY : open_byte);
    recovery_alone = (recovery_alone == me -> NOBODY : recovery_alone);
    checkpoint_byte = (checkpoint_byte == me -> NOBODY : checkpoint_byte);
    recovery_shared[me] = false;
    held_id[me] = NOBODY;
    recovering = (pc >= 2 && pc <= 4 -> recovering - 1 : recovering);
    pc = 0; id = NOBODY; seen = NOBODY; opens++
}

proctype process(byte me)
{
    byte pc = 0, id = NOBODY, seen = NOBODY, opens = 0;
    bool was_free;
    do
    /* open.c: the open byte, then the recovery byte alone or shared */
    :: atomic { pc == 0 && opens < 2 && open_byte == NOBODY -> open_byte = me; pc = 1 }
    :: atomic { pc == 1 &&
#ifdef MUTANT_RECOVER_WITHOUT_BYTE
                true
#else
                alone_possible(me)
#endif
                -> recovery_alone = me; recovering++; shared_good = false; pc = 2 }
    :: atomic { pc == 1 && !alone_possible(me) && recovery_alone == NOBODY ->
                recovery_shared[me] = true; assert(shared_good); open_byte = NOBODY; pc = 5 }
    /* recover_epoch: into control, forced, before it is used (L6) */
    :: atomic { pc == 2 && epoch_cached + 1 < EPOCHS ->
                assert(recovering == 1);
                assert(!recovery_shared[1 - me]);  /* nobody lives while somebody recovers */
#ifdef MUTANT_EPOCH_KEPT
                epoch_cached = (epoch_cached == 0 -> 1 : epoch_cached);
#else
                epoch_cached++;
#endif
                pc = 3 }
    :: atomic { pc == 2 && epoch_cached + 1 >= EPOCHS -> die(me); opens = 2 }
    :: atomic { pc == 3 ->
#ifndef MUTANT_EPOCH_NOT_FORCED
                epoch_durable = epoch_cached;
#endif
                pc = 4 }
    /* shared memory anew; RMs are redone and steady: the log needs no directory any more */
    :: atomic { pc == 4 ->
                d_step {
                    epoch_now = epoch_cached; sequence_now = 0; shared_good = true;
                    id = 0;
                    do
                    :: id < IDS -> logged[id] = false; id++
                    :: else -> break
                    od;
                    id = NOBODY;
                    recovering--;
                    recovery_alone = NOBODY;
#ifdef MUTANT_GAP_BETWEEN_RECOVERY_AND_LIFE
                    open_byte = NOBODY; pc = 12
#else
                    recovery_shared[me] = true;
                    open_byte = NOBODY; pc = 5
#endif
                } }
#ifdef MUTANT_GAP_BETWEEN_RECOVERY_AND_LIFE
    :: atomic { pc == 12 && recovery_alone == NOBODY -> recovery_shared[me] = true; pc = 5 }
#endif

    /* A transaction: an id, its lock byte, its directory, its record, and the end of it. */
    :: atomic { pc == 5 && sequence_now < 2 ->
                assert(shared_good);
                id = epoch_now * 2 + sequence_now; sequence_now++;
                assert(!used[id]);                /* never given twice */
                used[id] = true;
#ifndef MUTANT_ID_NOT_HELD
                held_id[me] = id;
#endif
                pc = 6 }
    :: atomic { pc == 6 -> directory[id] = true; pc = 7 }
    :: atomic { pc == 7 -> assert(directory[id]); logged[id] = true; pc = 8 } /* COMMIT */
    :: atomic { pc == 7 -> directory[id] = false; held_id[me] = NOBODY; id = NOBODY; pc = 5 }
    :: atomic { pc == 8 -> held_id[me] = NOBODY; id = NOBODY; pc = 5 }        /* answered */

    /* sweep.c (K27): candidates are not held; *then* the log is asked; then it goes. */
    :: atomic { pc == 5 && checkpoint_byte == NOBODY -> checkpoint_byte = me; seen = 0; pc = 9 }
#ifdef MUTANT_LOG_ASKED_BEFORE_HOLDERS
    :: atomic { pc == 9 && seen < IDS -> was_free = directory[seen] && !logged[seen]; pc = 10 }
    :: atomic { pc == 10 ->
                was_free = was_free && held_id[0] != seen && held_id[1] != seen; pc = 11 }
#else
    :: atomic { pc == 9 && seen < IDS ->
                was_free = directory[seen] && held_id[0] != seen && held_id[1] != seen; pc = 10 }
    :: atomic { pc == 10 -> was_free = was_free && !logged[seen]; pc = 11 }
#endif
    :: atomic { pc == 11 ->
                if
                :: was_free ->
                    assert(!logged[seen]);        /* redo needs what is staged in it */
                    directory[seen] = false
                :: else
                fi;
                seen++; pc = 9 }
    :: atomic { pc == 9 && seen == IDS -> seen = NOBODY; checkpoint_byte = NOBODY; pc = 5 }

    /* close.c: the last one out, else just out */
    :: atomic { pc == 5 -> die(me) }

    :: atomic { pc >= 1 && deaths > 0 -> deaths--; die(me) }
    :: pc == 0 && opens >= 2 -> break
    od
}

/* The power goes while somebody is at work: both are dead, control is what was forced. */
proctype power()
{
    atomic {
        may_cut && recovering == 0 && !recovery_shared[0] && !recovery_shared[1] &&
        open_byte == NOBODY ->
        may_cut = false;
        epoch_cached = epoch_durable
    }
}

init
{
    atomic { run process(0); run process(1); run power() }
}
