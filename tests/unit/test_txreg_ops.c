/* SPDX-License-Identifier: MIT */
/* Keys: create, query, delete, rename, and their limits. */
#include "reg_fixture.h"

#define WORLD()                                                                                    \
    TX_AUTO(reg_world) world;                                                                      \
    TX_AUTO(reg_place) place;                                                                      \
    reg_world_init(&world, NULL);                                                                  \
    reg_place_boot(&place, &world)

Test(txreg_ops, create_makes_missing_keys_above)
{
    bool created = false;
    struct txreg_key_info info;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "HKLM\\Software\\App", "MyClass", &created, ERR));
    cr_assert(created);
    ok(txreg_create(txn, "hklm\\SOFTWARE\\app", "Other", &created, ERR));
    cr_assert_not(created);
    ok(txreg_query(txn, "hklm\\software\\APP", &info, ERR));
    cr_assert_str_eq(info.name, "App");
    cr_assert_str_eq(info.class_name, "MyClass");
    ok(txreg_query(txn, "HKLM\\Software", &info, ERR));
    cr_assert_str_eq(info.class_name, "");
    cr_assert_eq(info.subkey_count, 1);
    cr_assert_eq(info.revision, 0, "not committed yet");
    cr_assert(info.id >= REG_NEW_ID);
    tx_lsn lsn = reg_commit(txn);
    txn = reg_begin(&place, KTM_READ_ONLY);
    ok(txreg_query(txn, "HKLM\\Software\\App", &info, ERR));
    cr_assert_eq(info.revision, lsn);
    cr_assert_lt(info.id, REG_NEW_ID);
    cr_assert_gt(info.write_time_ns, 0);
    ktm_rollback(txn);
}

Test(txreg_ops, root_exists_and_stays)
{
    struct txreg_key_info info;
    bool created = true;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "", &info, ERR));
    cr_assert_eq(info.id, REG_ROOT_ID);
    cr_assert_str_eq(info.name, "");
    ok(txreg_create(txn, "", NULL, &created, ERR));
    cr_assert_not(created);
    fails(TX_EPERM, txreg_delete(txn, "", ERR));
    fails(TX_EPERM, txreg_delete_tree(txn, "", ERR));
    fails(TX_EPERM, txreg_rename(txn, "", "x", ERR));
    reg_put(txn, "", "value of the root", "x");
    reg_expect(txn, "", "VALUE of the root", "x");
    (void)reg_commit(txn);
}

Test(txreg_ops, bad_paths_are_refused)
{
    static const char *const bad[] = {"\\", "a\\", "\\a", "a\\\\b", "\xff", "a\\\xc3"};
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a", NULL, NULL, ERR));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fails(TX_EINVAL, txreg_create(txn, bad[i], NULL, NULL, ERR));
        fails(TX_EINVAL, txreg_query(txn, bad[i], NULL, ERR));
        fails(TX_EINVAL, txreg_delete(txn, bad[i], ERR));
    }
    fails(TX_EINVAL, txreg_rename(txn, "a", "", ERR));
    fails(TX_EINVAL, txreg_rename(txn, "a", "b\\c", ERR));
    fails(TX_EINVAL, txreg_create(txn, "b", "\xff", NULL, ERR));
    ktm_rollback(txn);
}

static char *repeat(const char *unit, size_t count, const char *separator)
{
    TX_AUTO(tx_buf) text = TX_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        ok(tx_buf_append_text(&text, i > 0 ? separator : "", ERR));
        ok(tx_buf_append_text(&text, unit, ERR));
    }
    ok(tx_buf_put8(&text, 0, ERR));
    char *taken = (char *)text.data;
    text = (struct tx_buf)TX_BUF_INIT;
    return taken;
}

static void expect_create(struct ktm_txn *txn, const char *unit, size_t count,
                          const char *separator, enum tx_status status)
{
    char *path = repeat(unit, count, separator);
    fails(status, txreg_create(txn, path, NULL, NULL, ERR));
    fails(status, txreg_query(txn, path, NULL, ERR));
    tx_free(path);
}

Test(txreg_ops, key_names_have_a_limit)
{
    static const char *const units[] = {"n", "\xc3\xa9", "\xe2\x82\xac"};
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        expect_create(txn, units[i], TXREG_KEY_NAME_MAX - 1, "", TX_OK);
        expect_create(txn, units[i], TXREG_KEY_NAME_MAX, "", TX_OK);
        expect_create(txn, units[i], TXREG_KEY_NAME_MAX + 1, "", TX_ELIMIT);
    }
    /* Two UTF-16 units each. */
    expect_create(txn, "\xf0\x9f\x99\x82", TXREG_KEY_NAME_MAX / 2, "", TX_OK);
    expect_create(txn, "\xf0\x9f\x99\x82", TXREG_KEY_NAME_MAX / 2 + 1, "", TX_ELIMIT);
    char *name = repeat("m", TXREG_KEY_NAME_MAX + 1, "");
    ok(txreg_create(txn, "short", NULL, NULL, ERR));
    fails(TX_ELIMIT, txreg_rename(txn, "short", name, ERR));
    name[TXREG_KEY_NAME_MAX] = 0;
    ok(txreg_rename(txn, "short", name, ERR));
    tx_free(name);
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

Test(txreg_ops, depth_has_a_limit)
{
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    expect_create(txn, "d", TXREG_DEPTH_MAX - 1, "\\", TX_OK);
    expect_create(txn, "d", TXREG_DEPTH_MAX, "\\", TX_OK);
    expect_create(txn, "d", TXREG_DEPTH_MAX + 1, "\\", TX_ELIMIT);
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
    txn = reg_begin(&place, 0);
    ok(txreg_delete_tree(txn, "d", ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

Test(txreg_ops, class_has_a_limit)
{
    struct txreg_key_info info;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    char *class_name = repeat("c", TXREG_CLASS_MAX + 1, "");
    fails(TX_ELIMIT, txreg_create(txn, "k", class_name, NULL, ERR));
    class_name[TXREG_CLASS_MAX] = 0;
    ok(txreg_create(txn, "k", class_name, NULL, ERR));
    class_name[TXREG_CLASS_MAX - 1] = 0;
    ok(txreg_create(txn, "l", class_name, NULL, ERR));
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "k", &info, ERR));
    cr_assert_eq(strlen(info.class_name), TXREG_CLASS_MAX);
    ktm_rollback(txn);
    tx_free(class_name);
}

Test(txreg_ops, delete_wants_no_subkeys)
{
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a\\b", NULL, NULL, ERR));
    reg_put(txn, "a\\b", "v", "1");
    fails(TX_ENOTEMPTY, txreg_delete(txn, "a", ERR));
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    fails(TX_ENOTEMPTY, txreg_delete(txn, "A", ERR));
    ok(txreg_delete(txn, "a\\B", ERR));
    fails(TX_ENOTFOUND, txreg_delete(txn, "a\\b", ERR));
    ok(txreg_delete(txn, "a", ERR));
    reg_expect_key(txn, "a", false);
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

Test(txreg_ops, rename_keeps_what_is_below)
{
    struct txreg_key_info before;
    struct txreg_key_info after;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a\\b\\c", NULL, NULL, ERR));
    ok(txreg_create(txn, "a\\x", NULL, NULL, ERR));
    reg_put(txn, "a\\b\\c", "v", "deep");
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "a\\b", &before, ERR));
    fails(TX_EEXIST, txreg_rename(txn, "a\\b", "X", ERR));
    fails(TX_ENOCHANGE, txreg_rename(txn, "a\\b", "b", ERR));
    ok(txreg_rename(txn, "a\\b", "B", ERR));
    ok(txreg_query(txn, "a\\b", &after, ERR));
    cr_assert_str_eq(after.name, "B");
    ok(txreg_rename(txn, "a\\b", "new", ERR));
    reg_expect_key(txn, "a\\b", false);
    reg_expect(txn, "A\\NEW\\C", "V", "deep");
    tx_lsn lsn = reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "a\\new", &after, ERR));
    cr_assert_eq(after.id, before.id, "ids survive renaming");
    cr_assert_eq(after.revision, lsn);
    reg_expect(txn, "a\\new\\c", "v", "deep");
    ok(txreg_query(txn, "a\\new\\c", &after, ERR));
    cr_assert_neq(after.revision, lsn, "a renaming changes nothing below");
    ktm_rollback(txn);
}

Test(txreg_ops, ids_are_never_given_again)
{
    struct txreg_key_info first;
    struct txreg_key_info second;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a", NULL, NULL, ERR));
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "a", &first, ERR));
    ok(txreg_delete(txn, "a", ERR));
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    reg_place_crash(&place);
    txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a", NULL, NULL, ERR));
    (void)reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "a", &second, ERR));
    cr_assert_gt(second.id, first.id);
    ktm_rollback(txn);
}

/* The key whose values or subkeys change is stamped; those above are not. */
Test(txreg_ops, last_write_is_of_the_changed_key)
{
    struct txreg_key_info info;
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a\\b", NULL, NULL, ERR));
    reg_put(txn, "a\\b", "v", "1");
    tx_lsn first = reg_commit(txn);
    txn = reg_begin(&place, 0);
    reg_put(txn, "a\\b", "v", "1"); /* the same bytes count as well */
    tx_lsn second = reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "a\\b", &info, ERR));
    cr_assert_eq(info.revision, second);
    ok(txreg_query(txn, "a", &info, ERR));
    cr_assert_eq(info.revision, first);
    ok(txreg_create(txn, "a\\c", NULL, NULL, ERR));
    tx_lsn third = reg_commit(txn);
    txn = reg_begin(&place, 0);
    ok(txreg_query(txn, "a", &info, ERR));
    cr_assert_eq(info.revision, third);
    ok(txreg_query(txn, "", &info, ERR));
    cr_assert_eq(info.revision, first);
    ktm_rollback(txn);
}

static enum tx_status change_inside(void *arg, const struct txreg_key_info *info,
                                    struct tx_error *err)
{
    (void)info;
    fails(TX_EMISUSE, txreg_create(arg, "inside", NULL, NULL, err));
    fails(TX_EMISUSE, txreg_set_u32(arg, "", "inside", 1, err));
    return TX_EEXIST; /* is handed through */
}

Test(txreg_ops, listing_forbids_changes)
{
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a", NULL, NULL, ERR));
    fails(TX_EEXIST, txreg_each_key(txn, "", change_inside, txn, ERR));
    ok(txreg_create(txn, "b", NULL, NULL, ERR));
    ktm_rollback(txn);
}

Test(txreg_ops, read_only_transactions_change_nothing)
{
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, KTM_READ_ONLY);
    fails(TX_EMISUSE, txreg_create(txn, "a", NULL, NULL, ERR));
    fails(TX_EMISUSE, txreg_set_u32(txn, "", "v", 1, ERR));
    reg_expect_key(txn, "a", false);
    reg_expect_none(txn, "", "v");
    ktm_rollback(txn);
}

/* Folding is the frozen table's: no locale, one unit for one unit. */
Test(txreg_ops, names_fold_as_the_table_says)
{
    WORLD();
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "\xc3\xa9", NULL, NULL, ERR)); /* small e acute */
    reg_expect_key(txn, "\xc3\x89", true);              /* capital */
    reg_expect_key(txn, "e", false);
    ok(txreg_create(txn, "stra\xc3\x9f" "e", NULL, NULL, ERR)); /* sharp s does not become SS */
    reg_expect_key(txn, "STRASSE", false);
    reg_expect_key(txn, "STRA\xc3\x9f" "E", true);
    ok(txreg_create(txn, "i", NULL, NULL, ERR));
    reg_expect_key(txn, "I", true);
    reg_expect_key(txn, "\xc4\xb0", false); /* dotted capital I */
    ok(txreg_create(txn, "a/b", NULL, NULL, ERR));
    reg_expect_key(txn, "A/B", true);
    ok(txreg_create(txn, "\xed\xa0\x80", NULL, NULL, ERR)); /* a lone surrogate */
    reg_expect_key(txn, "\xed\xa0\x80", true);
    (void)reg_commit(txn);
    ok(ktm_checkpoint(place.tm, ERR));
    cr_assert_eq(reg_faults(&world), 0);
}

static enum tx_status stop_at_key(void *arg, const struct txreg_key_info *info,
                                  struct tx_error *err)
{
    (void)info;
    (*(unsigned *)arg)++;
    return tx_error_set(err, TX_ELIMIT, "enough");
}
static enum tx_status stop_at_value(void *arg, const char *name, uint32_t type,
                                    const uint8_t *data, size_t size, struct tx_error *err)
{
    (void)name;
    (void)type;
    (void)data;
    (void)size;
    (*(unsigned *)arg)++;
    return tx_error_set(err, TX_ELIMIT, "enough");
}

Test(txreg_ops, listing_ends_when_its_function_says_so)
{
    WORLD();
    unsigned count = 0;
    struct ktm_txn *txn = reg_begin(&place, 0);
    ok(txreg_create(txn, "a", NULL, NULL, ERR));
    ok(txreg_create(txn, "b", NULL, NULL, ERR));
    reg_put(txn, "", "v", "1");
    reg_put(txn, "", "w", "2");
    fails(TX_ELIMIT, txreg_each_key(txn, "", stop_at_key, &count, ERR));
    fails(TX_ELIMIT, txreg_each_value(txn, "", stop_at_value, &count, ERR));
    cr_assert_eq(count, 2);
    reg_put(txn, "", "x", "3"); /* it may be changed again */
    ktm_rollback(txn);
}
