/* SPDX-License-Identifier: MIT */
/*
 * Writes tar archives that no tar would write, from a text on its standard input:
 *
 *     make_tar DIRECTORY
 *
 *     NAME                          begins DIRECTORY/NAME.tar
 *     <tab>TYPE<tab>KEY=VALUE...    an entry of that typeflag, fields separated by tabs
 *
 * Keys: path, link, body (the content), size (as the header claims it; default: that of the body),
 * mode, sum (of the header, to have it wrong), pax (a record "key=value" of the body of an entry x
 * or g; may be repeated). In paths, links and bodies \n, \t and \0 are what they are in C.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512u
#define BODY_MAX 65536u

struct entry {
    char header[BLOCK];
    char body[BODY_MAX];
    size_t body_size;
    int has_size, has_sum;
};

static void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "make_tar: %s: %s\n", what, which);
    exit(2);
}

/* In place; the size without the NUL at the end. */
static size_t unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        from++;
        *to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from == '0' ? '\0' : *from;
    }
    *to = '\0';
    return (size_t)(to - text);
}

static void put(struct entry *entry, size_t at, size_t room, const char *value, size_t size)
{
    memcpy(entry->header + at, value, size < room ? size : room);
}

/* "LENGTH KEY=VALUE\n", LENGTH counting itself. */
static void add_pax(struct entry *entry, const char *record, size_t size)
{
    size_t length = size + 2;
    char digits[24];
    for (size_t before = 0; before != length;) {
        before = length;
        length = (size_t)snprintf(digits, sizeof digits, "%zu", before) + size + 2;
    }
    (void)snprintf(digits, sizeof digits, "%zu ", length);
    if (entry->body_size + length > BODY_MAX) {
        die("too long", record);
    }
    char *at = entry->body + entry->body_size;
    memcpy(at, digits, strlen(digits));
    memcpy(at + strlen(digits), record, size);
    at[length - 1] = '\n';
    entry->body_size += length;
}

static void set(struct entry *entry, const char *key, char *value)
{
    size_t size = unescape(value);
    if (strcmp(key, "path") == 0) {
        put(entry, 0, 100, value, size);
    } else if (strcmp(key, "link") == 0) {
        put(entry, 157, 100, value, size);
    } else if (strcmp(key, "mode") == 0) {
        put(entry, 100, 8, value, size);
    } else if (strcmp(key, "size") == 0) {
        put(entry, 124, 12, value, size);
        entry->has_size = 1;
    } else if (strcmp(key, "sum") == 0) {
        put(entry, 148, 8, value, size);
        entry->has_sum = 1;
    } else if (strcmp(key, "pax") == 0) {
        add_pax(entry, value, size);
    } else if (strcmp(key, "body") == 0 && size <= BODY_MAX) {
        memcpy(entry->body, value, size);
        entry->body_size = size;
    } else {
        die("no such field", key);
    }
}

static void write_entry(FILE *out, struct entry *entry)
{
    char number[16];
    unsigned sum = 8 * ' ';
    if (!entry->has_size) {
        (void)snprintf(number, sizeof number, "%011zo", entry->body_size);
        put(entry, 124, 12, number, 12);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        sum += i < 148 || i >= 156 ? (unsigned char)entry->header[i] : 0;
    }
    if (!entry->has_sum) {
        (void)snprintf(number, sizeof number, "%06o", sum);
        put(entry, 148, 8, number, 7);
        entry->header[155] = ' ';
    }
    (void)fwrite(entry->header, 1, BLOCK, out);
    (void)fwrite(entry->body, 1, (entry->body_size + BLOCK - 1) / BLOCK * BLOCK, out);
}

static void add_entry(FILE *out, char *line)
{
    static struct entry entry;
    char *rest = line;
    memset(&entry, 0, sizeof entry);
    memcpy(entry.header + 257, "ustar\00000", 8);
    put(&entry, 100, 8, "0000644", 8);
    put(&entry, 108, 8, "0000000", 8);
    put(&entry, 116, 8, "0000000", 8);
    put(&entry, 136, 12, "00000001750", 12);
    entry.header[156] = *strsep(&rest, "\t");
    for (char *field; (field = strsep(&rest, "\t")) != NULL;) {
        char *value = strchr(field, '=');
        if (value == NULL) {
            die("no value", field);
        }
        *value = '\0';
        set(&entry, field, value + 1);
    }
    write_entry(out, &entry);
}

static void end_archive(FILE *out)
{
    static const char zeros[2 * BLOCK];
    if (out != NULL) {
        (void)fwrite(zeros, 1, sizeof zeros, out);
        if (fclose(out) != 0) {
            die("cannot be written", "an archive");
        }
    }
}

int main(int argc, char **argv)
{
    static char line[BODY_MAX];
    char path[4096];
    FILE *out = NULL;
    while (argc == 2 && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\t' && out != NULL) {
            add_entry(out, line + 1);
            continue;
        }
        end_archive(out);
        int length = snprintf(path, sizeof path, "%s/%s.tar", argv[1], line);
        out = (size_t)length < sizeof path ? fopen(path, "wbx") : NULL;
        if (out == NULL) {
            die("cannot be made", path);
        }
    }
    end_archive(out);
    return argc == 2 ? 0 : 2;
}
