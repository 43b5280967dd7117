/* SPDX-License-Identifier: MIT */
/*
 * Open the store of a root (which recovers what a crash left), close it, and print one line that
 * sums up the whole tree and the whole registry:
 *
 *     tree <xxh3-128> objects <n> registry <xxh3-128> keys <n> values <n>
 *
 * Names, types, modes, owners, modification times to the nanosecond, link targets, which names
 * share an inode, extended attributes and contents all count. The store itself does not.
 *
 *     state_of [--no-times] [--check] ROOT [NAME=STATE...]
 *
 * --no-times leaves modification times out: two runs of one command differ in them.
 * --check reads every durable byte as well, as `txctl check' does; exit 1 with its faults.
 * With states given it prints the name of the one that it found (for the check of txcrash kill);
 * exit 1 with the whole line when it is none of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#include <txkit/txkit.h>

#define ATTRIBUTES_SIZE 65536

struct sum {
    XXH3_state_t *tree;
    XXH3_state_t *registry;
    bool times;
    unsigned long objects, keys, values;
    struct {
        dev_t dev;
        ino_t ino;
        unsigned long first; /* number of the object that had this inode first */
    } *inodes;
    size_t inode_count;
};

static void die(const char *what)
{
    fprintf(stderr, "state_of: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void add(XXH3_state_t *state, const void *data, size_t size)
{
    XXH3_128bits_update(state, &size, sizeof size);
    XXH3_128bits_update(state, data, size);
}

static void add_number(XXH3_state_t *state, unsigned long long number)
{
    XXH3_128bits_update(state, &number, sizeof number);
}

/* Which object of the walk has the same inode? Numbers of the walk: copies compare equal. */
static unsigned long group_of(struct sum *sum, const struct stat *stat)
{
    for (size_t i = 0; i < sum->inode_count; i++) {
        if (sum->inodes[i].dev == stat->st_dev && sum->inodes[i].ino == stat->st_ino) {
            return sum->inodes[i].first;
        }
    }
    sum->inodes = reallocarray(sum->inodes, sum->inode_count + 1, sizeof *sum->inodes);
    if (!sum->inodes) {
        die("memory");
    }
    sum->inodes[sum->inode_count].dev = stat->st_dev;
    sum->inodes[sum->inode_count].ino = stat->st_ino;
    sum->inodes[sum->inode_count++].first = sum->objects;
    return sum->objects;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sum_attributes(struct sum *sum, const char *path)
{
    char names[ATTRIBUTES_SIZE];
    char value[ATTRIBUTES_SIZE];
    char *sorted[1024];
    size_t count = 0;
    ssize_t size = llistxattr(path, names, sizeof names);
    for (ssize_t at = 0; at < size && count < 1024; at += (ssize_t)strlen(names + at) + 1) {
        sorted[count++] = names + at;
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        ssize_t length = lgetxattr(path, sorted[i], value, sizeof value);
        add(sum->tree, sorted[i], strlen(sorted[i]));
        add(sum->tree, value, length < 0 ? 0 : (size_t)length);
    }
}

static void sum_content(struct sum *sum, int dir, const char *name)
{
    char chunk[65536];
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t count;
    if (fd < 0) {
        die(name);
    }
    while ((count = read(fd, chunk, sizeof chunk)) > 0) {
        XXH3_128bits_update(sum->tree, chunk, (size_t)count);
    }
    if (count < 0) {
        die(name);
    }
    close(fd);
}

static void sum_directory(struct sum *sum, int dir, const char *path);

static void sum_object(struct sum *sum, int dir, const char *directory, const char *name)
{
    struct stat stat;
    char target[4096];
    char *path = NULL;
    if (fstatat(dir, name, &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
        asprintf(&path, "%s/%s", directory, name) < 0) {
        die(name);
    }
    sum->objects++;
    add(sum->tree, name, strlen(name));
    add_number(sum->tree, stat.st_mode);
    add_number(sum->tree, stat.st_uid);
    add_number(sum->tree, stat.st_gid);
    if (sum->times) {
        add_number(sum->tree, (unsigned long long)stat.st_mtim.tv_sec);
        add_number(sum->tree, (unsigned long long)stat.st_mtim.tv_nsec);
    }
    sum_attributes(sum, path);
    if (S_ISREG(stat.st_mode)) {
        add_number(sum->tree, (unsigned long long)stat.st_size);
        add_number(sum->tree, stat.st_nlink);
        if (stat.st_nlink > 1) {
            add_number(sum->tree, group_of(sum, &stat));
        }
        sum_content(sum, dir, name);
    } else if (S_ISLNK(stat.st_mode)) {
        ssize_t length = readlinkat(dir, name, target, sizeof target);
        add(sum->tree, target, length < 0 ? 0 : (size_t)length);
    } else if (S_ISDIR(stat.st_mode)) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            die(path);
        }
        sum_directory(sum, fd, path);
    }
    free(path);
}

/* Takes over `dir`. */
static void sum_directory(struct sum *sum, int dir, const char *path)
{
    struct dirent **names = NULL;
    int count = scandirat(dir, ".", &names, NULL, alphasort);
    if (count < 0) {
        die(path);
    }
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, TXSTORE_NAME) != 0) {
            sum_object(sum, dir, path, name);
        }
        free(names[i]);
    }
    add_number(sum->tree, ~0ull); /* the end of a directory */
    free(names);
    close(dir);
}

struct key_walk {
    struct sum *sum;
    struct ktm_txn *txn;
    const char *key;
};

static enum tx_status sum_key(struct sum *sum, struct ktm_txn *txn, const char *key,
                              struct tx_error *err);

static enum tx_status sum_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    struct sum *sum = arg;
    (void)err;
    sum->values++;
    add(sum->registry, name, strlen(name));
    add_number(sum->registry, type);
    add(sum->registry, data, size);
    return TX_OK;
}

static enum tx_status sum_subkey(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    struct key_walk *walk = arg;
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", walk->key, *walk->key ? "\\" : "", info->name) < 0) {
        return tx_error_set(err, TX_ENOMEM, "memory");
    }
    walk->sum->keys++;
    add(walk->sum->registry, info->name, strlen(info->name));
    enum tx_status status = sum_key(walk->sum, walk->txn, path, err);
    free(path);
    return status;
}

static enum tx_status sum_key(struct sum *sum, struct ktm_txn *txn, const char *key,
                              struct tx_error *err)
{
    struct key_walk walk = {sum, txn, key};
    enum tx_status status = txreg_each_value(txn, key, sum_value, sum, err);
    if (status == TX_OK) {
        status = txreg_each_key(txn, key, sum_subkey, &walk, err);
    }
    add_number(sum->registry, ~0ull); /* the end of a key */
    return status;
}

static enum tx_status sum_registry(struct sum *sum, const char *root, struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    enum tx_status status = txstore_open(root, NULL, &store, err);
    if (status != TX_OK) {
        return status;
    }
    status = txstore_begin(store, &options, &txn, err);
    if (status == TX_OK) {
        status = sum_key(sum, txn, "", err);
        ktm_rollback(txn);
    }
    enum tx_status closed = txstore_close(store, status == TX_OK ? err : NULL);
    return status == TX_OK ? closed : status;
}

static void print_sum(FILE *to, const char *title, XXH3_state_t *state)
{
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(state));
    fprintf(to, "%s ", title);
    for (size_t i = 0; i < sizeof bytes.digest; i++) {
        fprintf(to, "%02x", bytes.digest[i]);
    }
}

/* The whole line. Ownership: free. */
static char *sum_line(const char *root, bool times)
{
    struct sum sum = {
        .tree = XXH3_createState(), .registry = XXH3_createState(), .times = times};
    struct tx_error err = {0};
    char *line = NULL;
    size_t size = 0;
    XXH3_128bits_reset(sum.tree);
    XXH3_128bits_reset(sum.registry);
    if (sum_registry(&sum, root, &err) != TX_OK) {
        fprintf(stderr, "state_of: %s\n", err.text);
        exit(1);
    }
    int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FILE *to = open_memstream(&line, &size);
    if (dir < 0 || !to) {
        die(root);
    }
    sum_directory(&sum, dir, root);
    print_sum(to, "tree", sum.tree);
    fprintf(to, " objects %lu ", sum.objects);
    print_sum(to, "registry", sum.registry);
    fprintf(to, " keys %lu values %lu", sum.keys, sum.values);
    if (fclose(to) != 0) {
        die("memory");
    }
    XXH3_freeState(sum.tree);
    XXH3_freeState(sum.registry);
    free(sum.inodes);
    return line;
}

/* Which of NAME=STATE... is it? Its name without the "=", NULL when none. */
static char *name_of(const char *line, char **states)
{
    for (; *states; states++) {
        size_t size = strcspn(*states, "=");
        if ((*states)[size] == '=' && strcmp(*states + size + 1, line) == 0) {
            return strndup(*states, size);
        }
    }
    return NULL;
}

static void print_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    (void)arg;
    printf("%s:%llu: %s\n", file, (unsigned long long)offset, text);
}

static void check(const char *root)
{
    struct tx_error err = {0};
    uint64_t faults = 0;
    if (txstore_check(NULL, root, NULL, print_fault, NULL, &faults, &err) != TX_OK) {
        fprintf(stderr, "state_of: %s\n", err.text);
        exit(1);
    }
    if (faults > 0) {
        exit(1);
    }
}

/* Is this the next word? Then it is taken. */
static bool given(char ***words, const char *option)
{
    bool is = **words && strcmp(**words, option) == 0;
    *words += is;
    return is;
}

int main(int argc, char **argv)
{
    char **rest = argv + (argc > 0);
    bool times = !given(&rest, "--no-times");
    bool checks = given(&rest, "--check");
    if (!*rest) {
        fprintf(stderr, "usage: state_of [--no-times] [--check] ROOT [NAME=STATE...]\n");
        return 2;
    }
    char *line = sum_line(*rest, times);
    if (checks) {
        check(*rest);
    }
    char *name = name_of(line, rest + 1);
    puts(name ? name : line);
    int code = !rest[1] || name ? 0 : 1;
    free(name);
    free(line);
    return code;
}
