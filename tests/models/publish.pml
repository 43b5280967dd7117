/* SPDX-License-Identifier: MIT
 *
 * M4. Publishing two files, killed and recovered, under a library reader and a program that knows
 * nothing of transactions (src/txfs/publisher.c, txfs_redo.c, converge_place.c, past.c).
 *
 * The commit replaces file 0, whose content is staged, and makes file 1, whose content is in the
 * log and can be built again. Publishing: build in slots, write down that names will change, exchange,
 * publish. A stranger replaces or removes a file once, at any moment. Publisher and recovery are
 * killed at any instruction; a power cut may tear what was written down.
 *
 * Numbers are those of src/ktm/README.md (K); F19 is the promise about strangers in docs.
 */
#define NOTHING 0
#define OLD 1
#define NEW 2
#define THEIRS 3

/* --- Disk --- */
byte place[2] = NOTHING;   /* what stands at the path */
byte slot[2] = NOTHING;    /* undo/<L>/<i> */
byte staged = NEW;         /* tx/<id>/p<n> of file 0 */
bool written = false;      /* undo/<L>/changes is there, whole or torn ... */
bool whole = false;        /* ... and whole */
bool same_boot = true;
byte kept = NOTHING;       /* a stranger's object that was put aside and reported */

/* --- Shared memory --- */
bool decided = false;      /* K7 */
bool published = false;    /* K6 */

byte kills = 2;
bool may_act = true;
bool acted_after = false;  /* ghost: the stranger came when its path had been published */
byte acted_on = 2;
bool removed;              /* ghost: it removed, instead of replacing */
bool torn;                 /* ghost: nobody wrote down, or a power cut took, that it was placed */
bool done = false;
bool was_placed[2];        /* ghost: NEW has stood at the path */

inline exchange(i)
{
    /* RENAME_EXCHANGE, or a rename to a free name */
    if
    :: place[i] == NOTHING -> place[i] = slot[i]; slot[i] = NOTHING
    :: else -> tmp = place[i]; place[i] = slot[i]; slot[i] = tmp; tmp = 0
    fi;
    was_placed[i] = true;
    if
    :: slot[i] == THEIRS ->
#ifndef MUTANT_DISPLACED_STRANGER_DROPPED
        kept = THEIRS;
#endif
        slot[i] = NOTHING
    :: else
    fi
}

/* converge_place.c, was_published */
inline was_published(i)
{
    if
    :: slot[i] != NOTHING -> yes = (slot[i] == OLD)
    :: else -> yes = whole
    fi
}

/* converge_place.c, obtain: into the slot, wherever it is */
inline obtain(i)
{
    if
    :: slot[i] == NEW -> got = true
    :: slot[i] != NEW && i == 1 -> slot[i] = NEW; got = true
    :: slot[i] != NEW && i == 0 && staged == NEW -> staged = NOTHING; slot[i] = NEW; got = true
    :: slot[i] != NEW && i == 0 && staged != NEW ->
        got = false;
#ifdef MUTANT_REMOVED_IS_DAMAGE
        assert(false)                  /* refused as damaged: the store never opens again */
#else
        assert(written)                /* else it was lost before, and that is damage */
#endif
    fi
}

proctype publisher()
{
    byte pc = 0, i, tmp;
    bool yes, got;
    do
    /* txfs_redo.c: decided first (K7), then all slots, then `changes`, then names */
#ifdef MUTANT_DECIDED_AFTERWARDS
    :: atomic { pc == 0 -> pc = 1 }
#else
    :: atomic { pc == 0 -> decided = true; pc = 1 }
#endif
    :: atomic { pc == 1 && i < 2 ->
                slot[i] = NEW; staged = NOTHING; i++ }
#ifdef MUTANT_NAMES_BEFORE_CHANGES
    :: atomic { pc == 1 && i == 2 -> i = 0; pc = 3 }
#else
    :: atomic { pc == 1 && i == 2 -> written = true; whole = true; i = 0; pc = 3 }
#endif
    :: atomic { pc == 3 && i < 2 -> exchange(i); i++ }
    :: atomic { pc == 3 && i == 2 ->
                written = true; whole = true; decided = true; published = true; pc = 9 }
    /* converge.c, begin_commit: recovery, too, writes down that names will change before they do */
    :: atomic { pc == 4 ->
                assert(written || staged == NEW || slot[0] == NEW);
#ifdef MUTANT_RECOVERY_WRITES_NOTHING_DOWN
                skip;
#else
                written = true;
#endif
                i = 0; pc = 5 }
    /* Recovery: per path, what has to stand there and what does. */
    :: atomic { pc == 5 && i < 2 && place[i] == NEW -> i++ }
    :: atomic { pc == 5 && i < 2 && place[i] == NOTHING ->     /* restore */
                yes = false;
                if
                :: same_boot && i == 0 -> was_published(i)
                :: else
                fi;
                if
                :: yes -> i++
                :: else -> obtain(i); pc = (got -> 6 : 5); i = (got -> i : i + 1)
                fi }
    :: atomic { pc == 5 && i < 2 && place[i] == OLD -> obtain(i); pc = 6 }
    :: atomic { pc == 5 && i < 2 && place[i] == THEIRS ->      /* replace */
                was_published(i);
#ifdef MUTANT_NEWER_STRANGER_OVERWRITTEN
                yes = false;
#endif
#ifdef MUTANT_OLDER_STRANGER_LEFT
                yes = true;
#endif
                if
                :: yes -> i++
                :: else -> obtain(i); pc = (got -> 6 : 5); i = (got -> i : i + 1)
                fi }
    :: atomic { pc == 6 -> exchange(i); i++; pc = 5 }
    :: atomic { pc == 5 && i == 2 ->
                written = true; whole = true; decided = true; published = true; pc = 9 }
    /* Killed, and the next one recovers; or the power goes, too. */
    :: atomic { pc < 9 && pc > 0 && kills > 0 ->
                torn = torn || (pc >= 5 && !whole);
                kills--; i = 0; yes = false; got = false; pc = 4;
                if
                :: skip
                :: same_boot = false; torn = torn || whole; whole = false
                :: same_boot = false
                fi }
    :: atomic { pc == 9 -> done = true; break }
    od
}

proctype stranger()
{
    byte i;
    atomic {
        if
        :: i = 0
        :: i = 1
        fi;
        may_act = false;
        acted_on = i;
        acted_after = (place[i] == NEW);
        if
        :: place[i] = THEIRS
        :: place[i] != NOTHING -> place[i] = NOTHING; removed = true
        fi
    }
}

/* A library reader whose snapshot is before the commit (past.c): the version it must see is what
 * stood there, from undo/ once it was displaced. */
proctype reader()
{
    byte i, saw;
    bool sure;
    do
    :: i < 2 ->
        atomic { saw = place[i]; sure = !decided }
        if
        :: atomic { sure && saw != THEIRS -> assert(saw != NEW) }   /* nothing had begun */
        :: else
        fi;
        i++
    :: else -> break
    od
}

/* Somebody new: sees all of the commit, or none of it. */
proctype newcomer()
{
    atomic {
        published ->
        assert(place[0] == NEW || acted_on == 0);
        assert(place[1] == NEW || acted_on == 1)
    }
}

init
{
    atomic {
        place[0] = OLD;
        run publisher(); run stranger(); run reader(); run newcomer()
    }
    done && !may_act ->
    /* A stranger's object is never lost: it stands where it was put, or is kept and told. */
    assert(acted_on == 2 || removed || place[acted_on] == THEIRS || kept == THEIRS);
    /* What came before publishing loses; what came after is newer and wins (F19), unless
     * recovery was cut off before it wrote that down, or the power took what was written: then it
     * is put aside. */
    assert(removed || !acted_after || torn || place[acted_on] == THEIRS);
    assert(removed || acted_after || place[acted_on] == NEW);
    assert(!removed || acted_after || place[acted_on] == NEW)
}
