/* SPDX-License-Identifier: MIT */
/* The simulated file system against the real one: the same random operations, the same answers. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/sim_internal.h"

enum { SIDES = 2, FDS = 6, TEXT = 4096 };

/* Both systems and what the test holds open in them. */
struct pair {
    struct txio *io[SIDES];
    int root[SIDES];
    int fds[SIDES][FDS]; /* -1: none */
    bool dirs[FDS];
    uint64_t random;
    char path[SIDES][256]; /* of the real root, for clearing away */
    char what[TEXT];
};

static unsigned pick_below(struct pair *pair, unsigned limit)
{
    return (unsigned)(sim_random(&pair->random) >> 8) % limit;
}

/* Paths of up to three components over few names, so that they often meet; some are malformed. */
static const char *pick_path(struct pair *pair, char path[64])
{
    static const char *const odd[] = {".", "..", "", "/a", "a/..", "../a", "a/../b", "a/", "./b"};
    static const char *const names[] = {"a", "b", "c", "d"};
    if (pick_below(pair, 40) == 0) {
        return odd[pick_below(pair, sizeof odd / sizeof *odd)];
    }
    unsigned depth = 1 + pick_below(pair, 3);
    int size = 0;
    for (unsigned i = 0; i < depth; i++) {
        const char *name = names[pick_below(pair, 4)];
        size += snprintf(path + size, 64 - (size_t)size, "%s%s", i > 0 ? "/" : "", name);
    }
    return path;
}

/* A directory descriptor on both sides: the root, mostly. */
static void pick_dir(struct pair *pair, int dir[SIDES])
{
    unsigned at = pick_below(pair, FDS);
    bool other = pair->fds[0][at] >= 0 && pair->dirs[at] && pick_below(pair, 3) == 0;
    for (int i = 0; i < SIDES; i++) {
        dir[i] = other ? pair->fds[i][at] : pair->root[i];
    }
}

static void expect_same(struct pair *pair, int64_t real, int64_t simulated)
{
    cr_assert_eq(real, simulated, "%s: real %" PRId64 ", simulated %" PRId64, pair->what, real,
                 simulated);
}

static void expect_same_stat(struct pair *pair, const struct txio_stat *a,
                             const struct txio_stat *b)
{
    expect_same(pair, a->mode, b->mode);
    expect_same(pair, a->uid, b->uid);
    expect_same(pair, a->gid, b->gid);
    expect_same(pair, a->nlink, b->nlink);
    if (!S_ISDIR(a->mode)) {
        expect_same(pair, (int64_t)a->size, (int64_t)b->size);
    }
}

/* --- Operations on names ---------------------------------------------------------------------- */

enum name_op { OP_MKDIR, OP_RMDIR, OP_UNLINK, OP_SYMLINK, OP_RENAME, OP_LINK, OP_STAT, OP_READLINK,
               OP_ATTR, OP_SET_XATTR, OP_GET_XATTR, OP_REMOVE_XATTR, OP_LIST_XATTR, OP_MKNOD,
               NAME_OPS };

struct name_step {
    enum name_op op;
    int dir[2][SIDES];
    char buffer[2][64];
    const char *path[2];
    unsigned flags;
    struct txio_attr attr;
    const char *xattr;
    struct txio_stat stat[SIDES];
    char text[SIDES][256];
};

static int64_t do_name_step(struct name_step *s, struct txio *io, int side)
{
    int dir = s->dir[0][side];
    const char *path = s->path[0];
    switch (s->op) {
    case OP_MKDIR:
        return io->ops->mkdir(io, dir, path, 0700 + s->flags);
    case OP_RMDIR:
        return io->ops->rmdir(io, dir, path);
    case OP_UNLINK:
        return io->ops->unlink(io, dir, path);
    case OP_SYMLINK:
        return io->ops->symlink(io, s->path[1], dir, path);
    case OP_RENAME:
        return io->ops->rename(io, dir, path, s->dir[1][side], s->path[1], s->flags);
    case OP_LINK:
        return io->ops->link(io, dir, path, s->dir[1][side], s->path[1]);
    case OP_STAT:
        return io->ops->stat(io, dir, path, &s->stat[side]);
    case OP_READLINK:
        return io->ops->readlink(io, dir, path, s->text[side], sizeof s->text[side]);
    case OP_ATTR:
        return io->ops->set_attr(io, dir, path, &s->attr);
    case OP_SET_XATTR:
        return io->ops->set_xattr(io, dir, path, s->xattr, s->path[1], strlen(s->path[1]));
    case OP_GET_XATTR:
        return io->ops->get_xattr(io, dir, path, s->xattr, s->text[side], s->flags);
    case OP_REMOVE_XATTR:
        return io->ops->remove_xattr(io, dir, path, s->xattr);
    case OP_LIST_XATTR:
        return io->ops->list_xattr(io, dir, path, s->text[side], s->flags * 8);
    case OP_MKNOD:
        return io->ops->mknod(io, dir, path, S_IFIFO | 0640, 0);
    case NAME_OPS:
        break;
    }
    return 0;
}

static void draw_name_step(struct pair *pair, struct name_step *s)
{
    static const char *const xattrs[] = {"user.a", "user.b", "trusted.c", "security.capability",
                                         "strange.d", "user."};
    *s = (struct name_step){.op = (enum name_op)pick_below(pair, NAME_OPS)};
    for (int i = 0; i < 2; i++) {
        pick_dir(pair, s->dir[i]);
        s->path[i] = pick_path(pair, s->buffer[i]);
    }
    s->flags = pick_below(pair, 4);
    s->attr.mask = 1 + pick_below(pair, 7);
    s->attr.mode = pick_below(pair, 07777 + 1);
    s->attr.uid = pick_below(pair, 3);
    s->attr.gid = pick_below(pair, 3);
    s->attr.atime_ns = INT64_C(1000000007) * (int64_t)pick_below(pair, 1000);
    s->attr.mtime_ns = pick_below(pair, 8) == 0 ? INT64_MIN : s->attr.atime_ns + 5;
    /* The kernel checks what a capability says; an arbitrary text is none. */
    s->xattr = xattrs[pick_below(pair, s->op == OP_SET_XATTR ? 3 : 6)];
}

static void name_step(struct pair *pair)
{
    struct name_step s;
    draw_name_step(pair, &s);
    (void)snprintf(pair->what, TEXT, "name op %u '%s' '%s' flags %u %s", s.op, s.path[0],
                   s.path[1], s.flags, s.xattr);
    int64_t real = do_name_step(&s, pair->io[0], 0);
    int64_t simulated = do_name_step(&s, pair->io[1], 1);
    expect_same(pair, real, simulated);
    if (s.op == OP_STAT && real == 0) {
        expect_same_stat(pair, &s.stat[0], &s.stat[1]);
    }
    if (real > 0 && (s.op == OP_READLINK || (s.op == OP_GET_XATTR && s.flags > 0))) {
        cr_assert_arr_eq(s.text[0], s.text[1], real, "%s", pair->what);
    }
}

/* --- Operations on descriptors ---------------------------------------------------------------- */

static void close_at(struct pair *pair, unsigned at)
{
    for (int i = 0; i < SIDES && pair->fds[i][at] >= 0; i++) {
        cr_assert_eq(pair->io[i]->ops->close(pair->io[i], pair->fds[i][at]), 0);
        pair->fds[i][at] = -1;
    }
}

static void open_step(struct pair *pair)
{
    char buffer[64];
    int dir[SIDES];
    pick_dir(pair, dir);
    const char *path = pick_path(pair, buffer);
    unsigned at = pick_below(pair, FDS);
    unsigned flags = pick_below(pair, 2) == 0 ? TXIO_CREATE | TXIO_WRITE : pick_below(pair, 32);
    if ((flags & (TXIO_DIRECTORY | TXIO_CREATE)) == (TXIO_DIRECTORY | TXIO_CREATE)) {
        return; /* kernels disagree with each other about this one */
    }
    close_at(pair, at);
    (void)snprintf(pair->what, TEXT, "open '%s' flags %u", path, flags);
    for (int i = 0; i < SIDES; i++) {
        pair->fds[i][at] = pair->io[i]->ops->open(pair->io[i], dir[i], path, flags, 0644);
    }
    int real = pair->fds[0][at] < 0 ? pair->fds[0][at] : 0;
    int simulated = pair->fds[1][at] < 0 ? pair->fds[1][at] : 0;
    expect_same(pair, real, simulated);
    if (real < 0) {
        pair->fds[0][at] = pair->fds[1][at] = -1;
        return;
    }
    struct txio_stat stat[SIDES];
    for (int i = 0; i < SIDES; i++) {
        cr_assert_eq(pair->io[i]->ops->fstat(pair->io[i], pair->fds[i][at], &stat[i]), 0);
    }
    expect_same_stat(pair, &stat[0], &stat[1]);
    pair->dirs[at] = S_ISDIR(stat[0].mode);
}

static void read_step(struct pair *pair, unsigned at, uint64_t offset, size_t size)
{
    static uint8_t data[SIDES][20000];
    int64_t done[SIDES];
    (void)snprintf(pair->what, TEXT, "read %zu at %" PRIu64, size, offset);
    for (int i = 0; i < SIDES; i++) {
        done[i] = pair->io[i]->ops->pread(pair->io[i], pair->fds[i][at], data[i], size, offset);
    }
    expect_same(pair, done[0], done[1]);
    if (done[0] > 0) {
        cr_assert_arr_eq(data[0], data[1], (size_t)done[0], "%s", pair->what);
    }
}

static void write_step(struct pair *pair, unsigned at, uint64_t offset, size_t size)
{
    static uint8_t data[20000];
    int64_t done[SIDES];
    memset(data, (int)(1 + pick_below(pair, 250)), size);
    struct iovec parts[2] = {{data, size / 3}, {data + size / 3, size - size / 3}};
    (void)snprintf(pair->what, TEXT, "write %zu at %" PRIu64, size, offset);
    for (int i = 0; i < SIDES; i++) {
        done[i] = pair->io[i]->ops->pwritev(pair->io[i], pair->fds[i][at], parts, 2, offset);
    }
    expect_same(pair, done[0], done[1]);
}

static int64_t size_step(struct pair *pair, int side, unsigned at, unsigned op, uint64_t offset,
                         uint64_t size)
{
    struct txio *io = pair->io[side];
    int fd = pair->fds[side][at];
    switch (op) {
    case 0:
        return io->ops->truncate(io, fd, offset);
    case 1:
        return io->ops->allocate(io, fd, offset, size);
    case 2:
        return io->ops->datasync(io, fd);
    default:
        return io->ops->sync(io, fd);
    }
}

static void file_step(struct pair *pair)
{
    unsigned at = pick_below(pair, FDS);
    if (pair->fds[0][at] < 0) {
        open_step(pair);
        return;
    }
    uint64_t offset = pick_below(pair, 2) == 0 ? pick_below(pair, 20000)
                                               : pick_below(pair, 8) * 4096;
    size_t size = pick_below(pair, 2) == 0 ? pick_below(pair, 20000) : pick_below(pair, 600);
    unsigned op = pick_below(pair, 8);
    if (op < 4) {
        (void)snprintf(pair->what, TEXT, "size op %u, %" PRIu64 " %zu", op, offset, size);
        expect_same(pair, size_step(pair, 0, at, op, offset, size),
                    size_step(pair, 1, at, op, offset, size));
    } else if (op < 6) {
        read_step(pair, at, offset, size);
    } else {
        write_step(pair, at, offset, size);
    }
}

/* --- Comparing whole trees -------------------------------------------------------------------- */

struct names {
    char text[64][300];
    unsigned count;
};

static int add_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct names *names = arg;
    (void)ino;
    cr_assert_lt(names->count, 64);
    (void)snprintf(names->text[names->count++], 300, "%s %u", name, type);
    return 0;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void compare_file(struct pair *pair, const int dir[SIDES], const char *name)
{
    static uint8_t data[SIDES][40000];
    int64_t done[SIDES];
    for (int i = 0; i < SIDES; i++) {
        struct txio *io = pair->io[i];
        int fd = io->ops->open(io, dir[i], name, TXIO_READ, 0);
        done[i] = fd < 0 ? fd : io->ops->pread(io, fd, data[i], sizeof data[i], 0);
        cr_assert(fd < 0 || io->ops->close(io, fd) == 0);
    }
    expect_same(pair, done[0], done[1]);
    cr_assert(done[0] < 0 || memcmp(data[0], data[1], (size_t)done[0]) == 0);
}

static void compare_times(struct pair *pair, const struct txio_stat stat[SIDES])
{
    /* Explicit times are small; implicit ones come from two different clocks. */
    bool explicit = stat[0].mtime_ns < INT64_C(100000) * 1000000000;
    cr_assert_eq(explicit, stat[1].mtime_ns < INT64_C(100000) * 1000000000, "%s", pair->what);
    cr_assert(!explicit || stat[0].mtime_ns == stat[1].mtime_ns);
}

static void compare_dir(struct pair *pair, const int dir[SIDES], unsigned depth)
{
    struct names names[SIDES] = {0};
    for (int i = 0; i < SIDES; i++) {
        cr_assert_eq(pair->io[i]->ops->list(pair->io[i], dir[i], add_name, &names[i]), 0);
        qsort(names[i].text, names[i].count, sizeof names[i].text[0], by_text);
    }
    cr_assert_eq(names[0].count, names[1].count);
    for (unsigned k = 0; k < names[0].count; k++) {
        struct txio_stat stat[SIDES];
        int below[SIDES];
        cr_assert_str_eq(names[0].text[k], names[1].text[k]);
        char *name = names[0].text[k];
        *strrchr(name, ' ') = '\0';
        (void)snprintf(pair->what, TEXT, "comparing '%s' at depth %u", name, depth);
        for (int i = 0; i < SIDES; i++) {
            struct txio *io = pair->io[i];
            cr_assert_eq(io->ops->stat(io, dir[i], name, &stat[i]), 0);
            below[i] = S_ISDIR(stat[i].mode) ? io->ops->open(io, dir[i], name, TXIO_READ, 0) : -1;
        }
        expect_same_stat(pair, &stat[0], &stat[1]);
        compare_times(pair, stat);
        if (below[0] >= 0) {
            compare_dir(pair, below, depth + 1);
        } else {
            compare_file(pair, dir, name);
        }
        for (int i = 0; i < SIDES && below[i] >= 0; i++) {
            cr_assert_eq(pair->io[i]->ops->close(pair->io[i], below[i]), 0);
        }
    }
}

static void run(uint64_t seed, unsigned steps)
{
    static const struct sim_options options = {.seed = 1, .umask = 0};
    struct pair pair = {.io = {txio_posix(), sim_new(&options)}, .random = seed};
    char base[] = "/tmp/txkit-sim-XXXXXX";
    (void)umask(0);
    cr_assert_not_null(mkdtemp(base));
    pair.root[0] = pair.io[0]->ops->open(pair.io[0], TXIO_CWD, base, TXIO_DIRECTORY, 0);
    cr_assert_eq(pair.io[1]->ops->mkdir(pair.io[1], TXIO_CWD, "/root", 0700), 0);
    pair.root[1] = pair.io[1]->ops->open(pair.io[1], TXIO_CWD, "/root", TXIO_DIRECTORY, 0);
    memset(pair.fds, -1, sizeof pair.fds);
    for (unsigned i = 0; i < steps; i++) {
        if (pick_below(&pair, 2) == 0) {
            name_step(&pair);
        } else {
            file_step(&pair);
        }
    }
    for (unsigned i = 0; i < FDS; i++) {
        close_at(&pair, i);
    }
    compare_dir(&pair, pair.root, 0);
    struct tx_error err;
    cr_assert_eq(pair.io[0]->ops->close(pair.io[0], pair.root[0]), 0);
    cr_assert_eq(txio_remove_tree(pair.io[0], TXIO_CWD, base, &err), TX_OK, "%s", err.text);
    sim_free(pair.io[1]);
}

Test(sim_posix, random_operations_give_the_answers_of_the_kernel)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        run(seed, 300);
    }
}
