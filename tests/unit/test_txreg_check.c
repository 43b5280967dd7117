/* SPDX-License-Identifier: MIT */
/* The check finds any flipped bit, and every record that lies although its seal is right. */
#include "reg_fixture.h"

#include <stdio.h>

static void fill_place(struct reg_place *place)
{
    uint8_t large[9000];
    char name[600];
    struct ktm_txn *txn = reg_begin(place, 0);
    memset(large, 3, sizeof(large));
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = 0;
    ok(txreg_create(txn, "Software\\One\\Two", "a class", NULL, ERR));
    ok(txreg_create(txn, "Software\\Three", NULL, NULL, ERR));
    ok(txreg_set(txn, "Software\\One", "large", 3, large, sizeof(large), ERR));
    ok(txreg_set(txn, "Software\\One", "middle", 3, large, 700, ERR));
    ok(txreg_set(txn, "Software\\Three", name, 3, large, 10, ERR));
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof(name), "value %u", i);
        reg_put(txn, "Software\\Three", name, "some text that takes a little room");
    }
    (void)reg_commit(txn);
    txn = reg_begin(place, 0);
    reg_put(txn, "Software\\Three", "value 7", "changed");
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place->tm, ERR));
}

static void fill_more(struct reg_place *place)
{
    uint8_t large[40000] = {7};
    struct ktm_txn *txn = reg_begin(place, 0);
    ok(txreg_set(txn, "Software\\One", "larger", 3, large, sizeof(large), ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place->tm, ERR));
}

static uint64_t count_faults(struct reg_world *world)
{
    uint64_t faults = 0;
    ok(txreg_check(world->io, world->temp.fd, NULL, NULL, &faults, ERR));
    return faults;
}

Test(txreg_check, finds_a_flipped_bit_in_any_byte)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    cr_assert_eq(reg_faults(&world), 0);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    cr_assert_gt(stat.st_size, 10 * REG_PAGE_SIZE);
    unsigned step = reg_scaled(10) >= 10 ? 1 : 7;
    for (off_t at = 0; at < stat.st_size; at += step) {
        uint8_t byte;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << (at % 8));
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        cr_assert_gt(count_faults(&world), 0, "byte %lld", (long long)at);
        byte ^= (uint8_t)(1u << (at % 8));
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
    cr_assert_eq(reg_faults(&world), 0);
}

/* A power cut in a page that the file grew by, and a recovery that found no use for it. */
Test(txreg_check, what_lies_behind_the_pages_in_count_is_no_fault)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    uint8_t torn[REG_PAGE_SIZE + 512];
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    memset(torn, 0x5a, sizeof(torn));
    cr_assert_eq(pwrite(fd, torn, 512, stat.st_size), 512);
    cr_expect_eq(count_faults(&world), 0, "part of a page");
    cr_assert_eq(pwrite(fd, torn, sizeof(torn), stat.st_size), (ssize_t)sizeof(torn));
    cr_expect_eq(count_faults(&world), 0, "a page and a part");
    (void)close(fd);
    fill_more(&place); /* the place is used, and whole then */
    cr_expect_eq(reg_faults(&world), 0);
}

/* A whole page that is not the one referred to: a write that was lost, or went astray. */
Test(txreg_check, finds_another_version_of_a_page)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    uint8_t token[KTM_TOKEN_SIZE];
    uint8_t page[REG_PAGE_SIZE];
    struct reg_state state;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    ktm_published_token(place.tm, TXREG_RM, token);
    ok(reg_state_decode(&state, token, ERR));
    reg_place_auto(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    off_t at = (off_t)state.root_page * REG_PAGE_SIZE;
    cr_assert(fd >= 0 && pread(fd, page, sizeof(page), at) == (ssize_t)sizeof(page));
    page[REG_AT_LSN] ^= 1;
    tx_put64(page, reg_page_seal(page, state.root_page));
    cr_assert_null(reg_page_fault(page, state.root_page));
    cr_assert_eq(pwrite(fd, page, sizeof(page), at), (ssize_t)sizeof(page));
    cr_assert_gt(count_faults(&world), 0);
    fails(TX_ECORRUPT, reg_place_try_boot(&place, &world));
    (void)close(fd);
}

Test(txreg_check, finds_a_cut_file)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    struct stat stat;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    reg_place_auto(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    for (off_t size = stat.st_size - 100; size > 0; size -= 3000) {
        cr_assert_eq(ftruncate(fd, size), 0);
        cr_assert_gt(count_faults(&world), 0, "cut to %lld bytes", (long long)size);
    }
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_gt(count_faults(&world), 0);
    fails(TX_ECORRUPT, reg_place_try_boot(&place, &world));
    (void)close(fd);
}

/* Opening an image with a flipped bit shows the same registry, or says that it is damaged. */
static enum tx_status dump_or_fail(struct reg_place *place, struct tx_buf *text);

static enum tx_status nested_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                   size_t size, struct tx_error *err)
{
    TX_TRY(tx_buf_printf(arg, err, "%s:%u:", name, type));
    return tx_buf_append(arg, data, size, err);
}

struct nested {
    struct ktm_txn *txn;
    struct tx_buf *text;
    const char *path;
};

static enum tx_status nested_dump(struct nested *nested, struct tx_error *err);

static enum tx_status nested_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    struct nested *above = arg;
    TX_AUTO(tx_buf) path = TX_BUF_INIT;
    TX_TRY(tx_buf_printf(&path, err, "%s%s%s", above->path, *above->path != 0 ? "\\" : "",
                         info->name));
    TX_TRY(tx_buf_put8(&path, 0, err));
    struct nested below = {above->txn, above->text, (const char *)path.data};
    return nested_dump(&below, err);
}

static enum tx_status nested_dump(struct nested *nested, struct tx_error *err)
{
    TX_TRY(tx_buf_printf(nested->text, err, "[%s]", nested->path));
    TX_TRY(txreg_each_value(nested->txn, nested->path, nested_value, nested->text, err));
    return txreg_each_key(nested->txn, nested->path, nested_key, nested, err);
}

static enum tx_status dump_or_fail(struct reg_place *place, struct tx_buf *text)
{
    struct ktm_txn *txn = NULL;
    TX_TRY(ktm_begin(place->tm, NULL, &txn, ERR));
    struct nested nested = {txn, text, ""};
    enum tx_status status = nested_dump(&nested, ERR);
    ktm_rollback(txn);
    return status;
}

Test(txreg_check, a_flipped_bit_is_never_silently_wrong)
{
    TX_AUTO(reg_world) world;
    TX_AUTO(reg_place) place;
    TX_AUTO(tx_buf) wanted = TX_BUF_INIT;
    struct stat stat;
    unsigned refused = 0;
    unsigned same = 0;
    reg_world_init(&world, NULL);
    reg_place_boot(&place, &world);
    fill_place(&place);
    ok(dump_or_fail(&place, &wanted));
    reg_place_auto(&place);
    int fd = openat(world.temp.fd, REG_IMAGE_PATH, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    for (off_t at = 13; at < stat.st_size; at += 997) {
        TX_AUTO(tx_buf) seen = TX_BUF_INIT;
        uint8_t byte;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        enum tx_status status = reg_place_try_boot(&place, &world);
        if (status == TX_OK) {
            status = dump_or_fail(&place, &seen);
        }
        cr_assert(status == TX_OK || status == TX_ECORRUPT, "%s", tx_status_name(status));
        if (status == TX_OK) {
            cr_assert_eq(seen.size, wanted.size);
            cr_assert_arr_eq(seen.data, wanted.data, seen.size);
            same++;
        } else {
            cr_assert_not_null(strstr(reg_err.text, "reg/image"), "%s", reg_err.text);
            cr_assert_not_null(strstr(reg_err.text, "offset"), "%s", reg_err.text);
            refused++;
        }
        reg_place_auto(&place);
        byte ^= 0x10;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        ok(reg_place_try_boot(&place, &world)); /* slots may have been written anew: settle */
        reg_place_auto(&place);
    }
    cr_assert_gt(refused, 5);
    cr_assert_gt(same, 2);
    (void)close(fd);
}

/* --- Records that lie ------------------------------------------------------------------------- */

static void put_header(struct reg_writer *writer, uint64_t id, const struct reg_header *header)
{
    struct reg_key key;
    uint8_t record[REG_HEADER_MAX];
    reg_key_head(&key, id, REG_HEADER);
    reg_header_encode(header, record);
    ok(reg_writer_put(writer, &key, record, REG_HEADER_SIZE, ERR));
}

static void put_child(struct reg_writer *writer, uint64_t parent, const char *folded,
                      const char *name, uint64_t id)
{
    struct reg_key key;
    uint8_t record[100];
    struct reg_child child = {.id = id, .revision = 1};
    ok(reg_key_child(&key, parent, folded, strlen(folded), ERR));
    tx_fields_encode(reg_child_fields, &child, record);
    memcpy(record + REG_CHILD_SIZE, name, strlen(name));
    ok(reg_writer_put(writer, &key, record, REG_CHILD_SIZE + strlen(name), ERR));
}

static void put_value(struct reg_writer *writer, uint64_t id, const char *folded, const char *name,
                      uint64_t ordinal)
{
    struct reg_key key;
    uint8_t record[100];
    struct reg_value value = {.revision = 1, .ordinal = ordinal, .type = 3,
                              .name_size = (uint16_t)strlen(name)};
    ok(reg_key_value(&key, id, folded, strlen(folded), ERR));
    size_t size = reg_value_encode_head(&value, record);
    memcpy(record + size, name, strlen(name));
    ok(reg_writer_put(writer, &key, record, size + strlen(name), ERR));
}

/* A sound registry of three keys: root - "one" (2 values) - "two". */
static void put_sound(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 1});
    put_child(writer, 1, "one", "One", 2);
    put_header(writer, 2, &(struct reg_header){.parent = 1, .subkey_count = 1, .value_count = 2,
                                               .next_ordinal = 5});
    put_value(writer, 2, "a", "A", 0);
    put_value(writer, 2, "b", "b", 4);
    put_child(writer, 2, "two", "two", 3);
    put_header(writer, 3, &(struct reg_header){.parent = 2});
    writer->state.next_key_id = 4;
    writer->state.key_count = 3;
}

static void lie_nothing(struct reg_writer *writer)
{
    (void)writer;
}
static void lie_subkeys(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 2});
}
static void lie_values(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 2, .value_count = 1});
}
static void lie_parent(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 1});
}
static void lie_child(struct reg_writer *writer)
{
    put_child(writer, 2, "two", "two", 2);
}
static void lie_fold(struct reg_writer *writer)
{
    put_child(writer, 2, "two", "owt", 3);
}
static void lie_value_name(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "c", 0);
}
static void lie_ordinal(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "A", 4);
}
static void lie_late_ordinal(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "A", 5);
}
static void lie_orphan_value(struct reg_writer *writer)
{
    put_value(writer, 7, "a", "A", 0);
}
static void lie_orphan_key(struct reg_writer *writer)
{
    writer->state.next_key_id = 9;
    writer->state.key_count = 4;
    put_header(writer, 7, &(struct reg_header){.parent = 1});
}
static void lie_two_parents(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 2});
    put_child(writer, 1, "two", "two", 3);
}
static void lie_next_id(struct reg_writer *writer)
{
    writer->state.next_key_id = 3;
}
static void lie_key_count(struct reg_writer *writer)
{
    writer->state.key_count = 4;
}
static void lie_used_pages(struct reg_writer *writer)
{
    writer->state.used_pages++;
    writer->state.page_count++;
}
static void lie_future(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 2, .revision = UINT64_MAX});
}
static void lie_kind(struct reg_writer *writer)
{
    struct reg_key key;
    reg_key_head(&key, 3, REG_CHILD + 1);
    ok(reg_writer_put(writer, &key, key.bytes, 5, ERR));
}
static void lie_circle(struct reg_writer *writer)
{
    writer->state.next_key_id = 6;
    writer->state.key_count = 5;
    put_header(writer, 4, &(struct reg_header){.parent = 5, .subkey_count = 1});
    put_child(writer, 4, "five", "five", 5);
    put_header(writer, 5, &(struct reg_header){.parent = 4, .subkey_count = 1});
    put_child(writer, 5, "four", "four", 4);
}

static uint64_t faults_of(void (*lie)(struct reg_writer *writer))
{
    TX_AUTO(reg_image) image;
    uint8_t token[KTM_TOKEN_SIZE];
    uint64_t faults = 0;
    reg_image_init(&image, NULL);
    {
        TX_AUTO(reg_writer) writer = {.reg = NULL};
        ok(reg_writer_init(&writer, image.reg, &image.state, 4096, 8192, ERR));
        put_sound(&writer);
        lie(&writer);
        ok(reg_writer_finish(&writer, ERR));
        reg_state_encode(&writer.state, token);
    }
    ok(reg_rm_steady(image.reg, 8192, token, ERR));
    ok(txreg_check(txio_posix(), image.temp.fd, NULL, NULL, &faults, ERR));
    return faults;
}

Test(txreg_check, finds_records_that_lie)
{
    static void (*const lies[])(struct reg_writer *writer) = {
        lie_subkeys, lie_values, lie_parent, lie_child, lie_fold, lie_value_name, lie_ordinal,
        lie_late_ordinal, lie_orphan_value, lie_orphan_key, lie_two_parents, lie_next_id,
        lie_key_count, lie_used_pages, lie_future, lie_kind, lie_circle,
    };
    cr_assert_eq(faults_of(lie_nothing), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        cr_assert_gt(faults_of(lies[i]), 0, "lie %zu is believed", i);
    }
}

Test(txreg_check, missing_image_is_a_fault)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    uint64_t faults = 0;
    ok(txreg_check(txio_posix(), temp.fd, NULL, NULL, &faults, ERR));
    cr_assert_eq(faults, 1);
}
