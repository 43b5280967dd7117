/* SPDX-License-Identifier: MIT */
/* What txctl answers to its caller. Numbers are pinned: scripts test them. */
#ifndef TXCTL_EXIT_CODES_H
#define TXCTL_EXIT_CODES_H

#include <txkit/error.h>

enum txctl_exit {
    TXCTL_EXIT_DONE = 0,
    TXCTL_EXIT_FAILED = 1,
    TXCTL_EXIT_USAGE = 2,
    TXCTL_EXIT_CORRUPT = 3,
    TXCTL_EXIT_CONFLICT = 4, /* the transaction is gone; doing it again may succeed */
    TXCTL_EXIT_PENDING = 5,  /* committed, somebody has yet to be told; or outcome in doubt */
    TXCTL_EXIT_ABSENT = 6,
    TXCTL_EXIT_BUSY = 7,
    TXCTL_EXIT_NO_CHANGE = 77,
};

/* Stands in `os_errno` of an error that is the caller's wrong use of the command line. */
#define TXCTL_USAGE_MARK (-2)

static inline enum txctl_exit txctl_exit_code(enum tx_status status, const struct tx_error *err)
{
    switch (status) {
    case TX_OK:
        return TXCTL_EXIT_DONE;
    case TX_ECORRUPT:
        return TXCTL_EXIT_CORRUPT;
    case TX_ECONFLICT:
    case TX_EABORTED:
    case TX_ETIMEOUT:
    case TX_ESNAPSHOT:
        return TXCTL_EXIT_CONFLICT;
    case TX_EPENDING:
    case TX_EOUTCOME:
        return TXCTL_EXIT_PENDING;
    case TX_ENOTFOUND:
        return TXCTL_EXIT_ABSENT;
    case TX_EBUSY:
        return TXCTL_EXIT_BUSY;
    case TX_ENOCHANGE:
        return TXCTL_EXIT_NO_CHANGE;
    default:
        return err->os_errno == TXCTL_USAGE_MARK ? TXCTL_EXIT_USAGE : TXCTL_EXIT_FAILED;
    }
}

#endif
