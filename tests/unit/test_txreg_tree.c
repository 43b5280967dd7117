/* SPDX-License-Identifier: MIT */
/* Changing trees: against a map, down to empty, never touching what somebody reads. */
#include "reg_fixture.h"

struct keyed {
    struct reg_key key;
    uint8_t value[300];
    size_t size;
};

/* A model: the same records in an ordered map. */
static void model_set(struct tx_map *model, const struct keyed *record)
{
    struct keyed *copy = tx_alloc(sizeof(*copy));
    cr_assert_not_null(copy);
    *copy = *record;
    ok(tx_map_set(model, record->key.bytes, record->key.size, copy, ERR));
}

static void make_record(struct keyed *record, uint64_t id, size_t name_size, uint64_t *seed)
{
    reg_key_head(&record->key, id + 2, REG_VALUE);
    for (size_t i = 0; i < name_size; i++) {
        record->key.bytes[record->key.size++] = (uint8_t)('A' + reg_random(seed) % 4);
    }
    record->size = reg_random(seed) % (sizeof(record->value) + 1);
    for (size_t i = 0; i < record->size; i++) {
        record->value[i] = (uint8_t)reg_random(seed);
    }
}

/* Walk the tree and compare it with the model, from the second record of the tree on: the first is
 * the header of the root key. */
static void expect_equal(struct reg_image *image, const struct reg_state *state,
                         const struct tx_map *model)
{
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_cursor) cursor;
    struct tx_map_entry entry;
    reg_tree_open(&tree, image->reg, state);
    reg_cursor_init(&cursor, &tree);
    ok(reg_cursor_seek(&cursor, (const uint8_t *)"", 0, ERR));
    cr_assert(cursor.valid && reg_get_id(cursor.key.bytes) == REG_ROOT_ID);
    ok(reg_cursor_next(&cursor, ERR));
    bool more = tx_map_at_or_after(model, NULL, 0, &entry);
    while (more) {
        const struct keyed *record = entry.value;
        cr_assert(cursor.valid);
        cr_assert_eq(cursor.key.size, entry.key_size);
        cr_assert_arr_eq(cursor.key.bytes, entry.key, entry.key_size);
        cr_assert_eq(cursor.payload_size, record->size);
        cr_assert_arr_eq(cursor.payload, record->value, record->size);
        ok(reg_cursor_next(&cursor, ERR));
        more = tx_map_after(model, entry.key, entry.key_size, &entry);
    }
    cr_assert_not(cursor.valid);
}

static void expect_points(struct reg_image *image, const struct tx_map *model)
{
    TX_AUTO(reg_tree) tree;
    struct tx_map_entry entry;
    reg_tree_open(&tree, image->reg, &image->state);
    bool more = tx_map_at_or_after(model, NULL, 0, &entry);
    while (more) {
        const struct keyed *record = entry.value;
        TX_AUTO(reg_hit) hit = REG_HIT_INIT;
        ok(reg_tree_get(&tree, &record->key, &hit, ERR));
        cr_assert_not_null(hit.payload);
        cr_assert_eq(hit.size, record->size);
        cr_assert_arr_eq(hit.payload, record->value, record->size);
        more = tx_map_after(model, entry.key, entry.key_size, &entry);
    }
}

/* One "commit": `count` random changes. */
static void change(struct reg_image *image, struct tx_map *model, unsigned count,
                   unsigned remove_percent, size_t name_max, uint64_t *seed)
{
    TX_AUTO(reg_writer) writer = {.reg = image->reg};
    tx_lsn lsn = image->lsn + 4096;
    reg_ring_rewind(image->shared, lsn);
    ok(reg_writer_init(&writer, image->reg, &image->state, lsn, lsn, ERR));
    for (unsigned i = 0; i < count; i++) {
        struct keyed record;
        struct tx_map_entry entry;
        make_record(&record, reg_random(seed) % 40, reg_random(seed) % (name_max + 1), seed);
        if (reg_random(seed) % 100 < remove_percent) {
            if (tx_map_at_or_after(model, record.key.bytes, record.key.size, &entry)) {
                record.key = ((struct keyed *)entry.value)->key;
            }
            ok(reg_writer_remove(&writer, &record.key, ERR));
            (void)tx_map_remove(model, record.key.bytes, record.key.size);
        } else {
            ok(reg_writer_put(&writer, &record.key, record.value, record.size, ERR));
            model_set(model, &record);
        }
    }
    ok(reg_writer_finish(&writer, ERR));
    image->state = writer.state;
    image->lsn = lsn;
}

static void run_against_model(size_t name_max, uint64_t seed)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_map) model;
    reg_image_init(&image, NULL);
    tx_map_init(&model, tx_free);
    for (unsigned round = 0; round < reg_scaled(60); round++) {
        unsigned count = (unsigned)(reg_random(&seed) % 200);
        change(&image, &model, count, round % 20 < 12 ? 20 : 90, name_max, &seed);
        expect_equal(&image, &image.state, &model);
    }
    expect_points(&image, &model);
    while (model.count > 0) {
        change(&image, &model, 200, 100, name_max, &seed);
    }
    expect_equal(&image, &image.state, &model);
    cr_assert_eq(image.state.height, 1);
    cr_assert_eq(image.state.used_pages, 1);
}

Test(txreg_tree, short_names_match_a_map)
{
    run_against_model(12, 1);
}

Test(txreg_tree, long_names_match_a_map)
{
    run_against_model(REG_SHORT_NAME_MAX, 2);
}

Test(txreg_tree, longest_keys_split_pages)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_map) model;
    uint64_t seed = 3;
    reg_image_init(&image, NULL);
    tx_map_init(&model, tx_free);
    for (unsigned i = 0; i < 60; i++) {
        TX_AUTO(reg_writer) writer = {.reg = image.reg};
        struct keyed record;
        ok(reg_writer_init(&writer, image.reg, &image.state, 1, 1, ERR));
        make_record(&record, i % 3, REG_KEY_MAX - REG_KEY_HEAD, &seed);
        ok(reg_writer_put(&writer, &record.key, record.value, record.size, ERR));
        model_set(&model, &record);
        ok(reg_writer_finish(&writer, ERR));
        image.state = writer.state;
    }
    expect_equal(&image, &image.state, &model);
}

/* A key that shares nothing with a page full of long prefixes must not blow it up. */
Test(txreg_tree, divergent_key_is_split_off)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_map) model;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    reg_image_init(&image, NULL);
    tx_map_init(&model, tx_free);
    ok(reg_writer_init(&writer, image.reg, &image.state, 1, 1, ERR));
    for (unsigned i = 0; i < 400; i++) {
        struct keyed record = {.size = 1};
        reg_key_head(&record.key, 7, REG_VALUE);
        memset(record.key.bytes + record.key.size, 'M', 500);
        record.key.size = (uint16_t)(record.key.size + 500);
        record.key.bytes[record.key.size++] = (uint8_t)(i >> 8);
        record.key.bytes[record.key.size++] = (uint8_t)i;
        ok(reg_writer_put(&writer, &record.key, record.value, record.size, ERR));
        model_set(&model, &record);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct keyed record = {.size = 300};
        reg_key_head(&record.key, i == 0 ? 6 : 7, i == 0 ? REG_HEADER : REG_CHILD);
        ok(reg_writer_put(&writer, &record.key, record.value, record.size, ERR));
        model_set(&model, &record);
    }
    ok(reg_writer_finish(&writer, ERR));
    image.state = writer.state;
    expect_equal(&image, &image.state, &model);
    cr_assert_lt(image.state.used_pages, 12); /* the prefix is stored once per page */
}

Test(txreg_tree, sorted_load_fills_pages)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_writer) writer = {.reg = NULL};
    reg_image_init(&image, NULL);
    ok(reg_writer_init(&writer, image.reg, &image.state, 1, 1, ERR));
    size_t bytes = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct keyed record = {.size = 50};
        reg_key_head(&record.key, i + 2, REG_HEADER);
        ok(reg_writer_put(&writer, &record.key, record.value, record.size, ERR));
        bytes += record.size + 2 + REG_CELL_HEAD + 2;
    }
    ok(reg_writer_finish(&writer, ERR));
    cr_assert_lt(writer.state.used_pages * (size_t)REG_PAGE_SIZE, bytes * 11 / 10);
}

/* Trees that are still read, the steady one and older ones, stay what they were. */
Test(txreg_tree, reuse_never_touches_what_is_read)
{
    enum { KEPT = 5 };
    TX_AUTO(reg_image) image;
    struct tx_map models[KEPT];
    struct reg_state states[KEPT];
    uint8_t token[KTM_TOKEN_SIZE];
    TX_AUTO(tx_map) model;
    uint64_t seed = 4;
    uint32_t after_warm_up = 0;
    reg_image_init(&image, NULL);
    tx_map_init(&model, tx_free);
    change(&image, &model, 3000, 0, 12, &seed);
    for (unsigned round = 0; round < 40; round++) {
        /* Make steady, keep this state and the next few as snapshots, then let all of them go. */
        reg_state_encode(&image.state, token);
        ok(reg_rm_steady(image.reg, image.lsn, token, ERR));
        ok(reg_rm_trim(image.reg, image.lsn, image.lsn, ERR));
        for (unsigned i = 0; i < KEPT; i++) {
            struct tx_map_entry entry;
            tx_map_init(&models[i], tx_free);
            bool more = tx_map_at_or_after(&model, NULL, 0, &entry);
            while (more) {
                model_set(&models[i], entry.value);
                more = tx_map_after(&model, entry.key, entry.key_size, &entry);
            }
            states[i] = image.state;
            change(&image, &model, 30, 50, 12, &seed);
            reg_cache_release(image.reg); /* read the file, not memory */
            memset(image.reg->shards, 0, sizeof(image.reg->shards));
            for (unsigned j = 0; j <= i; j++) {
                expect_equal(&image, &states[j], &models[j]);
            }
        }
        for (unsigned i = 0; i < KEPT; i++) {
            tx_map_release(&models[i]);
        }
        expect_equal(&image, &image.state, &model);
        if (round == 10) {
            after_warm_up = image.state.page_count;
        }
    }
    cr_assert_lt(image.state.page_count, after_warm_up + 200, "pages are not used again");
}

Test(txreg_tree, repeated_redo_leaks_nothing)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_map) model;
    uint8_t token[KTM_TOKEN_SIZE];
    uint64_t seed = 5;
    reg_image_init(&image, NULL);
    tx_map_init(&model, tx_free);
    change(&image, &model, 500, 0, 12, &seed);
    change(&image, &model, 500, 0, 12, &seed);
    reg_state_encode(&image.state, token);
    ok(reg_rm_steady(image.reg, image.lsn, token, ERR));
    ok(reg_rm_trim(image.reg, image.lsn, image.lsn, ERR));
    struct reg_state before = image.state;
    tx_lsn lsn = image.lsn;
    uint32_t ring = 0;
    for (unsigned i = 0; i < 200; i++) { /* never published: always from the same state */
        TX_AUTO(tx_map) own;
        uint64_t again = 6;
        tx_map_init(&own, tx_free);
        image.state = before;
        image.lsn = lsn;
        change(&image, &own, 50, 0, 12, &again);
        cr_assert(i == 0 || reg_ring_count(image.shared) == ring);
        ring = reg_ring_count(image.shared);
    }
    expect_equal(&image, &before, &model);
}
