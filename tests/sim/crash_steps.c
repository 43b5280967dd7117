/* SPDX-License-Identifier: MIT */
/* The steps that sequences are made of (crash_sequences.c): 14 operations on files with four names,
 * five of the registry with three keys; and the trees that they begin with. */
#include <stdio.h>
#include <string.h>

#include "sim/crash_internal.h"

/* --- Operations ------------------------------------------------------------------------------- */

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

/* --- Trees, and the names in them ------------------------------------------------------------- */

enum { PATHS = 4, KEYS = 3 };

/* What stands at each name: '/' a directory, 's' a small file, 'l' one that is staged, '=' a name
 * more of the first, '-' nothing. */
static const struct {
    const char *paths[PATHS];
    const char *what;
} trees[] = {
    {{"f", "d", "d/g", "n"}, "s/l-"},
    {{"f", "d", "d/g", "n"}, "s/l/"},
    {{"d", "d/g", "n", "n/g"}, "/l/s"},
    {{"d", "d/e", "d/e/g", "n"}, "//l-"},
    {{"d", "d/g", "n", "n/x"}, "/l--"},
    {{"f", "d", "d/g", "n"}, "s/=-"},
};
static const char *const keys[KEYS] = {"K", "K\\S", "N"};

unsigned crash_tree_count(void)
{
    return sizeof trees / sizeof *trees;
}

void crash_tree_plant(unsigned tree, struct crash_run *run, struct ktm_txn *txn)
{
    for (unsigned i = 0; i < PATHS; i++) {
        const char *path = trees[tree].paths[i];
        size_t size = trees[tree].what[i] == 's' ? 300 : 4500;
        if (trees[tree].what[i] == '/') {
            MUST(run, txfs_mkdir(txn, path, 0755, &run->err));
        } else if (trees[tree].what[i] == '=') {
            MUST(run, txfs_link(txn, trees[tree].paths[0], path, &run->err));
        } else if (trees[tree].what[i] != '-') {
            MUST(run, txfs_put(txn, path, crash_bytes(run, size), size, NULL, &run->err));
        }
    }
    MUST(run, txreg_create(txn, "K\\S", NULL, NULL, &run->err));
    MUST(run, txreg_set_u32(txn, "K", "v", 1, &run->err));
    MUST(run, txreg_set_u32(txn, "K\\S", "v", 2, &run->err));
}

/* --- Steps: an operation and what it is done to ----------------------------------------------- */

static struct step {
    const struct operation *operation;
    unsigned name, other; /* of the paths or the keys; the same when it takes one */
} steps[CRASH_STEPS_MAX];
static unsigned step_count;

static void add_step(const struct operation *operation, unsigned name, unsigned other)
{
    if (step_count == CRASH_STEPS_MAX) {
        abort();
    }
    steps[step_count++] = (struct step){operation, name, other};
}

static void add_pairs(const struct operation *operation)
{
    for (unsigned i = 0; i < PATHS; i++) {
        for (unsigned k = operation->operands == ANY_TWO_PATHS ? i : 0; k < PATHS; k++) {
            if (i != k) {
                add_step(operation, i, k);
            }
        }
    }
}

static void add_singles(const struct operation *operation, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        add_step(operation, i, i);
    }
}

unsigned crash_step_count(void)
{
    bool known = step_count > 0;
    for (const struct operation *at = operations; !known && at->name != NULL; at++) {
        if (at->operands == ONE_KEY) {
            add_singles(at, KEYS);
        } else if (at->operands == ONE_PATH) {
            add_singles(at, PATHS);
        } else {
            add_pairs(at);
        }
    }
    return step_count;
}

static const char *const *names_of(const struct step *step, unsigned tree)
{
    return step->operation->operands == ONE_KEY ? keys : trees[tree].paths;
}

int crash_step_format(unsigned index, unsigned tree, char *text, size_t room)
{
    const struct step *step = &steps[index];
    const char *const *names = names_of(step, tree);
    bool pair = step->name != step->other;
    int size = snprintf(text, room, "%s:%s%s%s", step->operation->name, names[step->name],
                        pair ? ":" : "", pair ? names[step->other] : "");
    for (char *at = strchr(text, '\\'); at != NULL; at = strchr(at, '\\')) {
        *at = '/';
    }
    return size;
}

enum tx_status crash_step_do(unsigned index, unsigned tree, struct crash_run *run,
                             struct ktm_txn *txn)
{
    const struct step *step = &steps[index];
    const char *const *names = names_of(step, tree);
    return step->operation->carry_out(run, txn, names[step->name], names[step->other]);
}
