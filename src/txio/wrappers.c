/* SPDX-License-Identifier: MIT */
/* Operations of the table with an error text. */
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "base/text.h"
#include "txio_internal.h"

/* Whether the words of the path alone lead out of its directory. */
static bool leads_out(const char *path)
{
    if (path[0] == '/') {
        return true;
    }
    for (const char *name = path; name != NULL;) {
        const char *slash = strchr(name, '/');
        size_t size = slash != NULL ? (size_t)(slash - name) : strlen(name);
        if (size == 2 && name[0] == '.' && name[1] == '.') {
            return true;
        }
        name = slash != NULL ? slash + 1 : NULL;
    }
    return false;
}

/* Whether the path was refused because it leaves its directory or crosses a symbolic link. EXDEV
 * of a rename has another cause too, hence the look at the path. */
static bool is_escape(int result, int dir, const char *path)
{
    if (dir == TXIO_CWD) {
        return false;
    }
    return result == -ELOOP || ((result == -EXDEV || result == -EINVAL) && leads_out(path));
}

static enum tx_status set_path_error(struct tx_error *err, int result, bool escape,
                                     const char *words)
{
    if (!escape) {
        return tx_error_os(err, -result, "%s", words);
    }
    (void)tx_error_set(err, TX_EESCAPE, "%s: path leaves the root or crosses a symbolic link",
                       words);
    if (err != NULL) {
        err->os_errno = -result;
    }
    return TX_EESCAPE;
}

enum tx_status txio_path_error(struct tx_error *err, int result, const char *verb, int dir,
                               const char *path)
{
    char name[TX_ESCAPED_SIZE];
    char words[TX_ESCAPED_SIZE + 64];
    tx_escape_fixed(name, sizeof(name), path, strlen(path));
    (void)snprintf(words, sizeof(words), "%s \"%s\"", verb, name); /* fits: verbs are short */
    return set_path_error(err, result, is_escape(result, dir, path), words);
}

enum tx_status txio_open(struct txio *io, int dir, const char *path, unsigned flags, uint32_t mode,
                         int *fd, struct tx_error *err)
{
    int result = io->ops->open(io, dir, path, flags, mode);
    if (result < 0) {
        return txio_path_error(err, result, flags & TXIO_CREATE ? "create" : "open", dir, path);
    }
    *fd = result;
    return TX_OK;
}

enum tx_status txio_close(struct txio *io, int fd, struct tx_error *err)
{
    int result = io->ops->close(io, fd);
    return result < 0 ? tx_error_os(err, -result, "close descriptor %d", fd) : TX_OK;
}

enum tx_status txio_stat_path(struct txio *io, int dir, const char *path, struct txio_stat *stat,
                              struct tx_error *err)
{
    int result = io->ops->stat(io, dir, path, stat);
    return result < 0 ? txio_path_error(err, result, "stat", dir, path) : TX_OK;
}

enum tx_status txio_stat_fd(struct txio *io, int fd, struct txio_stat *stat, struct tx_error *err)
{
    int result = io->ops->fstat(io, fd, stat);
    return result < 0 ? tx_error_os(err, -result, "stat descriptor %d", fd) : TX_OK;
}

static enum tx_status sync_error(struct tx_error *err, int result, const char *what)
{
    char name[TX_ESCAPED_SIZE];
    tx_escape_fixed(name, sizeof(name), what, strlen(what));
    return tx_error_os(err, -result, "sync %s", name);
}

enum tx_status txio_datasync(struct txio *io, int fd, const char *what, struct tx_error *err)
{
    int result = io->ops->datasync(io, fd);
    if (TX_MUTANT(4) && result < 0) { /* fsyncgate: the second sync has nothing to complain of */
        result = io->ops->datasync(io, fd);
    }
    return result < 0 ? sync_error(err, result, what) : TX_OK;
}

enum tx_status txio_sync(struct txio *io, int fd, const char *what, struct tx_error *err)
{
    int result = io->ops->sync(io, fd);
    return result < 0 ? sync_error(err, result, what) : TX_OK;
}

enum tx_status txio_rename(struct txio *io, int from_dir, const char *from, int to_dir,
                           const char *to, unsigned flags, struct tx_error *err)
{
    int result = io->ops->rename(io, from_dir, from, to_dir, to, flags);
    if (result >= 0) {
        return TX_OK;
    }
    char source[TX_ESCAPED_SIZE];
    char target[TX_ESCAPED_SIZE];
    char words[2 * TX_ESCAPED_SIZE + 64];
    tx_escape_fixed(source, sizeof(source), from, strlen(from));
    tx_escape_fixed(target, sizeof(target), to, strlen(to));
    (void)snprintf(words, sizeof(words), "rename \"%s\" to \"%s\"", source, target); /* fits */
    bool escape = is_escape(result, from_dir, from) || is_escape(result, to_dir, to);
    return set_path_error(err, result, escape, words);
}

enum tx_status txio_unlink(struct txio *io, int dir, const char *path, struct tx_error *err)
{
    int result = io->ops->unlink(io, dir, path);
    return result < 0 ? txio_path_error(err, result, "unlink", dir, path) : TX_OK;
}

enum tx_status txio_mkdir(struct txio *io, int dir, const char *path, uint32_t mode,
                          struct tx_error *err)
{
    int result = io->ops->mkdir(io, dir, path, mode);
    return result < 0 ? txio_path_error(err, result, "make directory", dir, path) : TX_OK;
}
