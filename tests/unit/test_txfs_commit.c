/* SPDX-License-Identifier: MIT */
/* View and publishing together: what a transaction showed is what stands in the tree after its
 * commit, and what older snapshots see stays as it was. */
#include "base/buf.h"
#include "fs_model.h"

static unsigned scaled(unsigned count)
{
    const char *scale = getenv("TXKIT_TEST_SCALE");
    double factor = scale != NULL ? strtod(scale, NULL) : 1;
    return (unsigned)((double)count * factor) + 1;
}

struct run {
    struct fs_fixture *f;
    struct fs_model model;
    struct ktm_txn *reader; /* began before some of the commits */
    struct tx_buf expected; /* what it saw then */
};

static void run_begin(struct run *run, struct fs_fixture *f, uint64_t seed)
{
    *run = (struct run){.f = f, .model = {.f = f, .seed = seed}};
    make_dir(f->store, "model");
    make_dir(f->store, "model/copy");
    run->model.dir = openat(f->store, "model/copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fs_model_plant(f->root);
    fs_model_plant(run->model.dir);
}

static void new_reader(struct run *run)
{
    run->reader = fs_begin(run->f);
    tx_buf_release(&run->expected);
    fs_model_describe(&run->model, run->reader, &run->expected);
}

static void check_reader(struct run *run)
{
    TX_AUTO(tx_buf) now = TX_BUF_INIT;
    fs_model_describe(&run->model, run->reader, &now);
    cr_assert(strcmp((char *)now.data, (char *)run->expected.data) == 0,
              "seed %llu: %s\n--- the snapshot now\n%s--- and before\n%s",
              (unsigned long long)run->model.seed, run->model.last, (char *)now.data,
              (char *)run->expected.data);
}

static void run_end(struct run *run)
{
    ktm_rollback(run->reader);
    tx_buf_release(&run->expected);
    close(run->model.dir);
}

static void one_transaction(struct run *run, unsigned steps)
{
    struct fs_fixture f = *run->f;
    run->model.txn = fs_begin(run->f);
    fs_model_compare(&run->model); /* also shows it all names of each inode: see README, limits */
    for (unsigned i = 0; i < steps; i++) {
        fs_model_step(&run->model);
    }
    fs_model_compare(&run->model);
    enum tx_status status = ktm_commit(run->model.txn, NULL, &f.err);
    cr_assert_eq(status, TX_OK, "%s: %s", run->model.last, f.err.text);
    fs_trees_same(f.root, run->model.dir, ".txkit");
}

Test(txfs_commit, random_transactions_publish_what_they_showed)
{
    for (uint64_t seed = 1; seed <= scaled(20); seed++) {
        TX_AUTO(fs_fixture) f = fs_fixture_with(seed % 2 * 8, 0); /* every other one stages */
        struct run run;
        run_begin(&run, &f, seed * 15485863);
        for (unsigned i = 0; i < 8; i++) {
            one_transaction(&run, 1 + fs_draw(&run.model, 20));
        }
        run_end(&run);
    }
}

Test(txfs_commit, snapshots_stay_as_they_were)
{
    for (uint64_t seed = 1; seed <= scaled(20); seed++) {
        TX_AUTO(fs_fixture) f = fs_fixture_with(seed % 2 * 8, 0); /* every other one stages */
        struct run run;
        run_begin(&run, &f, seed * 32452843);
        new_reader(&run);
        for (unsigned i = 0; i < 10; i++) {
            one_transaction(&run, 1 + fs_draw(&run.model, 10));
            check_reader(&run);
            if (fs_draw(&run.model, 4) == 0) {
                ktm_rollback(run.reader);
                new_reader(&run);
            }
        }
        run_end(&run);
    }
}
