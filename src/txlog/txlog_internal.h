/* SPDX-License-Identifier: MIT */
/* Declarations of the log's folder and its tests; README.md says who may change what. See also
 * log_format.h (on disk) and log_scan.h (reading it back, recovery). */
#ifndef TXLOG_INTERNAL_H
#define TXLOG_INTERNAL_H

#include <string.h>

#include "base/buf.h"
#include "base/invariant.h"
#include "txlog/log_format.h"

#define LOG_SEGMENTS_MAX 1024u                   /* live at once, as far as appending makes them */
#define LOG_TABLE_SIZE (LOG_SEGMENTS_MAX + 64u)  /* and those of recoveries with no trim between */
#define LOG_SPARES_KEPT 3u                       /* more are removed by trim */
#define LOG_FILES_MAX 16u                        /* open segments cached per handle */
#define LOG_PARTS_MAX 6

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

#define LOG_SHARED_MAGIC 0x33306d68736c7874u /* "txlshm03" */

/* What the processes that append to one log share. Every word is valid at every instruction at
 * which a process may be killed; who may change it is in README.md. */
struct txlog_shared {
    _Atomic uint64_t magic; /* written last, by recovery */
    _Atomic uint64_t log_id;
    _Atomic uint64_t epoch;
    _Atomic uint64_t start_lsn;
    _Atomic uint32_t was_clean;
    _Atomic uint32_t is_clean; /* marked clean: nothing may be appended any more */
    _Atomic uint32_t at_rest;  /* opened by txlog_open_clean: nothing may be appended yet */

    _Alignas(64) _Atomic uint64_t append_lsn;
    _Atomic uint64_t write_lsn;  /* above append_lsn: a writer began a record up to there */
    _Atomic uint64_t reserved;   /* bytes of frames */
    _Atomic uint32_t switching;  /* a segment may have its name and not be in the table */
    _Atomic uint64_t aim_lsn;    /* at least where the log ends with the record that is begun */
    _Atomic uint64_t claim_lsn;  /* durable_lsn of the record that was appended last */

    _Alignas(64) _Atomic uint64_t durable_lsn; /* answered for */
    _Atomic uint64_t forced_lsn; /* synced, perhaps not yet answered for */
    _Atomic uint64_t proven_lsn; /* something durable says that everything before it is durable */
    _Atomic uint64_t batch;      /* forces that ended */
    _Atomic uint64_t target_lsn; /* of the force that runs */
    _Atomic uint32_t poisoned;
    _Atomic uint32_t word[2];    /* futexes: waiters of batch n sleep on word[n & 1] */
    _Atomic uint32_t sleepers[2]; /* at least one when somebody sleeps there */

    _Alignas(64) _Atomic uint64_t spare_count; /* at most what is there */
    _Atomic uint64_t disk_size;                /* for txlog_get_info */
    _Atomic uint64_t head;                     /* table entries [head, tail), modulo its length */
    _Atomic uint64_t tail;
    struct segment_entry entries[LOG_TABLE_SIZE];
};

/* The segment that holds `lsn`, or ends there as the last one; false when there is none. */
bool table_find(struct txlog_shared *shared, tx_lsn lsn, struct segment_ref *ref, uint64_t *index);
bool table_get(struct txlog_shared *shared, uint64_t index, struct segment_ref *ref);
void table_tail(struct txlog_shared *shared, struct segment_ref *ref);
bool table_is_full(struct txlog_shared *shared);
void table_push(struct txlog_shared *shared, const struct segment_ref *ref);
void table_cut_head(struct txlog_shared *shared, uint64_t index);
uint64_t table_previous(struct txlog_shared *shared, tx_lsn first_lsn);

/* --- control.c: the rest of it is in log_format.h --- */

/* For those who use the log, under segment_lock. Errors: TX_ECORRUPT when it is not what was stored
 * last; then the log is poisoned. */
enum tx_status control_load_current(struct txlog *log, struct control *content,
                                    struct tx_error *err) TX_CHECKED;

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
    void *private_memory; /* instead of memory that is shared; NULL: there is none */
    struct control control; /* as it was at opening; identity and settings never change */
    uint64_t log_id;
    tx_lsn claimed_lsn; /* txlog_claim_durable */
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
#define LOG_SHARED_ALIGNMENT 64u
/* For a log that nobody else uses: memory of its own, zeroed. */
enum tx_status log_shared_private(struct txlog *log, struct tx_error *err) TX_CHECKED;
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
/* Remove the spares that somebody was making segments of when he was cut off. */
enum tx_status spare_drop_torn(struct txlog *log, struct tx_error *err) TX_CHECKED;

/* --- segment_list.c --- */

typedef enum tx_status log_name_fn(void *arg, const char *name, enum log_name_kind kind,
                                   uint64_t number, struct tx_error *err);
enum tx_status log_each_name(struct txlog *log, log_name_fn *fn, void *arg,
                             struct tx_error *err) TX_CHECKED;

/* --- append.c --- */

/* Zero what a killed writer left behind the end. The caller holds the append lock. */
enum tx_status append_clear(struct txlog *log, struct tx_error *err) TX_CHECKED;
/* Bytes of frames that fit without making a file. */
uint64_t append_ready_size(struct txlog *log);

/* --- proof.c --- */

/* See to it that no recovery need overwrite what has been forced: that there is a spare for it, or
 * that control says that it is durable. Takes segment_lock. Errors poison. */
enum tx_status log_prove(struct txlog *log, struct tx_error *err) TX_CHECKED;
/* Of words that only grow. */
void proof_raise(_Atomic uint64_t *word, uint64_t value);

/* --- log_read.c --- */

/* As txlog_read. `payload` NULL: look at the header only, the seal is not checked. */
enum tx_status log_read_frame(struct txlog *log, tx_lsn lsn, struct frame_header *header,
                              struct txlog_record *record, struct tx_buf *payload,
                              struct tx_error *err) TX_CHECKED;

/* Put "segment, offset, LSN: " before the text. */
void log_refer(struct tx_error *err, uint64_t seq, uint64_t offset, tx_lsn lsn);

/* --- log_trim.c --- */

/* Recycle or remove the segments before / after `seq`; for who may call see spare.c. */
enum tx_status log_recycle_below(struct txlog *log, uint64_t seq, struct tx_error *err) TX_CHECKED;
enum tx_status log_recycle_above(struct txlog *log, uint64_t seq, bool *changed,
                                 struct tx_error *err) TX_CHECKED;

#endif
