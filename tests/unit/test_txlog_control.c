/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"
#include "unit/temp_dir.h"

static int open_control(const struct temp_dir *temp)
{
    log_make(txio_posix(), temp->fd, 0);
    int fd = openat(temp->fd, CONTROL_NAME, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

Test(txlog_control, slot_fills_one_block)
{
    cr_assert_eq(tx_fields_size(control_fields), TXLOG_BLOCK_SIZE);
}

Test(txlog_control, both_slots_hold_the_same_after_a_change)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    struct control content;
    struct control_slots slots;
    ok(control_load(txio_posix(), fd, &content, &test_err));
    content.epoch = 77;
    ok(control_store(txio_posix(), fd, &content, &test_err));
    ok(control_read(txio_posix(), fd, &slots, &test_err));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(slots.status[i], TX_OK);
        cr_assert_eq(slots.slot[i].epoch, 77);
        cr_assert_eq(slots.slot[i].slot, (uint32_t)i);
        cr_assert_eq(memcmp(slots.slot[i].uuid, content.uuid, 16), 0);
    }
    cr_assert_eq(slots.slot[slots.newest].sequence,
                 slots.slot[1 - slots.newest].sequence + 1);
    (void)close(fd);
}

Test(txlog_control, either_slot_alone_is_enough)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    struct control before;
    struct control content;
    ok(control_load(txio_posix(), fd, &before, &test_err));
    for (uint64_t slot = 0; slot < 2; slot++) {
        file_flip(temp.fd, CONTROL_NAME, slot * TXLOG_BLOCK_SIZE + 300, 3);
        ok(control_load(txio_posix(), fd, &content, &test_err));
        cr_assert_eq(memcmp(content.uuid, before.uuid, 16), 0);
        cr_assert_eq(content.start_lsn, before.start_lsn);
        file_flip(temp.fd, CONTROL_NAME, slot * TXLOG_BLOCK_SIZE + 300, 3);
    }
    file_flip(temp.fd, CONTROL_NAME, 0, 0);
    file_flip(temp.fd, CONTROL_NAME, TXLOG_BLOCK_SIZE, 0);
    fails(TX_ECORRUPT, control_load(txio_posix(), fd, &content, &test_err));
    (void)close(fd);
}

Test(txlog_control, a_damaged_slot_is_written_first)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    struct control content;
    struct control_slots slots;
    for (int bad = 0; bad < 2; bad++) {
        ok(control_load(txio_posix(), fd, &content, &test_err));
        file_flip(temp.fd, CONTROL_NAME, (uint64_t)bad * TXLOG_BLOCK_SIZE, 1);
        ok(control_store(txio_posix(), fd, &content, &test_err));
        ok(control_read(txio_posix(), fd, &slots, &test_err));
        cr_assert_eq(slots.status[bad], TX_OK);
        cr_assert_eq(slots.newest, 1 - bad); /* written second */
    }
    (void)close(fd);
}

Test(txlog_control, slots_in_each_others_place_are_refused)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    uint8_t blocks[2][TXLOG_BLOCK_SIZE];
    struct control content;
    file_read(temp.fd, CONTROL_NAME, 0, blocks, sizeof(blocks));
    file_write(temp.fd, CONTROL_NAME, 0, blocks[1], TXLOG_BLOCK_SIZE);
    file_write(temp.fd, CONTROL_NAME, TXLOG_BLOCK_SIZE, blocks[0], TXLOG_BLOCK_SIZE);
    fails(TX_ECORRUPT, control_load(txio_posix(), fd, &content, &test_err));
    (void)close(fd);
}

/* Both slots with this field set and rightly sealed. */
static void load_with(const struct temp_dir *temp, int fd, size_t at, size_t width, uint64_t value,
                      enum tx_status wanted)
{
    uint8_t saved[2][TXLOG_BLOCK_SIZE];
    uint8_t blocks[2][TXLOG_BLOCK_SIZE];
    struct control content;
    file_read(temp->fd, CONTROL_NAME, 0, saved, sizeof(saved));
    memcpy(blocks, saved, sizeof(blocks));
    for (int slot = 0; slot < 2; slot++) {
        for (size_t i = 0; i < width; i++) {
            blocks[slot][at + i] = (uint8_t)(value >> 8 * i);
        }
        tx_put64(blocks[slot] + 112, block_seal(blocks[slot], 112));
    }
    file_write(temp->fd, CONTROL_NAME, 0, blocks, sizeof(blocks));
    fails(wanted, control_load(txio_posix(), fd, &content, &test_err));
    file_write(temp->fd, CONTROL_NAME, 0, saved, sizeof(saved));
}

Test(txlog_control, sealed_nonsense_is_refused)
{
    TX_AUTO(temp_dir) temp = temp_dir_new();
    int fd = open_control(&temp);
    load_with(&temp, fd, 8, 4, 2, TX_EVERSION);
    load_with(&temp, fd, 24, 8, 0, TX_ECORRUPT);          /* no identity: any log's segments fit */
    load_with(&temp, fd, 48, 8, 0, TX_ECORRUPT);          /* start_lsn */
    load_with(&temp, fd, 48, 8, 4097, TX_ECORRUPT);
    load_with(&temp, fd, 48, 8, UINT64_C(1) << 63, TX_ECORRUPT);
    load_with(&temp, fd, 72, 8, UINT64_C(1) << 63, TX_ECORRUPT); /* durable_lsn */
    load_with(&temp, fd, 72, 8, 0, TX_ECORRUPT);          /* durable before start */
    load_with(&temp, fd, 80, 8, 8192, TX_ECORRUPT);       /* clean end is not durable end */
    load_with(&temp, fd, 88, 4, 0, TX_ECORRUPT);          /* not clean, with an end */
    load_with(&temp, fd, 92, 4, 1, TX_ECORRUPT);          /* reserved */
    load_with(&temp, fd, 96, 8, 4096, TX_ECORRUPT);       /* segment size */
    load_with(&temp, fd, 96, 8, UINT64_MAX, TX_ECORRUPT);
    load_with(&temp, fd, 104, 8, 1, TX_ECORRUPT);          /* size limit */
    load_with(&temp, fd, 200, 1, 1, TX_ECORRUPT);         /* reserved */
    load_with(&temp, fd, 104, 8, 0, TX_OK);
    (void)close(fd);
}

static enum tx_status check_settings(uint64_t segment_size, uint64_t size_max)
{
    struct txlog_settings settings = {segment_size, size_max};
    struct control content;
    return control_settings_check(&settings, &content, &test_err);
}

Test(txlog_control, settings_have_limits)
{
    uint64_t least = TXLOG_SEGMENT_SIZE_MIN;
    uint64_t most = TXLOG_SEGMENT_SIZE_MAX;
    fails(TX_EINVAL, check_settings(least - 4096, 0));
    fails(TX_EINVAL, check_settings(least - 1, 0));
    ok(check_settings(least, 0));
    fails(TX_EINVAL, check_settings(least + 1, 0));
    ok(check_settings(least + 4096, 0));
    ok(check_settings(most, 0));
    fails(TX_EINVAL, check_settings(most + 1, 0));
    fails(TX_EINVAL, check_settings(most + 4096, 0));
    fails(TX_EINVAL, check_settings(least, 3 * least - 1));
    ok(check_settings(least, 3 * least));
    ok(check_settings(least, 3 * least + 1));
    ok(check_settings(0, 0));
}

/* --- What a living log finds there ------------------------------------------------------------ */

static void another_epoch(struct control *content)
{
    content->epoch--;
}

static void an_older_checkpoint(struct control *content)
{
    content->start_lsn -= TXLOG_BLOCK_SIZE;
}

static void the_clean_mark(struct control *content)
{
    content->flags |= CONTROL_CLEAN;
    content->end_lsn = content->durable_lsn;
}

/* As a disk leaves it that has put the last writing elsewhere. */
Test(txlog_control, what_is_not_the_last_writing_is_refused_by_those_who_use_the_log)
{
    void (*const edits[])(struct control *) = {another_epoch, an_older_checkpoint, the_clean_mark};
    for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
        TX_AUTO(temp_dir) temp = temp_dir_new();
        struct log_user user;
        log_make(txio_posix(), temp.fd, 0);
        log_open(&user, txio_posix(), temp.fd);
        log_put_forced(&user, 1, 100);
        tx_lsn end = log_info(&user).append_lsn;
        ok(txlog_trim(user.log, end, &test_err));
        control_edit(temp.fd, edits[i]);
        fails(TX_ECORRUPT, txlog_trim(user.log, end, &test_err));
        cr_assert_not_null(strstr(test_err.text, "not what was written to it last"), "%s",
                           test_err.text);
        cr_assert(txlog_is_poisoned(user.log));
        log_close(&user);
    }
}
