/* SPDX-License-Identifier: MIT */
/*
 * Pages made by an enemy: random bytes changed and every seal above made right again. Nothing may
 * crash, hang or read beyond its page; any answer will do.
 */
#include "reg_fixture.h"

#include <stdio.h>

static struct tx_error ignored;
#define ANY(call) ((void)((call) == TX_OK))

struct bytes {
    uint8_t *data;
    uint32_t pages;
};

static struct bytes load(struct temp_dir *temp)
{
    struct stat stat;
    int fd = openat(temp->fd, REG_IMAGE_PATH, O_RDONLY);
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    struct bytes bytes = {malloc((size_t)stat.st_size), (uint32_t)(stat.st_size / REG_PAGE_SIZE)};
    cr_assert_eq(read(fd, bytes.data, (size_t)stat.st_size), (ssize_t)stat.st_size);
    (void)close(fd);
    return bytes;
}

static void store(struct temp_dir *temp, const struct bytes *bytes)
{
    int fd = openat(temp->fd, REG_IMAGE_PATH, O_WRONLY | O_TRUNC);
    size_t size = bytes->pages * (size_t)REG_PAGE_SIZE;
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes->data, size), (ssize_t)size);
    (void)close(fd);
}

/* Seal the page anew, and every page that refers to it, up to the slots. Levels rise on the way in
 * a sound tree; in others the rounds are bounded. */
static void reseal(struct bytes *bytes, uint32_t page, unsigned rounds)
{
    uint8_t *data = bytes->data + (size_t)page * REG_PAGE_SIZE;
    uint8_t old_ref[REG_REF_SIZE];
    uint8_t new_ref[REG_REF_SIZE];
    memcpy(old_ref + 4, data + REG_AT_SEAL, 8);
    tx_put64(data + REG_AT_SEAL, reg_page_seal(data, page));
    memcpy(new_ref + 4, data + REG_AT_SEAL, 8);
    tx_put32(old_ref, page);
    tx_put32(new_ref, page);
    for (uint32_t i = 0; i < bytes->pages && rounds > 0; i++) {
        uint8_t *other = bytes->data + (size_t)i * REG_PAGE_SIZE;
        bool changed = false;
        if (i < REG_SLOT_PAGES && page >= REG_SLOT_PAGES) { /* root, page count, seal of root */
            uint8_t *state = other + REG_PAGE_HEAD + 24;
            if (memcmp(state, old_ref, 4) == 0 && memcmp(state + 8, old_ref + 4, 8) == 0) {
                memcpy(state + 8, new_ref + 4, 8);
                changed = true;
            }
        }
        for (size_t at = REG_PAGE_HEAD; at + REG_REF_SIZE <= REG_PAGE_SIZE; at++) {
            if (memcmp(other + at, old_ref, REG_REF_SIZE) == 0) {
                memcpy(other + at, new_ref, REG_REF_SIZE);
                changed = true;
            }
        }
        if (changed && i != page) {
            reseal(bytes, i, rounds - 1);
        }
    }
}

static void fill_place(struct reg_place *place, uint64_t *seed)
{
    uint8_t large[30000];
    char path[64];
    char name[64];
    memset(large, 9, sizeof(large));
    for (unsigned round = 0; round < 3; round++) {
        struct ktm_txn *txn = reg_begin(place, 0);
        for (unsigned i = 0; i < 120; i++) {
            (void)snprintf(path, sizeof(path), "k%u\\sub%u", (unsigned)(reg_random(seed) % 6),
                           (unsigned)(reg_random(seed) % 8));
            (void)snprintf(name, sizeof(name), "value %u", (unsigned)(reg_random(seed) % 30));
            ok(txreg_create(txn, path, i % 9 == 0 ? "class" : NULL, NULL, ERR));
            size_t size = reg_random(seed) % (i % 20 == 0 ? sizeof(large) : 200);
            ok(txreg_set(txn, path, name, i, large, size, ERR));
        }
        (void)reg_commit(txn);
        ok(ktm_checkpoint(place->tm, ERR));
    }
}

static void damage(struct bytes *bytes, uint64_t *seed)
{
    unsigned hits = 1 + (unsigned)(reg_random(seed) % 3);
    while (hits-- > 0) {
        uint32_t page = (uint32_t)(reg_random(seed) % bytes->pages);
        uint8_t *data = bytes->data + (size_t)page * REG_PAGE_SIZE;
        unsigned count = 1 + (unsigned)(reg_random(seed) % 4);
        while (count-- > 0) {
            /* Headers, slots and references more often than the rest. */
            uint64_t dice = reg_random(seed) % 4;
            size_t at = dice == 0   ? REG_AT_MAGIC + reg_random(seed) % (REG_PAGE_HEAD - 8)
                        : dice == 1 ? REG_PAGE_HEAD + reg_random(seed) % 200
                                    : 8 + reg_random(seed) % (REG_PAGE_SIZE - 8);
            uint8_t bit = (uint8_t)(1u << reg_random(seed) % 8);
            const uint8_t choice[4] = {0, 0xff, data[at] ^ bit, (uint8_t)reg_random(seed)};
            data[at] = choice[reg_random(seed) % 4];
        }
        if (reg_random(seed) % 8 == 0) { /* a page in the place of another */
            uint32_t from = (uint32_t)(reg_random(seed) % bytes->pages);
            memcpy(data + REG_PAGE_HEAD,
                   bytes->data + (size_t)from * REG_PAGE_SIZE + REG_PAGE_HEAD, REG_PAGE_ROOM);
        }
        reseal(bytes, page, 6);
    }
}

static enum tx_status see_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    uint64_t *sum = arg;
    (void)err;
    *sum += strlen(name) + type;
    for (size_t i = 0; i < size; i++) {
        *sum += data[i];
    }
    return TX_OK;
}

struct names {
    char path[8][64];
    unsigned count;
};

static enum tx_status see_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    struct names *names = arg;
    (void)err;
    if (names->count < 8 && strlen(info->name) < 30) {
        (void)snprintf(names->path[names->count++], 64, "%.30s", info->name);
    }
    return TX_OK;
}

static void look_around(struct ktm_txn *txn, unsigned depth, const char *path)
{
    struct names names = {.count = 0};
    uint64_t sum = 0;
    ANY(txreg_each_value(txn, path, see_value, &sum, &ignored));
    ANY(txreg_each_key(txn, path, see_key, &names, &ignored));
    for (unsigned i = 0; depth > 0 && i < names.count; i++) {
        char below[200];
        (void)snprintf(below, sizeof(below), "%s%s%s", path, *path != 0 ? "\\" : "",
                       names.path[i]);
        look_around(txn, depth - 1, below);
    }
}

static void change_around(struct ktm_txn *txn, uint64_t *seed)
{
    uint8_t data[2000] = {0};
    char path[64];
    char name[64];
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(path, sizeof(path), "k%u\\sub%u", (unsigned)(reg_random(seed) % 7),
                       (unsigned)(reg_random(seed) % 9));
        (void)snprintf(name, sizeof(name), "value %u", (unsigned)(reg_random(seed) % 40));
        switch (reg_random(seed) % 6) {
        case 0:
            ANY(txreg_delete_tree(txn, path, &ignored));
            break;
        case 1:
            ANY(txreg_rename(txn, path, "another", &ignored));
            break;
        case 2:
            ANY(txreg_unset(txn, path, name, &ignored));
            break;
        case 3:
            ANY(txreg_create(txn, path, NULL, NULL, &ignored));
            break;
        default:
            ANY(txreg_set(txn, path, name, 1, data, reg_random(seed) % sizeof(data), &ignored));
        }
    }
}

/* Everything that reads or changes the image, one after the other. */
static void use(struct reg_world *world, uint64_t *seed)
{
    uint64_t faults = 0;
    TX_AUTO(reg_place) place = {.world = world};
    ANY(txreg_check(world->io, world->temp.fd, NULL, NULL, &faults, &ignored));
    if (reg_place_try_boot(&place, world) != TX_OK) {
        return;
    }
    struct ktm_txn *txn = NULL;
    if (ktm_begin(place.tm, NULL, &txn, &ignored) != TX_OK) {
        return;
    }
    look_around(txn, 3, "");
    change_around(txn, seed);
    if (reg_random(seed) % 2 == 0) {
        ktm_rollback(txn);
    } else {
        ANY(ktm_commit(txn, NULL, &ignored));
        ANY(ktm_checkpoint(place.tm, &ignored));
        ANY(txreg_check(world->io, world->temp.fd, NULL, NULL, &faults, &ignored));
    }
}

Test(txreg_hostile, changed_pages_with_right_seals_do_no_harm)
{
    TX_AUTO(reg_world) world;
    char command[600];
    uint64_t seed = 11;
    unsigned damaged = 0;
    reg_world_init(&world, NULL);
    {
        TX_AUTO(reg_place) place;
        reg_place_boot(&place, &world);
        fill_place(&place, &seed);
    }
    (void)snprintf(command, sizeof(command), "cp -r '%s' '%s.save'", world.temp.path,
                   world.temp.path);
    cr_assert_eq(system(command), 0);
    for (unsigned i = 0; i < reg_scaled(400); i++) {
        uint64_t faults = 0;
        (void)snprintf(command, sizeof(command), "cp -r '%s.save/.' '%s'", world.temp.path,
                       world.temp.path);
        cr_assert_eq(system(command), 0);
        struct bytes bytes = load(&world.temp);
        damage(&bytes, &seed);
        store(&world.temp, &bytes);
        free(bytes.data);
        ANY(txreg_check(world.io, world.temp.fd, NULL, NULL, &faults, &ignored));
        damaged += faults > 0;
        use(&world, &seed);
    }
    (void)snprintf(command, sizeof(command), "rm -rf '%s.save'", world.temp.path);
    cr_assert_eq(system(command), 0);
    cr_assert_gt(damaged, reg_scaled(400) / 2);
}

/* Trees whose pages refer to each other in ways that no writer makes. */
Test(txreg_hostile, a_page_named_twice_is_no_loop)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    struct reg_key key;
    uint8_t data[300] = {0};
    uint8_t token[KTM_TOKEN_SIZE];
    uint64_t faults = 0;
    reg_image_init(&image, NULL);
    ok(reg_writer_init(&writer, image.reg, &image.state, 4096, 4096, ERR));
    for (unsigned i = 0; i < 2000; i++) {
        reg_key_head(&key, i + 2, REG_VALUE);
        ok(reg_writer_put(&writer, &key, data, sizeof(data), ERR));
    }
    ok(reg_writer_finish(&writer, ERR));
    reg_state_encode(&writer.state, token);
    ok(reg_rm_steady(image.reg, 4096, token, ERR));
    struct bytes bytes = load(&image.temp);
    uint32_t root = writer.state.root_page;
    uint8_t *page = bytes.data + (size_t)root * REG_PAGE_SIZE;
    cr_assert_gt(reg_page_count(page), 3);
    struct reg_cell first = reg_page_cell(page, 0);
    struct reg_cell third = reg_page_cell(page, 2);
    memcpy(page + (third.payload - page), first.payload, REG_REF_SIZE);
    reseal(&bytes, root, 3);
    store(&image.temp, &bytes);
    free(bytes.data);
    reg_image_reopen(&image, NULL);
    ok(txreg_check(txio_posix(), image.temp.fd, NULL, NULL, &faults, ERR));
    cr_assert_gt(faults, 0);
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_cursor) cursor;
    reg_tree_open(&tree, image.reg, &image.state);
    reg_cursor_init(&cursor, &tree);
    ok(reg_cursor_seek(&cursor, (const uint8_t *)"", 0, ERR));
    enum tx_status status = TX_OK;
    while (status == TX_OK && cursor.valid) {
        status = reg_cursor_next(&cursor, ERR);
    }
    cr_assert_eq(status, TX_ECORRUPT);
    TX_AUTO(reg_page_set) used = {NULL, 0};
    ok(reg_page_set_init(&used, image.state.page_count, ERR));
    fails(TX_ECORRUPT, reg_mark_tree(image.reg, &image.state, &used, ERR));
}

/* --- Trees of two levels whose root lies ------------------------------------------------------ */

static void put_small(struct reg_writer *writer, unsigned i, enum tx_status wanted)
{
    static const uint8_t data[300];
    struct reg_key key;
    reg_key_head(&key, i + 2, REG_VALUE);
    fails(wanted, reg_writer_put(writer, &key, data, sizeof(data), ERR));
}

/* Let `lie` change the root, seal it anew and open it. */
static void make_lying(struct reg_image *image, void (*lie)(struct bytes *bytes, uint8_t *root))
{
    TX_AUTO(reg_writer) writer = {.reg = image->reg};
    uint8_t token[KTM_TOKEN_SIZE];
    ok(reg_writer_init(&writer, image->reg, &image->state, 4096, 4096, ERR));
    for (unsigned i = 0; i < 200; i += 2) {
        put_small(&writer, i, TX_OK);
    }
    ok(reg_writer_finish(&writer, ERR));
    cr_assert_eq(writer.state.height, 2);
    reg_state_encode(&writer.state, token);
    ok(reg_rm_steady(image->reg, 4096, token, ERR));
    struct bytes bytes = load(&image->temp);
    lie(&bytes, bytes.data + (size_t)writer.state.root_page * REG_PAGE_SIZE);
    reseal(&bytes, writer.state.root_page, 3);
    store(&image->temp, &bytes);
    free(bytes.data);
    reg_image_reopen(image, NULL);
}

static uint8_t *ref_at(uint8_t *root, unsigned index)
{
    return root + (reg_page_cell(root, index).payload - root);
}
static void name_twice(struct bytes *bytes, uint8_t *root)
{
    (void)bytes;
    memcpy(ref_at(root, 3), ref_at(root, 2), REG_REF_SIZE);
}
static void swap_two(struct bytes *bytes, uint8_t *root)
{
    uint8_t second[REG_REF_SIZE];
    (void)bytes;
    memcpy(second, ref_at(root, 2), REG_REF_SIZE);
    memcpy(ref_at(root, 2), ref_at(root, 3), REG_REF_SIZE);
    memcpy(ref_at(root, 3), second, REG_REF_SIZE);
}
static void lower_separator(struct bytes *bytes, uint8_t *root)
{
    struct reg_cell cell = reg_page_cell(root, 2);
    (void)bytes;
    root[cell.key - root + cell.key_size - 1] -= 4; /* two records of the leaf before lie behind */
    tx_put16(root + reg_slot_at(2) + 2, reg_key_hint(cell.key, cell.key_size));
}
static void empty_leaf(struct bytes *bytes, uint8_t *root)
{
    uint32_t number = reg_page_ref(root, 2).page;
    uint8_t *leaf = bytes->data + (size_t)number * REG_PAGE_SIZE;
    memset(leaf + REG_PAGE_HEAD, 0, REG_PAGE_ROOM);
    tx_put16(leaf + REG_AT_COUNT, 0);
    tx_put16(leaf + REG_AT_PREFIX, 0);
    tx_put16(leaf + REG_AT_HEAP, REG_PAGE_SIZE);
    reseal(bytes, number, 3);
}

static void keep_text(void *arg, const char *file, uint64_t offset, const char *text)
{
    (void)file;
    (void)offset;
    ok(tx_buf_append_text(arg, text, ERR));
}

static void expect_fault(struct reg_image *image, const char *wanted)
{
    TX_AUTO(tx_buf) texts = TX_BUF_INIT;
    uint64_t faults = 0;
    ok(txreg_check(txio_posix(), image->temp.fd, keep_text, &texts, &faults, ERR));
    cr_assert_gt(faults, 0);
    ok(tx_buf_put8(&texts, 0, ERR));
    cr_assert_not_null(strstr((char *)texts.data, wanted), "%s", (char *)texts.data);
}

static unsigned first_of(struct reg_image *image, unsigned index)
{
    struct reg_page *root = NULL;
    struct reg_ref ref = {image->state.root_page, image->state.root_seal};
    ok(reg_tree_page(image->reg, ref, 1, &root, ERR));
    struct reg_cell cell = reg_page_cell(root->data, index);
    uint8_t key[REG_KEY_MAX] = {0};
    size_t prefix = reg_page_prefix(root->data);
    memcpy(key, root->data + REG_PAGE_SIZE - prefix, prefix);
    memcpy(key + prefix, cell.key, cell.key_size);
    reg_page_drop(root);
    return (unsigned)reg_get_id(key) - 2;
}

Test(txreg_hostile, neighbours_out_of_order_are_not_merged)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    struct reg_key key;
    enum tx_status status = TX_OK;
    reg_image_init(&image, NULL);
    make_lying(&image, name_twice);
    unsigned first = first_of(&image, 2);
    ok(reg_writer_init(&writer, image.reg, &image.state, 8192, 8192, ERR));
    for (unsigned i = first; status == TX_OK && i < first + 40; i += 2) {
        reg_key_head(&key, i + 2, REG_VALUE);
        status = reg_writer_remove(&writer, &key, ERR);
    }
    fails(TX_ECORRUPT, status);
    cr_assert_not_null(strstr(reg_err.text, "keys are not in order"), "%s", reg_err.text);
}

Test(txreg_hostile, halves_of_a_leaf_in_a_wrong_place_are_not_named)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    static const uint8_t data[300];
    enum tx_status status = TX_OK;
    reg_image_init(&image, NULL);
    make_lying(&image, swap_two);
    expect_fault(&image, "separator");
    unsigned first = first_of(&image, 2);
    ok(reg_writer_init(&writer, image.reg, &image.state, 8192, 8192, ERR));
    for (unsigned i = first; status == TX_OK && i < first + 20; i++) {
        struct reg_key key;
        reg_key_head(&key, i + 2, REG_VALUE);
        status = reg_writer_put(&writer, &key, data, sizeof(data), ERR);
    }
    fails(TX_ECORRUPT, status);
    cr_assert_not_null(strstr(reg_err.text, "keys are not in order"), "%s", reg_err.text);
}

Test(txreg_hostile, an_empty_leaf_is_a_fault)
{
    TX_AUTO(reg_image) image;
    reg_image_init(&image, NULL);
    make_lying(&image, empty_leaf);
    expect_fault(&image, "empty page in the tree");
}

Test(txreg_hostile, a_separator_in_the_leaf_before_is_a_fault)
{
    TX_AUTO(reg_image) image;
    reg_image_init(&image, NULL);
    make_lying(&image, lower_separator);
    expect_fault(&image, "separator 2 is in the wrong place");
}
