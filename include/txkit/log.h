/* SPDX-License-Identifier: MIT */
/*
 * The log: bytes in order, durable. It knows nothing of transactions.
 *
 * A log is `control` (two alternating slots) and `log/` (segments) in a store's directory. Several
 * processes append to one log at once; what they share lives in a piece of shared memory
 * (struct txlog_shared) that whoever recovers the log builds anew.
 *
 * The calls follow one another so:
 *     txlog_create                      once in a store's life
 *     txlog_open                        in every process; then, in one of them, alone:
 *     txlog_recover                     finds the end of the log, starts a new epoch
 *     txlog_append_begin .. txlog_append .. txlog_append_end      many times
 *     txlog_force                       until it returns nothing is durable
 *     txlog_read                        forward cursor over records
 *     txlog_trim                        what is below is not needed any more
 *     txlog_close
 *
 * LSN: position of a record's first byte in the endless log, in bytes; never reused, except that
 * positions after the last durable record are given again after a crash or a poisoned force.
 * A record is one frame: header, payload, padding to TXLOG_BLOCK_SIZE; one XXH3-64 covers all of
 * it. A frame never spans segments; a frame larger than a segment gets a segment of its own size.
 *
 * fsync-error policy (COMMIT 11): the first failed write or sync poisons the log for every process
 * that has it open, in shared memory, before anybody is woken. No sync is ever repeated.
 */
#ifndef TXKIT_LOG_H
#define TXKIT_LOG_H

#include <txkit/io.h>
#include <txkit/memory.h>

#define TXLOG_BLOCK_SIZE 4096u
#define TXLOG_SEGMENT_SIZE_MIN (16u * 1024u)
#define TXLOG_SEGMENT_SIZE_DEFAULT (16u * 1024u * 1024u)
#define TXLOG_SEGMENT_SIZE_MAX (1024u * 1024u * 1024u)
/* Largest payload of one record, bytes. */
#define TXLOG_PAYLOAD_MAX (1024u * 1024u * 1024u)

/* Kind of a record by which a new epoch begins; written by recovery, skipped by readers. */
#define TXLOG_KIND_EPOCH 0xFFFFFFFFu

typedef uint64_t tx_lsn;
#define TXLOG_FIRST_LSN ((tx_lsn)TXLOG_BLOCK_SIZE) /* where a new log begins; 0 is no record's */

struct txlog;
struct txlog_shared; /* defined in src/txlog; lives in shared memory */

struct txlog_settings {
    uint64_t segment_size; /* bytes, multiple of the block size; 0: default */
    uint64_t size_max;     /* bytes of all segments together, at least 3 segments; 0: no limit;
                            * TX_ENOSPC beyond */
};

/* A store's identity: a random UUID (RFC 4122, version 4) from its creation. */
struct txlog_identity {
    uint8_t uuid[16];
    uint64_t epoch; /* number of read-write recoveries; forced before anything of an epoch is */
};

struct txlog_record {
    tx_lsn lsn;
    tx_lsn next_lsn; /* where the next record begins */
    uint32_t kind;   /* given by the writer, opaque here */
    uint64_t epoch;  /* in which it was written */
    uint64_t segment; /* number and byte offset, for messages */
    uint64_t offset;
};

struct txlog_info {
    struct txlog_identity identity;
    struct txlog_settings settings;
    tx_lsn start_lsn;   /* oldest record kept: the checkpoint */
    tx_lsn append_lsn;  /* where the next record goes */
    tx_lsn durable_lsn; /* everything below is durable */
    uint64_t segment_count;
    uint64_t size;        /* bytes of all segments on disk */
    uint64_t force_count; /* by all processes since recovery */
    uint64_t epochs;      /* begun before this handle was opened; 0: nobody ever wrote */
    bool clean;           /* closed properly the last time */
    bool at_rest;         /* by txlog_open_clean, and nobody has recovered it since */
    bool poisoned;
};

/* What recovery did; the rows of the decision table are in docs/format.md. */
struct txlog_recovery {
    bool was_clean;
    tx_lsn end_lsn;      /* first byte after the last good record */
    uint64_t torn_bytes; /* bytes of torn tail left behind */
    uint64_t rewritten_bytes; /* unproven tail that was rewritten and forced */
    uint64_t torn_segment; /* where, when torn_bytes > 0 */
    uint64_t torn_offset;
};

enum txlog_mode {
    TXLOG_READWRITE,
    TXLOG_READONLY, /* shares the memory of the living, never writes */
    TXLOG_SALVAGE,  /* no shared memory, no locks; stops at the first damage and says so */
};

/* Bytes of shared memory that a log needs, aligned to 64. */
TX_API size_t txlog_shared_size(void);

/*
 * Make the control file and the first segments under the directory `dir` (a store being built
 * under a temporary name). Durability: everything is synced, `dir` itself is left to the caller.
 */
TX_API enum tx_status txlog_create(struct txio *io, int dir, const struct txlog_settings *settings,
                                   struct txlog_identity *identity,
                                   struct tx_error *err) TX_CHECKED;

/*
 * Open the log of a store. `shared` is zeroed memory at the first opening and what the others use
 * at the next ones (NULL with TXLOG_SALVAGE). Nothing is read beyond control and segment headers.
 * Errors: TX_ECORRUPT with segment and offset, TX_EVERSION, TX_ENOTFOUND.
 * Ownership: the caller closes it. Keeps `io`, `dir` and `shared` until then.
 */
TX_API enum tx_status txlog_open(struct txio *io, int dir, enum txlog_mode mode, void *shared,
                                 struct txlog **log, struct tx_error *err) TX_CHECKED;

/* The descriptor of `control`, on which the store's lock bytes live (txio_lock_byte). */
TX_API int txlog_control_fd(const struct txlog *log);

/* Before txlog_recover: the caller knows that everything below `lsn` was durable, so that a log
 * which seems to end earlier is damaged, not torn. */
TX_API void txlog_claim_durable(struct txlog *log, tx_lsn lsn);

/*
 * Find the end of the log, tell a torn tail from damage, rewrite and force what is not proven
 * durable, start a new epoch (forced), fill the shared memory. The caller holds
 * TXIO_LOCK_RECOVERY exclusively, or the log is at rest and the caller keeps others from opening
 * it. Errors: TX_ECORRUPT (segment, offset and LSN in the text): then nothing was changed and only
 * TXLOG_SALVAGE opens.
 */
TX_API enum tx_status txlog_recover(struct txlog *log, struct txlog_recovery *report,
                                    struct tx_error *err) TX_CHECKED;

/*
 * Instead of txlog_recover, when the log was closed properly and is only to be read: fill the
 * shared memory and leave the log at rest, as it lies on disk, in epoch 0. Nothing can be appended
 * (TX_EMISUSE) before txlog_recover is called after all, which readers do not notice. *opened
 * false: recover it.
 * The caller holds TXIO_LOCK_RECOVERY exclusively. Errors: as txlog_recover.
 * Durability: nothing is written. What is read is durable, for that was before the clean mark.
 */
TX_API enum tx_status txlog_open_clean(struct txlog *log, bool *opened,
                                       struct tx_error *err) TX_CHECKED;

/*
 * Take the append lock and say where the next record will go. The caller may examine and change
 * what it orders by the log (the conflict table) and then appends, or not.
 * Errors, after each of which nothing is held: TX_EPOISONED; TX_ENOSPC (no room for payload_size
 * and the reserve); TX_ELIMIT; TX_EIO (making a segment failed; the log is poisoned).
 */
TX_API enum tx_status txlog_append_begin(struct txlog *log, size_t payload_size, tx_lsn *lsn,
                                         struct tx_error *err) TX_CHECKED;
/* As above for a record that its writer reserved (txlog_reserve): may use the reserve. */
TX_API enum tx_status txlog_append_begin_reserved(struct txlog *log, size_t payload_size,
                                                  tx_lsn *lsn, struct tx_error *err) TX_CHECKED;
/* Write the record; count <= 6 parts that together have payload_size bytes. Durability: none.
 * Errors: TX_ENOSPC: nothing was written. TX_EOUTCOME: the write failed, the log is poisoned and
 * the next recovery may find the record. */
TX_API enum tx_status txlog_append(struct txlog *log, uint32_t kind, const struct iovec *parts,
                                   int count, tx_lsn *next_lsn, struct tx_error *err) TX_CHECKED;
/* Release the append lock, after txlog_append or instead of it. */
TX_API void txlog_append_end(struct txlog *log);

/*
 * Make everything before `upto` durable. One force serves all who appended before it began, in
 * every thread and process. Durability: on TX_OK all records before `upto` survive a power cut.
 * Errors: TX_EOUTCOME when the sync failed (the log is poisoned; the record may or may not be
 * found by the next recovery).
 */
TX_API enum tx_status txlog_force(struct txlog *log, tx_lsn upto, struct tx_error *err) TX_CHECKED;

/* Keep room for a record of `size` payload bytes that must be possible later (a decision). Kept in
 * shared memory: it outlives its process; after a recovery it has to be reserved again. */
TX_API enum tx_status txlog_reserve(struct txlog *log, size_t size,
                                    struct tx_error *err) TX_CHECKED;
TX_API void txlog_unreserve(struct txlog *log, size_t size);

/*
 * Read the record at `lsn` into `payload` (replacing what it held). Errors: TX_ENOTFOUND at or
 * after the end (append_lsn; in salvage the first damage), TX_ECORRUPT. Thread: any.
 */
TX_API enum tx_status txlog_read(struct txlog *log, tx_lsn lsn, struct txlog_record *record,
                                 struct tx_buf *payload, struct tx_error *err) TX_CHECKED;

typedef void txlog_field_fn(void *arg, const char *name, uint64_t value, const char *text);
/* Deliver each field of the record's header, in the order of the format, with its meaning; then
 * those of the payload when its kind is TXLOG_KIND_EPOCH. Errors: as txlog_read. */
TX_API enum tx_status txlog_describe_record(struct txlog *log, tx_lsn lsn, txlog_field_fn *fn,
                                            void *arg, struct tx_error *err) TX_CHECKED;

/*
 * Forget everything below `lsn`, a record boundary <= durable_lsn. Durability: on return the
 * control file says so durably; only then segments are recycled or removed.
 */
TX_API enum tx_status txlog_trim(struct txlog *log, tx_lsn lsn, struct tx_error *err) TX_CHECKED;

/* Make the next segment ready, if it is not, so that no commit has to wait for it. */
TX_API enum tx_status txlog_prepare_segment(struct txlog *log, struct tx_error *err) TX_CHECKED;

TX_API void txlog_get_info(struct txlog *log, struct txlog_info *info);
TX_API void txlog_poison(struct txlog *log);
TX_API bool txlog_is_poisoned(struct txlog *log);
/* True while bytes stand behind the end that somebody is writing, or wrote and did not live to
 * append: they may be a whole record, which recovery would find. The next append wipes the latter,
 * durably. Of a poisoned log it is true for ever. */
TX_API bool txlog_has_leftover(struct txlog *log);

/* Force everything and mark the log clean; the caller is alone. Nothing can be appended after it
 * (TX_EMISUSE). Durability: on return the next recovery goes on where the log ends. */
TX_API enum tx_status txlog_mark_clean(struct txlog *log, struct tx_error *err) TX_CHECKED;
TX_API void txlog_close(struct txlog *log);

/* A fault found by txlog_verify. */
struct txlog_fault {
    const char *file; /* "control" or the segment's name */
    uint64_t offset;
    tx_lsn lsn;
    char text[160];
};
typedef void txlog_fault_fn(void *arg, const struct txlog_fault *fault);
/*
 * Read every byte of control and log and report each fault; changes nothing. Works without shared
 * memory on a store that nobody recovers at the time. Returns TX_OK when it could read all,
 * whatever it found; *faults counts them.
 */
TX_API enum tx_status txlog_verify(struct txio *io, int dir, txlog_fault_fn *fn, void *arg,
                                   uint64_t *faults, struct tx_error *err) TX_CHECKED;

#endif
