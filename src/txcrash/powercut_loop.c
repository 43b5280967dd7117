/* SPDX-License-Identifier: MIT */
/* Loop devices that detach themselves: whoever mounts one needs to remember nothing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "powercut_internal.h"

#define ATTEMPTS 200 /* somebody else may take the free device that we were named */

static int attach_free(int control, int backing, char *device, size_t size)
{
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
        return -errno;
    }
    snprintf(device, size, "/dev/loop%d", number);
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    /* Direct, so that a flush of the device is a flush of the file and nothing is cached twice. */
    struct loop_config config = {
        .fd = (uint32_t)backing,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO},
    };
    if (ioctl(fd, LOOP_CONFIGURE, &config) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int loop_attach(const char *path, char *device, size_t size)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int backing = open(path, O_RDWR | O_CLOEXEC);
    int fd = control < 0 || backing < 0 ? -errno : -EBUSY;
    for (unsigned attempt = 0; fd == -EBUSY && attempt < ATTEMPTS; attempt++) {
        fd = attach_free(control, backing, device, size);
    }
    if (control >= 0) {
        close(control);
    }
    if (backing >= 0) {
        close(backing);
    }
    return fd;
}
