/* SPDX-License-Identifier: MIT */
/* Words as a shell reads them back: what a report prints can be pasted. */
#ifndef TXCRASH_SHELL_WORDS_H
#define TXCRASH_SHELL_WORDS_H

#include <stdio.h>

/* One word. Bytes that a terminal would obey are written as bash reads them: $'\x1b'. */
void shell_word_print(FILE *to, const char *word);

#endif
