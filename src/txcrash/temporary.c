/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "txcrash.h"

/* Paths go into shell commands as they are. */
static bool is_safe(const char *path)
{
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "%+,-./:=@_")] == '\0';
}

const char *txcrash_temporary(const char *command)
{
    const char *place = getenv("TMPDIR");
    place = place && *place ? place : "/tmp";
    if (is_safe(place) && *place == '/') {
        return place;
    }
    fprintf(stderr,
            "txcrash %s: TMPDIR must be an absolute path without blanks and quotes, not '%s'\n",
            command, place);
    return NULL;
}
