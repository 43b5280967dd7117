/* SPDX-License-Identifier: MIT
 *
 * M3. Trimming and recycling the log under readers (src/ktm/checkpoint.c, snapshot.c,
 * src/txlog/log_trim.c).
 *
 * A writer appends and publishes; two checkpointers make steady, trim and recycle; a reader takes
 * snapshots and reads the commits behind them. All but the writer die at any instruction; a reader
 * that died comes again as another process, maybe in the slot that it left.
 *
 * Numbers are those of src/ktm/README.md (K) and src/txlog/README.md (L).
 */
#define LSNS 3
#define FILES 2        /* the record n stands in file n modulo FILES; a file is used again */
#define READERS 1
#define SLOTS 1
#define ROUNDS 1
#define NOBODY 255

/* --- Disk --- */
byte file_lsn[FILES] = NOBODY; /* which record stands there */
byte control_start;            /* control, durable in both slots */
byte steady_disk;              /* what the RMs need no log for */

/* --- Shared memory --- */
byte append_lsn;               /* appended and forced */
byte start_lsn;
byte states[2];                /* published LSN, twice: number `version & 1` counts (K6) */
byte version;
byte owner[SLOTS];             /* owner word: reader and generation, 0: free */
byte stamp[SLOTS];             /* LSN plus one, 0: none */

/* --- Kernel --- */
byte checkpoint_lock = NOBODY;
byte publish_lock = NOBODY;
byte life[READERS] = 1;        /* generation of who lives, 0: dead */

byte deaths = 2;

#define word(reader, generation) ((reader) * 4 + (generation))
#define lives(w) ((w) != 0 && life[(w) / 4] == (w) % 4)

/* After every change of the disk, for the power may go: whatever the RMs do not have, the log has,
 * from where control begins it. */
inline intact()
{
    d_step {
        assert(control_start <= steady_disk);
        i = control_start;
        do
        :: i < append_lsn -> assert(file_lsn[i % FILES] == i); i++
        :: else -> break
        od;
        i = 0
    }
}

inline recycle()
{
    d_step {
        at = 0;
        do
        :: at < FILES -> file_lsn[at] = (file_lsn[at] < oldest -> NOBODY : file_lsn[at]); at++
        :: else -> break
        od;
        at = 0
    }
    intact()
}

proctype writer()
{
    byte pc = 0, i;
end_when_full:
    do
    /* append.c: a file that nobody needs any more */
    :: atomic { pc == 0 && append_lsn < LSNS && append_lsn < start_lsn + FILES &&
                (file_lsn[append_lsn % FILES] == NOBODY) ->
                file_lsn[append_lsn % FILES] = append_lsn; append_lsn++; intact(); pc = 1 }
    /* publish.c: the other state first, then the version (K6) */
    :: atomic { pc == 1 && publish_lock == NOBODY -> publish_lock = 9; pc = 2 }
    :: atomic { pc == 2 -> states[(version + 1) & 1] = append_lsn; pc = 3 }
    :: atomic { pc == 3 -> version++; publish_lock = NOBODY; pc = 0 }
    :: pc == 0 && append_lsn == LSNS -> break
    od
}

proctype checkpointer(byte me)
{
    byte pc = 0, i, limit, at, seen, oldest, rounds = 0;
    do
    /* checkpoint.c: both locks, so that one ends before the other begins (K23) */
#ifdef MUTANT_CHECKPOINTERS_SIDE_BY_SIDE
    :: atomic { pc == 0 && rounds < ROUNDS -> rounds++; pc = 2 }
#else
    :: atomic { pc == 0 && rounds < ROUNDS && checkpoint_lock == NOBODY &&
#ifdef MUTANT_PUBLISHED_AFTER_SLOTS_WITHOUT_LOCK
                true -> checkpoint_lock = me;
#else
                publish_lock == NOBODY -> checkpoint_lock = me; publish_lock = me;
#endif
                rounds++; pc = 2 }
#endif
    /* Nobody publishes meanwhile. K9, which keeps that from being the only reason: the published
     * LSN first, the slots afterwards */
#ifdef MUTANT_PUBLISHED_AFTER_SLOTS_WITHOUT_LOCK
    :: atomic { pc == 2 -> limit = LSNS; oldest = limit; at = 0; pc = 4 }
    :: atomic { pc == 4 && at == SLOTS -> limit = states[version & 1];
                oldest = (oldest < limit -> oldest : limit); pc = 3 }
    :: atomic { pc == 3 -> steady_disk = limit; pc = 6 }
#else
    :: atomic { pc == 2 -> limit = states[version & 1]; pc = 3 }
#ifdef MUTANT_TRIM_BEFORE_STEADY
    :: atomic { pc == 3 -> oldest = limit; at = 0; pc = 4 }
#else
    :: atomic { pc == 3 -> steady_disk = (limit > steady_disk -> limit : steady_disk);
                oldest = limit; at = 0; pc = 4 }
#endif
    :: atomic { pc == 4 && at == SLOTS -> pc = 6 }
#endif
    /* ktm_snapshot_oldest: owner, then stamp, then whether it lives */
    :: atomic { pc == 4 && at < SLOTS && owner[at] == 0 -> at++ }
    :: atomic { pc == 4 && at < SLOTS && owner[at] != 0 -> seen = owner[at]; pc = 5 }
    :: atomic { pc == 5 && (stamp[at] == 0 || stamp[at] - 1 >= oldest) -> at++; pc = 4 }
    :: atomic { pc == 5 && stamp[at] != 0 && stamp[at] - 1 < oldest && lives(seen) ->
                oldest = stamp[at] - 1; at++; pc = 4 }
    :: atomic { pc == 5 && stamp[at] != 0 && stamp[at] - 1 < oldest && !lives(seen) -> pc = 10 }
    :: atomic { pc == 10 ->
#ifdef MUTANT_STAMP_OF_THE_DEAD_CLEARED
                stamp[at] = 0;
#endif
                owner[at] = (owner[at] == seen -> 0 : owner[at]); at++; pc = 4 }
    /* log_trim.c: control, then shared memory, then the files (L11) */
    :: atomic { pc == 6 && oldest <= start_lsn -> pc = 11 }
#ifdef MUTANT_RECYCLED_BEFORE_CONTROL
    :: atomic { pc == 6 && oldest > start_lsn -> at = 0; pc = 9 }
    :: atomic { pc == 9 -> recycle(); pc = 7 }
    :: atomic { pc == 7 -> control_start = oldest; intact(); pc = 8 }
    :: atomic { pc == 8 -> start_lsn = oldest; pc = 11 }
#else
    :: atomic { pc == 6 && oldest > start_lsn -> control_start = oldest; intact(); pc = 8 }
    :: atomic { pc == 8 -> start_lsn = oldest; at = 0; pc = 9 }
    :: atomic { pc == 9 -> recycle(); pc = 11 }
#endif
    :: atomic { pc == 11 ->
#ifdef MUTANT_TRIM_BEFORE_STEADY
                steady_disk = states[version & 1];
#endif
                checkpoint_lock = (checkpoint_lock == me -> NOBODY : checkpoint_lock);
                publish_lock = (publish_lock == me -> NOBODY : publish_lock);
                limit = 0; at = 0; seen = 0; oldest = 0; pc = 0 }
    /* Killed: the kernel takes its locks; what it recycled not, the next one recycles by name. */
    :: atomic { pc > 0 && deaths > 0 -> deaths--; rounds--;
                checkpoint_lock = (checkpoint_lock == me -> NOBODY : checkpoint_lock);
                publish_lock = (publish_lock == me -> NOBODY : publish_lock);
                limit = 0; at = 0; seen = 0; oldest = 0; pc = 0 }
    :: pc == 0 && rounds == ROUNDS -> break
    od
}

proctype reader(byte me)
{
    byte pc = 0, slot, seen, snapshot, rounds = 0;
end_without_slot:
    do
    /* snapshot.c: a slot, the state, its stamp, and a second look at the version (K9) */
    :: atomic { pc == 0 && rounds < 2 && owner[0] == 0 ->
                rounds++; slot = 0; owner[0] = word(me, life[me]); pc = 1 }
    /* bury_the_dead: by anybody who finds no slot, under no lock (K10) */
    :: atomic { pc == 0 && owner[0] != 0 && !lives(owner[0]) -> owner[0] = 0 }
    :: atomic { pc == 1 -> seen = version; pc = 2 }
    :: atomic { pc == 2 -> snapshot = states[seen & 1]; pc = (version == seen -> 4 : 1) }
    :: atomic { pc == 4 -> stamp[slot] = snapshot + 1; pc = 5 }
#ifdef MUTANT_NO_SECOND_LOOK
    :: atomic { pc == 5 -> pc = 6 }
#else
    :: atomic { pc == 5 -> pc = (version == seen -> 6 : 1) }
#endif
    /* K11: what came after the snapshot can be read, whatever is trimmed meanwhile */
    :: atomic { pc == 6 ->
                assert(start_lsn <= snapshot);
                assert(snapshot == append_lsn || file_lsn[snapshot % FILES] == snapshot);
                pc = 7 }
    :: atomic { pc == 7 ->
                assert(owner[slot] == word(me, life[me])); stamp[slot] = 0; pc = 8 }
    :: atomic { pc == 8 -> owner[slot] = 0; snapshot = 0; seen = 0; slot = 0; pc = 0 }
    :: atomic { pc > 0 && deaths > 0 && life[me] == 1 -> deaths--; rounds--;
                life[me] = 2; /* another process with the same lock byte: a new generation */
                snapshot = 0; seen = 0; slot = 0; pc = 0 }
    :: pc == 0 && rounds == 2 -> break
    od
}

init
{
    atomic {
        run writer(); run checkpointer(0); run checkpointer(1); run reader(0)
    }
}
