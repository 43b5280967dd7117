/* SPDX-License-Identifier: MIT */
/* A store in a temporary directory, and a seam that counts forces. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <txkit/txkit.h>

/* Counts in shared memory when the fixture is made so, because children count too. */
struct force_counts {
    _Atomic uint64_t datasync, sync, syncfs;
};

struct counting_io {
    struct txio base;
    struct txio_ops ops;
    struct force_counts *counts;
    long datasync_ns; /* latency of the disk, on top of what it really has */
};

extern struct counting_io counting;
extern char fixture_root[64];

/* Make the temporary directory and a store in it; `settings` may be NULL. */
void fixture_make(const struct txstore_settings *settings);
void fixture_remove(void);
struct txstore *fixture_open(void);
void fixture_close(struct txstore *store);

/* All device flushes so far. */
uint64_t fixture_forces(void);

#define must(call)                                                                                 \
    do {                                                                                           \
        struct tx_error *must_err_ = &fixture_err;                                                 \
        enum tx_status must_status_ = (call);                                                      \
        cr_assert(must_status_ == TX_OK, "%s:%d: %s: %s", __FILE__, __LINE__,                      \
                  tx_status_name(must_status_), must_err_->text);                                  \
    } while (0)
extern struct tx_error fixture_err;

#endif
