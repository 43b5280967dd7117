/* SPDX-License-Identifier: MIT */
/*
 * Several processes on one store, killed at random.
 *
 * Writers commit transactions over files and registry; each transaction carries one number into
 * three files, a registry value and, every few turns, a counter that all writers share. Bankers
 * move money between accounts, which are files and values. Readers take snapshots and compare. A
 * recoverer opens the store, checkpoints and closes it, again and again. Every 10 ms the parent
 * kills one of them (SIGKILL) and starts it again, or stops it (SIGSTOP) until the next kill of
 * another is over: who is stopped holds what it holds, and must not be taken for dead. What must
 * hold:
 *   1. nothing acknowledged is lost: a number read is never smaller than the last one acknowledged
 *      before the snapshot was taken;
 *   2. nothing unacknowledged appears in part: all places show one and the same number, and never
 *      one that was not attempted;
 *   3. no update of the shared counter is lost: it equals the number of acknowledged increments,
 *      plus at most those whose outcome died with their process;
 *   4. no money is made or lost, in no snapshot.
 * The ledger is in memory that the parent shares with its children, so it survives them.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <txkit/txkit.h>

#include "soak/soak_bank.h"
#include "soak/soak_harm.h"
#include "soak/soak_numbers.h"

#define WRITERS 4
#define BANKERS 2
#define READERS 2
#define RECOVERERS 1
#define MEMBERS (WRITERS + BANKERS + READERS + RECOVERERS)
#define SHARE_EVERY 4 /* transactions that also increment the shared counter */

struct ledger {
    struct {
        _Atomic uint64_t attempted, acknowledged; /* numbers */
        _Atomic uint64_t shared_attempted;        /* increments that were sent to commit */
        _Atomic uint64_t shared_acknowledged;
        _Atomic uint64_t shared_refused; /* of the attempted: answered as aborted */
        _Atomic uint64_t conflicts;
    } writers[WRITERS];
    _Atomic uint64_t snapshots, transfers, recoveries;
    _Atomic uint64_t violations;
    _Atomic uint32_t stop;
};

static struct ledger *ledger;
static const char *root;

static void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void violation(const char *format, ...)
{
    va_list arguments;
    atomic_fetch_add(&ledger->violations, 1);
    fprintf(stderr, "# violation: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void file_path(char *path, size_t size, unsigned writer, unsigned file)
{
    snprintf(path, size, "w%u/f%u", writer, file);
}

static void key_path(char *path, size_t size, unsigned writer)
{
    snprintf(path, size, "Soak\\w%u", writer);
}

/* Read all places of one writer; they must agree. */
static enum tx_status read_all(struct ktm_txn *txn, unsigned writer, uint64_t *number,
                               struct tx_error *err)
{
    char path[64];
    uint64_t found[4];
    enum tx_status status = TX_OK;
    for (unsigned file = 0; status == TX_OK && file < 3; file++) {
        file_path(path, sizeof path, writer, file);
        status = soak_get_number(txn, path, &found[file], err);
    }
    key_path(path, sizeof path, writer);
    if (status == TX_OK) {
        status = soak_get_value(txn, path, "N", &found[3], err);
    }
    if (status != TX_OK) {
        return status;
    }
    if (found[0] != found[1] || found[0] != found[2] || found[0] != found[3]) {
        violation("snapshot %llu, writer %u: files %llu %llu %llu, registry %llu",
                  (unsigned long long)ktm_txn_snapshot(txn), writer, (unsigned long long)found[0],
                  (unsigned long long)found[1], (unsigned long long)found[2],
                  (unsigned long long)found[3]);
    }
    *number = found[0];
    return TX_OK;
}

static void check_number(unsigned writer, uint64_t number, uint64_t acknowledged, const char *when)
{
    uint64_t attempted = atomic_load(&ledger->writers[writer].attempted);
    if (number < acknowledged || number > attempted) {
        violation("%s: writer %u shows %llu, acknowledged %llu, attempted %llu", when, writer,
                  (unsigned long long)number, (unsigned long long)acknowledged,
                  (unsigned long long)attempted);
    }
}

static enum tx_status write_changes(struct ktm_txn *txn, unsigned writer, uint64_t number,
                                    bool share, struct tx_error *err)
{
    char path[64];
    uint64_t shared = 0;
    snprintf(path, sizeof path, "w%u", writer);
    enum tx_status status = txfs_mkdir_parents(txn, path, 0755, err);
    for (unsigned file = 0; status == TX_OK && file < 3; file++) {
        file_path(path, sizeof path, writer, file);
        status = soak_put_number(txn, path, number, err);
    }
    key_path(path, sizeof path, writer);
    if (status == TX_OK) {
        status = soak_set_value(txn, path, "N", number, err);
    }
    if (status == TX_OK && share) {
        status = soak_get_value(txn, "Soak", "Shared", &shared, err);
    }
    if (status == TX_OK && share) {
        status = soak_set_value(txn, "Soak", "Shared", shared + 1, err);
    }
    return status;
}

/* One transaction of a writer. */
static enum tx_status write_once(struct txstore *store, unsigned writer, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    uint64_t number = 0;
    uint64_t acknowledged = atomic_load(&ledger->writers[writer].acknowledged);
    enum tx_status status = txstore_begin(store, NULL, &txn, err);
    if (status != TX_OK) {
        return status;
    }
    status = read_all(txn, writer, &number, err);
    if (status == TX_OK) {
        check_number(writer, number, acknowledged, "begin");
        number++;
        bool share = number % SHARE_EVERY == 0;
        status = write_changes(txn, writer, number, share, err);
        if (status == TX_OK) {
            atomic_store(&ledger->writers[writer].attempted, number);
            atomic_fetch_add(&ledger->writers[writer].shared_attempted, share);
            status = ktm_commit(txn, NULL, err);
            txn = NULL;
            if (status == TX_OK) {
                atomic_store(&ledger->writers[writer].acknowledged, number);
                atomic_fetch_add(&ledger->writers[writer].shared_acknowledged, share);
            } else if (status == TX_ECONFLICT) {
                atomic_fetch_add(&ledger->writers[writer].shared_refused, share);
                atomic_fetch_add(&ledger->writers[writer].conflicts, 1);
            }
        }
    }
    ktm_rollback(txn);
    return status == TX_ECONFLICT ? TX_OK : status;
}

/* All accounts of one snapshot. */
static enum tx_status look_into_bank(struct ktm_txn *txn, const char *when, struct tx_error *err)
{
    uint64_t sum = 0;
    enum tx_status status = soak_bank_sum(txn, &sum, err);
    if (status == TX_OK && sum != SOAK_BANK_SUM) {
        violation("%s: snapshot %llu, the accounts hold %llu, not %llu", when,
                  (unsigned long long)ktm_txn_snapshot(txn), (unsigned long long)sum,
                  (unsigned long long)SOAK_BANK_SUM);
    }
    return status;
}

static enum tx_status bank_once(struct txstore *store, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    enum tx_status status = txstore_begin(store, NULL, &txn, err);
    if (status == TX_OK) {
        status = soak_bank_transfer(txn, err);
    }
    if (status == TX_OK) {
        status = ktm_commit(txn, NULL, err);
        txn = NULL;
        atomic_fetch_add(&ledger->transfers, status == TX_OK);
    }
    ktm_rollback(txn);
    return status == TX_ECONFLICT ? TX_OK : status;
}

static enum tx_status read_once(struct txstore *store, unsigned turn, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    uint64_t acknowledged[WRITERS];
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        acknowledged[writer] = atomic_load(&ledger->writers[writer].acknowledged);
    }
    enum tx_status status = txstore_begin(store, &options, &txn, err);
    for (unsigned i = 0; status == TX_OK && i < WRITERS; i++) {
        unsigned writer = (turn + i) % WRITERS;
        uint64_t number = 0;
        status = read_all(txn, writer, &number, err);
        if (status == TX_OK) {
            check_number(writer, number, acknowledged[writer], "read");
        }
    }
    if (status == TX_OK) {
        status = look_into_bank(txn, "read", err);
    }
    ktm_rollback(txn);
    atomic_fetch_add(&ledger->snapshots, status == TX_OK);
    return status;
}

/* Opens and closes with every turn: when it is alone, it recovers and closes as the last. */
static enum tx_status recover_once(struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct ktm_begin_options options = {.flags = KTM_READ_ONLY};
    enum tx_status status = txstore_open(root, NULL, &store, err);
    if (status != TX_OK) {
        return status;
    }
    status = txstore_begin(store, &options, &txn, err);
    if (status == TX_OK) {
        status = look_into_bank(txn, "opened", err);
        ktm_rollback(txn);
    }
    if (status == TX_OK) {
        status = txstore_checkpoint(store, err);
    }
    enum tx_status closed = txstore_close(store, status == TX_OK ? err : NULL);
    atomic_fetch_add(&ledger->recoveries, status == TX_OK);
    return status == TX_OK ? closed : status;
}

static enum tx_status turn_of(unsigned index, struct txstore *store, unsigned turn,
                              struct tx_error *err)
{
    if (index < WRITERS) {
        return write_once(store, index, err);
    }
    if (index < WRITERS + BANKERS) {
        return bank_once(store, err);
    }
    return store ? read_once(store, turn, err) : recover_once(err);
}

static _Noreturn void member(unsigned index)
{
    struct tx_error err = {0};
    struct txstore *store = NULL;
    bool recoverer = index >= MEMBERS - RECOVERERS;
    enum tx_status status = recoverer ? TX_OK : txstore_open(root, NULL, &store, &err);
    srandom((unsigned)getpid());
    for (unsigned turn = 0; status == TX_OK && !atomic_load(&ledger->stop); turn++) {
        status = turn_of(index, store, turn, &err);
    }
    if (status != TX_OK) {
        violation("member %u: %s", index, err.text);
    } else if (store && txstore_close(store, &err) != TX_OK) {
        violation("member %u: %s", index, err.text);
    }
    _exit(0);
}

static pid_t start(unsigned index)
{
    pid_t pid = fork();
    if (pid == 0) {
        member(index);
    }
    return pid;
}

static bool goes_on(void)
{
    return atomic_load(&ledger->violations) == 0;
}

static void stop_members(void)
{
    atomic_store(&ledger->stop, 1);
}

static void final_look(struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    uint64_t number, shared = 0, low = 0, high = 0;
    if (txstore_open(root, NULL, &store, err) != TX_OK ||
        txstore_begin(store, NULL, &txn, err) != TX_OK) {
        violation("final look: %s", err->text);
        return;
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        if (read_all(txn, writer, &number, err) != TX_OK) {
            violation("final look: %s", err->text);
        }
        check_number(writer, number, atomic_load(&ledger->writers[writer].acknowledged), "end");
        low += atomic_load(&ledger->writers[writer].shared_acknowledged);
        high += atomic_load(&ledger->writers[writer].shared_attempted) -
                atomic_load(&ledger->writers[writer].shared_refused);
    }
    if (soak_get_value(txn, "Soak", "Shared", &shared, err) != TX_OK || shared < low ||
        shared > high) {
        violation("shared counter %llu, acknowledged %llu, attempted %llu",
                  (unsigned long long)shared, (unsigned long long)low, (unsigned long long)high);
    }
    if (look_into_bank(txn, "end", err) != TX_OK) {
        violation("final look: %s", err->text);
    }
    printf("# shared counter %llu, acknowledged %llu\n", (unsigned long long)shared,
           (unsigned long long)low);
    ktm_rollback(txn);
    if (txstore_close(store, err) != TX_OK) {
        violation("final look: %s", err->text);
    }
}

static void on_fault(void *arg, const char *file, uint64_t offset, const char *text)
{
    (void)arg;
    violation("check: %s, offset %llu: %s", file, (unsigned long long)offset, text);
}

/* A store with the accounts in it. */
static enum tx_status make_store(struct tx_error *err)
{
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    settings.log_segment_size = 1 << 20; /* small, so that segments switch and recycle */
    enum tx_status status = txstore_init(NULL, root, NULL, &settings, err);
    if (status != TX_OK) {
        return status;
    }
    status = txstore_open(root, NULL, &store, err);
    if (status != TX_OK) {
        return status;
    }
    status = txstore_begin(store, NULL, &txn, err);
    if (status == TX_OK) {
        status = soak_bank_open(txn, err);
    }
    if (status == TX_OK) {
        status = ktm_commit(txn, NULL, err);
        txn = NULL;
    }
    ktm_rollback(txn);
    enum tx_status closed = txstore_close(store, status == TX_OK ? err : NULL);
    return status == TX_OK ? closed : status;
}

static void print_results(const struct soak_harm *harm)
{
    uint64_t commits = 0, conflicts = 0;
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        commits += atomic_load(&ledger->writers[writer].acknowledged);
        conflicts += atomic_load(&ledger->writers[writer].conflicts);
    }
    uint64_t snapshots = atomic_load(&ledger->snapshots);
    uint64_t transfers = atomic_load(&ledger->transfers);
    uint64_t recoveries = atomic_load(&ledger->recoveries);
    uint64_t violations = atomic_load(&ledger->violations);
    printf("# %llu commits, %llu conflicts, %llu transfers, %llu snapshots, %llu recoveries\n",
           (unsigned long long)commits, (unsigned long long)conflicts,
           (unsigned long long)transfers, (unsigned long long)snapshots,
           (unsigned long long)recoveries);
    printf("# %lu kills, %lu stops in %.0f s\n", harm->kills, harm->stops, harm->seconds);
    printf("%s 1 - nothing acknowledged is lost, nothing appears in part (%llu violations)\n",
           violations == 0 ? "ok" : "not ok", (unsigned long long)violations);
    printf("%s 2 - writers, bankers, readers, recoverer and killer all did something\n",
           commits > 0 && transfers > 0 && snapshots > 0 && recoveries > 0 && harm->kills > 0
               ? "ok"
               : "not ok");
    printf("1..2\n");
}

/* 5,000 from a scale of a half on. */
static unsigned long kills_at(double scale)
{
    return (unsigned long)(scale < 0.5 ? 10000 * scale : scale < 1 ? 5000 : 5000 * scale) + 1;
}

int main(void)
{
    char memory[] = "/dev/shm/txkit-soak.XXXXXX"; /* processes die here, not disks */
    char disk[] = "/tmp/txkit-soak.XXXXXX";
    struct tx_error err = {0};
    uint64_t faults = 0;
    const char *scale = getenv("TXKIT_TEST_SCALE");
    unsigned seed = (unsigned)time(NULL);
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    root = mkdtemp(memory);
    root = root ? root : mkdtemp(disk);
    if (ledger == MAP_FAILED || !root || make_store(&err) != TX_OK) {
        printf("Bail out! %s\n", err.text);
        return 1;
    }
    printf("# seed %u, %s\n", seed, root);
    fflush(stdout);
    srandom(seed);
    struct soak_harm harm = {0};
    soak_do_harm(&(struct soak_members){MEMBERS, start, goes_on, stop_members},
                 kills_at(scale ? strtod(scale, NULL) : 1.0), &harm);
    final_look(&err);
    if (txstore_check(NULL, root, NULL, on_fault, NULL, &faults, &err) != TX_OK) {
        violation("check: %s", err.text);
    }
    print_results(&harm);
    uint64_t violations = atomic_load(&ledger->violations);
    if (violations == 0) {
        struct tx_error ignored;
        if (txio_remove_tree(txio_posix(), TXIO_CWD, root, &ignored) != TX_OK) {
            printf("# %s stays: %s\n", root, ignored.text);
        }
    }
    return violations == 0 ? 0 : 1;
}
