/* SPDX-License-Identifier: MIT */
#undef NDEBUG
#include "base/invariant.h"

#include <assert.h>

void tx_invariant_failed(const char *condition, const char *file, int line)
{
    /* What assert() calls (Linux Standard Base): leaves the words where people look for them, on
     * standard error and in the core dump, and aborts. */
    __assert_fail(condition, file, (unsigned)line, "invariant");
}
