/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

#include "failing_alloc.h"
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

/* Every kind of payload says what belongs to it and nothing else. */
Test(txfs_entry, payloads_that_say_too_much_are_refused)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    struct txfs_entry extents = file_extents(&table);
    struct txfs_entry good = small_file();
    TX_AUTO(coded) coded = {.entry = good};
    REFUSES((coded.entry.extents = table.data, coded.entry.extent_count = 1));
    good.payload = TXFS_PAYLOAD_STAGED;
    good.staged = 7;
    good.content_size = 0;
    coded.entry = good;
    cr_assert_eq(code(&coded), TX_OK);
    REFUSES(coded.entry.content_size = 5);
    REFUSES((coded.entry.extents = table.data, coded.entry.extent_count = 1));
    REFUSES(coded.entry.size = 6);
    REFUSES(coded.entry.kind = TXFS_CHANGE_DIRECTORY);
    good = (struct txfs_entry){.kind = TXFS_CHANGE_NODE, .mask = ALL, .mode = S_IFIFO | 0600,
                               .path = "fifo"};
    coded.entry = good;
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_eq(coded.back.mode, S_IFIFO | 0600u);
    REFUSES(coded.entry.mask = TXFS_SETS_MODE);
    REFUSES(coded.entry.size = 1);
    REFUSES(coded.entry.payload_size = 1);
    REFUSES(coded.entry.staged = 1);
    REFUSES((coded.entry.extents = table.data, coded.entry.extent_count = 1));
    REFUSES((coded.entry.content = extents.content, coded.entry.content_size = 1));
    good = extents;
    good.payload = TXFS_PAYLOAD_HASH;
    good.content_size = 0;
    coded.entry = good;
    cr_assert_eq(code(&coded), TX_OK);
    REFUSES(coded.entry.content_size = 10);
    REFUSES(coded.entry.payload_size = 9); /* the extents lead out of it */
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
    static char text[TXFS_PATH_MAX + 2];
    memset(text, 'x', TXFS_PATH_MAX + 1);
    REFUSES(coded.entry.target = text);
    text[TXFS_PATH_MAX] = '\0';
    coded.entry.target = text;
    cr_assert_eq(code(&coded), TX_OK);
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
    static const size_t sizes[] = {0, 1, TXFS_NAME_MAX, TXFS_NAME_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[TXFS_NAME_MAX + 2] = "";
        struct txfs_xattr xattr = {memset(name, 'n', sizes[i]), value, 1};
        bool good_name = sizes[i] > 0 && sizes[i] <= TXFS_NAME_MAX;
        name[sizes[i]] = '\0';
        tx_buf_clear(&block);
        cr_assert_eq(txfs_xattr_put(&block, &xattr, NULL), TX_OK);
        coded.entry.xattrs = block.data;
        coded.entry.xattrs_size = (uint32_t)block.size;
        cr_assert_eq(code(&coded), good_name ? TX_OK : TX_ECORRUPT, "%zu", sizes[i]);
    }
}

Test(txfs_entry, attributes_that_are_not_said_are_not_there)
{
    TX_AUTO(tx_buf) block = TX_BUF_INIT;
    struct txfs_entry good = {.kind = TXFS_CHANGE_ATTRIBUTES, .mask = TXFS_SETS_XATTRS,
                              .path = "a"};
    TX_AUTO(coded) coded = {.body = TX_BUF_INIT};
    struct txfs_xattr xattr = {"user.a", NULL, 0};
    cr_assert_eq(txfs_xattr_put(&block, &xattr, NULL), TX_OK);
    good.xattrs = block.data;
    good.xattrs_size = (uint32_t)block.size;
    coded.entry = good;
    cr_assert_eq(code(&coded), TX_OK);
    REFUSES(coded.entry.mask = TXFS_SETS_MODE);
}

/* Each allocation fails once, with an entry whose every part needs some. */
Test(txfs_entry, no_memory_for_any_part_is_told)
{
    static char text[3][TXFS_PATH_MAX + 1];
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    struct txfs_entry entry = file_extents(&table);
    for (int i = 0; i < 3; i++) { /* each longer than all before it */
        memset(text[i], 'a' + i, 600u << i);
    }
    entry.path = text[0];
    entry.target = text[1];
    entry.base_path = text[2];
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        struct tx_buf head = TX_BUF_INIT;
        failing_alloc_begin(n);
        enum tx_status status = txfs_entry_encode(&entry, &head, NULL);
        tx_buf_release(&head);
        long in_use = failing_alloc.in_use;
        failed = failing_alloc_end();
        cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%zu", n);
        cr_assert_eq(in_use, 0);
    }
}

/* A buffer that is full at any byte of an extent, or of an extended attribute. */
Test(txfs_entry, no_memory_in_the_middle_of_a_part_is_told)
{
    struct txfs_extent extent = {1, 2, 3};
    struct txfs_xattr xattr = {"user.a", (const uint8_t *)"value", 5};
    unsigned failures = 0;
    for (size_t used = 1; used < 600; used++) {
        for (int which = 0; which < 2; which++) {
            TX_AUTO(tx_buf) buf = TX_BUF_INIT;
            uint8_t *at;
            for (size_t i = 0; i < used; i++) {
                cr_assert_eq(tx_buf_extend(&buf, 1, &at, NULL), TX_OK);
            }
            failing_alloc_begin(0);
            enum tx_status status = which == 0 ? txfs_extent_put(&buf, &extent, NULL)
                                               : txfs_xattr_put(&buf, &xattr, NULL);
            bool failed = failing_alloc_end();
            cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%zu", used);
            failures += failed;
        }
    }
    cr_assert_gt(failures, 0u);
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

Test(txfs_entry, describing_a_moved_and_changed_file_tells_its_size)
{
    TX_AUTO(tx_buf) table = TX_BUF_INIT;
    TX_AUTO(coded) coded = {.entry = file_extents(&table)};
    struct txfs_change change;
    coded.entry.kind = TXFS_CHANGE_MOVED;
    coded.entry.target = "old";
    coded.entry.source = small_file().base;
    coded.entry.mask = TXFS_SETS_TIMES;
    coded.entry.mtime_ns = TXFS_KEEP_TIME; /* the access time alone is said */
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_eq(txfs_change_decode(&coded.change, &change, NULL), TX_OK);
    cr_assert_eq(change.size, 106u);
    cr_assert_eq(change.mtime_ns, 4);
    cr_assert_str_eq(change.target, "old");
    coded.entry = (struct txfs_entry){.kind = TXFS_CHANGE_MOVED, .path = "b", .target = "a",
                                      .source = small_file().base};
    cr_assert_eq(code(&coded), TX_OK);
    cr_assert_eq(txfs_change_decode(&coded.change, &change, NULL), TX_OK);
    cr_assert_eq(change.size, 3u);
}
