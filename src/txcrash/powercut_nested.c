/* SPDX-License-Identifier: MIT */
/*
 * The second cut. The recovery of a state runs on a recorded disk, and its own writes are cut as
 * those of the program were. The acknowledgements stay those of the outer cut: whatever the
 * recovery does, what was promised before must be there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "powercut_internal.h"

#define INNER_STATES 40u

static void put_in_image(void *arg, uint64_t offset, const unsigned char *bytes, size_t size)
{
    image_write(arg, offset, bytes, size);
}

static void judge_inner(struct judge *inner, struct state *state, struct exports *exports,
                        struct result *result)
{
    struct verdict verdict;
    char choice[POWERCUT_TEXT];
    judge_state(inner, state, &verdict);
    char *image = NULL;
    if (verdict.verdict == REPORT_VIOLATION) {
        image = export_state(inner, exports, state, &verdict);
    }
    state_describe(inner->recording, state, choice);
    size_t used = strlen(result->choice);
    snprintf(result->choice + used, sizeof result->choice - used, "; then in the recovery, %s",
             choice);
    snprintf(result->message, sizeof result->message, "%s", verdict.message);
    snprintf(result->image, sizeof result->image, "%s", image ? image : "");
    result->verdict = verdict.verdict;
    free(image);
}

void nested_run(struct lab *lab, struct judge *judge, const struct state *state,
                struct exports *exports, struct result *result, result_put *put, void *arg)
{
    const struct powercut_options *options = lab->options;
    struct recording recording;
    struct image image;
    struct judge inner;
    struct state_list list;
    struct state_plan plan = {.states = INNER_STATES, .tear = options->tear,
                              .seed = lab->seed ^ state->cut};
    image_copy(&image, &judge->durable);
    state_apply(judge->recording, state, options->tear, put_in_image, &image);
    record_recovery(lab, &image, &recording);
    image_release(&image);
    states_make(&recording, &plan, &list);
    judge_init(&inner, lab, &recording, "inner");
    judge_place(judge, state); /* for its acknowledgements */
    char *acks = powercut_read_file(judge->acks_path);
    inner.outer_acks = acks;
    for (size_t i = 0; i < list.count; i++) {
        struct result one = *result;
        one.inner = (uint32_t)i + 1;
        judge_inner(&inner, &list.states[i], exports, &one);
        put(arg, &one);
    }
    free(acks);
    judge_release(&inner);
    states_release(&list);
    recording_release(&recording);
}
