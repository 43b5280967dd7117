/* SPDX-License-Identifier: MIT */
/* Opening and closing a log, and what one can ask about it. */
#include "base/mutant.h"
#include "txlog/log_scan.h"

#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release

size_t txlog_shared_size(void)
{
    return (sizeof(struct txlog_shared) + 63) & ~(size_t)63;
}

void txlog_close(struct txlog *log)
{
    if (!log) {
        return;
    }
    segment_files_close(log);
    if (log->log_dir >= 0) {
        (void)log->io->ops->close(log->io, log->log_dir); /* read only */
    }
    if (log->control_fd >= 0) {
        (void)log->io->ops->close(log->io, log->control_fd); /* each write was synced */
    }
    tx_free(log->private_memory);
    tx_free(log);
}

enum tx_status log_new(struct txio *io, int dir, enum txlog_mode mode, struct txlog **log,
                       struct tx_error *err)
{
    struct txlog *made = tx_alloc_zero(sizeof(*made));
    if (!made) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    made->io = io;
    made->dir = dir;
    made->mode = mode;
    made->process = io->ops->process_id(io);
    made->log_dir = -1;
    made->control_fd = -1;
    made->begun_handle.fd = -1;
    for (size_t i = 0; i < LOG_FILES_MAX; i++) {
        made->files[i].fd = -1;
    }
    *log = made;
    return TX_OK;
}

static void open_locks(struct txlog *log)
{
    txio_pair_init(&log->append_lock, log->io, log->control_fd, TXIO_LOCK_APPEND);
    txio_pair_init(&log->force_lock, log->io, log->control_fd, TXIO_LOCK_FORCE);
    txio_pair_init(&log->segment_lock, log->io, log->control_fd, TXIO_LOCK_SEGMENT);
}

static enum tx_status open_files(struct txlog *log, struct tx_error *err)
{
    unsigned flags = log->mode == TXLOG_READWRITE ? TXIO_WRITE : TXIO_READ;
    TX_TRY(txio_open(log->io, log->dir, CONTROL_NAME, flags, 0, &log->control_fd, err));
    open_locks(log);
    return txio_open(log->io, log->dir, LOG_DIR_NAME, TXIO_READ | TXIO_DIRECTORY, 0, &log->log_dir,
                     err);
}

enum tx_status log_shared_private(struct txlog *log, struct tx_error *err)
{
    log->shared =
        tx_alloc_zero_aligned(txlog_shared_size(), LOG_SHARED_ALIGNMENT, &log->private_memory);
    return log->shared ? TX_OK : tx_error_set(err, TX_ENOMEM, "out of memory");
}

void log_shared_begin(struct txlog *log, uint64_t epoch)
{
    struct txlog_shared *shared = log->shared;
    atomic_store_explicit(&shared->log_id, log->log_id, RELEASE);
    atomic_store_explicit(&shared->epoch, epoch, RELEASE);
    atomic_store_explicit(&shared->start_lsn, log->control.start_lsn, RELEASE);
    atomic_store_explicit(&shared->was_clean, control_is_clean(&log->control), RELEASE);
}

/* Salvage: damaged segments are left out, the walk ends at the first damage. */
static enum tx_status salvage_bad(void *arg, uint64_t seq, enum tx_status status,
                                  struct tx_error *err)
{
    (void)arg;
    (void)seq;
    (void)err;
    return status == TX_ENOMEM ? status : TX_OK;
}

static enum tx_status salvage_step(void *arg, const struct walk_step *step, struct tx_error *err)
{
    struct log_scan *scan = arg;
    (void)err;
    scan->ended = scan->ended || !step->frame;
    if (!scan->ended) {
        scan->end = step->lsn + step->size;
        scan->epoch = step->frame->epoch;
    }
    return TX_OK;
}

/* Without control the oldest record that is left is where reading begins. */
static void salvage_control(struct txlog *log, const struct segment_list *list)
{
    if (log->control.start_lsn == 0) {
        bool any = list->count > 0;
        log->control.start_lsn = any ? list->items[0].header.first_lsn : TXLOG_FIRST_LSN;
        log->log_id = any ? list->items[list->count - 1].header.log_id : 0;
    }
}

static enum tx_status open_salvage(struct txlog *log, struct tx_error *err)
{
    TX_AUTO(segment_list) list = {NULL, 0};
    struct log_scan scan = {.ended = false};
    TX_TRY(segment_list_load(log, log->control.start_segment, salvage_bad, NULL, &list, err));
    salvage_control(log, &list);
    scan.end = log->control.start_lsn;
    enum tx_status status = TX_OK;
    if (list.count > 0 && list.items[0].header.first_lsn <= scan.end) {
        status = log_walk(log, &list, scan.end, WALK_ALL, salvage_step, &scan, err);
    }
    if (status != TX_OK && status != TX_EIO) { /* what cannot be read is damage too */
        return status;
    }
    log_shared_begin(log, scan.epoch);
    for (size_t i = 0; i < list.count && i < LOG_TABLE_SIZE; i++) {
        const struct segment_header *header = &list.items[i].header;
        table_push(log->shared,
                   &(struct segment_ref){header->seq, header->first_lsn, header->size});
    }
    atomic_store_explicit(&log->shared->append_lsn, scan.end, RELEASE);
    atomic_store_explicit(&log->shared->durable_lsn, scan.end, RELEASE);
    atomic_store_explicit(&log->shared->magic, LOG_SHARED_MAGIC, RELEASE);
    return TX_OK;
}

/* A descriptor that is older than what will be written reports the errors of all of it. The living
 * may fill the tail, begin another and recycle this one while we look for it. */
static enum tx_status open_tail(struct txlog *log, struct tx_error *err)
{
    struct segment_ref tail;
    struct segment_ref now;
    enum tx_status status;
    do {
        TX_AUTO(segment_handle) handle = {.fd = -1};
        table_tail(log->shared, &tail);
        status = segment_acquire(log, tail.seq, &handle, err);
        table_tail(log->shared, &now);
    } while (status == TX_ENOTFOUND && now.seq != tail.seq);
    return status;
}

static enum tx_status open_join(struct txlog *log, struct tx_error *err)
{
    uint64_t magic = atomic_load_explicit(&log->shared->magic, ACQUIRE);
    if (magic == 0) {
        return TX_OK; /* txlog_recover comes next */
    }
    if (magic != LOG_SHARED_MAGIC ||
        atomic_load_explicit(&log->shared->log_id, ACQUIRE) != log->log_id) {
        return tx_error_set(err, TX_EVERSION, "shared memory is that of another log");
    }
    return open_tail(log, err);
}

static enum tx_status open_as(struct txlog *log, void *shared, struct tx_error *err)
{
    TX_TRY(open_files(log, err));
    enum tx_status status = control_load(log->io, log->control_fd, &log->control, err);
    bool salvage = log->mode == TXLOG_SALVAGE;
    if (status != TX_OK && !(salvage && status == TX_ECORRUPT)) {
        return status;
    }
    log->log_id = tx_get64(log->control.uuid);
    if (salvage) {
        TX_TRY(log_shared_private(log, err));
        return open_salvage(log, err);
    }
    log->shared = shared;
    return open_join(log, err);
}

enum tx_status txlog_open(struct txio *io, int dir, enum txlog_mode mode, void *shared,
                          struct txlog **log, struct tx_error *err)
{
    TX_AUTO_PTR(txlog) opened = NULL;
    if ((mode == TXLOG_SALVAGE) != (shared == NULL)) {
        return tx_error_set(err, TX_EMISUSE, "open log: shared memory goes with every mode but "
                                             "salvage");
    }
    TX_TRY(log_new(io, dir, mode, &opened, err));
    enum tx_status status = open_as(opened, shared, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "open log");
        return status;
    }
    *log = TX_TAKE(opened);
    return TX_OK;
}

int txlog_control_fd(const struct txlog *log)
{
    return log->control_fd;
}

enum tx_status log_check_ready(struct txlog *log, struct tx_error *err)
{
    if (log->process != log->io->ops->process_id(log->io)) {
        return tx_error_set(err, TX_EFORKED, "log was opened before fork");
    }
    if (atomic_load_explicit(&log->shared->magic, ACQUIRE) != LOG_SHARED_MAGIC) {
        return tx_error_set(err, TX_EMISUSE, "log has not been recovered");
    }
    return TX_OK;
}

enum tx_status log_check_writable(struct txlog *log, struct tx_error *err)
{
    if (log->mode != TXLOG_READWRITE) {
        return tx_error_set(err, TX_EREADONLY, "log is open read-only");
    }
    TX_TRY(log_check_ready(log, err));
    if (atomic_load_explicit(&log->shared->at_rest, ACQUIRE) && !TX_MUTANT(86)) {
        return tx_error_set(err, TX_EMISUSE, "log is open for reading only, and not recovered");
    }
    if (txlog_is_poisoned(log)) {
        return tx_error_set(err, TX_EPOISONED, "%s", tx_status_text(TX_EPOISONED));
    }
    return TX_OK;
}

void txlog_poison(struct txlog *log)
{
    struct txlog_shared *shared = log->shared;
    if (TX_MUTANT(53)) { /* the next one tries the sync again */
        return;
    }
    atomic_store_explicit(&shared->poisoned, 1, memory_order_seq_cst);
    for (int i = 0; i < 2; i++) {
        atomic_fetch_add_explicit(&shared->word[i], 1, memory_order_seq_cst);
        (void)log->io->ops->wake(log->io, &shared->word[i], INT32_MAX); /* they look anyway */
    }
}

bool txlog_is_poisoned(struct txlog *log)
{
    return atomic_load_explicit(&log->shared->poisoned, ACQUIRE) != 0;
}

enum tx_status log_poison_on(struct txlog *log, enum tx_status status)
{
    if (status != TX_OK) {
        txlog_poison(log);
    }
    return status;
}

void txlog_get_info(struct txlog *log, struct txlog_info *info)
{
    struct txlog_shared *shared = log->shared;
    *info = (struct txlog_info){
        .settings = {log->control.segment_size, log->control.size_max},
        .start_lsn = atomic_load_explicit(&shared->start_lsn, ACQUIRE),
        .durable_lsn = atomic_load_explicit(&shared->durable_lsn, ACQUIRE),
        .append_lsn = atomic_load_explicit(&shared->append_lsn, ACQUIRE),
        .segment_count = atomic_load_explicit(&shared->tail, ACQUIRE) -
                         atomic_load_explicit(&shared->head, ACQUIRE),
        .size = atomic_load_explicit(&shared->disk_size, ACQUIRE),
        .force_count = atomic_load_explicit(&shared->batch, ACQUIRE),
        .epochs = log->control.epoch,
        .clean = atomic_load_explicit(&shared->was_clean, ACQUIRE) != 0,
        .at_rest = atomic_load_explicit(&shared->at_rest, ACQUIRE) != 0,
        .poisoned = txlog_is_poisoned(log),
    };
    memcpy(info->identity.uuid, log->control.uuid, sizeof(info->identity.uuid));
    info->identity.epoch = atomic_load_explicit(&shared->epoch, ACQUIRE);
}
