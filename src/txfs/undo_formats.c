/* SPDX-License-Identifier: MIT */
/* The tables of the files below undo/. */
#include "txfs/undo_formats.h"

#define MARK_FIELD(member, phrase) TX_FIELD(struct txfs_mark_disk, member, phrase)
#define CHANGES_FIELD(member, phrase) TX_FIELD(struct txfs_changes_disk, member, phrase)
#define SUMS_FIELD(member, phrase) TX_FIELD(struct txfs_sums_disk, member, phrase)
#define SUM_FIELD(member, phrase) TX_FIELD(struct txfs_sum_disk, member, phrase)
#define SAVED_FIELD(member, phrase) TX_FIELD(struct txfs_saved_disk, member, phrase)

const struct tx_field txfs_mark_fields[] = {
    MARK_FIELD(magic, "`TTXSTD01`"),
    MARK_FIELD(version, "of this layout: 1"),
    TX_FIELD_ZERO(4),
    MARK_FIELD(lsn, "commits below are durable in the tree"),
    MARK_FIELD(history_lsn, "of these, those below are no history: gone, or about to go"),
    MARK_FIELD(others_size, "bytes of `others` that are durable"),
    MARK_FIELD(seal, "XXH3-64 of what is before"),
    TX_FIELD_END,
};

const struct tx_field txfs_changes_fields[] = {
    CHANGES_FIELD(magic, "`TTXCHG01`"),
    CHANGES_FIELD(version, "of the format"),
    CHANGES_FIELD(description_size, "bytes of description that follow"),
    CHANGES_FIELD(file_size, "bytes of this file"),
    CHANGES_FIELD(lsn, "of the commit"),
    CHANGES_FIELD(next_lsn, "of the record after it"),
    CHANGES_FIELD(epoch, "of the transaction's id"),
    CHANGES_FIELD(sequence, "of the transaction's id"),
    CHANGES_FIELD(snapshot_lsn, "that the transaction read"),
    CHANGES_FIELD(time_ns, "of the commit, realtime, ns"),
    CHANGES_FIELD(entry_count, "entries of all resource managers"),
    CHANGES_FIELD(boot_id, "of the system run that wrote it"),
    CHANGES_FIELD(entries_size, "bytes of entries, at the end"),
    CHANGES_FIELD(step_count, "steps after the description: u32 entry, u32 flags, u64 inode"),
    TX_FIELD_ZERO(4),
    CHANGES_FIELD(seal, "XXH3-64 of the file, this field zero"),
    TX_FIELD_END,
};

const struct tx_field txfs_sums_fields[] = {
    SUMS_FIELD(magic, "`TTXSUM01`"),
    SUMS_FIELD(version, "of the format"),
    TX_FIELD_ZERO(4),
    SUMS_FIELD(record_count, "objects"),
    SUMS_FIELD(file_size, "bytes of this file"),
    SUMS_FIELD(lsn, "of the commit"),
    SUMS_FIELD(bytes, "of all that is kept"),
    SUMS_FIELD(seal, "XXH3-64 of the file, this field zero"),
    TX_FIELD_END,
};

const struct tx_field txfs_sum_fields[] = {
    SUM_FIELD(flags, "1: could not be read; 2: has names elsewhere, only its type is compared"),
    SUM_FIELD(mode, "type and permission bits"),
    SUM_FIELD(uid, "owner"),
    SUM_FIELD(gid, "group"),
    SUM_FIELD(size, "bytes of a file"),
    SUM_FIELD(rdev, "device number of a device"),
    SUM_FIELD(mtime_ns, "modification time, ns"),
    SUM_FIELD(xattrs, "XXH3-64 of the block of extended attributes"),
    SUM_FIELD(hash, "XXH3-128 of the content, or of a link's target"),
    TX_FIELD_END,
};

const struct tx_field txfs_saved_fields[] = {
    SAVED_FIELD(magic, "`TSAVED01`"),
    SAVED_FIELD(version, "of the format"),
    SAVED_FIELD(mask, "which attributes the entry changes (enum txfs_entry_mask)"),
    SAVED_FIELD(mode, "type and permission bits before"),
    SAVED_FIELD(uid, "owner before"),
    SAVED_FIELD(gid, "group before"),
    TX_FIELD_ZERO(4),
    SAVED_FIELD(ino, "inode number of the object"),
    SAVED_FIELD(size, "bytes before"),
    SAVED_FIELD(atime_ns, "access time before, ns"),
    SAVED_FIELD(mtime_ns, "modification time before, ns"),
    SAVED_FIELD(xattrs_size, "bytes of the block of extended attributes"),
    SAVED_FIELD(extent_count, "ranges of old bytes"),
    SAVED_FIELD(file_size, "bytes of this record"),
    SAVED_FIELD(seal, "XXH3-64 of the record, this field zero"),
    TX_FIELD_END,
};
