/* SPDX-License-Identifier: MIT */
/*
 * A store that has only a log, a transaction manager and a registry, in a temporary directory. A
 * world is the machine; a place is what one process has open.
 */
#ifndef TEST_REG_FIXTURE_H
#define TEST_REG_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "temp_dir.h"
#include "txreg/txreg_view.h"

#define ok(call)                                                                                   \
    do {                                                                                           \
        enum tx_status ok_status_ = (call);                                                        \
        cr_assert(ok_status_ == TX_OK, "%s:%d: %s: %s", __FILE__, __LINE__,                        \
                  tx_status_name(ok_status_), reg_err.text);                                       \
    } while (0)
#define fails(wanted, call)                                                                        \
    do {                                                                                           \
        enum tx_status fails_status_ = (call);                                                     \
        cr_assert(fails_status_ == (wanted), "%s:%d: %s instead of %s: %s", __FILE__, __LINE__,    \
                  tx_status_name(fails_status_), tx_status_name(wanted), reg_err.text);            \
    } while (0)
extern struct tx_error reg_err;
#define ERR (&reg_err)

struct reg_world {
    struct temp_dir temp;
    struct txio *io;
    void *log_shared;
    void *ktm_shared;
    void *reg_shared;
};

struct reg_place {
    struct reg_world *world;
    struct txlog *log;
    struct ktm *tm;
    struct txreg *reg;
    struct ktm_recovery recovery;
};

#define REG_CONFLICTS 1024u

/* `io` NULL: the operating system. */
void reg_world_init(struct reg_world *world, struct txio *io);
void reg_world_auto(struct reg_world *world);
/* Open with recovery, as the first process does; earlier shared memory is forgotten. */
enum tx_status reg_place_try_boot(struct reg_place *place, struct reg_world *world);
void reg_place_boot(struct reg_place *place, struct reg_world *world);
void reg_place_join(struct reg_place *place, struct reg_world *world);
void reg_place_auto(struct reg_place *place); /* without a checkpoint */
/* Close, forget shared memory, open again: what a crash of all processes does. */
void reg_place_crash(struct reg_place *place);

struct ktm_txn *reg_begin(struct reg_place *place, uint32_t flags);
tx_lsn reg_commit(struct ktm_txn *txn);

/* Set and look at strings, in one line. */
void reg_put(struct ktm_txn *txn, const char *key, const char *name, const char *text);
void reg_expect(struct ktm_txn *txn, const char *key, const char *name, const char *text);
void reg_expect_none(struct ktm_txn *txn, const char *key, const char *name);
void reg_expect_key(struct ktm_txn *txn, const char *key, bool exists);

/* Check the image; faults are printed. Needs a checkpoint before. */
uint64_t reg_faults(struct reg_world *world);
/* Everything below a key as one text: "key\\sub(v=1:2:00..)..."; tx_buf_release it. */
void reg_dump(struct ktm_txn *txn, const char *key, struct tx_buf *text);

/* An image alone, without log and manager, and a state to build trees on. */
struct reg_image {
    struct temp_dir temp;
    struct txreg *reg;
    void *shared;
    struct reg_state state;
    tx_lsn lsn;
};
void reg_image_init(struct reg_image *image, struct txio *io);
void reg_image_auto(struct reg_image *image);
/* Close the image and read its root slot again. */
void reg_image_reopen(struct reg_image *image, struct txio *io);

/* Records as no writer makes them: a key of `rest` after the head; one too short for a head. */
void reg_put_record(struct reg_writer *writer, uint64_t id, enum reg_kind kind, const char *rest,
                    const void *data, size_t size);
void reg_put_short_key(struct reg_writer *writer);

/* A generator that gives the same numbers everywhere (splitmix64, Steele et al., 2014). */
static inline uint64_t reg_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
/* TXKIT_TEST_SCALE times so much. */
unsigned reg_scaled(unsigned count);

#endif
