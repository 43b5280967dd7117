/* SPDX-License-Identifier: MIT */
/* Locks, shared memory, waiting, time and identity. */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mutant.h"
#include "txio_internal.h"

static struct flock lock_of_byte(uint64_t byte, short type)
{
    return (struct flock){
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)byte,
        .l_len = 1,
        .l_pid = 0, /* the kernel insists for locks of open file descriptions */
    };
}

static int lock_command(bool wait)
{
    if (TX_MUTANT(27)) { /* SQLite's posix_close_bug: any close() of the file drops the lock */
        return wait ? F_SETLKW : F_SETLK;
    }
    return wait ? F_OFD_SETLKW : F_OFD_SETLK;
}

int os_lock(OS_SELF, int fd, uint64_t byte, enum txio_lock_mode mode, bool wait)
{
    static const short types[] = {
        [TXIO_UNLOCK] = F_UNLCK, [TXIO_SHARED] = F_RDLCK, [TXIO_EXCLUSIVE_LOCK] = F_WRLCK};
    struct flock lock = lock_of_byte(byte, types[mode]);
    int result = OS_CALL(fcntl(fd, lock_command(wait), &lock));
    return result == -EACCES ? -EAGAIN : result; /* POSIX allows either */
}

int os_lock_probe(OS_SELF, int fd, uint64_t byte)
{
    struct flock lock = lock_of_byte(byte, F_RDLCK); /* only an exclusive lock conflicts with it */
    int result = OS_CALL(fcntl(fd, F_OFD_GETLK, &lock));
    return result < 0 ? result : lock.l_type != F_UNLCK;
}

int os_map(OS_SELF, int fd, size_t size, void **memory)
{
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        return -errno;
    }
    *memory = mapped;
    return 0;
}

int os_unmap(OS_SELF, void *memory, size_t size)
{
    return OS_CALL(munmap(memory, size));
}

int os_wait(OS_SELF, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    struct timespec timeout = {0, 0};
    if (timeout_ns > 0) {
        timeout.tv_sec = (time_t)(timeout_ns / 1000000000);
        timeout.tv_nsec = (long)(timeout_ns % 1000000000);
    }
    /* Not FUTEX_PRIVATE: the word may stand in shared memory. */
    long result = syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout_ns < 0 ? NULL : &timeout,
                          NULL, 0);
    if (result < 0 && errno != EAGAIN && errno != EINTR) { /* those two: woken for no reason */
        return -errno;
    }
    return 0;
}

int os_wake(OS_SELF, _Atomic uint32_t *word, int count)
{
    return (int)OS_CALL(syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0));
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now); /* Linux always has these two */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t os_monotonic_ns(OS_SELF)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t os_realtime_ns(OS_SELF)
{
    return read_clock(CLOCK_REALTIME);
}

int os_random(OS_SELF, void *data, size_t size)
{
    for (uint8_t *at = data; size > 0;) {
        ssize_t count = OS_CALL(getrandom(at, size, 0));
        if (count < 0) {
            return (int)count;
        }
        at += count;
        size -= (size_t)count;
    }
    return 0;
}

/*
 * The id is asked for at every call of the library, so it is remembered, in a page that the kernel
 * wipes in every child (MADV_WIPEONFORK, Linux 4.14): a child that raw clone() made asks anew, too.
 */
uint64_t os_process_id(OS_SELF)
{
    static _Atomic(_Atomic uint64_t *) remembered;
    _Atomic uint64_t *page = atomic_load_explicit(&remembered, memory_order_acquire);
    if (!page) {
        page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            return (uint64_t)getpid(); /* never wrong, only slower */
        }
        /* MUTANT_28: a child believes that it is its parent, and commits. */
        if (!TX_MUTANT(28) && madvise((void *)page, sizeof *page, MADV_WIPEONFORK) != 0) {
            (void)munmap((void *)page, sizeof *page); /* or every call would leave one behind */
            return (uint64_t)getpid();
        }
        /* Two threads at once: one page of the loser stays mapped, which does no harm. */
        atomic_store_explicit(&remembered, page, memory_order_release);
    }
    uint64_t id = atomic_load_explicit(page, memory_order_relaxed);
    if (id == 0) {
        id = (uint64_t)getpid();
        atomic_store_explicit(page, id, memory_order_relaxed);
    }
    return id;
}

int os_user_id(OS_SELF, uint32_t *uid, uint32_t *gid)
{
    *uid = geteuid();
    *gid = getegid();
    return 0;
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, digit, sizeof(digits) - 1);
    return at != NULL ? (int)(at - digits) : -1;
}

int os_parse_uuid(const char *text, uint8_t id[16])
{
    uint8_t parsed[16];
    size_t digits = 0;
    for (; digits < 32; text++) {
        int value = digit_value(*text);
        if (*text == '-') {
            continue;
        }
        if (value < 0) {
            return -EIO;
        }
        parsed[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : parsed[digits / 2] | value);
        digits++;
    }
    memcpy(id, parsed, sizeof(parsed));
    return 0;
}

int os_boot_id(OS_SELF, uint8_t id[16])
{
    char text[64];
    int fd = OS_CALL(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    if (fd < 0) {
        return fd;
    }
    ssize_t size = OS_CALL(read(fd, text, sizeof(text) - 1));
    (void)close(fd); /* read only */
    if (size < 0) {
        return (int)size;
    }
    text[size] = '\0';
    return os_parse_uuid(text, id);
}
