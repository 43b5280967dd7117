/* SPDX-License-Identifier: MIT */
/* Dying with one line, drawing numbers, texts and small files. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "powercut_internal.h"

static void say(const char *format, va_list arguments)
{
    fputs("txcrash powercut: ", stderr);
    vfprintf(stderr, format, arguments);
}

_Noreturn void powercut_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

_Noreturn void powercut_die_errno(const char *format, ...)
{
    int number = errno;
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(number));
    exit(1);
}

void *powercut_need(void *memory)
{
    if (!memory) {
        powercut_die("out of memory");
    }
    return memory;
}

char *powercut_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    return powercut_need(size < 0 ? NULL : text);
}

/* Every `name` in `text` becomes `value`. */
char *powercut_replace(const char *text, const char *name, const char *value)
{
    char *done = powercut_format("%s", "");
    const char *rest = text;
    for (const char *mark; (mark = strstr(rest, name)); rest = mark + strlen(name)) {
        char *longer = powercut_format("%s%.*s%s", done, (int)(mark - rest), rest, value);
        free(done);
        done = longer;
    }
    char *whole = powercut_format("%s%s", done, rest);
    free(done);
    return whole;
}

void powercut_write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "we");
    if (!file || (size > 0 && fwrite(bytes, size, 1, file) != 1) || fclose(file) != 0) {
        powercut_die_errno("write %s", path);
    }
}

char *powercut_read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    if (!file) {
        powercut_die_errno("read %s", path);
    }
    /* Our own small files hold no NUL, so this reads all of them. */
    ssize_t size = getdelim(&text, &room, '\0', file);
    if (size < 0 && !feof(file)) {
        powercut_die_errno("read %s", path);
    }
    fclose(file); /* only read from */
    if (size < 0) {
        free(text);
        return powercut_format("%s", "");
    }
    return text;
}

/* splitmix64: every seed is as good as any other. */
uint64_t powercut_random(uint64_t *state)
{
    uint64_t mixed = (*state += 0x9e3779b97f4a7c15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

uint64_t powercut_below(uint64_t *state, uint64_t limit)
{
    return powercut_random(state) % limit;
}
