/* SPDX-License-Identifier: MIT */
#include "reg_fixture.h"

#include <sys/mman.h>

#include "base/text.h"

struct tx_error reg_err;

static void *shared_pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

void reg_world_init(struct reg_world *world, struct txio *io)
{
    struct txlog_settings settings = {.segment_size = 1u << 20};
    struct txlog_identity identity;
    world->temp = temp_dir_new();
    world->io = io != NULL ? io : txio_posix();
    world->log_shared = shared_pages(txlog_shared_size());
    world->ktm_shared = shared_pages(ktm_shared_size(REG_CONFLICTS));
    world->reg_shared = shared_pages(txreg_shared_size());
    ok(txlog_create(txio_posix(), world->temp.fd, &settings, &identity, ERR));
    ok(txreg_image_create(txio_posix(), world->temp.fd, ERR));
}

void reg_world_auto(struct reg_world *world)
{
    temp_dir_auto(&world->temp);
    (void)munmap(world->log_shared, txlog_shared_size());
    (void)munmap(world->ktm_shared, ktm_shared_size(REG_CONFLICTS));
    (void)munmap(world->reg_shared, txreg_shared_size());
}

static enum tx_status wire(struct reg_place *place)
{
    struct reg_world *world = place->world;
    struct txreg_options registry = {
        .io = world->io, .store_dir = world->temp.fd, .shared = world->reg_shared};
    TX_TRY(txreg_rm_open(&registry, &place->reg, ERR));
    struct ktm_options options = {
        .io = world->io,
        .store_dir = world->temp.fd,
        .log = place->log,
        .shared = world->ktm_shared,
        .conflict_entries = REG_CONFLICTS,
    };
    options.rm_ops[TXREG_RM] = txreg_rm_ops();
    options.rms[TXREG_RM] = place->reg;
    return ktm_open(&options, &place->tm, ERR);
}

enum tx_status reg_place_try_boot(struct reg_place *place, struct reg_world *world)
{
    *place = (struct reg_place){.world = world};
    memset(world->log_shared, 0, txlog_shared_size());
    memset(world->ktm_shared, 0, ktm_shared_size(REG_CONFLICTS));
    memset(world->reg_shared, 0, txreg_shared_size());
    TX_TRY(txlog_open(world->io, world->temp.fd, TXLOG_READWRITE, world->log_shared, &place->log,
                      ERR));
    TX_TRY(txlog_recover(place->log, &place->recovery.log, ERR));
    TX_TRY(wire(place));
    return ktm_recover(place->tm, &place->recovery, ERR);
}

void reg_place_boot(struct reg_place *place, struct reg_world *world)
{
    ok(reg_place_try_boot(place, world));
}

void reg_place_join(struct reg_place *place, struct reg_world *world)
{
    *place = (struct reg_place){.world = world};
    ok(txlog_open(world->io, world->temp.fd, TXLOG_READWRITE, world->log_shared, &place->log, ERR));
    ok(wire(place));
}

void reg_place_auto(struct reg_place *place)
{
    if (place->tm != NULL) {
        ktm_close(place->tm);
    }
    if (place->reg != NULL) {
        txreg_rm_close(place->reg);
    }
    if (place->log != NULL) {
        txlog_close(place->log);
    }
    *place = (struct reg_place){.world = place->world};
}

void reg_place_crash(struct reg_place *place)
{
    struct reg_world *world = place->world;
    reg_place_auto(place);
    reg_place_boot(place, world);
}

struct ktm_txn *reg_begin(struct reg_place *place, uint32_t flags)
{
    struct ktm_begin_options options = {.flags = flags};
    struct ktm_txn *txn = NULL;
    ok(ktm_begin(place->tm, &options, &txn, ERR));
    return txn;
}

tx_lsn reg_commit(struct ktm_txn *txn)
{
    tx_lsn lsn = 0;
    ok(ktm_commit(txn, &lsn, ERR));
    return lsn;
}

void reg_put(struct ktm_txn *txn, const char *key, const char *name, const char *text)
{
    ok(txreg_set_string(txn, key, name, text, ERR));
}

void reg_expect(struct ktm_txn *txn, const char *key, const char *name, const char *text)
{
    char *found = NULL;
    ok(txreg_get_string(txn, key, name, &found, ERR));
    cr_assert_str_eq(found, text);
    tx_free(found);
}

void reg_expect_none(struct ktm_txn *txn, const char *key, const char *name)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    fails(TX_ENOTFOUND, txreg_get(txn, key, name, NULL, &data, ERR));
}

void reg_expect_key(struct ktm_txn *txn, const char *key, bool exists)
{
    fails(exists ? TX_OK : TX_ENOTFOUND, txreg_query(txn, key, NULL, ERR));
}

static void print_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    (void)arg;
    cr_log_error("%s at %llu: %s", file, (unsigned long long)offset, text);
}

uint64_t reg_faults(struct reg_world *world)
{
    uint64_t faults = 0;
    ok(txreg_check(world->io, world->temp.fd, print_fault, NULL, &faults, ERR));
    return faults;
}

struct dump {
    struct ktm_txn *txn;
    struct tx_buf *text;
    struct tx_buf keys; /* names with their NULs */
};

static enum tx_status dump_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                 size_t size, struct tx_error *err)
{
    struct dump *dump = arg;
    TX_TRY(tx_buf_printf(dump->text, err, "%s:%u:%zu:", name, type, size));
    for (size_t i = 0; i < size && i < 64; i++) {
        TX_TRY(tx_buf_printf(dump->text, err, "%02x", data[i]));
    }
    return tx_buf_append_text(dump->text, ";", err);
}

static enum tx_status dump_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    struct dump *dump = arg;
    return tx_buf_append(&dump->keys, info->name, strlen(info->name) + 1, err);
}

void reg_dump(struct ktm_txn *txn, const char *key, struct tx_buf *text)
{
    struct dump dump = {txn, text, TX_BUF_INIT};
    struct txreg_key_info info;
    ok(txreg_query(txn, key, &info, ERR));
    ok(tx_buf_printf(text, ERR, "[%s|%s|%llu|%llu](", key, info.class_name,
                     (unsigned long long)info.subkey_count, (unsigned long long)info.value_count));
    ok(txreg_each_value(txn, key, dump_value, &dump, ERR));
    ok(tx_buf_append_text(text, ")\n", ERR));
    ok(txreg_each_key(txn, key, dump_key, &dump, ERR));
    for (size_t at = 0; at < dump.keys.size; at += strlen((char *)dump.keys.data + at) + 1) {
        TX_AUTO(tx_buf) path = TX_BUF_INIT;
        ok(tx_buf_printf(&path, ERR, "%s%s%s", key, *key != 0 ? "\\" : "",
                         (char *)dump.keys.data + at));
        ok(tx_buf_put8(&path, 0, ERR));
        reg_dump(txn, (char *)path.data, text);
    }
    tx_buf_release(&dump.keys);
}

static void load_image(struct reg_image *image, struct txio *io)
{
    uint8_t token[KTM_TOKEN_SIZE];
    struct txreg_options options = {
        .io = io != NULL ? io : txio_posix(), .store_dir = image->temp.fd, .shared = image->shared};
    memset(image->shared, 0, txreg_shared_size());
    ok(txreg_rm_open(&options, &image->reg, ERR));
    ok(reg_rm_open_steady(image->reg, &image->lsn, token, ERR));
    ok(reg_state_decode(&image->state, token, ERR));
    reg_ring_set_searched(image->shared);
}

void reg_image_init(struct reg_image *image, struct txio *io)
{
    image->temp = temp_dir_new();
    image->shared = shared_pages(txreg_shared_size());
    ok(txreg_image_create(txio_posix(), image->temp.fd, ERR));
    load_image(image, io);
}

void reg_image_auto(struct reg_image *image)
{
    txreg_rm_close(image->reg);
    temp_dir_auto(&image->temp);
    (void)munmap(image->shared, txreg_shared_size());
}

void reg_image_reopen(struct reg_image *image, struct txio *io)
{
    txreg_rm_close(image->reg);
    load_image(image, io);
}

void reg_put_record(struct reg_writer *writer, uint64_t id, enum reg_kind kind, const char *rest,
                    const void *data, size_t size)
{
    struct reg_key key;
    reg_key_head(&key, id, kind);
    memcpy(key.bytes + key.size, rest, strlen(rest));
    key.size = (uint16_t)(key.size + strlen(rest));
    ok(reg_writer_put(writer, &key, data, size, ERR));
}

void reg_put_short_key(struct reg_writer *writer)
{
    struct reg_key key = {.size = 3, .bytes = "key"};
    ok(reg_writer_put(writer, &key, (const uint8_t *)"?", 1, ERR));
}

unsigned reg_scaled(unsigned count)
{
    const char *scale = getenv("TXKIT_TEST_SCALE");
    double scaled = scale != NULL ? count * strtod(scale, NULL) : count;
    return scaled < 1 ? 1 : (unsigned)scaled;
}
