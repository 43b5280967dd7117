/* SPDX-License-Identifier: MIT */
/*
 * A good disk, made once by the library itself, and short scripts of edits to it. An input of tens
 * of bytes so reaches any state of a store of hundreds of KiB, and a mutated input is another
 * script, never a syntax error. An edit may ask for seals to be made good again, so that the
 * decoder behind the seal sees what was written there.
 */
#ifndef TX_FUZZ_FUZZ_DISK_H
#define TX_FUZZ_FUZZ_DISK_H

#include "fuzz/fuzz.h"
#include "sim/sim.h"

#define FUZZ_FILES_MAX 96u
#define FUZZ_PATH_SIZE 256u

struct fuzz_file {
    char path[FUZZ_PATH_SIZE];
    uint8_t *bytes;
    size_t size;
};
struct fuzz_disk {
    struct sim_image *image;
    struct fuzz_file files[FUZZ_FILES_MAX];
    unsigned count;
};

/* Remember everything below `root` and end the machine. The disk lives as long as the process. */
void fuzz_disk_take(struct fuzz_disk *disk, struct txio *io, const char *root);

/*
 * A machine with that disk, edited. A script is a list of edits, each an operation (1 byte, its
 * bit 7: seal again afterwards), a file (1 byte) and, by operation:
 *
 *     0  overwrite   offset 3, size 1, bytes       4  remove the file
 *     1  add         offset 3, width 1, number 1   5  fill       offset 3, size 3, byte 1
 *     2  copy block  from file 1, block 1, to 1    6  rename     to the name of file 1
 *     3  resize      size 3                        7  insert     offset 3, size 1, bytes
 *
 * Numbers are little-endian; what is too large is taken modulo what there is.
 */
struct txio *fuzz_disk_boot(const struct fuzz_disk *disk, const struct sim_options *options,
                            struct fuzz_feed *feed);
/* Whether the last script made a seal good again: then what it wrote is no accident, and what it
 * means may be refused only when it is used. */
bool fuzz_disk_is_forged(void);

/* Everything on the disk of a machine, what is pending included, as one hash. */
uint64_t fuzz_disk_hash(struct txio *io);

/* fuzz_seal.c: make the seals of a file good again around `offset`. By its path it is known what
 * the file is. */
void fuzz_seal(const char *path, uint8_t *bytes, size_t size, size_t offset);

#endif
