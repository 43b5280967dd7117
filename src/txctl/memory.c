/* SPDX-License-Identifier: MIT */
/* Memory of the command itself. Ending the process is safe at any moment: nothing is committed
 * before ktm_commit says so, and the next open tidies up. */
#include <stdarg.h>
#include <string.h>

#include "txctl/txctl_internal.h"

static void *memory_or_end(void *memory)
{
    if (!memory) {
        fputs("txctl: out of memory\n", stderr);
        exit(TXCTL_EXIT_FAILED);
    }
    return memory;
}

void *txctl_alloc(size_t size)
{
    return memory_or_end(calloc(1, size > 0 ? size : 1));
}

void *txctl_grow(void *memory, size_t count, size_t size)
{
    return memory_or_end(reallocarray(memory, count > 0 ? count : 1, size));
}

char *txctl_copy(const char *text)
{
    return memory_or_end(strdup(text));
}

char *txctl_text(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return memory_or_end(length < 0 ? NULL : text);
}

FILE *txctl_stream(char **text, size_t *size)
{
    return memory_or_end(open_memstream(text, size));
}

void txctl_stream_end(FILE *stream)
{
    bool failed = ferror(stream) != 0;
    failed = fclose(stream) != 0 || failed;
    if (failed) {
        (void)memory_or_end(NULL);
    }
}

void txctl_names_add(struct txctl_names *names, const char *name, unsigned type)
{
    if ((names->count & (names->count + 1)) == 0) { /* room for 1, 3, 7, 15, ... */
        names->items = txctl_grow(names->items, 2 * names->count + 1, sizeof *names->items);
    }
    names->items[names->count].name = txctl_copy(name);
    names->items[names->count].type = type;
    names->count++;
}

void txctl_names_release(struct txctl_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->items[i].name);
    }
    free(names->items);
    names->items = NULL;
    names->count = 0;
}
