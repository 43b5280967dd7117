/* SPDX-License-Identifier: MIT */
/* Names of transactions. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mutant.h"
#include "ktm/ktm_internal.h"

void ktm_id_format(const struct ktm_id *id, char text[KTM_ID_TEXT_SIZE])
{
    (void)snprintf(text, KTM_ID_TEXT_SIZE, "%" PRIu64 "-%" PRIu64, id->epoch, id->sequence);
}

/* A decimal number without signs, spaces and leading zeros: one text per number. */
static bool read_number(const char **text, uint64_t *number)
{
    const char *at = *text;
    uint64_t value = 0;
    if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9')) {
        return false;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *text = at;
    *number = value;
    return true;
}

enum tx_status ktm_id_parse(const char *text, struct ktm_id *id, struct tx_error *err)
{
    const char *at = text;
    struct ktm_id read;
    if (!text || !read_number(&at, &read.epoch) || *at != '-' ||
        (at++, !read_number(&at, &read.sequence)) || *at != '\0') {
        return tx_error_set(err, TX_EINVAL, "not a transaction's id: \"%.60s\"", text ? text : "");
    }
    *id = read;
    return TX_OK;
}

void ktm_gid_format(const struct ktm *tm, const struct ktm_id *id, unsigned branch,
                    char text[KTM_GID_TEXT_SIZE])
{
    char uuid[37];
    size_t size = 0;
    for (size_t i = 0; i < 16; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        size += (size_t)snprintf(uuid + size, sizeof uuid - size, "%s%02x", dash,
                                 TX_MUTANT(18) ? 0 : tm->identity.uuid[i]); /* Citus #8855 */
    }
    (void)snprintf(text, KTM_GID_TEXT_SIZE, "txkit:%s:%" PRIu64 ":%" PRIu64 ":%u", uuid, id->epoch,
                   id->sequence, branch);
}

void ktm_staging_path(const struct ktm_id *id, char path[KTM_STAGING_PATH_SIZE])
{
    char text[KTM_ID_TEXT_SIZE];
    ktm_id_format(id, text);
    (void)snprintf(path, KTM_STAGING_PATH_SIZE, "tx/%s", text);
}

void ktm_changes_path(const struct ktm_id *id, char path[KTM_CHANGES_PATH_SIZE])
{
    char text[KTM_ID_TEXT_SIZE];
    ktm_id_format(id, text);
    (void)snprintf(path, KTM_CHANGES_PATH_SIZE, "tx/%s/" KTM_CHANGES_NAME, text);
}

int ktm_id_compare(const void *a, const void *b)
{
    const struct ktm_id *left = a;
    const struct ktm_id *right = b;
    if (left->epoch != right->epoch) {
        return left->epoch < right->epoch ? -1 : 1;
    }
    return left->sequence < right->sequence ? -1 : left->sequence > right->sequence;
}
