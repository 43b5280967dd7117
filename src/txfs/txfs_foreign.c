/* SPDX-License-Identifier: MIT */
/* Changes by programs that know nothing of transactions: kept, and told to whoever listens. */
#include "txfs/publish_internal.h"

void txfs_on_foreign(struct txfs *fs, txfs_foreign_fn *fn, void *arg)
{
    fs->on_foreign = fn;
    fs->foreign_arg = arg;
}

void txfs_foreign_report(struct txfs *fs, const char *path, const char *kept_as)
{
    if (fs->on_foreign != NULL) {
        fs->on_foreign(fs->foreign_arg, path, kept_as);
    }
}
