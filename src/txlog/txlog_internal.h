/* SPDX-License-Identifier: MIT */
/* Declarations of the log's folder and its tests. README.md has the invariants they refer to. */
#ifndef TXLOG_INTERNAL_H
#define TXLOG_INTERNAL_H

#include <string.h>

#include <txkit/log.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/invariant.h"

#define LOG_FIRST_LSN ((tx_lsn)TXLOG_BLOCK_SIZE) /* 0 never is a record's */
#define LOG_SEGMENTS_MAX 1024u                   /* live at once */
#define LOG_SPARES_KEPT 3u                       /* more are removed by trim */
#define LOG_FILES_MAX 16u                        /* open segments cached per handle */
#define LOG_NAME_SIZE 32u
#define LOG_PARTS_MAX 6

/* --- frame.c: a record on disk --- */

#define FRAME_MAGIC 0x52465854u /* "TXFR" */
#define FRAME_VERSION 1u
#define FRAME_HEADER_SIZE 80u

struct frame_header {
    uint32_t magic;
    uint16_t version;
    uint16_t header_size;
    uint32_t kind;
    uint64_t payload_size;
    uint64_t lsn;
    uint64_t segment;
    uint64_t log_id;
    uint64_t epoch;
    uint64_t durable_lsn;
    uint64_t batch;
    uint64_t seal;
};
extern const struct tx_field frame_fields[];

/* Payload of a record of kind TXLOG_KIND_EPOCH. */
#define EPOCH_PAYLOAD_SIZE 40u
struct epoch_payload {
    uint64_t end_lsn;
    uint64_t proven_lsn;
    uint64_t torn_size;
    int64_t time_ns;
    uint32_t verdict;
};
extern const struct tx_field epoch_fields[];

/* Bytes of a whole frame; 0 when the payload is larger than the limit. */
uint64_t frame_size(uint64_t payload_size);
/* Start a seal: the header with its seal field zero. Payload and padding follow. */
void frame_seal_init(struct tx_hasher *hasher, const struct frame_header *header);
void frame_encode(const struct frame_header *header, uint8_t disk[FRAME_HEADER_SIZE]);
/* False when it cannot be a header: magic, version, sizes, reserved bytes. */
bool frame_decode(struct frame_header *header, const uint8_t disk[FRAME_HEADER_SIZE]);

/* --- segment.c: the file that frames stand in --- */

#define SEGMENT_MAGIC 0x31676573676f6c74u /* "tlogseg1" */
#define SEGMENT_VERSION 1u

enum segment_flags {
    SEGMENT_RECYCLED = 1, /* old contents stand behind the records; else zeros */
    SEGMENT_RECOVERY = 2, /* made by recovery: what earlier segments have beyond is evidence */
};

struct segment_header {
    uint64_t magic;
    uint32_t version;
    uint32_t flags;
    uint64_t log_id;
    uint64_t seq;
    uint64_t size;
    uint64_t first_lsn;
    uint64_t durable_lsn;
    uint64_t previous;
    uint64_t epoch;
    uint64_t seal;
};
extern const struct tx_field segment_fields[];

void segment_name(uint64_t seq, char name[LOG_NAME_SIZE]);
void spare_name(uint64_t number, char name[LOG_NAME_SIZE]);

enum log_name_kind { LOG_NAME_OTHER, LOG_NAME_SEGMENT, LOG_NAME_SPARE, LOG_NAME_DRAFT };
enum log_name_kind log_name_parse(const char *name, uint64_t *number);

void segment_encode(const struct segment_header *header, uint8_t block[TXLOG_BLOCK_SIZE]);
/* Errors: TX_ECORRUPT, TX_EVERSION. */
enum tx_status segment_decode(const uint8_t block[TXLOG_BLOCK_SIZE], struct segment_header *header,
                              struct tx_error *err) TX_CHECKED;
/* Seal of a 4096-byte block whose seal field stands at `at`. */
uint64_t block_seal(const uint8_t block[TXLOG_BLOCK_SIZE], size_t at);
bool block_is_zero(const uint8_t block[TXLOG_BLOCK_SIZE]);
/* Write `size` zero bytes. Durability: none. */
enum tx_status zero_fill(struct txio *io, int fd, uint64_t offset, uint64_t size,
                         struct tx_error *err) TX_CHECKED;

static inline uint64_t segment_capacity(uint64_t segment_size)
{
    return segment_size - TXLOG_BLOCK_SIZE;
}

/* --- control.c: two alternating slots --- */

#define CONTROL_MAGIC 0x316c727463676f6cu /* "logctrl1" */
#define CONTROL_VERSION 1u
#define CONTROL_SIZE (2u * TXLOG_BLOCK_SIZE)
#define CONTROL_NAME "control"
#define LOG_DIR_NAME "log"

enum control_flags { CONTROL_CLEAN = 1 };

struct control {
    uint64_t magic;
    uint32_t version;
    uint32_t slot;
    uint64_t sequence;
    uint8_t uuid[16];
    uint64_t epoch;
    uint64_t start_lsn;
    uint64_t start_segment;
    uint64_t durable_lsn;
    uint64_t end_lsn;
    uint32_t flags;
    uint64_t segment_size;
    uint64_t size_max;
    uint64_t seal;
};
extern const struct tx_field control_fields[];

struct control_slots {
    struct control slot[2];
    enum tx_status status[2]; /* TX_OK, TX_ECORRUPT, TX_EVERSION */
    int newest;               /* -1: neither is valid */
};

enum tx_status control_settings_check(const struct txlog_settings *settings, struct control *content,
                                      struct tx_error *err) TX_CHECKED;
/* Errors: reading only; damage is in the result. */
enum tx_status control_read(struct txio *io, int fd, struct control_slots *slots,
                            struct tx_error *err) TX_CHECKED;
/* As control_read, and TX_ECORRUPT or TX_EVERSION when no slot can be used. */
enum tx_status control_load(struct txio *io, int fd, struct control *content,
                            struct tx_error *err) TX_CHECKED;
/* Write both slots, one after the other. Durability: on return both hold `content`; a crash before
 * leaves the old content or the new. */
enum tx_status control_store(struct txio *io, int fd, const struct control *content,
                             struct tx_error *err) TX_CHECKED;
static inline bool control_is_clean(const struct control *content)
{
    return content->flags & CONTROL_CLEAN;
}

/* --- segment_table.c: the live segments, in shared memory --- */

struct segment_ref {
    uint64_t seq;
    tx_lsn first_lsn;
    uint64_t size;
};

struct segment_entry {
    _Atomic uint64_t seq;
    _Atomic uint64_t first_lsn;
    _Atomic uint64_t size;
};

#define LOG_SHARED_MAGIC 0x31306d68736c7874u /* "txlshm01" */

/* What the processes that append to one log share. Every word is valid at every instruction at
 * which a process may be killed; who may change it is in README.md. */
struct txlog_shared {
    _Atomic uint64_t magic; /* written last, by recovery */
    _Atomic uint64_t log_id;
    _Atomic uint64_t epoch;
    _Atomic uint64_t start_lsn;
    _Atomic uint32_t was_clean;
    _Atomic uint32_t is_clean; /* marked clean: nothing may be appended any more */

    _Alignas(64) _Atomic uint64_t append_lsn;
    _Atomic uint64_t write_lsn;  /* above append_lsn: a writer began a record up to there */
    _Atomic uint64_t reserved;   /* bytes of frames */
    _Atomic uint32_t switching;  /* a segment may have its name and not be in the table */

    _Alignas(64) _Atomic uint64_t durable_lsn;
    _Atomic uint64_t batch;      /* forces that ended */
    _Atomic uint64_t target_lsn; /* of the force that runs */
    _Atomic uint32_t poisoned;
    _Atomic uint32_t word[2];    /* futexes: waiters of batch n sleep on word[n & 1] */
    _Atomic uint32_t sleepers[2]; /* at least one when somebody sleeps there */

    _Alignas(64) _Atomic uint64_t spare_count; /* at most what is there */
    _Atomic uint64_t disk_size;                /* for txlog_get_info */
    _Atomic uint64_t head;                     /* table entries [head, tail), modulo its length */
    _Atomic uint64_t tail;
    struct segment_entry entries[LOG_SEGMENTS_MAX];
};

/* The segment that holds `lsn`, or ends there as the last one; false when there is none. */
bool table_find(struct txlog_shared *shared, tx_lsn lsn, struct segment_ref *ref, uint64_t *index);
bool table_get(struct txlog_shared *shared, uint64_t index, struct segment_ref *ref);
void table_tail(struct txlog_shared *shared, struct segment_ref *ref);
bool table_is_full(struct txlog_shared *shared);
void table_push(struct txlog_shared *shared, const struct segment_ref *ref);
void table_cut_head(struct txlog_shared *shared, uint64_t index);
uint64_t table_previous(struct txlog_shared *shared, tx_lsn first_lsn);

/* --- log_open.c --- */

struct segment_handle {
    struct txlog *log;
    int fd;   /* -1: none */
    int slot; /* -1: not cached, closed at the end */
};
struct segment_file {
    uint64_t seq;
    int fd;         /* -1: free */
    uint32_t users;
    uint64_t used;  /* for choosing which to close */
};

struct txlog {
    struct txio *io;
    int dir; /* the caller's */
    int log_dir;
    int control_fd;
    enum txlog_mode mode;
    uint64_t process; /* that opened the log */
    struct txlog_shared *shared;
    bool shared_owned;
    struct control control; /* as it was at opening; identity and settings never change */
    uint64_t log_id;
    struct txio_pair append_lock;
    struct txio_pair force_lock;
    struct txio_pair segment_lock;

    /* Of the holder of the append lock. */
    bool begun;
    uint64_t begun_size; /* payload bytes */
    struct segment_handle begun_handle;

    struct txio_mutex files_mutex;
    struct segment_file files[LOG_FILES_MAX];
    uint64_t files_clock;
};

enum tx_status log_new(struct txio *io, int dir, enum txlog_mode mode, struct txlog **log,
                       struct tx_error *err) TX_CHECKED;
static inline void txlog_auto_ptr(struct txlog **log)
{
    txlog_close(*log);
}
/* The log is recovered, is not poisoned, may be written, and this is not a forked child. */
enum tx_status log_check_writable(struct txlog *log, struct tx_error *err) TX_CHECKED;
enum tx_status log_check_ready(struct txlog *log, struct tx_error *err) TX_CHECKED;
/* Poison after a failed write or sync of something that is in use. Returns `status`. */
enum tx_status log_poison_on(struct txlog *log, enum tx_status status);
/* Fill the identity words that everybody compares when joining. */
void log_shared_begin(struct txlog *log, uint64_t epoch);

/* --- segment_files.c: descriptors --- */

enum tx_status segment_acquire(struct txlog *log, uint64_t seq, struct segment_handle *handle,
                               struct tx_error *err) TX_CHECKED;
void segment_handle_auto(struct segment_handle *handle);
void segment_files_close(struct txlog *log);
/* Close what is not used and not live any more. */
void segment_files_forget(struct txlog *log, uint64_t below_seq);

/* --- spare.c: making segments. The caller holds segment_lock, or is alone. --- */

struct log_survey {
    uint64_t seq_max;
    uint64_t size; /* of all files in log/ */
    uint64_t spare_count;
    uint64_t spare_some; /* number of one of them */
    uint64_t spare_free; /* a number that none has */
};
enum tx_status log_survey(struct txlog *log, struct log_survey *survey,
                          struct tx_error *err) TX_CHECKED;

struct segment_draft {
    struct txlog *log;
    int fd; /* -1: none */
    bool is_spare; /* else removed when it gets no name */
    bool is_named;
    char name[LOG_NAME_SIZE];
    struct segment_header header;
};
/* A file of header->size bytes with this header durable in it (seq, flags of recycling and identity
 * are filled in), under another name. Errors: TX_ENOSPC, nothing has changed then. */
enum tx_status segment_draft_begin(struct txlog *log, const struct segment_header *header,
                                   struct segment_draft *draft, struct tx_error *err) TX_CHECKED;
/* Give it its name. Durability: on return the name is durable. */
enum tx_status segment_draft_publish(struct segment_draft *draft, struct tx_error *err) TX_CHECKED;
void segment_draft_auto(struct segment_draft *draft);
enum tx_status spare_make(struct txlog *log, struct tx_error *err) TX_CHECKED;

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
typedef enum tx_status log_name_fn(void *arg, const char *name, enum log_name_kind kind,
                                   uint64_t number, struct tx_error *err);
enum tx_status log_each_name(struct txlog *log, log_name_fn *fn, void *arg,
                             struct tx_error *err) TX_CHECKED;

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
};
typedef enum tx_status walk_fn(void *arg, const struct walk_step *step, struct tx_error *err);
enum tx_status log_walk(struct txlog *log, const struct segment_list *list, tx_lsn from,
                        walk_fn *fn, void *arg, struct tx_error *err) TX_CHECKED;
/* Put "segment, offset, LSN: " before the text. */
void log_refer(struct tx_error *err, uint64_t seq, uint64_t offset, tx_lsn lsn);

/* --- log_scan.c: torn or damaged? --- */

enum scan_place { SCAN_BELOW, SCAN_AT, SCAN_ABOVE };
struct scan_facts {
    bool newer_epoch;    /* something is of a later epoch than control knows */
    bool control_claims; /* control: durable beyond the end found */
    bool log_claims;     /* a record or segment header says so */
    bool clean;          /* control: closed properly */
    enum scan_place end; /* where the end found lies, seen from the end that a clean control states */
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
/* Walk from the checkpoint and decide. Errors: TX_ECORRUPT only when the segments themselves do not
 * fit together; a bad verdict is a result. */
enum tx_status log_scan_run(struct txlog *log, const struct segment_list *list,
                            struct log_scan *scan, struct tx_error *err) TX_CHECKED;
/* The highest LSN that control or a segment header says was durable. */
tx_lsn log_claim(const struct control *control, const struct segment_list *list);

/* --- append.c --- */

/* Zero what a killed writer left behind the end. The caller holds the append lock. */
enum tx_status append_clear(struct txlog *log, struct tx_error *err) TX_CHECKED;
/* Bytes of frames that fit without making a file. */
uint64_t append_ready_size(struct txlog *log);

/* --- log_read.c --- */

/* As txlog_read. `payload` NULL: look at the header only, the seal is not checked. */
enum tx_status log_read_frame(struct txlog *log, tx_lsn lsn, struct frame_header *header,
                              struct txlog_record *record, struct tx_buf *payload,
                              struct tx_error *err) TX_CHECKED;

/* --- log_trim.c --- */

/* Recycle or remove the segments before / after `seq`; for who may call see spare.c. */
enum tx_status log_recycle_below(struct txlog *log, uint64_t seq, struct tx_error *err) TX_CHECKED;
enum tx_status log_recycle_above(struct txlog *log, uint64_t seq, bool *changed,
                                 struct tx_error *err) TX_CHECKED;

/* --- recover_tail.c: where the log goes on after recovery --- */

struct recover_plan {
    const struct segment_list *list;
    const struct log_scan *scan;
    uint64_t epoch; /* the new one */
    struct segment_ref ref; /* result: the segment in which the log goes on, */
    tx_lsn end;             /* and where */
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
