/* SPDX-License-Identifier: MIT */
/* What the library shows, and what is really on the disk, compared with the model. */
#include <sys/stat.h>

#include "sim/swarm_internal.h"

#define CONTENT_MAX 16384u

/* An answer that is an error: of a fault, or wrong. */
static bool readable(struct swarm_work *work, enum tx_status status, const char *what)
{
    swarm_expect(work->swarm, status, what, &work->err);
    return status == TX_OK;
}

static bool read_file(struct swarm_work *work, const char *path, const struct model_bytes *bytes)
{
    uint8_t found[CONTENT_MAX];
    struct txfs_file *file = NULL;
    size_t done = 0;
    if (!readable(work, txfs_open(work->txn, path, TXFS_READ, 0, &file, &work->err), path)) {
        return false;
    }
    enum tx_status status = txfs_pread(file, found, sizeof found, 0, &done, &work->err);
    txfs_abandon(file);
    if (!readable(work, status, path)) {
        return false;
    }
    if (done != bytes->size || memcmp(found, bytes->data, done) != 0) {
        swarm_wrong(work->swarm, "\"%s\" has %zu other bytes than the %u of its snapshot", path,
                    done, bytes->size);
    }
    return true;
}

static bool read_link(struct swarm_work *work, const char *path, const struct model_bytes *bytes)
{
    char found[64];
    enum tx_status status = txfs_readlink(work->txn, path, found, sizeof found, &work->err);
    if (!readable(work, status, path)) {
        return false;
    }
    if (strlen(found) != bytes->size || memcmp(found, bytes->data, bytes->size) != 0) {
        swarm_wrong(work->swarm, "\"%s\" leads to \"%s\"", path, found);
    }
    return true;
}

static uint32_t type_of(const struct model_node *node, bool is_dir)
{
    return is_dir ? S_IFDIR : node->is_link ? S_IFLNK : S_IFREG;
}

static bool look_node(struct swarm_work *work, const char *path, const struct model_node *node,
                      bool is_dir)
{
    struct txio_stat stat;
    enum tx_status status = txfs_stat(work->txn, path, &stat, &work->err);
    if (node->id == 0 && (status == TX_ENOTFOUND || status == TX_ENOTDIR)) {
        return true;
    }
    if (!readable(work, status, path)) {
        return false;
    }
    if (node->id == 0) {
        swarm_wrong(work->swarm, "\"%s\" is there and should not be", path);
    }
    if ((stat.mode & S_IFMT) != type_of(node, is_dir) ||
        (!node->is_link && (stat.mode & 07777) != node->mode)) {
        swarm_wrong(work->swarm, "\"%s\" has mode %o instead of %o", path, stat.mode,
                    type_of(node, is_dir) | node->mode);
    }
    if (is_dir) {
        return true;
    }
    return node->is_link ? read_link(work, path, node->bytes)
                         : read_file(work, path, node->bytes);
}

static bool look_value(struct swarm_work *work, unsigned value)
{
    const struct model_value *expected = &work->view.values[value];
    const char *key = model_key_path(model_value_key(value));
    struct tx_buf data = TX_BUF_INIT;
    uint32_t type = 0;
    enum tx_status status =
        txreg_get(work->txn, key, model_value_name(value), &type, &data, &work->err);
    bool absent = expected->bytes == NULL && status == TX_ENOTFOUND;
    bool equal = status == TX_OK && expected->bytes != NULL && type == expected->type &&
                 data.size == expected->bytes->size &&
                 (data.size == 0 || memcmp(data.data, expected->bytes->data, data.size) == 0);
    size_t size = data.size;
    tx_buf_release(&data);
    if (!absent && !equal && (status == TX_OK || status == TX_ENOTFOUND)) {
        swarm_wrong(work->swarm, "value %s:%s is wrong: %s, %zu bytes instead of %d", key,
                    model_value_name(value), tx_status_name(status), size,
                    expected->bytes != NULL ? (int)expected->bytes->size : -1);
    }
    return absent || readable(work, status, key);
}

static bool look_key(struct swarm_work *work, unsigned key)
{
    const char *path = model_key_path(key);
    struct txreg_key_info info;
    enum tx_status status = txreg_query(work->txn, path, &info, &work->err);
    if (status == TX_ENOTFOUND && work->view.keys[key] == 0) {
        return true;
    }
    if (!readable(work, status, path)) {
        return false;
    }
    unsigned values = 0;
    for (unsigned i = 0; i < 3; i++) {
        values += work->view.values[key * 3 + i].bytes != NULL;
    }
    if (work->view.keys[key] == 0 || info.value_count != values) {
        swarm_wrong(work->swarm, "key %s has %u values instead of %u", path,
                    (unsigned)info.value_count, values);
    }
    return true;
}

static unsigned names_in(const struct model_state *state, unsigned dir)
{
    unsigned count = 0;
    for (unsigned i = 0; i < MODEL_NAMES; i++) {
        count += state->files[dir * MODEL_NAMES + i].id != 0;
    }
    for (unsigned i = 1; i < MODEL_DIRS; i++) {
        count += state->dirs[i].id != 0 && model_dir_parent(i) == dir;
    }
    return count;
}

static bool look_names(struct swarm_work *work, unsigned dir)
{
    struct txfs_dir *list = NULL;
    const char *path = model_dir_path(dir);
    const char *name = NULL;
    unsigned type = 0;
    unsigned count = 0;
    if (!readable(work, txfs_dir_open(work->txn, path, &list, &work->err), path)) {
        return false;
    }
    while (txfs_dir_next(list, &name, &type)) {
        count++;
    }
    txfs_dir_close(list);
    if (count != names_in(&work->view, dir)) {
        swarm_wrong(work->swarm, "directory \"%s\" has %u names instead of %u", path, count,
                    names_in(&work->view, dir));
    }
    return true;
}

/* A serializable transaction depends on what it looked at. */
static void depend(struct swarm_work *work, enum model_op_kind kind, unsigned at)
{
    struct model_op op = {.kind = kind, .a = at, .b = at};
    if (work->serializable && work->model->op_count < LEDGER_OPS_MAX) {
        model_note(&work->view, &op);
        work->model->ops[work->model->op_count++] = op;
    }
}

bool swarm_look(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    bool files = swarm_draw(swarm, swarm->plan.files + swarm->plan.registry) < swarm->plan.files;
    if (files) {
        unsigned file = swarm_draw(swarm, MODEL_FILES);
        depend(work, MODEL_READ_FILE, file);
        return look_node(work, model_file_path(file), &work->view.files[file], false);
    }
    unsigned value = swarm_draw(swarm, MODEL_VALUES);
    depend(work, MODEL_READ_VALUE, value);
    return look_value(work, value);
}

bool swarm_look_all(struct swarm_work *work)
{
    bool whole = true;
    for (unsigned i = 0; i < MODEL_DIRS && whole; i++) {
        whole = i == 0 || look_node(work, model_dir_path(i), &work->view.dirs[i], true);
        whole = whole && (work->view.dirs[i].id == 0 || look_names(work, i));
    }
    for (unsigned i = 0; i < MODEL_FILES && whole; i++) {
        const struct model_node *node = &work->view.files[i];
        /* Names of a directory were counted: what is absent needs no look of its own. */
        whole = node->id == 0 || look_node(work, model_file_path(i), node, false);
    }
    for (unsigned i = 0; i < MODEL_KEYS && whole; i++) {
        whole = look_key(work, i);
    }
    for (unsigned i = 0; i < MODEL_VALUES && whole; i++) {
        whole = work->view.values[i].bytes == NULL || look_value(work, i);
    }
    if (whole) {
        swarm_count(work->swarm, SWARM_LOOKS);
    }
    return whole;
}

/* --- The tree itself -------------------------------------------------------------------------- */

static int count_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    unsigned *count = arg;
    (void)ino;
    (void)type;
    *count += strcmp(name, TXSTORE_NAME) != 0;
    return 0;
}

static void disk_node(struct swarm *swarm, int root, const char *path,
                      const struct model_node *node, bool is_dir)
{
    struct txio *io = swarm->machine;
    struct txio_stat stat;
    int result = io->ops->stat(io, root, path, &stat);
    if (result < 0 || (stat.mode & S_IFMT) != type_of(node, is_dir) ||
        (!node->is_link && (stat.mode & 07777) != node->mode)) {
        swarm_note_wrong(swarm, "in the tree \"%s\" is wrong: %d, mode %o", path, result,
                         result < 0 ? 0 : stat.mode);
        return;
    }
    if (is_dir || node->is_link) {
        return;
    }
    uint8_t found[CONTENT_MAX];
    int fd = io->ops->open(io, root, path, TXIO_READ, 0);
    int64_t size = fd < 0 ? fd : io->ops->pread(io, fd, found, sizeof found, 0);
    if (size != (int64_t)node->bytes->size || memcmp(found, node->bytes->data, (size_t)size) != 0) {
        swarm_note_wrong(swarm, "in the tree \"%s\" has other bytes", path);
    }
    if (fd >= 0) {
        (void)io->ops->close(io, fd);
    }
}

static void disk_names(struct swarm *swarm, int root, const struct model_state *state, unsigned dir)
{
    struct txio *io = swarm->machine;
    unsigned count = 0;
    int fd = io->ops->open(io, root, dir == 0 ? "." : model_dir_path(dir), TXIO_DIRECTORY, 0);
    if (fd < 0 || io->ops->list(io, fd, count_name, &count) < 0 || count != names_in(state, dir)) {
        swarm_note_wrong(swarm, "in the tree \"%s\" has %u names instead of %u",
                         model_dir_path(dir), count, names_in(state, dir));
    }
    if (fd >= 0) {
        (void)io->ops->close(io, fd);
    }
}

/* Names of one object of the model are names of one inode, others are not. */
static void disk_objects(struct swarm *swarm, int root, const struct model_state *state)
{
    struct txio *io = swarm->machine;
    struct txio_stat stat[MODEL_FILES];
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        stat[i].ino = 0;
        if (state->files[i].id != 0) {
            (void)io->ops->stat(io, root, model_file_path(i), &stat[i]); /* disk_node told */
        }
        for (unsigned k = 0; k < i; k++) {
            bool one = state->files[i].id != 0 && state->files[i].id == state->files[k].id;
            if (stat[i].ino != 0 && one != (stat[i].ino == stat[k].ino)) {
                swarm_note_wrong(swarm, "in the tree \"%s\" and \"%s\" are %s", model_file_path(k),
                                 model_file_path(i), one ? "two files" : "one file");
            }
        }
    }
}

void swarm_look_disk(struct swarm *swarm, const struct model_state *state)
{
    struct txio *io = swarm->machine;
    int root = io->ops->open(io, TXIO_CWD, SWARM_ROOT, TXIO_DIRECTORY, 0);
    for (unsigned i = 0; i < MODEL_DIRS; i++) {
        if (state->dirs[i].id != 0 && i != 0) {
            disk_node(swarm, root, model_dir_path(i), &state->dirs[i], true);
        }
        if (state->dirs[i].id != 0) {
            disk_names(swarm, root, state, i);
        }
    }
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        if (state->files[i].id != 0) {
            disk_node(swarm, root, model_file_path(i), &state->files[i], false);
        }
    }
    disk_objects(swarm, root, state);
    (void)io->ops->close(io, root);
}
