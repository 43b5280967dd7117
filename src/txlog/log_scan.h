/* SPDX-License-Identifier: MIT */
/* The log as the disk has it: live segments, records and gaps, the verdict, the tail. */
#ifndef TXLOG_LOG_SCAN_H
#define TXLOG_LOG_SCAN_H

#include "txlog/txlog_internal.h"

/* --- segment_list.c: the live segments, as the disk has them --- */

struct segment_info {
    struct segment_header header;
    tx_lsn end_lsn; /* where the next live one begins; the last: where it is full */
};
struct segment_list {
    struct segment_info *items;
    size_t count;
};
static inline void segment_list_auto(struct segment_list *list)
{
    tx_free(list->items);
}
/* Told of each segment whose header is bad; an answer other than TX_OK ends the loading. */
typedef enum tx_status segment_bad_fn(void *arg, uint64_t seq, enum tx_status status,
                                      struct tx_error *err);
enum tx_status segment_list_load(struct txlog *log, uint64_t seq_min, segment_bad_fn *fn, void *arg,
                                 struct segment_list *list, struct tx_error *err) TX_CHECKED;
/* Index of the first item that does not continue the one before it; 0: all do. */
size_t segment_list_broken(const struct segment_list *list);
/* The numbers of all segments from seq_min on, ascending: an array of uint64_t. */
enum tx_status segment_numbers(struct txlog *log, uint64_t seq_min, struct tx_buf *numbers,
                               struct tx_error *err) TX_CHECKED;
uint64_t segment_number(const struct tx_buf *numbers, size_t index);

/* --- log_window.c: reading a segment in order --- */

#define LOG_WINDOW_SIZE (256u * 1024u)
struct log_window {
    struct txio *io;
    int fd; /* not owned */
    uint64_t size;
    uint8_t *buffer;
    uint64_t base;
    size_t filled;
};
static inline void log_window_auto(struct log_window *window)
{
    tx_free(window->buffer);
}
enum tx_status window_init(struct log_window *window, struct txio *io, struct tx_error *err)
    TX_CHECKED;
void window_set(struct log_window *window, int fd, uint64_t size);
/* The 4096 bytes at `offset`; good until the next call. */
enum tx_status window_block(struct log_window *window, uint64_t offset, const uint8_t **block,
                            struct tx_error *err) TX_CHECKED;

/* What must be true of a frame that stands somewhere. */
struct frame_place {
    uint64_t log_id;
    uint64_t segment;
    tx_lsn lsn;
    uint64_t room; /* bytes to the end of what the segment may hold */
    uint64_t epoch_min;
};
enum frame_state {
    FRAME_VALID,
    FRAME_BLANK,   /* zeros */
    FRAME_BROKEN,  /* says to stand here, and is not whole or of an older epoch */
    FRAME_ASTRAY,  /* whole, and says to stand elsewhere in this segment: no crash leaves that */
    FRAME_FOREIGN, /* anything else */
};
enum tx_status frame_probe(struct log_window *window, uint64_t offset,
                           const struct frame_place *place, struct frame_header *header,
                           enum frame_state *state, struct tx_error *err) TX_CHECKED;

/* --- log_walk.c: all that the live segments hold, in order --- */

struct walk_step {
    const struct segment_info *segment;
    size_t index; /* in the list */
    uint64_t offset;
    tx_lsn lsn;
    uint64_t size;
    const struct frame_header *frame; /* NULL: blocks without a valid record */
    uint64_t own_size; /* of those: up to the last block that something was written to */
    tx_lsn astray_lsn; /* of those: the highest durable LSN stated by a record that went astray */
    bool astray;       /* there is one */
};
/* Does the LSN lie inside of the step's record, where no claim of durability can end? */
static inline bool step_is_around(const struct walk_step *step, tx_lsn lsn)
{
    return step->frame && step->lsn < lsn && lsn < step->lsn + step->size;
}
typedef enum tx_status walk_fn(void *arg, const struct walk_step *step, struct tx_error *err);
#define WALK_ALL UINT64_MAX
/* What begins at `from` or later, and before `upto`. */
enum tx_status log_walk(struct txlog *log, const struct segment_list *list, tx_lsn from,
                        tx_lsn upto, walk_fn *fn, void *arg, struct tx_error *err) TX_CHECKED;

/* --- log_scan.c: torn or damaged? --- */

enum scan_place { SCAN_BELOW, SCAN_AT, SCAN_ABOVE };
struct scan_facts {
    bool newer_epoch;    /* something is of a later epoch than control knows */
    bool control_claims; /* control: durable beyond the end found */
    bool log_claims;     /* a record or segment header says so */
    bool clean;          /* control: closed properly */
    enum scan_place end; /* where the end found lies, seen from the one a clean control states */
    bool remains;        /* something was written after the end found */
};
/* name, leads to an open log, words */
#define SCAN_VERDICTS(X)                                                                           \
    X(SCAN_CONTROL_STALE, false, "control is older than the log")                                  \
    X(SCAN_CONTROL_PROVES, false, "control states that it was durable")                            \
    X(SCAN_LOG_PROVES, false, "a later part of the log states that it was durable")                \
    X(SCAN_CLEAN_SHORT, false, "the log was closed behind it")                                     \
    X(SCAN_CLEAN_LONG, false, "the log goes on behind the end that control states")                \
    X(SCAN_CLEAN_REMAINS, true, "closed properly, with bytes behind the end")                      \
    X(SCAN_CLEAN, true, "closed properly")                                                         \
    X(SCAN_TORN, true, "not closed, torn tail")                                                    \
    X(SCAN_WHOLE, true, "not closed, no torn tail")
enum scan_verdict {
#define SCAN_ENUM(name, opens, text) name,
    SCAN_VERDICTS(SCAN_ENUM)
#undef SCAN_ENUM
    SCAN_VERDICT_COUNT
};
enum scan_verdict scan_decide(const struct scan_facts *facts);
bool scan_opens(enum scan_verdict verdict);
const char *scan_text(enum scan_verdict verdict);

struct log_scan {
    struct scan_facts facts;
    enum scan_verdict verdict;
    tx_lsn end;         /* of the log: after the last record that counts */
    tx_lsn proven;      /* everything below is known to have been durable */
    tx_lsn remains_end; /* of what was written after the end */
    uint64_t epoch;     /* the highest seen */
    size_t index;       /* of the segment that holds the end */
    uint64_t offset;    /* there */
    bool ended;
};
/* Walk from the checkpoint, up to `upto`, and decide. Errors: TX_ECORRUPT only when the segments
 * themselves do not fit together, TX_ELIMIT when the table can not hold them; a bad verdict is a
 * result. */
enum tx_status log_scan_run(struct txlog *log, const struct segment_list *list, tx_lsn upto,
                            struct log_scan *scan, struct tx_error *err) TX_CHECKED;
/* The highest LSN that control or a segment header says was durable. */
tx_lsn log_claim(const struct control *control, const struct segment_list *list);

/* --- log_recover.c --- */

struct recover_plan;
/* Fill the shared memory with the log as the plan has it, for the first time or again. */
enum tx_status recover_share(struct txlog *log, const struct recover_plan *plan,
                             struct tx_error *err) TX_CHECKED;

/* --- recover_tail.c: where the log goes on after recovery --- */

struct recover_plan {
    const struct segment_list *list;
    const struct log_scan *scan;
    uint64_t epoch; /* the new one */
    struct segment_ref ref; /* result: the segment in which the log goes on, */
    tx_lsn end;             /* and where; */
    tx_lsn proven;          /* up to where something durable says that all is durable */
    uint64_t rewritten_size;
};
/* Continue in a new segment that repeats the records from scan->proven to scan->end and ends in an
 * epoch record. Errors: TX_ENOSPC: nothing has changed. */
enum tx_status recover_into_new(struct txlog *log, struct recover_plan *plan,
                                struct tx_error *err) TX_CHECKED;
/* The same without new space: write the same bytes where they are, wipe what is behind the end. */
enum tx_status recover_in_place(struct txlog *log, struct recover_plan *plan,
                                struct tx_error *err) TX_CHECKED;
void epoch_payload_fill(struct txlog *log, const struct recover_plan *plan,
                        uint8_t disk[EPOCH_PAYLOAD_SIZE]);

#endif
