# SPDX-License-Identifier: MIT
# Built by make, never installed: code that users copy.
noinst_PROGRAMS += examples/updater
examples_updater_LDADD = libtxkit.la
