/* SPDX-License-Identifier: MIT */
/*
 * Scripts: one command per line, split as a shell does it, without its expansions.
 *
 *     'as it is'   "with \" and \\"   back\ slash   $'with \n \t \xHH'   # comment
 *
 * A quoted newline stays in the word; a backslash before a newline joins the lines.
 */
#include <ctype.h>
#include <string.h>

#include "txctl/txctl_internal.h"

struct splitter {
    FILE *script;
    unsigned line; /* read so far */
    char *word;    /* being built */
    size_t size, room;
    bool in_word;
    char **words;
    int count;
};

static void splitter_auto(struct splitter *splitter)
{
    free(splitter->word);
    txctl_words_free(splitter->words, splitter->count);
}

void txctl_words_free(char **words, int count)
{
    for (int i = 0; i < count; i++) {
        free(words[i]);
    }
    free(words);
}

static int next_char(struct splitter *splitter)
{
    int c = getc(splitter->script);
    splitter->line += c == '\n';
    return c;
}

static void put_char(struct splitter *splitter, int c)
{
    if (splitter->size + 1 >= splitter->room) {
        splitter->room = 2 * splitter->room + 64;
        splitter->word = txctl_grow(splitter->word, splitter->room, 1);
    }
    splitter->word[splitter->size++] = (char)c;
    splitter->in_word = true;
}

static enum tx_status end_word(struct splitter *splitter, struct tx_error *err)
{
    if (!splitter->in_word) {
        return TX_OK;
    }
    put_char(splitter, '\0');
    if (strlen(splitter->word) + 1 != splitter->size) {
        return txctl_usage(err, "a NUL byte in a word");
    }
    splitter->words = txctl_grow(splitter->words, (size_t)splitter->count + 1,
                                 sizeof *splitter->words);
    splitter->words[splitter->count++] = txctl_copy(splitter->word);
    splitter->size = 0;
    splitter->in_word = false;
    return TX_OK;
}

static int hex_digit(int c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* What follows a backslash inside $'...'. */
static enum tx_status take_escape(struct splitter *splitter, struct tx_error *err)
{
    static const char letters[] = "ntrabfve0\\'\"";
    static const char meanings[] = "\n\t\r\a\b\f\v\033\0\\'\"";
    int c = next_char(splitter);
    if (c == 'x') {
        int high = hex_digit(next_char(splitter));
        int low = high < 0 ? -1 : hex_digit(next_char(splitter));
        if (low < 0) {
            return txctl_usage(err, "\\x wants two hexadecimal digits");
        }
        put_char(splitter, high << 4 | low);
        return TX_OK;
    }
    const char *letter = c != EOF && c != '\0' ? strchr(letters, c) : NULL;
    if (!letter) {
        return txctl_usage(err, "unknown escape in $'...'");
    }
    put_char(splitter, meanings[letter - letters]);
    return TX_OK;
}

/* Up to the closing quote. `ansi`: $'...'. */
static enum tx_status take_quoted(struct splitter *splitter, int quote, bool ansi,
                                  struct tx_error *err)
{
    unsigned from = splitter->line + 1;
    splitter->in_word = true; /* '' is a word too */
    for (;;) {
        int c = next_char(splitter);
        if (c == EOF) {
            return txctl_usage(err, "the quote opened in line %u is never closed", from);
        }
        if (c == quote) {
            return TX_OK;
        }
        if (c == '\\' && ansi) {
            TRY(take_escape(splitter, err));
        } else if (c == '\\' && quote == '"') {
            int next = next_char(splitter);
            if (next == '\n') {
                continue;
            }
            if (next == EOF || !strchr("\"\\$`", next)) {
                put_char(splitter, '\\');
            }
            if (next != EOF) {
                put_char(splitter, next);
            }
        } else {
            put_char(splitter, c);
        }
    }
}

static void skip_comment(struct splitter *splitter)
{
    int c;
    do {
        c = getc(splitter->script);
    } while (c != '\n' && c != EOF);
    if (c == '\n') {
        ungetc(c, splitter->script);
    }
}

/* Take `c` and what belongs to it. */
static enum tx_status take_char(struct splitter *splitter, int c, struct tx_error *err)
{
    if (c == '\'' || c == '"') {
        return take_quoted(splitter, c, false, err);
    }
    if (c == '$') {
        int next = next_char(splitter);
        if (next == '\'') {
            return take_quoted(splitter, next, true, err);
        }
        put_char(splitter, c);
        if (next != EOF) {
            splitter->line -= next == '\n';
            ungetc(next, splitter->script);
        }
        return TX_OK;
    }
    if (c == '\\') {
        c = next_char(splitter);
        if (c == EOF || c == '\n') {
            return TX_OK;
        }
    } else if (c == '#' && !splitter->in_word) {
        skip_comment(splitter);
        return TX_OK;
    }
    put_char(splitter, c);
    return TX_OK;
}

enum tx_status txctl_read_words(FILE *script, unsigned *line, unsigned *start, char ***words,
                                int *count, struct tx_error *err)
{
    struct splitter splitter __attribute__((cleanup(splitter_auto))) = {.script = script,
                                                                        .line = *line};
    int c = 0;
    *start = *line + 1;
    while (c != EOF && !(c == '\n' && splitter.count > 0)) {
        c = next_char(&splitter);
        if (c == EOF || c == '\n' || c == ' ' || c == '\t' || c == '\r') {
            TRY(end_word(&splitter, err));
            if (c == '\n' && splitter.count == 0) {
                *start = splitter.line + 1;
            }
        } else {
            TRY(take_char(&splitter, c, err));
        }
    }
    if (ferror(script)) {
        return tx_error_set(err, TX_EIO, "read the script");
    }
    *line = splitter.line;
    *words = splitter.words;
    *count = splitter.count;
    splitter.words = NULL;
    splitter.count = 0;
    return TX_OK;
}
