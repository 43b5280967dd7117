/* SPDX-License-Identifier: MIT */
/* The steps that sequences are made of (crash_sequences.c): 14 operations on files with four names,
 * five of the registry with three keys. */
#include <stdio.h>
#include <string.h>

#include "sim/crash_internal.h"

/* --- Operations ------------------------------------------------------------------------------- */

/* A file, a directory, a file in it that is large enough to be staged, nothing. */
static const char *const paths[] = {"f", "d", "d/g", "n"};
static const char *const keys[] = {"K", "K\\S", "N"};
#define PATHS (sizeof paths / sizeof *paths)
#define KEYS (sizeof keys / sizeof *keys)
#define STAGED_SIZE 5000u /* more than inline_max of these stores */

typedef enum tx_status operation_fn(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                    const char *other);

static enum tx_status put(struct crash_run *run, struct ktm_txn *txn, const char *name,
                          const char *other)
{
    (void)other;
    return txfs_put(txn, name, crash_bytes(run, 600), 600, NULL, &run->err);
}

static enum tx_status put_large(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                const char *other)
{
    (void)other;
    return txfs_put(txn, name, crash_bytes(run, STAGED_SIZE), STAGED_SIZE, NULL, &run->err);
}

static enum tx_status write_in_place(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                     const char *other)
{
    (void)other;
    enum tx_status status = txfs_open(txn, name, TXFS_WRITE, 0, &run->file, &run->err);
    if (status != TX_OK) {
        return status;
    }
    MUST(run, txfs_pwrite(run->file, crash_bytes(run, 700), 700, 100, &run->err));
    return crash_close_file(run);
}

static enum tx_status truncate_it(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                  const char *other)
{
    (void)other;
    return txfs_truncate(txn, name, 40, &run->err);
}

static enum tx_status unlink_it(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                const char *other)
{
    (void)other;
    return txfs_unlink(txn, name, &run->err);
}

static enum tx_status make_directory(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                     const char *other)
{
    (void)other;
    return txfs_mkdir(txn, name, 0755, &run->err);
}

static enum tx_status remove_directory(struct crash_run *run, struct ktm_txn *txn,
                                       const char *name, const char *other)
{
    (void)other;
    return txfs_rmdir(txn, name, &run->err);
}

static enum tx_status remove_tree(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                  const char *other)
{
    (void)other;
    return txfs_remove_tree(txn, name, &run->err);
}

static enum tx_status make_symlink(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                   const char *other)
{
    (void)other;
    return txfs_symlink(txn, "f", name, &run->err);
}

static enum tx_status change_mode(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                  const char *other)
{
    (void)other;
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0711};
    return txfs_set_attr(txn, name, &attr, &run->err);
}

static enum tx_status set_xattr(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                const char *other)
{
    (void)other;
    return txfs_set_xattr(txn, name, "user.x", crash_bytes(run, 20), 20, &run->err);
}

static enum tx_status rename_it(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                const char *other)
{
    return txfs_rename(txn, name, other, TXIO_REPLACE, &run->err);
}

static enum tx_status exchange(struct crash_run *run, struct ktm_txn *txn, const char *name,
                               const char *other)
{
    return txfs_rename(txn, name, other, TXIO_EXCHANGE, &run->err);
}

static enum tx_status link_it(struct crash_run *run, struct ktm_txn *txn, const char *name,
                              const char *other)
{
    return txfs_link(txn, name, other, &run->err);
}

static enum tx_status create_key(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                 const char *other)
{
    (void)other;
    bool created = false;
    enum tx_status status = txreg_create(txn, name, NULL, &created, &run->err);
    return status == TX_OK && !created ? TX_EEXIST : status;
}

static enum tx_status delete_keys(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                  const char *other)
{
    (void)other;
    return txreg_delete_tree(txn, name, &run->err);
}

static enum tx_status rename_key(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                 const char *other)
{
    (void)other;
    return txreg_rename(txn, name, "N", &run->err);
}

static enum tx_status set_value(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                const char *other)
{
    (void)other;
    return txreg_set(txn, name, "v", TXREG_BINARY, crash_bytes(run, 30), 30, &run->err);
}

static enum tx_status unset_value(struct crash_run *run, struct ktm_txn *txn, const char *name,
                                  const char *other)
{
    (void)other;
    return txreg_unset(txn, name, "v", &run->err);
}

enum operands { ONE_PATH, TWO_PATHS, ANY_TWO_PATHS, ONE_KEY }; /* ANY: in whatever order */

static const struct operation {
    const char *name;
    operation_fn *carry_out;
    enum operands operands;
} operations[] = {
    {"put", put, ONE_PATH},
    {"put-large", put_large, ONE_PATH},
    {"write", write_in_place, ONE_PATH},
    {"truncate", truncate_it, ONE_PATH},
    {"unlink", unlink_it, ONE_PATH},
    {"mkdir", make_directory, ONE_PATH},
    {"rmdir", remove_directory, ONE_PATH},
    {"remove-tree", remove_tree, ONE_PATH},
    {"symlink", make_symlink, ONE_PATH},
    {"chmod", change_mode, ONE_PATH},
    {"xattr", set_xattr, ONE_PATH},
    {"rename", rename_it, TWO_PATHS},
    {"exchange", exchange, ANY_TWO_PATHS},
    {"link", link_it, TWO_PATHS},
    {"create-key", create_key, ONE_KEY},
    {"delete-keys", delete_keys, ONE_KEY},
    {"rename-key", rename_key, ONE_KEY},
    {"set-value", set_value, ONE_KEY},
    {"unset-value", unset_value, ONE_KEY},
    {NULL, NULL, ONE_PATH},
};

/* --- Steps: an operation and what it is done to ----------------------------------------------- */

#define STEPS_MAX 128u
static struct step {
    const struct operation *operation;
    const char *name, *other; /* `other` is NULL when it takes one */
} steps[STEPS_MAX];
static unsigned step_count;

static void add_step(const struct operation *operation, const char *name, const char *other)
{
    if (step_count == STEPS_MAX) {
        abort();
    }
    steps[step_count++] = (struct step){operation, name, other};
}

static void add_pairs(const struct operation *operation)
{
    for (size_t i = 0; i < PATHS; i++) {
        for (size_t k = operation->operands == ANY_TWO_PATHS ? i : 0; k < PATHS; k++) {
            if (i != k) {
                add_step(operation, paths[i], paths[k]);
            }
        }
    }
}

static void add_singles(const struct operation *operation, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_step(operation, names[i], NULL);
    }
}

unsigned crash_step_count(void)
{
    bool known = step_count > 0;
    for (const struct operation *at = operations; !known && at->name != NULL; at++) {
        if (at->operands == ONE_KEY) {
            add_singles(at, keys, KEYS);
        } else if (at->operands == ONE_PATH) {
            add_singles(at, paths, PATHS);
        } else {
            add_pairs(at);
        }
    }
    return step_count;
}

int crash_step_format(unsigned index, char *text, size_t room)
{
    const struct step *step = &steps[index];
    bool pair = step->other != NULL;
    int size = snprintf(text, room, "%s:%s%s%s", step->operation->name, step->name,
                        pair ? ":" : "", pair ? step->other : "");
    for (char *at = strchr(text, '\\'); at != NULL; at = strchr(at, '\\')) {
        *at = '/';
    }
    return size;
}

enum tx_status crash_step_do(unsigned index, struct crash_run *run, struct ktm_txn *txn)
{
    const struct step *step = &steps[index];
    return step->operation->carry_out(run, txn, step->name, step->other);
}
