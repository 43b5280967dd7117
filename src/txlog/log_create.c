/* SPDX-License-Identifier: MIT */
/* Making a log in a directory that nobody knows of yet: order does not matter, all is synced. */
#include "txlog/txlog_internal.h"

static enum tx_status create_files(struct txlog *log, struct tx_error *err)
{
    struct txio *io = log->io;
    TX_TRY(txio_mkdir(io, log->dir, LOG_DIR_NAME, 0700, err));
    TX_TRY(txio_open(io, log->dir, LOG_DIR_NAME, TXIO_READ | TXIO_DIRECTORY, 0, &log->log_dir,
                     err));
    return txio_open(io, log->dir, CONTROL_NAME, TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE, 0600,
                     &log->control_fd, err);
}

static enum tx_status create_segment(struct txlog *log, struct tx_error *err)
{
    TX_AUTO(segment_draft) draft = {.log = log, .fd = -1};
    struct segment_header header = {
        .size = log->control.segment_size,
        .first_lsn = TXLOG_FIRST_LSN,
        .durable_lsn = TXLOG_FIRST_LSN,
    };
    TX_TRY(segment_draft_begin(log, &header, &draft, err));
    return segment_draft_publish(&draft, err);
}

static enum tx_status create_control(struct txlog *log, struct tx_error *err)
{
    struct control *content = &log->control;
    content->start_lsn = TXLOG_FIRST_LSN;
    content->start_segment = 1;
    content->last_segment = 1;
    content->durable_lsn = TXLOG_FIRST_LSN;
    content->end_lsn = TXLOG_FIRST_LSN;
    content->flags = CONTROL_CLEAN;
    TX_TRY(zero_fill(log->io, log->control_fd, 0, CONTROL_SIZE, err));
    TX_TRY(control_store(log->io, log->control_fd, content, err));
    return txio_sync(log->io, log->control_fd, CONTROL_NAME, err);
}

/* A random UUID, RFC 4122 version 4. Its marks are not zero, hence it is not. */
static enum tx_status create_identity(struct txlog *log, struct tx_error *err)
{
    uint8_t *uuid = log->control.uuid;
    int result = log->io->ops->random(log->io, uuid, sizeof(log->control.uuid));
    if (result < 0) {
        return tx_error_os(err, -result, "random bytes");
    }
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    log->log_id = tx_get64(uuid);
    return TX_OK;
}

static enum tx_status create(struct txio *io, int dir, const struct txlog_settings *settings,
                             struct txlog_identity *identity, struct tx_error *err)
{
    TX_AUTO_PTR(txlog) log = NULL;
    TX_TRY(log_new(io, dir, TXLOG_READWRITE, &log, err));
    TX_TRY(log_shared_private(log, err));
    TX_TRY(control_settings_check(settings, &log->control, err));
    TX_TRY(create_identity(log, err));
    TX_TRY(create_files(log, err));
    TX_TRY(create_segment(log, err));
    TX_TRY(spare_make(log, err));
    TX_TRY(txio_sync(io, log->log_dir, LOG_DIR_NAME "/", err));
    TX_TRY(create_control(log, err));
    memcpy(identity->uuid, log->control.uuid, sizeof(identity->uuid));
    identity->epoch = 0;
    return TX_OK;
}

enum tx_status txlog_create(struct txio *io, int dir, const struct txlog_settings *settings,
                            struct txlog_identity *identity, struct tx_error *err)
{
    enum tx_status status = create(io, dir, settings, identity, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "create the log");
    }
    return status;
}
