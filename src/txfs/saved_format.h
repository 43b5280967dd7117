/* SPDX-License-Identifier: MIT */
/* The header of a saved record on disk (saved.c, saved_read.c). */
#ifndef TXFS_SAVED_FORMAT_H
#define TXFS_SAVED_FORMAT_H

#include "txfs/publish_internal.h"

#define TXFS_SAVED_MAGIC 0x3130444556415354u /* "TSAVED01" as bytes */
#define TXFS_SAVED_VERSION 1u
#define TXFS_SAVED_HEAD_SIZE 96u

struct txfs_saved_disk {
    uint64_t magic;
    uint32_t version;
    uint32_t mask;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t dev;
    uint64_t ino;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
    uint32_t xattrs_size;
    uint32_t extent_count;
    uint64_t file_size;
    uint64_t seal;
};

extern const struct tx_field txfs_saved_fields[];

#endif
