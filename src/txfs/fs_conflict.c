/* SPDX-License-Identifier: MIT */
/* Who changed it? Another transaction leaves its record in the log; anybody else does not. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "txfs/prepare_internal.h"

struct search {
    const char *real;
    int64_t after_ns; /* older commits are of no interest */
    bool found;
    struct ktm_id id;
    char description[KTM_DESCRIPTION_MAX + 1];
};

static bool concerns(const struct txfs_entry *entry, const char *real)
{
    return strcmp(entry->path, real) == 0 || txfs_path_is_below(real, entry->path) ||
           (entry->base_path != NULL && strcmp(entry->base_path, real) == 0) ||
           (entry->kind == TXFS_CHANGE_MOVED && strcmp(entry->target, real) == 0);
}

static enum tx_status search_commit(void *arg, const struct ktm_commit_info *commit,
                                    struct tx_error *err)
{
    struct search *search = arg;
    struct ktm_cursor cursor = commit->entries;
    struct ktm_change change;
    struct txfs_entry entry;
    while (commit->time_ns >= search->after_ns && ktm_cursor_next(&cursor, &change)) {
        if (change.rm != TXFS_RM) {
            continue;
        }
        TX_TRY(txfs_entry_decode(&change, &entry, err)); /* unreachable: redo decoded them all */
        if (concerns(&entry, search->real)) {
            search->found = true;
            search->id = commit->id;
            memcpy(search->description, commit->description, sizeof search->description);
        }
    }
    return TX_OK;
}

/* The log knows what came after the snapshot. A transaction that was detached has a younger one
 * than first touches: what came between, the history knows. There dates must do, to leave out what
 * was committed before the object was as the transaction found it. */
static enum tx_status find_commit(struct txfs_view *view, const struct txfs_identity *before,
                                  struct search *search)
{
    search->after_ns = INT64_MIN;
    enum tx_status status = ktm_each_commit(view->tm, view->snapshot, ktm_published(view->tm),
                                            search_commit, search, NULL);
    if (status == TX_OK && search->found) {
        return TX_OK;
    }
    search->after_ns = ktm_txn_begin_time(view->txn);
    if (before->existed && before->ctime_ns > search->after_ns) {
        search->after_ns = before->ctime_ns;
    }
    return txfs_history(view->fs, search_commit, search, NULL);
}

static void print_inode(const struct txfs_identity *identity, char text[24])
{
    (void)snprintf(text, 24, identity->existed ? "%llu" : "none",
                   (unsigned long long)identity->ino); /* always fits */
}

enum tx_status txfs_conflict(struct txfs_view *view, const char *real,
                             const struct txfs_identity *before, const struct txfs_identity *now,
                             struct tx_error *err)
{
    struct search search = {.real = real};
    char shown[TX_ESCAPED_SIZE];
    char id[KTM_ID_TEXT_SIZE];
    char old_ino[24];
    char new_ino[24];
    enum tx_status status = find_commit(view, before, &search);
    (void)tx_escape_fixed(shown, sizeof shown, real, strlen(real));
    print_inode(before, old_ino);
    print_inode(now, new_ino);
    if (status == TX_OK && search.found) {
        ktm_id_format(&search.id, id);
        return tx_error_set(err, TX_ECONFLICT, "\"%s\": changed by transaction %s%s%.100s%s since "
                            "this one first touched it", shown, id,
                            search.description[0] ? " (" : "", search.description,
                            search.description[0] ? ")" : "");
    }
    return tx_error_set(err, TX_ECONFLICT, "\"%s\": changed by another program since the "
                        "transaction first touched it (inode %s -> %s)", shown, old_ino, new_ino);
}
