/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory: anonymous memory that costs only what was written. A forked child has its own
 * copy for nothing, which is how every worker gets its disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "powercut_internal.h"

static size_t bitmap_words(uint64_t size)
{
    return (size_t)(size / POWERCUT_PAGE / 64 + 1);
}

static bool is_used(const struct image *image, uint64_t page)
{
    return image->used[page / 64] >> (page % 64) & 1;
}

/* Pages of zeros are holes: mkfs.xfs alone writes 64 MB of them. */
static void note_used(struct image *image, uint64_t offset, size_t size)
{
    for (uint64_t page = offset / POWERCUT_PAGE; page <= (offset + size - 1) / POWERCUT_PAGE;
         page++) {
        const unsigned char *bytes = image->bytes + page * POWERCUT_PAGE;
        if (!is_used(image, page) &&
            (bytes[0] != 0 || memcmp(bytes, bytes + 1, POWERCUT_PAGE - 1) != 0)) {
            image->used[page / 64] |= (uint64_t)1 << (page % 64);
        }
    }
}

void image_init(struct image *image, uint64_t size)
{
    image->size = size;
    image->bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (image->bytes == MAP_FAILED) {
        powercut_die_errno("memory for a disk");
    }
    image->used = powercut_need(calloc(bitmap_words(size), sizeof *image->used));
}

void image_release(struct image *image)
{
    if (image->bytes) {
        munmap(image->bytes, (size_t)image->size);
    }
    free(image->used);
    *image = (struct image){0};
}

/* The next run of used pages from *page on; answers its number of pages, 0 at the end. */
static uint64_t next_run(const struct image *image, uint64_t *page)
{
    uint64_t pages = image->size / POWERCUT_PAGE;
    uint64_t from = *page;
    while (from < pages && !is_used(image, from)) {
        from += image->used[from / 64] == 0 ? 64 - from % 64 : 1;
    }
    uint64_t to = from;
    while (to < pages && is_used(image, to)) {
        to++;
    }
    *page = from;
    return from < pages ? to - from : 0;
}

void image_copy(struct image *image, const struct image *from)
{
    uint64_t page = 0;
    image_init(image, from->size);
    for (uint64_t count; (count = next_run(from, &page)) > 0; page += count) {
        uint64_t offset = page * POWERCUT_PAGE;
        image_write(image, offset, from->bytes + offset, (size_t)(count * POWERCUT_PAGE));
    }
}

void image_write(struct image *image, uint64_t offset, const void *bytes, size_t size)
{
    if (size == 0 || offset > image->size || size > image->size - offset) {
        return; /* no device has room there, so nothing was asked */
    }
    memcpy(image->bytes + offset, bytes, size);
    note_used(image, offset, size);
}

static void read_extent(struct image *image, int fd, off_t from, off_t to)
{
    while (from < to) {
        ssize_t count = pread(fd, image->bytes + from, (size_t)(to - from), from);
        if (count <= 0) {
            powercut_die_errno("read a disk image");
        }
        note_used(image, (uint64_t)from, (size_t)count);
        from += count;
    }
}

void image_load(struct image *image, int fd)
{
    for (off_t from = 0; (uint64_t)from < image->size;) {
        from = lseek(fd, from, SEEK_DATA);
        if (from < 0 && errno == ENXIO) {
            return;
        }
        off_t to = from < 0 ? -1 : lseek(fd, from, SEEK_HOLE);
        if (to < 0) {
            powercut_die_errno("read a disk image");
        }
        read_extent(image, fd, from, to);
        from = to;
    }
}

void image_save(const struct image *image, int fd)
{
    if (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)image->size) != 0) {
        powercut_die_errno("make a disk image");
    }
    uint64_t page = 0;
    for (uint64_t count; (count = next_run(image, &page)) > 0; page += count) {
        off_t at = (off_t)(page * POWERCUT_PAGE);
        size_t left = (size_t)(count * POWERCUT_PAGE);
        while (left > 0) {
            ssize_t written = pwrite(fd, image->bytes + at, left, at);
            if (written <= 0) {
                powercut_die_errno("write a disk image");
            }
            at += written;
            left -= (size_t)written;
        }
    }
}
