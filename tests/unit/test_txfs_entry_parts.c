/* SPDX-License-Identifier: MIT */
/* What entries are made of: identities, and extended attributes as file systems tell them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <txkit/io.h>

#include "failing_alloc.h"
#include "txfs/txfs_internal.h"

Test(txfs_entry_parts, identities_of_files_compare_everything)
{
    struct txfs_identity a = {.existed = 1, .ino = UINT64_MAX, .size = 3, .mode = S_IFREG | 0600,
                              .uid = 1, .gid = 2, .nlink = 3, .mtime_ns = 4, .ctime_ns = 5,
                              .rdev = 6};
    struct txfs_identity none = {0};
    struct txfs_identity other = {.ino = 3};
    cr_assert(txfs_identity_same(&none, &other));
    cr_assert_not(txfs_identity_same(&none, &a));
#define DIFFERS(field)                                                                             \
    do {                                                                                           \
        struct txfs_identity b = a;                                                                \
        b.field++;                                                                                 \
        cr_assert_not(txfs_identity_same(&a, &b), #field);                                         \
    } while (0)
    DIFFERS(ino);
    DIFFERS(size);
    DIFFERS(rdev);
    DIFFERS(mode);
    DIFFERS(uid);
    DIFFERS(gid);
    DIFFERS(mtime_ns);
    DIFFERS(ctime_ns);
    struct txfs_identity b = a;
    b.nlink--;
    b.ctime_ns++; /* by the name that went */
    cr_assert(txfs_identity_same(&a, &b));
}

Test(txfs_entry_parts, identities_of_directories_ignore_what_moves_with_their_names)
{
    struct txfs_identity a = {.existed = 1, .ino = 2, .mode = S_IFDIR | 0755};
    struct txfs_identity b = a;
    b.mtime_ns = 1;
    b.ctime_ns = 1;
    b.size = 4096;
    b.nlink = 9;
    cr_assert(txfs_identity_same(&a, &b));
    b.mode = S_IFREG | 0755;
    cr_assert_not(txfs_identity_same(&a, &b));
    b = a;
    b.ino = 3;
    cr_assert_not(txfs_identity_same(&a, &b));
}

Test(txfs_entry_parts, an_object_is_known_by_number_type_and_volume)
{
    struct txfs fs = {.root_dev = 5};
    struct txfs_identity was = {.existed = 1, .ino = 7, .mode = S_IFREG | 0600};
    struct txfs_identity none = {.ino = 7, .mode = S_IFREG};
    struct txio_stat is = {.dev = 5, .ino = 7, .mode = S_IFREG | 0644};
    cr_assert(txfs_is_object(&fs, &is, &was));
    cr_assert_not(txfs_is_object(&fs, &is, &none));
    is.mode = S_IFDIR | 0600;
    cr_assert_not(txfs_is_object(&fs, &is, &was));
    is = (struct txio_stat){.dev = 6, .ino = 7, .mode = S_IFREG};
    cr_assert_not(txfs_is_object(&fs, &is, &was));
    is = (struct txio_stat){.dev = 5, .ino = 8, .mode = S_IFREG};
    cr_assert_not(txfs_is_object(&fs, &is, &was));
}

Test(txfs_entry_parts, an_object_is_known_by_its_birth_where_that_is_told_and_kept)
{
    struct txfs fs = {.root_dev = 5, .keeps_births = true};
    struct txio_stat is = {.dev = 5, .ino = 7, .mode = S_IFREG | 0600, .btime_ns = 1000};
    struct txfs_identity was = txfs_identity_of(&is);
    struct txfs_identity untold = was;
    untold.birth = 0;
    cr_assert_neq(was.birth, 0);
    cr_assert(txfs_is_object(&fs, &is, &was));
    is.btime_ns++;
    cr_assert_not(txfs_is_object(&fs, &is, &was));
    cr_assert(txfs_is_object(&fs, &is, &untold));
    fs.keeps_births = false;
    cr_assert(txfs_is_object(&fs, &is, &was));
    fs.keeps_births = true;
    is.btime_ns = 0;
    cr_assert(txfs_is_object(&fs, &is, &was));
    cr_assert_eq(txfs_identity_of(&is).birth, 0);
}

/* Who walks a bad block on after its end was told does not get what stands behind the fault. */
Test(txfs_entry_parts, a_bad_xattr_block_ends_where_it_is_bad)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    struct txfs_xattr put[3] = {{"user.a", NULL, 0}, {"", NULL, 0}, {"user.b", NULL, 0}};
    struct txfs_xattr got;
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(txfs_xattr_put(&block, &put[i], NULL), TX_OK);
    }
    struct tx_reader reader = tx_reader_on(block.data, block.size);
    cr_assert(txfs_xattr_next(&reader, &got));
    cr_assert_not(txfs_xattr_next(&reader, &got));
    cr_assert_not(txfs_xattr_next(&reader, &got));
    cr_assert_not(tx_reader_done(&reader));
}

/* --- A file system that has these attributes --- */

static struct {
    struct txio base;
    struct txio_ops ops;
    const char *names; /* as listxattr gives them */
    size_t names_size;
    int list_error;
    const char *value; /* of each */
    int value_error;
    unsigned names_grow; /* so often there are more than was just told */
    unsigned value_grows;
} volume;

static int64_t give(const char *data, size_t size, unsigned *grows, void *out, size_t room)
{
    if (room == 0) {
        return (int64_t)size;
    }
    if (*grows > 0 || size > room) {
        *grows -= *grows > 0;
        return -ERANGE;
    }
    memcpy(out, data, size);
    return (int64_t)size;
}

static int64_t list_names(struct txio *io, int dir, const char *name, char *names, size_t size)
{
    (void)io;
    (void)dir;
    (void)name;
    return volume.list_error != 0 ? -volume.list_error
                                  : give(volume.names, volume.names_size, &volume.names_grow, names,
                                         size);
}

static int64_t get_value(struct txio *io, int dir, const char *object, const char *name,
                         void *value, size_t size)
{
    (void)io;
    (void)dir;
    (void)object;
    (void)name;
    return volume.value_error != 0 ? -volume.value_error
                                   : give(volume.value, strlen(volume.value), &volume.value_grows,
                                          value, size);
}

static void setup(void)
{
    volume.ops = *txio_posix()->ops;
    volume.ops.list_xattr = list_names;
    volume.ops.get_xattr = get_value;
    volume.base.ops = &volume.ops;
    volume.value = "v";
}

TestSuite(txfs_entry_parts, .init = setup);

static void has_names(const char *names, size_t size)
{
    volume.names = names;
    volume.names_size = size;
}

static enum tx_status read_them(struct tx_buf *block)
{
    tx_buf_clear(block);
    return txfs_xattrs_read(&volume.base, -1, "a", block, NULL);
}

/* "name=value,..." of a block. */
static const char *text_of(const struct tx_buf *block)
{
    static char text[8192];
    struct tx_reader reader = tx_reader_on(block->data, block->size);
    struct txfs_xattr at;
    text[0] = '\0';
    while (txfs_xattr_next(&reader, &at)) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%s%s=%.*s", used > 0 ? "," : "", at.name,
                       (int)at.size, (const char *)at.value);
    }
    cr_assert(tx_reader_done(&reader));
    return text;
}

Test(txfs_entry_parts, names_are_sorted_and_labels_and_nonsense_left_out)
{
    static const char names[] = "user.b\0security.selinux\0user.c\0\0security.SMACK64\0user.a";
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    has_names(names, sizeof names - 1); /* and the last does not end */
    cr_assert_eq(read_them(&block), TX_OK);
    cr_assert_str_eq(text_of(&block), "user.a=v,user.b=v,user.c=v");
    volume.value = "";
    cr_assert_eq(read_them(&block), TX_OK);
    cr_assert_str_eq(text_of(&block), "user.a=,user.b=,user.c=");
}

/* More names than fit at first, and both names and values that grow while they are read. */
Test(txfs_entry_parts, what_grows_while_it_is_read_is_read_again)
{
    static char names[2000];
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    TX_AUTO(tx_buf) again = TX_BUF_INIT;
    size_t size = 0;
    for (unsigned i = 10; i < 99; i++) {
        size += (size_t)snprintf(names + size, sizeof names - size, "user.name%u", i) + 1;
    }
    has_names(names, size);
    cr_assert_eq(read_them(&block), TX_OK);
    const char *text = text_of(&block);
    cr_assert_eq(strncmp(text, "user.name10=v,user.name11=v,", 28), 0, "%s", text);
    cr_assert_str_eq(text + strlen(text) - 13, "user.name98=v");
    volume.names_grow = 3;
    volume.value_grows = 2;
    cr_assert_eq(read_them(&again), TX_OK);
    cr_assert_eq(again.size, block.size);
    has_names("user.a", 7);
    volume.names_grow = 2;
    volume.value_grows = 1;
    cr_assert_eq(read_them(&again), TX_OK);
    cr_assert_str_eq(text_of(&again), "user.a=v");
}

Test(txfs_entry_parts, what_is_gone_or_not_there_is_no_error)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    has_names("user.a", 7);
    volume.value_error = ENODATA; /* removed since it was listed */
    cr_assert_eq(read_them(&block), TX_OK);
    cr_assert_eq(block.size, 0u);
    volume.list_error = EOPNOTSUPP; /* a file system without any */
    cr_assert_eq(read_them(&block), TX_OK);
    cr_assert_eq(block.size, 0u);
    volume.list_error = 0;
    has_names("", 0);
    cr_assert_eq(read_them(&block), TX_OK);
    cr_assert_eq(block.size, 0u);
}

Test(txfs_entry_parts, errors_of_both_calls_are_told)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    has_names("user.a", 7);
    volume.value_error = EIO;
    cr_assert_eq(read_them(&block), TX_EIO);
    volume.list_error = EIO;
    cr_assert_eq(read_them(&block), TX_EIO);
}

Test(txfs_entry_parts, no_memory_anywhere_is_told)
{
    static char names[600];
    static const size_t sizes[] = {600, 256, 100}; /* read twice; just fit at first; fewer */
    for (size_t i = 0; i < sizeof names; i++) {
        names[i] = i % 16 == 15 ? '\0' : (char)('a' + i / 16);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bool failed = true;
        has_names(names, sizes[i]);
        for (size_t n = 0; failed; n++) {
            struct tx_buf block = TX_BUF_INIT;
            failing_alloc_begin(n);
            enum tx_status status = read_them(&block);
            tx_buf_release(&block);
            long in_use = failing_alloc.in_use;
            failed = failing_alloc_end();
            cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%zu", n);
            cr_assert_eq(in_use, 0);
        }
    }
}
