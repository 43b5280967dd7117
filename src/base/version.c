/* SPDX-License-Identifier: MIT */
#include <txkit/txkit.h>

/* config.h, included by the build, says it; a file compiled by hand has no version. */
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

const char *tx_version(void)
{
    return PACKAGE_VERSION;
}
