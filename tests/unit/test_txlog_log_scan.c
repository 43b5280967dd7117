/* SPDX-License-Identifier: MIT */
/* The decision table over all inputs, against rules that are written down independently. */
#include "unit/log_fixture.h"

enum { FACTS = 96 }; /* five yes or no, one of three */

static struct scan_facts facts_of(unsigned number)
{
    return (struct scan_facts){
        .newer_epoch = number & 1,
        .control_claims = number & 2,
        .log_claims = number & 4,
        .clean = number & 8,
        .remains = number & 16,
        .end = (enum scan_place)(number / 32),
    };
}

Test(txlog_log_scan, every_input_has_a_verdict_and_every_verdict_an_input)
{
    unsigned seen[SCAN_VERDICT_COUNT] = {0};
    for (unsigned i = 0; i < FACTS; i++) {
        struct scan_facts facts = facts_of(i);
        enum scan_verdict verdict = scan_decide(&facts);
        cr_assert_lt(verdict, SCAN_VERDICT_COUNT);
        seen[verdict]++;
    }
    for (unsigned i = 0; i < SCAN_VERDICT_COUNT; i++) {
        cr_assert_gt(seen[i], 0, "%s", scan_text((enum scan_verdict)i));
    }
}

Test(txlog_log_scan, proof_beyond_the_end_always_refuses)
{
    for (unsigned i = 0; i < FACTS; i++) {
        struct scan_facts facts = facts_of(i);
        if (facts.newer_epoch || facts.control_claims || facts.log_claims) {
            cr_assert_not(scan_opens(scan_decide(&facts)), "input %u", i);
        }
    }
}

Test(txlog_log_scan, a_log_that_was_not_closed_opens_unless_something_proves_damage)
{
    for (unsigned i = 0; i < FACTS; i++) {
        struct scan_facts facts = facts_of(i);
        if (!facts.newer_epoch && !facts.control_claims && !facts.log_claims && !facts.clean) {
            cr_assert_eq(scan_decide(&facts), facts.remains ? SCAN_TORN : SCAN_WHOLE);
            cr_assert(scan_opens(scan_decide(&facts)));
        }
    }
}

Test(txlog_log_scan, a_closed_log_opens_at_its_end_only)
{
    for (unsigned i = 0; i < FACTS; i++) {
        struct scan_facts facts = facts_of(i);
        bool proof = facts.newer_epoch || facts.control_claims || facts.log_claims;
        if (facts.clean && !proof) {
            cr_assert_eq(scan_opens(scan_decide(&facts)), facts.end == SCAN_AT, "input %u", i);
        }
    }
}

Test(txlog_log_scan, only_a_clean_log_without_remains_goes_on_in_place)
{
    for (unsigned i = 0; i < FACTS; i++) {
        struct scan_facts facts = facts_of(i);
        bool proof = facts.newer_epoch || facts.control_claims || facts.log_claims;
        bool wanted = facts.clean && !facts.remains && facts.end == SCAN_AT && !proof;
        cr_assert_eq(scan_decide(&facts) == SCAN_CLEAN, wanted, "input %u", i);
    }
}

Test(txlog_log_scan, every_verdict_has_words)
{
    for (unsigned i = 0; i < SCAN_VERDICT_COUNT; i++) {
        cr_assert_gt(strlen(scan_text((enum scan_verdict)i)), 5);
    }
    cr_assert_str_eq(scan_text(SCAN_VERDICT_COUNT), "?");
}
