/* SPDX-License-Identifier: MIT */
/* A tree as text, to compare two of them. */
#include <dirent.h>
#include <sys/xattr.h>

#include "base/hash.h"
#include "publish_fixture.h"

struct dump {
    FILE *out;
    int root;
    bool without_counts;
    struct {
        ino_t ino;
        char path[512];
    } seen[256];
    size_t seen_count;
};

static const char *first_name(struct dump *dump, const struct stat *st, const char *path)
{
    for (size_t i = 0; i < dump->seen_count; i++) {
        if (dump->seen[i].ino == st->st_ino) {
            return dump->seen[i].path;
        }
    }
    cr_assert_lt(dump->seen_count, 256);
    dump->seen[dump->seen_count].ino = st->st_ino;
    (void)snprintf(dump->seen[dump->seen_count++].path, 512, "%s", path);
    return path;
}

static void dump_content(struct dump *dump, const char *path, const struct stat *st)
{
    char *bytes = calloc(1, (size_t)st->st_size + 1);
    if (S_ISREG(st->st_mode)) {
        int fd = openat(dump->root, path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0, "open %s", path);
        cr_assert_eq(read(fd, bytes, (size_t)st->st_size), (ssize_t)st->st_size);
        (void)close(fd);
        (void)fprintf(dump->out, " size %lld hash %016llx", (long long)st->st_size,
                      (unsigned long long)tx_hash64(bytes, (size_t)st->st_size, 0));
    } else if (S_ISLNK(st->st_mode)) {
        ssize_t size = readlinkat(dump->root, path, bytes, (size_t)st->st_size + 1);
        (void)fprintf(dump->out, " -> %.*s", (int)size, bytes);
    }
    free(bytes);
}

static void dump_xattrs(struct dump *dump, const char *path)
{
    char full[4096];
    char names[1024];
    (void)snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", dump->root, path);
    ssize_t size = llistxattr(full, names, sizeof(names));
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        char value[256];
        ssize_t length = lgetxattr(full, names + at, value, sizeof(value));
        (void)fprintf(dump->out, " %s=%.*s", names + at, (int)(length > 0 ? length : 0), value);
    }
}

static void dump_one(struct dump *dump, const char *path, const struct stat *st)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    bool directory = S_ISDIR(st->st_mode);
    (void)fprintf(dump->out, "%s %o %u:%u", path, st->st_mode, st->st_uid, st->st_gid);
    if (!directory || strncmp(name, "timed", 5) == 0) {
        (void)fprintf(dump->out, " m%lld.%09ld", (long long)st->st_mtim.tv_sec,
                      st->st_mtim.tv_nsec);
    }
    if (!directory) {
        (void)fprintf(dump->out, " is %s", first_name(dump, st, path));
        if (!dump->without_counts) {
            (void)fprintf(dump->out, " n%lu", (unsigned long)st->st_nlink);
        }
    }
    dump_content(dump, path, st);
    dump_xattrs(dump, path);
    (void)fputc('\n', dump->out);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void dump_below(struct dump *dump, const char *path)
{
    char *names[256];
    size_t count = 0;
    int fd = openat(dump->root, path[0] != '\0' ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "open %s", path);
    DIR *dir = fdopendir(fd);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        bool skip = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    (path[0] == '\0' && strcmp(entry->d_name, ".txkit") == 0);
        if (!skip) {
            cr_assert_lt(count, 256);
            names[count++] = strdup(entry->d_name);
        }
    }
    (void)closedir(dir);
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++) {
        char below[512];
        struct stat st;
        (void)snprintf(below, sizeof(below), "%s%s%s", path, path[0] != '\0' ? "/" : "", names[i]);
        cr_assert_eq(fstatat(dump->root, below, &st, AT_SYMLINK_NOFOLLOW), 0);
        dump_one(dump, below, &st);
        if (S_ISDIR(st.st_mode)) {
            dump_below(dump, below);
        }
        free(names[i]);
    }
}

char *pub_dump(struct publish_fixture *f)
{
    char *text = NULL;
    size_t size = 0;
    struct dump dump = {
        .out = open_memstream(&text, &size), .root = f->root, .without_counts = f->without_counts};
    dump_below(&dump, "");
    (void)fclose(dump.out);
    return text;
}

void pub_assert_same(const char *is, const char *wanted, const char *when)
{
    cr_assert(strcmp(is, wanted) == 0, "%s:\n--- is\n%s--- wanted\n%s", when, is, wanted);
}
