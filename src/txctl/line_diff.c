/* SPDX-License-Identifier: MIT */
/*
 * Unified diff of two texts by the longest common subsequence of their lines. The table is bounded:
 * beyond it what lies between the common beginning and the common end is shown as replaced.
 */
#include <string.h>

#include "txctl/changes.h"

#define CONTEXT_LINES 3
#define TABLE_CELLS_MAX (4u << 20)

struct line {
    const char *text;
    size_t size; /* without the newline */
    bool ended;  /* by a newline */
};

struct side {
    struct line *lines;
    size_t count;
};

/* One line of the result: of both, of the old, of the new text. */
struct step {
    char mark;
    struct line line;
    size_t old_at, new_at; /* lines of each side before this one */
};

struct script {
    struct step *steps;
    size_t count;
};

static struct side split_lines(const char *text, size_t size)
{
    struct side side = {NULL, 0};
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        if ((side.count & (side.count + 1)) == 0) {
            side.lines = txctl_grow(side.lines, 2 * side.count + 1, sizeof *side.lines);
        }
        side.lines[side.count++] = (struct line){text, (size_t)(stop - text), newline != NULL};
        text = newline ? newline + 1 : end;
    }
    return side;
}

static bool same_line(const struct line *a, const struct line *b)
{
    return a->size == b->size && a->ended == b->ended && memcmp(a->text, b->text, a->size) == 0;
}

static void add_step(struct script *script, char mark, const struct line *line, size_t old_at,
                     size_t new_at)
{
    script->steps[script->count++] = (struct step){mark, *line, old_at, new_at};
}

/* lengths[i][j]: of the longest common subsequence of old[i..) and new[j..). */
static uint32_t *lcs_table(const struct line *old_lines, size_t rows, const struct line *new_lines,
                           size_t columns)
{
    uint32_t *table = txctl_alloc((rows + 1) * (columns + 1) * sizeof *table);
    for (size_t i = rows; i-- > 0;) {
        for (size_t j = columns; j-- > 0;) {
            uint32_t *cell = &table[i * (columns + 1) + j];
            uint32_t down = cell[columns + 1];
            uint32_t right = cell[1];
            *cell = same_line(&old_lines[i], &new_lines[j]) ? cell[columns + 2] + 1
                    : down >= right                         ? down
                                                            : right;
        }
    }
    return table;
}

/* The lines between the common beginning (`first` lines) and the common end. */
static void add_middle(struct script *script, const struct side *a, const struct side *b,
                       size_t first, size_t rows, size_t columns)
{
    const struct line *x = a->lines + first;
    const struct line *y = b->lines + first;
    bool bounded = (rows + 1) * (columns + 1) <= TABLE_CELLS_MAX;
    uint32_t *table = bounded && rows > 0 && columns > 0 ? lcs_table(x, rows, y, columns) : NULL;
    size_t i = 0;
    size_t j = 0;
    while (i < rows || j < columns) {
        const uint32_t *cell = table ? &table[i * (columns + 1) + j] : NULL;
        if (cell && i < rows && j < columns && same_line(&x[i], &y[j])) {
            add_step(script, ' ', &x[i], first + i, first + j);
            i++;
            j++;
        } else if (i < rows && (j == columns || !cell || cell[columns + 1] >= cell[1])) {
            add_step(script, '-', &x[i], first + i, first + j);
            i++;
        } else {
            add_step(script, '+', &y[j], first + i, first + j);
            j++;
        }
    }
    free(table);
}

static struct script compare_sides(const struct side *a, const struct side *b)
{
    struct script script = {txctl_alloc((a->count + b->count + 1) * sizeof *script.steps), 0};
    size_t least = a->count < b->count ? a->count : b->count;
    size_t first = 0;
    size_t last = 0;
    while (first < least && same_line(&a->lines[first], &b->lines[first])) {
        add_step(&script, ' ', &a->lines[first], first, first);
        first++;
    }
    while (last < least - first &&
           same_line(&a->lines[a->count - 1 - last], &b->lines[b->count - 1 - last])) {
        last++;
    }
    add_middle(&script, a, b, first, a->count - first - last, b->count - first - last);
    for (; last > 0; last--) {
        add_step(&script, ' ', &a->lines[a->count - last], a->count - last, b->count - last);
    }
    return script;
}

static void put_step(const struct txctl_context *context, const struct step *step)
{
    bool color = txctl_wants_color(context) && step->mark != ' ';
    if (color) {
        fputs(step->mark == '+' ? "\033[32m" : "\033[31m", stdout);
    }
    putchar(step->mark);
    txctl_put_escaped(stdout, step->line.text, step->line.size,
                      txctl_stdout_is_terminal() ? TXCTL_ESCAPE_LINE : TXCTL_RAW);
    if (color) {
        fputs("\033[m", stdout);
    }
    fputs(step->line.ended ? "\n" : "\n\\ No newline at end of file\n", stdout);
}

static void put_hunk(const struct txctl_context *context, const struct step *steps, size_t count)
{
    size_t old_lines = 0;
    size_t new_lines = 0;
    for (size_t i = 0; i < count; i++) {
        old_lines += steps[i].mark != '+';
        new_lines += steps[i].mark != '-';
    }
    printf("@@ -%zu,%zu +%zu,%zu @@\n", steps[0].old_at + (old_lines > 0), old_lines,
           steps[0].new_at + (new_lines > 0), new_lines);
    for (size_t i = 0; i < count; i++) {
        put_step(context, &steps[i]);
    }
}

/* Hunks: changes with the lines around them; those that touch are one. */
static void put_hunks(const struct txctl_context *context, const struct script *script)
{
    size_t at = 0;
    while (at < script->count) {
        if (script->steps[at].mark == ' ') {
            at++;
            continue;
        }
        size_t begin = at > CONTEXT_LINES ? at - CONTEXT_LINES : 0;
        size_t end = at;
        size_t quiet = 0;
        for (; at < script->count && quiet <= 2 * CONTEXT_LINES; at++) {
            quiet = script->steps[at].mark == ' ' ? quiet + 1 : 0;
            end = quiet == 0 ? at + 1 : end;
        }
        at = end;
        end = end + CONTEXT_LINES < script->count ? end + CONTEXT_LINES : script->count;
        put_hunk(context, script->steps + begin, end - begin);
        at = end;
    }
}

void txctl_print_diff(const struct txctl_context *context, const struct txctl_text_side *old_side,
                      const struct txctl_text_side *new_side)
{
    struct side a = split_lines(old_side->text, old_side->size);
    struct side b = split_lines(new_side->text, new_side->size);
    struct script script = compare_sides(&a, &b);
    fputs("--- ", stdout);
    txctl_put_name(context, old_side->name);
    fputs("\n+++ ", stdout);
    txctl_put_name(context, new_side->name);
    putchar('\n');
    put_hunks(context, &script);
    free(script.steps);
    free(a.lines);
    free(b.lines);
}
