/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

#include "txfs/txfs_internal.h"

enum { ALL = TXFS_SETS_OWNER | TXFS_SETS_MODE | TXFS_SETS_TIMES | TXFS_SETS_XATTRS };

/* An entry, its encoded body and what came back. */
struct coded {
    struct txfs_entry entry;
    struct tx_buf body;
    struct ktm_change change;
    struct txfs_entry back;
};

static void coded_auto(struct coded *coded)
{
    tx_buf_release(&coded->body);
}

static enum tx_status code(struct coded *coded)
{
    tx_buf_clear(&coded->body);
    cr_assert_eq(txfs_entry_encode(&coded->entry, &coded->body, NULL), TX_OK);
    cr_assert_eq(tx_buf_append(&coded->body, coded->entry.content, coded->entry.content_size, NULL),
                 TX_OK);
    coded->change = (struct ktm_change){TXFS_RM, coded->entry.kind, coded->entry.flags,
                                        coded->body.data, coded->body.size};
    return txfs_entry_decode(&coded->change, &coded->back, NULL);
}

static struct txfs_entry small_file(void)
{
    static const uint8_t content[] = "hello";
    return (struct txfs_entry){
        .kind = TXFS_CHANGE_FILE,
        .payload = TXFS_PAYLOAD_INLINE,
        .mask = ALL,
        .mode = 04755,
        .uid = 7,
        .gid = 8,
        .atime_ns = TXFS_KEEP_TIME,
        .mtime_ns = -5,
        .size = 5,
        .payload_size = 5,
        .hash = tx_hash128_of(content, 5),
        .base = {.existed = 1, .ino = UINT64_MAX, .size = 3, .mode = S_IFREG | 0600,
                 .uid = 1, .gid = 2, .nlink = 3, .mtime_ns = 4, .ctime_ns = 5, .rdev = 6},
        .path = "bin/app",
        .base_path = "old/app",
        .content = content,
        .content_size = 5,
    };
}

static struct txfs_entry file_extents(struct tx_buf *table)
{
    static const uint8_t content[10];
    struct txfs_extent extents[2] = {{0, 4, 6}, {100, 6, 0}};
    tx_buf_clear(table);
    cr_assert_eq(txfs_extent_put(table, &extents[0], NULL), TX_OK);
    cr_assert_eq(txfs_extent_put(table, &extents[1], NULL), TX_OK);
    return (struct txfs_entry){
        .kind = TXFS_CHANGE_EXTENTS,
        .flags = TXFS_ENTRY_SAME,
        .payload = TXFS_PAYLOAD_EXTENTS,
        .size = 106,
        .keep_size = 50,
        .payload_size = 10,
        .path = "db",
        .extents = table->data,
        .extent_count = 2,
        .content = content,
        .content_size = 10,
    };
}

Test(txfs_entry, a_file_comes_back_as_it_was)
{
    TX_AUTO(coded) coded = {.entry = small_file()};
    cr_assert_eq(code(&coded), TX_OK);
    const struct txfs_entry *back = &coded.back;
    cr_assert_eq(back->kind, TXFS_CHANGE_FILE);
    cr_assert_str_eq(back->path, "bin/app");
    cr_assert_str_eq(back->base_path, "old/app");
    cr_assert_null(back->target);
    cr_assert_eq(back->mode, 04755u);
    cr_assert_eq(back->mtime_ns, -5);
    cr_assert_eq(back->atime_ns, TXFS_KEEP_TIME);
    cr_assert_eq(memcmp(back->content, "hello", 5), 0);
    cr_assert_eq(memcmp(&back->hash, &coded.entry.hash, sizeof back->hash), 0);
    cr_assert(txfs_identity_same(&back->base, &coded.entry.base));
    cr_assert_eq(back->base.nlink, 3u);
    cr_assert_not(back->source.existed);
}

Test(txfs_entry, extents_come_back_in_order)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    TX_AUTO(coded) coded = {.entry = file_extents(&table)};
    cr_assert_eq(code(&coded), TX_OK);
    struct txfs_extent second = txfs_extent_at(&coded.back, 1);
    cr_assert_eq(coded.back.extent_count, 2u);
    cr_assert_eq(second.offset, 100u);
    cr_assert_eq(second.length, 6u);
    cr_assert_eq(second.position, 0u);
    cr_assert_eq(coded.back.keep_size, 50u);
    cr_assert_eq(coded.back.flags, TXFS_ENTRY_SAME);
}

Test(txfs_entry, xattrs_come_back)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    TX_AUTO(coded) coded = {.entry = small_file()};
    struct txfs_xattr put[2] = {{"user.a", (const uint8_t *)"1", 1}, {"user.b", NULL, 0}};
    struct txfs_xattr got;
    cr_assert_eq(txfs_xattr_put(&block, &put[0], NULL), TX_OK);
    cr_assert_eq(txfs_xattr_put(&block, &put[1], NULL), TX_OK);
    coded.entry.xattrs = block.data;
    coded.entry.xattrs_size = (uint32_t)block.size;
    cr_assert_eq(code(&coded), TX_OK);
    struct tx_reader reader = tx_reader_on(coded.back.xattrs, coded.back.xattrs_size);
    cr_assert(txfs_xattr_next(&reader, &got));
    cr_assert_str_eq(got.name, "user.a");
    cr_assert_eq(got.size, 1u);
    cr_assert(txfs_xattr_next(&reader, &got));
    cr_assert_eq(got.size, 0u);
    cr_assert_not(txfs_xattr_next(&reader, &got));
    cr_assert(tx_reader_done(&reader));
}

Test(txfs_entry, every_cut_is_refused)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    TX_AUTO(coded) coded = {.entry = file_extents(&table)};
    cr_assert_eq(code(&coded), TX_OK);
    size_t whole = coded.body.size;
    for (size_t size = 0; size < whole; size++) {
        uint8_t *copy = malloc(size + 1); /* so that a sanitizer sees a read behind the end */
        memcpy(copy, coded.body.data, size);
        struct ktm_change cut = {TXFS_RM, coded.change.op, coded.change.flags, copy, size};
        cr_assert_eq(txfs_entry_decode(&cut, &coded.back, NULL), TX_ECORRUPT, "%zu", size);
        free(copy);
    }
}

Test(txfs_entry, no_flipped_byte_makes_the_decoder_overrun)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    TX_AUTO(coded) coded = {.entry = file_extents(&table)};
    cr_assert_eq(code(&coded), TX_OK);
    uint8_t *body = coded.body.data;
    for (size_t at = 0; at < coded.body.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            body[at] ^= (uint8_t)(1 << bit);
            if (txfs_entry_decode(&coded.change, &coded.back, NULL) == TX_OK) {
                const struct txfs_entry *back = &coded.back;
                cr_assert_leq(back->path, (const char *)body + coded.body.size);
                for (uint32_t i = 0; i < back->extent_count; i++) {
                    struct txfs_extent extent = txfs_extent_at(back, i);
                    cr_assert_leq(extent.position + extent.length, back->payload_size);
                }
            }
            body[at] ^= (uint8_t)(1 << bit);
        }
    }
}

Test(txfs_entry, bytes_behind_the_end_are_refused)
{
    TX_AUTO(coded) coded = {.entry = small_file()};
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_eq(tx_buf_append(&coded.body, "x", 1, NULL), TX_OK);
    struct ktm_change more = {TXFS_RM, TXFS_CHANGE_FILE, 0, coded.body.data, coded.body.size};
    cr_assert_eq(txfs_entry_decode(&more, &coded.back, NULL), TX_ECORRUPT);
}

#define REFUSES(change_it)                                                                         \
    do {                                                                                           \
        coded.entry = good;                                                                        \
        change_it;                                                                                 \
        cr_assert_eq(code(&coded), TX_ECORRUPT, "accepted: %s", #change_it);                       \
    } while (0)

Test(txfs_entry, files_that_contradict_themselves_are_refused)
{
    TX_AUTO(coded) coded = {.entry = small_file()};
    struct txfs_entry good = small_file();
    cr_assert_eq(code(&coded), TX_OK);
    REFUSES(coded.entry.path = "../app");
    REFUSES(coded.entry.path = "/app");
    REFUSES(coded.entry.path = "");
    REFUSES(coded.entry.base_path = "a//b");
    REFUSES(coded.entry.target = "x");
    REFUSES(coded.entry.kind = 9);
    REFUSES(coded.entry.flags = 2);
    REFUSES(coded.entry.mask = TXFS_SETS_MODE);
    REFUSES(coded.entry.mask |= 1u << 20);
    REFUSES(coded.entry.size = 6);
    REFUSES(coded.entry.payload_size = 6);
    REFUSES(coded.entry.payload = TXFS_PAYLOAD_NONE);
    REFUSES(coded.entry.payload = TXFS_PAYLOAD_STAGED);
    REFUSES(coded.entry.payload = TXFS_PAYLOAD_EXTENTS);
    REFUSES(coded.entry.payload = 77);
    REFUSES(coded.entry.staged = 1);
    REFUSES(coded.entry.base.existed = 2);
    REFUSES(coded.entry.kind = TXFS_CHANGE_DIRECTORY);
}

Test(txfs_entry, extents_that_contradict_themselves_are_refused)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    struct txfs_entry good = file_extents(&table);
    TX_AUTO(coded) coded = {.entry = good};
    cr_assert_eq(code(&coded), TX_OK);
    REFUSES(coded.entry.size = 105);
    REFUSES(coded.entry.keep_size = 107);
    REFUSES(coded.entry.kind = TXFS_CHANGE_ATTRIBUTES);
    REFUSES(coded.entry.staged = 3);
    uint8_t *second = table.data + TXFS_EXTENT_SIZE;
    REFUSES(tx_put64(second, 3)); /* overlaps the first */
    REFUSES(tx_put64(second, UINT64_MAX - 2));
    REFUSES((tx_put64(second, 100), tx_put64(second + 8, 0)));
    REFUSES(tx_put64(second + 8, UINT64_MAX));
    REFUSES((tx_put64(second + 8, 6), tx_put64(second + 16, 5)));
    coded.entry = good;
    tx_put64(second + 16, 4);
    cr_assert_eq(code(&coded), TX_OK);
}

Test(txfs_entry, links_and_moves_need_a_clean_target)
{
    TX_AUTO(coded) coded = {.body = TX_BUF_INIT};
    struct txfs_entry good = {.kind = TXFS_CHANGE_MOVED, .path = "b", .target = "a"};
    coded.entry = good;
    cr_assert_eq(code(&coded), TX_OK);
    REFUSES(coded.entry.target = "../a");
    REFUSES(coded.entry.target = NULL);
    good.kind = TXFS_CHANGE_LINK;
    REFUSES(coded.entry.target = "a/");
    REFUSES(coded.entry.mask = TXFS_SETS_MODE);
    good = (struct txfs_entry){.kind = TXFS_CHANGE_SYMLINK, .mask = ALL, .path = "l",
                               .target = "../../anywhere"};
    coded.entry = good;
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_str_eq(coded.back.target, "../../anywhere");
    REFUSES(coded.entry.target = NULL);
}

Test(txfs_entry, xattr_blocks_are_bounded)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    struct txfs_entry good = small_file();
    TX_AUTO(coded) coded = {.entry = good};
    static uint8_t value[TXFS_XATTR_VALUE_MAX + 1];
    for (uint32_t size = TXFS_XATTR_VALUE_MAX - 1; size <= TXFS_XATTR_VALUE_MAX + 1; size++) {
        struct txfs_xattr xattr = {"user.a", value, size};
        tx_buf_clear(&block);
        cr_assert_eq(txfs_xattr_put(&block, &xattr, NULL), TX_OK);
        coded.entry.xattrs = block.data;
        coded.entry.xattrs_size = (uint32_t)block.size;
        cr_assert_eq(code(&coded), size <= TXFS_XATTR_VALUE_MAX ? TX_OK : TX_ECORRUPT);
    }
    REFUSES((coded.entry.xattrs = block.data, coded.entry.xattrs_size = 3));
}

Test(txfs_entry, identities_of_files_compare_everything)
{
    struct txfs_identity a = small_file().base;
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

Test(txfs_entry, identities_of_directories_ignore_what_moves_with_their_names)
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

Test(txfs_entry, describing_gives_what_will_be)
{
    TX_AUTO(coded) coded = {.entry = small_file()};
    struct txfs_change change;
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_eq(txfs_change_decode(&coded.change, &change, NULL), TX_OK);
    cr_assert_eq(change.kind, TXFS_CHANGE_FILE);
    cr_assert(change.existed);
    cr_assert_eq(change.before.ino, UINT64_MAX);
    cr_assert_eq(change.mode, 04755u);
    cr_assert_eq(change.size, 5u);
    cr_assert_eq(change.changed_bytes, 5u);
    cr_assert_eq(memcmp(change.content, "hello", 5), 0);
    coded.change.rm = TXFS_RM + 1;
    cr_assert_eq(txfs_change_decode(&coded.change, &change, NULL), TX_EINVAL);
}

Test(txfs_entry, describing_amendments_fills_in_what_stays)
{
    TX_AUTO(coded) coded = {.entry = {.kind = TXFS_CHANGE_ATTRIBUTES,
                                      .mask = TXFS_SETS_MODE,
                                      .mode = 0640,
                                      .path = "a",
                                      .base = small_file().base,
                                      .source = small_file().base}};
    struct txfs_change change;
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_eq(txfs_change_decode(&coded.change, &change, NULL), TX_OK);
    cr_assert_eq(change.mode, 0640u);
    cr_assert_eq(change.uid, 1u);
    cr_assert_eq(change.mtime_ns, 4);
    cr_assert_eq(change.size, 3u);
    cr_assert_null(change.content);
}
