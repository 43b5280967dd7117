/* SPDX-License-Identifier: MIT */
#ifndef TEST_TOY_RM_H
#define TEST_TOY_RM_H

#include <txkit/ktm.h>

extern const struct ktm_rm_ops toy_ops[];

#endif
