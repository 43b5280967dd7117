/* SPDX-License-Identifier: MIT */
/*
 * The control file: two slots of one block. Each change writes both, the older or damaged one
 * first, each with its own sync; so at every moment one whole slot is durable, and whenever no
 * change is under way both say the same: losing either to damage loses nothing.
 */
#include "base/mutant.h"
#include "txlog/txlog_internal.h"

#define F(member, phrase) TX_FIELD(struct control, member, phrase)
const struct tx_field control_fields[] = {
    F(magic, "\"logctrl1\""),
    F(version, "1"),
    F(slot, "0 or 1: which of the two this is"),
    F(sequence, "grows with each writing; the slot with the higher one counts"),
    F(uuid, "identity of the store, random; the first 8 bytes are not all zero"),
    F(epoch, "read-write recoveries; durable here before anything of an epoch is in the log"),
    F(start_lsn, "checkpoint: oldest record that is needed"),
    F(start_segment, "segment of the checkpoint; those with lower numbers are not needed"),
    F(last_segment, "segments with numbers up to this one may have existed"),
    F(durable_lsn, "everything before it is known to be durable"),
    F(end_lsn, "end of the log when it was closed properly, else 0"),
    F(flags, "1: closed properly"),
    TX_FIELD_ZERO(4),
    F(segment_size, "bytes of a standard segment"),
    F(size_max, "bytes of all segments together; 0: no limit"),
    F(seal, "XXH3-64 of the block, this field zero"),
    TX_FIELD_ZERO(TXLOG_BLOCK_SIZE - 120),
    TX_FIELD_END,
};
#undef F
enum { CONTROL_SEAL_AT = 112 };

static bool settings_fit(uint64_t segment_size, uint64_t size_max)
{
    return segment_size >= TXLOG_SEGMENT_SIZE_MIN && segment_size <= TXLOG_SEGMENT_SIZE_MAX &&
           segment_size % TXLOG_BLOCK_SIZE == 0 && (size_max == 0 || size_max / 3 >= segment_size);
}

enum tx_status control_settings_check(const struct txlog_settings *settings,
                                      struct control *content, struct tx_error *err)
{
    uint64_t segment_size =
        settings && settings->segment_size ? settings->segment_size : TXLOG_SEGMENT_SIZE_DEFAULT;
    uint64_t size_max = settings ? settings->size_max : 0;
    if (!settings_fit(segment_size, size_max)) {
        return tx_error_set(err, TX_EINVAL,
                            "log settings: segment size %llu must be a multiple of %u from %u to "
                            "%u, size limit %llu 0 or at least 3 segments",
                            (unsigned long long)segment_size, TXLOG_BLOCK_SIZE,
                            TXLOG_SEGMENT_SIZE_MIN, TXLOG_SEGMENT_SIZE_MAX,
                            (unsigned long long)size_max);
    }
    content->segment_size = segment_size;
    content->size_max = size_max;
    return TX_OK;
}

static bool control_makes_sense(const struct control *content, uint32_t slot)
{
    /* MUTANT_133: without an identity, segments of any log would do. */
    bool has_identity = tx_get64(content->uuid) != 0 || TX_MUTANT(133);
    return content->slot == slot && has_identity && content->start_lsn >= TXLOG_FIRST_LSN &&
           content->start_lsn % TXLOG_BLOCK_SIZE == 0 && content->start_lsn <= INT64_MAX &&
           content->durable_lsn >= content->start_lsn && content->durable_lsn <= INT64_MAX &&
           settings_fit(content->segment_size, content->size_max) &&
           content->end_lsn == (control_is_clean(content) ? content->durable_lsn : 0);
}

static enum tx_status control_decode(const uint8_t block[TXLOG_BLOCK_SIZE], uint32_t slot,
                                     struct control *content)
{
    if (tx_get64(block) != CONTROL_MAGIC ||
        tx_get64(block + CONTROL_SEAL_AT) != block_seal(block, CONTROL_SEAL_AT)) {
        return TX_ECORRUPT;
    }
    if (tx_get32(block + 8) != CONTROL_VERSION) {
        return TX_EVERSION;
    }
    bool fits = tx_fields_decode(control_fields, content, block) &&
                control_makes_sense(content, slot);
    return fits ? TX_OK : TX_ECORRUPT;
}

enum tx_status control_read(struct txio *io, int fd, struct control_slots *slots,
                            struct tx_error *err)
{
    struct control_slots read = {.newest = -1};
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t block[TXLOG_BLOCK_SIZE];
        enum tx_status status =
            txio_read_full(io, fd, block, sizeof(block), (uint64_t)i * TXLOG_BLOCK_SIZE, err);
        if (status != TX_OK && status != TX_ECORRUPT) {
            tx_error_prefix(err, CONTROL_NAME);
            return status;
        }
        read.status[i] = status == TX_OK ? control_decode(block, i, &read.slot[i]) : status;
    }
    for (int i = 0; i < 2; i++) {
        if (read.status[i] == TX_OK &&
            (read.newest < 0 || read.slot[i].sequence > read.slot[read.newest].sequence)) {
            read.newest = i;
        }
    }
    *slots = read;
    return TX_OK;
}

enum tx_status control_load(struct txio *io, int fd, struct control *content, struct tx_error *err)
{
    struct control_slots slots;
    TX_TRY(control_read(io, fd, &slots, err));
    if (slots.status[0] == TX_EVERSION || slots.status[1] == TX_EVERSION) {
        return tx_error_set(err, TX_EVERSION, CONTROL_NAME ": unknown format version");
    }
    if (slots.newest < 0) {
        return tx_error_set(err, TX_ECORRUPT, CONTROL_NAME ": both slots are damaged");
    }
    *content = slots.slot[slots.newest];
    return TX_OK;
}

/* A slot whose last writing went astray is whole, too. It is told by what all know who use the log;
 * who was killed between control and shared memory has left the latter behind. */
static bool control_is_current(const struct txlog_shared *shared, const struct control *content)
{
    return content->epoch == atomic_load_explicit(&shared->epoch, memory_order_acquire) &&
           content->start_lsn >= atomic_load_explicit(&shared->start_lsn, memory_order_acquire) &&
           !control_is_clean(content);
}

enum tx_status control_load_current(struct txlog *log, struct control *content,
                                    struct tx_error *err)
{
    enum tx_status status = control_load(log->io, log->control_fd, content, err);
    if (status == TX_OK && !control_is_current(log->shared, content) && !TX_MUTANT(135)) {
        status = tx_error_set(err, TX_ECORRUPT, CONTROL_NAME " is not what was written to it last");
    }
    return status == TX_ECORRUPT ? log_poison_on(log, status) : status;
}

static enum tx_status control_write(struct txio *io, int fd, const struct control *content,
                                    int slot, uint64_t sequence, struct tx_error *err)
{
    uint8_t block[TXLOG_BLOCK_SIZE];
    struct control sealed = *content;
    sealed.magic = CONTROL_MAGIC;
    sealed.version = CONTROL_VERSION;
    sealed.slot = (uint32_t)slot;
    sealed.sequence = sequence;
    TX_INVARIANT(control_makes_sense(&sealed, sealed.slot));
    tx_fields_encode(control_fields, &sealed, block);
    tx_put64(block + CONTROL_SEAL_AT, block_seal(block, CONTROL_SEAL_AT));
    struct iovec part = {block, sizeof(block)};
    TX_TRY(txio_write_full(io, fd, &part, 1, (uint64_t)slot * TXLOG_BLOCK_SIZE, err));
    /* Crash here: this slot is old, new or damaged; the other one is whole and counts unless this
     * one is new. */
    return txio_datasync(io, fd, CONTROL_NAME, err);
}

enum tx_status control_store(struct txio *io, int fd, const struct control *content,
                             struct tx_error *err)
{
    struct control_slots slots;
    TX_TRY(control_read(io, fd, &slots, err));
    int first = slots.newest == 0 ? 1 : 0;
    uint64_t sequence = slots.newest < 0 ? 0 : slots.slot[slots.newest].sequence;
    enum tx_status status = control_write(io, fd, content, first, sequence + 1, err);
    if (status == TX_OK && !TX_MUTANT(49)) { /* MUTANT_49: one slot is enough */
        /* Crash here: the new content counts; the other slot still has the old. */
        status = control_write(io, fd, content, 1 - first, sequence + 2, err);
    }
    if (status != TX_OK) {
        tx_error_prefix(err, "write " CONTROL_NAME);
    }
    return status;
}
