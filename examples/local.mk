# SPDX-License-Identifier: MIT
# Built by make, never installed: code that users copy. Linked statically with the library, so that
# the file is the program and no wrapper script: scripts/main-job traces and kills it.
noinst_PROGRAMS += examples/updater
examples_updater_LDADD = libtxkit.la
examples_updater_LDFLAGS = $(AM_LDFLAGS) -static
