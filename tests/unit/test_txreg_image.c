/* SPDX-License-Identifier: MIT */
/* The image file: root slots, their damage, and every place where steady can be cut off. */
#include "reg_fixture.h"

#include <stdio.h>

/* A seam that remembers what the image's disk has for certain and what is still on its way. */
struct pending {
    uint64_t offset;
    size_t size;
    uint8_t *data;
};
struct recorder {
    struct txio io; /* first */
    struct txio_ops ops;
    struct tx_buf durable;
    struct pending pending[64];
    unsigned count;
    void (*fn)(struct recorder *recorder); /* before each write and sync */
    void *arg;
};

static void lay(struct tx_buf *image, const struct pending *write, size_t from, size_t to)
{
    uint8_t *at;
    if (image->size < write->offset + to) {
        ok(tx_buf_extend(image, write->offset + to - image->size, &at, ERR));
    }
    memcpy(image->data + write->offset + from, write->data + from, to - from);
}

static int64_t record_pwritev(struct txio *io, int fd, const struct iovec *parts, int count,
                              uint64_t offset)
{
    struct recorder *self = (struct recorder *)io;
    if (self->fn != NULL) {
        self->fn(self);
    }
    struct pending *write = &self->pending[self->count++];
    cr_assert_lt(self->count, 64);
    *write = (struct pending){.offset = offset};
    for (int i = 0; i < count; i++) {
        write->data = realloc(write->data, write->size + parts[i].iov_len);
        memcpy(write->data + write->size, parts[i].iov_base, parts[i].iov_len);
        write->size += parts[i].iov_len;
    }
    return txio_posix()->ops->pwritev(io, fd, parts, count, offset);
}

static int record_datasync(struct txio *io, int fd)
{
    struct recorder *self = (struct recorder *)io;
    (void)fd;
    if (self->fn != NULL) {
        self->fn(self);
    }
    for (unsigned i = 0; i < self->count; i++) {
        lay(&self->durable, &self->pending[i], 0, self->pending[i].size);
        free(self->pending[i].data);
    }
    self->count = 0;
    return 0;
}

static struct txio *recorder_init(struct recorder *self)
{
    memset(self, 0, sizeof(*self));
    self->ops = *txio_posix()->ops;
    self->io.ops = &self->ops;
    self->ops.pwritev = record_pwritev;
    self->ops.datasync = record_datasync;
    return &self->io;
}

static void read_image(struct reg_image *image, struct tx_buf *data)
{
    struct stat stat;
    int fd = openat(image->temp.fd, REG_IMAGE_PATH, O_RDONLY);
    uint8_t *at;
    cr_assert(fd >= 0 && fstat(fd, &stat) == 0);
    tx_buf_clear(data);
    ok(tx_buf_extend(data, (size_t)stat.st_size, &at, ERR));
    cr_assert_eq(read(fd, at, data->size), (ssize_t)data->size);
    (void)close(fd);
}

static void write_image(struct temp_dir *temp, const struct tx_buf *data)
{
    int fd = openat(temp->fd, REG_IMAGE_PATH, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, data->data, data->size), (ssize_t)data->size);
    (void)close(fd);
}

/* One number for all records of a state. */
static enum tx_status sum_tree(struct txreg *reg, const struct reg_state *state, uint64_t *sum)
{
    TX_AUTO(reg_tree) tree;
    TX_AUTO(reg_cursor) cursor;
    reg_tree_open(&tree, reg, state);
    reg_cursor_init(&cursor, &tree);
    *sum = 1;
    TX_TRY(reg_cursor_seek(&cursor, (const uint8_t *)"", 0, ERR));
    while (cursor.valid) {
        for (size_t i = 0; i < cursor.key.size; i++) {
            *sum = *sum * 31 + cursor.key.bytes[i];
        }
        for (size_t i = 0; i < cursor.payload_size; i++) {
            *sum = *sum * 31 + cursor.payload[i];
        }
        TX_TRY(reg_cursor_next(&cursor, ERR));
    }
    return TX_OK;
}

static void change(struct reg_image *image, unsigned count, uint64_t *seed)
{
    TX_AUTO(reg_writer) writer = {.reg = image->reg};
    tx_lsn lsn = image->lsn + 4096;
    ok(reg_writer_init(&writer, image->reg, &image->state, lsn, lsn, ERR));
    for (unsigned i = 0; i < count; i++) {
        struct reg_key key;
        uint8_t data[100];
        reg_key_head(&key, 2 + reg_random(seed) % 1000, REG_VALUE);
        memset(data, (int)reg_random(seed), sizeof(data));
        ok(reg_writer_put(&writer, &key, data, reg_random(seed) % sizeof(data), ERR));
    }
    ok(reg_writer_finish(&writer, ERR));
    image->state = writer.state;
    image->lsn = lsn;
}

static void steady(struct reg_image *image)
{
    uint8_t token[KTM_TOKEN_SIZE];
    reg_state_encode(&image->state, token);
    ok(reg_rm_steady(image->reg, image->lsn, token, ERR));
    ok(reg_rm_trim(image->reg, image->lsn, image->lsn, ERR));
}

Test(txreg_image, empty_image_has_the_root_key)
{
    TX_AUTO(reg_image) image;
    uint64_t faults = 1;
    reg_image_init(&image, NULL);
    cr_assert_eq(image.lsn, 0);
    cr_assert_eq(image.state.key_count, 1);
    ok(txreg_check(txio_posix(), image.temp.fd, NULL, NULL, &faults, ERR));
    cr_assert_eq(faults, 0);
    fails(TX_EEXIST, txreg_image_create(txio_posix(), image.temp.fd, ERR));
}

/* The records of these trees are no registry's, so only faults of slots count. */
static void count_slot_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    (void)file;
    (void)text;
    *(unsigned *)arg += offset < REG_SLOT_PAGES * REG_PAGE_SIZE && strstr(text, "slot") != NULL;
}

Test(txreg_image, one_damaged_slot_loses_nothing)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint64_t seed = 1;
    uint64_t wanted;
    reg_image_init(&image, NULL);
    change(&image, 500, &seed);
    steady(&image);
    ok(sum_tree(image.reg, &image.state, &wanted));
    read_image(&image, &data);
    for (size_t at = 0; at < 2 * REG_PAGE_SIZE; at += 61) {
        uint64_t sum;
        uint64_t faults = 0;
        tx_lsn lsn = image.lsn;
        data.data[at] ^= 1;
        write_image(&image.temp, &data);
        reg_image_reopen(&image, NULL);
        cr_assert_eq(image.lsn, lsn);
        ok(sum_tree(image.reg, &image.state, &sum));
        cr_assert_eq(sum, wanted);
        unsigned slot_faults = 0;
        ok(txreg_check(txio_posix(), image.temp.fd, count_slot_fault, &slot_faults, &faults, ERR));
        cr_assert_eq(slot_faults, 1);
        data.data[at] ^= 1;
    }
}

Test(txreg_image, two_damaged_slots_are_refused_with_their_place)
{
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint8_t token[KTM_TOKEN_SIZE];
    tx_lsn lsn;
    reg_image_init(&image, NULL);
    read_image(&image, &data);
    data.data[100] ^= 1;
    data.data[REG_PAGE_SIZE + 3000] ^= 1;
    write_image(&image.temp, &data);
    fails(TX_ECORRUPT, reg_rm_open_steady(image.reg, &lsn, token, ERR));
    cr_assert_not_null(strstr(reg_err.text, "reg/image"));
    cr_assert_not_null(strstr(reg_err.text, "offset"));
    fails(TX_ECORRUPT, txreg_steady_token(txio_posix(), image.temp.fd, &lsn, token, ERR));
}

static void reseal(uint8_t *page, uint32_t number)
{
    tx_put64(page + REG_AT_SEAL, reg_page_seal(page, number));
}

Test(txreg_image, other_versions_are_refused)
{
    static const size_t fields[] = {0, 4, 8}; /* format, page size, table of folding */
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    uint8_t token[KTM_TOKEN_SIZE];
    tx_lsn lsn;
    reg_image_init(&image, NULL);
    read_image(&image, &data);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        for (uint32_t slot = 0; slot < 2; slot++) {
            uint8_t *page = data.data + slot * REG_PAGE_SIZE;
            page[REG_PAGE_HEAD + fields[i]] ^= 2;
            reseal(page, slot);
        }
        write_image(&image.temp, &data);
        fails(TX_EVERSION, reg_rm_open_steady(image.reg, &lsn, token, ERR));
        for (uint32_t slot = 0; slot < 2; slot++) {
            uint8_t *page = data.data + slot * REG_PAGE_SIZE;
            page[REG_PAGE_HEAD + fields[i]] ^= 2;
            reseal(page, slot);
        }
    }
}

/* Every moment of two steady points, with any of the unforced writes lost or torn. */
struct moment {
    struct reg_image *other; /* where crash images are looked at */
    tx_lsn lsns[8];
    uint64_t sums[8];
    unsigned states;
    tx_lsn durable; /* what must not be lost any more */
    uint64_t seed;
    unsigned images;
    unsigned old_seen;
    unsigned new_seen;
};

static void look(struct moment *moment, const struct tx_buf *crashed)
{
    struct reg_image *other = moment->other;
    uint64_t sum;
    write_image(&other->temp, crashed);
    reg_image_reopen(other, NULL);
    ok(sum_tree(other->reg, &other->state, &sum));
    bool known = false;
    for (unsigned i = 0; i < moment->states; i++) {
        known = known || (moment->lsns[i] == other->lsn && moment->sums[i] == sum);
    }
    cr_assert(known, "lsn %llu is none of the states", (unsigned long long)other->lsn);
    cr_assert_geq(other->lsn, moment->durable);
    moment->old_seen += other->lsn == moment->durable;
    moment->new_seen += other->lsn > moment->durable;
    moment->images++;
}

static void crash_here(struct recorder *recorder)
{
    struct moment *moment = recorder->arg;
    for (unsigned round = 0; round < 12; round++) {
        TX_AUTO(tx_buf) crashed = TX_BUF_INIT;
        ok(tx_buf_append(&crashed, recorder->durable.data, recorder->durable.size, ERR));
        for (unsigned i = 0; i < recorder->count; i++) {
            const struct pending *write = &recorder->pending[i];
            for (size_t at = 0; at < write->size; at += 512) {
                bool whole = round < 4; /* whole writes lost or kept, then sectors of them */
                bool keep = round == 0   ? false
                            : round == 1 ? true
                            : whole      ? (at == 0 ? reg_random(&moment->seed) : 1) % 2
                                         : reg_random(&moment->seed) % 2;
                if (whole && round > 1 && at == 0 && !keep) {
                    break;
                }
                if (keep) {
                    lay(&crashed, write, at, at + 512);
                }
            }
        }
        look(moment, &crashed);
    }
}

Test(txreg_image, steady_may_be_cut_off_anywhere)
{
    struct recorder recorder;
    struct moment moment = {.seed = 5};
    uint64_t seed = 2;
    TX_AUTO(reg_image) image;
    TX_AUTO(reg_image) other;
    struct txio *io = recorder_init(&recorder);
    reg_image_init(&image, io);
    reg_image_init(&other, NULL);
    moment.other = &other;
    read_image(&image, &recorder.durable);
    moment.lsns[0] = image.lsn;
    ok(sum_tree(image.reg, &image.state, &moment.sums[0]));
    moment.states = 1;
    recorder.arg = &moment;
    for (unsigned i = 1; i < 8; i++) {
        change(&image, 60, &seed);
        moment.lsns[i] = image.lsn;
        ok(sum_tree(image.reg, &image.state, &moment.sums[i]));
        moment.states = i + 1;
        recorder.fn = crash_here;
        steady(&image);
        moment.durable = image.lsn;
        crash_here(&recorder);
        recorder.fn = NULL;
    }
    cr_assert_gt(moment.images, 200);
    cr_assert_gt(moment.old_seen, 50);
    cr_assert_gt(moment.new_seen, 20);
    tx_buf_release(&recorder.durable);
}

/* The power fails, and the disk leaves nonsense in the sector that it was writing. */
static void nonsense_here(struct recorder *recorder)
{
    TX_AUTO(tx_buf) crashed = TX_BUF_INIT;
    if (recorder->count > 0) {
        ok(tx_buf_append(&crashed, recorder->durable.data, recorder->durable.size, ERR));
        memset(crashed.data + recorder->pending[0].offset, 0xa5, 512);
        look(recorder->arg, &crashed);
    }
}

/* A power cut tore one slot; then the power is cut in the recovery, at every write. */
Test(txreg_image, the_slot_that_is_whole_is_not_written_over_first)
{
    for (unsigned torn = 0; torn < REG_SLOT_PAGES; torn++) {
        struct recorder recorder;
        struct moment moment = {.seed = 7 + torn};
        TX_AUTO(reg_image) image;
        TX_AUTO(reg_image) other;
        struct txio *io = recorder_init(&recorder);
        uint64_t seed = 4;
        reg_image_init(&image, io);
        reg_image_init(&other, NULL);
        moment.other = &other;
        read_image(&image, &recorder.durable);
        change(&image, 60, &seed);
        steady(&image);
        moment.lsns[0] = image.lsn;
        moment.durable = image.lsn;
        ok(sum_tree(image.reg, &image.state, &moment.sums[0]));
        moment.states = 1;
        memset(recorder.durable.data + torn * REG_PAGE_SIZE + 512, 0x5a, 512);
        write_image(&image.temp, &recorder.durable);
        reg_image_reopen(&image, io);
        recorder.arg = &moment;
        recorder.fn = nonsense_here;
        ok(reg_rm_confirm_steady(image.reg, ERR));
        recorder.fn = NULL;
        cr_assert_eq(moment.images, torn == 1 ? 3 : 2); /* slot 1 first, then both */
        tx_buf_release(&recorder.durable);
    }
}

/* What was opened may be in the page cache only. It is on the disk before redo writes to pages that
 * the slots on the disk may need. */
Test(txreg_image, slots_that_were_found_are_written_and_forced_again)
{
    struct recorder recorder;
    TX_AUTO(reg_image) image;
    TX_AUTO(tx_buf) old = TX_BUF_INIT;
    TX_AUTO(tx_buf) now = TX_BUF_INIT;
    struct txio *io = recorder_init(&recorder);
    uint64_t seed = 3;
    reg_image_init(&image, io);
    read_image(&image, &old);
    change(&image, 60, &seed);
    read_image(&image, &recorder.durable);
    steady(&image);
    read_image(&image, &now);
    memcpy(recorder.durable.data, old.data, REG_SLOT_PAGES * REG_PAGE_SIZE); /* the syncs lied */
    reg_image_reopen(&image, io);
    ok(reg_rm_confirm_steady(image.reg, ERR));
    cr_expect_eq(memcmp(recorder.durable.data, now.data, REG_SLOT_PAGES * REG_PAGE_SIZE), 0);
    cr_expect_eq(recorder.count, 0, "nothing is left to be forced");
    tx_buf_release(&recorder.durable);
}

/* The page cache may say so, and the disk not. */
Test(txreg_image, steady_again_is_written_again)
{
    struct recorder recorder;
    TX_AUTO(reg_image) image;
    struct txio *io = recorder_init(&recorder);
    uint64_t seed = 3;
    reg_image_init(&image, io);
    read_image(&image, &recorder.durable);
    change(&image, 60, &seed);
    steady(&image);
    tx_buf_clear(&recorder.durable);
    steady(&image);
    cr_assert_gt(recorder.durable.size, 0);
    tx_buf_release(&recorder.durable);
}
