/* SPDX-License-Identifier: MIT */
/*
 * Bringing a directory or a tar archive into a transaction: every file, link, mode, owner, time,
 * extended attribute and hard-link group becomes a change under a path of the store.
 */
#ifndef TXKIT_IMPORT_H
#define TXKIT_IMPORT_H

#include <txkit/store.h>

enum tximport_flags {
    TXIMPORT_MIRROR = 1 << 0, /* also remove what stands below the path and is not in the source */
    TXIMPORT_OWNER = 1 << 1,  /* take owner and group from the source (root only) */
    TXIMPORT_SETID = 1 << 2,  /* keep set-id bits and security.* attributes */
};

struct tximport_progress {
    uint64_t entries;
    uint64_t bytes;
    const char *path; /* just done */
};
typedef void tximport_progress_fn(void *arg, const struct tximport_progress *progress);

/* What an archive may unpack to unless the caller says otherwise: real ones stay far below. */
#define TXIMPORT_BYTES_FREE (256u << 20) /* and TXIMPORT_RATIO times the size of the archive */
#define TXIMPORT_RATIO 100u
#define TXIMPORT_ENTRIES_FREE 20000u /* and one more for each TXIMPORT_ENTRY_SIZE bytes of it */
#define TXIMPORT_ENTRY_SIZE 128u

struct tximport_options {
    uint32_t flags;
    /* Most bytes of content and most objects of the source, counted before anything is written.
     * 0: as above for an archive, no limit for a directory. UINT64_MAX: no limit. */
    uint64_t bytes_max, entries_max;
    tximport_progress_fn *progress; /* NULL: none */
    void *arg;
};

struct tximport_counts {
    uint64_t unchanged, added, replaced, removed, links;
    uint64_t bytes;
};

/* `path` "" is the root. Objects that are the same already are left alone. A path that is absolute
 * or climbs out, a device or socket, two entries of one name, more than the limits: TX_EESCAPE,
 * TX_ENOTSUP, TX_EEXIST, TX_ELIMIT, and the caller rolls back. */
TX_API enum tx_status tximport_directory(struct ktm_txn *txn, const char *directory,
                                         const char *path, const struct tximport_options *options,
                                         struct tximport_counts *counts,
                                         struct tx_error *err) TX_CHECKED;
/* tar, also .gz .xz .zst; TX_ENOTSUP in a build without libarchive. */
TX_API enum tx_status tximport_archive(struct ktm_txn *txn, const char *archive, const char *path,
                                       const struct tximport_options *options,
                                       struct tximport_counts *counts,
                                       struct tx_error *err) TX_CHECKED;

#endif
