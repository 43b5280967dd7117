/* SPDX-License-Identifier: MIT */
/*
 * Programs with good and bad habits, for `txcrash powercut` to tell apart:
 *
 *     habits replace DIR good|no-fsync|no-dir-fsync   replace a file again and again
 *     habits append DIR stop|retry                    a log; what to do when fdatasync fails
 *     habits redo DIR                                 a redo log before data that changes in place
 *     habits recover DIR good|bad                     its recovery
 *     habits check-replace|check-append|check-redo DIR ACKS
 *
 * Each writes number after number, and acknowledges what it takes for durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 8u
#define CONTENT_SIZE 20000u
#define RECORD_SIZE 4096u

static int dir_fd, ack_fd;

static void need(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "habits: %s: %s\n", what, strerror(errno));
        _exit(1);
    }
}

static int open_in(const char *name, int flags)
{
    int fd = openat(dir_fd, name, flags | O_CLOEXEC, 0644);
    need(fd >= 0, name);
    return fd;
}

static void acknowledge(unsigned number)
{
    char line[16];
    int size = snprintf(line, sizeof line, "%u\n", number);
    need(write(ack_fd, line, (size_t)size) == size, "acknowledge");
}

static unsigned last_ack(const char *path)
{
    unsigned number = 0;
    FILE *file = fopen(path, "re");
    need(file != NULL, path);
    while (fscanf(file, "%u", &number) == 1) {
    }
    fclose(file);
    return number;
}

/* A block that says which number it is, all over. */
static void fill(void *block, size_t size, unsigned number)
{
    uint32_t *words = block;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        words[i] = number * 2654435761u + (uint32_t)i;
    }
    words[0] = number;
}

static bool is_whole(const void *block, size_t size, unsigned number)
{
    char wanted[CONTENT_SIZE];
    fill(wanted, size, number);
    return memcmp(block, wanted, size) == 0;
}

/* --- replace --- */

static void replace(const char *habit)
{
    char content[CONTENT_SIZE];
    for (unsigned number = 1; number <= ROUNDS; number++) {
        int fd = open_in("conf.new", O_WRONLY | O_CREAT | O_TRUNC);
        fill(content, sizeof content, number);
        need(write(fd, content, sizeof content) == sizeof content, "write");
        need(strcmp(habit, "no-fsync") == 0 || fsync(fd) == 0, "fsync");
        close(fd);
        need(renameat(dir_fd, "conf.new", dir_fd, "conf") == 0, "rename");
        need(strcmp(habit, "good") != 0 || fsync(dir_fd) == 0, "fsync the directory");
        acknowledge(number);
    }
}

static int check_replace(const char *acks)
{
    char content[CONTENT_SIZE];
    unsigned acked = last_ack(acks);
    int fd = openat(dir_fd, "conf", O_RDONLY | O_CLOEXEC);
    if (fd < 0 && acked == 0) {
        return 0;
    }
    ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content);
    if (size != sizeof content || !is_whole(content, sizeof content, *(uint32_t *)content)) {
        printf("%u was acknowledged, %s\n", acked, fd < 0 ? "there is no file"
                                                          : size == 0 ? "the file is empty"
                                                                      : "the file is damaged");
        return 1;
    }
    unsigned number = *(uint32_t *)content;
    if (number < acked) {
        printf("%u was acknowledged, %u is there\n", acked, number);
        return 1;
    }
    return 0;
}

/* --- append --- */

static void append(const char *habit)
{
    char record[RECORD_SIZE];
    int fd = open_in("log", O_RDWR);
    for (unsigned number = 1; number <= ROUNDS; number++) {
        fill(record, sizeof record, number);
        need(pwrite(fd, record, sizeof record, (off_t)(number * RECORD_SIZE)) == sizeof record,
             "write");
        if (fdatasync(fd) != 0) {
            /* What could not be written is clean now: the second call finds nothing to do. */
            need(strcmp(habit, "retry") == 0 && fdatasync(fd) == 0, "fdatasync");
        }
        acknowledge(number);
    }
}

static int check_append(const char *acks)
{
    char record[RECORD_SIZE];
    unsigned acked = last_ack(acks);
    int fd = open_in("log", O_RDONLY);
    for (unsigned number = 1; number <= acked; number++) {
        ssize_t size = pread(fd, record, sizeof record, (off_t)(number * RECORD_SIZE));
        if (size != sizeof record || !is_whole(record, sizeof record, number)) {
            printf("%u were acknowledged, number %u is lost\n", acked, number);
            return 1;
        }
    }
    return 0;
}

/* --- redo --- */

/* Two blocks of `data` and one of `log` exist; block 0 and 1 of data must agree. */
static void put_data(int data, unsigned number)
{
    char block[RECORD_SIZE];
    fill(block, sizeof block, number);
    for (unsigned i = 0; i < 2; i++) {
        need(pwrite(data, block, sizeof block, (off_t)(i * 16 * RECORD_SIZE)) == sizeof block,
             "write the data");
    }
}

static void redo(void)
{
    char block[RECORD_SIZE];
    int log = open_in("log", O_RDWR);
    int data = open_in("data", O_RDWR);
    for (unsigned number = 1; number <= ROUNDS; number++) {
        fill(block, sizeof block, number);
        need(pwrite(log, block, sizeof block, 0) == sizeof block && fdatasync(log) == 0,
             "write the log");
        acknowledge(number);
        put_data(data, number);
        /* The log is written again, so what it said must stand. */
        need(fdatasync(data) == 0, "sync the data");
    }
}

static void recover(const char *habit)
{
    char block[RECORD_SIZE];
    char zeros[RECORD_SIZE] = {0};
    int log = open_in("log", O_RDWR);
    int data = open_in("data", O_RDWR);
    need(pread(log, block, sizeof block, 0) == sizeof block, "read the log");
    unsigned number = *(uint32_t *)block;
    if (number == 0 || !is_whole(block, sizeof block, number)) {
        return; /* torn: it was never acknowledged, and the data are as before */
    }
    put_data(data, number);
    need(strcmp(habit, "bad") == 0 || fdatasync(data) == 0, "sync the data");
    need(pwrite(log, zeros, sizeof zeros, 0) == sizeof zeros && fdatasync(log) == 0,
         "empty the log");
}

static int check_redo(const char *acks)
{
    char blocks[2][RECORD_SIZE];
    unsigned acked = last_ack(acks);
    int data = open_in("data", O_RDONLY);
    for (unsigned i = 0; i < 2; i++) {
        need(pread(data, blocks[i], RECORD_SIZE, (off_t)(i * 16 * RECORD_SIZE)) == RECORD_SIZE,
             "read the data");
    }
    unsigned number = *(uint32_t *)blocks[0];
    bool whole = number == 0 || (is_whole(blocks[0], RECORD_SIZE, number) &&
                                 memcmp(blocks[0], blocks[1], RECORD_SIZE) == 0);
    if (!whole || number < acked) {
        printf("%u was acknowledged, the data are %s%u\n", acked, whole ? "" : "a mixture of ",
               number);
        return 1;
    }
    return 0;
}

/* Files of their final size and written once, so that a sync has nothing to do but the data. */
static void set_up(void)
{
    char zeros[RECORD_SIZE] = {0};
    static const char *const names[] = {"log", "data"};
    for (unsigned i = 0; i < 2; i++) {
        int fd = open_in(names[i], O_RDWR | O_CREAT);
        for (unsigned block = 0; block < 32; block++) {
            need(write(fd, zeros, sizeof zeros) == sizeof zeros, "fill a file");
        }
        need(fsync(fd) == 0, "fsync");
        close(fd);
    }
}

static int run(const char *what, const char *argument)
{
    if (strcmp(what, "set-up") == 0) {
        set_up();
    } else if (strcmp(what, "replace") == 0) {
        replace(argument);
    } else if (strcmp(what, "append") == 0) {
        append(argument);
    } else if (strcmp(what, "redo") == 0) {
        redo();
    } else if (strcmp(what, "recover") == 0) {
        recover(argument);
    } else if (strcmp(what, "check-replace") == 0) {
        return check_replace(argument);
    } else if (strcmp(what, "check-append") == 0) {
        return check_append(argument);
    } else if (strcmp(what, "check-redo") == 0) {
        return check_redo(argument);
    } else {
        fprintf(stderr, "habits: no habit \"%s\"\n", what);
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *ack = getenv("TXCRASH_ACK");
    if (argc < 3) {
        fprintf(stderr, "usage: habits WHAT DIR [ARGUMENT]\n");
        return 2;
    }
    dir_fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(dir_fd >= 0, argv[2]);
    ack_fd = open(ack ? ack : "/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
    need(ack_fd >= 0, "open TXCRASH_ACK");
    return run(argv[1], argc > 3 ? argv[3] : "");
}
