/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"

static struct txlog_shared *table;

static void setup(void)
{
    table = shared_new();
}

static void push(uint64_t seq, tx_lsn first)
{
    table_push(table, &(struct segment_ref){seq, first, SMALL_SEGMENT});
}

static uint64_t find(tx_lsn lsn)
{
    struct segment_ref ref;
    uint64_t index;
    return table_find(table, lsn, &ref, &index) ? ref.seq : 0;
}

TestSuite(txlog_segment_table, .init = setup);

Test(txlog_segment_table, finds_the_segment_of_an_lsn)
{
    cr_assert_eq(find(4096), 0);
    push(1, 4096);
    push(2, 12288);
    push(5, 20480);
    cr_assert_eq(find(0), 0);
    cr_assert_eq(find(4095), 0);
    cr_assert_eq(find(4096), 1);
    cr_assert_eq(find(12287), 1);
    cr_assert_eq(find(12288), 2);
    cr_assert_eq(find(20479), 2);
    cr_assert_eq(find(20480), 5);
    cr_assert_eq(find(UINT64_MAX), 5);
}

Test(txlog_segment_table, of_two_that_begin_alike_the_later_counts)
{
    push(1, 4096);
    push(2, 8192);
    push(3, 8192);
    cr_assert_eq(find(8191), 1);
    cr_assert_eq(find(8192), 3);
    cr_assert_eq(table_previous(table, 8192), 1);
    cr_assert_eq(table_previous(table, 4096), 0);
    cr_assert_eq(table_previous(table, 12288), 3);
}

Test(txlog_segment_table, what_was_cut_off_is_not_found)
{
    struct segment_ref ref;
    push(1, 4096);
    push(2, 8192);
    push(3, 12288);
    table_cut_head(table, 1);
    cr_assert_eq(find(4096), 0);
    cr_assert_eq(find(8192), 2);
    table_cut_head(table, 0); /* never goes back */
    cr_assert_eq(find(4096), 0);
    cr_assert_not(table_get(table, 0, &ref));
    cr_assert_not(table_get(table, 3, &ref));
    table_tail(table, &ref);
    cr_assert_eq(ref.seq, 3);
    cr_assert_eq(table_previous(table, 12288), 2);
    cr_assert_eq(table_previous(table, 8192), 0);
}

Test(txlog_segment_table, holds_its_limit_and_wraps)
{
    for (unsigned i = 0; i < LOG_SEGMENTS_MAX; i++) {
        cr_assert_not(table_is_full(table), "%u", i);
        push(i + 1, (i + 1) * 4096);
    }
    cr_assert(table_is_full(table));
    table_cut_head(table, 1000);
    for (unsigned i = LOG_SEGMENTS_MAX; i < LOG_SEGMENTS_MAX + 1000; i++) {
        push(i + 1, (i + 1) * 4096);
    }
    cr_assert(table_is_full(table));
    cr_assert_eq(find(1000 * 4096), 0);
    for (unsigned i = 1001; i <= LOG_SEGMENTS_MAX + 1000; i++) {
        cr_assert_eq(find(i * 4096 + 1), i);
    }
}
