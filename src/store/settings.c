/* SPDX-License-Identifier: MIT */
/* The settings file: one sealed block, replaced as a whole. */
#include <string.h>

#include "base/codec.h"
#include "base/hash.h"
#include "base/invariant.h"
#include "store/store_internal.h"

#define SETTINGS_FILE "settings"
#define SETTINGS_MAGIC 0x5445535f54494b54u /* "TKIT_SET" */
#define SETTINGS_VERSION 1u
#define HISTORY_COUNT_DEFAULT 16

struct settings_disk {
    uint64_t magic;
    uint32_t version;
    uint32_t conflict_entries;
    uint64_t log_segment_size;
    uint64_t log_size_max;
    uint64_t inline_max;
    uint64_t history_count_max;
    uint64_t history_size_max;
    uint64_t seal;
};

static const struct tx_field settings_fields[] = {
    TX_FIELD(struct settings_disk, magic, "\"TKIT_SET\""),
    TX_FIELD(struct settings_disk, version, "1"),
    TX_FIELD(struct settings_disk, conflict_entries, "entries of the shared conflict table"),
    TX_FIELD(struct settings_disk, log_segment_size, "bytes of a log segment"),
    TX_FIELD(struct settings_disk, log_size_max, "bytes of all segments, 0: no limit"),
    TX_FIELD(struct settings_disk, inline_max, "bytes of one content inside the log"),
    TX_FIELD(struct settings_disk, history_count_max, "commits kept for revert"),
    TX_FIELD(struct settings_disk, history_size_max, "bytes of old versions, 0: no limit"),
    TX_FIELD(struct settings_disk, seal, "XXH3-64 of all bytes before"),
    TX_FIELD_END,
};
#define SETTINGS_SIZE 64u
#define SEALED_SIZE (SETTINGS_SIZE - 8u)

/* With the defaults filled in. */
static enum tx_status settings_check(const struct txstore_settings *settings, struct tx_error *err)
{
    uint64_t segment = settings->log_segment_size;
    if (segment < TXLOG_SEGMENT_SIZE_MIN || segment > TXLOG_SEGMENT_SIZE_MAX ||
        segment % TXLOG_BLOCK_SIZE != 0) {
        return tx_error_set(err, TX_EINVAL,
                            "log.segment-size must be a multiple of %u between %u and %u",
                            TXLOG_BLOCK_SIZE, TXLOG_SEGMENT_SIZE_MIN, TXLOG_SEGMENT_SIZE_MAX);
    }
    uint32_t entries = settings->conflict_entries;
    if (entries < 64 || entries > (1u << 24) || (entries & (entries - 1)) != 0) {
        return tx_error_set(err, TX_EINVAL,
                            "conflict-entries must be a power of two between 64 and 16777216");
    }
    if (settings->log_size_max != 0 && settings->log_size_max < 3 * segment) {
        return tx_error_set(err, TX_EINVAL, "log.size-max must hold three segments at least");
    }
    if (settings->inline_max > TXLOG_PAYLOAD_MAX / 2) {
        return tx_error_set(err, TX_EINVAL, "inline-max must be %u at most", TXLOG_PAYLOAD_MAX / 2);
    }
    return TX_OK;
}

static void settings_fill_defaults(struct txstore_settings *settings)
{
    if (settings->log_segment_size == 0) {
        settings->log_segment_size = TXLOG_SEGMENT_SIZE_DEFAULT;
    }
    if (settings->inline_max == 0) {
        settings->inline_max = TXFS_INLINE_MAX_DEFAULT;
    }
    if (settings->history_count_max < 0) {
        settings->history_count_max = HISTORY_COUNT_DEFAULT;
    }
    if (settings->conflict_entries == 0) {
        settings->conflict_entries = 65536;
    }
}

enum tx_status txstore_settings_save(struct txio *io, int dir,
                                     const struct txstore_settings *settings, struct tx_error *err)
{
    struct txstore_settings full = *settings;
    settings_fill_defaults(&full);
    TX_TRY(settings_check(&full, err));
    struct settings_disk disk = {
        .magic = SETTINGS_MAGIC,
        .version = SETTINGS_VERSION,
        .conflict_entries = full.conflict_entries,
        .log_segment_size = full.log_segment_size,
        .log_size_max = full.log_size_max,
        .inline_max = full.inline_max,
        .history_count_max = (uint64_t)full.history_count_max,
        .history_size_max = full.history_size_max,
    };
    uint8_t bytes[SETTINGS_SIZE];
    TX_INVARIANT(tx_fields_size(settings_fields) == sizeof bytes);
    tx_fields_encode(settings_fields, &disk, bytes);
    disk.seal = tx_hash64(bytes, SEALED_SIZE, 0);
    tx_fields_encode(settings_fields, &disk, bytes);
    return txio_replace_file(io, dir, SETTINGS_FILE, bytes, sizeof bytes, err);
}

static enum tx_status settings_decode(const uint8_t *bytes, struct txstore_settings *settings,
                                      struct tx_error *err)
{
    struct settings_disk disk;
    (void)tx_fields_decode(settings_fields, &disk, bytes); /* nothing reserved */
    if (disk.magic != SETTINGS_MAGIC || disk.seal != tx_hash64(bytes, SEALED_SIZE, 0)) {
        return tx_error_set(err, TX_ECORRUPT, "settings: seal does not match, offset 0");
    }
    if (disk.version != SETTINGS_VERSION) {
        return tx_error_set(err, TX_EVERSION, "settings: version %u", disk.version);
    }
    *settings = (struct txstore_settings){
        .log_segment_size = disk.log_segment_size,
        .log_size_max = disk.log_size_max,
        .inline_max = disk.inline_max,
        .history_count_max = (int64_t)disk.history_count_max,
        .history_size_max = disk.history_size_max,
        .conflict_entries = disk.conflict_entries,
    };
    return settings_check(settings, err);
}

enum tx_status txstore_settings_load(struct txio *io, int dir, struct txstore_settings *settings,
                                     struct tx_error *err)
{
    int fd = -1;
    TX_TRY(txio_open(io, dir, SETTINGS_FILE, TXIO_READ, 0, &fd, err));
    uint8_t bytes[SETTINGS_SIZE];
    struct txio_stat stat;
    enum tx_status status = txio_stat_fd(io, fd, &stat, err);
    if (status == TX_OK && stat.size != sizeof bytes) {
        status = tx_error_set(err, TX_ECORRUPT, "settings: %llu bytes instead of %zu",
                              (unsigned long long)stat.size, sizeof bytes);
    }
    if (status == TX_OK) {
        status = txio_read_full(io, fd, bytes, sizeof bytes, 0, err);
    }
    (void)io->ops->close(io, fd); /* read only: nothing can be lost here */
    return status == TX_OK ? settings_decode(bytes, settings, err) : status;
}

void txstore_get_settings(const struct txstore *store, struct txstore_settings *settings)
{
    *settings = store->settings;
}

enum tx_status txstore_set_settings(struct txstore *store, const struct txstore_settings *settings,
                                    struct tx_error *err)
{
    if (store->mode != TXSTORE_READWRITE) {
        return tx_error_set(err, TX_EREADONLY, "change settings: store is open read-only");
    }
    return txstore_settings_save(store->io, store->dir, settings, err);
}
