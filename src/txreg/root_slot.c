/* SPDX-License-Identifier: MIT */
/*
 * The format of a root slot: a sealed page that names a tree, says up to which LSN it is what the
 * log says, and lists some pages that this tree does not use.
 */
#include <string.h>

#include "base/text.h"
#include "txreg/txreg_internal.h"

const struct tx_field reg_slot_fields[] = {
    TX_FIELD(struct reg_slot, format_version, "1"),
    TX_FIELD(struct reg_slot, page_size, "4096"),
    TX_FIELD(struct reg_slot, upcase_version, "of the table that folds names"),
    TX_FIELD_ZERO(4),
    TX_FIELD(struct reg_slot, sequence, "of the steady point; the higher slot counts"),
    TX_FIELD_END,
};

#define SLOT_STATE_AT (REG_PAGE_HEAD + 24u)
#define SLOT_FREE_AT (SLOT_STATE_AT + KTM_TOKEN_SIZE)

void reg_slot_encode(const struct reg_slot *slot, unsigned number, uint8_t *data)
{
    struct reg_page_head head = {
        .magic = REG_PAGE_MAGIC,
        .kind = REG_PAGE_SLOT,
        .count = (uint16_t)slot->free_count,
        .number = number,
        .lsn = slot->lsn,
    };
    memset(data, 0, REG_PAGE_SIZE);
    tx_fields_encode(reg_page_fields, &head, data);
    tx_fields_encode(reg_slot_fields, slot, data + REG_PAGE_HEAD);
    reg_state_encode(&slot->state, data + SLOT_STATE_AT);
    for (uint32_t i = 0; i < slot->free_count; i++) {
        tx_put32(data + SLOT_FREE_AT + 4 * (size_t)i, slot->free_pages[i]);
    }
    tx_put64(data + REG_AT_SEAL, reg_page_seal(data, number));
}

static bool free_list_is_sound(const struct reg_slot *slot)
{
    uint32_t last = REG_SLOT_PAGES - 1;
    for (uint32_t i = 0; i < slot->free_count; i++) {
        if (slot->free_pages[i] <= last || slot->free_pages[i] >= slot->state.page_count) {
            return false;
        }
        last = slot->free_pages[i];
    }
    return true;
}

const char *reg_slot_decode(struct reg_slot *slot, unsigned number, const uint8_t *data)
{
    const char *fault = reg_page_fault(data, number);
    if (fault != NULL) {
        return fault;
    }
    if (data[REG_AT_KIND] != REG_PAGE_SLOT) {
        return "not a root slot";
    }
    slot->lsn = tx_get64(data + REG_AT_LSN);
    slot->free_count = reg_page_count(data);
    if (!tx_fields_decode(reg_slot_fields, slot, data + REG_PAGE_HEAD)) {
        return "reserved bytes are not zero";
    }
    if (slot->format_version != REG_FORMAT_VERSION || slot->page_size != REG_PAGE_SIZE) {
        return NULL; /* the rest cannot be read; the caller looks at the version */
    }
    if (slot->free_count > REG_SLOT_FREE_MAX ||
        reg_state_decode(&slot->state, data + SLOT_STATE_AT, NULL) != TX_OK) {
        return "impossible state";
    }
    for (uint32_t i = 0; i < slot->free_count; i++) {
        slot->free_pages[i] = tx_get32(data + SLOT_FREE_AT + 4 * (size_t)i);
    }
    return free_list_is_sound(slot) ? NULL : "malformed list of free pages";
}

static enum tx_status check_version(const struct reg_slot *slot, struct tx_error *err)
{
    if (slot->format_version != REG_FORMAT_VERSION || slot->page_size != REG_PAGE_SIZE) {
        return tx_error_set(err, TX_EVERSION, "%s: format version %u with pages of %u bytes",
                            REG_IMAGE_PATH, slot->format_version, slot->page_size);
    }
    if (slot->upcase_version != TX_UPCASE_VERSION) {
        return tx_error_set(err, TX_EVERSION, "%s: names are folded by table %u, not %u",
                            REG_IMAGE_PATH, slot->upcase_version, TX_UPCASE_VERSION);
    }
    return TX_OK;
}

enum tx_status reg_slot_choose(const struct reg_slot slots[REG_SLOT_PAGES],
                               const char *const faults[REG_SLOT_PAGES], struct reg_slot *slot,
                               struct tx_error *err)
{
    if (faults[0] != NULL && faults[1] != NULL) {
        return reg_page_corrupt(err, 0, "neither root slot is whole");
    }
    /* Slot 0 is written first, so the other one counts only in its absence. */
    if (faults[0] != NULL) {
        *slot = slots[1];
    } else if (faults[1] == NULL && slots[1].sequence > slots[0].sequence) {
        return reg_page_corrupt(err, 0, "older than the second root slot");
    } else {
        *slot = slots[0];
    }
    return check_version(slot, err);
}

enum tx_status reg_slot_load(struct txio *io, int fd, struct reg_slot *slot, struct tx_error *err)
{
    uint8_t data[REG_SLOT_PAGES * REG_PAGE_SIZE];
    struct reg_slot slots[REG_SLOT_PAGES];
    const char *faults[REG_SLOT_PAGES];
    enum tx_status status = txio_read_full(io, fd, data, sizeof(data), 0, err);
    if (status != TX_OK) {
        tx_error_prefix(err, "%s: root slots at offset 0", REG_IMAGE_PATH);
        return status;
    }
    for (unsigned i = 0; i < REG_SLOT_PAGES; i++) {
        faults[i] = reg_slot_decode(&slots[i], i, data + i * (size_t)REG_PAGE_SIZE);
    }
    return reg_slot_choose(slots, faults, slot, err);
}
