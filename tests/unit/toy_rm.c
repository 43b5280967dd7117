/* SPDX-License-Identifier: MIT */
/* The toy resource manager of ktm_fixture.h. */
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "ktm_fixture.h"
#include "toy_rm.h"

#define TOY_BODY_SIZE 20u
#define TOY_READS_MAX 64u

struct toy_view {
    struct toy *toy;
    bool cached;
    uint32_t cached_item;
    uint64_t cached_value;
    uint32_t reads[TOY_READS_MAX];
    size_t read_count;
    unsigned rebuilt;
};

/* What `steady` writes. */
struct toy_image {
    uint64_t seal;
    uint64_t lsn;
    uint8_t token[KTM_TOKEN_SIZE];
    uint64_t value[TOY_ITEMS];
    uint64_t revision[TOY_ITEMS];
};

static void toy_image_name(const struct toy *toy, char name[16])
{
    (void)snprintf(name, 16, "toy%u", toy->id);
}

static uint64_t toy_key(const struct toy *toy, uint32_t item)
{
    uint64_t words[2] = {toy->id, item};
    return tx_hash64(words, sizeof words, 0);
}

static enum tx_status toy_begin(void *rm, struct ktm_txn *txn, void **view, struct tx_error *err)
{
    struct toy_view *made = tx_alloc_zero(sizeof *made);
    (void)txn;
    if (!made) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    made->toy = rm;
    *view = made;
    return TX_OK;
}

static enum tx_status toy_rebuild(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err)
{
    struct toy_view *toy_view = view;
    (void)rm;
    (void)txn;
    (void)err;
    toy_view->cached = false;
    toy_view->rebuilt++;
    return TX_OK;
}

static void toy_end(void *rm, struct ktm_txn *txn, void *view)
{
    (void)rm;
    (void)txn;
    tx_free(view);
}

static enum tx_status toy_add(struct toy *toy, struct ktm_txn *txn, enum toy_op op, uint32_t item,
                              uint64_t value, struct tx_error *err)
{
    uint8_t body[TOY_BODY_SIZE];
    tx_put32(body, item);
    tx_put64(body + 4, value);
    tx_put64(body + 12, atomic_load(&toy->live->revision[item]));
    struct iovec parts[2] = {{body, 4}, {body + 4, TOY_BODY_SIZE - 4}};
    return ktm_txn_add(txn, toy->id, (uint8_t)op, 0, parts, 2, err);
}

static enum tx_status toy_flush(void *rm, struct ktm_txn *txn, void *view, struct tx_error *err)
{
    struct toy_view *toy_view = view;
    if (!toy_view->cached) {
        return TX_OK;
    }
    toy_view->cached = false;
    return toy_add(rm, txn, TOY_SET, toy_view->cached_item, toy_view->cached_value, err);
}

static enum tx_status toy_validate(const struct toy *toy, const struct ktm_txn *txn, uint32_t item,
                                   uint64_t seen, struct tx_error *err)
{
    uint64_t revision = atomic_load(&toy->live->revision[item]);
    if (!toy->blind && (revision >= ktm_txn_snapshot(txn) || revision != seen)) {
        return tx_error_set(err, TX_ECONFLICT, "conflict: item %u changed", item);
    }
    return TX_OK;
}

static enum tx_status toy_prepare_entry(const struct toy *toy, const struct ktm_txn *txn,
                                        const struct ktm_change *change, struct ktm_vote *vote,
                                        struct tx_error *err)
{
    char name[32];
    uint32_t item = tx_get32(change->body);
    (void)snprintf(name, sizeof name, "toy%u/%u", toy->id, item);
    if (change->op == TOY_MARK) {
        return ktm_vote_mark(vote, toy_key(toy, item), name, err);
    }
    if (change->op == TOY_WATCH) {
        return ktm_vote_read(vote, toy_key(toy, item), name, err);
    }
    TX_TRY(toy_validate(toy, txn, item, tx_get64(change->body + 12), err));
    return ktm_vote_write(vote, toy_key(toy, item), name, err);
}

static enum tx_status toy_prepare(void *rm, struct ktm_txn *txn, void *view, struct ktm_vote *vote,
                                  struct tx_error *err)
{
    struct toy *toy = rm;
    struct toy_view *toy_view = view;
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    struct ktm_change change;
    atomic_fetch_add(&toy->live->prepares, 1);
    if (atomic_load(&toy->live->slow_prepare)) {
        (void)usleep(atomic_load(&toy->live->slow_prepare));
    }
    while (ktm_cursor_next(&cursor, &change)) {
        if (change.rm == toy->id) {
            TX_TRY(toy_prepare_entry(toy, txn, &change, vote, err));
        }
    }
    for (size_t i = 0; ktm_txn_is_serializable(txn) && i < toy_view->read_count; i++) {
        TX_TRY(ktm_vote_read(vote, toy_key(toy, toy_view->reads[i]), "what was read", err));
    }
    if (toy->on_prepare) {
        void (*hook)(void *arg) = toy->on_prepare;
        toy->on_prepare = NULL;
        hook(toy->arg);
    }
    return TX_OK;
}

/* The first half of the entries can be carried out when the publisher dies in the middle. */
static enum tx_status toy_redo(void *rm, const struct ktm_commit_info *commit,
                               enum ktm_redo_mode mode, uint8_t token[KTM_TOKEN_SIZE],
                               struct tx_error *err)
{
    struct toy *toy = rm;
    struct toy_live *live = toy->live;
    struct ktm_cursor cursor = commit->entries;
    struct ktm_change change;
    uint64_t words[KTM_TOKEN_WORDS];
    memcpy(words, token, sizeof words);
    atomic_fetch_add(mode == KTM_REDO_LIVE ? &live->redos : &live->recovers, 1);
    if (atomic_load(&live->redo_status) != TX_OK) {
        return tx_error_set(err, (enum tx_status)atomic_load(&live->redo_status), "told to fail");
    }
    while (ktm_cursor_next(&cursor, &change)) {
        if (change.rm != toy->id || change.op > TOY_SET_WITH_BARRIER) {
            continue;
        }
        uint32_t item = tx_get32(change.body);
        if (change.body_size != TOY_BODY_SIZE || item >= TOY_ITEMS) {
            return tx_error_set(err, TX_ECORRUPT, "toy entry");
        }
        atomic_store(&live->value[item], tx_get64(change.body + 4));
        atomic_store(&live->revision[item], commit->lsn);
        if (item < KTM_TOKEN_WORDS) {
            words[item] = tx_get64(change.body + 4);
        }
        if (atomic_exchange(&live->redo_dies, 0)) {
            _exit(77);
        }
    }
    atomic_store(&live->last_redo_lsn, commit->lsn);
    memcpy(token, words, sizeof words);
    return TX_OK;
}

static uint64_t image_seal(const struct toy_image *image)
{
    return tx_hash64((const uint8_t *)image + 8, sizeof *image - 8, 0);
}

static enum tx_status toy_open_steady(void *rm, tx_lsn *steady_lsn, uint8_t token[KTM_TOKEN_SIZE],
                                      struct tx_error *err)
{
    struct toy *toy = rm;
    static _Thread_local struct toy_image image;
    char name[16];
    int fd;
    toy_image_name(toy, name);
    memset(&image, 0, sizeof image);
    enum tx_status status = txio_open(toy->io, toy->store_dir, name, TXIO_READ, 0, &fd, err);
    if (status == TX_OK) {
        status = txio_read_full(toy->io, fd, &image, sizeof image, 0, err);
        (void)toy->io->ops->close(toy->io, fd);
        if (status == TX_OK && image.seal != image_seal(&image)) {
            status = tx_error_set(err, TX_ECORRUPT, "toy image");
        }
    }
    if (status != TX_OK && status != TX_ENOTFOUND) {
        return status;
    }
    for (size_t i = 0; i < TOY_ITEMS; i++) {
        atomic_store(&toy->live->value[i], image.value[i]);
        atomic_store(&toy->live->revision[i], image.revision[i]);
    }
    memcpy(token, image.token, KTM_TOKEN_SIZE);
    *steady_lsn = image.lsn;
    return TX_OK;
}

struct toy_recovery {
    void *rm;
    uint8_t *token;
};

static enum tx_status toy_recover_one(void *arg, const struct ktm_commit_info *commit,
                                      struct tx_error *err)
{
    struct toy_recovery *recovery = arg;
    return toy_redo(recovery->rm, commit, KTM_REDO_RECOVER, recovery->token, err);
}

static enum tx_status toy_recover(void *rm, struct ktm *tm, tx_lsn after, tx_lsn upto,
                                  uint8_t token[KTM_TOKEN_SIZE], struct tx_error *err)
{
    struct toy_recovery recovery = {rm, token};
    return ktm_each_commit(tm, after, upto, toy_recover_one, &recovery, err);
}

static enum tx_status toy_confirm_steady(void *rm, struct tx_error *err)
{
    struct toy *toy = rm;
    (void)err;
    cr_assert_eq(atomic_load(&toy->live->recovers), 0, "confirmed after redo");
    atomic_fetch_add(&toy->live->confirms, 1);
    return TX_OK;
}

static enum tx_status toy_steady(void *rm, tx_lsn lsn, const uint8_t token[KTM_TOKEN_SIZE],
                                 struct tx_error *err)
{
    struct toy *toy = rm;
    static _Thread_local struct toy_image image;
    char name[16];
    if (atomic_load(&toy->live->steady_status) != TX_OK) {
        return tx_error_set(err, (enum tx_status)atomic_load(&toy->live->steady_status),
                            "told to fail");
    }
    toy_image_name(toy, name);
    memset(&image, 0, sizeof image);
    image.lsn = lsn;
    memcpy(image.token, token, KTM_TOKEN_SIZE);
    for (size_t i = 0; i < TOY_ITEMS; i++) {
        image.value[i] = atomic_load(&toy->live->value[i]);
        image.revision[i] = atomic_load(&toy->live->revision[i]);
    }
    image.seal = image_seal(&image);
    TX_TRY(txio_replace_file(toy->io, toy->store_dir, name, &image, sizeof image, err));
    atomic_fetch_add(&toy->live->steadies, 1);
    atomic_store(&toy->live->steady_lsn, lsn);
    return TX_OK;
}

static enum tx_status toy_trim(void *rm, tx_lsn lsn, tx_lsn oldest, struct tx_error *err)
{
    struct toy *toy = rm;
    (void)err;
    atomic_fetch_add(&toy->live->trims, 1);
    atomic_store(&toy->live->trim_lsn, lsn);
    atomic_store(&toy->live->trim_oldest, oldest);
    return TX_OK;
}

static bool toy_needs_barrier(void *rm, struct ktm_cursor entries)
{
    const struct toy *toy = rm;
    struct ktm_change change;
    while (ktm_cursor_next(&entries, &change)) {
        if (change.rm == toy->id && change.op == TOY_SET_WITH_BARRIER) {
            return true;
        }
    }
    return false;
}

#define TOY_OPS                                                                                    \
    .begin = toy_begin, .rebuild = toy_rebuild, .end = toy_end, .flush = toy_flush,                \
    .prepare = toy_prepare, .redo = toy_redo, .open_steady = toy_open_steady,                      \
    .confirm_steady = toy_confirm_steady, .steady = toy_steady, .trim = toy_trim,                  \
    .needs_barrier = toy_needs_barrier

/* One toy is redone commit by commit, the other sees all commits together. */
const struct ktm_rm_ops toy_ops[TOYS] = {
    {.name = "first toy", TOY_OPS},
    {.name = "second toy", TOY_OPS, .recover = toy_recover},
};

static struct toy_view *view_of(struct ktm_txn *txn, unsigned toy)
{
    void *view = NULL;
    ok(ktm_txn_view(txn, toy, &view, ERR));
    return view;
}

enum tx_status toy_try_set(struct ktm_txn *txn, unsigned toy, uint32_t item, uint64_t value)
{
    void *view;
    TX_TRY(ktm_txn_view(txn, toy, &view, ERR));
    return toy_add(((struct toy_view *)view)->toy, txn, TOY_SET, item, value, ERR);
}

void toy_set(struct ktm_txn *txn, unsigned toy, uint32_t item, uint64_t value)
{
    ok(toy_try_set(txn, toy, item, value));
}

void toy_entry(struct ktm_txn *txn, unsigned toy, enum toy_op op, uint32_t item, uint64_t value)
{
    ok(toy_add(view_of(txn, toy)->toy, txn, op, item, value, ERR));
}

void toy_cache(struct ktm_txn *txn, unsigned toy, uint32_t item, uint64_t value)
{
    struct toy_view *view = view_of(txn, toy);
    view->cached = true;
    view->cached_item = item;
    view->cached_value = value;
}

uint64_t toy_get(struct ktm_txn *txn, unsigned toy, uint32_t item)
{
    struct toy_view *view = view_of(txn, toy);
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    struct ktm_change change;
    uint64_t words[KTM_TOKEN_WORDS];
    uint8_t token[KTM_TOKEN_SIZE];
    ktm_txn_token(txn, toy, token);
    memcpy(words, token, sizeof words);
    uint64_t value = item < KTM_TOKEN_WORDS ? words[item] : view->toy->live->value[item];
    while (ktm_cursor_next(&cursor, &change)) {
        if (change.rm == toy && change.op <= TOY_SET_WITH_BARRIER &&
            tx_get32(change.body) == item) {
            value = tx_get64(change.body + 4);
        }
    }
    if (view->cached && view->cached_item == item) {
        value = view->cached_value;
    }
    cr_assert_lt(view->read_count, TOY_READS_MAX);
    view->reads[view->read_count++] = item;
    return value;
}
