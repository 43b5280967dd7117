/* SPDX-License-Identifier: MIT */
#include "publish_script.h"

#include "txfs/unsteady.h"

static struct ktm_txn *txns[SCRIPT_COMMITS_MAX];
struct ktm_commit_info script_infos[SCRIPT_COMMITS_MAX];
static unsigned commit_count;

enum tx_status script_redo(struct publish_fixture *f)
{
    uint8_t token[KTM_TOKEN_SIZE];
    return txfs_redo(f->fs, &script_infos[commit_count - 1], KTM_REDO_LIVE, token, &f->err);
}

void script_decide(struct publish_fixture *f, pub_change_fn *change)
{
    txns[commit_count] = pub_begin(f);
    change(f, txns[commit_count]);
    script_infos[commit_count] = pub_commit_of(txns[commit_count], SCRIPT_LSN(commit_count));
    commit_count++;
}

void script_publish(struct publish_fixture *f, pub_change_fn *change)
{
    script_decide(f, change);
    must(script_redo(f));
}

enum tx_status script_recover(struct publish_fixture *f)
{
    struct txfs_unsteady commits[SCRIPT_COMMITS_MAX];
    enum tx_status status = TX_OK;
    for (unsigned i = 0; i < commit_count; i++) {
        commits[i] = (struct txfs_unsteady){.entries = TX_BUF_INIT};
    }
    for (unsigned i = 0; i < commit_count && status == TX_OK; i++) {
        status = txfs_unsteady_load(&script_infos[i], &commits[i], &f->err);
    }
    if (status == TX_OK) {
        status = txfs_converge(f->fs, commits, commit_count, &f->err);
    }
    for (unsigned i = 0; i < commit_count; i++) {
        txfs_unsteady_release(&commits[i]);
    }
    return status;
}

void script_forget(struct publish_fixture *f)
{
    (void)f;
    while (commit_count > 0) {
        ktm_rollback(txns[--commit_count]);
    }
}

void script_path(char path[96], unsigned number, const char *name)
{
    (void)snprintf(path, 96, "undo/%016x/%s", SCRIPT_LSN(number), name);
}

void script_slot(struct publish_fixture *f, unsigned number, const char *path, char slot[96])
{
    TX_AUTO(txfs_steps) steps = {NULL, 0};
    char name[16] = "";
    must(txfs_steps_load(script_infos[number].entries, &steps, &f->err));
    for (size_t i = 0; i < steps.count; i++) {
        if (strcmp(steps.items[i].entry.path, path) == 0) {
            (void)snprintf(name, sizeof(name), "%u", steps.items[i].index);
        }
    }
    cr_assert_str_neq(name, "");
    script_path(slot, number, name);
}
