# SPDX-License-Identifier: MIT
# Test doubles for the seam; see README.md.
noinst_LTLIBRARIES += libtx_sim.la
libtx_sim_la_SOURCES = \
	tests/sim/count.h \
	tests/sim/fault.h \
	tests/sim/layer.h \
	tests/sim/order.h \
	tests/sim/sim.h \
	tests/sim/sim_attr_ops.c \
	tests/sim/sim_choice.c \
	tests/sim/sim_content.c \
	tests/sim/sim_count.c \
	tests/sim/sim_crash.c \
	tests/sim/sim_fault.c \
	tests/sim/sim_file_ops.c \
	tests/sim/sim_inode.c \
	tests/sim/sim_internal.h \
	tests/sim/sim_layer.c \
	tests/sim/sim_lock.c \
	tests/sim/sim_machine.c \
	tests/sim/sim_memory.c \
	tests/sim/sim_name_ops.c \
	tests/sim/sim_ops.c \
	tests/sim/sim_ops.h \
	tests/sim/sim_order.c \
	tests/sim/sim_path.c \
	tests/sim/sim_pending.c \
	tests/sim/sim_print.c \
	tests/sim/sim_sync_ops.c \
	tests/sim/sim_table.c \
	tests/sim/sim_unit.c

# Histories of the library itself, for `txcrash sim` and its tests.
noinst_LTLIBRARIES += libtx_swarm.la
libtx_swarm_la_SOURCES = \
	tests/sim/fiber.c \
	tests/sim/fiber.h \
	tests/sim/ledger.c \
	tests/sim/ledger.h \
	tests/sim/model.h \
	tests/sim/model_ops.c \
	tests/sim/model_replay.c \
	tests/sim/model_state.c \
	tests/sim/sched.c \
	tests/sim/sched.h \
	tests/sim/swarm.h \
	tests/sim/swarm_boot.c \
	tests/sim/swarm_end.c \
	tests/sim/swarm_faults.c \
	tests/sim/swarm_internal.h \
	tests/sim/swarm_io.c \
	tests/sim/swarm_look.c \
	tests/sim/swarm_memory.c \
	tests/sim/swarm_ops.c \
	tests/sim/swarm_plan.c \
	tests/sim/swarm_run.c \
	tests/sim/swarm_seed.c \
	tests/sim/swarm_settle.c \
	tests/sim/swarm_txn.c \
	tests/sim/swarm_waiting.c \
	tests/sim/swarm_world.c

sim_tests += tests/sim/sim_self
tests_sim_sim_self_SOURCES = \
	tests/sim/test_sim_crash.c \
	tests/sim/test_sim_image.c \
	tests/sim/test_sim_layers.c \
	tests/sim/test_sim_posix.c
tests_sim_sim_self_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_sim_sim_self_LDADD = libtx_sim.la $(UNIT_IO_LIBS) $(CRITERION_LIBS)

# The log alone, and whole stores, cut at every point.
sim_tests += tests/sim/crash_log
tests_sim_crash_log_SOURCES = tests/sim/test_crash_log.c
tests_sim_crash_log_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_sim_crash_log_LDADD = libtx_sim.la $(UNIT_LOG_LIBS) $(CRITERION_LIBS)

sim_tests += tests/sim/sim_crash
tests_sim_sim_crash_SOURCES = \
	tests/sim/crash.h \
	tests/sim/crash_aftermath.c \
	tests/sim/crash_astray.c \
	tests/sim/crash_case.c \
	tests/sim/crash_check.c \
	tests/sim/crash_faults.c \
	tests/sim/crash_internal.h \
	tests/sim/crash_lies.c \
	tests/sim/crash_main.c \
	tests/sim/crash_memory.c \
	tests/sim/crash_options.c \
	tests/sim/crash_run.c \
	tests/sim/crash_sequences.c \
	tests/sim/crash_set.c \
	tests/sim/crash_state.c \
	tests/sim/crash_state.h \
	tests/sim/crash_steps.c \
	tests/sim/crash_verify.c \
	tests/sim/workloads.c \
	tests/sim/workloads.h \
	tests/sim/workloads_files.c \
	tests/sim/workloads_meetings.c \
	tests/sim/workloads_random.c \
	tests/sim/workloads_registry.c \
	tests/sim/workloads_store.c
tests_sim_sim_crash_LDADD = libtx_sim.la $(UNIT_IMPORT_LIBS)
scenario_tests += tests/sim/every_failure.sh tests/sim/every_sequence.sh

# Who meets whom at which call: every single change-over, and pairs of them.
check_PROGRAMS += tests/sim/sim_schedules
# Under the sanitizers it takes over four minutes even at a scale of 0.05.
if !SANITIZE
TESTS += tests/sim/sim_schedules
endif
tests_sim_sim_schedules_SOURCES = tests/sim/test_schedules.c
tests_sim_sim_schedules_LDADD = libtx_swarm.la libtx_sim.la $(UNIT_STORE_LIBS)

# More histories than a test run has time for: make sim-soak SEEDS=1-10000000
SEEDS = 1-1000000
sim-soak: txcrash$(EXEEXT) tests/sim/sim_crash$(EXEEXT)
	./txcrash$(EXEEXT) sim --seeds $(SEEDS)
	TXKIT_TEST_SCALE=4 tests/sim/sim_crash$(EXEEXT) --sequences
	TXKIT_TEST_SCALE=1 tests/sim/sim_crash$(EXEEXT) --sequences --nested 8
.PHONY: sim-soak

# Every bit of a small store.
check_PROGRAMS += tests/sim/bit_flips
TESTS += tests/sim/bit_flips
tests_sim_bit_flips_SOURCES = tests/sim/bit_flips.c tests/sim/crash_state.c
tests_sim_bit_flips_LDADD = libtx_sim.la $(UNIT_STORE_LIBS)

EXTRA_DIST += tests/sim/README.md
