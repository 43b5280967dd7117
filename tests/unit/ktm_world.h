/* SPDX-License-Identifier: MIT */
/*
 * For files of tests that each begin with a world of their own and one handle on it:
 *
 *     TestSuite(ktm_commit, .init = world_setup, .fini = world_teardown);
 */
#ifndef TEST_KTM_WORLD_H
#define TEST_KTM_WORLD_H

#include "ktm_fixture.h"

static struct world *world;
static struct handle handle;

static void world_setup(void)
{
    world = world_new(NULL);
    handle_boot(&handle, world);
}

static void world_teardown(void)
{
    handle_close(&handle);
    world_free(world);
}

#endif
