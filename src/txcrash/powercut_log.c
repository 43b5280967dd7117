/* SPDX-License-Identifier: MIT */
/*
 * The recorded order. The server of the disk appends to a file; afterwards it is mapped. What
 * came before LOG_MARK_BEGIN is part of the base, what came after LOG_MARK_END is forgotten.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "powercut_internal.h"

struct log_head { /* in the file, in front of the bytes; never leaves this machine */
    uint32_t kind, size;
    uint64_t offset;
};

void log_append(int fd, enum log_kind kind, uint64_t offset, const void *bytes, uint32_t size)
{
    struct log_head head = {kind, size, offset};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, size}};
    if (writev(fd, parts, 2) != (ssize_t)(sizeof head + size)) {
        powercut_die_errno("write the log");
    }
}

static bool is_mark(const struct log_entry *entry, const char *word)
{
    return entry->kind == LOG_MARK && entry->size == strlen(word) &&
           memcmp(entry->bytes, word, entry->size) == 0;
}

static void map_log(struct recording *recording, const char *path)
{
    struct stat stat_of_log;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat_of_log) != 0) {
        powercut_die_errno("open the log");
    }
    recording->map_size = (size_t)stat_of_log.st_size;
    recording->map = mmap(NULL, recording->map_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (recording->map == MAP_FAILED) {
        powercut_die_errno("map the log");
    }
    close(fd);
}

static void add_entry(struct recording *recording, const struct log_entry *entry)
{
    if ((recording->count & (recording->count - 1)) == 0) {
        recording->entries =
            powercut_need(reallocarray(recording->entries, recording->count * 2 + 1,
                                       sizeof *recording->entries));
    }
    recording->entries[recording->count++] = *entry;
}

void recording_load(struct recording *recording, const char *log_path, struct image *base)
{
    *recording = (struct recording){.base = *base};
    *base = (struct image){0};
    map_log(recording, log_path);
    bool began = false;
    bool ended = false;
    const unsigned char *at = recording->map;
    const unsigned char *end = at + recording->map_size;
    while (!ended && (size_t)(end - at) >= sizeof(struct log_head)) {
        struct log_head head;
        memcpy(&head, at, sizeof head);
        struct log_entry entry = {head.kind, head.size, head.offset, at + sizeof head};
        at += sizeof head + head.size;
        ended = is_mark(&entry, LOG_MARK_END);
        if (is_mark(&entry, LOG_MARK_BEGIN)) {
            began = true;
        } else if (began && !ended) {
            add_entry(recording, &entry);
        } else if (!began && entry.kind == LOG_WRITE) {
            image_write(&recording->base, entry.offset, entry.bytes, entry.size);
        }
    }
    if (!began || !ended) {
        powercut_die("the log has no beginning or no end");
    }
}

void recording_release(struct recording *recording)
{
    image_release(&recording->base);
    free(recording->entries);
    munmap(recording->map, recording->map_size);
    *recording = (struct recording){0};
}

size_t recording_count(const struct recording *recording, enum log_kind kind, size_t end)
{
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        count += recording->entries[i].kind == kind;
    }
    return count;
}

void recording_save_acks(const struct recording *recording, size_t cut, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        powercut_die_errno("write %s", path);
    }
    for (size_t i = 0; i < cut; i++) {
        const struct log_entry *entry = &recording->entries[i];
        if (entry->kind == LOG_ACK) {
            fprintf(file, "%.*s\n", (int)entry->size, (const char *)entry->bytes);
        }
    }
    if (fclose(file) != 0) {
        powercut_die_errno("write %s", path);
    }
}
