# SPDX-License-Identifier: MIT
# Cutting the power: the laboratory tested on itself, programs with known habits, our own updater.
check_PROGRAMS += tests/powercut/powercut_self tests/powercut/habits
tests_powercut_powercut_self_SOURCES = \
	$(powercut_core_sources) \
	src/txcrash/temporary.c \
	tests/powercut/powercut_self.c
tests_powercut_powercut_self_LDADD = $(XXHASH_LIBS)
TESTS += tests/powercut/powercut_self

# What real file systems leave must be what the simulator allows.
check_PROGRAMS += tests/powercut/conform
tests_powercut_conform_SOURCES = tests/powercut/conform.c tests/sim/crash_state.c
tests_powercut_conform_LDADD = libtx_sim.la $(UNIT_STORE_LIBS)

kernel_tests += \
	tests/powercut/conformance.sh \
	tests/powercut/powercut_habits.sh \
	tests/powercut/powercut_readme.sh \
	tests/powercut/powercut_usage.sh \
	tests/powercut/updater_cuts.sh
EXTRA_DIST += \
	tests/powercut/README.md \
	tests/powercut/install_versions.sh \
	tests/powercut/make_versions.sh \
	tests/powercut/powercut_lib.sh \
	tests/powercut/version_check.sh

# 40 sequences against the simulator; 5,000 states of each file system, and as many cuts of
# recoveries: an hour on a small machine.
powercut-soak: all check-programs
	$(AM_TESTS_ENVIRONMENT) CONFORMANCE_COUNT=40 \
	  bash $(srcdir)/tests/powercut/conformance.sh
	$(AM_TESTS_ENVIRONMENT) POWERCUT_STATES=20000 POWERCUT_NESTED=100 \
	  bash $(srcdir)/tests/powercut/updater_cuts.sh
check-programs: $(check_PROGRAMS) $(noinst_PROGRAMS)
.PHONY: powercut-soak check-programs
