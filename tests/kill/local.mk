# SPDX-License-Identifier: MIT
# What the checks of killed programs ask; scripts/main-job uses it.
noinst_PROGRAMS += tests/kill/state_of
tests_kill_state_of_LDADD = libtxkit.la $(XXHASH_LIBS)
tests_kill_state_of_LDFLAGS = $(AM_LDFLAGS) -static
