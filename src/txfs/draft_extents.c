/* SPDX-License-Identifier: MIT */
/* Which bytes of a file are found where in a draft. Keyed by the end of each extent, so that "the
 * first that ends after this offset" is one step in the ordered map. */
#include "txfs/open_file.h"

void txfs_extents_init(struct tx_map *extents)
{
    tx_map_init(extents, tx_free);
}

static void make_key(uint64_t end, uint8_t key[8])
{
    for (int i = 7; i >= 0; i--) {
        key[i] = (uint8_t)end;
        end >>= 8;
    }
}

const struct txfs_extent *txfs_extents_after(const struct tx_map *extents, uint64_t offset)
{
    struct tx_map_entry found;
    uint8_t key[8];
    make_key(offset, key);
    return tx_map_after(extents, key, sizeof key, &found) ? found.value : NULL;
}

static enum tx_status put(struct tx_map *extents, const struct txfs_extent *extent,
                          struct tx_error *err)
{
    uint8_t key[8];
    struct txfs_extent *copy = tx_alloc(sizeof *copy);
    if (copy == NULL) {
        return tx_error_set(err, TX_ENOMEM, "no memory for an extent");
    }
    *copy = *extent;
    make_key(extent->offset + extent->length, key);
    enum tx_status status = tx_map_set(extents, key, sizeof key, copy, err);
    if (status != TX_OK) {
        tx_free(copy);
    }
    return status;
}

static void drop(struct tx_map *extents, uint64_t end)
{
    uint8_t key[8];
    make_key(end, key);
    (void)tx_map_remove(extents, key, sizeof key);
}

/* Forget [offset, end): what overlaps it is cut, or split in two. */
static enum tx_status clear(struct tx_map *extents, uint64_t offset, uint64_t end,
                            struct tx_error *err)
{
    const struct txfs_extent *at;
    while ((at = txfs_extents_after(extents, offset)) != NULL && at->offset < end) {
        struct txfs_extent old = *at;
        uint64_t old_end = old.offset + old.length;
        if (old.offset < offset) {
            struct txfs_extent left = {old.offset, offset - old.offset, old.position};
            TX_TRY(put(extents, &left, err));
        }
        if (old_end > end) { /* keeps its key: it still ends there */
            struct txfs_extent right = {end, old_end - end, old.position + (end - old.offset)};
            return put(extents, &right, err);
        }
        drop(extents, old_end);
    }
    return TX_OK;
}

enum tx_status txfs_extents_set(struct tx_map *extents, const struct txfs_extent *extent,
                                struct tx_error *err)
{
    struct txfs_extent wide = *extent;
    struct tx_map_entry found;
    uint8_t key[8];
    TX_TRY(clear(extents, extent->offset, extent->offset + extent->length, err));
    make_key(extent->offset, key);
    if (extent->offset > 0 && tx_map_at_or_after(extents, key, sizeof key, &found)) {
        const struct txfs_extent *before = found.value;
        if (before->offset + before->length == extent->offset &&
            before->position + before->length == extent->position) {
            wide = (struct txfs_extent){before->offset, before->length + extent->length,
                                        before->position};
        }
    }
    TX_TRY(put(extents, &wide, err));
    if (wide.offset != extent->offset) {
        drop(extents, extent->offset);
    }
    return TX_OK;
}

enum tx_status txfs_extents_cut(struct tx_map *extents, uint64_t offset, struct tx_error *err)
{
    return clear(extents, offset, UINT64_MAX, err);
}
