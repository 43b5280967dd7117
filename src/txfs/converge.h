/* SPDX-License-Identifier: MIT */
/*
 * Bringing a tree to what commits say, from whatever a crash left. Three parts: the model, which
 * folds the commits into one goal per path (converge_model.c); the look at what is there
 * (converge_judge.c, converge_find.c); the moves that make it so (converge_place.c, converge.c).
 */
#ifndef TXFS_CONVERGE_H
#define TXFS_CONVERGE_H

#include "txfs/unsteady.h"

/* One step of one commit. */
struct txfs_ref {
    struct txfs_unsteady *commit;
    struct txfs_step *step;
};

/* Where a commit put what it took away: into the slot of `ref`, or `below` the directory there. */
struct txfs_gone {
    struct txfs_ref ref;
    const char *below; /* "", or "/" and the way down */
};

/* An object: one that the commits make, or one that was in the tree before them. */
struct txfs_cnode {
    struct txfs_ref creator; /* step NULL: it was there before */
    /* Which inode it is: of an old object always, of a new one when a later commit saw it. */
    struct txfs_identity identity;
    struct tx_buf amendments; /* struct txfs_ref, in order */
    struct tx_buf displaced;  /* struct txfs_gone: where it went, by which of its names ever */
    const char *home;         /* a path where it stands now; NULL: none yet */
    struct txio_stat home_is; /* as it was met there */
    bool built; /* made anew by this recovery */
    bool settled;
};

/* What one commit did to a path. */
struct txfs_version {
    struct txfs_ref ref;
    struct txfs_cnode *before; /* what it displaced; NULL: nothing */
    bool unsure; /* `before` had unsteady changes inside, which nobody can vouch for */
};

/* A path that the commits name, and what has to stand there. */
struct txfs_goal {
    const char *path;
    struct txfs_cnode *node; /* NULL: nothing */
    struct tx_buf versions;  /* struct txfs_version; none: the object there is only amended */
};

struct txfs_model {
    struct txfs *fs;
    int undo_dir;
    struct txfs_unsteady *commits;
    size_t count;
    struct tx_map goals;  /* tree key -> struct txfs_goal */
    struct tx_map inodes; /* ino -> struct txfs_cnode of an old object */
    struct tx_buf nodes;  /* every struct txfs_cnode *, for release */
    struct txfs_work work;
};

enum tx_status txfs_model_build(struct txfs_model *model, struct tx_error *err) TX_CHECKED;
void txfs_model_release(struct txfs_model *model);
static inline void txfs_model_auto(struct txfs_model *model)
{
    txfs_model_release(model);
}

static inline struct txfs_version *txfs_goal_last(const struct txfs_goal *goal)
{
    size_t count = goal->versions.size / sizeof(struct txfs_version);
    struct txfs_version *all = (struct txfs_version *)(void *)goal->versions.data;
    return count > 0 ? &all[count - 1] : NULL;
}
static inline size_t txfs_ref_count(const struct tx_buf *refs)
{
    return refs->size / sizeof(struct txfs_ref);
}
static inline const struct txfs_ref *txfs_ref_at(const struct tx_buf *refs, size_t index)
{
    return (const struct txfs_ref *)(const void *)refs->data + index;
}
/* The goal of a path, NULL when no commit names it. */
struct txfs_goal *txfs_model_goal(const struct txfs_model *model, const char *path);
/* True for an object that some commit found in the tree and none made. */
bool txfs_model_is_old(const struct txfs_model *model, const struct txio_stat *is);
/* Attributes and size of the node when everything is done. */
struct txfs_attrs txfs_cnode_attrs(const struct txfs_cnode *node);
uint64_t txfs_cnode_size(const struct txfs_cnode *node); /* of one that the commits make */
bool txfs_cnode_has_extents(const struct txfs_cnode *node);

/* Make the model's work speak for this commit. */
void txfs_model_turn(struct txfs_model *model, const struct txfs_ref *ref);
/* True when what the step found at its path is moved elsewhere by the same commit. */
bool txfs_ref_moves_base(const struct txfs_ref *ref);
/* "<L>/<i>" of a step. */
void txfs_ref_slot(const struct txfs_ref *ref, char path[TXFS_SLOT_PATH_SIZE]);

/* --- Looking (converge_judge.c, converge_find.c) --- */

enum txfs_verdict {
    TXFS_OTHER, /* not the node */
    TXFS_TORN,  /* the node, but a power cut took part of its content */
    TXFS_IS,    /* the node, complete; attributes are looked at elsewhere */
};
enum tx_status txfs_judge(struct txfs_model *model, int dir, const char *path,
                          const struct txio_stat *is, const struct txfs_cnode *node,
                          enum txfs_verdict *verdict, struct tx_error *err) TX_CHECKED;
/* Write what a file whose payload is in the log has to hold, extents included. */
enum tx_status txfs_content_write(struct txfs_model *model, const struct txfs_cnode *node, int fd,
                                  struct tx_error *err) TX_CHECKED;

/* Is it what one of the goal's versions found and displaced? Then it is not the goal's node,
 * however much it looks like it. */
bool txfs_goal_displaces(const struct txfs_model *model, const struct txfs_goal *goal,
                         const struct txio_stat *is);

/* Whose is what stands at a goal's path, when it is not the goal's node? */
enum txfs_owner {
    TXFS_OURS_OLD,  /* displaced by one of the goal's versions: *version says which */
    TXFS_OURS_TORN, /* a damaged version of ours, worth nothing */
    TXFS_STRANGERS,
};
enum tx_status txfs_owner_of(struct txfs_model *model, const struct txfs_goal *goal,
                             const struct txio_stat *is, enum txfs_owner *owner,
                             const struct txfs_version **version, struct tx_error *err) TX_CHECKED;

/* Where an object was found. */
struct txfs_found {
    bool found;
    bool in_root; /* else below undo/, or with `in_store` below the store directory */
    bool in_store;
    bool movable; /* its name there is not needed any more */
    char path[TXFS_PATH_MAX + TXFS_SLOT_PATH_SIZE];
};
/* The goal has a version. */
enum tx_status txfs_find(struct txfs_model *model, const struct txfs_goal *goal,
                         const struct txfs_cnode *node, struct txfs_found *found,
                         struct tx_error *err) TX_CHECKED;
/* Only where commits put it away. */
enum tx_status txfs_find_displaced(struct txfs_model *model, const struct txfs_cnode *node,
                                   struct txfs_found *found, struct tx_error *err) TX_CHECKED;

/* --- Moving (converge_place.c, converge_settle.c, converge_audit.c) --- */

/* Take moved objects out of their old places. */
enum tx_status txfs_converge_pull(struct txfs_model *model, struct tx_error *err) TX_CHECKED;
enum tx_status txfs_converge_goal(struct txfs_model *model, struct txfs_goal *goal,
                                  struct tx_error *err) TX_CHECKED;
/* Contents and attributes of the objects at their places; directories last. */
enum tx_status txfs_converge_settle(struct txfs_model *model, struct tx_error *err) TX_CHECKED;
/* Which old versions are really kept? Write the `changes` that are missing or say otherwise. */
enum tx_status txfs_converge_audit(struct txfs_model *model, struct tx_error *err) TX_CHECKED;

#endif
