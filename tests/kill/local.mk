# SPDX-License-Identifier: MIT
# Killing real programs at every system call; scripts/main-job uses these.
noinst_PROGRAMS += tests/kill/kill_every tests/kill/state_of
tests_kill_state_of_LDADD = libtxkit.la $(XXHASH_LIBS)
tests_kill_state_of_LDFLAGS = $(AM_LDFLAGS) -static
