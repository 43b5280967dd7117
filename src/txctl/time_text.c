/* SPDX-License-Identifier: MIT */
/* Times: nanoseconds since 1970 here, local time for people, RFC 3339 for programs. */
#include <string.h>
#include <time.h>

#include "txctl/txctl_internal.h"

#define NS_PER_S 1000000000

/* Split so that the rest is never negative. */
static time_t split_ns(int64_t ns, int64_t *rest)
{
    int64_t seconds = ns / NS_PER_S;
    *rest = ns % NS_PER_S;
    if (*rest < 0) {
        *rest += NS_PER_S;
        seconds--;
    }
    return (time_t)seconds;
}

const char *txctl_time_text(int64_t ns, char text[TXCTL_TIME_TEXT])
{
    int64_t rest;
    struct tm tm;
    time_t seconds = split_ns(ns, &rest);
    text[0] = '\0';
    if (localtime_r(&seconds, &tm)) {
        strftime(text, TXCTL_TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
    }
    return text;
}

const char *txctl_time_rfc3339(int64_t ns, char text[TXCTL_TIME_TEXT])
{
    int64_t rest;
    struct tm tm;
    char date[32];
    time_t seconds = split_ns(ns, &rest);
    text[0] = '\0';
    if (gmtime_r(&seconds, &tm) && strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) > 0) {
        snprintf(text, TXCTL_TIME_TEXT, "%s.%09lldZ", date, (long long)rest);
    }
    return text;
}

/* ".5" -> 500000000; moves *at behind the digits. */
static int64_t parse_fraction(const char **at)
{
    int64_t ns = 0;
    int64_t place = NS_PER_S / 10;
    if (**at == '.') {
        for ((*at)++; **at >= '0' && **at <= '9'; (*at)++) {
            ns += place * (**at - '0');
            place /= 10;
        }
    }
    return ns;
}

static enum tx_status join_ns(const char *text, int64_t seconds, int64_t rest, int64_t *ns,
                              struct tx_error *err)
{
    if (seconds > INT64_MAX / NS_PER_S - 1 || seconds < INT64_MIN / NS_PER_S + 1) {
        return txctl_usage(err, "\"%s\": beyond the times that can be kept", text);
    }
    *ns = seconds * NS_PER_S + rest;
    return TX_OK;
}

static enum tx_status parse_epoch(const char *text, int64_t *ns, struct tx_error *err)
{
    char *after = NULL;
    long long seconds = strtoll(text + 1, &after, 10);
    const char *end = after;
    bool negative = text[1] == '-';
    int64_t rest = parse_fraction(&end);
    if (end == text + 1 || *end != '\0') {
        return txctl_usage(err, "\"%s\" is no time", text);
    }
    return join_ns(text, seconds, negative ? -rest : rest, ns, err);
}

enum tx_status txctl_time(const char *text, int64_t *ns, struct tx_error *err)
{
    static const char *const forms[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
                                        "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    if (strcmp(text, "now") == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return join_ns(text, now.tv_sec, now.tv_nsec, ns, err);
    }
    if (text[0] == '@') {
        return parse_epoch(text, ns, err);
    }
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &tm);
        if (end) {
            int64_t rest = i < 2 ? parse_fraction(&end) : 0;
            bool utc = *end == 'Z';
            if (end[utc] == '\0') {
                return join_ns(text, utc ? timegm(&tm) : mktime(&tm), rest, ns, err);
            }
        }
    }
    return txctl_usage(err, "\"%s\" is no time; \"2026-01-31 12:00:00\", \"@1700000000\" are",
                       text);
}
