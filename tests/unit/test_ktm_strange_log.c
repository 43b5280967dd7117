/* SPDX-License-Identifier: MIT */
/* Records that no manager of ours would have written, or not in this order: they are refused with a
 * reason, or do nothing. */
#include "ktm_world.h"

TestSuite(ktm_strange_log, .init = world_setup, .fini = world_teardown, .timeout = 60);

static void read_is_refused(tx_lsn lsn, const char *why)
{
    TX_AUTO(ktm_logged) logged = KTM_LOGGED_INIT;
    fails(TX_ECORRUPT, ktm_log_read(handle.tm, lsn, &logged, ERR));
    cr_expect_not_null(strstr(test_err.text, why), "%s", test_err.text);
    cr_expect_not(logged.has_effects);
}

Test(ktm_strange_log, decision_that_cannot_be_followed_is_refused)
{
    tx_lsn trimmed = commit_pair(&handle, 1, 5);
    ok(ktm_checkpoint(handle.tm, ERR));
    read_is_refused(raw_append(&handle, KTM_DECIDE, "rubbish", 7), "decision of 7 bytes");
    read_is_refused(raw_decision(&handle, KTM_DECIDE_COMMIT, 70, trimmed), "not there");
    tx_lsn lsn = raw_append(&handle, KTM_PREPARE, "rubbish", 7);
    read_is_refused(raw_decision(&handle, KTM_DECIDE_COMMIT, 70, lsn), "header is cut off");
    lsn = raw_transaction(&handle, KTM_PREPARE, 70, 0);
    read_is_refused(raw_decision(&handle, KTM_DECIDE_COMMIT, 71, lsn), "another transaction");
    struct ktm_decision decision = {
        .outcome = KTM_DECIDE_COMMIT, .epoch = 2, .sequence = 70, .prepare_lsn = lsn};
    TX_AUTO(tx_buf) bytes = TX_BUF_INIT;
    ok(ktm_decision_encode(&decision, &bytes, ERR));
    read_is_refused(raw_append(&handle, KTM_DECIDE, bytes.data, bytes.size),
                    "another transaction");
}

static enum tx_status count_commits(void *arg, const struct ktm_commit_info *commit,
                                    struct tx_error *err)
{
    unsigned *count = arg;
    (void)commit;
    (void)err;
    ++*count;
    return TX_OK;
}

Test(ktm_strange_log, commit_that_ends_after_the_limit_is_not_delivered)
{
    tx_lsn first = commit_pair(&handle, 1, 5);
    tx_lsn second = commit_pair(&handle, 1, 6);
    unsigned count = 0;
    ok(ktm_each_commit(handle.tm, first, second + 1, count_commits, &count, ERR));
    cr_expect_eq(count, 1);
}

static void refused_at_boot(enum tx_status status, const char *why)
{
    handle_close(&handle);
    world_reboot(world);
    fails(status, handle_try_boot(&handle, world, NULL));
    cr_expect_not_null(strstr(test_err.text, why), "%s", test_err.text);
    cr_expect_eq(world->live[0]->recovers, 0, "nothing was carried out");
}

Test(ktm_strange_log, rolling_back_what_is_not_prepared_is_refused_at_boot)
{
    raw_decision(&handle, KTM_DECIDE_ROLLBACK, 70, TXLOG_FIRST_LSN);
    refused_at_boot(TX_ECORRUPT, "decides what is not prepared");
}

Test(ktm_strange_log, rolling_back_another_record_than_the_prepared_is_refused_at_boot)
{
    tx_lsn lsn = raw_transaction(&handle, KTM_PREPARE, 70, 0);
    raw_decision(&handle, KTM_DECIDE_ROLLBACK, 70, lsn + 1);
    refused_at_boot(TX_ECORRUPT, "decides what is not prepared");
}

Test(ktm_strange_log, more_prepared_than_there_are_places_are_refused_at_boot)
{
    for (uint64_t i = 0; i <= KTM_PREPARED_MAX; i++) {
        raw_transaction(&handle, KTM_PREPARE, 70 + i, 0);
    }
    refused_at_boot(TX_ELIMIT, "prepared transactions in the log");
}

/* The decided give their places away, with their part of the log kept. */
Test(ktm_strange_log, more_prepared_than_there_are_places_are_fine_when_they_are_decided)
{
    tx_lsn first = 0;
    for (uint64_t i = 0; i < KTM_PREPARED_MAX; i++) {
        tx_lsn lsn = raw_transaction(&handle, KTM_PREPARE, 70 + i, 0);
        first = i == 0 ? lsn : first;
        raw_decision(&handle, KTM_DECIDE_ROLLBACK, 70 + i, lsn);
    }
    raw_transaction(&handle, KTM_PREPARE, 69, 0);
    handle_close(&handle);
    world_reboot(world);
    handle_boot(&handle, world);
    cr_expect_eq(handle.recovery.in_doubt, 1);
    cr_expect_eq(ktm_prepared_count(handle.tm->shared), 1);
    ok(ktm_rollback_prepared(handle.tm, &(struct ktm_id){1, 69}, ERR));
    ok(ktm_checkpoint(handle.tm, ERR));
    cr_expect_gt(handle_log_info(&handle).start_lsn, first);
}

Test(ktm_strange_log, entries_of_an_unknown_resource_manager_stop_the_publishers)
{
    struct ktm_txn *txn;
    raw_transaction(&handle, KTM_COMMIT, 70, 3);
    tx_lsn published = ktm_published(handle.tm);
    fails(TX_EVERSION, ktm_settle(handle.tm, ERR));
    cr_expect_not_null(strstr(test_err.text, "resource manager 3"), "%s", test_err.text);
    cr_expect_eq(ktm_published(handle.tm), published);
    fails(TX_EPOISONED, ktm_begin(handle.tm, NULL, &txn, ERR));
}

Test(ktm_strange_log, rolling_back_what_is_not_prepared_is_published_as_nothing)
{
    raw_decision(&handle, KTM_DECIDE_ROLLBACK, 70, TXLOG_FIRST_LSN);
    ok(ktm_settle(handle.tm, ERR));
    cr_expect_eq(ktm_published(handle.tm), handle_log_info(&handle).append_lsn);
    cr_expect_eq(world->live[0]->redos, 0);
}

Test(ktm_strange_log, record_of_the_log_itself_is_published_as_nothing)
{
    raw_append(&handle, KTM_KIND_EPOCH, NULL, 0);
    ok(ktm_settle(handle.tm, ERR));
    cr_expect_eq(ktm_published(handle.tm), handle_log_info(&handle).append_lsn);
    cr_expect_eq(world->live[0]->redos, 0);
}

Test(ktm_strange_log, transaction_with_entries_of_somebody_who_is_not_here_cannot_end_well)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    toy_set(txn, 1, 1, 5);
    ok(ktm_detach(txn, ERR));
    const struct ktm_rm_ops *second = handle.tm->rm_ops[1];
    handle.tm->rm_ops[1] = NULL;
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    fails(TX_EVERSION, ktm_commit(txn, NULL, ERR));
    cr_expect_not_null(strstr(test_err.text, "resource manager 1"), "%s", test_err.text);
    handle.tm->rm_ops[1] = second;
    txn = txn_begin(&handle, 0);
    id = ktm_txn_id(txn);
    toy_set(txn, 1, 1, 5);
    ok(ktm_detach(txn, ERR));
    handle.tm->rm_ops[1] = NULL;
    ok(ktm_attach(handle.tm, &id, &txn, ERR));
    fails(TX_EVERSION, ktm_prepare(txn, ERR));
    handle.tm->rm_ops[1] = second;
    cr_expect_eq(toy_live_value(world, 1, 1), 0);
}

Test(ktm_strange_log, a_commit_that_is_not_carried_out_yet_is_told_so)
{
    struct ktm_txn *txn = txn_begin(&handle, 0);
    struct ktm_id id = ktm_txn_id(txn);
    struct ktm_txn_info info;
    toy_set(txn, 0, 1, 5);
    atomic_store(&world->live[0]->redo_status, TX_ENOSPC);
    fails(TX_EPENDING, ktm_commit(txn, NULL, ERR));
    ok(ktm_query(handle.tm, &id, &info, ERR));
    cr_expect_eq(info.state, KTM_COMMITTED);
    atomic_store(&world->live[0]->redo_status, TX_OK);
    ok(ktm_settle(handle.tm, ERR));
    ok(ktm_query(handle.tm, &id, &info, ERR));
    cr_expect_eq(info.state, KTM_ENDED);
}

Test(ktm_strange_log, what_was_rolled_back_is_found_among_others_that_were)
{
    static const uint64_t sequences[] = {70, 71};
    struct ktm_txn_info info;
    for (size_t i = 0; i < 2; i++) {
        tx_lsn lsn = raw_transaction(&handle, KTM_PREPARE, sequences[i], 0);
        raw_decision(&handle, KTM_DECIDE_ROLLBACK, sequences[i], lsn);
    }
    for (size_t i = 0; i < 2; i++) {
        ok(ktm_query(handle.tm, &(struct ktm_id){1, sequences[i]}, &info, ERR));
        cr_expect_eq(info.state, KTM_ABORTED);
        cr_expect_eq(info.id.sequence, sequences[i]);
    }
    fails(TX_ENOTFOUND, ktm_query(handle.tm, &(struct ktm_id){1, 72}, &info, ERR));
}

/* --- For people --- */

struct shown {
    unsigned count;
    uint64_t sequence;
    uint64_t size;
};

static void show_field(void *arg, const char *name, uint64_t value, const char *text)
{
    struct shown *shown = arg;
    shown->count++;
    shown->sequence = strcmp(name, "sequence") == 0 ? value : shown->sequence;
    shown->size = strcmp(name, "description_size") == 0 ? value : shown->size;
    cr_expect_not_null(text);
}

Test(ktm_strange_log, each_kind_of_record_is_described_or_called_unknown)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct ktm_header header = {.epoch = 1, .sequence = 0x0102030405060708};
    struct ktm_record_info info;
    struct shown shown = {.count = 0};
    ok(ktm_header_encode(&header, "words", &payload, ERR));
    ok(ktm_describe_record(KTM_COMMIT, &payload, &info, show_field, &shown, ERR));
    cr_expect_str_eq(info.kind, "commit");
    cr_expect_str_eq(info.description, "words");
    cr_expect_eq(info.id.sequence, header.sequence);
    cr_expect_eq(shown.sequence, header.sequence);
    cr_expect_eq(shown.size, 5);
    cr_expect_eq(shown.count, 14);
    ok(ktm_describe_record(KTM_PREPARE, &payload, &info, NULL, NULL, ERR));
    cr_expect_str_eq(info.kind, "prepare");
    fails(TX_ECORRUPT, ktm_describe_record(KTM_DECIDE, &payload, &info, NULL, NULL, ERR));
    cr_expect_str_eq(info.kind, "prepare", "left alone");
    ok(ktm_describe_record(KTM_KIND_EPOCH, &payload, &info, NULL, NULL, ERR));
    cr_expect_str_eq(info.kind, "epoch");
    ok(ktm_describe_record(99, &payload, &info, NULL, NULL, ERR));
    cr_expect_str_eq(info.kind, "unknown");
    payload.size--;
    fails(TX_ECORRUPT, ktm_describe_record(KTM_COMMIT, &payload, &info, NULL, NULL, ERR));
}

Test(ktm_strange_log, decisions_are_described)
{
    static const char *const kinds[] = {"", "decide-commit", "decide-rollback"};
    for (uint32_t outcome = KTM_DECIDE_COMMIT; outcome <= KTM_DECIDE_ROLLBACK; outcome++) {
        TX_AUTO(tx_buf) payload = TX_BUF_INIT;
        struct ktm_decision decision = {
            .outcome = outcome, .epoch = 1, .sequence = 70, .prepare_lsn = 4096, .time_ns = 9};
        struct ktm_record_info info;
        struct shown shown = {.count = 0};
        ok(ktm_decision_encode(&decision, &payload, ERR));
        ok(ktm_describe_record(KTM_DECIDE, &payload, &info, show_field, &shown, ERR));
        cr_expect_str_eq(info.kind, kinds[outcome]);
        cr_expect_eq(info.prepare_lsn, 4096);
        cr_expect_eq(shown.sequence, 70);
        cr_expect_eq(shown.count, 6, "without the reserved bytes");
    }
}
