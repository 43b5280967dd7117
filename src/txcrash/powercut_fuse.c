/* SPDX-License-Identifier: MIT */
/*
 * The server of the recorded disk, in plain FUSE protocol: one directory with the disk, the file
 * of acknowledgements and the file of our own marks. It reads one request after the other and
 * logs before it answers, so acknowledgements, writes and flushes have one total order without
 * any clock. What is answered before a flush is read is covered by that flush.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "powercut_internal.h"

#define TRANSFER_MAX (1u << 20)

enum node { NODE_ROOT = FUSE_ROOT_ID, NODE_DISK, NODE_ACK, NODE_MARK, NODE_END };
static const char *const node_names[NODE_END] = {
    [NODE_DISK] = "disk", [NODE_ACK] = "ack", [NODE_MARK] = "mark"};

struct server {
    int fd, log_fd;
    struct image *image;
    struct fault fault;
    uint64_t flushes, writes; /* since LOG_MARK_BEGIN; since the last flush */
    bool begun;
    char *lines[NODE_END]; /* what was written to a file and not yet ended by a newline */
    size_t line_sizes[NODE_END];
    struct fuse_in_header *head;
};

static void answer(const struct server *server, int error, const void *bytes, size_t size)
{
    struct fuse_out_header head = {(uint32_t)(sizeof head + size), -error, server->head->unique};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, size}};
    /* ENOENT: whoever asked was interrupted. Nothing else is expected, or of use here. */
    if (writev(server->fd, parts, size ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV) {
        powercut_die_errno("answer the kernel (request %u)", server->head->opcode);
    }
}

static void fill_attr(const struct server *server, uint64_t node, struct fuse_attr *attr)
{
    *attr = (struct fuse_attr){.ino = node, .nlink = 1, .blksize = POWERCUT_PAGE};
    attr->mode = node == NODE_ROOT ? S_IFDIR | 0755 : node == NODE_ACK ? S_IFREG | 0666
                                                                       : S_IFREG | 0600;
    attr->size = node == NODE_DISK ? server->image->size : 0;
    attr->blocks = attr->size / POWERCUT_SECTOR;
}

static void do_init(const struct server *server, const struct fuse_init_in *in)
{
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = in->max_readahead,
        .flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_DIO),
        .max_background = 64,
        .congestion_threshold = 48,
        .max_write = TRANSFER_MAX,
        .time_gran = 1,
        .max_pages = TRANSFER_MAX / POWERCUT_PAGE,
    };
    answer(server, 0, &out, sizeof out);
}

static void do_lookup(const struct server *server, const char *name)
{
    struct fuse_entry_out out = {.attr_valid = 3600, .entry_valid = 3600};
    for (uint64_t node = NODE_DISK; node < NODE_END; node++) {
        if (strcmp(name, node_names[node]) == 0) {
            out.nodeid = node;
            fill_attr(server, node, &out.attr);
            answer(server, 0, &out, sizeof out);
            return;
        }
    }
    answer(server, ENOENT, NULL, 0);
}

static void do_attr(const struct server *server)
{
    struct fuse_attr_out out = {.attr_valid = 3600};
    fill_attr(server, server->head->nodeid, &out.attr);
    answer(server, 0, &out, sizeof out);
}

static void do_open(const struct server *server)
{
    struct fuse_open_out out = {0};
    /* An acknowledgement must come when it is written, not when a page is. */
    out.open_flags = server->head->nodeid == NODE_DISK ? 0 : FOPEN_DIRECT_IO;
    answer(server, 0, &out, sizeof out);
}

static void do_read(const struct server *server, const struct fuse_read_in *in)
{
    uint64_t size = server->image->size;
    if (server->head->nodeid != NODE_DISK || in->offset >= size) {
        answer(server, 0, NULL, 0);
        return;
    }
    uint64_t left = size - in->offset;
    answer(server, 0, server->image->bytes + in->offset, left < in->size ? left : in->size);
}

/* Log every whole line that was written to the file of acknowledgements or marks. */
static void take_lines(struct server *server, uint64_t node, const char *bytes, size_t size)
{
    char **line = &server->lines[node];
    size_t *line_size = &server->line_sizes[node];
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            *line = powercut_need(realloc(*line, *line_size + 1));
            (*line)[(*line_size)++] = bytes[i];
            continue;
        }
        log_append(server->log_fd, node == NODE_ACK ? LOG_ACK : LOG_MARK, 0, *line,
                   (uint32_t)*line_size);
        server->begun |= node == NODE_MARK && *line_size == strlen(LOG_MARK_BEGIN) &&
                         memcmp(*line, LOG_MARK_BEGIN, *line_size) == 0;
        *line_size = 0;
    }
}

static void do_write(struct server *server, const struct fuse_write_in *in)
{
    const char *bytes = (const char *)(in + 1);
    struct fuse_write_out out = {.size = in->size};
    if (server->head->nodeid != NODE_DISK) {
        take_lines(server, server->head->nodeid, bytes, in->size);
    } else if (server->begun && ++server->writes == server->fault.write &&
               server->flushes == server->fault.flushes) {
        log_append(server->log_fd, LOG_FAULT, in->offset, bytes, in->size);
        answer(server, EIO, NULL, 0);
        return;
    } else {
        log_append(server->log_fd, LOG_WRITE, in->offset, bytes, in->size);
        image_write(server->image, in->offset, bytes, in->size);
    }
    answer(server, 0, &out, sizeof out);
}

static void do_sync(struct server *server)
{
    if (server->head->nodeid == NODE_DISK) {
        server->flushes += server->begun;
        server->writes = 0;
        log_append(server->log_fd, LOG_FLUSH, 0, NULL, 0);
    }
    answer(server, 0, NULL, 0);
}

static void do_statfs(const struct server *server)
{
    struct fuse_statfs_out out = {.st = {.bsize = POWERCUT_PAGE, .namelen = 255}};
    answer(server, 0, &out, sizeof out);
}

static void serve_one(struct server *server, const void *in)
{
    switch (server->head->opcode) {
    case FUSE_INIT: do_init(server, in); break;
    case FUSE_LOOKUP: do_lookup(server, in); break;
    case FUSE_GETATTR:
    case FUSE_SETATTR: do_attr(server); break; /* e.g. O_TRUNC of $TXCRASH_ACK: nothing to do */
    case FUSE_OPEN:
    case FUSE_OPENDIR: do_open(server); break;
    case FUSE_READ: do_read(server, in); break;
    case FUSE_WRITE: do_write(server, in); break;
    case FUSE_FSYNC: do_sync(server); break;
    case FUSE_STATFS: do_statfs(server); break;
    case FUSE_READDIR:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_ACCESS: answer(server, 0, NULL, 0); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break; /* have no answer */
    default: answer(server, ENOSYS, NULL, 0); break; /* discards among them */
    }
}

void fuse_serve(int fuse_fd, struct image *image, int log_fd, struct fault fault)
{
    size_t room = TRANSFER_MAX + POWERCUT_PAGE;
    struct fuse_in_header *request = powercut_need(aligned_alloc(POWERCUT_PAGE, room));
    struct server server = {.fd = fuse_fd,
                            .log_fd = log_fd,
                            .image = image,
                            .fault = fault,
                            .head = request};
    for (;;) {
        ssize_t size = read(fuse_fd, request, room);
        if (size < 0 && errno == ENODEV) {
            break; /* unmounted */
        }
        if (size < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) {
            powercut_die_errno("read from the kernel");
        }
        if (size >= (ssize_t)sizeof *request) {
            serve_one(&server, request + 1);
        }
    }
    free(request);
    for (unsigned node = 0; node < NODE_END; node++) {
        free(server.lines[node]);
    }
}
