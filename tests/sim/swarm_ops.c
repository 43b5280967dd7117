/* SPDX-License-Identifier: MIT */
/* Operations: drawn for the model, carried out on the library, which must agree. */
#include "sim/swarm_internal.h"

#define TRIES 12u

/* --- Drawing ---------------------------------------------------------------------------------- */

static const struct model_bytes *draw_bytes(struct swarm *swarm, bool may_be_large)
{
    unsigned size = swarm_draw(swarm, 8) != 0 || !may_be_large ? swarm_draw(swarm, 600)
                                                               : 600 + swarm_draw(swarm, 8000);
    struct model_bytes *bytes = model_bytes_new(&swarm->arena, size);
    for (unsigned i = 0; i < size; i += 8) {
        uint64_t word = sim_random(&swarm->random);
        memcpy(bytes->data + i, &word, size - i < 8 ? size - i : 8);
    }
    return bytes;
}

static enum model_op_kind draw_kind(const struct swarm *swarm, uint64_t random)
{
    static const uint8_t files[] = {
        MODEL_PUT,   MODEL_PUT,    MODEL_PUT,  MODEL_WRITE,   MODEL_WRITE, MODEL_TRUNCATE,
        MODEL_UNLINK, MODEL_RENAME, MODEL_UNLINK, MODEL_SYMLINK, MODEL_CHMOD, MODEL_MKDIR,
        MODEL_MKDIR, MODEL_RMDIR,  MODEL_REMOVE_TREE, MODEL_RENAME_DIR, MODEL_LINK};
    static const uint8_t registry[] = {MODEL_CREATE_KEY, MODEL_CREATE_KEY, MODEL_SET,
                                       MODEL_SET,        MODEL_SET,        MODEL_UNSET,
                                       MODEL_DELETE_KEY, MODEL_RENAME_KEY};
    unsigned all = swarm->plan.files + swarm->plan.registry;
    if (random % all < swarm->plan.files) {
        return (enum model_op_kind)files[(random >> 16) % sizeof files];
    }
    return (enum model_op_kind)registry[(random >> 16) % sizeof registry];
}

static void draw_places(struct swarm *swarm, struct model_op *op)
{
    unsigned limit = MODEL_FILES;
    if (op->kind >= MODEL_MKDIR && op->kind <= MODEL_RENAME_DIR) {
        limit = MODEL_DIRS;
    } else if (op->kind == MODEL_SET || op->kind == MODEL_UNSET) {
        limit = MODEL_VALUES;
    } else if (op->kind >= MODEL_CREATE_KEY) {
        limit = MODEL_KEYS;
    }
    op->a = swarm_draw(swarm, limit);
    op->b = op->kind == MODEL_RENAME || op->kind == MODEL_LINK || op->kind == MODEL_RENAME_DIR ||
                    op->kind == MODEL_RENAME_KEY
                ? swarm_draw(swarm, limit)
                : op->a;
}

static void draw_details(struct swarm *swarm, struct model_op *op)
{
    op->id = ++swarm->next_id;
    op->mode = 0600 + swarm_draw(swarm, 64);
    if (op->kind == MODEL_PUT || op->kind == MODEL_WRITE || op->kind == MODEL_SET) {
        op->bytes = draw_bytes(swarm, true);
    }
    if (op->kind == MODEL_WRITE || op->kind == MODEL_TRUNCATE) {
        op->offset = swarm_draw(swarm, 5000);
    }
    if (op->kind == MODEL_SET) {
        op->type = TXREG_BINARY;
    }
    if (op->kind == MODEL_SYMLINK) {
        struct model_bytes *target = model_bytes_new(&swarm->arena, 6);
        memcpy(target->data, "target", 6);
        op->bytes = target;
        op->mode = 0777;
    }
    if (op->kind == MODEL_MKDIR) {
        op->mode = 0700 + swarm_draw(swarm, 64);
    }
}

static unsigned names_of(const struct model_state *state, uint32_t id)
{
    unsigned count = 0;
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        count += state->files[i].id == id;
    }
    return count;
}

static void note_amended(struct swarm_work *work, const struct model_op *op)
{
    bool in_place = op->kind == MODEL_WRITE || op->kind == MODEL_TRUNCATE ||
                    op->kind == MODEL_CHMOD;
    uint32_t id = work->view.files[op->a].id;
    if (in_place && names_of(&work->view, id) > 1 && work->amended_count < LEDGER_OPS_MAX) {
        work->amended[work->amended_count++] = id;
    }
}

/* What was changed through a name that the same transaction then takes away need not reach the
 * other names (src/txfs/README.md, "What it does not do"): such transactions are not made. */
static bool takes_amended(const struct swarm_work *work, const struct model_op *op)
{
    struct model_state after = work->view;
    if (op->kind == MODEL_WRITE || op->kind == MODEL_TRUNCATE || op->kind == MODEL_CHMOD ||
        op->kind >= MODEL_CREATE_KEY || work->amended_count == 0) {
        return false;
    }
    model_apply(NULL, &after, op);
    for (unsigned i = 0; i < MODEL_FILES; i++) {
        uint32_t id = work->view.files[i].id;
        for (unsigned k = 0; k < work->amended_count; k++) {
            if (id == work->amended[k] && after.files[i].id != id) {
                return true;
            }
        }
    }
    return false;
}

static bool draw_op(struct swarm_work *work, struct model_op *op)
{
    struct swarm *swarm = work->swarm;
    for (unsigned i = 0; i < TRIES; i++) {
        *op = (struct model_op){.kind = draw_kind(swarm, sim_random(&swarm->random))};
        draw_places(swarm, op);
        if (model_possible(&work->view, op) && !takes_amended(work, op)) {
            draw_details(swarm, op);
            /* Nothing to write is nothing to check, and may count as no change or as one. */
            return op->kind != MODEL_WRITE || op->bytes->size > 0;
        }
    }
    return false;
}

/* --- On the library --------------------------------------------------------------------------- */

static enum tx_status write_in_place(struct swarm_work *work, const struct model_op *op)
{
    struct txfs_file *file = NULL;
    enum tx_status status =
        txfs_open(work->txn, model_file_path(op->a), TXFS_WRITE, 0, &file, &work->err);
    if (status != TX_OK) {
        return status;
    }
    status = txfs_pwrite(file, op->bytes->data, op->bytes->size, op->offset, &work->err);
    if (status != TX_OK) {
        txfs_abandon(file);
        return status;
    }
    return txfs_close(file, &work->err);
}

static enum tx_status on_files(struct swarm_work *work, const struct model_op *op)
{
    struct ktm_txn *txn = work->txn;
    struct tx_error *err = &work->err;
    const char *a = model_file_path(op->a);
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = op->mode};
    switch (op->kind) {
    case MODEL_PUT:
        return txfs_put(txn, a, op->bytes->data, op->bytes->size, &attr, err);
    case MODEL_WRITE:
        return write_in_place(work, op);
    case MODEL_TRUNCATE:
        return txfs_truncate(txn, a, op->offset, err);
    case MODEL_UNLINK:
        return txfs_unlink(txn, a, err);
    case MODEL_RENAME:
        return txfs_rename(txn, a, model_file_path(op->b), TXIO_REPLACE, err);
    case MODEL_LINK:
        return txfs_link(txn, a, model_file_path(op->b), err);
    case MODEL_SYMLINK:
        return txfs_symlink(txn, "target", a, err);
    case MODEL_CHMOD:
        return txfs_set_attr(txn, a, &attr, err);
    case MODEL_MKDIR:
        return txfs_mkdir(txn, model_dir_path(op->a), op->mode, err);
    case MODEL_RMDIR:
        return txfs_rmdir(txn, model_dir_path(op->a), err);
    case MODEL_REMOVE_TREE:
        return txfs_remove_tree(txn, model_dir_path(op->a), err);
    default:
        return txfs_rename(txn, model_dir_path(op->a), model_dir_path(op->b), TXIO_NOREPLACE, err);
    }
}

static enum tx_status on_registry(struct swarm_work *work, const struct model_op *op)
{
    struct ktm_txn *txn = work->txn;
    struct tx_error *err = &work->err;
    const char *last = NULL;
    switch (op->kind) {
    case MODEL_CREATE_KEY:
        return txreg_create(txn, model_key_path(op->a), NULL, NULL, err);
    case MODEL_DELETE_KEY:
        return txreg_delete_tree(txn, model_key_path(op->a), err);
    case MODEL_RENAME_KEY:
        last = strrchr(model_key_path(op->b), TXREG_SEPARATOR);
        return txreg_rename(txn, model_key_path(op->a),
                            last != NULL ? last + 1 : model_key_path(op->b), err);
    case MODEL_SET:
        return txreg_set(txn, model_key_path(model_value_key(op->a)), model_value_name(op->a),
                         op->type, op->bytes->data, op->bytes->size, err);
    default:
        return txreg_unset(txn, model_key_path(model_value_key(op->a)), model_value_name(op->a),
                           err);
    }
}

bool swarm_operate(struct swarm_work *work)
{
    struct swarm *swarm = work->swarm;
    struct model_op op;
    char text[MODEL_TEXT_SIZE];
    if (work->model->op_count == LEDGER_OPS_MAX || !draw_op(work, &op)) {
        return true;
    }
    model_note(&work->view, &op);
    model_describe(&op, text);
    swarm_say(swarm, "p%u: %u: %s", work->process->number, (unsigned)work->model->id.sequence,
              text);
    enum tx_status status = op.kind >= MODEL_CREATE_KEY ? on_registry(work, &op)
                                                        : on_files(work, &op);
    if (status == TX_ECONFLICT && ledger_has_rivals(&swarm->ledger, work->model)) {
        swarm_count(swarm, SWARM_CONFLICTS);
        return false;
    }
    swarm_expect(swarm, status, text, &work->err);
    if (status != TX_OK) {
        return false;
    }
    swarm_count(swarm, SWARM_OPERATIONS);
    if (op.kind == MODEL_CREATE_KEY && op.found_key != 0 && !work->serializable) {
        return true; /* a look, no change: a snapshot does not answer for what was only seen */
    }
    work->model->ops[work->model->op_count++] = op;
    note_amended(work, &op);
    model_apply(&swarm->arena, &work->view, &op);
    return true;
}
