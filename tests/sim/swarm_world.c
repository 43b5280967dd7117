/* SPDX-License-Identifier: MIT */
/* What the parts of a history share: violations, words, and what an answer may be. */
#include <inttypes.h>
#include <stdarg.h>

#include "sim/swarm_internal.h"

const char *swarm_counter_words(unsigned counter)
{
    static const char *const words[] = {
#define SWARM_COUNTER_WORDS(name, words) words,
        SWARM_COUNTER_LIST(SWARM_COUNTER_WORDS)
#undef SWARM_COUNTER_WORDS
    };
    return words[counter];
}

static void note_wrong(struct swarm *swarm, const char *format, va_list values)
{
    if (!swarm->result->violation) { /* what follows from the first one is no news */
        swarm->result->violation = true;
        (void)vsnprintf(swarm->result->text, SWARM_TEXT_SIZE, format, values);
        swarm_say(swarm, "VIOLATION: %s", swarm->result->text);
    }
}

void swarm_note_wrong(struct swarm *swarm, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    note_wrong(swarm, format, values);
    va_end(values);
}

void swarm_wrong(struct swarm *swarm, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    note_wrong(swarm, format, values);
    va_end(values);
    sched_stop(&swarm->sched);
}

void swarm_say(struct swarm *swarm, const char *format, ...)
{
    if (!swarm->limits.trace) {
        return;
    }
    va_list values;
    va_start(values, format);
    (void)printf("%8" PRIu64 " ", swarm->boot_calls);
    (void)vprintf(format, values);
    (void)putchar('\n');
    va_end(values);
}

bool swarm_is_trouble(enum tx_status status)
{
    switch (status) {
    case TX_EIO:
    case TX_ENOMEM:
    case TX_ENOSPC:
    case TX_ECORRUPT:
    case TX_EPOISONED:
    case TX_EOUTCOME:
    case TX_EPENDING:
    case TX_ELIMIT:
    case TX_EVERSION:
    case TX_EBUSY:
        return true;
    default:
        return false;
    }
}

void swarm_expect(struct swarm *swarm, enum tx_status status, const char *call,
                  const struct tx_error *err)
{
    if (status == TX_ECORRUPT && swarm->astray) {
        swarm_count(swarm, SWARM_REFUSED);
        swarm->given_up = true;
        swarm_say(swarm, "%s: %s: the write that went astray is found", call, err->text);
        sched_stop(&swarm->sched);
    }
    if (status != TX_OK && !(swarm->hurt && swarm_is_trouble(status))) {
        swarm_wrong(swarm, "%s without a fault answered %s: %s", call, tx_status_name(status),
                    err->text);
    }
}
