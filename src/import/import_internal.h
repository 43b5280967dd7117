/* SPDX-License-Identifier: MIT */
#ifndef TXIMPORT_INTERNAL_H
#define TXIMPORT_INTERNAL_H

#include <txkit/import.h>

#include "base/buf.h"
#include "base/map.h"

#define IMPORT_DEPTH_MAX 256
#define IMPORT_CHUNK_SIZE (128u * 1024u)
/* Contents up to this are compared and put in one piece, larger ones are streamed. */
#define IMPORT_WHOLE_MAX (1024u * 1024u)

/* What was imported at a path, kept to refuse a second entry of one name and to mirror. */
enum import_seen { IMPORT_SEEN_DIRECTORY = 1, IMPORT_SEEN_SYMLINK, IMPORT_SEEN_OTHER };

/* Delivers the content of one file in order; *done 0 at its end. */
typedef enum tx_status import_read_fn(void *arg, void *data, size_t size, size_t *done,
                                      struct tx_error *err);

struct import_xattr_list {
    struct tx_buf bytes; /* name NUL, u32 value size in host order, value; repeated */
};

/* One object of the source. */
struct import_entry {
    const char *path;      /* as the source names it */
    uint32_t mode;         /* type and permission bits */
    uint32_t uid, gid;
    uint64_t size;
    int64_t mtime_ns;
    bool shared_inode;     /* another name of it may come later, or is unknown (archives) */
    const char *target;    /* symbolic link */
    const char *hard_link; /* a path imported before, as the source names it; else NULL */
    import_read_fn *read;
    void *arg;
    const struct import_xattr_list *xattrs; /* NULL: none */
};

/* A directory of the source. Publishing changes below it would move its times; so it gets them once
 * more, explicitly, when something in it changed. */
struct import_directory {
    struct txio_attr attr;
    bool changed_inside;
};

struct import_sink {
    struct ktm_txn *txn;
    const char *prefix;
    const struct tximport_options *options;
    struct tximport_counts counts;
    struct tx_map seen; /* cleaned path -> enum import_seen */
    struct tx_map directories; /* cleaned path -> struct import_directory, tx_free'd */
    uint8_t *chunk;     /* IMPORT_CHUNK_SIZE bytes */
    uint8_t *old_chunk;
    uint64_t entries;
    uint64_t bytes_max, entries_max; /* in force */
    uint64_t bytes_seen, entries_seen;
};

enum tx_status import_sink_init(struct import_sink *sink, struct ktm_txn *txn, const char *prefix,
                                const struct tximport_options *options,
                                struct tx_error *err) TX_CHECKED;
void import_sink_release(struct import_sink *sink);
static inline void import_sink_auto(struct import_sink *sink)
{
    import_sink_release(sink);
}
/* Bring one object into the transaction. Parents come before what is in them, or are made. */
enum tx_status import_entry_apply(struct import_sink *sink, const struct import_entry *entry,
                                  struct tx_error *err) TX_CHECKED;
/* After the last object: mirror when asked, prefix an error with `verb` and `source`, hand out the
 * counts on success. `status` is that of the walk and is returned unless mirroring fails. */
enum tx_status import_sink_finish(struct import_sink *sink, enum tx_status status, const char *verb,
                                  const char *source, struct tximport_counts *counts,
                                  struct tx_error *err) TX_CHECKED;
/* Something was added to, replaced in or removed from the directory that holds `clean`. */
void import_touch_parent(struct import_sink *sink, const char *clean);
/* Remove what stands below the prefix and was not imported. */
enum tx_status import_mirror(struct import_sink *sink, struct tx_error *err) TX_CHECKED;

/* import_path.c */
/* Write prefix and cleaned path, with a NUL. Errors: TX_EESCAPE for absolute paths and "..". */
enum tx_status import_path_clean(const struct import_sink *sink, const char *path,
                                 struct tx_buf *clean, struct tx_error *err) TX_CHECKED;
enum tx_status import_path_note(struct import_sink *sink, const char *clean, uint32_t mode,
                                struct tx_error *err) TX_CHECKED;

/* import_content.c */
/* Put a regular file there unless it is there already. *changed says which. */
enum tx_status import_content(struct import_sink *sink, const char *clean,
                              const struct import_entry *entry, const struct txio_attr *attr,
                              const struct txio_stat *old, bool *changed,
                              struct tx_error *err) TX_CHECKED;

#endif
