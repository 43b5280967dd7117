/* SPDX-License-Identifier: MIT */
/*
 * Planted bugs. `TX_MUTANT(7)` is the constant false, and nothing of what hangs on it is in the
 * program, unless the file is compiled with -DMUTANT_7: then it is true, and some test has to fail.
 * `make mutants` does that for each (tests/mutants/list.txt says what each one is and which test
 * has to see it).
 */
#ifndef TX_BASE_MUTANT_H
#define TX_BASE_MUTANT_H

#include <stdbool.h>

/* A macro that is defined as 1 brings a comma with it, so that `true` becomes the second argument;
 * the name of one that is not defined is part of the first. */
#define TX_MUTANT(n) TX_MUTANT_VALUE(MUTANT_##n)
#define TX_MUTANT_VALUE(value) TX_MUTANT_JOIN(value)
#define TX_MUTANT_JOIN(value) TX_MUTANT_CHOOSE(TX_MUTANT_COMMA_##value)
#define TX_MUTANT_CHOOSE(comma) TX_MUTANT_SECOND(comma true, false, 0)
#define TX_MUTANT_SECOND(first, second, ...) (second)
#define TX_MUTANT_COMMA_1 0,

#endif
