/* SPDX-License-Identifier: MIT */
/* The overlay as a whole: random operations against a plain directory, savepoints, attaching. */
#include "fs_model.h"

static int make_model_dir(const struct fs_fixture *f)
{
    make_dir(f->store, "model");
    make_dir(f->store, "model/copy");
    return openat(f->store, "model/copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static unsigned scaled(unsigned count)
{
    const char *scale = getenv("TXKIT_TEST_SCALE");
    double factor = scale != NULL ? strtod(scale, NULL) : 1;
    return (unsigned)((double)count * factor) + 1;
}

/* Begin with an empty tree, or with one that exists. */
static void run_model(uint64_t seed, bool planted, unsigned steps)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(seed % 2 * 8, 0); /* every other one stages */
    struct fs_model model = {.f = &f, .dir = make_model_dir(&f), .seed = seed};
    if (planted) {
        fs_model_plant(f.root);
        fs_model_plant(model.dir);
    }
    model.txn = fs_begin(&f);
    for (unsigned i = 0; i < steps; i++) {
        fs_model_step(&model);
        fs_model_compare(&model);
        if (i % 16 == 15) { /* the view built anew from the entries alone */
            must(ktm_savepoint(model.txn, "s", &f.err));
            must(ktm_rollback_to(model.txn, "s", &f.err));
            (void)snprintf(model.last, sizeof model.last, "rebuilt after step %u", model.step);
            fs_model_compare(&model);
        }
    }
    ktm_rollback(model.txn);
    close(model.dir);
}

Test(txfs_view, random_operations_on_an_empty_tree_do_what_the_system_does)
{
    for (uint64_t seed = 1; seed <= scaled(60); seed++) {
        run_model(seed * 7919, false, 60);
    }
}

Test(txfs_view, random_operations_on_a_real_tree_do_what_the_system_does)
{
    for (uint64_t seed = 1; seed <= scaled(150); seed++) {
        run_model(seed * 104729, true, 60);
    }
}

Test(txfs_view, a_read_only_transaction_refuses_changes_and_goes_on_reading)
{
    TX_AUTO(fs_fixture) f = fs_fixture_new();
    make_dir(f.root, "d");
    make_file(f.root, "d/a", "x");
    struct ktm_txn *txn = fs_begin_with(&f, KTM_READ_ONLY, NULL);
    refused(TX_EMISUSE, txfs_put(txn, "b", "x", 1, NULL, &f.err));
    refused(TX_EMISUSE, txfs_unlink(txn, "d/a", &f.err));
    refused(TX_EMISUSE, txfs_remove_tree(txn, "d", &f.err));
    refused(TX_EMISUSE, txfs_rename(txn, "d", "e", 0, &f.err));
    refused(TX_EMISUSE, txfs_mkdir(txn, "e", 0755, &f.err));
    refused(TX_EMISUSE, txfs_truncate(txn, "d/a", 0, &f.err));
    cr_assert(fs_file_is(&f, txn, "d/a", "x"));
    cr_assert_str_eq(fs_list(&f, txn, ""), "d");
    must(ktm_commit(txn, NULL, &f.err));
}

Test(txfs_view, attaching_shows_the_same)
{
    TX_AUTO(fs_fixture) f = fs_fixture_with(16, 0);
    struct fs_model model = {.f = &f, .dir = make_model_dir(&f), .seed = 4242};
    fs_model_plant(f.root);
    fs_model_plant(model.dir);
    model.txn = fs_begin(&f);
    struct ktm_id id = ktm_txn_id(model.txn);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned j = 0; j < 5; j++) {
            fs_model_step(&model);
            fs_model_compare(&model);
        }
        must(ktm_detach(model.txn, &f.err));
        must(ktm_attach(f.tm, &id, &model.txn, &f.err));
        fs_model_compare(&model);
    }
    must(ktm_commit(model.txn, NULL, &f.err));
    fs_trees_same(f.root, model.dir, ".txkit");
    close(model.dir);
}
