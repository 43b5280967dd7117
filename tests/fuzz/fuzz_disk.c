/* SPDX-License-Identifier: MIT */
#include "fuzz/fuzz_disk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EDITS_MAX 24u
#define FILE_SIZE_MAX (1u << 20)
#define BLOCK 4096u

static bool forged;

bool fuzz_disk_is_forged(void)
{
    return forged;
}

/* A file while a script edits it; the disk's own copy stays as it is. */
struct edited {
    uint8_t *bytes; /* NULL: not touched */
    size_t size;
};
struct edit {
    const struct fuzz_disk *disk;
    struct txio *io;
    struct fuzz_feed *feed;
    struct edited files[FUZZ_FILES_MAX];
};

static void *need(void *memory)
{
    FUZZ_EXPECT(memory != NULL, "the harness has no memory");
    return memory;
}

struct walk {
    struct fuzz_disk *disk;
    struct txio *io;
    const char *dir;
};

static void take_file(struct walk *walk, const char *path, uint64_t size)
{
    struct tx_error err;
    int fd;
    FUZZ_EXPECT(walk->disk->count < FUZZ_FILES_MAX && size <= FILE_SIZE_MAX, "%s", path);
    struct fuzz_file *file = &walk->disk->files[walk->disk->count++];
    snprintf(file->path, sizeof file->path, "%s", path);
    file->size = (size_t)size;
    file->bytes = need(malloc(file->size + 1));
    FUZZ_MUST(txio_open(walk->io, TXIO_CWD, path, TXIO_READ, 0, &fd, &err), &err);
    FUZZ_MUST(txio_read_full(walk->io, fd, file->bytes, file->size, 0, &err), &err);
    walk->io->ops->close(walk->io, fd);
}

static int take_name(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct walk *walk = arg;
    struct txio_stat stat;
    char path[FUZZ_PATH_SIZE];
    (void)ino;
    if (type == DT_LNK) {
        return 0;
    }
    FUZZ_EXPECT((size_t)snprintf(path, sizeof path, "%s/%s", walk->dir, name) < sizeof path,
                "%s", name);
    if (walk->io->ops->stat(walk->io, TXIO_CWD, path, &stat) < 0 || strcmp(name, "shm") == 0) {
        return 0; /* shared memory is made anew by each first open */
    }
    if (S_ISDIR(stat.mode)) {
        struct walk below = {walk->disk, walk->io, path};
        int dir = walk->io->ops->open(walk->io, TXIO_CWD, path, TXIO_READ | TXIO_DIRECTORY, 0);
        walk->io->ops->list(walk->io, dir, take_name, &below);
        walk->io->ops->close(walk->io, dir);
    } else if (S_ISREG(stat.mode)) {
        take_file(walk, path, stat.size);
    }
    return 0;
}

/* Times would be kept or lost by the cut; so all is made durable first. */
static struct sim_image *image_of(struct txio *io)
{
    int dir = io->ops->open(io, TXIO_CWD, "/", TXIO_READ | TXIO_DIRECTORY, 0);
    FUZZ_EXPECT(dir >= 0 && io->ops->syncfs(io, dir) == 0, "the simulated machine does not sync");
    io->ops->close(io, dir);
    struct sim_capture *cut = sim_capture(io);
    struct sim_choice all = {.kind = SIM_KEEP_PREFIX, .value = UINT64_MAX};
    struct sim_image *image = sim_crash_image(cut, &all);
    sim_capture_free(cut);
    return image;
}

void fuzz_disk_take(struct fuzz_disk *disk, struct txio *io, const char *root)
{
    struct walk walk = {disk, io, root};
    int dir = io->ops->open(io, TXIO_CWD, root, TXIO_READ | TXIO_DIRECTORY, 0);
    FUZZ_EXPECT(dir >= 0, "%s", root);
    io->ops->list(io, dir, take_name, &walk);
    io->ops->close(io, dir);
    disk->image = image_of(io);
    sim_free(io);
}

uint64_t fuzz_disk_hash(struct txio *io)
{
    struct sim_image *image = image_of(io);
    uint64_t hash = sim_image_hash(image);
    sim_image_drop(image);
    return hash;
}

static struct edited *touch(struct edit *edit, unsigned index)
{
    struct edited *file = &edit->files[index];
    if (file->bytes == NULL) {
        file->size = edit->disk->files[index].size;
        file->bytes = need(malloc(file->size + 1));
        memcpy(file->bytes, edit->disk->files[index].bytes, file->size);
    }
    return file;
}

static void resize(struct edited *file, size_t size)
{
    size = size < FILE_SIZE_MAX ? size : FILE_SIZE_MAX;
    file->bytes = need(realloc(file->bytes, size + 1));
    if (size > file->size) {
        memset(file->bytes + file->size, 0, size - file->size);
    }
    file->size = size;
}

static void overwrite(struct edit *edit, struct edited *file, size_t offset, bool insert)
{
    size_t size = fuzz_take8(edit->feed);
    const uint8_t *bytes = fuzz_take(edit->feed, &size);
    if (insert) {
        size_t before = file->size;
        resize(file, before + size);
        size = file->size - before;
        memmove(file->bytes + offset + size, file->bytes + offset, before - offset);
    } else if (size > file->size - offset) {
        size = file->size - offset;
    }
    memcpy(file->bytes + offset, bytes, size);
}

/* Add a small number to an integer of 1, 2, 4 or 8 bytes. */
static void add(struct edit *edit, struct edited *file, size_t offset)
{
    unsigned width = 1u << (fuzz_take8(edit->feed) & 3);
    int8_t number = (int8_t)fuzz_take8(edit->feed);
    uint64_t value = 0;
    if (file->size - offset < width) {
        return;
    }
    for (unsigned i = width; i > 0; i--) {
        value = value << 8 | file->bytes[offset + i - 1];
    }
    value += (uint64_t)(int64_t)number;
    for (unsigned i = 0; i < width; i++) {
        file->bytes[offset + i] = (uint8_t)(value >> 8 * i);
    }
}

static size_t copy_block(struct edit *edit, struct edited *file)
{
    struct edited *from = touch(edit, fuzz_take8(edit->feed) % edit->disk->count);
    size_t source = fuzz_take8(edit->feed);
    size_t target = fuzz_take8(edit->feed);
    if (from->size < BLOCK || file->size < BLOCK) {
        return 0;
    }
    source = source % (from->size / BLOCK) * BLOCK;
    target = target % (file->size / BLOCK) * BLOCK;
    memmove(file->bytes + target, from->bytes + source, BLOCK);
    return target;
}

static bool is_in_store(const char *path)
{
    return strstr(path, "/.txkit/") != NULL;
}

/* Names change at once, on the machine; contents at the end. Nothing goes from the tree into the
 * store or back: a file that is both would be written to as both. */
static void change_name(struct edit *edit, unsigned index, bool removes)
{
    const char *path = edit->disk->files[index].path;
    if (removes) {
        edit->io->ops->unlink(edit->io, TXIO_CWD, path);
        return;
    }
    const char *other = edit->disk->files[fuzz_take8(edit->feed) % edit->disk->count].path;
    if (is_in_store(path) == is_in_store(other)) {
        edit->io->ops->rename(edit->io, TXIO_CWD, path, TXIO_CWD, other, TXIO_REPLACE);
    }
}

static size_t change_content(struct edit *edit, unsigned op, struct edited *file)
{
    if (op == 2) {
        return copy_block(edit, file);
    }
    size_t offset = fuzz_take24(edit->feed);
    if (op == 3) {
        resize(file, offset);
        return 0;
    }
    offset = file->size > 0 ? offset % file->size : 0;
    if (op == 0 || op == 7) {
        overwrite(edit, file, offset, op == 7);
    } else if (op == 1) {
        add(edit, file, offset);
    } else {
        size_t size = fuzz_take24(edit->feed);
        size_t left = file->size - offset;
        memset(file->bytes + offset, fuzz_take8(edit->feed), size < left ? size : left);
    }
    return offset;
}

static void edit_once(struct edit *edit)
{
    uint8_t op = fuzz_take8(edit->feed);
    unsigned index = fuzz_take8(edit->feed) % edit->disk->count;
    unsigned kind = op & 7;
    if (getenv("FUZZ_TELL") != NULL) {
        printf("# edit %u of %s (%zu bytes)%s\n", kind, edit->disk->files[index].path,
               edit->disk->files[index].size, op & 0x80 ? ", sealed again" : "");
    }
    if (kind == 4 || kind == 6) {
        change_name(edit, index, kind == 4);
        return;
    }
    struct edited *file = touch(edit, index);
    size_t offset = change_content(edit, kind, file);
    if (op & 0x80) {
        forged = true;
        fuzz_seal(edit->disk->files[index].path, file->bytes, file->size, offset);
    }
}

/* Write what was edited, unless the script took the file away. */
static void edit_finish(struct edit *edit)
{
    for (unsigned i = 0; i < edit->disk->count; i++) {
        struct edited *file = &edit->files[i];
        const char *path = edit->disk->files[i].path;
        int fd = file->bytes == NULL ? -1
                                     : edit->io->ops->open(edit->io, TXIO_CWD, path,
                                                           TXIO_WRITE | TXIO_TRUNCATE, 0);
        if (fd >= 0) {
            struct iovec part = {file->bytes, file->size};
            struct tx_error err;
            FUZZ_MUST(txio_write_full(edit->io, fd, &part, 1, 0, &err), &err);
            edit->io->ops->close(edit->io, fd);
        }
        free(file->bytes);
    }
}

struct txio *fuzz_disk_boot(const struct fuzz_disk *disk, const struct sim_options *options,
                            struct fuzz_feed *feed)
{
    struct edit edit = {.disk = disk, .io = sim_boot(disk->image, options), .feed = feed};
    forged = false;
    for (unsigned i = 0; i < EDITS_MAX && feed->left > 0; i++) {
        edit_once(&edit);
    }
    edit_finish(&edit);
    return edit.io;
}
