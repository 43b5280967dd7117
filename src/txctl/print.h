/* SPDX-License-Identifier: MIT */
/*
 * Results on stdout. One description of a row (an array of columns over a host structure) gives
 * the lines for people and the JSON for programs:
 *
 *     txctl_print_record      one row: "name: value" lines, or one object
 *     txctl_table_begin .. txctl_table_row .. txctl_table_end
 *                             many rows: lines with columns, or one object that holds an array
 */
#ifndef TXCTL_PRINT_H
#define TXCTL_PRINT_H

#include "txctl/txctl_internal.h"

enum txctl_kind {
    TXCTL_WORD,   /* const char *: our own words */
    TXCTL_NAME,   /* const char *: bytes of somebody else, escaped where they could do harm */
    TXCTL_KEY,    /* the same for registry paths: '\\' stays */
    TXCTL_NUMBER, /* uint64_t */
    TXCTL_BYTES,  /* uint64_t, for people with a unit */
    TXCTL_FLAG,   /* bool */
    TXCTL_TIME,   /* int64_t: nanoseconds since 1970 */
};

enum txctl_column_flags {
    TXCTL_OPTIONAL = 1 << 0, /* left out when empty: NULL, "", 0, false */
    TXCTL_JSON_ONLY = 1 << 1,
};

struct txctl_column {
    const char *name; /* NULL ends a list */
    enum txctl_kind kind;
    size_t offset;
    int width; /* in tables, characters at least; negative: to the left */
    unsigned flags;
};
#define TXCTL_COLUMN(type, member, kind, width, flags)                                             \
    {#member, kind, offsetof(type, member), width, flags}
#define TXCTL_COLUMNS_END {NULL, TXCTL_WORD, 0, 0, 0}

void txctl_print_record(const struct txctl_context *context, const struct txctl_column *columns,
                        const void *row);
/* The row as a JSON object, without "schema". */
json_t *txctl_row_json(const struct txctl_column *columns, const void *row);
/* The row's lines for people. */
void txctl_print_lines(const struct txctl_context *context, const struct txctl_column *columns,
                       const void *row);

struct txctl_table {
    const struct txctl_context *context;
    const struct txctl_column *columns;
    const char *title; /* of the array in JSON */
    json_t *rows;
    bool stream; /* JSON: an object per line at once, instead of one at the end */
};
void txctl_table_begin(struct txctl_table *table, const struct txctl_context *context,
                       const char *title, const struct txctl_column *columns);
void txctl_table_row(struct txctl_table *table, const void *row);
void txctl_table_end(struct txctl_table *table);

/* An object with "schema": 1 to begin with. */
json_t *txctl_json_new(void);
/* Print an object on one line and release it. */
void txctl_json_print(json_t *object);
bool txctl_json_was_printed(void);
/* A text, or {"bytes": base64} when it is not UTF-8. */
json_t *txctl_json_bytes(const char *text, size_t size);
json_t *txctl_json_name(const char *name);
json_t *txctl_json_time(int64_t ns);

/* --- Names (names.c) -------------------------------------------------------------------------- */

/* How bytes of somebody else are shown. */
enum txctl_escape {
    TXCTL_RAW,
    TXCTL_ESCAPE,     /* control characters, direction changes, malformed UTF-8, '\\' as \xNN */
    TXCTL_ESCAPE_KEY, /* the same, but '\\' stays */
    TXCTL_ESCAPE_LINE, /* the same, and tabs stay: lines of file contents */
};
void txctl_put_escaped(FILE *out, const char *text, size_t size, enum txctl_escape how);
/* A name inside a line with other columns: escaped unless -0. */
void txctl_put_name(const struct txctl_context *context, const char *name);
void txctl_put_key(const struct txctl_context *context, const char *key);
/* A name that is a result by itself: escaped only on a terminal; then newline, or NUL with -0. */
void txctl_put_plain_name(const struct txctl_context *context, const char *name);
char *txctl_escaped(const char *name); /* malloc'd */
char *txctl_escaped_as(const char *name, enum txctl_escape how);
/* Decode one code point of UTF-8 proper; false on anything else. */
bool txctl_utf8_next(const char **at, const char *end, uint32_t *code_point);
bool txctl_is_utf8(const char *text, size_t size);
/* What ends a line of output. */
int txctl_line_end(const struct txctl_context *context);
bool txctl_stdout_is_terminal(void);
bool txctl_wants_color(const struct txctl_context *context);

/* --- base64 (base64.c) ------------------------------------------------------------------------ */

char *txctl_base64(const void *data, size_t size); /* malloc'd */
/* malloc'd; NULL when the text is no base64. */
uint8_t *txctl_base64_decode(const char *text, size_t *size);
char *txctl_hex(const void *data, size_t size); /* lower case, malloc'd */
uint8_t *txctl_hex_decode(const char *text, size_t length, size_t *size);

#endif
