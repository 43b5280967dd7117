/* SPDX-License-Identifier: MIT */
/* Everything; see store.h for where to begin. */
#ifndef TXKIT_H
#define TXKIT_H

#include <txkit/import.h>
#include <txkit/store.h>

/* The version of the library, "0.1.0". */
TX_API const char *tx_version(void);

#endif
