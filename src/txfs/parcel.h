/* SPDX-License-Identifier: MIT */
/* What the transaction has said about an object and about all below it, packed up for a rename. */
#ifndef TXFS_PARCEL_H
#define TXFS_PARCEL_H

#include "txfs/overlay.h"

/* One entry on its way. */
struct txfs_packed {
    struct txfs_packed *next;
    bool opaque;  /* below a directory of the transaction's own: has no base */
    bool is_root; /* the renamed object itself */
    char *real;   /* where its base is */
    size_t content_at;
    struct txfs_entry entry; /* leads into `head`; content NULL */
    struct tx_buf head;
};

struct txfs_parcel {
    struct txfs_packed *first;
    struct txfs_packed **end;
};
void txfs_parcel_auto(struct txfs_parcel *parcel);

/* Pack the object at `path`, then all entries below it. */
enum tx_status txfs_pack(const struct txfs_view *view, const char *path,
                         const struct txfs_object *object, struct txfs_parcel *parcel,
                         struct tx_error *err) TX_CHECKED;

#endif
