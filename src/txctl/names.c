/* SPDX-License-Identifier: MIT */
/* Names come from others: they may hold newlines, escape sequences, or no UTF-8 at all. */
#include <string.h>
#include <unistd.h>

#include "txctl/print.h"

bool txctl_utf8_next(const char **at, const char *end, uint32_t *code_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *text = (const unsigned char *)*at;
    int length = *text < 0x80 ? 1 : *text < 0xc2 ? 0 : *text < 0xe0 ? 2 : *text < 0xf0 ? 3
                                    : *text < 0xf5 ? 4 : 0;
    if (length == 0 || end - *at < length) {
        return false;
    }
    uint32_t value = length == 1 ? *text : *text & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return false;
        }
        value = value << 6 | (text[i] & 0x3fu);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
        return false;
    }
    *at += length;
    *code_point = value;
    return true;
}

bool txctl_is_utf8(const char *text, size_t size)
{
    const char *end = text + size;
    uint32_t code_point;
    while (text < end) {
        if (!txctl_utf8_next(&text, end, &code_point)) {
            return false;
        }
    }
    return true;
}

/* Would it move the cursor, change the terminal or turn the direction of what follows? */
static bool is_harmful(uint32_t code_point, enum txctl_escape how)
{
    if (code_point == '\\') {
        return how == TXCTL_ESCAPE;
    }
    if (code_point == '\t' && how == TXCTL_ESCAPE_LINE) {
        return false;
    }
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) || code_point == 0x61c ||
           code_point == 0x200e || code_point == 0x200f ||
           (code_point >= 0x2028 && code_point <= 0x202e) ||
           (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0xfeff;
}

void txctl_put_escaped(FILE *out, const char *text, size_t size, enum txctl_escape how)
{
    const char *end = text + size;
    if (how == TXCTL_RAW) {
        fwrite(text, 1, size, out);
        return;
    }
    while (text < end) {
        const char *next = text;
        uint32_t code_point = 0;
        bool good = txctl_utf8_next(&next, end, &code_point);
        if (!good) {
            next = text + 1;
        }
        if (good && !is_harmful(code_point, how)) {
            fwrite(text, 1, (size_t)(next - text), out);
        } else {
            for (const char *byte = text; byte < next; byte++) {
                fprintf(out, "\\x%02x", (unsigned char)*byte);
            }
        }
        text = next;
    }
}

char *txctl_escaped_as(const char *name, enum txctl_escape how)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = txctl_stream(&text, &size);
    txctl_put_escaped(stream, name, strlen(name), how);
    txctl_stream_end(stream);
    return text;
}

char *txctl_escaped(const char *name)
{
    return txctl_escaped_as(name, TXCTL_ESCAPE);
}

bool txctl_stdout_is_terminal(void)
{
    static int known = -1;
    if (known < 0) {
        known = isatty(STDOUT_FILENO);
    }
    return known == 1;
}

bool txctl_wants_color(const struct txctl_context *context)
{
    if (context->globals.color == TXCTL_COLOR_AUTO) {
        return txctl_stdout_is_terminal() && !getenv("NO_COLOR");
    }
    return context->globals.color == TXCTL_COLOR_ALWAYS;
}

int txctl_line_end(const struct txctl_context *context)
{
    return context->globals.null_ends ? '\0' : '\n';
}

void txctl_put_name(const struct txctl_context *context, const char *name)
{
    txctl_put_escaped(stdout, name, strlen(name),
                      context->globals.null_ends ? TXCTL_RAW : TXCTL_ESCAPE);
}

void txctl_put_key(const struct txctl_context *context, const char *key)
{
    txctl_put_escaped(stdout, key, strlen(key),
                      context->globals.null_ends ? TXCTL_RAW : TXCTL_ESCAPE_KEY);
}

void txctl_put_plain_name(const struct txctl_context *context, const char *name)
{
    bool escape = !context->globals.null_ends && txctl_stdout_is_terminal();
    txctl_put_escaped(stdout, name, strlen(name), escape ? TXCTL_ESCAPE : TXCTL_RAW);
    putchar(txctl_line_end(context));
}
