/* SPDX-License-Identifier: MIT */
/* Numbers and sizes as people write them. */
#include <errno.h>
#include <string.h>

#include "txctl/txctl_internal.h"

/* Digits, or 0x and hexadecimal digits; no sign, no blank. */
static bool parse_digits(const char *text, uint64_t *number, const char **end)
{
    char *after = NULL;
    int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long value = strtoull(text, &after, base);
    if (errno != 0 || (base == 16 && after == text + 1)) {
        return false;
    }
    *number = value;
    *end = after;
    return true;
}

enum tx_status txctl_number(const char *text, uint64_t *number, struct tx_error *err)
{
    const char *end = NULL;
    uint64_t value = 0;
    if (!parse_digits(text, &value, &end) || *end != '\0') {
        return txctl_usage(err, "\"%s\" is no number", text);
    }
    *number = value;
    return TX_OK;
}

enum tx_status txctl_size(const char *text, uint64_t *size, struct tx_error *err)
{
    static const char units[] = "KMGT";
    const char *end = NULL;
    uint64_t value = 0;
    if (!parse_digits(text, &value, &end)) {
        return txctl_usage(err, "\"%s\" is no size", text);
    }
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (value > UINT64_MAX >> shift) {
            return txctl_usage(err, "\"%s\" is too large", text);
        }
        value <<= shift;
        end++;
        if (strcmp(end, "iB") == 0) {
            end += 2;
        }
    }
    if (*end != '\0') {
        return txctl_usage(err, "\"%s\" is no size; 4096, 64K, 16M, 1G are", text);
    }
    *size = value;
    return TX_OK;
}

enum tx_status txctl_seconds(const char *text, uint32_t *ms, struct tx_error *err)
{
    const char *end = NULL;
    uint64_t seconds = 0;
    uint32_t fraction = 0;
    if (!parse_digits(text, &seconds, &end) || seconds > UINT32_MAX / 1000 - 1) {
        return txctl_usage(err, "\"%s\" are no seconds", text);
    }
    if (*end == '.') {
        uint32_t place = 100;
        for (end++; *end >= '0' && *end <= '9'; end++) {
            fraction += place * (uint32_t)(*end - '0');
            place /= 10;
        }
    }
    if (*end != '\0') {
        return txctl_usage(err, "\"%s\" are no seconds", text);
    }
    *ms = (uint32_t)(seconds * 1000 + fraction);
    return TX_OK;
}

const char *txctl_size_text(uint64_t size, char text[TXCTL_SIZE_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)size;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(text, TXCTL_SIZE_TEXT, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}
