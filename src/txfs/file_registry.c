/* SPDX-License-Identifier: MIT */
/* The open handles of a view, and what happens to them when the view changes under them. */
#include <string.h>

#include "txfs/open_file.h"

void txfs_files_add(struct txfs_view *view, struct txfs_file *file)
{
    file->view = view;
    file->next = view->files;
    view->files = file;
}

void txfs_files_remove(struct txfs_file *file)
{
    struct txfs_file **link = &file->view->files;
    while (*link != file) {
        link = &(*link)->next;
    }
    *link = file->next;
    file->view = NULL;
}

enum tx_status txfs_files_emit(struct txfs_view *view, struct tx_error *err)
{
    for (struct txfs_file *file = view->files; file != NULL; file = file->next) {
        TX_TRY(txfs_file_emit(file, err));
    }
    return TX_OK;
}

void txfs_files_reset(struct txfs_view *view)
{
    for (struct txfs_file *file = view->files; file != NULL; file = file->next) {
        file->dirty = false;
        file->replaces = false;
        file->orphan = false;
        file->generation = 0;
        txfs_draft_discard(view, &file->draft);
        txfs_layer_close(view, &file->layer);
    }
}

void txfs_files_end(struct txfs_view *view)
{
    while (view->files != NULL) {
        struct txfs_file *file = view->files;
        view->files = file->next;
        txfs_draft_release(view, &file->draft);
        txfs_layer_close(view, &file->layer);
        file->view = NULL;
    }
}

void txfs_files_moved(struct txfs_view *view, const char *from, const char *to)
{
    for (struct txfs_file *file = view->files; file != NULL; file = file->next) {
        bool concerned = strcmp(file->path, from) == 0 || txfs_path_is_below(file->path, from);
        char path[TXFS_PATH_MAX + 1];
        if (!concerned) {
            continue;
        }
        if (txfs_path_move(file->path, from, to, path, NULL) == TX_OK) {
            memcpy(file->path, path, strlen(path) + 1);
        } else {
            file->orphan = true; /* its path is too long now to be written through */
        }
    }
}

void txfs_files_gone(struct txfs_view *view, const char *path)
{
    for (struct txfs_file *file = view->files; file != NULL; file = file->next) {
        if (strcmp(file->path, path) == 0 && !file->replaces) {
            file->orphan = true;
        }
    }
}
