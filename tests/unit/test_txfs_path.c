/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "txfs/txfs_internal.h"

static struct txfs with_store = {.store_name = ".txkit"};
static struct txfs without_store;

static enum tx_status clean(const struct txfs *fs, const char *path, char *out)
{
    return txfs_path_clean(fs, path, out, NULL);
}

Test(txfs_path, cleaning_drops_what_says_nothing)
{
    static const char *const cases[][2] = {
        {"a", "a"}, {"a//b/./c", "a/b/c"},    {"./a/", "a"}, {"", ""},           {".", ""},
        {"././/", ""}, {"a/.txkit", "a/.txkit"}, {"...", "..."}, {".a/..b", ".a/..b"}};
    char out[TXFS_PATH_MAX + 1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(clean(&with_store, cases[i][0], out), TX_OK, "%s", cases[i][0]);
        cr_assert_str_eq(out, cases[i][1]);
    }
}

Test(txfs_path, paths_that_climb_or_are_absolute_are_refused)
{
    static const char *const bad[] = {"/", "/a", "..", "a/..", "a/../b", "../a", "./..", "a/b/.."};
    char out[TXFS_PATH_MAX + 1];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(clean(&with_store, bad[i], out), TX_EESCAPE, "%s", bad[i]);
    }
    cr_assert_eq(clean(&with_store, NULL, out), TX_EINVAL);
}

Test(txfs_path, the_store_is_out_of_bounds_at_the_root_only)
{
    char out[TXFS_PATH_MAX + 1];
    cr_assert_eq(clean(&with_store, ".txkit", out), TX_EESCAPE);
    cr_assert_eq(clean(&with_store, ".//.txkit/control", out), TX_EESCAPE);
    cr_assert_eq(clean(&with_store, ".txkit2", out), TX_OK);
    cr_assert_eq(clean(&with_store, ".txki", out), TX_OK);
    cr_assert_eq(clean(&without_store, ".txkit/control", out), TX_OK);
}

/* "aaa...": a name of `size` bytes. */
static void fill_name(char *at, size_t size)
{
    memset(at, 'a', size);
    at[size] = '\0';
}

Test(txfs_path, names_have_a_limit)
{
    char name[TXFS_NAME_MAX + 2];
    char out[TXFS_PATH_MAX + 1];
    for (size_t size = TXFS_NAME_MAX - 1; size <= TXFS_NAME_MAX + 1; size++) {
        fill_name(name, size);
        enum tx_status expected = size <= TXFS_NAME_MAX ? TX_OK : TX_ELIMIT;
        cr_assert_eq(clean(&without_store, name, out), expected, "%zu", size);
        cr_assert_eq(txfs_path_is_clean(name), expected == TX_OK);
    }
}

Test(txfs_path, paths_have_a_limit)
{
    static char path[TXFS_PATH_MAX + 3];
    char out[TXFS_PATH_MAX + 1];
    for (size_t size = TXFS_PATH_MAX - 1; size <= TXFS_PATH_MAX + 1; size++) {
        fill_name(path, size);
        for (size_t at = 200; at < size - 1; at += 200) {
            path[at] = '/';
        }
        enum tx_status expected = size <= TXFS_PATH_MAX ? TX_OK : TX_ELIMIT;
        cr_assert_eq(clean(&without_store, path, out), expected, "%zu", size);
        cr_assert_eq(txfs_path_is_clean(path), expected == TX_OK);
    }
}

Test(txfs_path, depth_has_a_limit)
{
    static char path[3 * TXFS_DEPTH_MAX];
    char out[TXFS_PATH_MAX + 1];
    for (size_t depth = TXFS_DEPTH_MAX - 1; depth <= TXFS_DEPTH_MAX + 1; depth++) {
        for (size_t i = 0; i < depth; i++) {
            memcpy(path + 2 * i, "a/", 2);
        }
        path[2 * depth - 1] = '\0';
        enum tx_status expected = depth <= TXFS_DEPTH_MAX ? TX_OK : TX_ELIMIT;
        cr_assert_eq(clean(&without_store, path, out), expected, "%zu", depth);
        cr_assert_eq(txfs_path_is_clean(path), expected == TX_OK);
    }
}

Test(txfs_path, what_is_not_clean_is_told)
{
    static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "a/.", "..", "a/../b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(txfs_path_is_clean(bad[i]), "%s", bad[i]);
    }
    cr_assert(txfs_path_is_clean("a"));
    cr_assert(txfs_path_is_clean("a/b.c/...d"));
}

Test(txfs_path, parent_and_name)
{
    cr_assert_eq(txfs_path_parent_size("a"), 0u);
    cr_assert_eq(txfs_path_parent_size("a/b/c"), 3u);
    cr_assert_str_eq(txfs_path_name("a"), "a");
    cr_assert_str_eq(txfs_path_name("a/b/c"), "c");
}

Test(txfs_path, below_is_strict_and_by_component)
{
    cr_assert(txfs_path_is_below("a/b", "a"));
    cr_assert(txfs_path_is_below("a", ""));
    cr_assert_not(txfs_path_is_below("", ""));
    cr_assert_not(txfs_path_is_below("a", "a"));
    cr_assert_not(txfs_path_is_below("ab", "a"));
    cr_assert_not(txfs_path_is_below("a", "a/b"));
}

Test(txfs_path, joining_and_moving)
{
    char out[TXFS_PATH_MAX + 1];
    cr_assert_eq(txfs_path_join("", 0, "x", out, NULL), TX_OK);
    cr_assert_str_eq(out, "x");
    cr_assert_eq(txfs_path_join(out, 1, "y", out, NULL), TX_OK);
    cr_assert_str_eq(out, "x/y");
    cr_assert_eq(txfs_path_move("a/b/c", "a", "d/e", out, NULL), TX_OK);
    cr_assert_str_eq(out, "d/e/b/c");
    cr_assert_eq(txfs_path_move("a", "a", "d", out, NULL), TX_OK);
    cr_assert_str_eq(out, "d");
}

Test(txfs_path, a_path_that_becomes_too_long_is_refused)
{
    static char long_name[TXFS_PATH_MAX + 1];
    char out[TXFS_PATH_MAX + 1];
    fill_name(long_name, TXFS_PATH_MAX - 2);
    cr_assert_eq(txfs_path_join("a", 1, long_name, out, NULL), TX_OK);
    fill_name(long_name, TXFS_PATH_MAX - 1);
    cr_assert_eq(txfs_path_join("a", 1, long_name, out, NULL), TX_ELIMIT);
}

Test(txfs_path, keys_of_paths_and_of_names_differ)
{
    cr_assert_neq(txfs_path_key("a"), txfs_path_key("b"));
    cr_assert_neq(txfs_path_key("a"), txfs_names_key("a"));
    cr_assert_eq(txfs_path_key("a/b"), txfs_path_key("a/b"));
}

Test(txfs_path, refusals_show_names_without_control_bytes)
{
    struct tx_error err;
    cr_assert_eq(txfs_refuse(&err, TX_EEXIST, "a\033[2Jb", "exists already"), TX_EEXIST);
    cr_assert_null(strchr(err.text, '\033'));
    cr_assert_not_null(strstr(err.text, "exists already"));
}
