/* SPDX-License-Identifier: MIT */
#include "fs_model.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/xattr.h>


unsigned fs_draw(struct fs_model *model, unsigned limit)
{
    model->seed = model->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(model->seed >> 33) % limit;
}

void fs_model_plant(int dir)
{
    make_dir(dir, "a");
    make_dir(dir, "a/b");
    make_dir(dir, "c");
    make_file(dir, "a/c", "one");
    make_file(dir, "a/b/d", "two");
    make_file(dir, "d", "three three three");
    cr_assert_eq(symlinkat("a/b", dir, "b"), 0);
    cr_assert_eq(symlinkat("d", dir, "a/b/c"), 0);
    cr_assert_eq(linkat(dir, "d", dir, "c/a", 0), 0);
    cr_assert_eq(linkat(dir, "d", dir, "a/d", 0), 0);
    cr_assert_eq(linkat(dir, "a/c", dir, "c/b", 0), 0);
}

static const char *draw_path(struct fs_model *model, char out[64])
{
    static const char *const names[] = {"a", "b", "c", "d"};
    unsigned depth = 1 + fs_draw(model, 3);
    out[0] = '\0';
    for (unsigned i = 0; i < depth; i++) {
        (void)snprintf(out + strlen(out), 64 - strlen(out), "%s%s", i > 0 ? "/" : "",
                       names[fs_draw(model, 4)]);
    }
    return out;
}

static void draw_text(struct fs_model *model, char out[64])
{
    unsigned size = fs_draw(model, 60);
    for (unsigned i = 0; i < size; i++) {
        out[i] = (char)('a' + fs_draw(model, 26));
    }
    out[size] = '\0';
}

/* --- The same operation by system calls; 0 or an errno --- */

static int result(long got)
{
    return got < 0 ? errno : 0;
}

static void copy_xattrs(int from, int to)
{
    char names[1024];
    char value[256];
    ssize_t size = flistxattr(from, names, sizeof names);
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t got = fgetxattr(from, names + at, value, sizeof value);
        cr_assert_eq(fsetxattr(to, names + at, value, (size_t)got, 0), 0);
    }
}

/* As txfs_put: a new file takes the name, with the mode and attributes of a file it replaces. */
static int plain_put(int dir, const char *path, const char *text)
{
    struct stat stat;
    mode_t mode = 0644;
    bool there = fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && S_ISDIR(stat.st_mode)) {
        return EISDIR;
    }
    if (there && S_ISREG(stat.st_mode)) {
        mode = stat.st_mode & 07777;
    }
    int fd = openat(dir, "../draft", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    if (there && S_ISREG(stat.st_mode)) {
        int old = openat(dir, path, O_RDONLY);
        copy_xattrs(old, fd);
        close(old);
    }
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    return result(renameat(dir, "../draft", dir, path));
}

static int plain_write_at(int dir, const char *path, const char *text, unsigned offset)
{
    int fd = openat(dir, path, O_WRONLY | O_CREAT, 0640);
    if (fd < 0) {
        return errno;
    }
    int got = result(pwrite(fd, text, strlen(text), offset));
    close(fd);
    return got;
}

static int plain_truncate(int dir, const char *path, unsigned size)
{
    int fd = openat(dir, path, O_WRONLY | O_NOFOLLOW);
    if (fd < 0) {
        return errno;
    }
    int got = result(ftruncate(fd, size));
    close(fd);
    return got;
}

static int plain_remove_tree(int dir, const char *path)
{
    char command[400];
    if (!exists(dir, path)) {
        return errno;
    }
    (void)snprintf(command, sizeof command, "rm -rf /proc/self/fd/%d/%s", dir, path);
    (void)snprintf(command, sizeof command, "cd /proc/%d/fd/%d && rm -rf %s", (int)getpid(), dir,
                   path);
    cr_assert_eq(system(command), 0);
    return 0;
}

static int plain_mkdir_parents(int dir, const char *path)
{
    char part[64];
    for (const char *at = path; at != NULL;) {
        struct stat stat;
        at = strchr(at, '/');
        size_t size = at != NULL ? (size_t)(at - path) : strlen(path);
        memcpy(part, path, size);
        part[size] = '\0';
        at = at != NULL ? at + 1 : NULL;
        if (fstatat(dir, part, &stat, 0) == 0) {
            if (!S_ISDIR(stat.st_mode)) {
                return ENOTDIR;
            }
        } else if (mkdirat(dir, part, 0755) != 0) {
            return errno;
        }
    }
    return 0;
}

static int plain_xattr(int dir, const char *path, const char *value)
{
    char full[256];
    struct stat stat;
    /* l*xattr has no directory: go by way of /proc */
    (void)snprintf(full, sizeof full, "/proc/self/fd/%d/%s", dir, path);
    if (fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno;
    }
    return result(value != NULL ? lsetxattr(full, "user.x", value, strlen(value), 0)
                                : lremovexattr(full, "user.x"));
}

static int plain_chmod(int dir, const char *path, mode_t mode)
{
    struct stat stat;
    if (fstatat(dir, path, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno;
    }
    return S_ISLNK(stat.st_mode) ? 0 : result(fchmodat(dir, path, mode, 0));
}

/* --- The operations of the view --- */

static enum tx_status view_write_at(struct fs_model *model, const char *path, const char *text,
                                    unsigned offset)
{
    struct txfs_file *file;
    TX_TRY(txfs_open(model->txn, path, TXFS_WRITE | TXFS_CREATE, 0640, &file, &model->f->err));
    enum tx_status status = txfs_pwrite(file, text, strlen(text), offset, &model->f->err);
    cr_assert_eq(status, TX_OK, "%s", model->f->err.text);
    return txfs_close(file, &model->f->err);
}

enum op {
    OP_PUT, OP_WRITE_AT, OP_TRUNCATE, OP_UNLINK, OP_MKDIR, OP_MKDIRS, OP_RMDIR, OP_RENAME,
    OP_EXCHANGE, OP_NOREPLACE, OP_LINK, OP_SYMLINK, OP_CHMOD, OP_XATTR, OP_NO_XATTR, OP_TREE,
    OP_COUNT,
};

static const char *const op_names[] = {
    "put", "write_at", "truncate", "unlink", "mkdir", "mkdirs", "rmdir", "rename", "exchange",
    "noreplace", "link", "symlink", "chmod", "xattr", "no_xattr", "tree"};

/* What one step does. */
struct draw {
    enum op op;
    char path[64];
    char other[64];
    char text[64];
    unsigned number;
};

static int do_plain(struct fs_model *model, const struct draw *draw)
{
    int dir = model->dir;
    const char *path = draw->path;
    switch (draw->op) {
    case OP_PUT:
        return plain_put(dir, path, draw->text);
    case OP_WRITE_AT:
        return plain_write_at(dir, path, draw->text, draw->number);
    case OP_TRUNCATE:
        return plain_truncate(dir, path, draw->number);
    case OP_UNLINK:
        return result(unlinkat(dir, path, 0));
    case OP_MKDIR:
        return result(mkdirat(dir, path, 0755));
    case OP_MKDIRS:
        return plain_mkdir_parents(dir, path);
    case OP_RMDIR:
        return result(unlinkat(dir, path, AT_REMOVEDIR));
    case OP_RENAME:
        return result(renameat(dir, path, dir, draw->other));
    case OP_EXCHANGE:
        return result(syscall(SYS_renameat2, dir, path, dir, draw->other, 2));
    case OP_NOREPLACE:
        return result(syscall(SYS_renameat2, dir, path, dir, draw->other, 1));
    case OP_LINK:
        return result(linkat(dir, path, dir, draw->other, 0));
    case OP_SYMLINK:
        return result(symlinkat(draw->other, dir, path));
    case OP_CHMOD:
        return plain_chmod(dir, path, 0700 | draw->number);
    case OP_XATTR:
        return plain_xattr(dir, path, draw->text);
    case OP_NO_XATTR:
        return plain_xattr(dir, path, NULL);
    default:
        return plain_remove_tree(dir, path);
    }
}

static enum tx_status do_view(struct fs_model *model, const struct draw *draw)
{
    struct ktm_txn *txn = model->txn;
    struct tx_error *err = &model->f->err;
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0700 | draw->number};
    const char *path = draw->path;
    switch (draw->op) {
    case OP_PUT:
        return txfs_put(txn, path, draw->text, strlen(draw->text), NULL, err);
    case OP_WRITE_AT:
        return view_write_at(model, path, draw->text, draw->number);
    case OP_TRUNCATE:
        return txfs_truncate(txn, path, draw->number, err);
    case OP_UNLINK:
        return txfs_unlink(txn, path, err);
    case OP_MKDIR:
        return txfs_mkdir(txn, path, 0755, err);
    case OP_MKDIRS:
        return txfs_mkdir_parents(txn, path, 0755, err);
    case OP_RMDIR:
        return txfs_rmdir(txn, path, err);
    case OP_RENAME:
        return txfs_rename(txn, path, draw->other, TXIO_REPLACE, err);
    case OP_EXCHANGE:
        return txfs_rename(txn, path, draw->other, TXIO_EXCHANGE, err);
    case OP_NOREPLACE:
        return txfs_rename(txn, path, draw->other, TXIO_NOREPLACE, err);
    case OP_LINK:
        return txfs_link(txn, path, draw->other, err);
    case OP_SYMLINK:
        return txfs_symlink(txn, draw->other, path, err);
    case OP_CHMOD:
        return txfs_set_attr(txn, path, &attr, err);
    case OP_XATTR:
        return txfs_set_xattr(txn, path, "user.x", draw->text, strlen(draw->text), err);
    case OP_NO_XATTR:
        return txfs_remove_xattr(txn, path, "user.x", err);
    default:
        return txfs_remove_tree(txn, path, err);
    }
}

void fs_model_step(struct fs_model *model)
{
    struct draw draw = {.op = (enum op)fs_draw(model, OP_COUNT)};
    if (draw.op == OP_TREE && fs_draw(model, 3) != 0) {
        draw.op = OP_PUT; /* or little would ever grow */
    }
    draw_path(model, draw.path);
    draw_path(model, draw.other);
    draw_text(model, draw.text);
    draw.number = fs_draw(model, 64);
    model->step++;
    (void)snprintf(model->last, sizeof model->last, "step %u: %s %s %s '%s' %u", model->step,
                   op_names[draw.op], draw.path, draw.other, draw.text, draw.number);
    enum tx_status status = do_view(model, &draw);
    int plain = do_plain(model, &draw);
    cr_assert_eq(status == TX_OK, plain == 0, "%s: view %s (%s), system %s", model->last,
                 tx_status_name(status), status == TX_OK ? "" : model->f->err.text,
                 strerror(plain));
}
