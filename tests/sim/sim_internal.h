/* SPDX-License-Identifier: MIT */
/*
 * Inside the simulated machine.
 *
 * Blocks, byte strings, inodes and tables are counted references and copied when written, so that
 * a capture, an image and a boot share everything that they do not change.
 */
#ifndef TX_SIM_INTERNAL_H
#define TX_SIM_INTERNAL_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/sim.h"

#define SIM_BLOCK 4096u
#define SIM_SECTOR 512u
#define SIM_ROOT 2u
#define SIM_NAME_MAX 255u
#define SIM_PATH_MAX 4095u
#define SIM_FD_BASE 100 /* so that a forgotten 0 is no descriptor */
#define SIM_LINKS_MAX 40u /* symbolic links followed in one TXIO_CWD path */

/* --- sim_memory.c: shared pieces -------------------------------------------------------------- */

struct sim_block {
    uint32_t refs;
    uint64_t hash; /* 0: not known */
    uint8_t data[SIM_BLOCK];
};
extern struct sim_block sim_unwritten; /* allocated, never written: reads as zero */

struct sim_bytes {
    uint32_t refs;
    uint32_t size;
    uint64_t hash;
    char data[]; /* and a NUL */
};

void *sim_need(void *memory); /* end the program when NULL */
/* Memory of a mapping, at least `size` bytes, not set; *room: how many. */
uint8_t *sim_map_new(size_t size, size_t *room);
void sim_map_drop(uint8_t *memory, size_t room);
struct sim_block *sim_block_new(void);
struct sim_block *sim_block_keep(struct sim_block *block);
void sim_block_drop(struct sim_block *block);
uint64_t sim_block_hash(struct sim_block *block);
struct sim_bytes *sim_bytes_new(const void *data, size_t size);
struct sim_bytes *sim_bytes_keep(struct sim_bytes *bytes);
void sim_bytes_drop(struct sim_bytes *bytes);
bool sim_bytes_equal(const struct sim_bytes *a, const struct sim_bytes *b);
uint64_t sim_hash(const void *data, size_t size, uint64_t seed);
uint64_t sim_mix(uint64_t a, uint64_t b);
uint64_t sim_random(uint64_t *state);

/* --- sim_inode.c ------------------------------------------------------------------------------ */

struct sim_entry {
    struct sim_bytes *name;
    uint32_t ino;
};

struct sim_xattr {
    struct sim_bytes *name;
    struct sim_bytes *value;
};

struct sim_inode {
    uint32_t refs;
    uint32_t ino;
    uint32_t mode, uid, gid;
    uint32_t links;  /* names; of a directory 0 or 1 */
    uint32_t parent; /* of a directory */
    uint64_t rdev;
    uint64_t size;
    int64_t atime_ns, mtime_ns, ctime_ns;
    int64_t btime_ns; /* 0: not told, as on the weakest */
    uint64_t hash; /* of all but the times; 0: not known */
    struct sim_block **blocks; /* NULL: hole */
    uint32_t block_count;
    struct sim_entry *entries; /* sorted by name */
    uint32_t entry_count, entry_room;
    struct sim_xattr *xattrs; /* in the order of their setting */
    uint32_t xattr_count;
    struct sim_bytes *target; /* of a symbolic link */
};

struct sim_inode *sim_inode_new(uint32_t ino, uint32_t mode);
struct sim_inode *sim_inode_keep(struct sim_inode *inode);
void sim_inode_drop(struct sim_inode *inode);
struct sim_inode *sim_inode_clone(const struct sim_inode *inode);
uint64_t sim_inode_hash(struct sim_inode *inode); /* of all but its times */
uint32_t sim_entry_find(const struct sim_inode *dir, const char *name, size_t size); /* ino or 0 */
void sim_entry_set(struct sim_inode *dir, struct sim_bytes *name, uint32_t ino); /* 0 removes */
struct sim_xattr *sim_xattr_find(const struct sim_inode *inode, const char *name);
void sim_xattr_set(struct sim_inode *inode, struct sim_bytes *name, struct sim_bytes *value);

/* --- sim_content.c ---------------------------------------------------------------------------- */

/* SIM_BLOCK bytes, zero where there is nothing. */
const uint8_t *sim_content_block(const struct sim_inode *inode, uint64_t index);
void sim_content_read(const struct sim_inode *inode, void *data, size_t size, uint64_t offset);
void sim_content_write(struct sim_inode *inode, const void *data, size_t size, uint64_t offset);
/* Put bytes [from, to) of `source` at block `index`; a whole block is shared, not copied. */
void sim_content_place(struct sim_inode *inode, uint32_t index, struct sim_block *source,
                       uint32_t from, uint32_t to);
void sim_content_trim(struct sim_inode *inode, uint64_t size); /* forget what is at or after */
void sim_content_allocate(struct sim_inode *inode, uint64_t from, uint64_t to);
uint64_t sim_content_allocated(const struct sim_inode *inode); /* bytes */
int64_t sim_content_seek(const struct sim_inode *inode, uint64_t offset, bool hole);

/* --- sim_table.c: a file system --------------------------------------------------------------- */

struct sim_table {
    uint32_t refs;
    uint32_t count; /* slots */
    struct sim_inode **inodes; /* by number; NULL: free */
};

struct sim_table *sim_table_new(void); /* an empty root directory */
struct sim_table *sim_table_keep(struct sim_table *table);
void sim_table_drop(struct sim_table *table);
/* The caller's reference becomes one that nobody shares. */
struct sim_table *sim_table_unshare(struct sim_table *table);
static inline struct sim_inode *sim_table_get(const struct sim_table *table, uint32_t ino)
{
    return ino < table->count ? table->inodes[ino] : NULL;
}
/* The inode, to be written: not shared, its hash forgotten. The table must not be shared. */
struct sim_inode *sim_table_own(struct sim_table *table, uint32_t ino);
void sim_table_set(struct sim_table *table, uint32_t ino, struct sim_inode *inode); /* takes over */
/* As the file system's own recovery does: cut contents at their size, free what has no name. */
void sim_table_settle(struct sim_table *table);
uint64_t sim_table_hash(const struct sim_table *table, bool with_times);

/* --- sim_unit.c: one pending change ----------------------------------------------------------- */

enum sim_unit_kind {
    SIM_UNIT_NAME,
    SIM_UNIT_DATA, /* with the growth of the size that it caused */
    SIM_UNIT_SIZE, /* truncate, allocate */
    SIM_UNIT_ATTR,
    SIM_UNIT_XATTR,
    SIM_UNIT_TIMES, /* implicit; one per inode, the newest */
};

struct sim_slot {
    uint32_t dir;
    uint32_t before, after; /* inode numbers, 0: none */
    struct sim_bytes *name;
};

struct sim_unit {
    uint32_t refs;
    enum sim_unit_kind kind;
    uint64_t seq;
    uint32_t ino; /* not of names */
    int64_t time_ns;
    uint64_t *needs; /* seqs of units without which this one cannot be kept */
    unsigned need_count;
    struct sim_slot slots[2]; /* NAME */
    unsigned slot_count;
    bool moves_dir;       /* a directory gets another parent */
    bool solid;           /* DATA: never torn in sectors */
    bool may_not_grow;    /* DATA, SIZE: what is written, or made zero, may be kept without the
                           * new size */
    bool in_cache;        /* DATA: handed to the disk, which was not told to flush */
    uint32_t moved_to;    /* NAME, the second half of a move: where the first half put it */
    bool may_spoil;       /* DATA: when torn, what is left out may be nonsense */
    uint64_t offset, size; /* DATA: range; SIZE: size, and `offset` up to which to allocate */
    uint64_t allocate_from;
    uint64_t grow_to;     /* DATA: 0 or the new size */
    struct sim_block **blocks; /* DATA: contents after the write */
    uint32_t block_count;
    struct txio_attr attr;
    struct sim_bytes *name, *value; /* XATTR; value NULL: removed */
};

/* How an image tears one unit; seed 0: not at all. */
struct sim_tear {
    uint64_t seed;
    bool torn;   /* out: something was left out */
    bool spoilt; /* out: nonsense was put there */
};

struct sim_unit *sim_unit_new(enum sim_unit_kind kind, uint32_t ino, int64_t time_ns);
struct sim_unit *sim_unit_keep(struct sim_unit *unit);
void sim_unit_drop(struct sim_unit *unit);
void sim_unit_need(struct sim_unit *unit, uint64_t seq);
void sim_unit_slot(struct sim_unit *unit, uint32_t dir, struct sim_bytes *name, uint32_t before,
                   uint32_t after);
bool sim_unit_can_tear(const struct sim_unit *unit);
void sim_unit_apply(struct sim_table *table, const struct sim_unit *unit, struct sim_tear *tear);
/* Index of the unit with this number among the first `count`, UINT32_MAX when there is none. */
unsigned sim_unit_find(struct sim_unit *const *units, unsigned count, uint64_t seq);
void sim_unit_print(const struct sim_unit *unit, FILE *out);

/* --- sim_machine.c ---------------------------------------------------------------------------- */

/* What is known of an inode in use beside its contents. */
struct sim_file {
    uint32_t opens;
    uint32_t pending;    /* units that refer to it */
    bool diverged;       /* a failed sync: the disk has something else */
    uint8_t *map;        /* shared memory, stands for the first map_size bytes */
    size_t map_size, map_room;
    unsigned map_count;
};

struct sim_lock {
    uint32_t ino;
    bool exclusive;
    uint64_t byte;
    const struct sim_fd *owner;
};

struct sim_fd {
    bool used, write;
    uint32_t ino;
};

struct sim_process {
    struct txio io; /* first: the seam */
    struct sim *sim;
    struct sim_process *next;
    uint64_t pid;
    bool dead;
    struct sim_fd *fds; /* files_max of them */
    unsigned fd_top;    /* all used ones are below */
    unsigned map_count;
};

struct sim {
    struct sim_options options;
    struct sim_process *processes;
    uint64_t process_count;
    struct sim_table *live; /* what running programs see; never shared */
    struct sim_table *base; /* what is durable; shared with captures */
    struct sim_file *files; /* by inode number, as many as slots in `live` */
    uint32_t file_room;
    uint32_t ino_hint;
    struct sim_unit **pending; /* ordered by seq */
    unsigned pending_count, pending_room;
    uint64_t next_seq;
    struct sim_lock *locks;
    unsigned lock_count, lock_room;
    uint64_t op_count;
    sim_op_fn *on_op;
    void *on_op_arg;
    int64_t start_ns; /* realtime at boot */
    int64_t elapsed_ns;
    uint64_t random;
    uint8_t boot_id[16];
    uint64_t boots;
    unsigned idle_waits;
    bool frozen;
};

extern const struct txio_ops sim_ops;
extern struct sim_counters sim_counters;

static inline struct sim_process *sim_process_of(const struct txio *io)
{
    return (struct sim_process *)(uintptr_t)io;
}
/* Begin an operation: -EIO for a dead process; else the clock moves and *sim is set. */
int sim_enter(struct txio *io, struct sim **sim);
/* As above for one that changes something: calls the hook first. */
int sim_enter_change(struct txio *io, const char *op, struct sim **sim);
struct sim *sim_from_table(struct sim_table *table, const struct sim_options *options,
                           uint64_t boots, int64_t start_ns);
int64_t sim_stamp(const struct sim *sim);
struct sim_file *sim_file_of(struct sim *sim, uint32_t ino);
/* A fresh inode without a name, on disk too; `target` (may be NULL) is taken over. */
uint32_t sim_create_inode(struct sim *sim, uint32_t dir, uint32_t mode, struct sim_bytes *target);
/* Free an inode that has neither a name nor a user. */
void sim_release_if_unused(struct sim *sim, uint32_t ino);
bool sim_has_room(const struct sim *sim, uint64_t bytes);
uint64_t sim_used_bytes(const struct sim *sim);
/* Bytes that writing this range would allocate. */
uint64_t sim_needed_bytes(const struct sim *sim, uint32_t ino, uint64_t offset, uint64_t size);

/* --- sim_pending.c ---------------------------------------------------------------------------- */

/* Apply to the living file system (DATA already is) and keep as pending; takes the unit over. */
void sim_change(struct sim *sim, struct sim_unit *unit);
/* Names, sizes and attributes are kept in order, and committed together. */
bool sim_has_journal(const struct sim *sim);
void sim_touch_times(struct sim *sim, uint32_t ino);
void sim_persist_inode(struct sim *sim, uint32_t ino, bool data_only);
/* XFS writes all, but makes the disk flush its cache only with something to log: what was written
 * over old contents may still be lost until the next sync of a file (tests/powercut/conform.c found
 * it on Linux 6.18). */
void sim_persist_all(struct sim *sim);
/* Pending changes of it are lost: what was written to it, or all but names. */
void sim_forget_inode(struct sim *sim, uint32_t ino, bool data_only);

/* --- sim_crash.c, sim_choice.c ---------------------------------------------------------------- */

struct sim_capture {
    struct sim_table *base;
    struct sim_unit **units;
    unsigned count;
    unsigned heavy_count; /* without the implicit times, which follow at random */
    struct sim_options options;
    uint64_t boots;
    int64_t now_ns;
};

/* Set keep[i] for each unit; false when a mask is not closed under what its units need. */
bool sim_choose(const struct sim_capture *cut, const struct sim_choice *choice, uint8_t *keep);

/* --- sim_path.c ------------------------------------------------------------------------------- */

struct sim_place {
    uint32_t dir;       /* directory that holds the last component */
    const char *name;   /* last component, in the path; "" for ".", ".." and "/" */
    size_t name_size;
    uint32_t ino;       /* what is there, 0: nothing */
    bool must_be_dir;   /* a slash follows */
    bool odd;           /* the last component is "." or ".." */
    char *owned;        /* memory behind `name`; free */
};
/* Resolve; the last component is followed only with `follow`, and only under TXIO_CWD. */
int sim_resolve(struct sim_process *process, int dir, const char *path, bool follow,
                struct sim_place *place);
void sim_place_auto(struct sim_place *place);
int sim_resolve_existing(struct sim_process *process, int dir, const char *path, uint32_t *ino);
struct sim_fd *sim_fd_of(struct sim_process *process, int fd);

/* --- sim_lock.c ------------------------------------------------------------------------------- */

void sim_locks_release(struct sim *sim, const struct sim_fd *owner);
void sim_map_read(const struct sim_file *file, void *data, size_t size, uint64_t offset);
void sim_map_write(struct sim_file *file, const void *data, size_t size, uint64_t offset);
/* Bring what was stored through the mapping into the contents, as pending data. */
void sim_map_collect(struct sim *sim, uint32_t ino);

/* --- sim_sync_ops.c --- */

/* One of its paths, in `path`, which must have SIM_PATH_MAX + 1 bytes; NULL when it has none. */
const char *sim_path_of(const struct sim *sim, uint32_t ino, char *path);

/* --- Operations, by the file that implements them --------------------------------------------- */

void sim_write_content(struct sim *sim, uint32_t ino, const struct iovec *parts, int count,
                       uint64_t offset, uint64_t size);
/* Writing and changing the owner takes file capabilities away. */
void sim_drop_capability(struct sim *sim, uint32_t ino);
void sim_stat_of(const struct sim *sim, uint32_t ino, struct txio_stat *stat);

#endif
