/* SPDX-License-Identifier: MIT */
/* From entries to the changes that remain of them. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/changes.h"

void txctl_changes_release(struct txctl_changes *changes)
{
    free(changes->files);
    free(changes->values);
    *changes = (struct txctl_changes){0};
}

/* Byte order with '/' before everything else, so that what is below a path follows it. */
static int compare_paths(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    int x = *a == '\0' ? 0 : *a == '/' ? 1 : (unsigned char)*a + 1;
    int y = *b == '\0' ? 0 : *b == '/' ? 1 : (unsigned char)*b + 1;
    return x - y;
}

static int compare_files(const void *a, const void *b)
{
    const struct txctl_file_change *x = a;
    const struct txctl_file_change *y = b;
    int order = compare_paths(x->entry.path, y->entry.path);
    return order != 0 ? order : x->order < y->order ? -1 : 1;
}

static bool is_below(const char *path, const char *above)
{
    size_t size = strlen(above);
    return strncmp(path, above, size) == 0 && path[size] == '/';
}

static bool puts_another_object(const struct txfs_change *entry)
{
    return entry->kind != TXFS_CHANGE_DIRECTORY && entry->kind != TXFS_CHANGE_EXTENTS &&
           entry->kind != TXFS_CHANGE_ATTRIBUTES;
}

static uint32_t type_of(const struct txfs_change *entry)
{
    switch (entry->kind) {
    case TXFS_CHANGE_FILE:
    case TXFS_CHANGE_EXTENTS:
        return S_IFREG;
    case TXFS_CHANGE_DIRECTORY:
        return S_IFDIR;
    case TXFS_CHANGE_SYMLINK:
        return S_IFLNK;
    case TXFS_CHANGE_NODE:
        return entry->mode & S_IFMT;
    default:
        return 0; /* not said */
    }
}

static char file_letter(const struct txfs_change *entry)
{
    if (entry->kind == TXFS_CHANGE_ABSENT) {
        return entry->existed ? 'D' : 0;
    }
    if (entry->kind == TXFS_CHANGE_MOVED) {
        return 'R';
    }
    if (!entry->existed) {
        return 'A';
    }
    uint32_t type = type_of(entry);
    return type != 0 && type != (entry->before.mode & S_IFMT) ? 'T' : 'M';
}

/* The last entry of a path counts; an object that is put at a path ends what was said below it. */
static void settle_files(struct txctl_changes *changes)
{
    struct txctl_file_change *files = changes->files;
    const struct txctl_file_change **above =
        txctl_alloc((changes->file_count + 1) * sizeof *above);
    size_t depth = 0;
    for (size_t i = 0; i < changes->file_count; i++) {
        const char *path = files[i].entry.path;
        bool last = i + 1 == changes->file_count || strcmp(path, files[i + 1].entry.path) != 0;
        while (depth > 0 && !is_below(path, above[depth - 1]->entry.path) &&
               strcmp(path, above[depth - 1]->entry.path) != 0) {
            depth--;
        }
        for (size_t d = 0; d < depth && last && !files[i].ended_by; d++) {
            bool same = strcmp(path, above[d]->entry.path) == 0;
            files[i].ended_by = !same && above[d]->order > files[i].order ? above[d] : NULL;
        }
        files[i].letter = last && !files[i].ended_by ? file_letter(&files[i].entry) : 0;
        if (puts_another_object(&files[i].entry)) {
            above[depth++] = &files[i];
        }
    }
    free(above);
}

/* What stood below something that is removed is removed with it, and shown. */
static void show_removed(struct txctl_changes *changes)
{
    for (size_t i = 0; i < changes->file_count; i++) {
        struct txctl_file_change *file = &changes->files[i];
        const struct txctl_file_change *by = file->ended_by;
        char letter = by && !by->moved_away ? file_letter(&by->entry) : 0;
        if (file->entry.existed && (letter == 'D' || letter == 'T')) {
            file->letter = 'D';
            file->entry.kind = TXFS_CHANGE_ABSENT;
            file->entry.target = NULL;
        }
    }
}

static int compare_to_path(const void *key, const void *element)
{
    return compare_paths(key, ((const struct txctl_file_change *)element)->entry.path);
}

/* The old name of something renamed is no deletion of its own. */
static void join_renames(struct txctl_changes *changes)
{
    for (size_t i = 0; i < changes->file_count; i++) {
        const char *from = changes->files[i].entry.target;
        if (changes->files[i].letter != 'R' || !from) {
            continue;
        }
        struct txctl_file_change *source =
            bsearch(from, changes->files, changes->file_count, sizeof *changes->files,
                    compare_to_path);
        if (!source) {
            continue;
        }
        while (source > changes->files && strcmp(source[-1].entry.path, from) == 0) {
            source--;
        }
        for (; source < changes->files + changes->file_count &&
               strcmp(source->entry.path, from) == 0; source++) {
            source->letter = source->letter == 'D' ? 0 : source->letter;
            source->moved_away = true;
        }
    }
}

static char value_letter(const struct txreg_change *entry)
{
    switch (entry->kind) {
    case TXREG_CHANGE_CREATE:
        return entry->existed ? 0 : 'A';
    case TXREG_CHANGE_SET:
        return entry->existed ? 'M' : 'A';
    case TXREG_CHANGE_RENAME:
        return 'R';
    case TXREG_CHANGE_UNSET:
        return entry->existed ? 'D' : 0;
    default:
        return 'D';
    }
}

static bool is_value(const struct txreg_change *entry)
{
    return entry->kind == TXREG_CHANGE_SET || entry->kind == TXREG_CHANGE_UNSET;
}

/* A value that is set again: the last one counts, with the old one of the first. */
static void settle_values(struct txctl_changes *changes)
{
    for (size_t i = 1; i < changes->value_count; i++) {
        struct txreg_change *last = &changes->values[i].entry;
        for (size_t back = i; is_value(last) && back-- > 0;) {
            struct txctl_reg_change *earlier = &changes->values[back];
            if (!is_value(&earlier->entry) || i - back > 64) {
                break; /* a key came or went in between, or it is too far for a quick look */
            }
            if (earlier->letter != 0 && strcmp(earlier->entry.key, last->key) == 0 &&
                strcmp(earlier->entry.name, last->name) == 0) {
                last->existed = earlier->entry.existed;
                last->old_type = earlier->entry.old_type;
                last->old_data = earlier->entry.old_data;
                last->old_size = earlier->entry.old_size;
                earlier->letter = 0;
                changes->values[i].letter = value_letter(last);
                break;
            }
        }
    }
}

static void *one_more(void *items, size_t count, size_t size)
{
    /* Room for 1, 3, 7, 15, ... */
    return (count & (count + 1)) == 0 ? txctl_grow(items, 2 * count + 1, size) : items;
}

static enum tx_status add_entry(struct txctl_changes *changes, const struct ktm_change *change,
                                struct tx_error *err)
{
    if (change->rm == TXFS_RM) {
        changes->files = one_more(changes->files, changes->file_count, sizeof *changes->files);
        struct txctl_file_change *file = &changes->files[changes->file_count];
        *file = (struct txctl_file_change){0};
        TRY(txfs_change_decode(change, &file->entry, err));
        file->order = changes->file_count++;
    } else if (change->rm == TXREG_RM) {
        changes->values = one_more(changes->values, changes->value_count, sizeof *changes->values);
        struct txctl_reg_change *value = &changes->values[changes->value_count];
        TRY(txreg_change_decode(change, &value->entry, err));
        value->letter = value_letter(&value->entry);
        changes->value_count++;
    }
    return TX_OK;
}

enum tx_status txctl_changes_read(struct ktm_cursor entries, struct txctl_changes *changes,
                                  struct tx_error *err)
{
    struct ktm_change change;
    while (ktm_cursor_next(&entries, &change)) {
        TRY(add_entry(changes, &change, err));
    }
    if (changes->file_count > 0) {
        qsort(changes->files, changes->file_count, sizeof *changes->files, compare_files);
    }
    settle_files(changes);
    join_renames(changes);
    show_removed(changes);
    settle_values(changes);
    return TX_OK;
}
