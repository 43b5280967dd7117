/* SPDX-License-Identifier: MIT */
/* File modes as ls(1) shows and chmod(1) takes them. */
#include <string.h>
#include <sys/stat.h>

#include "txctl/txctl_internal.h"

static char type_letter(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return 'd';
    case S_IFLNK:
        return 'l';
    case S_IFIFO:
        return 'p';
    case S_IFSOCK:
        return 's';
    case S_IFCHR:
        return 'c';
    case S_IFBLK:
        return 'b';
    default:
        return '-';
    }
}

const char *txctl_mode_text(uint32_t mode, char text[TXCTL_MODE_TEXT])
{
    text[0] = type_letter(mode);
    for (int i = 0; i < 9; i++) {
        text[1 + i] = "xwr"[(8 - i) % 3];
        if ((mode & (0400u >> i)) == 0) {
            text[1 + i] = '-';
        }
    }
    if ((mode & S_ISUID) != 0) {
        text[3] = text[3] == 'x' ? 's' : 'S';
    }
    if ((mode & S_ISGID) != 0) {
        text[6] = text[6] == 'x' ? 's' : 'S';
    }
    if ((mode & S_ISVTX) != 0) {
        text[9] = text[9] == 'x' ? 't' : 'T';
    }
    text[10] = '\0';
    return text;
}

/* "ugoa": the bits of these users, of all when none is named. Without a name the umask holds. */
static uint32_t parse_who(const char **at, uint32_t *allowed)
{
    uint32_t who = 0;
    for (;; (*at)++) {
        switch (**at) {
        case 'u':
            who |= 0700 | S_ISUID;
            break;
        case 'g':
            who |= 0070 | S_ISGID;
            break;
        case 'o':
            who |= 0007;
            break;
        case 'a':
            who |= 07777;
            break;
        default:
            *allowed = 07777;
            if (who == 0) {
                mode_t mask = umask(0);
                umask(mask);
                who = 07777;
                *allowed = ~(uint32_t)mask;
            }
            return who;
        }
    }
}

/* "rwxXst" or one of "ugo", spread over all users. */
static uint32_t parse_permissions(const char **at, uint32_t mode, uint32_t who)
{
    uint32_t bits = 0;
    for (;; (*at)++) {
        switch (**at) {
        case 'r':
            bits |= 0444;
            break;
        case 'w':
            bits |= 0222;
            break;
        case 'x':
            bits |= 0111;
            break;
        case 'X':
            bits |= S_ISDIR(mode) || (mode & 0111) != 0 ? 0111 : 0;
            break;
        case 's':
            bits |= S_ISUID | S_ISGID;
            break;
        case 't':
            bits |= (who & 0007) != 0 ? S_ISVTX : 0;
            break;
        case 'u':
            bits |= (mode >> 6 & 7) * 0111;
            break;
        case 'g':
            bits |= (mode >> 3 & 7) * 0111;
            break;
        case 'o':
            bits |= (mode & 7) * 0111;
            break;
        default:
            return bits;
        }
    }
}

/* One clause: "u+x", "go=", "a-w+r". */
static bool parse_clause(const char **at, uint32_t *mode)
{
    uint32_t allowed;
    uint32_t who = parse_who(at, &allowed);
    if (**at != '+' && **at != '-' && **at != '=') {
        return false;
    }
    while (**at == '+' || **at == '-' || **at == '=') {
        char action = *(*at)++;
        uint32_t bits = parse_permissions(at, *mode, who);
        uint32_t sticky = who == 07777 ? bits & S_ISVTX : (who & 0007) != 0 ? bits & S_ISVTX : 0;
        bits = ((bits & who) | sticky) & allowed;
        if (action == '=') {
            /* The set-id bits of a directory stay unless they are named, as chmod(1) does. */
            uint32_t kept = S_ISDIR(*mode) ? S_ISUID | S_ISGID : 0;
            *mode = (*mode & ~(who & allowed & ~kept & 07777)) | bits;
        } else if (action == '+') {
            *mode |= bits;
        } else {
            *mode &= ~bits;
        }
    }
    return true;
}

enum tx_status txctl_mode(const char *text, uint32_t mode, uint32_t *result, struct tx_error *err)
{
    const char *at = text;
    if (*at >= '0' && *at <= '7') {
        char *end = NULL;
        unsigned long number = strtoul(text, &end, 8);
        if (*end != '\0' || number > 07777) {
            return txctl_usage(err, "\"%s\" is no mode", text);
        }
        *result = (uint32_t)number;
        return TX_OK;
    }
    while (parse_clause(&at, &mode)) {
        if (*at == '\0') {
            *result = mode & 07777;
            return TX_OK;
        }
        if (*at++ != ',') {
            break;
        }
    }
    return txctl_usage(err, "\"%s\" is no mode; 644 and u+x,go-w are", text);
}
