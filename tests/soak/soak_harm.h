/* SPDX-License-Identifier: MIT */
/* Killing and stopping processes at random, and starting them again. */
#ifndef SOAK_HARM_H
#define SOAK_HARM_H

#include <stdbool.h>
#include <sys/types.h>

#define SOAK_MEMBERS_MAX 32u

struct soak_members {
    unsigned count; /* up to SOAK_MEMBERS_MAX */
    pid_t (*start)(unsigned index);
    bool (*goes_on)(void); /* false ends the harm early */
    void (*stop)(void);    /* asks all members to end by themselves */
};

struct soak_harm {
    unsigned long kills, stops;
    double seconds;
};

/* Until so many kills; who is hurt is drawn with random(3). All members have ended on return. */
void soak_do_harm(const struct soak_members *members, unsigned long kills,
                  struct soak_harm *harm);

#endif
