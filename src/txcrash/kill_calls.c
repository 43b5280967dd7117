/* SPDX-License-Identifier: MIT */
/* System calls as people read them: name, paths, sizes. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kill.h"

#define PATH_SHOWN 512u
#define SIZE_SHOWN (UINT64_C(1) << 40)

/* Made by the compiler from <sys/syscall.h>: [number] = "name". */
static const char *const names[] = {
#include "kill_call_names.inc"
};

/*
 * What the arguments are: f descriptor, p path, z size, o offset, d descriptor that a path is
 * relative to, - nothing to show.
 */
static const struct shape {
    const char *name, *arguments;
    enum report_event_kind kind;
} shapes[] = {
    {"write", "f-z", REPORT_WRITE},
    {"pwrite64", "f-zo", REPORT_WRITE},
    {"writev", "f", REPORT_WRITE},
    {"pwritev", "f--o", REPORT_WRITE},
    {"pwritev2", "f--o", REPORT_WRITE},
    {"copy_file_range", "--f-z", REPORT_WRITE},
    {"sendfile", "f--z", REPORT_WRITE},
    {"fallocate", "f-oz", REPORT_WRITE},
    {"ftruncate", "fz", REPORT_WRITE},
    {"truncate", "pz", REPORT_WRITE},
    {"fsync", "f", REPORT_FLUSH},
    {"fdatasync", "f", REPORT_FLUSH},
    {"sync_file_range", "foz", REPORT_FLUSH},
    {"syncfs", "f", REPORT_FLUSH},
    {"sync", "", REPORT_FLUSH},
    {"msync", "-z", REPORT_FLUSH},
    {"read", "f-z", REPORT_CALL},
    {"pread64", "f-zo", REPORT_CALL},
    {"close", "f", REPORT_CALL},
    {"fstat", "f", REPORT_CALL},
    {"open", "p", REPORT_CALL},
    {"openat", "dp", REPORT_CALL},
    {"openat2", "dp", REPORT_CALL},
    {"creat", "p", REPORT_CALL},
    {"stat", "p", REPORT_CALL},
    {"lstat", "p", REPORT_CALL},
    {"newfstatat", "dp", REPORT_CALL},
    {"statx", "dp", REPORT_CALL},
    {"access", "p", REPORT_CALL},
    {"faccessat", "dp", REPORT_CALL},
    {"faccessat2", "dp", REPORT_CALL},
    {"readlink", "p", REPORT_CALL},
    {"readlinkat", "dp", REPORT_CALL},
    {"rename", "pp", REPORT_CALL},
    {"renameat", "dpdp", REPORT_CALL},
    {"renameat2", "dpdp", REPORT_CALL},
    {"link", "pp", REPORT_CALL},
    {"linkat", "dpdp", REPORT_CALL},
    {"symlink", "pp", REPORT_CALL},
    {"symlinkat", "pdp", REPORT_CALL},
    {"unlink", "p", REPORT_CALL},
    {"unlinkat", "dp", REPORT_CALL},
    {"mkdir", "p", REPORT_CALL},
    {"mkdirat", "dp", REPORT_CALL},
    {"rmdir", "p", REPORT_CALL},
    {"mknodat", "dp", REPORT_CALL},
    {"chmod", "p", REPORT_CALL},
    {"fchmod", "f", REPORT_CALL},
    {"fchmodat", "dp", REPORT_CALL},
    {"fchmodat2", "dp", REPORT_CALL},
    {"chown", "p", REPORT_CALL},
    {"lchown", "p", REPORT_CALL},
    {"fchown", "f", REPORT_CALL},
    {"fchownat", "dp", REPORT_CALL},
    {"utimensat", "dp", REPORT_CALL},
    {"setxattr", "pp", REPORT_CALL},
    {"lsetxattr", "pp", REPORT_CALL},
    {"fsetxattr", "fp", REPORT_CALL},
    {"fremovexattr", "fp", REPORT_CALL},
    {"execve", "p", REPORT_CALL},
    {"chdir", "p", REPORT_CALL},
    {"fchdir", "f", REPORT_CALL},
    {"flock", "f", REPORT_CALL},
    {"ioctl", "f", REPORT_CALL},
};

const char *kill_call_name(int nr)
{
    static char unknown[32];
    if (nr >= 0 && (size_t)nr < sizeof names / sizeof *names && names[nr]) {
        return names[nr];
    }
    snprintf(unknown, sizeof unknown, "call %d", nr);
    return unknown;
}

static const struct shape *shape_of(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    return NULL;
}

/* Memory of a stopped process up to `size`, as far as it can be read. */
static size_t peek(pid_t pid, uint64_t address, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t step = 4096 - (size_t)((address + done) % 4096); /* the next page may not be there */
        step = step > size - done ? size - done : step;
        struct iovec to = {(char *)data + done, step};
        struct iovec from = {(void *)(uintptr_t)(address + done), step};
        if (process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)step) {
            break;
        }
        done += step;
    }
    return done;
}

/* Where a descriptor leads, "" when nowhere. */
static void descriptor_path(pid_t pid, int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t size = readlink(link, path, PATH_SHOWN - 1);
    path[size > 0 ? size : 0] = '\0';
}

/* A path below the copy begins with {dir}. */
static void print_path(FILE *to, const char *path, const char *dir)
{
    size_t size = strlen(dir);
    if (strncmp(path, dir, size) == 0 && (path[size] == '/' || path[size] == '\0')) {
        fprintf(to, " {dir}%s", path + size);
    } else {
        fprintf(to, " %s", path);
    }
}

/* The bytes that are written to the file of acknowledgements, without the last line feed. */
static void print_ack(FILE *to, pid_t pid, const struct kill_call *call)
{
    char text[PATH_SHOWN];
    size_t size = call->args[2] < sizeof text ? (size_t)call->args[2] : sizeof text;
    size = peek(pid, call->args[1], text, size);
    while (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    fwrite(text, 1, size, to);
}

/* A path, from the directory that it is relative to; an empty one means the descriptor itself. */
static void print_path_at(FILE *to, pid_t pid, int fd, uint64_t address, const char *dir)
{
    char path[PATH_SHOWN] = "", name[PATH_SHOWN] = "";
    name[peek(pid, address, name, sizeof name - 1)] = '\0';
    if (*name == '/' || fd == AT_FDCWD) {
        print_path(to, name, dir);
        return;
    }
    descriptor_path(pid, fd, path);
    print_path(to, path, dir);
    fprintf(to, "%s%s", *name ? "/" : "", name);
}

/* The i-th argument of a call, when it is of a kind that says something. */
static void print_argument(FILE *to, pid_t pid, const char *arguments, size_t i,
                           const struct kill_call *call, const char *dir)
{
    char path[PATH_SHOWN] = "";
    if (arguments[i] == 'f') {
        descriptor_path(pid, (int)call->args[i], path);
        print_path(to, path, dir);
    } else if (arguments[i] == 'p') {
        bool relative = i > 0 && arguments[i - 1] == 'd';
        print_path_at(to, pid, relative ? (int)call->args[i - 1] : AT_FDCWD, call->args[i], dir);
    }
}

void kill_call_event(struct report *report, pid_t pid, const struct kill_call *call,
                     const char *dir, const char *acks)
{
    const char *name = kill_call_name(call->nr);
    const struct shape *shape = shape_of(name);
    enum report_event_kind kind = shape ? shape->kind : REPORT_CALL;
    char path[PATH_SHOWN], *text = NULL;
    size_t size = 0;
    uint64_t offset = 0, count = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to) {
        kill_die("memory");
    }
    if (call->nr == SYS_write) {
        descriptor_path(pid, (int)call->args[0], path);
        kind = strcmp(path, acks) == 0 ? REPORT_ACK : kind;
    }
    if (kind == REPORT_ACK) {
        print_ack(to, pid, call);
    } else {
        fputs(name, to);
        for (size_t i = 0; shape && shape->arguments[i]; i++) {
            print_argument(to, pid, shape->arguments, i, call, dir);
            offset = shape->arguments[i] == 'o' ? call->args[i] : offset;
            /* "As much as there is" is said by a number that is no size. */
            count =
                shape->arguments[i] == 'z' && call->args[i] < SIZE_SHOWN ? call->args[i] : count;
        }
    }
    fclose(to);
    report_event(report, kind, offset, count, text);
    free(text);
}
