/* SPDX-License-Identifier: MIT */
/*
 * All that the live segments hold, in order: records, and runs of blocks where no valid record
 * stands. After such a run the walk goes on at the next block that holds one for its very position,
 * because what stands there may prove that the run was once durable.
 */
#include "base/mutant.h"
#include "txlog/log_scan.h"

struct walk {
    struct txlog *log;
    const struct segment_list *list;
    walk_fn *fn;
    void *arg;
    tx_lsn upto;
    struct log_window window;
    uint64_t epoch; /* of the last record: a later one is not older */
    struct walk_step gap; /* size 0: none is open */
};

static void walk_auto(struct walk *walk)
{
    log_window_auto(&walk->window);
}

static enum tx_status walk_end_gap(struct walk *walk, struct tx_error *err)
{
    struct walk_step gap = walk->gap;
    walk->gap.size = 0;
    return gap.size > 0 ? walk->fn(walk->arg, &gap, err) : TX_OK;
}

static void walk_add_gap(struct walk *walk, const struct walk_step *step, bool own)
{
    if (walk->gap.size == 0) {
        walk->gap = *step;
        walk->gap.size = 0;
    }
    walk->gap.size += step->size;
    if (own) {
        walk->gap.own_size = walk->gap.size;
    }
}

static void walk_add_astray(struct walk *walk, const struct frame_header *header)
{
    struct walk_step *gap = &walk->gap;
    gap->astray = true;
    gap->astray_lsn = header->durable_lsn > gap->astray_lsn ? header->durable_lsn : gap->astray_lsn;
}

/* One record or one block. */
static enum tx_status walk_one(struct walk *walk, struct walk_step *step, struct tx_error *err)
{
    const struct segment_info *segment = step->segment;
    struct frame_header header;
    enum frame_state state;
    struct frame_place place = {segment->header.log_id, segment->header.seq, step->lsn,
                                segment->end_lsn - step->lsn, walk->epoch};
    uint64_t room = segment->header.size - step->offset;
    place.room = place.room < room ? place.room : room;
    TX_TRY(frame_probe(&walk->window, step->offset, &place, &header, &state, err));
    if (state == FRAME_VALID) {
        TX_TRY(walk_end_gap(walk, err));
        walk->epoch = header.epoch;
        step->size = frame_size(header.payload_size);
        step->frame = &header;
        return walk->fn(walk->arg, step, err);
    }
    bool recycled = segment->header.flags & SEGMENT_RECYCLED;
    step->size = TXLOG_BLOCK_SIZE;
    walk_add_gap(walk, step,
                 state == FRAME_BROKEN || state == FRAME_ASTRAY ||
                     (state == FRAME_FOREIGN && !recycled));
    if (state == FRAME_ASTRAY) {
        walk_add_astray(walk, &header);
    }
    return TX_OK;
}

static enum tx_status walk_segment(struct walk *walk, size_t index, tx_lsn from,
                                   struct tx_error *err)
{
    TX_AUTO(segment_handle) handle = {.fd = -1};
    const struct segment_info *segment = &walk->list->items[index];
    struct walk_step step = {.segment = segment, .index = index};
    tx_lsn first = segment->header.first_lsn;
    tx_lsn end = segment->end_lsn < walk->upto ? segment->end_lsn : walk->upto;
    step.lsn = from > first ? from : first;
    step.offset = TXLOG_BLOCK_SIZE + (step.lsn - first);
    TX_TRY(segment_acquire(walk->log, segment->header.seq, &handle, err));
    window_set(&walk->window, handle.fd, segment->header.size);
    while (step.lsn < end && step.offset < segment->header.size) {
        enum tx_status status = walk_one(walk, &step, err);
        if (status != TX_OK) {
            log_refer(err, segment->header.seq, step.offset, step.lsn);
            return status;
        }
        step.lsn += step.size;
        step.offset += step.size;
        step.frame = NULL;
    }
    if (step.lsn < segment->end_lsn) {
        /* Not asked for, or the next segment begins beyond what fits into this one. */
        step.size = segment->end_lsn - step.lsn;
        walk_add_gap(walk, &step, false);
    }
    return walk_end_gap(walk, err);
}

enum tx_status log_walk(struct txlog *log, const struct segment_list *list, tx_lsn from,
                        tx_lsn upto, walk_fn *fn, void *arg, struct tx_error *err)
{
    TX_AUTO(walk) walk = {.log = log, .list = list, .fn = fn, .arg = arg, .upto = upto};
    TX_TRY(window_init(&walk.window, log->io, err));
    for (size_t i = 0; i < list->count; i++) {
        /* What begins beyond `upto` may be gone: recovery drops it on a full disk. */
        if (list->items[i].end_lsn > from &&
            (list->items[i].header.first_lsn < upto || TX_MUTANT(114))) {
            TX_TRY(walk_segment(&walk, i, from, err));
        }
    }
    return TX_OK;
}
