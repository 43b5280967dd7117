/* SPDX-License-Identifier: MIT */
/* edit: a file through $VISUAL or $EDITOR. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "txctl/commands.h"

/* A private directory keeps the file's own name, by which editors choose how to show it. */
static enum tx_status make_copy(struct txctl_context *context, struct ktm_txn *txn,
                                const char *path, bool exists, int *fd, struct tx_error *err)
{
    const char *area = getenv("TMPDIR");
    AUTO_TEXT directory = txctl_text("%s/txctl.XXXXXX", area && area[0] != '\0' ? area : "/tmp");
    if (!mkdtemp(directory)) {
        return tx_error_os(err, errno, "make a directory for the editor");
    }
    char *file = txctl_text("%s/%s", directory, txctl_basename(path));
    free(context->kept_file);
    context->kept_file = file;
    *fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*fd < 0) {
        return tx_error_os(err, errno, "make a file for the editor");
    }
    return exists ? txctl_copy_out(context, txn, path, *fd, err) : TX_OK;
}

static enum tx_status run_editor(const char *file, struct tx_error *err)
{
    const char *editor = getenv("VISUAL");
    if (!editor || editor[0] == '\0') {
        editor = getenv("EDITOR");
    }
    AUTO_TEXT command = txctl_text("%s \"$1\"", editor && editor[0] != '\0' ? editor : "vi");
    pid_t child = fork();
    if (child < 0) {
        return tx_error_os(err, errno, "start the editor");
    }
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, "sh", file, (char *)NULL);
        _exit(127);
    }
    int result = 0;
    while (waitpid(child, &result, 0) < 0) {
        if (errno != EINTR) {
            return tx_error_os(err, errno, "wait for the editor");
        }
    }
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0) {
        return tx_error_set(err, TX_EIO, "the editor failed; nothing was changed");
    }
    return TX_OK;
}

static bool same_content(const char *file, const char *original, size_t size)
{
    FILE *stream = fopen(file, "re");
    if (!stream) {
        return false;
    }
    char *text = txctl_alloc(size + 1);
    size_t count = fread(text, 1, size + 1, stream);
    fclose(stream); /* only read from */
    bool same = count == size && memcmp(text, original, size) == 0;
    free(text);
    return same;
}

static enum tx_status read_all(int fd, char **text, size_t *size, struct tx_error *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return tx_error_os(err, errno, "look at the copy");
    }
    *text = txctl_alloc((size_t)stat.st_size + 1);
    ssize_t count = pread(fd, *text, (size_t)stat.st_size, 0);
    if (count != stat.st_size) {
        return tx_error_os(err, count < 0 ? errno : EIO, "read the copy");
    }
    *size = (size_t)count;
    return TX_OK;
}

/* While the editor ran, an ordinary program may have written the file. */
static enum tx_status check_unchanged(struct ktm_txn *txn, const char *path, bool existed,
                                      const struct txio_stat *before, struct tx_error *err)
{
    struct txio_stat now;
    enum tx_status status = txfs_stat(txn, path, &now, err);
    if (status != TX_OK && status != TX_ENOTFOUND) {
        return status;
    }
    if ((status == TX_OK) != existed ||
        (existed && (now.ino != before->ino || now.size != before->size ||
                     now.mtime_ns != before->mtime_ns || now.ctime_ns != before->ctime_ns))) {
        return tx_error_set(err, TX_ECONFLICT,
                            "conflict: changed by another program while it was edited");
    }
    return TX_OK;
}

static enum tx_status put_back(struct txctl_context *context, struct ktm_txn *txn,
                               const char *path, struct tx_error *err)
{
    int fd = open(context->kept_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return tx_error_os(err, errno, "open what the editor left");
    }
    enum tx_status status = txctl_copy_in(context, txn, fd, path, 0644, err);
    close(fd); /* only read from */
    return status;
}

static enum tx_status run_edit(struct txctl_context *context,
                               const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    struct txio_stat before = {0};
    const char *path = arguments->values[0];
    AUTO_TEXT original = NULL;
    size_t size = 0;
    int fd = -1;
    txctl_subject(context, path);
    TRY(txctl_txn(context, &txn, err));
    enum tx_status status = txfs_stat(txn, path, &before, err);
    bool exists = status == TX_OK;
    if (!exists && status != TX_ENOTFOUND) {
        return status;
    }
    if (exists && !S_ISREG(before.mode)) {
        return tx_error_set(err, TX_EINVAL, "only a regular file can be edited");
    }
    status = make_copy(context, txn, path, exists, &fd, err);
    if (status == TX_OK) {
        status = read_all(fd, &original, &size, err);
    }
    if (fd >= 0) {
        close(fd); /* the editor writes it, not we */
    }
    TRY(status);
    TRY(run_editor(context->kept_file, err));
    if (same_content(context->kept_file, original, size)) {
        return tx_error_set(err, TX_ENOCHANGE, "nothing to change");
    }
    TRY(check_unchanged(txn, path, exists, &before, err));
    return put_back(context, txn, path, err);
}

const struct txctl_command txctl_edit = {
    .group = "Files",
    .verb = "edit",
    .usage = "PATH",
    .summary = "change a file with $VISUAL or $EDITOR",
    .example = "EDITOR=nano txctl edit etc/app.conf",
    .flags = TXCTL_CHANGES | TXCTL_SERIALIZABLE,
    .count_min = 1,
    .count_max = 1,
    .run = run_edit,
};
