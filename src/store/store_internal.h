/* SPDX-License-Identifier: MIT */
#ifndef TXSTORE_INTERNAL_H
#define TXSTORE_INTERNAL_H

#include <txkit/store.h>

#include "base/buf.h"

/* What living processes share: this header, then the areas of log, manager and registry. */
struct txstore_shared {
    _Atomic uint64_t magic; /* written last; TXSTORE_SHARED_MAGIC */
    uint64_t size;          /* of the whole file; processes of another layout stay out */
    uint32_t conflict_entries;
    _Atomic uint32_t at_rest; /* nobody has recovered it: it was clean, and is only read */
    uint32_t reserved[10];
};
#define TXSTORE_SHARED_MAGIC 0x31306d68736b7874u /* "txkshm01" */

struct txstore {
    struct txio *io;
    char *root;
    char *path; /* of the store directory */
    enum txstore_mode mode;
    bool no_checkpoint_on_close;
    int root_dir;
    int dir;
    int shared_fd;
    void *shared; /* mapped, or in salvage within `private_memory` */
    void *private_memory;
    size_t shared_size;
    struct txstore_settings settings;
    struct txlog *log;
    struct ktm *tm;
    struct txfs *fs;
    struct txreg *reg;
    struct txio_pair open_lock;
    int recovery_fd; /* control once more: its own owner of the recovery byte */
    bool alive;      /* the recovery byte is held */
    uint64_t process; /* that opened the store; a forked child may only free memory */
    uint64_t foreign_kept;
    struct txstore_recovery recovery;
};

/* settings.c */
enum tx_status txstore_settings_load(struct txio *io, int dir, struct txstore_settings *settings,
                                     struct tx_error *err) TX_CHECKED;
enum tx_status txstore_settings_save(struct txio *io, int dir,
                                     const struct txstore_settings *settings,
                                     struct tx_error *err) TX_CHECKED;

/* store_shared.c */
enum tx_status txstore_shared_create(struct txstore *store, struct tx_error *err) TX_CHECKED;
enum tx_status txstore_shared_join(struct txstore *store, struct tx_error *err) TX_CHECKED;
enum tx_status txstore_shared_private(struct txstore *store, struct tx_error *err) TX_CHECKED;
void txstore_shared_ready(struct txstore *store, bool at_rest);
bool txstore_is_at_rest(const struct txstore *store);
void txstore_shared_release(struct txstore *store);
void *txstore_shared_log(const struct txstore *store);
void *txstore_shared_ktm(const struct txstore *store);
void *txstore_shared_reg(const struct txstore *store);

/* locate.c */
enum tx_status txstore_locate(struct txstore *store, const char *root, const char *store_path,
                              struct tx_error *err) TX_CHECKED;
/* The store's name below its root when it stands there, else NULL. */
const char *txstore_name_in_root(const struct txstore *store);

/* wire.c: the only place that knows all layers */
enum tx_status txstore_wire(struct txstore *store, struct tx_error *err) TX_CHECKED;
enum tx_status txstore_wire_files(struct txstore *store, struct tx_error *err) TX_CHECKED;
/* Tell the log what the RMs made durable without it: that proves that the log was, up to there. */
enum tx_status txstore_claim_durable(struct txstore *store, struct tx_error *err) TX_CHECKED;
void txstore_unwire(struct txstore *store);

/* open.c */
/* Settings (or, damaged, defaults), private memory, log, RMs and manager of a store that is only
 * looked at. */
enum tx_status txstore_open_salvage(struct txstore *store, struct tx_error *err) TX_CHECKED;
enum tx_status txstore_new(const struct txstore_options *options, struct txstore **store,
                           struct tx_error *err) TX_CHECKED;
void txstore_release(struct txstore *store);
static inline void txstore_auto_ptr(struct txstore **store)
{
    txstore_release(*store);
}

#endif
