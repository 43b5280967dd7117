/* SPDX-License-Identifier: MIT */
/*
 * Commits at made-up LSNs, that are published or not, and recovered together:
 *
 *     script_publish(f, put_x);        its LSN is SCRIPT_LSN(0)
 *     script_decide(f, move_x);        SCRIPT_LSN(1): nothing of it is carried out
 *     must(script_recover(f));         as after a crash
 *     script_forget(f);
 */
#ifndef TEST_PUBLISH_SCRIPT_H
#define TEST_PUBLISH_SCRIPT_H

#include "publish_fixture.h"

#define SCRIPT_COMMITS_MAX 3
#define SCRIPT_LSN(number) (0x100000u * ((number) + 1u))

extern struct ktm_commit_info script_infos[SCRIPT_COMMITS_MAX];

void script_decide(struct publish_fixture *f, pub_change_fn *change);
void script_publish(struct publish_fixture *f, pub_change_fn *change);
/* Publish the last one, or go on with it. */
enum tx_status script_redo(struct publish_fixture *f);
enum tx_status script_recover(struct publish_fixture *f);
void script_forget(struct publish_fixture *f);

/* "undo/<L>/<name>" of a commit, below the store. */
void script_path(char path[96], unsigned number, const char *name);
/* The slot of the step of a path. */
void script_slot(struct publish_fixture *f, unsigned number, const char *path, char slot[96]);

#endif
