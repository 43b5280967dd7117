/* SPDX-License-Identifier: MIT */
/* The ordered list of what is not durable yet: who needs whom, and what a sync persists. */
#include "sim/sim_internal.h"

/* --- What a unit needs ------------------------------------------------------------------------ */

static bool touches_slot(const struct sim_unit *unit, const struct sim_slot *slot)
{
    for (unsigned i = 0; i < unit->slot_count; i++) {
        if (unit->slots[i].dir == slot->dir && sim_bytes_equal(unit->slots[i].name, slot->name)) {
            return true;
        }
    }
    return false;
}

static bool touches_dir(const struct sim_unit *unit, uint32_t dir)
{
    return (unit->slot_count > 0 && unit->slots[0].dir == dir) ||
           (unit->slot_count > 1 && unit->slots[1].dir == dir);
}

static bool places(const struct sim_unit *unit, uint32_t ino)
{
    return (unit->slot_count > 0 && unit->slots[0].after == ino) ||
           (unit->slot_count > 1 && unit->slots[1].after == ino);
}

/* Changes of one name stay in order. */
static void need_same_names(const struct sim *sim, struct sim_unit *unit)
{
    for (unsigned s = 0; s < unit->slot_count; s++) {
        for (unsigned i = sim->pending_count; i-- > 0;) {
            if (touches_slot(sim->pending[i], unit->slots + s)) {
                sim_unit_need(unit, sim->pending[i]->seq);
                break;
            }
        }
    }
}

/* A directory goes only when it is empty on disk too. */
static void need_empty(const struct sim *sim, struct sim_unit *unit, uint32_t dir)
{
    for (unsigned i = 0; i < sim->pending_count; i++) {
        if (touches_dir(sim->pending[i], dir)) {
            sim_unit_need(unit, sim->pending[i]->seq);
        }
    }
}

/* What is moved elsewhere must be found there: the new parents must be on disk. */
static void need_parents(const struct sim *sim, struct sim_unit *unit, uint32_t dir)
{
    while (dir != SIM_ROOT) {
        if (sim->base->inodes[dir]->links == 0) {
            for (unsigned i = sim->pending_count; i-- > 0;) {
                if (places(sim->pending[i], dir)) {
                    sim_unit_need(unit, sim->pending[i]->seq);
                    break;
                }
            }
        }
        dir = sim->live->inodes[dir]->parent;
    }
}

/* Directories change parents one after the other, or two moves could tie a knot. */
static void need_earlier_moves(const struct sim *sim, struct sim_unit *unit)
{
    for (unsigned i = sim->pending_count; i-- > 0;) {
        if (sim->pending[i]->moves_dir) {
            sim_unit_need(unit, sim->pending[i]->seq);
            return;
        }
    }
}

static void need_names(const struct sim *sim, struct sim_unit *unit)
{
    need_same_names(sim, unit);
    for (unsigned i = 0; i < unit->slot_count; i++) {
        const struct sim_slot *slot = unit->slots + i;
        const struct sim_inode *gone = sim_table_get(sim->live, slot->before);
        if (gone != NULL && S_ISDIR(gone->mode) && !places(unit, slot->before)) {
            need_empty(sim, unit, slot->before);
        }
        if (slot->after != 0 && unit->slot_count == 2 && unit->slots[0].dir != unit->slots[1].dir) {
            need_parents(sim, unit, slot->dir);
        }
    }
    if (unit->moves_dir) {
        need_earlier_moves(sim, unit);
    }
    if (unit->moved_to != 0) { /* the first half is the newest unit */
        sim_unit_need(unit, sim->pending[sim->pending_count - 1]->seq);
        need_parents(sim, unit, unit->moved_to);
    }
}

bool sim_has_journal(const struct sim *sim)
{
    return sim->options.profile == SIM_EXT4 || sim->options.profile == SIM_XFS;
}

static bool is_journaled(const struct sim_unit *unit)
{
    return unit->kind != SIM_UNIT_DATA && unit->kind != SIM_UNIT_TIMES;
}

/* File systems with a journal keep all of these in order. */
static void need_journal(const struct sim *sim, struct sim_unit *unit)
{
    for (unsigned i = sim->pending_count; i-- > 0 && is_journaled(unit);) {
        if (is_journaled(sim->pending[i])) {
            sim_unit_need(unit, sim->pending[i]->seq);
            return;
        }
    }
}

/* ext4 and btrfs write a file's contents out before a rename of it over another is committed. */
static void need_contents(const struct sim *sim, struct sim_unit *unit)
{
    if (unit->slot_count != 2 || unit->slots[1].before == 0) {
        return;
    }
    for (unsigned i = 0; i < sim->pending_count; i++) {
        if (sim->pending[i]->kind == SIM_UNIT_DATA &&
            sim->pending[i]->ino == unit->slots[1].after) {
            sim_unit_need(unit, sim->pending[i]->seq);
            sim->pending[i]->may_not_grow = false;
        }
    }
}

/* --- The list --------------------------------------------------------------------------------- */

static void count_references(struct sim *sim, const struct sim_unit *unit, uint32_t by)
{
    if (unit->kind != SIM_UNIT_NAME) {
        sim_file_of(sim, unit->ino)->pending += by;
        return;
    }
    for (unsigned i = 0; i < unit->slot_count; i++) {
        sim_file_of(sim, unit->slots[i].dir)->pending += by;
        sim_file_of(sim, unit->slots[i].before)->pending += by;
        sim_file_of(sim, unit->slots[i].after)->pending += by;
    }
}

static void append(struct sim *sim, struct sim_unit *unit)
{
    if (sim->pending_count == sim->pending_room) {
        sim->pending_room = sim->pending_room * 2 + 32;
        sim->pending =
            sim_need(realloc(sim->pending, sim->pending_room * sizeof *sim->pending));
    }
    unit->seq = sim->next_seq++;
    sim->pending[sim->pending_count++] = unit;
    count_references(sim, unit, 1);
}

void sim_change(struct sim *sim, struct sim_unit *unit)
{
    if (unit->kind == SIM_UNIT_NAME) {
        need_names(sim, unit);
    }
    if (sim_has_journal(sim)) {
        need_journal(sim, unit);
    }
    if (sim->options.profile == SIM_EXT4 || sim->options.profile == SIM_BTRFS) {
        need_contents(sim, unit);
        unit->solid = unit->grow_to != 0 || sim->options.profile == SIM_BTRFS;
    }
    unit->may_not_grow = sim->options.profile != SIM_BTRFS;
    append(sim, unit);
    if (unit->kind != SIM_UNIT_DATA) {
        struct sim_tear none = {.seed = 0};
        sim_unit_apply(sim->live, unit, &none);
    }
}

static void remove_at(struct sim *sim, unsigned at)
{
    struct sim_unit *unit = sim->pending[at];
    count_references(sim, unit, UINT32_MAX);
    sim_unit_drop(unit);
    sim->pending_count--;
    memmove(sim->pending + at, sim->pending + at + 1,
            (sim->pending_count - at) * sizeof *sim->pending);
}

void sim_touch_times(struct sim *sim, uint32_t ino)
{
    for (unsigned i = sim->pending_count; i-- > 0;) {
        const struct sim_unit *unit = sim->pending[i];
        if (unit->ino == ino && unit->kind == SIM_UNIT_TIMES) {
            remove_at(sim, i);
            break;
        }
        if (unit->ino == ino && unit->kind == SIM_UNIT_ATTR) {
            break;
        }
    }
    sim_change(sim, sim_unit_new(SIM_UNIT_TIMES, ino, sim_stamp(sim)));
}

/* --- Syncs ------------------------------------------------------------------------------------ */

static void mark_needs(const struct sim *sim, uint8_t *marks)
{
    for (unsigned i = sim->pending_count; i-- > 0;) {
        const struct sim_unit *unit = sim->pending[i];
        for (unsigned k = 0; marks[i] != 0 && k < unit->need_count; k++) {
            unsigned at = sim_unit_find(sim->pending, i, unit->needs[k]);
            if (at != UINT32_MAX) {
                marks[at] = 1;
            }
        }
    }
}

/* When nothing of an inode is pending, the disk has what programs see. */
static void settle_inode(struct sim *sim, uint32_t ino)
{
    struct sim_inode *live = sim_table_get(sim->live, ino);
    struct sim_inode *base = sim_table_get(sim->base, ino);
    const struct sim_file *file = sim_file_of(sim, ino);
    if (base == NULL || file->pending > 0 || file->diverged) {
        return;
    }
    if (live == NULL && base->links == 0) {
        sim_table_set(sim->base, ino, NULL);
        sim_release_if_unused(sim, ino);
    } else if (live != NULL && live != base) {
        sim_table_set(sim->base, ino, sim_inode_keep(live));
    }
}

static void settle_of(struct sim *sim, const struct sim_unit *unit)
{
    if (unit->kind != SIM_UNIT_NAME) {
        settle_inode(sim, unit->ino);
        return;
    }
    for (unsigned i = 0; i < unit->slot_count; i++) {
        settle_inode(sim, unit->slots[i].dir);
        settle_inode(sim, unit->slots[i].before);
        settle_inode(sim, unit->slots[i].after);
    }
}

static void persist_marked(struct sim *sim, uint8_t *marks)
{
    mark_needs(sim, marks);
    sim->base = sim_table_unshare(sim->base);
    struct sim_unit **done = sim_need(malloc((sim->pending_count + 1) * sizeof(*done)));
    unsigned done_count = 0;
    unsigned kept = 0;
    for (unsigned i = 0; i < sim->pending_count; i++) {
        struct sim_unit *unit = sim->pending[i];
        if (marks[i] == 0) {
            sim->pending[kept++] = unit;
            continue;
        }
        struct sim_tear none = {.seed = 0};
        sim_unit_apply(sim->base, unit, &none);
        count_references(sim, unit, UINT32_MAX);
        done[done_count++] = unit;
    }
    sim->pending_count = kept;
    for (unsigned i = 0; i < done_count; i++) {
        settle_of(sim, done[i]);
        sim_unit_drop(done[i]);
    }
    free(done);
}

static bool persists(const struct sim_unit *unit, uint32_t ino, bool data_only)
{
    if (unit->kind == SIM_UNIT_NAME) {
        return !data_only && touches_dir(unit, ino);
    }
    return unit->ino == ino &&
           (!data_only || unit->kind == SIM_UNIT_DATA || unit->kind == SIM_UNIT_SIZE);
}

static bool log_is_clean(const struct sim *sim)
{
    for (unsigned i = 0; i < sim->pending_count; i++) {
        if (is_journaled(sim->pending[i])) {
            return false;
        }
    }
    return true;
}

/* A sync of a file makes the disk flush its cache, one of a directory only if there is something to
 * log. */
static bool flushes(const struct sim *sim, uint32_t ino)
{
    return S_ISREG(sim->live->inodes[ino]->mode) || (sim_has_journal(sim) && !log_is_clean(sim));
}

void sim_persist_inode(struct sim *sim, uint32_t ino, bool data_only)
{
    uint8_t *marks = sim_need(calloc(sim->pending_count + 1, 1));
    bool commits = !data_only;
    bool flush = flushes(sim, ino);
    for (unsigned i = 0; i < sim->pending_count; i++) {
        const struct sim_unit *unit = sim->pending[i];
        marks[i] = persists(unit, ino, data_only) || (flush && unit->in_cache);
        commits = commits || (marks[i] != 0 && (unit->grow_to != 0 || is_journaled(unit)));
    }
    /* A journal is committed as a whole; overwriting in place needs no commit. */
    for (unsigned i = 0; commits && i < sim->pending_count; i++) {
        if (sim_has_journal(sim) && is_journaled(sim->pending[i])) {
            marks[i] = 1;
        }
    }
    persist_marked(sim, marks);
    free(marks);
}

void sim_persist_all(struct sim *sim)
{
    uint8_t *marks = sim_need(malloc(sim->pending_count + 1));
    bool flush = sim->options.profile != SIM_WEAKEST &&
                 (sim->options.profile != SIM_XFS || !log_is_clean(sim));
    for (unsigned i = 0; i < sim->pending_count; i++) {
        struct sim_unit *unit = sim->pending[i];
        marks[i] = flush || unit->kind != SIM_UNIT_DATA || unit->grow_to != 0;
        unit->in_cache = marks[i] == 0;
    }
    persist_marked(sim, marks);
    free(marks);
}

void sim_forget_inode(struct sim *sim, uint32_t ino, bool data_only)
{
    for (unsigned i = sim->pending_count; i-- > 0;) {
        const struct sim_unit *unit = sim->pending[i];
        bool goes = data_only ? unit->kind == SIM_UNIT_DATA : unit->kind != SIM_UNIT_NAME;
        if (goes && unit->ino == ino) {
            remove_at(sim, i);
        }
    }
    sim_file_of(sim, ino)->diverged = true;
}
