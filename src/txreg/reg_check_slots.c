/* SPDX-License-Identifier: MIT */
/* What the check looks at beside the tree: root slots, and pages that nothing refers to. */
#include <string.h>

#include "base/mutant.h"
#include "txreg/reg_check.h"

enum tx_status reg_check_free_pages(struct reg_check *check, struct tx_error *err)
{
    struct txio *io = check->reg->io;
    struct txio_stat stat;
    uint8_t data[REG_PAGE_SIZE];
    TX_TRY(txio_stat_fd(io, check->reg->fd, &stat, err));
    uint32_t pages = (uint32_t)(stat.size / REG_PAGE_SIZE);
    uint32_t count = check->slot.state.page_count;
    if (pages < count && stat.size % REG_PAGE_SIZE != 0 && check->is_clean) {
        reg_check_fault(check, pages, "the file ends within a page");
    }
    /* From there on lies what a crash cut off, and recovery found no use for: it may be torn. */
    if (pages > count && !TX_MUTANT(90)) {
        pages = count;
    }
    for (uint32_t page = REG_SLOT_PAGES; page < pages; page++) {
        if (reg_page_set_has(&check->used, page)) {
            continue;
        }
        TX_TRY(txio_read_full(io, check->reg->fd, data, sizeof(data),
                              (uint64_t)page * REG_PAGE_SIZE, err));
        const char *fault = tx_is_zero(data, REG_PAGE_SIZE) ? NULL : reg_page_fault(data, page);
        if (fault != NULL && check->is_clean) {
            reg_check_fault(check, page, "free page %u: %s", page, fault);
        }
    }
    return TX_OK;
}

/* Whether both pages say the same, wherever they lie. They may be of a version that is not ours, so
 * that their bytes alone can be compared. */
static bool slots_agree(uint8_t data[REG_SLOT_PAGES][REG_PAGE_SIZE])
{
    for (unsigned i = 0; i < REG_SLOT_PAGES; i++) {
        tx_put64(data[i] + REG_AT_SEAL, 0);
        tx_put32(data[i] + REG_AT_NUMBER, 0);
    }
    return memcmp(data[0], data[1], REG_PAGE_SIZE) == 0;
}

enum tx_status reg_check_slots(struct reg_check *check, bool *usable, struct tx_error *err)
{
    uint8_t data[REG_SLOT_PAGES][REG_PAGE_SIZE];
    struct reg_slot slots[REG_SLOT_PAGES];
    const char *faults[REG_SLOT_PAGES];
    struct tx_error own;
    for (unsigned i = 0; i < REG_SLOT_PAGES; i++) {
        enum tx_status read = txio_read_full(check->reg->io, check->reg->fd, data[i],
                                             REG_PAGE_SIZE, (uint64_t)i * REG_PAGE_SIZE, err);
        if (read != TX_OK && read != TX_ECORRUPT) {
            return read;
        }
        faults[i] = read == TX_OK ? reg_slot_decode(&slots[i], i, data[i])
                                  : "the file ends before it";
        if (faults[i] != NULL && (check->is_clean || (i == 1 && faults[0] != NULL))) {
            reg_check_fault(check, i, "root slot %u: %s", i, faults[i]);
        }
    }
    if (faults[0] == NULL && faults[1] == NULL && slots[0].sequence == slots[1].sequence &&
        !slots_agree(data)) {
        reg_check_fault(check, 1, "root slots of one steady point differ");
    }
    enum tx_status status = reg_slot_choose(slots, faults, &check->slot, &own);
    *usable = status == TX_OK;
    if (status != TX_OK && (faults[0] == NULL || faults[1] == NULL)) {
        reg_check_fault(check, 0, "%s", own.text);
    }
    return TX_OK;
}

void reg_check_free_list(struct reg_check *check)
{
    for (uint32_t i = 0; i < check->slot.free_count; i++) {
        uint32_t page = check->slot.free_pages[i];
        if (reg_page_set_has(&check->used, page)) {
            reg_check_fault(check, 0, "page %u is listed as free, but in use", page);
        }
    }
}
