/* SPDX-License-Identifier: MIT */
#include "sim/crash_state.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/sim_internal.h"

#define LIST_MAX 256u
#define VALUE_MAX 70000u

static void add(struct crash_state *state, const char *format, ...) TX_PRINTF(2, 3);
static void add(struct crash_state *state, const char *format, ...)
{
    va_list args;
    for (;;) {
        size_t room = state->room - state->size;
        va_start(args, format);
        int size = vsnprintf(state->text != NULL ? state->text + state->size : NULL, room, format,
                             args);
        va_end(args);
        if (size >= 0 && (size_t)size < room) {
            state->size += (size_t)size;
            return;
        }
        state->room = state->room * 2 + 4096;
        state->text = sim_need(realloc(state->text, state->room));
    }
}

void crash_state_copy(struct crash_state *to, const struct crash_state *from)
{
    *to = *from;
    to->text = sim_need(malloc(from->room + 1));
    memcpy(to->text, from->text, from->size);
    to->text[from->size] = '\0';
}

void crash_state_release(struct crash_state *state)
{
    free(state->text);
    *state = (struct crash_state){0};
}

/* --- The tree --------------------------------------------------------------------------------- */

struct tree_walk {
    struct txio *io;
    struct crash_state *state;
    struct named {
        uint64_t ino;
        char *path;
    } named[LIST_MAX]; /* files with several names, in the order they were met */
    unsigned named_count;
};

struct name_list {
    char *names[LIST_MAX];
    unsigned count;
};

static void name_list_auto(struct name_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
}

static int add_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct name_list *list = arg;
    (void)ino;
    (void)type;
    if (list->count == LIST_MAX) {
        return -E2BIG;
    }
    list->names[list->count++] = sim_need(strdup(name));
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void note_name(struct tree_walk *walk, uint64_t ino, const char *path)
{
    if (walk->named_count < LIST_MAX) {
        walk->named[walk->named_count++] = (struct named){ino, strdup(path)};
    }
}

/* Which names are one file. Its count of links tells nothing: kept versions may share it. */
static void add_groups(struct tree_walk *walk)
{
    for (unsigned i = 0; i < walk->named_count; i++) {
        for (unsigned k = i + 1; k < walk->named_count; k++) {
            if (walk->named[k].ino == walk->named[i].ino) {
                add(walk->state, "same file %s %s\n", walk->named[i].path, walk->named[k].path);
                break;
            }
        }
        free(walk->named[i].path);
    }
}

static void add_content(struct tree_walk *walk, int dir, const char *name)
{
    uint8_t data[16384];
    uint64_t hash = 5;
    uint64_t offset = 0;
    int fd = walk->io->ops->open(walk->io, dir, name, TXIO_READ, 0);
    int64_t size = fd < 0 ? fd : 1;
    while (size > 0) {
        size = walk->io->ops->pread(walk->io, fd, data, sizeof data, offset);
        hash = size > 0 ? sim_hash(data, (size_t)size, hash) : hash;
        offset += size > 0 ? (uint64_t)size : 0;
    }
    if (fd >= 0) {
        (void)walk->io->ops->close(walk->io, fd);
    }
    add(walk->state, size < 0 ? " unreadable %" PRIu64 : " content %016" PRIx64, hash);
}

static void add_xattrs(struct tree_walk *walk, int dir, const char *name)
{
    char names[2048];
    static char value[VALUE_MAX];
    struct txio *io = walk->io;
    __attribute__((cleanup(name_list_auto))) struct name_list list;
    list.count = 0;
    int64_t size = io->ops->list_xattr(io, dir, name, names, sizeof names);
    for (int64_t at = 0; at < size; at += (int64_t)strlen(names + at) + 1) {
        (void)add_name(&list, names + at, 0, 0);
    }
    qsort(list.names, list.count, sizeof list.names[0], by_text);
    for (unsigned i = 0; i < list.count; i++) {
        int64_t length = io->ops->get_xattr(io, dir, name, list.names[i], value, sizeof value);
        add(walk->state, " %s=%016" PRIx64, list.names[i],
            length < 0 ? 0 : sim_hash(value, (size_t)length, 6));
    }
}

static void add_object(struct tree_walk *walk, int dir, const char *name, const char *path,
                       const struct txio_stat *stat)
{
    char target[1024];
    add(walk->state, "tree %s %06o %u:%u", path, stat->mode, stat->uid, stat->gid);
    if (S_ISREG(stat->mode)) {
        add(walk->state, " size %" PRIu64, stat->size);
        add_content(walk, dir, name);
    } else if (S_ISLNK(stat->mode) &&
               walk->io->ops->readlink(walk->io, dir, name, target, sizeof target) >= 0) {
        add(walk->state, " -> %s", target);
    }
    if (!S_ISDIR(stat->mode)) {
        add(walk->state, " mtime %" PRId64, stat->mtime_ns);
        if (stat->nlink > 1) {
            note_name(walk, stat->ino, path);
        }
    }
    add_xattrs(walk, dir, name);
    add(walk->state, "\n");
}

static int walk_dir(struct tree_walk *walk, int dir, const char *above)
{
    __attribute__((cleanup(name_list_auto))) struct name_list list;
    list.count = 0;
    int result = walk->io->ops->list(walk->io, dir, add_name, &list);
    qsort(list.names, list.count, sizeof list.names[0], by_text);
    for (unsigned i = 0; i < list.count && result >= 0; i++) {
        const char *name = list.names[i];
        struct txio_stat stat;
        char path[4096];
        if (above[0] == '\0' && strncmp(name, ".txkit", 6) == 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", above, name);
        result = walk->io->ops->stat(walk->io, dir, name, &stat);
        if (result < 0) {
            break;
        }
        add_object(walk, dir, name, path, &stat);
        if (S_ISDIR(stat.mode)) {
            int below = walk->io->ops->open(walk->io, dir, name, TXIO_DIRECTORY, 0);
            result = below < 0 ? below : walk_dir(walk, below, path);
            (void)(below < 0 ? 0 : walk->io->ops->close(walk->io, below));
        }
    }
    return result;
}

static enum tx_status take_tree(struct txio *io, const char *root, struct crash_state *state,
                                struct tx_error *err)
{
    struct tree_walk *walk = sim_need(malloc(sizeof *walk));
    walk->io = io;
    walk->state = state;
    walk->named_count = 0;
    int dir = io->ops->open(io, TXIO_CWD, root, TXIO_DIRECTORY, 0);
    int result = dir < 0 ? dir : walk_dir(walk, dir, "");
    if (dir >= 0) {
        (void)io->ops->close(io, dir);
    }
    add_groups(walk);
    free(walk);
    return result < 0 ? tx_error_os(err, -result, "walk \"%s\"", root) : TX_OK;
}

/* --- The registry ----------------------------------------------------------------------------- */

struct reg_walk {
    struct ktm_txn *txn;
    struct crash_state *state;
    const char *path;
};

static enum tx_status add_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    struct reg_walk *walk = arg;
    (void)err;
    add(walk->state, "value %s : '%s' type %u size %zu %016" PRIx64 "\n", walk->path, name, type,
        size, sim_hash(data, size, 7));
    return TX_OK;
}

static enum tx_status add_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    struct reg_walk *above = arg;
    char path[8192];
    (void)snprintf(path, sizeof path, "%s%s%s", above->path, above->path[0] != '\0' ? "\\" : "",
                   info->name);
    add(above->state,
        "key %s class '%s' id %" PRIu64 " revision %" PRIu64 " time %" PRId64 " keys %" PRIu64
        " values %" PRIu64 "\n",
        path, info->class_name, info->id, info->revision, info->write_time_ns,
        info->subkey_count, info->value_count);
    struct reg_walk walk = {above->txn, above->state, path};
    enum tx_status status = txreg_each_value(walk.txn, path, add_value, &walk, err);
    return status != TX_OK ? status : txreg_each_key(walk.txn, path, add_key, &walk, err);
}

/* --- Transactions ----------------------------------------------------------------------------- */

struct txn_walk {
    struct crash_state *state;
    bool prepared; /* these, or the others */
};

static enum tx_status add_txn(void *arg, const struct ktm_txn_info *info, struct tx_error *err)
{
    struct txn_walk *walk = arg;
    char id[KTM_ID_TEXT_SIZE];
    (void)err;
    ktm_id_format(&info->id, id);
    bool prepared = info->state == KTM_PREPARED || info->state == KTM_IN_DOUBT;
    if (prepared != walk->prepared) {
        return TX_OK;
    }
    add(walk->state, "transaction %s %s '%s' entries %" PRIu64 "\n", id,
        prepared ? "prepared" : ktm_state_name(info->state), info->description,
        info->entry_count);
    return TX_OK;
}

static enum tx_status take_store(struct txstore *store, struct crash_state *state,
                                 struct tx_error *err)
{
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    struct ktm_txn *txn = NULL;
    enum tx_status status = txstore_begin(store, &options, &txn, err);
    if (status == TX_OK) {
        struct reg_walk walk = {txn, state, ""};
        status = txreg_each_key(txn, "", add_key, &walk, err);
    }
    ktm_rollback(txn);
    return status;
}

/* Prepared ones are promised; detached ones come last, in ktm_list's second walk. */
static enum tx_status take_transactions(struct txstore *store, struct crash_state *state,
                                        struct tx_error *err)
{
    struct txn_walk walk = {state, true};
    enum tx_status status = ktm_list(txstore_ktm(store), add_txn, &walk, err);
    state->settled_hash = sim_hash(state->text, state->size, 8);
    walk.prepared = false;
    return status != TX_OK ? status : ktm_list(txstore_ktm(store), add_txn, &walk, err);
}

enum tx_status crash_state_take(struct txio *io, const char *root, struct txstore *store,
                                struct crash_state *state, struct tx_error *err)
{
    *state = (struct crash_state){0};
    enum tx_status status = take_tree(io, root, state, err);
    if (status == TX_OK && store != NULL) {
        status = take_store(store, state, err);
    }
    add(state, store != NULL ? "store\n" : "no store\n");
    state->settled_hash = sim_hash(state->text, state->size, 8);
    if (status == TX_OK && store != NULL) {
        status = take_transactions(store, state, err);
    }
    if (status != TX_OK) {
        crash_state_release(state);
        return status;
    }
    state->hash = sim_hash(state->text, state->size, 8);
    return TX_OK;
}

/* --- Differences ------------------------------------------------------------------------------ */

static bool has_line(const struct crash_state *state, const char *line, size_t size)
{
    for (const char *at = state->text; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, "\n");
        if (length == size && memcmp(at, line, size) == 0) {
            return true;
        }
        at += length + (at[length] == '\n');
    }
    return false;
}

static void print_missing(const struct crash_state *of, const struct crash_state *in,
                          const char *mark, FILE *out)
{
    for (const char *at = of->text; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, "\n");
        if (!has_line(in, at, length)) {
            (void)fprintf(out, "    %s %.*s\n", mark, (int)length, at);
        }
        at += length + (at[length] == '\n');
    }
}

void crash_state_diff(const struct crash_state *expected, const struct crash_state *found,
                      FILE *out)
{
    if (expected->text == NULL || found->text == NULL) {
        return;
    }
    print_missing(expected, found, "-", out);
    print_missing(found, expected, "+", out);
}
