/* SPDX-License-Identifier: MIT */
/* Checks that stay in release builds: they guard the disk. Internal misuse aborts. */
#ifndef TX_BASE_INVARIANT_H
#define TX_BASE_INVARIANT_H

_Noreturn void tx_invariant_failed(const char *condition, const char *file, int line);

#define TX_INVARIANT(condition)                                                                    \
    ((condition) ? (void)0 : tx_invariant_failed(#condition, __FILE__, __LINE__))

#endif
