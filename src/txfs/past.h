/* SPDX-License-Identifier: MIT */
/* What commits newer than a transaction's snapshot did, read once (past.c) and asked by
 * superseded.c. */
#ifndef TXFS_PAST_H
#define TXFS_PAST_H

#include "txfs/publish_internal.h"

/* One step of a newer commit, without its content. */
struct txfs_past_step {
    tx_lsn lsn;
    uint32_t index;
    uint8_t kind;
    bool amends;
    bool in_place; /* changes bytes or the size of a file */
    uint32_t mask;
    struct txfs_identity base;
    struct txfs_identity source;
    char *path;
    char *target;             /* of moved, else NULL */
    struct txfs_saved *saved; /* its record, once read */
};

struct txfs_past_commit {
    tx_lsn lsn;
    tx_lsn next_lsn;
    struct tx_map steps; /* tree key -> struct txfs_past_step; owns them */
    struct tx_map moved; /* tree key of the source -> the step of a moved object */
};

struct txfs_past {
    tx_lsn upto;           /* commits up to here are in */
    struct tx_buf commits; /* struct txfs_past_commit *, oldest first */
    struct tx_map amended; /* ino -> struct tx_buf of struct txfs_past_step *, oldest first */
};

/* The way of one object through newer commits. */
struct txfs_trace {
    struct txfs_view *view;
    char path[TXFS_PATH_MAX + 1]; /* where the object is below the root, in the newest state */
    bool moved;
    const struct txfs_past_step *mover; /* the last that moved it, or a directory above */
    const struct txfs_past_step
        *displacer;               /* that took it, or a directory above, out of the tree */
    char rest[TXFS_PATH_MAX + 1]; /* below what was displaced: "" or "/..." */
    bool absent;                  /* there was no object */
};
/* Follow the object through one commit; not to be asked once there is a displacer. */
enum tx_status txfs_trace_commit(struct txfs_trace *trace, const struct txfs_past_commit *commit,
                                 struct tx_error *err) TX_CHECKED;

/* Bring view->past up to ktm_decided(). Errors: TX_ESNAPSHOT when the log does not reach back. */
enum tx_status txfs_past_load(struct txfs_view *view, struct tx_error *err) TX_CHECKED;

/* What newer commits changed in place of the object that `old` places: superseded_amended.c. */
enum tx_status txfs_old_amendments(struct txfs_view *view, const char *path, struct txfs_old *old,
                                   struct tx_error *err) TX_CHECKED;

static inline size_t txfs_past_count(const struct txfs_past *past)
{
    return past->commits.size / sizeof(struct txfs_past_commit *);
}
static inline struct txfs_past_commit *txfs_past_at(const struct txfs_past *past, size_t index)
{
    return ((struct txfs_past_commit **)(void *)past->commits.data)[index];
}

#endif
