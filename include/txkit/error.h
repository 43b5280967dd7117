/* SPDX-License-Identifier: MIT */
/*
 * Status codes and error texts.
 *
 * Every fallible function returns `enum tx_status` and takes a `struct tx_error *` as its last
 * parameter (NULL when the caller wants no text). The function that sees the fault sets the text
 * once; each caller that knows more puts a prefix before it, so that a user reads
 * "commit transaction 3-42: sync segment 000003: Input/output error".
 *
 * Numbers are pinned: they are never reused and never change meaning.
 */
#ifndef TXKIT_ERROR_H
#define TXKIT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define TX_API __attribute__((visibility("default")))
#define TX_CHECKED __attribute__((warn_unused_result))
#define TX_PRINTF(text_index, first_index)                                                         \
    __attribute__((format(printf, text_index, first_index)))

/* name, number, text */
#define TX_STATUS_LIST(X)                                                                          \
    X(TX_OK, 0, "success")                                                                         \
    X(TX_EIO, 1, "input/output error")                                                             \
    X(TX_ENOMEM, 2, "out of memory")                                                               \
    X(TX_EINVAL, 3, "invalid argument")                                                            \
    X(TX_EMISUSE, 4, "call not allowed in this state")                                             \
    X(TX_ENOSPC, 5, "no space left")                                                               \
    X(TX_ENOTFOUND, 6, "no such object")                                                           \
    X(TX_EEXIST, 7, "object exists already")                                                       \
    X(TX_ECONFLICT, 8, "conflict, transaction aborted")                                            \
    X(TX_EBUSY, 9, "store is busy")                                                                \
    X(TX_ECORRUPT, 10, "store is corrupt")                                                         \
    X(TX_EPOISONED, 11, "store is poisoned by an earlier write error until it is reopened")        \
    X(TX_EOUTCOME, 12, "outcome unknown until the store is reopened")                              \
    X(TX_EPENDING, 13, "committed, but some effect has yet to be carried out")                     \
    X(TX_EABORTED, 14, "transaction is aborted")                                                   \
    X(TX_ELIMIT, 15, "limit exceeded")                                                             \
    X(TX_EPERM, 16, "permission denied")                                                           \
    X(TX_ENOTDIR, 17, "not a directory")                                                           \
    X(TX_EISDIR, 18, "is a directory")                                                             \
    X(TX_ENOTEMPTY, 19, "not empty")                                                               \
    X(TX_EESCAPE, 20, "path leaves the root")                                                      \
    X(TX_EFORKED, 21, "handle was opened before fork")                                             \
    X(TX_EREADONLY, 22, "store is open read-only")                                                 \
    X(TX_EVERSION, 23, "unknown format version")                                                   \
    X(TX_ENOTSUP, 24, "not supported")                                                             \
    X(TX_ETYPE, 25, "wrong type")                                                                  \
    X(TX_ETIMEOUT, 26, "transaction timed out")                                                    \
    X(TX_ESNAPSHOT, 27, "snapshot too old")                                                        \
    X(TX_EXDEV, 28, "path is on another volume")                                                   \
    X(TX_ENOCHANGE, 29, "nothing to change")

enum tx_status {
#define TX_STATUS_ENUM(name, number, text) name = number,
    TX_STATUS_LIST(TX_STATUS_ENUM)
#undef TX_STATUS_ENUM
};

/* Bytes in the text of an error, the final NUL included; longer texts are cut. */
#define TX_ERROR_TEXT_SIZE 512

struct tx_error {
    enum tx_status status;
    int os_errno; /* errno behind the status, 0 when there is none */
    char text[TX_ERROR_TEXT_SIZE];
};

/* Return the symbolic name of a status ("TX_EIO"), or "TX_?" for a number never given out. */
TX_API const char *tx_status_name(enum tx_status status);

/* Return the English text of a status. */
TX_API const char *tx_status_text(enum tx_status status);

/* Set the text of a fault and return `status`. `err` may be NULL. */
TX_API enum tx_status tx_error_set(struct tx_error *err, enum tx_status status, const char *format,
                                   ...) TX_PRINTF(3, 4);

/*
 * Set the text of a failed system call: the formatted words, ": ", and the text of `os_errno`
 * (a positive errno). Return the status that stands for that errno.
 */
TX_API enum tx_status tx_error_os(struct tx_error *err, int os_errno, const char *format, ...)
    TX_PRINTF(3, 4);

/* Put "words: " before the text and return `err->status` (TX_EINVAL when `err` is NULL). Because a
 * NULL `err` cannot carry the status, library code keeps the status in a variable of its own and
 * calls this for the text alone. */
TX_API enum tx_status tx_error_prefix(struct tx_error *err, const char *format, ...)
    TX_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
