/* SPDX-License-Identifier: MIT */
/*
 * The live segments, as the names and headers in `log/` have them. Each begins at an LSN and goes
 * on until the next one begins; one that begins at or before an earlier one replaces it from there
 * on. So the last name decides, and recovery can supersede a torn tail by one rename.
 */
#include <errno.h>
#include <stdlib.h>

#include "txlog/log_scan.h"

struct name_job {
    log_name_fn *fn;
    void *arg;
    enum tx_status status;
    struct tx_error *err;
};

static int name_seen(void *arg, const char *name, uint64_t ino, unsigned type)
{
    struct name_job *job = arg;
    uint64_t number;
    (void)ino;
    (void)type;
    enum log_name_kind kind = log_name_parse(name, &number);
    job->status = job->fn(job->arg, name, kind, number, job->err);
    return job->status == TX_OK ? 0 : 1;
}

enum tx_status log_each_name(struct txlog *log, log_name_fn *fn, void *arg, struct tx_error *err)
{
    struct name_job job = {fn, arg, TX_OK, err};
    int result = log->io->ops->list(log->io, log->log_dir, name_seen, &job);
    if (job.status != TX_OK) {
        return job.status;
    }
    return result < 0 ? tx_error_os(err, -result, "list " LOG_DIR_NAME "/") : TX_OK;
}

struct collect_job {
    uint64_t seq_min;
    struct tx_buf *numbers;
};

static enum tx_status collect_name(void *arg, const char *name, enum log_name_kind kind,
                                   uint64_t number, struct tx_error *err)
{
    struct collect_job *job = arg;
    (void)name;
    if (kind != LOG_NAME_SEGMENT || number < job->seq_min) {
        return TX_OK;
    }
    return tx_buf_append(job->numbers, &number, sizeof(number), err);
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a;
    uint64_t b;
    memcpy(&a, left, sizeof(a));
    memcpy(&b, right, sizeof(b));
    return a < b ? -1 : a > b;
}

uint64_t segment_number(const struct tx_buf *numbers, size_t index)
{
    uint64_t number;
    TX_INVARIANT((index + 1) * sizeof(number) <= numbers->size);
    memcpy(&number, numbers->data + index * sizeof(number), sizeof(number));
    return number;
}

enum tx_status segment_numbers(struct txlog *log, uint64_t seq_min, struct tx_buf *numbers,
                               struct tx_error *err)
{
    struct collect_job job = {seq_min, numbers};
    TX_TRY(log_each_name(log, collect_name, &job, err));
    if (numbers->size > 0) {
        qsort(numbers->data, numbers->size / sizeof(uint64_t), sizeof(uint64_t), compare_numbers);
    }
    return TX_OK;
}

static enum tx_status read_header(struct txlog *log, uint64_t seq, struct segment_header *header,
                                  struct tx_error *err)
{
    TX_AUTO(segment_handle) handle = {.fd = -1};
    uint8_t block[TXLOG_BLOCK_SIZE];
    struct txio_stat stat;
    TX_TRY(segment_acquire(log, seq, &handle, err));
    TX_TRY(txio_stat_fd(log->io, handle.fd, &stat, err));
    TX_TRY(txio_read_full(log->io, handle.fd, block, sizeof(block), 0, err));
    TX_TRY(segment_decode(block, header, err));
    if (header->seq != seq || (log->log_id != 0 && header->log_id != log->log_id)) {
        return tx_error_set(err, TX_ECORRUPT, "header block is that of another file");
    }
    if (header->size != stat.size) {
        return tx_error_set(err, TX_ECORRUPT, "file has %llu bytes and should have %llu",
                            (unsigned long long)stat.size, (unsigned long long)header->size);
    }
    return TX_OK;
}

/* Add the next one: what begins at or after its beginning is superseded. */
static void list_add(struct segment_list *list, const struct segment_header *header)
{
    while (list->count > 0 &&
           list->items[list->count - 1].header.first_lsn >= header->first_lsn) {
        list->count--;
    }
    if (list->count > 0) {
        list->items[list->count - 1].end_lsn = header->first_lsn;
    }
    list->items[list->count++] = (struct segment_info){
        *header, header->first_lsn + segment_capacity(header->size)};
}

static enum tx_status load_one(struct txlog *log, uint64_t seq, segment_bad_fn *fn, void *arg,
                               struct segment_list *list, struct tx_error *err)
{
    struct segment_header header;
    enum tx_status status = read_header(log, seq, &header, err);
    if (status == TX_OK) {
        list_add(list, &header);
        return TX_OK;
    }
    char name[LOG_NAME_SIZE];
    segment_name(seq, name);
    tx_error_prefix(err, "segment %s", name);
    return fn ? fn(arg, seq, status, err) : status;
}

enum tx_status segment_list_load(struct txlog *log, uint64_t seq_min, segment_bad_fn *fn, void *arg,
                                 struct segment_list *list, struct tx_error *err)
{
    TX_AUTO(segment_list) loaded = {NULL, 0};
    TX_AUTO(tx_buf) numbers = TX_BUF_INIT;
    TX_TRY(segment_numbers(log, seq_min, &numbers, err));
    size_t count = numbers.size / sizeof(uint64_t);
    loaded.items = tx_alloc_zero((count + 1) * sizeof(*loaded.items));
    if (!loaded.items) {
        return tx_error_set(err, TX_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        TX_TRY(load_one(log, segment_number(&numbers, i), fn, arg, &loaded, err));
    }
    *list = loaded;
    loaded.items = NULL;
    return TX_OK;
}

size_t segment_list_broken(const struct segment_list *list)
{
    for (size_t i = 1; i < list->count; i++) {
        if (list->items[i].header.previous != list->items[i - 1].header.seq) {
            return i;
        }
    }
    return 0;
}
