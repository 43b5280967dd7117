/* SPDX-License-Identifier: MIT */
/* Lists of calls: as text, and drawn. */
#include <stdlib.h>
#include <string.h>

#include "kill.h"

#define NUMBERS_MAX 1000000ul

/* "7" or "7-11" at *text, which moves behind it. */
static bool parse_range(const char **text, unsigned long *first, unsigned long *last)
{
    char *end = NULL;
    if (**text < '0' || **text > '9') {
        return false;
    }
    *first = *last = strtoul(*text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') {
        *last = strtoul(end + 1, &end, 10);
    }
    *text = end;
    return *first >= 1 && *first <= *last && *last - *first < NUMBERS_MAX && *last < KILL_NEVER;
}

unsigned long *kill_numbers_parse(const char *text, size_t *count)
{
    unsigned long *numbers = NULL, first, last;
    *count = 0;
    for (;; text++) {
        if (!parse_range(&text, &first, &last) || (*text != ',' && *text != '\0')) {
            free(numbers);
            return NULL;
        }
        numbers = reallocarray(numbers, *count + (last - first + 1), sizeof *numbers);
        if (!numbers) {
            kill_die("memory");
        }
        for (unsigned long number = first; number <= last; number++) {
            numbers[(*count)++] = number;
        }
        if (*text == '\0') {
            return numbers;
        }
    }
}

static unsigned long draw(unsigned long *seed, unsigned long limit)
{
    *seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
    return (*seed >> 33) % limit;
}

/* Goes through 1..limit once and takes each with the chance that just fills the rest. */
unsigned long *kill_numbers_draw(size_t *count, unsigned long limit, unsigned long seed)
{
    size_t wanted = *count < limit ? *count : limit;
    unsigned long *numbers = calloc(wanted + 1, sizeof *numbers);
    if (!numbers) {
        kill_die("memory");
    }
    *count = 0;
    for (unsigned long number = 1; *count < wanted; number++) {
        if (draw(&seed, limit - number + 1) < wanted - *count) {
            numbers[(*count)++] = number;
        }
    }
    return numbers;
}

/* "3" and 4 make "3-4", "3-4" and 5 make "3-5", anything else a comma. */
bool kill_numbers_append(char *list, size_t size, unsigned long number)
{
    size_t length = strlen(list);
    size_t begin = length; /* of the last number */
    while (begin > 0 && list[begin - 1] >= '0' && list[begin - 1] <= '9') {
        begin--;
    }
    bool follows = length > 0 && strtoul(list + begin, NULL, 10) + 1 == number;
    bool in_range = follows && begin > 0 && list[begin - 1] == '-';
    const char *joint = length == 0 ? "" : follows ? "-" : ",";
    if (in_range) {
        length = begin;
        joint = "";
    }
    char rest[32];
    int written = snprintf(rest, sizeof rest, "%s%lu", joint, number);
    if (length + (size_t)written >= size) {
        return false;
    }
    memcpy(list + length, rest, (size_t)written + 1);
    return true;
}
