/* SPDX-License-Identifier: MIT */
/*
 * Does the simulator allow what a real file system does? (FAULTS.md, T6b.) A sequence of operations
 * drawn from a seed is carried out on a real file system whose power is cut, and on the simulated
 * one; the tree that the real one left must be among those that the simulated one may leave. If
 * not, the simulator is too kind, and what it proves about the library is worth less.
 *
 *     conform run DIR SEED          carry it out, acknowledge each operation
 *     conform check DIR SEED ACKS   the tree in DIR, after a cut that came when the lines of ACKS
 *                                   had been written (for txcrash powercut)
 *     conform show SEED             the operations, and how many units are pending
 *
 * Files stay below a sector and few operations are pending at once, so that all sets of what a cut
 * may keep are tried. Modification times are left out: two runs differ in them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/crash_state.h"
#include "sim/sim_internal.h"

#define ROUNDS 10u
#define ROUND_OPS 5u /* then everything is synced */
#define TRIES 16u
#define UNITS_MAX 16u
#define SECTOR 512u

enum kind {
    PUT, WRITE, APPEND, TRUNCATE, RENAME, UNLINK, LINK, SYMLINK, CHMOD,
    MKDIR, RMDIR, RENAME_DIR, SYNC_FILE, DATASYNC_FILE, SYNC_DIR, SYNC_ALL,
};
static const char *const kind_names[] = {
    "put",   "write", "append",     "truncate", "rename",   "unlink",  "link",    "symlink",
    "chmod", "mkdir", "rmdir",      "rename",   "sync",     "datasync", "sync",   "sync all",
};

struct op {
    enum kind kind;
    const char *a, *b;
    unsigned offset, size;
    uint8_t byte;
};

static const char *const files[] = {"a", "b", "d/a", "d/b", "e/a"};
static const char *const dirs[] = {"d", "e", "d/f"};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct op draw(uint64_t seed, unsigned index, unsigned try)
{
    /* Content and name changes often, syncs of one thing one time in five. */
    static const uint8_t kinds[] = {PUT,    PUT,    PUT,   WRITE, WRITE, APPEND,     TRUNCATE,
                                    RENAME, RENAME, RENAME, UNLINK, LINK, SYMLINK,   CHMOD,
                                    MKDIR,  MKDIR,  RMDIR, RENAME_DIR, SYNC_FILE, DATASYNC_FILE,
                                    SYNC_DIR, SYNC_DIR};
    uint64_t random = sim_mix(seed + 1, index * TRIES + try);
    struct op op = {.kind = SYNC_ALL};
    if (index % (ROUND_OPS + 1) == ROUND_OPS) {
        return op;
    }
    op.kind = (enum kind)kinds[sim_random(&random) % sizeof kinds];
    bool of_dirs = op.kind == MKDIR || op.kind == RMDIR || op.kind == RENAME_DIR;
    const char *const *names = of_dirs || op.kind == SYNC_DIR ? dirs : files;
    size_t count = of_dirs || op.kind == SYNC_DIR ? COUNT(dirs) : COUNT(files);
    op.a = names[sim_random(&random) % count];
    op.b = names[sim_random(&random) % count];
    op.a = op.kind == SYNC_DIR && sim_random(&random) % 2 == 0 ? "." : op.a;
    op.offset = (unsigned)(sim_random(&random) % 200);
    op.size = 1 + (unsigned)(sim_random(&random) % 200);
    op.byte = (uint8_t)('a' + index % 26);
    return op;
}

/* --- Carrying out ----------------------------------------------------------------------------- */

static int with_content(struct txio *io, int dir, const struct op *op)
{
    uint8_t data[SECTOR];
    unsigned flags = TXIO_WRITE | (op->kind == PUT ? TXIO_CREATE : 0);
    int fd = io->ops->open(io, dir, op->a, flags, 0644);
    if (fd < 0) {
        return fd;
    }
    struct txio_stat stat;
    int64_t result = io->ops->fstat(io, fd, &stat);
    uint64_t at = op->kind == APPEND && result >= 0 ? stat.size : op->kind == PUT ? 0 : op->offset;
    memset(data, op->byte, sizeof data);
    struct iovec part = {data, op->size};
    if (op->kind == PUT && result >= 0) {
        result = io->ops->truncate(io, fd, 0);
    }
    if (op->kind == TRUNCATE && result >= 0) {
        result = io->ops->truncate(io, fd, at);
    } else if (result >= 0 && at + op->size <= SECTOR) {
        result = io->ops->pwritev(io, fd, &part, 1, at);
    }
    (void)io->ops->close(io, fd);
    return result < 0 ? (int)result : 0;
}

static int with_sync(struct txio *io, int dir, const struct op *op)
{
    const char *path = op->kind == SYNC_ALL ? "." : op->a;
    int fd = io->ops->open(io, dir, path, TXIO_READ, 0);
    if (fd < 0) {
        return fd;
    }
    int result = op->kind == SYNC_ALL        ? io->ops->syncfs(io, fd)
                 : op->kind == DATASYNC_FILE ? io->ops->datasync(io, fd)
                                             : io->ops->sync(io, fd);
    (void)io->ops->close(io, fd);
    return result;
}

static int try_one(struct txio *io, int dir, const struct op *op)
{
    struct txio_attr attr = {.mask = TXIO_ATTR_MODE, .mode = 0600 + op->size % 64};
    switch (op->kind) {
    case PUT:
    case WRITE:
    case APPEND:
    case TRUNCATE:
        return with_content(io, dir, op);
    case RENAME:
    case RENAME_DIR:
        return io->ops->rename(io, dir, op->a, dir, op->b, 0);
    case UNLINK:
        return io->ops->unlink(io, dir, op->a);
    case LINK:
        return io->ops->link(io, dir, op->a, dir, op->b);
    case SYMLINK:
        return io->ops->symlink(io, "somewhere", dir, op->a);
    case CHMOD:
        return io->ops->set_attr(io, dir, op->a, &attr);
    case MKDIR:
        return io->ops->mkdir(io, dir, op->a, 0755);
    case RMDIR:
        return io->ops->rmdir(io, dir, op->a);
    default:
        return with_sync(io, dir, op);
    }
}

/* Until one succeeds: many fail, for want of the file for example, in both worlds alike. */
static struct op carry_out(struct txio *io, int dir, uint64_t seed, unsigned index)
{
    struct op op;
    unsigned i = 0;
    do {
        op = draw(seed, index, i);
    } while (try_one(io, dir, &op) < 0 && ++i < TRIES);
    return op;
}

#define OPS (ROUNDS * (ROUND_OPS + 1))

static int open_directory(struct txio *io, const char *path)
{
    int dir = io->ops->open(io, TXIO_CWD, path, TXIO_DIRECTORY, 0);
    if (dir < 0) {
        (void)printf("%s: %s\n", path, strerror(-dir));
        exit(2);
    }
    return dir;
}

static int run(const char *path, uint64_t seed)
{
    struct txio *io = txio_posix();
    int dir = open_directory(io, path);
    const char *acks = getenv("TXCRASH_ACK");
    FILE *file = fopen(acks != NULL ? acks : "/dev/null", "a");
    if (file == NULL) {
        perror(acks);
        return 2;
    }
    for (unsigned i = 0; i < OPS; i++) {
        (void)carry_out(io, dir, seed, i);
        if (fprintf(file, "%u\n", i + 1) < 0 || fflush(file) != 0) {
            perror(acks);
            return 2;
        }
    }
    return fclose(file) == 0 && io->ops->close(io, dir) == 0 ? 0 : 2;
}

/* --- Comparing -------------------------------------------------------------------------------- */

/* Times differ from run to run. */
static void drop_times(struct crash_state *state)
{
    char *to = state->text;
    for (const char *from = state->text; *from != '\0';) {
        if (strncmp(from, " mtime ", 7) == 0) {
            from += 7 + strspn(from + 7, "-0123456789");
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    state->size = (size_t)(to - state->text);
}

static void take(struct txio *io, const char *root, struct crash_state *state)
{
    struct tx_error err;
    *state = (struct crash_state){0};
    if (crash_state_take(io, root, NULL, state, &err) != TX_OK) {
        (void)printf("%s\n", err.text);
        exit(2);
    }
    if (state->text == NULL) {
        state->text = sim_need(calloc(1, 1));
    }
    drop_times(state);
}

struct search {
    struct crash_state wanted;
    bool found;
};

static bool compare(void *arg, struct sim_image *image, const struct sim_choice *choice)
{
    struct search *search = arg;
    struct crash_state state;
    (void)choice;
    struct txio *io = sim_boot(image, NULL);
    take(io, "/r", &state);
    search->found = strcmp(state.text, search->wanted.text) == 0;
    crash_state_release(&state);
    sim_free(io);
    return !search->found;
}

static void look(struct txio *io, struct search *search)
{
    struct sim_plan plan = {.exhaustive_max = UNITS_MAX, .samples = 256, .tears = 32, .seed = 1};
    struct sim_capture *cut = sim_capture(io);
    if (sim_capture_units(cut) > UNITS_MAX) {
        (void)printf("%u units are pending, %u can be tried\n", sim_capture_units(cut), UNITS_MAX);
        exit(2);
    }
    (void)sim_crash_each(cut, &plan, compare, search);
    sim_capture_free(cut);
}

/* The machine after `done` operations. */
static struct txio *simulate(uint64_t seed, unsigned done, int *dir)
{
    struct txio *io = sim_new(NULL); /* its disk is the weakest */
    int top = open_directory(io, "/");
    if (io->ops->mkdir(io, top, "r", 0755) < 0 || io->ops->syncfs(io, top) < 0) {
        abort();
    }
    *dir = open_directory(io, "/r");
    for (unsigned i = 0; i < done; i++) {
        (void)carry_out(io, *dir, seed, i);
    }
    return io;
}

static bool is_reachable(struct search *search, uint64_t seed, unsigned acked)
{
    int dir;
    struct txio *io = simulate(seed, acked, &dir);
    look(io, search);
    if (!search->found && acked < OPS) { /* the next one was under way, or done and not said */
        (void)carry_out(io, dir, seed, acked);
        look(io, search);
    }
    sim_free(io);
    return search->found;
}

static unsigned count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned lines = 0;
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    for (int c; (c = fgetc(file)) != EOF;) {
        lines += c == '\n';
    }
    (void)fclose(file);
    return lines;
}

static void print_op(unsigned index, const struct op *op)
{
    (void)printf("%3u %s %s %s", index + 1, kind_names[op->kind], op->kind == SYNC_ALL ? "" : op->a,
                 op->kind == RENAME || op->kind == RENAME_DIR || op->kind == LINK ? op->b : "");
    (void)printf(op->kind <= TRUNCATE ? " %u+%u\n" : "\n", op->offset, op->size);
}

static int check(const char *path, uint64_t seed, const char *acks)
{
    struct search search = {0};
    unsigned acked = count_lines(acks);
    take(txio_posix(), path, &search.wanted);
    bool good = is_reachable(&search, seed, acked);
    if (!good) {
        (void)printf("%sseed %" PRIu64 ", %u acknowledged: the simulator is too kind\n",
                     search.wanted.text, seed, acked);
    }
    crash_state_release(&search.wanted);
    return good ? 0 : 1;
}

static int show(uint64_t seed)
{
    int dir;
    struct txio *io = simulate(seed, 0, &dir);
    for (unsigned i = 0; i < OPS; i++) {
        struct op op = carry_out(io, dir, seed, i);
        struct sim_capture *cut = sim_capture(io);
        print_op(i, &op);
        (void)printf("    %u units pending\n", sim_capture_units(cut));
        sim_capture_free(cut);
    }
    sim_free(io);
    return 0;
}

int main(int argc, char **argv)
{
    sim_keep_heap();
    if (argc == 4 && strcmp(argv[1], "run") == 0) {
        return run(argv[2], strtoull(argv[3], NULL, 10));
    }
    if (argc == 5 && strcmp(argv[1], "check") == 0) {
        return check(argv[2], strtoull(argv[3], NULL, 10), argv[4]);
    }
    if (argc == 3 && strcmp(argv[1], "show") == 0) {
        return show(strtoull(argv[2], NULL, 10));
    }
    (void)fprintf(stderr, "see the head of conform.c\n");
    return 2;
}
