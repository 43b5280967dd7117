/* SPDX-License-Identifier: MIT */
/*
 * Several processes on one store, killed at random.
 *
 * Writers commit transactions over files and registry; each transaction carries one number into
 * three files, a registry value and, every few turns, a counter that all writers share. Readers
 * take snapshots and compare. The parent kills one of them (SIGKILL) every 100 ms and starts it
 * again. What must hold:
 *   1. nothing acknowledged is lost: a number read is never smaller than the last one acknowledged
 *      before the snapshot was taken;
 *   2. nothing unacknowledged appears in part: all places show one and the same number, and never
 *      one that was not attempted;
 *   3. no update of the shared counter is lost: it equals the number of acknowledged increments,
 *      plus at most those whose outcome died with their process.
 * The ledger is in memory that the parent shares with its children, so it survives them.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <txkit/txkit.h>

#define WRITERS 4
#define READERS 2
#define MEMBERS (WRITERS + READERS)
#define KILL_INTERVAL_MS 100
#define SHARE_EVERY 4 /* transactions that also increment the shared counter */

struct ledger {
    struct {
        _Atomic uint64_t attempted, acknowledged; /* numbers */
        _Atomic uint64_t shared_attempted;        /* increments that were sent to commit */
        _Atomic uint64_t shared_acknowledged;
        _Atomic uint64_t shared_refused; /* of the attempted: answered as aborted */
        _Atomic uint64_t conflicts;
    } writers[WRITERS];
    _Atomic uint64_t snapshots;
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

static enum tx_status put_number(struct ktm_txn *txn, const char *path, uint64_t number,
                                 struct tx_error *err)
{
    char text[4096];
    /* Longer than a sector, so that a mixture inside the file would show. */
    for (size_t at = 0; at < sizeof text; at += 16) {
        snprintf(text + at, sizeof text - at, "%015llu", (unsigned long long)number);
        text[at + 15] = '\n';
    }
    return txfs_put(txn, path, text, sizeof text, NULL, err);
}

/* 0 when the file does not exist; UINT64_MAX when its parts disagree. */
static enum tx_status get_number(struct ktm_txn *txn, const char *path, uint64_t *number,
                                 struct tx_error *err)
{
    struct txfs_file *file = NULL;
    char text[4096];
    size_t done = 0;
    enum tx_status status = txfs_open(txn, path, TXFS_READ, 0, &file, err);
    *number = 0;
    if (status != TX_OK) {
        return status == TX_ENOTFOUND ? TX_OK : status;
    }
    status = txfs_pread(file, text, sizeof text, 0, &done, err);
    txfs_abandon(file);
    if (status != TX_OK) {
        return status;
    }
    *number = strtoull(text, NULL, 10);
    for (size_t at = 16; at < done; at += 16) {
        if (memcmp(text, text + at, 16) != 0) {
            *number = UINT64_MAX;
        }
    }
    if (done != sizeof text) {
        *number = UINT64_MAX;
    }
    return TX_OK;
}

static enum tx_status get_value(struct ktm_txn *txn, const char *key, const char *name,
                                uint64_t *number, struct tx_error *err)
{
    char *text = NULL;
    enum tx_status status = txreg_get_string(txn, key, name, &text, err);
    *number = 0;
    if (status == TX_OK) {
        *number = strtoull(text, NULL, 10);
        free(text);
    }
    return status == TX_ENOTFOUND ? TX_OK : status;
}

static enum tx_status set_value(struct ktm_txn *txn, const char *key, const char *name,
                                uint64_t number, struct tx_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    enum tx_status status = txreg_create(txn, key, NULL, NULL, err);
    return status == TX_OK ? txreg_set_string(txn, key, name, text, err) : status;
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
        status = get_number(txn, path, &found[file], err);
    }
    key_path(path, sizeof path, writer);
    if (status == TX_OK) {
        status = get_value(txn, path, "N", &found[3], err);
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
        status = put_number(txn, path, number, err);
    }
    key_path(path, sizeof path, writer);
    if (status == TX_OK) {
        status = set_value(txn, path, "N", number, err);
    }
    if (status == TX_OK && share) {
        status = get_value(txn, "Soak", "Shared", &shared, err);
    }
    if (status == TX_OK && share) {
        status = set_value(txn, "Soak", "Shared", shared + 1, err);
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
    ktm_rollback(txn);
    atomic_fetch_add(&ledger->snapshots, status == TX_OK);
    return status;
}

static _Noreturn void member(unsigned index)
{
    struct tx_error err = {0};
    struct txstore *store = NULL;
    enum tx_status status = txstore_open(root, NULL, &store, &err);
    for (unsigned turn = 0; status == TX_OK && !atomic_load(&ledger->stop); turn++) {
        status = index < WRITERS ? write_once(store, index, &err) : read_once(store, turn, &err);
    }
    if (status != TX_OK) {
        violation("member %u: %s", index, err.text);
    } else if (txstore_close(store, &err) != TX_OK) {
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

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static unsigned long run_members(double duration, unsigned seed)
{
    pid_t pids[MEMBERS];
    unsigned long kills = 0;
    double end = seconds() + duration;
    srandom(seed);
    for (unsigned i = 0; i < MEMBERS; i++) {
        pids[i] = start(i);
    }
    while (seconds() < end && atomic_load(&ledger->violations) == 0) {
        struct timespec pause = {0, KILL_INTERVAL_MS * 1000000l};
        nanosleep(&pause, NULL); /* the interval of the experiment, not a wait for anything */
        unsigned victim = (unsigned)random() % MEMBERS;
        kill(pids[victim], SIGKILL);
        reap(pids[victim]);
        kills++;
        pids[victim] = start(victim);
    }
    atomic_store(&ledger->stop, 1);
    for (unsigned i = 0; i < MEMBERS; i++) {
        reap(pids[i]);
    }
    return kills;
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
    if (get_value(txn, "Soak", "Shared", &shared, err) != TX_OK || shared < low || shared > high) {
        violation("shared counter %llu, acknowledged %llu, attempted %llu",
                  (unsigned long long)shared, (unsigned long long)low, (unsigned long long)high);
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

int main(void)
{
    char directory[] = "/tmp/txkit-soak.XXXXXX";
    struct tx_error err = {0};
    struct txstore_settings settings = TXSTORE_SETTINGS_DEFAULT;
    uint64_t faults = 0;
    uint64_t commits = 0, conflicts = 0;
    const char *scale = getenv("TXKIT_TEST_SCALE");
    double duration = 30.0 * (scale ? strtod(scale, NULL) : 1.0);
    unsigned seed = (unsigned)time(NULL);
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    root = mkdtemp(directory);
    settings.log_segment_size = 1 << 20; /* small, so that segments switch and recycle */
    if (ledger == MAP_FAILED || !root ||
        txstore_init(NULL, root, NULL, &settings, &err) != TX_OK) {
        printf("Bail out! %s\n", err.text);
        return 1;
    }
    printf("# seed %u, %s\n", seed, root);
    fflush(stdout);
    unsigned long kills = run_members(duration, seed);
    final_look(&err);
    if (txstore_check(NULL, root, NULL, on_fault, NULL, &faults, &err) != TX_OK) {
        violation("check: %s", err.text);
    }
    for (unsigned writer = 0; writer < WRITERS; writer++) {
        commits += atomic_load(&ledger->writers[writer].acknowledged);
        conflicts += atomic_load(&ledger->writers[writer].conflicts);
    }
    uint64_t snapshots = atomic_load(&ledger->snapshots);
    uint64_t violations = atomic_load(&ledger->violations);
    printf("# %llu commits, %llu conflicts, %llu snapshots, %lu kills in %.0f s\n",
           (unsigned long long)commits, (unsigned long long)conflicts,
           (unsigned long long)snapshots, kills, duration);
    printf("%s 1 - nothing acknowledged is lost, nothing appears in part (%llu violations)\n",
           violations == 0 ? "ok" : "not ok", (unsigned long long)violations);
    printf("%s 2 - writers, readers and the killer all did something\n",
           commits > 0 && snapshots > 0 && kills > 0 ? "ok" : "not ok");
    printf("1..2\n");
    if (violations == 0) {
        struct tx_error ignored;
        if (txio_remove_tree(txio_posix(), TXIO_CWD, root, &ignored) != TX_OK) {
            printf("# %s stays: %s\n", root, ignored.text);
        }
    }
    return violations == 0 ? 0 : 1;
}
