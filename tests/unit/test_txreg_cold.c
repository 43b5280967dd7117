/* SPDX-License-Identifier: MIT */
/*
 * Every call of reg.h, the vote, undo and redo over a cache that keeps nothing, so that each look
 * at the image needs memory and a read: any of them may fail, and then the call says so, nothing is
 * left behind and the registry is what it was.
 *
 * Names are not ASCII, so that folding them needs memory, and texts are as long as buffers are, so
 * that the NUL behind them needs more.
 */
#include "reg_fixture.h"

#include <stdio.h>

#include "failing_alloc.h"
#include "failing_io.h"

#define TEXT_10 "Schlüssel"                               /* 10 bytes */
#define KEY_24 "Größe\\" TEXT_10 "-abcde"                 /* 7 + 1 + 16 bytes */
#define KEY_64 KEY_24 "\\" TEXT_10 TEXT_10 TEXT_10 "ß-abcdef" /* 25 + 39 bytes */
#define VALUE_64 TEXT_10 TEXT_10 TEXT_10 TEXT_10 TEXT_10 TEXT_10 "abcd"
#define LAST_64 TEXT_10 TEXT_10 TEXT_10 TEXT_10 TEXT_10 TEXT_10 "last"
#define VALUE_23 TEXT_10 TEXT_10 "abc"
#define VALUE_30 TEXT_10 TEXT_10 TEXT_10

static char long_name[6000]; /* lies in overflow pages, two of them */
static char other_long_name[6000];
static uint8_t large[70000]; /* not cached, with a list page */

static struct failing_io io;
static struct reg_world world;
static struct reg_place place;

/* Records on many leaves: what belongs to a key lies apart from its header. */
static void spread(struct ktm_txn *txn, const char *key)
{
    uint8_t data[500] = {4};
    char name[600];
    for (unsigned i = 0; i < 7; i++) {
        (void)snprintf(name, sizeof(name), "Füllung %u", i);
        ok(txreg_set(txn, key, name, TXREG_BINARY, data, sizeof(data), ERR));
    }
    for (unsigned i = 0; i < 16; i++) {
        (void)snprintf(name, sizeof(name), "%s%sÜbrig %u %0200u", key, *key != 0 ? "\\" : "", i, i);
        ok(txreg_create(txn, name, NULL, NULL, ERR));
    }
}

static void fill(void)
{
    static const char *const keys[] = {"", "Größe", KEY_24, KEY_64, KEY_64 "\\Ü1", "Löschen"};
    struct ktm_txn *txn = reg_begin(&place, 0);
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ok(txreg_create(txn, keys[i], VALUE_64, NULL, ERR));
        ok(txreg_set(txn, keys[i], VALUE_64, 3, large, 64, ERR)); /* the first in order */
        spread(txn, keys[i]);
        ok(txreg_set(txn, keys[i], VALUE_23, 3, large, 2000, ERR));
        ok(txreg_set(txn, keys[i], long_name, 70000, large, 5000, ERR));
        ok(txreg_set(txn, keys[i], "Größtes", 3, large, sizeof(large), ERR));
        ok(txreg_set_string(txn, keys[i], "Text", VALUE_64, ERR));
        ok(txreg_set(txn, keys[i], LAST_64, 3, large, 64, ERR)); /* the last in order */
    }
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
}

static void cool(void)
{
    reg_cache_release(place.reg);
    memset(place.reg->shards, 0, sizeof(place.reg->shards));
}

/* The size of the cache's table, which is never given while a test looks. */
static size_t table_size(void)
{
    struct reg_page *page = NULL;
    uint8_t token[KTM_TOKEN_SIZE];
    struct reg_state state;
    ktm_published_token(place.tm, TXREG_RM, token);
    ok(reg_state_decode(&state, token, ERR));
    cool();
    failing_alloc_begin(SIZE_MAX);
    ok(reg_cache_get(place.reg, (struct reg_ref){state.root_page, state.root_seal}, &page, ERR));
    reg_page_drop(page);
    cool();
    (void)failing_alloc_end();
    cr_assert_gt(failing_alloc.largest, sizeof(*page));
    return failing_alloc.largest;
}

static void setup(void)
{
    memset(long_name, 'n', sizeof(long_name) - 1);
    memset(other_long_name, 'o', sizeof(other_long_name) - 1);
    memset(large, 5, sizeof(large));
    reg_world_init(&world, failing_io_init(&io, -1, -EIO));
    reg_place_boot(&place, &world);
    fill();
}

static void teardown(void)
{
    reg_place_auto(&place);
    reg_world_auto(&world);
}

TestSuite(txreg_cold, .init = setup, .fini = teardown, .timeout = 300);

static enum tx_status see_value(void *arg, const char *name, uint32_t type, const uint8_t *data,
                                size_t size, struct tx_error *err)
{
    (void)arg;
    (void)name;
    (void)type;
    (void)err;
    cr_assert(size == 0 || data[0] != 0);
    return TX_OK;
}

static enum tx_status see_key(void *arg, const struct txreg_key_info *info, struct tx_error *err)
{
    (void)arg;
    (void)err;
    cr_assert(*info->name != 0);
    return TX_OK;
}

/* One call each, or what it needs to come first in the same transaction. */
static enum tx_status create(struct ktm_txn *txn)
{
    TX_TRY(txreg_create(txn, KEY_64 "\\Neu\\Ä\\Ö", VALUE_64, NULL, ERR));
    TX_TRY(txreg_create(txn, KEY_24 "\\Größer", VALUE_23, NULL, ERR));
    return txreg_create(txn, VALUE_64, NULL, NULL, ERR);
}
static enum tx_status query(struct ktm_txn *txn)
{
    struct txreg_key_info info;
    TX_TRY(txreg_query(txn, KEY_64, &info, ERR));
    TX_TRY(txreg_query(txn, "", &info, ERR));
    return txreg_create(txn, KEY_64 "\\Ü1", NULL, NULL, ERR);
}
static enum tx_status miss(struct ktm_txn *txn)
{
    enum tx_status status = txreg_query(txn, KEY_64 "\\Fählt\\Ö", NULL, ERR);
    return status == TX_ENOTFOUND ? TX_OK : status;
}
static enum tx_status get(struct ktm_txn *txn)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_TRY(txreg_get(txn, KEY_64, VALUE_64, NULL, &data, ERR));
    return txreg_get(txn, KEY_24, VALUE_23, NULL, &data, ERR);
}
static enum tx_status get_large(struct ktm_txn *txn)
{
    TX_AUTO(tx_buf) data = TX_BUF_INIT;
    TX_TRY(txreg_get(txn, KEY_64, "Größtes", NULL, &data, ERR));
    cr_assert(data.size == sizeof(large) && memcmp(data.data, large, data.size) == 0);
    TX_TRY(txreg_get(txn, KEY_64, long_name, NULL, &data, ERR));
    cr_assert(data.size == 5000 && memcmp(data.data, large, data.size) == 0);
    return TX_OK;
}
static enum tx_status get_string(struct ktm_txn *txn)
{
    char *text = NULL;
    TX_TRY(txreg_get_string(txn, KEY_64, "Text", &text, ERR));
    cr_assert_str_eq(text, VALUE_64);
    tx_free(text);
    return TX_OK;
}
static enum tx_status set(struct ktm_txn *txn)
{
    TX_TRY(txreg_set(txn, KEY_64, VALUE_64, 3, large, 700, ERR));
    TX_TRY(txreg_set(txn, KEY_24, VALUE_64, 3, large, 700, ERR));
    TX_TRY(txreg_set(txn, KEY_24, "Leer", 3, large, 0, ERR));
    TX_TRY(txreg_set(txn, KEY_64, VALUE_23, 3, large, 2001, ERR));
    return txreg_set(txn, KEY_24, "Größtes", 3, large, 1000, ERR);
}
static enum tx_status set_new(struct ktm_txn *txn)
{
    TX_TRY(txreg_set(txn, KEY_64, VALUE_23 "?", 3, large, 3000, ERR));
    TX_TRY(txreg_set(txn, KEY_24, VALUE_30, 3, large, 3000, ERR));
    return txreg_set_string(txn, KEY_24, "Länge", "0123456789abcdef0123456789abcdef", ERR);
}
static enum tx_status set_long(struct ktm_txn *txn)
{
    TX_TRY(txreg_set(txn, KEY_64, long_name, 3, large, 100, ERR));
    TX_TRY(txreg_set(txn, KEY_64, other_long_name, 3, large, 0, ERR));
    return txreg_set(txn, KEY_64, other_long_name, 3, large, 70000, ERR);
}
static enum tx_status unset(struct ktm_txn *txn)
{
    TX_TRY(txreg_unset(txn, KEY_64, VALUE_64, ERR));
    TX_TRY(txreg_unset(txn, KEY_24, long_name, ERR));
    return txreg_unset(txn, "", "Größtes", ERR);
}
static enum tx_status list_values(struct ktm_txn *txn)
{
    TX_TRY(txreg_each_value(txn, KEY_64, see_value, NULL, ERR));
    for (unsigned i = 0; i < 7; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "Füllung %u", i);
        TX_TRY(txreg_set(txn, KEY_64, name, 3, large, 10, ERR));
    }
    return txreg_each_value(txn, KEY_64, see_value, NULL, ERR);
}
static enum tx_status list_keys(struct ktm_txn *txn)
{
    TX_TRY(txreg_each_key(txn, KEY_24, see_key, NULL, ERR));
    TX_TRY(txreg_create(txn, KEY_24 "\\Anders", NULL, NULL, ERR));
    return txreg_each_key(txn, KEY_24, see_key, NULL, ERR);
}
static enum tx_status rename_key(struct ktm_txn *txn)
{
    TX_TRY(txreg_rename(txn, KEY_64, "Übrig 9999", ERR));
    TX_TRY(txreg_set(txn, KEY_24 "\\Übrig 9999", VALUE_64, 3, large, 7, ERR));
    return txreg_rename(txn, "Löschen", VALUE_30, ERR);
}
static enum tx_status delete_one(struct ktm_txn *txn)
{
    char path[400];
    (void)snprintf(path, sizeof(path), KEY_64 "\\Übrig 0 %0200u", 0);
    return txreg_delete(txn, path, ERR);
}
static enum tx_status delete_tree(struct ktm_txn *txn)
{
    return txreg_delete_tree(txn, KEY_64 "\\Ü1", ERR);
}

typedef enum tx_status work_fn(struct ktm_txn *txn);
static work_fn *const works[] = {
    create, query,       miss,      get,        get_large,  get_string,  set,
    set_new, set_long,   unset,     list_values, list_keys, rename_key, delete_one, delete_tree,
};
enum { WORKS = sizeof(works) / sizeof(works[0]) };

static void dump(struct tx_buf *text)
{
    struct ktm_txn *txn = reg_begin(&place, 0);
    tx_buf_clear(text);
    reg_dump(txn, "", text);
    ktm_rollback(txn);
}

/* Let the call go wrong at the n-th allocation, or read; tell whether it came so far. */
static bool work_fails(work_fn *work, uint32_t flags, size_t table, size_t memory, int call)
{
    struct ktm_begin_options options = {.flags = flags};
    struct ktm_txn *txn = NULL;
    cool();
    failing_alloc_begin(memory);
    failing_alloc.refused = table;
    enum tx_status status = ktm_begin(place.tm, &options, &txn, ERR);
    io.calls = 0;
    io.fail_at = call;
    if (status == TX_OK) {
        status = work(txn);
        io.fail_at = -1;
        ktm_rollback(txn);
    }
    io.fail_at = -1;
    cool();
    long in_use = failing_alloc.in_use;
    bool failed = failing_alloc_end();
    cr_assert_eq(in_use, 0, "%ld allocations are left", in_use);
    if (call >= 0) {
        failed = io.calls > call;
        cr_assert_eq(status, failed ? TX_EIO : TX_OK, "%s", tx_status_name(status));
        return failed;
    }
    cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK, "%s: %s", tx_status_name(status),
                 reg_err.text);
    return failed;
}

static void each_work_fails(uint32_t flags)
{
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    size_t table = table_size();
    dump(&before);
    for (unsigned i = 0; i < WORKS; i++) {
        size_t memory = 0;
        int call = 0;
        while (work_fails(works[i], flags, table, memory, -1)) {
            memory++;
        }
        while (work_fails(works[i], flags, table, SIZE_MAX, call)) {
            call++;
        }
        cr_assert(memory > 5 && call > 2, "work %u: %zu, %d", i, memory, call);
    }
    dump(&after);
    cr_assert_eq(before.size, after.size);
    cr_assert_arr_eq(before.data, after.data, after.size);
}

Test(txreg_cold, any_call_may_fail_anywhere)
{
    each_work_fails(0);
}

Test(txreg_cold, any_call_of_a_serializable_transaction_may_fail_anywhere)
{
    each_work_fails(KTM_SERIALIZABLE);
}

/* --- Undoing, replaying, voting, carrying out ------------------------------------------------- */

static enum tx_status much(struct ktm_txn *txn)
{
    static work_fn *const parts[] = {set,    set_new, set_long,  unset, delete_one,
                                     create, rename_key};
    TX_TRY(txreg_rename(txn, KEY_64 "\\Ü1", VALUE_64, ERR));
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        TX_TRY(parts[i](txn));
    }
    TX_TRY(txreg_create(txn, "Größe\\Ä", VALUE_64, NULL, ERR));
    TX_TRY(txreg_delete(txn, "Größe\\Ä", ERR));
    return txreg_rename(txn, VALUE_64, "Ähnlich", ERR);
}

static struct ktm_cursor done; /* entries of a commit */

static enum tx_status revert(struct ktm_txn *txn)
{
    return txreg_revert(txn, done, ERR);
}

Test(txreg_cold, undoing_may_fail_anywhere)
{
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    size_t table = table_size();
    size_t memory = 0;
    int call = 0;
    struct ktm_txn *twin = reg_begin(&place, 0);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(much(twin));
    ok(much(txn));
    done = ktm_txn_entries(twin);
    (void)reg_commit(txn);
    dump(&before);
    while (work_fails(revert, 0, table, memory, -1)) {
        memory++;
    }
    while (work_fails(revert, 0, table, SIZE_MAX, call)) {
        call++;
    }
    cr_assert(memory > 100 && call > 20);
    ktm_rollback(twin);
    dump(&after);
    cr_assert_eq(before.size, after.size);
    cr_assert_arr_eq(before.data, after.data, after.size);
}

Test(txreg_cold, replaying_may_fail_anywhere)
{
    TX_AUTO(tx_buf) before = TX_BUF_INIT;
    TX_AUTO(tx_buf) after = TX_BUF_INIT;
    size_t table = table_size();
    void *view = NULL;
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(much(txn));
    ok(ktm_txn_view(txn, TXREG_RM, &view, ERR));
    reg_dump(txn, "", &before);
    enum tx_status status = TX_ENOMEM;
    for (size_t memory = 0; status != TX_OK; memory++) {
        cool();
        failing_alloc_begin(memory);
        failing_alloc.refused = table;
        status = reg_rm_rebuild(place.reg, txn, view, ERR);
        cool();
        bool failed = failing_alloc_end();
        cr_assert_eq(status, failed ? TX_ENOMEM : TX_OK);
        fails(status, txreg_query(txn, "", NULL, ERR)); /* unusable until it is rebuilt */
    }
    reg_dump(txn, "", &after);
    cr_assert_eq(before.size, after.size);
    cr_assert_arr_eq(before.data, after.data, after.size);
    ktm_rollback(txn);
}

/* A vote that ends in a conflict at its last unit, if nothing else goes wrong before. */
static enum tx_status vote(size_t table, size_t memory, int call)
{
    struct ktm_txn *late = reg_begin(&place, 0);
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(much(late));
    ok(txreg_set(late, "", "Streit", 3, large, 1, ERR));
    ok(txreg_set(txn, "", "Streit", 3, large, 2, ERR));
    (void)reg_commit(txn);
    cool();
    failing_alloc_begin(memory);
    failing_alloc.refused = table;
    io.calls = 0;
    io.fail_at = call;
    enum tx_status status = ktm_commit(late, NULL, ERR);
    io.fail_at = -1;
    cool();
    (void)failing_alloc_end();
    return status;
}

Test(txreg_cold, a_vote_may_fail_anywhere)
{
    size_t table = table_size();
    size_t memory = 0;
    int call = 0;
    enum tx_status status = TX_ENOMEM;
    for (; status != TX_ECONFLICT; memory++) {
        status = vote(table, memory, -1);
        cr_assert(status == TX_ENOMEM || status == TX_ECONFLICT, "%s", tx_status_name(status));
    }
    cr_assert_not_null(strstr(reg_err.text, "Streit"), "%s", reg_err.text);
    for (status = TX_EIO; status != TX_ECONFLICT; call++) {
        status = vote(table, SIZE_MAX, call);
        cr_assert(status == TX_EIO || status == TX_ECONFLICT, "%s", tx_status_name(status));
    }
    cr_assert(memory > 10 && call > 5, "%zu, %d", memory, call);
}

/* Nothing is published by a redo that failed; the next one finds everything as it was. */
static enum tx_status redo(const struct ktm_commit_info *commit, size_t table, size_t memory,
                           int call, uint8_t token[KTM_TOKEN_SIZE])
{
    cool();
    failing_alloc_begin(memory);
    failing_alloc.refused = table;
    io.calls = 0;
    io.fail_at = call;
    enum tx_status status = reg_rm_redo(place.reg, commit, KTM_REDO_LIVE, token, ERR);
    io.fail_at = -1;
    cool();
    cr_assert_eq(failing_alloc.in_use, 0);
    (void)failing_alloc_end();
    return status;
}

Test(txreg_cold, redo_may_fail_anywhere)
{
    size_t table = table_size();
    size_t memory = 0;
    int call = 0;
    uint8_t before[KTM_TOKEN_SIZE];
    uint8_t token[KTM_TOKEN_SIZE];
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(much(txn));
    ktm_published_token(place.tm, TXREG_RM, before);
    memcpy(token, before, sizeof(token));
    struct ktm_commit_info commit = {.lsn = 1u << 20, .next_lsn = (1u << 20) + 4096,
                                     .entries = ktm_txn_entries(txn)};
    enum tx_status status = TX_ENOMEM;
    for (; status != TX_OK; memory++) {
        cr_assert_arr_eq(token, before, sizeof(token));
        status = redo(&commit, table, memory, -1, token);
        cr_assert(status == TX_OK || status == TX_ENOMEM, "%s", reg_err.text);
    }
    memcpy(token, before, sizeof(token));
    for (status = TX_EIO; status != TX_OK; call++) {
        cr_assert_arr_eq(token, before, sizeof(token));
        status = redo(&commit, table, SIZE_MAX, call, token);
        cr_assert(status == TX_OK || status == TX_EIO, "%s", reg_err.text);
    }
    cr_assert(memory > 200 && call > 30, "%zu, %d", memory, call);
    ktm_rollback(txn);
}

/* A commit that lacks memory is none, or it is durable; either way what is read later says so. */
Test(txreg_cold, a_commit_may_lack_memory_anywhere)
{
    unsigned aborted = 0;
    uint8_t last = 0;
    bool failed = true;
    for (size_t memory = 0; failed; memory++) {
        TX_AUTO(tx_buf) data = TX_BUF_INIT;
        uint8_t number = (uint8_t)(memory + 1);
        struct ktm_txn *txn = reg_begin(&place, 0);
        ok(txreg_set(txn, "Größe", "Zähler", 3, &number, 1, ERR));
        failing_alloc_begin(memory);
        enum tx_status status = ktm_commit(txn, NULL, ERR);
        failed = failing_alloc_end();
        cr_assert(status == TX_OK || status == TX_ENOMEM || status == TX_EPENDING, "%s",
                  tx_status_name(status));
        aborted += status == TX_ENOMEM;
        last = status == TX_ENOMEM ? last : number;
        txn = reg_begin(&place, 0);
        ok(txreg_set(txn, "", "Anderes", 3, &number, 1, ERR)); /* waits for what is pending */
        (void)reg_commit(txn);
        txn = reg_begin(&place, 0);
        fails(last > 0 ? TX_OK : TX_ENOTFOUND,
              txreg_get(txn, "Größe", "Zähler", NULL, &data, ERR));
        cr_assert(last == 0 || data.data[0] == last);
        ktm_rollback(txn);
    }
    cr_assert_gt(aborted, 0);
}
