/* SPDX-License-Identifier: MIT */
/*
 * What the files of src/txctl share: commands and their arguments, the context that a command runs
 * in, and small helpers. Printing is in print.h, registry texts in reg_text.h.
 */
#ifndef TXCTL_INTERNAL_H
#define TXCTL_INTERNAL_H

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>
#include <txkit/txkit.h>

#include "txctl/exit_codes.h"

/* --- Leaving a scope -------------------------------------------------------------------------- */

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum tx_status try_status_ = (call);                                                       \
        if (try_status_ != TX_OK) {                                                                \
            return try_status_;                                                                    \
        }                                                                                          \
    } while (0)

static inline void txctl_text_auto(char **text)
{
    free(*text);
}
#define AUTO_TEXT __attribute__((cleanup(txctl_text_auto))) char *
#define AUTO_BUF __attribute__((cleanup(tx_buf_release))) struct tx_buf

/* --- Memory (memory.c): without it txctl ends with exit code 1, which is safe at any moment --- */

void *txctl_alloc(size_t size); /* zeroed */
void *txctl_grow(void *memory, size_t count, size_t size);
char *txctl_copy(const char *text);
char *txctl_text(const char *format, ...) TX_PRINTF(1, 2);
/* Ends a text stream made by open_memstream. */
void txctl_stream_end(FILE *stream);
FILE *txctl_stream(char **text, size_t *size);

/* --- Commands --------------------------------------------------------------------------------- */

struct txctl_option {
    const char *name; /* without the dashes; NULL ends a list */
    char letter;      /* 0: none */
    const char *argument; /* what follows, for help; NULL: a flag */
    const char *text;
};

enum txctl_command_flags {
    TXCTL_CHANGES = 1 << 0,      /* its own transaction is read-write and committed at the end */
    TXCTL_NO_SCRIPT = 1 << 1,    /* has no place in a script of `exec` */
    TXCTL_SERIALIZABLE = 1 << 2, /* its own transaction validates what it read */
    TXCTL_LATER = 1 << 3,        /* known, but not in this version */
    TXCTL_SILENT = 1 << 4,       /* prints nothing of its own; with --json that it was done */
    TXCTL_READS = 1 << 5,        /* outside of --tx and scripts the store is opened read-only */
};

#define TXCTL_ANY_COUNT 1000000000
#define TXCTL_OPTIONS_MAX 16

struct txctl_context;
struct txctl_arguments;

typedef enum tx_status txctl_run_fn(struct txctl_context *context,
                                    const struct txctl_arguments *arguments, struct tx_error *err);

struct txctl_command {
    const char *group; /* heading in help */
    const char *verb;  /* one word, or two: "reg get" */
    const char *usage; /* what follows the verb */
    const char *summary;
    const char *example; /* NULL: none */
    const struct txctl_option *options; /* NULL: none */
    unsigned flags; /* enum txctl_command_flags */
    int count_min, count_max; /* of arguments that are no options */
    txctl_run_fn *run;
};

/* The table of all commands, ended by NULL (main.c). */
extern const struct txctl_command *const txctl_commands[];

enum txctl_color { TXCTL_COLOR_AUTO, TXCTL_COLOR_ALWAYS, TXCTL_COLOR_NEVER };

/* Options that every command takes. */
struct txctl_globals {
    const char *store;
    const char *root;
    const char *tx;
    uint32_t lock_timeout_ms; /* 0: for ever */
    enum txctl_color color;
    bool json;
    bool quiet;
    bool no_progress;
    bool salvage;
    bool null_ends; /* -0: raw names, ended by NUL */
    bool help;
    bool version;
};
extern const struct txctl_option txctl_global_options[];

struct txctl_arguments {
    const struct txctl_command *command; /* NULL: none was given */
    char **values;
    int count;
    const char *given[TXCTL_OPTIONS_MAX]; /* by index in the command's options; "" for flags */
};

/* Split words into global options, command, options and values. `values` belongs to *arguments,
 * the words stay the caller's. */
enum tx_status txctl_parse(struct txctl_globals *globals, int count, char **words,
                           struct txctl_arguments *arguments, struct tx_error *err) TX_CHECKED;
void txctl_arguments_release(struct txctl_arguments *arguments);
/* The value of an option, "" for a flag, NULL when it was not given. */
const char *txctl_given(const struct txctl_arguments *arguments, const char *option);
bool txctl_has(const struct txctl_arguments *arguments, const char *option);

/* Set the text of a wrong use (exit code 2). */
enum tx_status txctl_usage(struct tx_error *err, const char *format, ...) TX_PRINTF(2, 3);

/* --- Context (context.c) ---------------------------------------------------------------------- */

enum txctl_txn_kind {
    TXCTL_TXN_OWN,      /* begun for this command */
    TXCTL_TXN_ATTACHED, /* of --tx: saved again at the end */
};

struct txctl_context {
    struct txctl_globals globals;
    const struct txctl_command *command; /* running */
    char *subject;      /* what it works on, for the error line; NULL: nothing yet */
    const char *script; /* of exec; NULL outside */
    unsigned line;      /* of the script */
    const char *description; /* of the own transaction; NULL: made from command and subject */
    bool serializable;       /* the own transaction validates what it read */
    struct txstore *store;
    struct ktm_txn *txn;
    enum txctl_txn_kind txn_kind;
    bool marked;  /* the attached transaction has the mark to go back to */
    tx_lsn lsn;   /* of the own transaction's commit; 0: none */
    char *kept_file; /* to be removed when all went well, else named to the user */
    json_t *result;  /* of a command that changes: printed when its commit has succeeded */
    char *result_text;
};

/* Name what the command works on; a copy is kept. */
void txctl_subject(struct txctl_context *context, const char *subject);
/* Where the store is: both malloc'd. `store_path` NULL: root/.txkit. */
enum tx_status txctl_place(const struct txctl_context *context, char **root, char **store_path,
                           struct tx_error *err) TX_CHECKED;
enum tx_status txctl_store(struct txctl_context *context, struct txstore **store,
                           struct tx_error *err) TX_CHECKED;
/* The transaction to read or change through. */
enum tx_status txctl_txn(struct txctl_context *context, struct ktm_txn **txn,
                         struct tx_error *err) TX_CHECKED;
/* Say what a changing command did, once that is durable. Takes both. */
void txctl_result(struct txctl_context *context, json_t *object, char *text);
/* Check the arguments and run the command. */
enum tx_status txctl_run(struct txctl_context *context, const struct txctl_arguments *arguments,
                         struct tx_error *err) TX_CHECKED;
/* Commit, save or drop the transaction as `status` tells, close the store, print the result. */
enum tx_status txctl_end(struct txctl_context *context, enum tx_status status,
                         struct tx_error *err) TX_CHECKED;

/* --- Words to people (complain.c) ------------------------------------------------------------- */

void txctl_complain(const struct txctl_context *context, enum tx_status status,
                    const struct tx_error *err);
/* One line "txctl: ..." on stderr unless --quiet. */
void txctl_say(const struct txctl_context *context, const char *format, ...) TX_PRINTF(2, 3);

/* --- Small texts (number_text.c, time_text.c, mode_text.c) ------------------------------------ */

/* "10", "64K", "1M", "2G": powers of 1024. */
enum tx_status txctl_size(const char *text, uint64_t *size, struct tx_error *err) TX_CHECKED;
enum tx_status txctl_number(const char *text, uint64_t *number, struct tx_error *err) TX_CHECKED;
/* Seconds with a fraction, as milliseconds. */
enum tx_status txctl_seconds(const char *text, uint32_t *ms, struct tx_error *err) TX_CHECKED;
#define TXCTL_SIZE_TEXT 16
const char *txctl_size_text(uint64_t size, char text[TXCTL_SIZE_TEXT]); /* "1.5 MiB" */

#define TXCTL_TIME_TEXT 48
const char *txctl_time_text(int64_t ns, char text[TXCTL_TIME_TEXT]);     /* local, for people */
const char *txctl_time_rfc3339(int64_t ns, char text[TXCTL_TIME_TEXT]);  /* UTC, with all digits */
/* "@SECONDS[.FRACTION]", "YYYY-MM-DD[ HH:MM[:SS[.FRACTION]]][Z]", "now". */
enum tx_status txctl_time(const char *text, int64_t *ns, struct tx_error *err) TX_CHECKED;

#define TXCTL_MODE_TEXT 12
const char *txctl_mode_text(uint32_t mode, char text[TXCTL_MODE_TEXT]); /* "-rwxr-xr-x" */
/* "644", "u+x,go-w", as chmod(1); `mode` is the present one with its type. */
enum tx_status txctl_mode(const char *text, uint32_t mode, uint32_t *result,
                          struct tx_error *err) TX_CHECKED;

/* --- Scripts (quote.c) ------------------------------------------------------------------------ */

/* Read the next command of a script, shell-like. *count 0 at the end. *line: in, lines read so far;
 * out, also. *start is the line on which the command begins. Words are malloc'd, also the array. */
enum tx_status txctl_read_words(FILE *script, unsigned *line, unsigned *start, char ***words,
                                int *count, struct tx_error *err) TX_CHECKED;
void txctl_words_free(char **words, int count);

/* --- Work that may take long (progress.c) ----------------------------------------------------- */

struct txctl_progress {
    const struct txctl_context *context;
    uint64_t total;       /* bytes; 0: unknown */
    uint64_t total_files; /* 0: unknown */
    int64_t began_ns;
    int64_t shown_ns;
    bool shown;
};
void txctl_progress_begin(struct txctl_progress *progress, const struct txctl_context *context,
                          uint64_t total, uint64_t total_files);
void txctl_progress_at(struct txctl_progress *progress, uint64_t files, uint64_t bytes);
void txctl_progress_end(struct txctl_progress *progress);
/* A bar would be shown: worth counting beforehand. */
bool txctl_progress_wanted(const struct txctl_context *context);

/* --- File contents (file_copy.c) -------------------------------------------------------------- */

#define TXCTL_CHUNK_SIZE 262144u

/* From a descriptor to its end into `path` (created or replaced; `mode` is for a new file). */
enum tx_status txctl_copy_in(struct txctl_context *context, struct ktm_txn *txn, int fd,
                             const char *path, uint32_t mode, struct tx_error *err) TX_CHECKED;
enum tx_status txctl_copy_out(struct txctl_context *context, struct ktm_txn *txn, const char *path,
                              int fd, struct tx_error *err) TX_CHECKED;
enum tx_status txctl_copy_inside(struct txctl_context *context, struct ktm_txn *txn,
                                 const char *from, const char *to, uint32_t mode,
                                 struct tx_error *err) TX_CHECKED;
/* `path`, or `path`/basename of `source` when `path` is a directory. malloc'd. */
enum tx_status txctl_target(struct ktm_txn *txn, const char *source, const char *path,
                            char **target, struct tx_error *err) TX_CHECKED;
const char *txctl_basename(const char *path);
char *txctl_join(const char *directory, const char *name);

/* --- Lists of names --------------------------------------------------------------------------- */

struct txctl_name {
    char *name;
    unsigned type; /* DT_* of a directory's entry */
};
struct txctl_names {
    struct txctl_name *items;
    size_t count;
};
void txctl_names_add(struct txctl_names *names, const char *name, unsigned type);
void txctl_names_release(struct txctl_names *names);
#define AUTO_NAMES __attribute__((cleanup(txctl_names_release))) struct txctl_names
/* What a directory of the transaction holds, in byte order. */
enum tx_status txctl_list_names(struct ktm_txn *txn, const char *path, struct txctl_names *names,
                          struct tx_error *err) TX_CHECKED;

#endif
