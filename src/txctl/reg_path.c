/* SPDX-License-Identifier: MIT */
/* Key paths at the command line, and patterns. */
#include <ctype.h>
#include <string.h>

#include "txctl/reg_text.h"

char *txctl_reg_path(const char *text)
{
    char separator = strchr(text, TXREG_SEPARATOR) ? TXREG_SEPARATOR : '/';
    char *path = txctl_copy(text);
    size_t length = strlen(path);
    for (size_t i = 0; i < length; i++) {
        path[i] = (char)(path[i] == separator ? TXREG_SEPARATOR : path[i]);
    }
    if (length > 0 && path[length - 1] == TXREG_SEPARATOR) {
        path[length - 1] = '\0';
    }
    return path;
}

char *txctl_reg_join(const char *key, const char *name)
{
    return txctl_text("%s%s%s", key, key[0] != '\0' ? "\\" : "", name);
}

static char fold_char(char c, bool fold)
{
    return (char)(fold ? tolower((unsigned char)c) : c);
}

/* Does the pattern match from the beginning of `text`, to its end when `whole`? */
static bool match_here(const char *pattern, const char *text, bool whole, bool fold)
{
    const char *star = NULL; /* the last one, and where it began to match */
    const char *mark = NULL;
    for (;;) {
        if (*pattern == '\0' && (!whole || *text == '\0')) {
            return true;
        }
        if (*pattern == '*') {
            star = pattern++;
            mark = text;
        } else if (*text != '\0' &&
                   (*pattern == '?' || fold_char(*pattern, fold) == fold_char(*text, fold))) {
            pattern++;
            text++;
        } else if (star && *mark != '\0') {
            pattern = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
}

bool txctl_match(const char *pattern, const char *text, enum txctl_match how, bool fold)
{
    if (how == TXCTL_MATCH_WHOLE) {
        return match_here(pattern, text, true, fold);
    }
    for (;; text++) {
        if (match_here(pattern, text, false, fold)) {
            return true;
        }
        if (*text == '\0') {
            return false;
        }
    }
}
