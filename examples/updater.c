/* SPDX-License-Identifier: MIT */
/*
 * An updater in one page: install a patch (a directory or a tar archive) and a few registry values
 * into a tree, in one transaction. After a power cut at any moment the tree and the registry are
 * wholly old or wholly new.
 *
 *     updater ROOT PATCH MANIFEST
 *
 * MANIFEST has one value per line: KEY <tab> NAME <tab> sz|dword|qword <tab> DATA; '#' comments.
 * ROOT needs a store: txctl init ROOT.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <txkit/txkit.h>

#define MANIFEST_LINE_MAX 65536

/* Exit codes as txctl's: 1 failed, 2 usage, 4 conflict, 5 committed but not all carried out. */
static int fail(enum tx_status status, const struct tx_error *err)
{
    fprintf(stderr, "updater: %s\n", err->text);
    return status == TX_ECONFLICT ? 4 : status == TX_EPENDING || status == TX_EOUTCOME ? 5 : 1;
}

static void show_progress(void *arg, const struct tximport_progress *progress)
{
    (void)arg;
    fprintf(stderr, "\r%llu objects, %llu KiB\033[K", (unsigned long long)progress->entries,
            (unsigned long long)(progress->bytes >> 10));
}

static enum tx_status install_value(struct ktm_txn *txn, char *line, struct tx_error *err)
{
    char *key = strsep(&line, "\t");
    char *name = strsep(&line, "\t");
    char *type = strsep(&line, "\t");
    char *data = line;
    char *end = NULL;
    if (!key || !name || !type || !data) {
        return tx_error_set(err, TX_EINVAL, "four fields separated by tabs are wanted");
    }
    enum tx_status status = txreg_create(txn, key, NULL, NULL, err);
    if (status != TX_OK) {
        return status;
    }
    if (strcmp(type, "sz") == 0) {
        return txreg_set_string(txn, key, name, data, err);
    }
    errno = 0;
    unsigned long long number = strtoull(data, &end, 0);
    if (errno != 0 || end == data || *end != '\0') {
        return tx_error_set(err, TX_EINVAL, "\"%s\" is no number", data);
    }
    if (strcmp(type, "dword") == 0 && number <= UINT32_MAX) {
        return txreg_set_u32(txn, key, name, (uint32_t)number, err);
    }
    if (strcmp(type, "qword") == 0) {
        return txreg_set_u64(txn, key, name, number, err);
    }
    return tx_error_set(err, TX_EINVAL, "\"%s\" is no type, or the number does not fit it", type);
}

static enum tx_status install_values(struct ktm_txn *txn, const char *manifest,
                                     struct tx_error *err)
{
    static char line[MANIFEST_LINE_MAX];
    FILE *file = fopen(manifest, "re");
    if (!file) {
        return tx_error_os(err, errno, "open \"%s\"", manifest);
    }
    enum tx_status status = TX_OK;
    for (unsigned number = 1; status == TX_OK && fgets(line, sizeof line, file); number++) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#') {
            status = install_value(txn, line, err);
        }
        if (status != TX_OK) {
            tx_error_prefix(err, "%s:%u", manifest, number);
        }
    }
    if (status == TX_OK && ferror(file)) {
        status = tx_error_os(err, EIO, "read \"%s\"", manifest);
    }
    fclose(file); /* only read from */
    return status;
}

static enum tx_status install(struct ktm_txn *txn, const char *patch, const char *manifest,
                              struct tximport_counts *counts, struct tx_error *err)
{
    struct tximport_options options = {.flags = TXIMPORT_MIRROR | TXIMPORT_SETID,
                                       .progress = isatty(STDERR_FILENO) ? show_progress : NULL};
    struct stat stat_of_patch;
    if (stat(patch, &stat_of_patch) != 0) {
        return tx_error_os(err, errno, "open \"%s\"", patch);
    }
    if (geteuid() == 0) {
        options.flags |= TXIMPORT_OWNER;
    }
    enum tx_status status = S_ISDIR(stat_of_patch.st_mode)
                                ? tximport_directory(txn, patch, "", &options, counts, err)
                                : tximport_archive(txn, patch, "", &options, counts, err);
    return status == TX_OK ? install_values(txn, manifest, err) : status;
}

int main(int argc, char **argv)
{
    struct tx_error err = {0};
    struct txstore *store = NULL;
    struct ktm_txn *txn = NULL;
    struct tximport_counts counts = {0};
    struct ktm_begin_options begin = {.description = "update"};
    tx_lsn lsn = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: updater ROOT PATCH MANIFEST\n");
        return 2;
    }
    enum tx_status status = txstore_open(argv[1], NULL, &store, &err);
    if (status != TX_OK) {
        return fail(status, &err);
    }
    status = txstore_begin(store, &begin, &txn, &err);
    if (status == TX_OK) {
        status = install(txn, argv[2], argv[3], &counts, &err);
        if (status == TX_OK) {
            status = ktm_commit(txn, &lsn, &err); /* the one instant at which all of it happens */
        } else {
            ktm_rollback(txn);
        }
    }
    int code = status == TX_OK ? 0 : fail(status, &err);
    if (txstore_close(store, &err) != TX_OK) {
        fprintf(stderr, "updater: %s (nothing that was committed is lost)\n", err.text);
    }
    if (code == 0) {
        printf("%llu added, %llu replaced, %llu removed, %llu unchanged; commit %llu\n",
               (unsigned long long)counts.added, (unsigned long long)counts.replaced,
               (unsigned long long)counts.removed, (unsigned long long)counts.unchanged,
               (unsigned long long)lsn);
    }
    return code;
}
