/* SPDX-License-Identifier: MIT */
/* A log over any txio, with records whose contents follow from their kind. */
#ifndef TEST_LOG_FIXTURE_H
#define TEST_LOG_FIXTURE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "txlog/log_scan.h"

#define ok(call)                                                                                   \
    do {                                                                                           \
        enum tx_status ok_status_ = (call);                                                        \
        cr_assert(ok_status_ == TX_OK, "%s:%d: %s: %s", __FILE__, __LINE__,                        \
                  tx_status_name(ok_status_), test_err.text);                                      \
    } while (0)
#define fails(wanted, call)                                                                        \
    do {                                                                                           \
        enum tx_status fails_status_ = (call);                                                     \
        cr_assert(fails_status_ == (wanted), "%s:%d: %s instead of %s", __FILE__, __LINE__,        \
                  tx_status_name(fails_status_), tx_status_name(wanted));                          \
    } while (0)
extern struct tx_error test_err;

enum { SMALL_SEGMENT = TXLOG_SEGMENT_SIZE_MIN }; /* three blocks for records */

struct log_user {
    struct txio *io;
    int dir;
    void *shared;
    struct txlog *log;
    struct txlog_recovery recovery;
};

/* Shared memory that forked children share too, zeroed. */
void *shared_new(void);
/* Make a log of small segments in `dir` (size_max 0: no limit). */
void log_make(struct txio *io, int dir, uint64_t size_max);
/* Open and recover with fresh shared memory. */
enum tx_status log_try_open(struct log_user *user, struct txio *io, int dir);
void log_open(struct log_user *user, struct txio *io, int dir);
/* Another handle on the same shared memory. */
void log_join(struct log_user *user, const struct log_user *other, struct txio *io);
void log_close(struct log_user *user);      /* as a killed process leaves it */
void log_close_clean(struct log_user *user); /* trimmed nothing, marked clean */
/* Close as after a crash of the process, open again, recover. */
void log_reopen(struct log_user *user);

/* Append the record of this kind; nothing is forced. Returns its next LSN. */
tx_lsn log_put(struct log_user *user, uint32_t kind, size_t size);
enum tx_status log_try_put(struct log_user *user, uint32_t kind, size_t size, tx_lsn *next);
tx_lsn log_put_forced(struct log_user *user, uint32_t kind, size_t size);
void payload_fill(uint8_t *data, uint32_t kind, size_t size);
bool payload_is(const struct tx_buf *payload, uint32_t kind);

struct log_contents {
    uint32_t kinds[512]; /* epoch records left out */
    tx_lsn lsns[512];
    unsigned count;
    unsigned epochs;
};
/* Read everything; each record's payload must be that of its kind. */
void log_contents(struct log_user *user, struct log_contents *contents);
/* The log holds the kinds 1..count and nothing else. */
void log_expect(struct log_user *user, unsigned count);

struct txlog_info log_info(const struct log_user *user);
uint64_t log_faults(struct txio *io, int dir);
/* The faults as text, for messages and for matching. */
const char *log_faults_text(struct txio *io, int dir);

/* Bytes of a file below dir, by plain system calls. */
void file_read(int dir, const char *path, uint64_t offset, void *data, size_t size);
void file_write(int dir, const char *path, uint64_t offset, const void *data, size_t size);
void file_flip(int dir, const char *path, uint64_t offset, unsigned bit);
uint64_t file_size(int dir, const char *path);
const char *segment_path(uint64_t seq);

/* Give control, rightly sealed, another content. */
void control_edit(int dir, void (*fn)(struct control *content));

/* A copy of the directory's log beside it; to come back to. */
void log_save(int dir);
void log_restore(int dir);

#endif
