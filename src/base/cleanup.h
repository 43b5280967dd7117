/* SPDX-License-Identifier: MIT */
/*
 * Leaving a scope is the abort path; success is an explicit, checked call.
 *
 *     TX_AUTO(tx_buf) buf = TX_BUF_INIT;       released by tx_buf_auto(&buf) at every return
 *
 * A type takes part by defining `typedef struct x x`-less name: a function
 * `static inline void NAME_auto(struct NAME *)`. TX_AUTO_PTR(NAME) does the same for a pointer,
 * whose function is NAME_auto_ptr(struct NAME **). Handing an object out: TX_TAKE(pointer).
 */
#ifndef TX_BASE_CLEANUP_H
#define TX_BASE_CLEANUP_H

#define TX_AUTO(name) __attribute__((cleanup(name##_auto))) struct name
#define TX_AUTO_PTR(name) __attribute__((cleanup(name##_auto_ptr))) struct name *

/* The pointer's value; the variable itself becomes NULL, so that its cleanup does nothing. */
#define TX_TAKE(pointer)                                                                           \
    __extension__({                                                                                \
        __typeof__(pointer) tx_taken_ = (pointer);                                                 \
        (pointer) = NULL;                                                                          \
        tx_taken_;                                                                                 \
    })

/* Return the status of a call at once when it is not TX_OK. */
#define TX_TRY(call)                                                                               \
    do {                                                                                           \
        enum tx_status tx_try_ = (call);                                                           \
        if (tx_try_ != TX_OK) {                                                                    \
            return tx_try_;                                                                        \
        }                                                                                          \
    } while (0)

/* Ignore a status on purpose; the line above says why. (gcc does not take a cast to void.) */
#define TX_IGNORE(call)                                                                            \
    do {                                                                                           \
        enum tx_status tx_ignored_ = (call);                                                       \
        (void)tx_ignored_;                                                                         \
    } while (0)

#endif
