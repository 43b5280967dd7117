/* SPDX-License-Identifier: MIT */
#include "unit/log_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct tx_error test_err;

void *shared_new(void)
{
    void *memory = mmap(NULL, txlog_shared_size(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

void log_make(struct txio *io, int dir, uint64_t size_max)
{
    struct txlog_settings settings = {SMALL_SEGMENT, size_max};
    struct txlog_identity identity;
    ok(txlog_create(io, dir, &settings, &identity, &test_err));
    cr_assert_eq(identity.epoch, 0);
}

enum tx_status log_try_open(struct log_user *user, struct txio *io, int dir)
{
    *user = (struct log_user){.io = io, .dir = dir, .shared = shared_new()};
    enum tx_status status =
        txlog_open(io, dir, TXLOG_READWRITE, user->shared, &user->log, &test_err);
    if (status == TX_OK) {
        status = txlog_recover(user->log, &user->recovery, &test_err);
    }
    if (status != TX_OK) {
        log_close(user);
    }
    return status;
}

void log_open(struct log_user *user, struct txio *io, int dir)
{
    ok(log_try_open(user, io, dir));
}

void log_join(struct log_user *user, const struct log_user *other, struct txio *io)
{
    *user = (struct log_user){.io = io, .dir = other->dir};
    ok(txlog_open(io, other->dir, TXLOG_READWRITE, other->shared, &user->log, &test_err));
}

void log_close(struct log_user *user)
{
    txlog_close(user->log);
    user->log = NULL;
    if (user->shared) {
        cr_assert_eq(munmap(user->shared, txlog_shared_size()), 0);
        user->shared = NULL;
    }
}

void log_close_clean(struct log_user *user)
{
    ok(txlog_mark_clean(user->log, &test_err));
    log_close(user);
}

void log_reopen(struct log_user *user)
{
    struct txio *io = user->io;
    int dir = user->dir;
    log_close(user);
    log_open(user, io, dir);
}

void payload_fill(uint8_t *data, uint32_t kind, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(kind * 37 + i * 11 + i / 251 + 1);
    }
}

enum tx_status log_try_put(struct log_user *user, uint32_t kind, size_t size, tx_lsn *next)
{
    uint8_t *data = malloc(size + 1);
    cr_assert_not_null(data);
    payload_fill(data, kind, size);
    struct iovec parts[2] = {{data, size / 3}, {data + size / 3, size - size / 3}};
    tx_lsn lsn;
    enum tx_status status = txlog_append_begin(user->log, size, &lsn, &test_err);
    if (status == TX_OK) {
        status = txlog_append(user->log, kind, parts, 2, next, &test_err);
        txlog_append_end(user->log);
    }
    free(data);
    return status;
}

tx_lsn log_put(struct log_user *user, uint32_t kind, size_t size)
{
    tx_lsn next = 0;
    ok(log_try_put(user, kind, size, &next));
    return next;
}

tx_lsn log_put_forced(struct log_user *user, uint32_t kind, size_t size)
{
    tx_lsn next = log_put(user, kind, size);
    ok(txlog_force(user->log, next, &test_err));
    return next;
}

bool payload_is(const struct tx_buf *payload, uint32_t kind)
{
    uint8_t *data = malloc(payload->size + 1);
    cr_assert_not_null(data);
    payload_fill(data, kind, payload->size);
    bool same = payload->size == 0 || memcmp(data, payload->data, payload->size) == 0;
    free(data);
    return same;
}

void log_contents(struct log_user *user, struct log_contents *contents)
{
    TX_AUTO(tx_buf) payload = TX_BUF_INIT;
    struct txlog_info info = log_info(user);
    struct txlog_record record;
    *contents = (struct log_contents){.count = 0};
    for (tx_lsn lsn = info.start_lsn; lsn < info.append_lsn; lsn = record.next_lsn) {
        ok(txlog_read(user->log, lsn, &record, &payload, &test_err));
        cr_assert_eq(record.lsn, lsn);
        cr_assert_gt(record.next_lsn, lsn);
        if (record.kind == TXLOG_KIND_EPOCH) {
            contents->epochs++;
            continue;
        }
        cr_assert(payload_is(&payload, record.kind), "payload of record %u", record.kind);
        cr_assert_lt(contents->count, 512);
        contents->lsns[contents->count] = lsn;
        contents->kinds[contents->count++] = record.kind;
    }
    fails(TX_ENOTFOUND,
          txlog_read(user->log, info.append_lsn, &record, &payload, &test_err));
}

void log_expect(struct log_user *user, unsigned count)
{
    struct log_contents contents;
    log_contents(user, &contents);
    cr_assert_eq(contents.count, count, "%u records instead of %u", contents.count, count);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(contents.kinds[i], i + 1);
    }
}

struct txlog_info log_info(const struct log_user *user)
{
    struct txlog_info info;
    txlog_get_info(user->log, &info);
    return info;
}

static char faults_text[4096];

static void fault_seen(void *arg, const struct txlog_fault *fault)
{
    size_t used = strlen(faults_text);
    (void)arg;
    (void)snprintf(faults_text + used, sizeof(faults_text) - used, "%s@%llu: %s; ", fault->file,
                   (unsigned long long)fault->offset, fault->text);
}

uint64_t log_faults(struct txio *io, int dir)
{
    uint64_t faults = 0;
    faults_text[0] = '\0';
    ok(txlog_verify(io, dir, fault_seen, NULL, &faults, &test_err));
    return faults;
}

const char *log_faults_text(struct txio *io, int dir)
{
    (void)log_faults(io, dir);
    return faults_text;
}

static int file_open(int dir, const char *path)
{
    int fd = openat(dir, path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0, "open %s", path);
    return fd;
}

void file_read(int dir, const char *path, uint64_t offset, void *data, size_t size)
{
    int fd = file_open(dir, path);
    cr_assert_eq(pread(fd, data, size, (off_t)offset), (ssize_t)size);
    (void)close(fd);
}

void file_write(int dir, const char *path, uint64_t offset, const void *data, size_t size)
{
    int fd = file_open(dir, path);
    cr_assert_eq(pwrite(fd, data, size, (off_t)offset), (ssize_t)size);
    (void)close(fd);
}

void file_flip(int dir, const char *path, uint64_t offset, unsigned bit)
{
    uint8_t byte;
    file_read(dir, path, offset, &byte, 1);
    byte ^= (uint8_t)(1u << bit);
    file_write(dir, path, offset, &byte, 1);
}

uint64_t file_size(int dir, const char *path)
{
    struct stat stat;
    cr_assert_eq(fstatat(dir, path, &stat, 0), 0, "stat %s", path);
    return (uint64_t)stat.st_size;
}

const char *segment_path(uint64_t seq)
{
    static char path[40];
    char name[LOG_NAME_SIZE];
    segment_name(seq, name);
    (void)snprintf(path, sizeof(path), LOG_DIR_NAME "/%s", name);
    return path;
}

void control_edit(int dir, void (*fn)(struct control *content))
{
    struct control content;
    int fd = file_open(dir, CONTROL_NAME);
    ok(control_load(txio_posix(), fd, &content, &test_err));
    fn(&content);
    ok(control_store(txio_posix(), fd, &content, &test_err));
    (void)close(fd);
}

static void run_in(int dir, const char *command)
{
    char line[512];
    (void)snprintf(line, sizeof(line), "cd /proc/%d/fd/%d/ && %s", (int)getpid(), dir,
                   command);
    cr_assert_eq(system(line), 0, "%s", command);
}

void log_save(int dir)
{
    run_in(dir, "rm -rf saved && mkdir saved && cp -a control log saved/");
}

void log_restore(int dir)
{
    run_in(dir, "rm -rf control log && cp -a saved/. .");
}
