/* SPDX-License-Identifier: MIT */
/* Undoing commits; reading entries as changes. */
#include "reg_fixture.h"

#include <stdio.h>

#define WORLD()                                                                                    \
    TX_AUTO(reg_world) world;                                                                      \
    TX_AUTO(reg_place) place;                                                                      \
    reg_world_init(&world, NULL);                                                                  \
    reg_place_boot(&place, &world)

static void make_state(struct reg_place *place)
{
    uint8_t large[3000];
    memset(large, 5, sizeof(large));
    struct ktm_txn *txn = reg_begin(place, 0);
    ok(txreg_create(txn, "a\\b\\c", "class of c", NULL, ERR));
    ok(txreg_create(txn, "a\\Other", NULL, NULL, ERR));
    reg_put(txn, "a\\b\\c", "One", "1");
    ok(txreg_set(txn, "a\\b\\c", "", 77, large, sizeof(large), ERR));
    reg_put(txn, "a\\other", "v", "old");
    (void)reg_commit(txn);
}

static void change_much(struct ktm_txn *txn)
{
    ok(txreg_rename(txn, "a\\other", "renamed", ERR));
    reg_put(txn, "a\\renamed", "v", "new");
    reg_put(txn, "a\\renamed", "v", "newer");
    ok(txreg_unset(txn, "a\\renamed", "v", ERR));
    reg_put(txn, "a\\renamed", "w", "1");
    ok(txreg_delete_tree(txn, "A\\B", ERR));
    ok(txreg_create(txn, "a\\B\\deep\\down", "another", NULL, ERR));
    reg_put(txn, "a\\b\\deep", "d", "1");
    ok(txreg_rename(txn, "a\\renamed", "RENAMED", ERR));
}

/* Make the change, undo it (from the commit's own entries), compare. */
struct undo {
    struct reg_place *place;
    enum tx_status wanted;
    tx_lsn lsn;
    unsigned found;
};

static enum tx_status undo_commit(void *arg, const struct ktm_commit_info *commit,
                                  struct tx_error *err)
{
    struct undo *undo = arg;
    if (commit->lsn != undo->lsn) {
        return TX_OK;
    }
    undo->found++;
    struct ktm_txn *txn = reg_begin(undo->place, 0);
    enum tx_status status = txreg_revert(txn, commit->entries, err);
    cr_assert_eq(status, undo->wanted, "%s: %s", tx_status_name(status), err->text);
    if (status == TX_OK) {
        (void)reg_commit(txn);
    } else {
        ktm_rollback(txn);
    }
    return TX_OK;
}

static void undo(struct reg_place *place, tx_lsn lsn, enum tx_status wanted)
{
    struct undo job = {place, wanted, lsn, 0};
    ok(ktm_each_commit(place->tm, lsn, ktm_published(place->tm), undo_commit, &job, ERR));
    cr_assert_eq(job.found, 1);
}

static void dump_now(struct reg_place *place, struct tx_buf *text)
{
    struct ktm_txn *txn = reg_begin(place, KTM_READ_ONLY);
    tx_buf_clear(text);
    reg_dump(txn, "", text);
    ok(tx_buf_put8(text, 0, ERR));
    ktm_rollback(txn);
}

Test(txreg_revert, undoes_every_kind_of_change)
{
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    WORLD();
    make_state(&place);
    dump_now(&place, &before);
    struct ktm_txn *txn = reg_begin(&place, 0);
    change_much(txn);
    tx_lsn lsn = reg_commit(txn);
    undo(&place, lsn, TX_OK);
    dump_now(&place, &after);
    cr_assert_str_eq((char *)after.data, (char *)before.data);
    undo(&place, lsn, TX_ECONFLICT); /* it is undone already */
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

static void expect_conflict(void (*later)(struct ktm_txn *txn))
{
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    WORLD();
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    change_much(txn);
    tx_lsn lsn = reg_commit(txn);
    txn = reg_begin(&place, 0);
    later(txn);
    (void)reg_commit(txn);
    dump_now(&place, &before);
    undo(&place, lsn, TX_ECONFLICT);
    dump_now(&place, &after);
    cr_assert_str_eq((char *)after.data, (char *)before.data);
}

static void set_v(struct ktm_txn *txn)
{
    reg_put(txn, "a\\renamed", "v", "later");
}
static void set_w(struct ktm_txn *txn)
{
    reg_put(txn, "a\\renamed", "w", "later");
}
static void set_other(struct ktm_txn *txn)
{
    reg_put(txn, "a\\renamed", "w", "2");
}
static void set_type(struct ktm_txn *txn)
{
    ok(txreg_set(txn, "a\\renamed", "w", TXREG_BINARY, "1\0\0", 4, ERR));
}
static void add_value(struct ktm_txn *txn)
{
    reg_put(txn, "a\\b\\deep\\down", "x", "later");
}
static void add_key(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "a\\b\\deep\\down\\below", NULL, NULL, ERR));
}
static void take_name(struct ktm_txn *txn)
{
    ok(txreg_create(txn, "a\\other", NULL, NULL, ERR));
}
static void drop_all(struct ktm_txn *txn)
{
    ok(txreg_delete_tree(txn, "a", ERR));
}

Test(txreg_revert, later_changes_conflict)
{
    expect_conflict(set_v);
    expect_conflict(set_w);
    expect_conflict(set_other);
    expect_conflict(set_type);
    expect_conflict(add_value);
    expect_conflict(add_key);
    expect_conflict(take_name);
    expect_conflict(drop_all);
}

static const char *describe(const struct txreg_change *change, char *text, size_t size)
{
    static const char *const kinds[] = {"create", "delete", "rename", "set", "unset"};
    (void)snprintf(text, size, "%s %s|%s|%u:%zu|%d:%u:%zu", kinds[change->kind], change->key,
                   change->name != NULL ? change->name : "-", change->type, change->size,
                   change->existed, change->old_type, change->old_size);
    return text;
}

Test(txreg_revert, entries_are_read_as_changes)
{
    static const char *const wanted[] = {
        "rename a\\Other|renamed|0:0|0:0:5", "set a\\renamed|v|1:8|1:1:8",
        "set a\\renamed|v|1:12|1:1:8",       "unset a\\renamed|v|0:0|1:1:12",
        "set a\\renamed|w|1:4|0:0:0",        "unset a\\b\\c||0:0|1:77:3000",
        "unset a\\b\\c|One|0:0|1:1:4",      "delete a\\b\\c|-|0:0|1:0:10",
        "delete a\\b|-|0:0|1:0:0",           "create a\\B||0:0|0:0:0",
        "create a\\B\\deep||0:0|0:0:0",      "create a\\B\\deep\\down|another|0:0|0:0:0",
        "set a\\B\\deep|d|1:4|0:0:0",        "rename a\\renamed|RENAMED|0:0|0:0:7",
    };
    char text[200];
    size_t count = 0;
    WORLD();
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    change_much(txn);
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    struct ktm_change entry;
    struct txreg_change change;
    while (ktm_cursor_next(&cursor, &entry)) {
        ok(txreg_change_decode(&entry, &change, ERR));
        cr_assert_lt(count, sizeof(wanted) / sizeof(wanted[0]));
        cr_assert_str_eq(describe(&change, text, sizeof(text)), wanted[count]);
        count++;
    }
    cr_assert_eq(count, sizeof(wanted) / sizeof(wanted[0]));
    ktm_rollback(txn);
}

/* Any byte of an entry changed or cut off: an answer, never more than its body is read. */
Test(txreg_revert, malformed_entries_are_refused)
{
    WORLD();
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    reg_put(txn, "a", "v", "1");
    struct ktm_cursor cursor = ktm_txn_entries(txn);
    struct ktm_change entry;
    struct txreg_change change;
    cr_assert(ktm_cursor_next(&cursor, &entry));
    for (size_t size = 0; size < entry.body_size; size++) {
        struct ktm_change cut = entry;
        uint8_t *body = malloc(size + 1); /* so that an overrun is seen */
        memcpy(body, entry.body, size);
        cut.body = body;
        cut.body_size = size;
        fails(TX_ECORRUPT, txreg_change_decode(&cut, &change, ERR));
        free(body);
    }
    for (size_t at = 16; at < REG_ENTRY_HEAD; at++) { /* sizes and types */
        uint8_t *body = malloc(entry.body_size);
        struct ktm_change bad = entry;
        memcpy(body, entry.body, entry.body_size);
        body[at] ^= 0x41;
        bad.body = body;
        enum tx_status status = txreg_change_decode(&bad, &change, ERR);
        cr_assert(status == TX_OK || status == TX_ECORRUPT);
        free(body);
    }
    struct ktm_change other = entry;
    other.op = 6;
    fails(TX_ECORRUPT, txreg_change_decode(&other, &change, ERR));
    other = entry;
    other.flags = 2;
    fails(TX_ECORRUPT, txreg_change_decode(&other, &change, ERR));
    other = entry;
    other.rm = TXREG_RM + 1;
    fails(TX_EINVAL, txreg_change_decode(&other, &change, ERR));
    ktm_rollback(txn);
}

/* A key that was deleted and is there again is another one. */
Test(txreg_revert, a_key_made_anew_is_not_the_deleted_one)
{
    WORLD();
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_delete(txn, "a\\b\\c", ERR));
    tx_lsn lsn = reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a\\b\\C", NULL, NULL, ERR));
    (void)reg_commit(txn);
    undo(&place, lsn, TX_ECONFLICT);
}

/* What is above it may be gone. */
Test(txreg_revert, a_key_below_nothing_is_not_made)
{
    WORLD();
    make_state(&place);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_delete(txn, "a\\b\\c", ERR));
    tx_lsn lsn = reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_delete_tree(txn, "a", ERR));
    (void)reg_commit(txn);
    undo(&place, lsn, TX_ECONFLICT);
}

Test(txreg_revert, a_key_below_the_root_gets_its_name_back)
{
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    WORLD();
    make_state(&place);
    dump_now(&place, &before);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_rename(txn, "a", "b", ERR));
    tx_lsn lsn = reg_commit(txn);
    undo(&place, lsn, TX_OK);
    dump_now(&place, &after);
    cr_assert_str_eq((char *)after.data, (char *)before.data);
}
