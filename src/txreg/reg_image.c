/* SPDX-License-Identifier: MIT */
/*
 * The image file and its two root slots.
 *
 * Both slots say the same when nothing is going on, so that one damaged slot loses nothing. A
 * steady point is made in this order, each step forced before the next begins:
 *
 *     data pages | slot 0 | slot 1 | pages that are free now may be written to
 *
 * When slot 0 is torn, slot 1 holds the steady point before, whose log has not been trimmed yet;
 * before the log is trimmed both hold the new one. So a slot that is older than the log is never
 * the one to be read. A slot 1 that a crash has torn is made good before slot 0 is written again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "base/text.h"
#include "txreg/txreg_view.h"

const struct tx_field reg_state_fields[] = {
    TX_FIELD(struct reg_state, root_page, "page number of the root"),
    TX_FIELD(struct reg_state, page_count, "pages from here on were never used"),
    TX_FIELD(struct reg_state, root_seal, "seal of the root page"),
    TX_FIELD(struct reg_state, next_key_id, "id of the next key"),
    TX_FIELD(struct reg_state, key_count, "keys, the root included"),
    TX_FIELD(struct reg_state, used_pages, "pages reachable from the root, the root included"),
    TX_FIELD(struct reg_state, height, "levels of the tree"),
    TX_FIELD_END,
};

void reg_state_encode(const struct reg_state *state, uint8_t token[KTM_TOKEN_SIZE])
{
    tx_fields_encode(reg_state_fields, state, token);
}

enum tx_status reg_state_decode(struct reg_state *state, const uint8_t token[KTM_TOKEN_SIZE],
                                struct tx_error *err)
{
    struct reg_state read;
    (void)tx_fields_decode(reg_state_fields, &read, token);
    bool is_sound = read.height >= 1 && read.height <= REG_LEVEL_MAX + 1 &&
                    read.root_page >= REG_SLOT_PAGES && read.root_page < read.page_count &&
                    read.used_pages > 0 && read.used_pages <= read.page_count - REG_SLOT_PAGES &&
                    read.next_key_id > REG_ROOT_ID && read.next_key_id < REG_NEW_ID;
    if (!is_sound) {
        return tx_error_set(err, TX_ECORRUPT, "the state of the registry makes no sense");
    }
    *state = read;
    return TX_OK;
}

/* The tree of an empty registry: the header of the root key. */
static void make_root_page(struct reg_page *page)
{
    struct reg_key key;
    struct reg_header header = {.parent = 0};
    uint8_t record[REG_HEADER_MAX];
    reg_key_head(&key, REG_ROOT_ID, REG_HEADER);
    reg_header_encode(&header, record);
    reg_page_format(page, REG_SLOT_PAGES, REG_PAGE_LEAF, 0, 0);
    (void)reg_page_insert(page, 0, key.bytes, key.size, record, REG_HEADER_SIZE);
    page->seal = reg_page_seal(page->data, page->number);
    tx_put64(page->data + REG_AT_SEAL, page->seal);
}

static enum tx_status fill_image(struct txio *io, int fd, struct tx_error *err)
{
    uint8_t slots[2][REG_PAGE_SIZE];
    TX_AUTO_PTR(reg_page) root = reg_page_new(err);
    if (root == NULL) {
        return TX_ENOMEM;
    }
    make_root_page(root);
    struct reg_slot slot = {
        .format_version = REG_FORMAT_VERSION,
        .page_size = REG_PAGE_SIZE,
        .upcase_version = TX_UPCASE_VERSION,
        .sequence = 1,
        .state = {
            .root_page = root->number,
            .root_seal = root->seal,
            .page_count = root->number + 1,
            .next_key_id = REG_ROOT_ID + 1,
            .key_count = 1,
            .used_pages = 1,
            .height = 1,
        },
    };
    reg_slot_encode(&slot, 0, slots[0]);
    reg_slot_encode(&slot, 1, slots[1]);
    struct iovec parts[3] = {
        {slots[0], REG_PAGE_SIZE}, {slots[1], REG_PAGE_SIZE}, {root->data, REG_PAGE_SIZE}};
    TX_TRY(txio_write_full(io, fd, parts, 3, 0, err));
    /* Crash here: the store is being made under a temporary name and is none yet. */
    return txio_sync(io, fd, REG_IMAGE_PATH, err);
}

static enum tx_status create_in(struct txio *io, int dir, struct tx_error *err)
{
    int fd;
    TX_TRY(txio_open(io, dir, REG_IMAGE_NAME, TXIO_WRITE | TXIO_CREATE | TXIO_EXCLUSIVE, 0600, &fd,
                     err));
    enum tx_status status = fill_image(io, fd, err);
    enum tx_status closed = txio_close(io, fd, status == TX_OK ? err : NULL);
    TX_TRY(status);
    TX_TRY(closed);
    /* Crash here: as above. */
    return txio_sync(io, dir, REG_IMAGE_DIR, err);
}

TX_API enum tx_status txreg_image_create(struct txio *io, int dir, struct tx_error *err)
{
    int folder;
    TX_TRY(txio_mkdir(io, dir, REG_IMAGE_DIR, 0700, err));
    TX_TRY(txio_open(io, dir, REG_IMAGE_DIR, TXIO_READ | TXIO_DIRECTORY, 0, &folder, err));
    enum tx_status status = create_in(io, folder, err);
    enum tx_status closed = txio_close(io, folder, status == TX_OK ? err : NULL);
    return status != TX_OK ? status : closed;
}

TX_API enum tx_status txreg_steady_token(struct txio *io, int dir, tx_lsn *lsn,
                                         uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err)
{
    int fd;
    struct reg_slot slot;
    TX_TRY(txio_open(io, dir, REG_IMAGE_PATH, TXIO_READ, 0, &fd, err));
    enum tx_status status = reg_slot_load(io, fd, &slot, err);
    enum tx_status closed = txio_close(io, fd, status == TX_OK ? err : NULL);
    TX_TRY(status);
    TX_TRY(closed);
    *lsn = slot.lsn;
    reg_state_encode(&slot.state, token);
    return TX_OK;
}

enum tx_status reg_rm_open_steady(void *rm, tx_lsn *lsn, uint8_t token[KTM_TOKEN_SIZE],
                                  struct tx_error *err)
{
    struct txreg *reg = rm;
    struct reg_slot slot;
    struct reg_page *root = NULL;
    TX_TRY(reg_slot_load(reg->io, reg->fd, &slot, err));
    struct reg_ref ref = {slot.state.root_page, slot.state.root_seal};
    TX_TRY(reg_tree_page(reg, ref, slot.state.height - 1, &root, err));
    reg_page_drop(root);
    if (reg->shared != NULL) {
        reg_ring_reset(reg->shared, slot.lsn);
        for (uint32_t i = 0; i < slot.free_count; i++) {
            reg_ring_push(reg->shared, slot.free_pages[i], 0);
        }
    }
    *lsn = slot.lsn;
    reg_state_encode(&slot.state, token);
    return TX_OK;
}

static int order_numbers(const void *a, const void *b)
{
    const uint32_t *left = a;
    const uint32_t *right = b;
    return (*left > *right) - (*left < *right);
}

static enum tx_status write_slot(struct txreg *reg, const struct reg_slot *slot, unsigned number,
                                 struct tx_error *err)
{
    uint8_t data[REG_PAGE_SIZE];
    struct iovec part = {data, REG_PAGE_SIZE};
    reg_slot_encode(slot, number, data);
    return txio_write_full(reg->io, reg->fd, &part, 1, (uint64_t)number * REG_PAGE_SIZE, err);
}

/* A crash may have torn slot 1; then it is made good before slot 0, which alone counts, is written
 * over. `current` is what slot 0 says. */
static enum tx_status repair_second(struct txreg *reg, const struct reg_slot *current,
                                    struct tx_error *err)
{
    uint8_t data[REG_PAGE_SIZE];
    struct reg_slot second;
    TX_TRY(txio_read_full(reg->io, reg->fd, data, sizeof(data), REG_PAGE_SIZE, err));
    if (reg_slot_decode(&second, 1, data) == NULL || TX_MUTANT(98)) {
        return TX_OK;
    }
    TX_TRY(write_slot(reg, current, 1, err));
    /* Crash here: slot 1 is torn still, or good. */
    return txio_datasync(reg->io, reg->fd, REG_IMAGE_PATH, err);
}

static enum tx_status write_slots(struct txreg *reg, const struct reg_slot *slot,
                                  struct tx_error *err)
{
    TX_TRY(write_slot(reg, slot, 0, err));
    /* Crash here: slot 0 is old, torn or new; slot 1 is old and whole, its log still there. */
    TX_TRY(txio_datasync(reg->io, reg->fd, REG_IMAGE_PATH, err));
    TX_TRY(write_slot(reg, slot, 1, err));
    /* Crash here: slot 0 counts, slot 1 is old, torn or new. */
    TX_TRY(txio_datasync(reg->io, reg->fd, REG_IMAGE_PATH, err));
    if (reg->shared != NULL) {
        /* Not before both are durable: whichever the disk has is good until then. */
        reg_ring_set_steady(reg->shared, slot->lsn);
    }
    return TX_OK;
}

enum tx_status reg_rm_steady(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                             struct tx_error *err)
{
    struct txreg *reg = rm;
    struct reg_slot slot;
    struct reg_state state;
    TX_TRY(reg_slot_load(reg->io, reg->fd, &slot, err));
    TX_TRY(reg_state_decode(&state, token, err));
    TX_TRY(repair_second(reg, &slot, err));
    /* Also when it says this already: the page cache may say so, and the disk not. */
    slot.sequence++;
    slot.lsn = lsn;
    if (TX_MUTANT(11)) { /* etcd 3.5: the LSN goes to disk before the tree that it is about */
        TX_TRY(write_slot(reg, &slot, 0, err));
    }
    slot.state = state;
    slot.free_count = reg->shared == NULL ? 0
                                          : reg_ring_list(reg->shared, lsn, slot.free_pages,
                                                          REG_SLOT_FREE_MAX);
    qsort(slot.free_pages, slot.free_count, sizeof(slot.free_pages[0]), order_numbers);
    /* Crash here: pages of the new state are there or not; both slots name the one before. */
    TX_TRY(txio_datasync(reg->io, reg->fd, REG_IMAGE_PATH, err));
    return write_slots(reg, &slot, err);
}

/* Else redo would write to pages that are free in this state, and used in the one before, which is
 * what the disk may have. */
enum tx_status reg_rm_confirm_steady(void *rm, struct tx_error *err)
{
    struct txreg *reg = rm;
    struct reg_slot slot;
    TX_TRY(reg_slot_load(reg->io, reg->fd, &slot, err));
    if (TX_MUTANT(93)) {
        return TX_OK;
    }
    TX_TRY(repair_second(reg, &slot, err));
    return write_slots(reg, &slot, err);
}

enum tx_status reg_rm_trim(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err)
{
    struct txreg *reg = rm;
    (void)lsn;
    (void)err;
    if (reg->shared != NULL) {
        reg_ring_set_oldest(reg->shared, oldest);
    }
    return TX_OK;
}
