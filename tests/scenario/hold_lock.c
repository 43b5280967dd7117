/* SPDX-License-Identifier: MIT */
/*
 * Keeps a store from being opened: holds its open byte, as a process does that recovers for long.
 *
 *     hold_lock STORE     prints "held", lets go at the end of stdin
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <txkit/io.h>

int main(int argc, char **argv)
{
    char path[4096];
    char byte;
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TXIO_LOCK_OPEN, .l_len = 1};
    if (argc != 2) {
        fprintf(stderr, "usage: hold_lock STORE\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/control", argv[1]);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_OFD_SETLKW, &lock) != 0) {
        fprintf(stderr, "hold_lock: %s: %s\n", path, strerror(errno));
        return 1;
    }
    puts("held");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
