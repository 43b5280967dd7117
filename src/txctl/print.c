/* SPDX-License-Identifier: MIT */
/* Rows as lines and as JSON, both from the same columns. */
#include <string.h>

#include "txctl/print.h"

json_t *txctl_json_bytes(const char *text, size_t size)
{
    json_t *value = txctl_is_utf8(text, size) ? json_stringn(text, size) : NULL;
    if (!value) {
        AUTO_TEXT base64 = txctl_base64(text, size);
        value = json_pack("{s:s}", "bytes", base64);
    }
    return value;
}

json_t *txctl_json_name(const char *name)
{
    return txctl_json_bytes(name, strlen(name));
}

json_t *txctl_json_time(int64_t ns)
{
    char text[TXCTL_TIME_TEXT];
    return json_string(txctl_time_rfc3339(ns, text));
}

json_t *txctl_json_new(void)
{
    return json_pack("{s:i}", "schema", 1);
}

static bool json_was_printed;

bool txctl_json_was_printed(void)
{
    return json_was_printed;
}

void txctl_json_print(json_t *object)
{
    json_was_printed = true;
    /* ASCII only: nothing in it can do harm on a terminal. */
    json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(object);
}

static const char *cell_text(const void *cell)
{
    const char *text;
    memcpy(&text, cell, sizeof text);
    return text;
}

static uint64_t cell_number(const struct txctl_column *column, const void *cell)
{
    uint64_t number = 0;
    if (column->kind == TXCTL_FLAG) {
        bool flag;
        memcpy(&flag, cell, sizeof flag);
        number = flag;
    } else {
        memcpy(&number, cell, sizeof number);
    }
    return number;
}

static bool cell_is_text(const struct txctl_column *column)
{
    return column->kind == TXCTL_WORD || column->kind == TXCTL_NAME || column->kind == TXCTL_KEY;
}

static bool cell_left_out(const struct txctl_column *column, const void *cell)
{
    if (cell_is_text(column)) {
        const char *text = cell_text(cell);
        return !text || ((column->flags & TXCTL_OPTIONAL) != 0 && text[0] == '\0');
    }
    return (column->flags & TXCTL_OPTIONAL) != 0 && cell_number(column, cell) == 0;
}

static json_t *cell_json(const struct txctl_column *column, const void *cell)
{
    if (cell_is_text(column)) {
        return txctl_json_name(cell_text(cell));
    }
    uint64_t number = cell_number(column, cell);
    if (column->kind == TXCTL_FLAG) {
        return json_boolean(number != 0);
    }
    return column->kind == TXCTL_TIME ? txctl_json_time((int64_t)number)
                                      : json_integer((json_int_t)number);
}

json_t *txctl_row_json(const struct txctl_column *columns, const void *row)
{
    json_t *object = json_object();
    for (const struct txctl_column *column = columns; column->name; column++) {
        const void *cell = (const char *)row + column->offset;
        if (!cell_left_out(column, cell)) {
            json_object_set_new(object, column->name, cell_json(column, cell));
        }
    }
    return object;
}

/* The cell for people, in `text` unless it is a text itself. */
static const char *cell_words(const struct txctl_column *column, const void *cell,
                              char text[TXCTL_TIME_TEXT])
{
    if (cell_is_text(column)) {
        const char *words = cell_text(cell);
        return words ? words : "";
    }
    uint64_t number = cell_number(column, cell);
    if (column->kind == TXCTL_FLAG) {
        return number != 0 ? "yes" : "no";
    }
    if (column->kind == TXCTL_TIME) {
        return txctl_time_text((int64_t)number, text);
    }
    snprintf(text, TXCTL_TIME_TEXT, "%llu", (unsigned long long)number);
    if (column->kind == TXCTL_BYTES && column->width == 0 && number >= 1024) {
        char size[TXCTL_SIZE_TEXT];
        snprintf(text, TXCTL_TIME_TEXT, "%llu (%s)", (unsigned long long)number,
                 txctl_size_text(number, size));
    }
    return text;
}

static void put_cell(const struct txctl_context *context, const struct txctl_column *column,
                     const void *cell, int width)
{
    char text[TXCTL_TIME_TEXT];
    const char *words = cell_words(column, cell, text);
    if (column->kind == TXCTL_NAME) {
        txctl_put_name(context, words);
    } else if (column->kind == TXCTL_KEY) {
        txctl_put_key(context, words);
    } else {
        printf("%*s", width, words);
    }
}

void txctl_print_lines(const struct txctl_context *context, const struct txctl_column *columns,
                       const void *row)
{
    for (const struct txctl_column *column = columns; column->name; column++) {
        const void *cell = (const char *)row + column->offset;
        if (!cell_left_out(column, cell) && (column->flags & TXCTL_JSON_ONLY) == 0) {
            for (const char *c = column->name; *c != '\0'; c++) {
                putchar(*c == '_' ? '-' : *c);
            }
            fputs(": ", stdout);
            put_cell(context, column, cell, 0);
            putchar(txctl_line_end(context));
        }
    }
}

void txctl_print_record(const struct txctl_context *context, const struct txctl_column *columns,
                        const void *row)
{
    if (!context->globals.json) {
        txctl_print_lines(context, columns, row);
        return;
    }
    json_t *object = txctl_json_new();
    json_t *cells = txctl_row_json(columns, row);
    json_object_update(object, cells);
    json_decref(cells);
    txctl_json_print(object);
}

static void put_heading(const struct txctl_column *columns)
{
    for (const struct txctl_column *column = columns; column->name; column++) {
        if ((column->flags & TXCTL_JSON_ONLY) == 0) {
            char heading[32];
            size_t i = 0;
            for (; column->name[i] != '\0' && i + 1 < sizeof heading; i++) {
                char c = column->name[i];
                heading[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c == '_' ? '-' : c);
            }
            heading[i] = '\0';
            printf(column == columns ? "%*s" : " %*s", column->width, heading);
        }
    }
    putchar('\n');
}

void txctl_table_begin(struct txctl_table *table, const struct txctl_context *context,
                       const char *title, const struct txctl_column *columns)
{
    *table = (struct txctl_table){.context = context, .columns = columns, .title = title};
    if (context->globals.json) {
        table->rows = json_array();
    } else if (!context->globals.quiet && !context->globals.null_ends) {
        put_heading(columns);
    }
}

void txctl_table_row(struct txctl_table *table, const void *row)
{
    const struct txctl_context *context = table->context;
    if (context->globals.json && table->stream) {
        txctl_print_record(context, table->columns, row);
    } else if (context->globals.json) {
        json_array_append_new(table->rows, txctl_row_json(table->columns, row));
    } else {
        for (const struct txctl_column *column = table->columns; column->name; column++) {
            if ((column->flags & TXCTL_JSON_ONLY) == 0) {
                if (column != table->columns) {
                    putchar(' ');
                }
                put_cell(context, column, (const char *)row + column->offset, column->width);
            }
        }
        putchar(txctl_line_end(context));
    }
}

void txctl_table_end(struct txctl_table *table)
{
    if (table->rows && !table->stream) {
        json_t *object = txctl_json_new();
        json_object_set(object, table->title, table->rows);
        txctl_json_print(object);
    }
    json_decref(table->rows);
    table->rows = NULL;
}
