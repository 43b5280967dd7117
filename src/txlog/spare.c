/* SPDX-License-Identifier: MIT */
/*
 * Making segments. A segment's file comes from a spare (zeroed or recycled, all its blocks written
 * once) or is made under the name `new-...`; it gets its header, is synced, and only then its name.
 * So a name stands for a whole header, and what stands under another name is worth nothing.
 */
#include <errno.h>

#include "base/mutant.h"
#include "txlog/txlog_internal.h"

struct survey_job {
    struct txlog *log;
    struct log_survey *survey;
};

static enum tx_status survey_name(void *arg, const char *name, enum log_name_kind kind,
                                  uint64_t number, struct tx_error *err)
{
    struct survey_job *job = arg;
    struct log_survey *survey = job->survey;
    struct txio *io = job->log->io;
    struct txio_stat stat;
    if (kind == LOG_NAME_OTHER) {
        return TX_OK;
    }
    TX_TRY(txio_stat_path(io, job->log->log_dir, name, &stat, err));
    bool other_size = kind == LOG_NAME_SPARE && stat.size != job->log->control.segment_size;
    if (kind == LOG_NAME_DRAFT || other_size) {
        /* Left by somebody who was killed over it. Crash here: it is there again, or not. */
        return txio_unlink(io, job->log->log_dir, name, err);
    }
    survey->size += stat.size;
    if (kind == LOG_NAME_SEGMENT) {
        survey->seq_max = number > survey->seq_max ? number : survey->seq_max;
    } else {
        survey->spare_count++;
        survey->spare_some = number;
        survey->spare_free = number >= survey->spare_free ? number + 1 : survey->spare_free;
    }
    return TX_OK;
}

static void survey_tell(struct txlog *log, const struct log_survey *survey)
{
    atomic_store_explicit(&log->shared->spare_count, survey->spare_count, memory_order_seq_cst);
    atomic_store_explicit(&log->shared->disk_size, survey->size, memory_order_release);
}

enum tx_status log_survey(struct txlog *log, struct log_survey *survey, struct tx_error *err)
{
    struct log_survey found = {.seq_max = log->control.last_segment, .spare_free = 1};
    struct survey_job job = {log, &found};
    TX_TRY(log_each_name(log, survey_name, &job, err));
    survey_tell(log, &found);
    *survey = found;
    return TX_OK;
}

static enum tx_status check_room(struct txlog *log, const struct log_survey *survey, uint64_t size,
                                 struct tx_error *err)
{
    uint64_t limit = log->control.size_max;
    if (limit != 0 && (survey->size > limit || limit - survey->size < size)) {
        return tx_error_set(err, TX_ENOSPC,
                            "log is limited to %llu bytes, %llu are in use and %llu are needed",
                            (unsigned long long)limit, (unsigned long long)survey->size,
                            (unsigned long long)size);
    }
    return TX_OK;
}

/* The error of a file that nobody uses yet: it is dropped, so only full disks are common. */
static enum tx_status new_file(struct txlog *log, const char *name, uint64_t size, int *fd,
                               struct tx_error *err)
{
    struct txio *io = log->io;
    TX_TRY(txio_open(io, log->log_dir, name, TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE, 0600, fd,
                     err));
    /* Asked first, because with delayed allocation a full disk shows at the sync only. */
    int result = io->ops->allocate(io, *fd, 0, size);
    if (result < 0 && result != -EOPNOTSUPP) {
        return tx_error_os(err, -result, "allocate %llu bytes", (unsigned long long)size);
    }
    /* Written, not only allocated: the first write to an unwritten block changes metadata. */
    /* Crash here: a file that the next survey removes. */
    return zero_fill(io, *fd, 0, size, err);
}

void segment_draft_auto(struct segment_draft *draft)
{
    if (draft->fd < 0) {
        return;
    }
    if (!draft->is_spare && !draft->is_named) {
        /* Crash here: the file stays; the next survey removes it. The same if it fails. */
        (void)draft->log->io->ops->unlink(draft->log->io, draft->log->log_dir, draft->name);
    }
    (void)draft->log->io->ops->close(draft->log->io, draft->fd); /* nothing in it is wanted */
    draft->fd = -1;
}

static enum tx_status draft_from_spare(struct segment_draft *draft, uint64_t number,
                                       struct tx_error *err)
{
    uint8_t block[TXLOG_BLOCK_SIZE];
    struct txio *io = draft->log->io;
    spare_name(number, draft->name);
    draft->is_spare = true;
    TX_TRY(txio_open(io, draft->log->log_dir, draft->name, TXIO_WRITE, 0, &draft->fd, err));
    TX_TRY(txio_read_full(io, draft->fd, block, sizeof(block), 0, err));
    if (!tx_is_zero(block, TXLOG_BLOCK_SIZE)) {
        draft->header.flags |= SEGMENT_RECYCLED;
    }
    return TX_OK;
}

static enum tx_status draft_from_nothing(struct segment_draft *draft,
                                         const struct log_survey *survey, struct tx_error *err)
{
    memcpy(draft->name, "new-segment", sizeof("new-segment"));
    TX_TRY(check_room(draft->log, survey, draft->header.size, err));
    return new_file(draft->log, draft->name, draft->header.size, &draft->fd, err);
}

enum tx_status segment_draft_begin(struct txlog *log, const struct segment_header *header,
                                   struct segment_draft *draft, struct tx_error *err)
{
    TX_AUTO(segment_draft) begun = {.log = log, .fd = -1, .header = *header};
    struct log_survey survey;
    uint8_t block[TXLOG_BLOCK_SIZE];
    TX_TRY(log_survey(log, &survey, err));
    if (survey.seq_max == UINT64_MAX) {
        return tx_error_set(err, TX_ELIMIT, "no sequence number is left for a segment");
    }
    begun.header.seq = survey.seq_max + 1;
    begun.header.log_id = log->log_id;
    if (header->size == log->control.segment_size && survey.spare_count > 0) {
        /* Counted out first: the count may be too low, never too high. */
        atomic_store_explicit(&log->shared->spare_count, survey.spare_count - 1,
                              memory_order_seq_cst);
        TX_TRY(draft_from_spare(&begun, survey.spare_some, err));
    } else {
        TX_TRY(draft_from_nothing(&begun, &survey, err));
        survey.size += header->size;
        atomic_store_explicit(&log->shared->disk_size, survey.size, memory_order_release);
    }
    /* What others have forced meanwhile relies on the spare or on this. */
    tx_lsn forced = atomic_load_explicit(&log->shared->forced_lsn, memory_order_seq_cst);
    if (begun.header.durable_lsn < forced) {
        begun.header.durable_lsn = forced;
    }
    segment_encode(&begun.header, block);
    struct iovec part = {block, sizeof(block)};
    TX_TRY(txio_write_full(log->io, begun.fd, &part, 1, 0, err));
    /* Crash here: a spare with a header that nobody looks at, or a draft to be removed. */
    TX_TRY(txio_datasync(log->io, begun.fd, begun.name, err));
    *draft = begun;
    begun.fd = -1;
    return TX_OK;
}

enum tx_status segment_draft_publish(struct segment_draft *draft, struct tx_error *err)
{
    char name[LOG_NAME_SIZE];
    struct txlog *log = draft->log;
    segment_name(draft->header.seq, name);
    /* Crash here: no such segment. */
    TX_TRY(txio_rename(log->io, log->log_dir, draft->name, log->log_dir, name, TXIO_NOREPLACE,
                       err));
    /* Crash here: the segment with its header, or none; it holds no record but what recovery put
     * there before. */
    draft->is_named = true;
    if (TX_MUTANT(2)) { /* RocksDB 10573, ALICE: the directory of a new segment is not synced */
        return TX_OK;
    }
    return txio_sync(log->io, log->log_dir, LOG_DIR_NAME "/", err);
}

static enum tx_status spare_is_torn(struct txlog *log, const char *name, bool *torn,
                                    struct tx_error *err)
{
    uint8_t block[TXLOG_BLOCK_SIZE];
    struct segment_header header;
    int fd;
    TX_TRY(txio_open(log->io, log->log_dir, name, TXIO_READ, 0, &fd, err));
    enum tx_status status = txio_read_full(log->io, fd, block, sizeof(block), 0, err);
    (void)log->io->ops->close(log->io, fd); /* read only */
    *torn = status == TX_ECORRUPT || /* shorter than a block */
            (status == TX_OK && !tx_is_zero(block, sizeof(block)) &&
             segment_decode(block, &header, NULL) == TX_ECORRUPT);
    return status == TX_ECORRUPT ? TX_OK : status;
}

static enum tx_status drop_torn(void *arg, const char *name, enum log_name_kind kind,
                                uint64_t number, struct tx_error *err)
{
    struct txlog *log = arg;
    bool torn = false;
    (void)number;
    if (kind == LOG_NAME_SPARE) {
        TX_TRY(spare_is_torn(log, name, &torn, err));
    }
    /* Crash here: it is there again, or not. */
    return torn ? txio_unlink(log->io, log->log_dir, name, err) : TX_OK;
}

enum tx_status spare_drop_torn(struct txlog *log, struct tx_error *err)
{
    return log_each_name(log, drop_torn, log, err);
}

static enum tx_status spare_fill(struct txlog *log, const struct log_survey *survey,
                                 struct segment_draft *draft, struct tx_error *err)
{
    char name[LOG_NAME_SIZE];
    memcpy(draft->name, "new-spare", sizeof("new-spare"));
    spare_name(survey->spare_free, name);
    TX_TRY(new_file(log, draft->name, log->control.segment_size, &draft->fd, err));
    TX_TRY(txio_datasync(log->io, draft->fd, draft->name, err));
    /* Crash here: the draft, removed by the next survey, or the spare, whole. */
    TX_TRY(txio_rename(log->io, log->log_dir, draft->name, log->log_dir, name, TXIO_NOREPLACE,
                       err));
    draft->is_named = true;
    return TX_OK;
}

enum tx_status spare_make(struct txlog *log, struct tx_error *err)
{
    TX_AUTO(segment_draft) draft = {.log = log, .fd = -1};
    struct log_survey survey;
    TX_TRY(log_survey(log, &survey, err));
    TX_TRY(check_room(log, &survey, log->control.segment_size, err));
    TX_TRY(spare_fill(log, &survey, &draft, err));
    survey.spare_count++;
    survey.size += log->control.segment_size;
    survey_tell(log, &survey);
    return TX_OK;
}
