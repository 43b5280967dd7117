/* SPDX-License-Identifier: MIT */
/* A change set printed: a line per file as git's --name-status, + and - for the registry. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/changes.h"
#include "txctl/reg_text.h"

#define TEXT_SIZE_MAX (1u << 20) /* larger contents are not compared line by line */
#define DATA_SHOWN_MAX 400       /* bytes of a value's text */

/* --- Files ------------------------------------------------------------------------------------ */

static void put_details(const struct txctl_file_change *change)
{
    const struct txfs_change *entry = &change->entry;
    bool same_kind = entry->kind == TXFS_CHANGE_ATTRIBUTES || entry->kind == TXFS_CHANGE_EXTENTS ||
                     entry->kind == TXFS_CHANGE_FILE || entry->kind == TXFS_CHANGE_DIRECTORY;
    if (same_kind && change->letter == 'M') {
        const struct txio_stat *before = &entry->before;
        if ((entry->mode & 07777) != (before->mode & 07777)) {
            printf(" (mode %04o -> %04o)", before->mode & 07777, entry->mode & 07777);
        }
        if (entry->uid != before->uid || entry->gid != before->gid) {
            printf(" (owner %u:%u -> %u:%u)", before->uid, before->gid, entry->uid, entry->gid);
        }
    }
    if (entry->kind == TXFS_CHANGE_EXTENTS) {
        printf(" (%llu bytes in place)", (unsigned long long)entry->changed_bytes);
    }
}

static void put_file_line(const struct txctl_context *context,
                          const struct txctl_file_change *change)
{
    const struct txfs_change *entry = &change->entry;
    printf("%c ", change->letter);
    if (entry->kind == TXFS_CHANGE_MOVED && entry->target) {
        txctl_put_name(context, entry->target);
        fputs(" -> ", stdout);
        txctl_put_name(context, entry->path);
    } else {
        txctl_put_name(context, entry->path);
        if (entry->kind == TXFS_CHANGE_DIRECTORY ||
            (entry->kind == TXFS_CHANGE_ABSENT && S_ISDIR(entry->before.mode))) {
            putchar('/');
        } else if (entry->target) {
            fputs(entry->kind == TXFS_CHANGE_LINK ? " => " : " -> ", stdout);
            txctl_put_name(context, entry->target);
        }
    }
    put_details(change);
    putchar(txctl_line_end(context));
}

/* A small text of the transaction's view; NULL when it is none. */
static char *read_text(struct ktm_txn *txn, const char *path, size_t *size)
{
    struct txfs_file *file = NULL;
    struct txio_stat stat;
    size_t done = 0;
    if (txfs_stat(txn, path, &stat, NULL) != TX_OK || !S_ISREG(stat.mode) ||
        stat.size > TEXT_SIZE_MAX ||
        txfs_open(txn, path, TXFS_READ | TXFS_NOFOLLOW, 0, &file, NULL) != TX_OK) {
        return NULL;
    }
    char *text = txctl_alloc(TEXT_SIZE_MAX + 1);
    enum tx_status status = txfs_pread(file, text, TEXT_SIZE_MAX, 0, &done, NULL);
    txfs_abandon(file); /* only read from */
    if (status != TX_OK || memchr(text, '\0', done)) {
        free(text);
        return NULL;
    }
    *size = done;
    return text;
}

/* The new content as the change set has it, for transactions that nobody can attach. */
static char *inline_text(const struct txfs_change *entry, size_t *size)
{
    if (entry->kind != TXFS_CHANGE_FILE || entry->size > TEXT_SIZE_MAX ||
        (entry->size > 0 &&
         (!entry->content || memchr(entry->content, '\0', (size_t)entry->size)))) {
        return NULL;
    }
    *size = (size_t)entry->size;
    char *text = txctl_alloc(*size + 1);
    if (*size > 0) {
        memcpy(text, entry->content, *size);
    }
    return text;
}

static bool has_content(enum txfs_change_kind kind)
{
    return kind == TXFS_CHANGE_FILE || kind == TXFS_CHANGE_EXTENTS || kind == TXFS_CHANGE_ABSENT ||
           kind == TXFS_CHANGE_SYMLINK;
}

static void put_file_diff(const struct txctl_compare *compare,
                          const struct txctl_file_change *change)
{
    const struct txfs_change *entry = &change->entry;
    bool had = entry->existed && S_ISREG(entry->before.mode);
    bool has = entry->kind == TXFS_CHANGE_FILE || entry->kind == TXFS_CHANGE_EXTENTS;
    size_t old_size = 0;
    size_t new_size = 0;
    if (!has_content(entry->kind) || (!had && !has)) {
        return;
    }
    AUTO_TEXT old_text =
        had && compare->before ? read_text(compare->before, entry->path, &old_size) : NULL;
    AUTO_TEXT new_text = !has             ? NULL
                         : compare->after ? read_text(compare->after, entry->path, &new_size)
                                          : inline_text(entry, &new_size);
    AUTO_TEXT old_name = txctl_text("a/%s", entry->path);
    AUTO_TEXT new_name = txctl_text("b/%s", entry->path);
    struct txctl_text_side old_side = {had ? old_name : "/dev/null", old_text ? old_text : "",
                                       old_size};
    struct txctl_text_side new_side = {has ? new_name : "/dev/null", new_text ? new_text : "",
                                       new_size};
    if ((had && !old_text) || (has && !new_text)) {
        printf("  not compared as text: %llu -> %llu bytes\n",
               had ? (unsigned long long)entry->before.size : 0,
               has ? (unsigned long long)entry->size : 0);
    } else if (old_size != new_size || memcmp(old_side.text, new_side.text, old_size) != 0) {
        txctl_print_diff(compare->context, &old_side, &new_side);
    }
}

/* --- The registry ----------------------------------------------------------------------------- */

static void put_value_line(const struct txctl_context *context, char mark, const char *key,
                           const char *name, uint32_t type, const uint8_t *data, size_t size)
{
    char type_text[TXCTL_REG_TYPE_TEXT];
    AUTO_TEXT text = txctl_reg_format(type, data, size, TXCTL_REG_QUERY);
    size_t length = strlen(text);
    printf("%c [", mark);
    txctl_put_key(context, key);
    fputs("] ", stdout);
    txctl_put_key(context, name && name[0] != '\0' ? name : "(Default)");
    printf(" = %s ", txctl_reg_type_name(type, type_text));
    txctl_put_escaped(stdout, text, length < DATA_SHOWN_MAX ? length : DATA_SHOWN_MAX,
                      TXCTL_ESCAPE_KEY);
    fputs(length > DATA_SHOWN_MAX ? "..." : "", stdout);
    putchar(txctl_line_end(context));
}

static void put_key_line(const struct txctl_context *context, char mark, const char *key,
                         const char *new_name)
{
    printf("%c [", mark);
    txctl_put_key(context, key);
    putchar(']');
    if (new_name) {
        fputs(" -> ", stdout);
        txctl_put_key(context, new_name);
    }
    putchar(txctl_line_end(context));
}

static void put_reg_change(const struct txctl_context *context,
                           const struct txctl_reg_change *change)
{
    const struct txreg_change *entry = &change->entry;
    switch (entry->kind) {
    case TXREG_CHANGE_CREATE:
        put_key_line(context, '+', entry->key, NULL);
        return;
    case TXREG_CHANGE_DELETE:
        put_key_line(context, '-', entry->key, NULL);
        return;
    case TXREG_CHANGE_RENAME:
        put_key_line(context, 'R', entry->key, entry->name);
        return;
    default:
        if (entry->existed) {
            put_value_line(context, '-', entry->key, entry->name, entry->old_type, entry->old_data,
                           entry->old_size);
        }
        if (entry->kind == TXREG_CHANGE_SET) {
            put_value_line(context, '+', entry->key, entry->name, entry->type, entry->data,
                           entry->size);
        }
    }
}

void txctl_changes_print(const struct txctl_context *context, const struct txctl_changes *changes,
                         const struct txctl_compare *compare)
{
    for (size_t i = 0; i < changes->file_count; i++) {
        if (changes->files[i].letter != 0) {
            put_file_line(context, &changes->files[i]);
            if (compare) {
                put_file_diff(compare, &changes->files[i]);
            }
        }
    }
    for (size_t i = 0; i < changes->value_count; i++) {
        if (changes->values[i].letter != 0) {
            put_reg_change(context, &changes->values[i]);
        }
    }
}

void txctl_changes_summary(const struct txctl_context *context,
                           const struct txctl_changes *changes)
{
    static const char letters[] = "AMDRT";
    static const char *const words[] = {"added", "modified", "deleted", "renamed", "of new type"};
    size_t files[sizeof words / sizeof *words] = {0};
    size_t values = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < changes->file_count; i++) {
        const char *letter = strchr(letters, changes->files[i].letter);
        if (changes->files[i].letter != 0 && letter) {
            files[letter - letters]++;
            bytes += changes->files[i].entry.changed_bytes;
        }
    }
    for (size_t i = 0; i < changes->value_count; i++) {
        values += changes->values[i].letter != 0;
    }
    char size[TXCTL_SIZE_TEXT];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        printf("%zu %s, ", files[i], words[i]);
    }
    printf("%s; %zu registry changes%c", txctl_size_text(bytes, size), values,
           txctl_line_end(context));
}
