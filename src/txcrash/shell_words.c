/* SPDX-License-Identifier: MIT */
/* Quoting for the shell. */
#include <stdbool.h>
#include <string.h>

#include "shell_words.h"

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "%+,-./:=@_";

static bool is_control(unsigned char byte)
{
    return byte < 0x20 || byte == 0x7f;
}

static void print_ansi(FILE *to, const char *word)
{
    fputs("$'", to);
    for (; *word; word++) {
        unsigned char byte = (unsigned char)*word;
        if (byte == '\n') {
            fputs("\\n", to);
        } else if (is_control(byte) || byte >= 0x80) {
            fprintf(to, "\\x%02x", byte);
        } else {
            fprintf(to, byte == '\'' || byte == '\\' ? "\\%c" : "%c", byte);
        }
    }
    fputc('\'', to);
}

static void print_quoted(FILE *to, const char *word)
{
    fputc('\'', to);
    for (; *word; word++) {
        if (*word == '\'') {
            fputs("'\\''", to);
        } else {
            fputc(*word, to);
        }
    }
    fputc('\'', to);
}

void shell_word_print(FILE *to, const char *word)
{
    bool control = false;
    for (const char *at = word; *at; at++) {
        control = control || is_control((unsigned char)*at);
    }
    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, to);
    } else if (control) {
        print_ansi(to, word);
    } else {
        print_quoted(to, word);
    }
}
