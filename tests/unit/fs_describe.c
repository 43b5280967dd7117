/* SPDX-License-Identifier: MIT */
/* Trees as texts, to be compared. */
#include <dirent.h>
#include <errno.h>
#include <sys/xattr.h>

#include "base/buf.h"
#include "fs_model.h"

static void say(struct tx_buf *out, const char *format, const char *path, const char *text,
                unsigned number)
{
    cr_assert_eq(tx_buf_printf(out, NULL, format, path, number, text), TX_OK);
}

static void describe_view(struct fs_model *model, const char *path, struct tx_buf *out);

static void describe_view_object(struct fs_model *model, const char *path, unsigned type,
                                 struct tx_buf *out)
{
    struct txio_stat stat;
    char text[4096] = "";
    char value[256] = "";
    size_t size = sizeof value - 1;
    struct tx_error *err = &model->f->err;
    cr_assert_eq(txfs_stat(model->txn, path, &stat, err), TX_OK, "%s: %s", model->last, err->text);
    cr_assert_eq(type, IFTODT(stat.mode), "%s: listed type of %s", model->last, path);
    if (S_ISLNK(stat.mode)) {
        cr_assert_eq(txfs_readlink(model->txn, path, text, sizeof text, err), TX_OK);
        say(out, "%s link %.0u%s\n", path, text, 0);
        return;
    }
    if (txfs_get_xattr(model->txn, path, "user.x", value, &size, err) == TX_OK) {
        value[size] = '\0';
        say(out, "%s xattr %.0u%s\n", path, value, 0);
    }
    if (S_ISDIR(stat.mode)) {
        say(out, "%s dir %o %s\n", path, "", stat.mode & 07777);
        describe_view(model, path, out);
        return;
    }
    struct txfs_file *file;
    cr_assert_eq(txfs_open(model->txn, path, TXFS_READ | TXFS_NOFOLLOW, 0, &file, err), TX_OK,
                 "%s: open %s: %s", model->last, path, err->text);
    cr_assert_eq(txfs_read(file, text, sizeof text, &size, err), TX_OK, "%s", err->text);
    cr_assert_eq(size, stat.size, "%s: size of %s", model->last, path);
    txfs_abandon(file);
    for (size_t i = 0; i < size; i++) {
        text[i] = text[i] == '\0' ? '0' : text[i];
    }
    text[size] = '\0';
    say(out, "%s file %o %s\n", path, text, stat.mode & 07777);
}

static void describe_view(struct fs_model *model, const char *path, struct tx_buf *out)
{
    struct txfs_dir *dir;
    const char *name;
    unsigned type;
    char child[600];
    enum tx_status status = txfs_dir_open(model->txn, path, &dir, &model->f->err);
    cr_assert_eq(status, TX_OK, "%s: list %s: %s", model->last, path, model->f->err.text);
    while (txfs_dir_next(dir, &name, &type)) {
        (void)snprintf(child, sizeof child, "%s%s%s", path, path[0] ? "/" : "", name);
        describe_view_object(model, child, type, out);
    }
    txfs_dir_close(dir);
}

static void describe_plain_object(int root, const char *path, struct tx_buf *out);

static void describe_plain(int root, const char *path, const char *skip, struct tx_buf *out)
{
    struct dirent **names;
    char full[700];
    char child[600];
    (void)snprintf(full, sizeof full, "/proc/self/fd/%d/%s", root, path);
    int count = scandir(full, &names, NULL, alphasort);
    cr_assert_geq(count, 0, "%s: %s", full, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        if (!dots && (skip == NULL || strcmp(name, skip) != 0)) {
            (void)snprintf(child, sizeof child, "%s%s%s", path, path[0] ? "/" : "", name);
            describe_plain_object(root, child, out);
        }
        free(names[i]);
    }
    free(names);
}

static void describe_plain_object(int root, const char *path, struct tx_buf *out)
{
    struct stat stat;
    char full[700];
    char text[4096] = "";
    char value[256];
    cr_assert_eq(fstatat(root, path, &stat, AT_SYMLINK_NOFOLLOW), 0);
    if (S_ISLNK(stat.st_mode)) {
        cr_assert_geq(readlinkat(root, path, text, sizeof text - 1), 0);
        say(out, "%s link %.0u%s\n", path, text, 0);
        return;
    }
    (void)snprintf(full, sizeof full, "/proc/self/fd/%d/%s", root, path);
    ssize_t size = lgetxattr(full, "user.x", value, sizeof value - 1);
    if (size >= 0) {
        value[size] = '\0';
        say(out, "%s xattr %.0u%s\n", path, value, 0);
    }
    if (S_ISDIR(stat.st_mode)) {
        say(out, "%s dir %o %s\n", path, "", stat.st_mode & 07777);
        describe_plain(root, path, NULL, out);
        return;
    }
    int fd = openat(root, path, O_RDONLY);
    size = read(fd, text, sizeof text - 1);
    cr_assert_geq(size, 0);
    close(fd);
    for (ssize_t i = 0; i < size; i++) {
        text[i] = text[i] == '\0' ? '0' : text[i];
    }
    say(out, "%s file %o %s\n", path, text, stat.st_mode & 07777);
}

static void compare_texts(struct tx_buf *a, struct tx_buf *b, const char *about)
{
    cr_assert_eq(tx_buf_append(a, "", 1, NULL), TX_OK);
    cr_assert_eq(tx_buf_append(b, "", 1, NULL), TX_OK);
    cr_assert(strcmp((char *)a->data, (char *)b->data) == 0, "%s\n--- got\n%s--- expected\n%s",
              about, (char *)a->data, (char *)b->data);
}

void fs_model_describe(struct fs_model *model, struct ktm_txn *txn, struct tx_buf *out)
{
    struct fs_model other = *model;
    other.txn = txn;
    describe_view(&other, "", out);
    cr_assert_eq(tx_buf_append(out, "", 1, NULL), TX_OK);
}

void fs_model_compare(struct fs_model *model)
{
    TX_AUTO(tx_buf) view = TX_BUF_INIT;
    TX_AUTO(tx_buf) plain = TX_BUF_INIT;
    describe_view(model, "", &view);
    describe_plain(model->dir, "", NULL, &plain);
    compare_texts(&view, &plain, model->last);
}

void fs_trees_same(int a, int b, const char *skip)
{
    TX_AUTO(tx_buf) first = TX_BUF_INIT;
    TX_AUTO(tx_buf) second = TX_BUF_INIT;
    describe_plain(a, "", skip, &first);
    describe_plain(b, "", NULL, &second);
    compare_texts(&first, &second, "trees differ");
}
