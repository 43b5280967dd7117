# SPDX-License-Identifier: MIT
# Every test is a program or script that stands in TESTS.
#   tests/unit      Criterion, one program per layer, linked with that layer and those below only
#   tests/sim       programs over the simulated disk
#   tests/scenario  shell scripts that drive txctl and print TAP ("ok 1 - words")
# A test that needs long answers to TXKIT_TEST_SCALE (1 = normal, 0.1 = a tenth of the work).

if SANITIZE
sanitizers = yes
endif
# Criterion's own threads leak when tests run side by side, which a sanitizer build reports.
AM_TESTS_ENVIRONMENT = \
	LC_ALL=C.UTF-8; TZ=UTC; srcdir='$(abs_top_srcdir)'; builddir='$(abs_top_builddir)'; \
	TXCTL='$(abs_top_builddir)/txctl$(EXEEXT)'; TXKIT_TEST_SCALE="$${TXKIT_TEST_SCALE:-1}"; \
	CC='$(CC)'; CRITERION_JOBS=1; \
	TXKIT_SANITIZERS='$(sanitizers)'; \
	export LC_ALL TZ srcdir builddir TXCTL TXKIT_TEST_SCALE CC CRITERION_JOBS TXKIT_SANITIZERS;

# A test that hangs is ended, with its children, after so many seconds.
TEST_TIMEOUT = 2300
TEST_EXTENSIONS = .sh
LOG_COMPILER = timeout --kill-after=10 $(TEST_TIMEOUT)
SH_LOG_COMPILER = timeout --kill-after=10 $(TEST_TIMEOUT) bash

# Convenience libraries by layer: each is itself and everything below it.
UNIT_BASE_LIBS = libtx_base.la $(TXKIT_BASE_LIBS)
UNIT_IO_LIBS = libtx_io.la $(UNIT_BASE_LIBS)
UNIT_LOG_LIBS = libtx_log.la $(UNIT_IO_LIBS)
UNIT_KTM_LIBS = libtx_ktm.la $(UNIT_LOG_LIBS)
UNIT_FS_LIBS = libtx_fs.la $(UNIT_KTM_LIBS)
UNIT_REG_LIBS = libtx_reg.la $(UNIT_KTM_LIBS)
UNIT_STORE_LIBS = libtx_store.la libtx_fs.la $(UNIT_REG_LIBS)
UNIT_IMPORT_LIBS = libtx_import.la $(UNIT_STORE_LIBS) $(LIBARCHIVE_LIBS)

# Tests share headers as "sim/x.h"; lint keeps src/ from doing so.
AM_CPPFLAGS += -I$(top_srcdir)/tests

if HAVE_CRITERION
check_PROGRAMS += $(unit_tests) $(sim_tests)
# sim_crash is the longest: it must not run alone at the end.
TESTS += $(sim_tests) $(unit_tests)
else
check-local:
	@echo "make check needs Criterion, which configure did not find:" >&2
	@echo "run scripts/install-deps test, then configure again" >&2
	@exit 1
endif

unit_tests =
sim_tests =
scenario_tests =
kernel_tests =
check_LTLIBRARIES =

include tests/sim/local.mk

# One block per layer, for example:
#   unit_tests += tests/unit/unit_base
#   tests_unit_unit_base_SOURCES = tests/unit/test_base_buf.c
#   tests_unit_unit_base_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
#   tests_unit_unit_base_LDADD = $(UNIT_BASE_LIBS) $(CRITERION_LIBS)

unit_tests += tests/unit/unit_io
tests_unit_unit_io_SOURCES = \
	tests/unit/failing_alloc.h \
	tests/unit/failing_io.h \
	tests/unit/posix_tests.h \
	tests/unit/temp_dir.h \
	tests/unit/test_txio_helpers.c \
	tests/unit/test_txio_pair.c \
	tests/unit/test_txio_posix_attr.c \
	tests/unit/test_txio_posix_file.c \
	tests/unit/test_txio_posix_lock.c \
	tests/unit/test_txio_posix_name.c \
	tests/unit/test_txio_posix_path.c \
	tests/unit/test_txio_posix_refused.c \
	tests/unit/test_txio_remove_tree.c \
	tests/unit/test_txio_wrappers.c
tests_unit_unit_io_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_io_LDADD = $(UNIT_IO_LIBS) $(CRITERION_LIBS)

unit_tests += tests/unit/unit_base
tests_unit_unit_base_SOURCES = \
	tests/unit/failing_alloc.h \
	tests/unit/test_base_alloc.c \
	tests/unit/test_base_buf.c \
	tests/unit/test_base_codec.c \
	tests/unit/test_base_error.c \
	tests/unit/test_base_escape.c \
	tests/unit/test_base_hash.c \
	tests/unit/test_base_invariant.c \
	tests/unit/test_base_map.c \
	tests/unit/test_base_text.c \
	tests/unit/test_base_upcase_table.c
tests_unit_unit_base_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_base_LDADD = $(UNIT_BASE_LIBS) $(CRITERION_LIBS)

unit_tests += tests/unit/unit_log
tests_unit_unit_log_SOURCES = \
	tests/unit/each_failure.h \
	tests/unit/failing_alloc.h \
	tests/unit/hook_io.h \
	tests/unit/log_fixture.c \
	tests/unit/log_fixture.h \
	tests/unit/temp_dir.h \
	tests/unit/test_txlog_append.c \
	tests/unit/test_txlog_control.c \
	tests/unit/test_txlog_crash.c \
	tests/unit/test_txlog_each_failure.c \
	tests/unit/test_txlog_errors.c \
	tests/unit/test_txlog_force.c \
	tests/unit/test_txlog_format_doc.c \
	tests/unit/test_txlog_frame.c \
	tests/unit/test_txlog_kill.c \
	tests/unit/test_txlog_log_open.c \
	tests/unit/test_txlog_log_read.c \
	tests/unit/test_txlog_log_recover.c \
	tests/unit/test_txlog_log_rest.c \
	tests/unit/test_txlog_log_scan.c \
	tests/unit/test_txlog_log_trim.c \
	tests/unit/test_txlog_log_verify.c \
	tests/unit/test_txlog_log_walk.c \
	tests/unit/test_txlog_lost_sync.c \
	tests/unit/test_txlog_meanwhile.c \
	tests/unit/test_txlog_races.c \
	tests/unit/test_txlog_recover_damage.c \
	tests/unit/test_txlog_recover_tail.c \
	tests/unit/test_txlog_reserve.c \
	tests/unit/test_txlog_segment.c \
	tests/unit/test_txlog_segment_table.c
tests_unit_unit_log_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_log_LDADD = libtx_sim.la $(UNIT_LOG_LIBS) $(CRITERION_LIBS)

unit_tests += tests/unit/unit_ktm
tests_unit_unit_ktm_SOURCES = \
	tests/unit/each_failure.h \
	tests/unit/failing_alloc.h \
	tests/unit/hook_io.h \
	tests/unit/ktm_fixture.c \
	tests/unit/ktm_fixture.h \
	tests/unit/ktm_world.h \
	tests/unit/test_ktm_barrier.c \
	tests/unit/test_ktm_change_set.c \
	tests/unit/test_ktm_changes_file.c \
	tests/unit/test_ktm_checkpoint.c \
	tests/unit/test_ktm_commit.c \
	tests/unit/test_ktm_conflict.c \
	tests/unit/test_ktm_detached.c \
	tests/unit/test_ktm_docs.c \
	tests/unit/test_ktm_errors.c \
	tests/unit/test_ktm_kill.c \
	tests/unit/test_ktm_leftovers.c \
	tests/unit/test_ktm_memory.c \
	tests/unit/test_ktm_power.c \
	tests/unit/test_ktm_prepared.c \
	tests/unit/test_ktm_publish.c \
	tests/unit/test_ktm_recover.c \
	tests/unit/test_ktm_refused.c \
	tests/unit/test_ktm_savepoint.c \
	tests/unit/test_ktm_snapshot.c \
	tests/unit/test_ktm_state.c \
	tests/unit/test_ktm_strange_log.c \
	tests/unit/test_ktm_txn.c \
	tests/unit/test_ktm_txn_id.c \
	tests/unit/test_ktm_txn_record.c \
	tests/unit/toy_rm.c \
	tests/unit/toy_rm.h
tests_unit_unit_ktm_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_ktm_LDADD = libtx_sim.la $(UNIT_KTM_LIBS) $(CRITERION_LIBS)

# Parts of txcrash, which is no layer.
unit_tests += tests/unit/unit_txcrash
tests_unit_unit_txcrash_SOURCES = \
	src/txcrash/kill_numbers.c \
	src/txcrash/shell_words.c \
	tests/unit/test_txcrash_words.c
tests_unit_unit_txcrash_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_txcrash_LDADD = $(CRITERION_LIBS)

unit_tests += tests/unit/unit_store
tests_unit_unit_store_SOURCES = \
	tests/unit/each_failure.h \
	tests/unit/failing_alloc.h \
	tests/unit/store_fixture.c \
	tests/unit/store_fixture.h \
	tests/unit/test_store_conflict.c \
	tests/unit/test_store_errors.c \
	tests/unit/test_store_forces.c \
	tests/unit/test_store_hostile.c \
	tests/unit/test_store_lost_sync.c \
	tests/unit/test_store_open.c \
	tests/unit/test_store_places.c \
	tests/unit/test_store_readonly.c
tests_unit_unit_store_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_store_LDADD = libtx_sim.la $(UNIT_STORE_LIBS) $(CRITERION_LIBS)

unit_tests += tests/unit/unit_reg
tests_unit_unit_reg_SOURCES = \
	tests/unit/failing_alloc.h \
	tests/unit/failing_io.h \
	tests/unit/hook_io.h \
	tests/unit/reg_fixture.c \
	tests/unit/reg_fixture.h \
	tests/unit/reg_model.c \
	tests/unit/reg_model.h \
	tests/unit/temp_dir.h \
	tests/unit/test_txreg_cache.c \
	tests/unit/test_txreg_check.c \
	tests/unit/test_txreg_check_errors.c \
	tests/unit/test_txreg_check_lies.c \
	tests/unit/test_txreg_cold.c \
	tests/unit/test_txreg_conflict.c \
	tests/unit/test_txreg_format_doc.c \
	tests/unit/test_txreg_hostile.c \
	tests/unit/test_txreg_image.c \
	tests/unit/test_txreg_image_errors.c \
	tests/unit/test_txreg_items.c \
	tests/unit/test_txreg_lies.c \
	tests/unit/test_txreg_memory.c \
	tests/unit/test_txreg_misfit.c \
	tests/unit/test_txreg_model.c \
	tests/unit/test_txreg_ops.c \
	tests/unit/test_txreg_page.c \
	tests/unit/test_txreg_record.c \
	tests/unit/test_txreg_reopen.c \
	tests/unit/test_txreg_revert.c \
	tests/unit/test_txreg_ring.c \
	tests/unit/test_txreg_search.c \
	tests/unit/test_txreg_shape.c \
	tests/unit/test_txreg_threads.c \
	tests/unit/test_txreg_tree.c \
	tests/unit/test_txreg_values.c
tests_unit_unit_reg_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_reg_LDADD = $(UNIT_REG_LIBS) $(CRITERION_LIBS)

check_PROGRAMS += tests/soak/soak tests/soak/fill_disk
tests_soak_fill_disk_LDADD = libtxkit.la
scenario_tests += tests/scenario/full_disk.sh
kill_tests = tests/scenario/cli_kills.sh tests/scenario/main_job_kills.sh \
	tests/scenario/txcrash_kill.sh
kernel_tests += $(kill_tests)
TESTS += tests/soak/soak
tests_soak_soak_SOURCES = \
	tests/soak/soak.c \
	tests/soak/soak_bank.c \
	tests/soak/soak_bank.h \
	tests/soak/soak_harm.c \
	tests/soak/soak_harm.h \
	tests/soak/soak_numbers.c \
	tests/soak/soak_numbers.h
tests_soak_soak_LDADD = libtxkit.la

# What reaches a line or a branch that nothing else does: not processes that are killed, whose
# counts are lost.
coverage_tests = $(sim_tests) $(unit_tests) $(fuzzers) tests/sim/bit_flips $(scenario_tests)
coverage:
	$(srcdir)/scripts/coverage coverage
.PHONY: coverage

# The long versions, one after the other: all of them, and each kind.
soak: process-soak sim-soak powercut-soak
SOAK_SCALE = 10
SOAK_TESTS = tests/soak/soak $(kill_tests)
process-soak: all tests/soak/soak
	$(AM_TESTS_ENVIRONMENT) status=0; TXKIT_TEST_SCALE=$(SOAK_SCALE); export TXKIT_TEST_SCALE; \
	for test in $(SOAK_TESTS); do \
	  echo "# $$test, scale $(SOAK_SCALE)"; \
	  case $$test in \
	    *.sh) bash "$(srcdir)/$$test" || status=1 ;; \
	    *) $$test || status=1 ;; \
	  esac; \
	done; exit $$status
.PHONY: soak process-soak

# The command: scripts that drive it, what they share, and programs that help them.
check_PROGRAMS += tests/scenario/json_check tests/scenario/hold_lock tests/scenario/make_tar
tests_scenario_json_check_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_scenario_json_check_LDADD = $(JANSSON_LIBS)
EXTRA_DIST += tests/scenario/scenario_lib.sh
# The command, with the order monitor between the library and the kernel.
check_PROGRAMS += tests/scenario/txctl_watched
tests_scenario_txctl_watched_SOURCES = $(txctl_SOURCES) tests/scenario/watch_order.c
tests_scenario_txctl_watched_CFLAGS = $(txctl_CFLAGS)
tests_scenario_txctl_watched_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=txio_posix
tests_scenario_txctl_watched_LDADD = libtx_sim.la $(UNIT_IMPORT_LIBS) $(JANSSON_LIBS)
scenario_tests += \
	tests/scenario/busy_store.sh \
	tests/scenario/conflicts_named.sh \
	tests/scenario/corrupt_and_salvage.sh \
	tests/scenario/detached_transactions.sh \
	tests/scenario/files_and_contents.sh \
	tests/scenario/history_and_revert.sh \
	tests/scenario/hostile_archives.sh \
	tests/scenario/hostile_paths.sh \
	tests/scenario/import_and_apply.sh \
	tests/scenario/json_for_programs.sh \
	tests/scenario/links_and_attributes.sh \
	tests/scenario/names_of_strangers.sh \
	tests/scenario/order_watched.sh \
	tests/scenario/prepared_transactions.sh \
	tests/scenario/registry_export.sh \
	tests/scenario/registry_values.sh \
	tests/scenario/scripts_with_exec.sh \
	tests/scenario/sim_seeds.sh \
	tests/scenario/store_and_settings.sh \
	tests/scenario/txcrash_report.sh

include tests/models/local.mk

dist_check_SCRIPTS = $(scenario_tests)
TESTS += $(scenario_tests)

# The lint is a test too (one TAP line per rule); once is enough, so not of the sanitizer build. Nor
# what is about processes and disks of the kernel, where the time goes into others' work.
dist_check_SCRIPTS += $(kernel_tests)
if !SANITIZE
TESTS += scripts/lint $(kernel_tests)
endif

unit_tests += tests/unit/unit_fs
tests_unit_unit_fs_SOURCES = \
	tests/unit/each_failure.h \
	tests/unit/failing_alloc.h \
	tests/unit/fs_changes.c \
	tests/unit/fs_changes.h \
	tests/unit/fs_changes_tree.c \
	tests/unit/fs_describe.c \
	tests/unit/fs_fixture.c \
	tests/unit/fs_fixture.h \
	tests/unit/fs_model.c \
	tests/unit/fs_model.h \
	tests/unit/temp_dir.h \
	tests/unit/test_txfs_attr.c \
	tests/unit/test_txfs_base.c \
	tests/unit/test_txfs_commit.c \
	tests/unit/test_txfs_dir.c \
	tests/unit/test_txfs_entry.c \
	tests/unit/test_txfs_entry_parts.c \
	tests/unit/test_txfs_errors.c \
	tests/unit/test_txfs_file.c \
	tests/unit/test_txfs_file_registry.c \
	tests/unit/test_txfs_hostile.c \
	tests/unit/test_txfs_limits.c \
	tests/unit/test_txfs_link.c \
	tests/unit/test_txfs_memory.c \
	tests/unit/test_txfs_owner.c \
	tests/unit/test_txfs_path.c \
	tests/unit/test_txfs_prepare.c \
	tests/unit/test_txfs_races.c \
	tests/unit/test_txfs_rename.c \
	tests/unit/test_txfs_seldom.c \
	tests/unit/test_txfs_validate.c \
	tests/unit/test_txfs_view.c
tests_unit_unit_fs_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_fs_LDADD = libtx_sim.la $(UNIT_FS_LIBS) $(CRITERION_LIBS)

unit_tests += tests/unit/unit_publish
tests_unit_unit_publish_SOURCES = \
	tests/unit/failing_alloc.h \
	tests/unit/hook_io.h \
	tests/unit/publish_dump.c \
	tests/unit/publish_failures.c \
	tests/unit/publish_failures.h \
	tests/unit/publish_fixture.c \
	tests/unit/publish_fixture.h \
	tests/unit/publish_script.c \
	tests/unit/publish_script.h \
	tests/unit/publish_tree.c \
	tests/unit/temp_dir.h \
	tests/unit/test_txfs_check.c \
	tests/unit/test_txfs_converge.c \
	tests/unit/test_txfs_converge_old.c \
	tests/unit/test_txfs_failed_looks.c \
	tests/unit/test_txfs_failures.c \
	tests/unit/test_txfs_foreign.c \
	tests/unit/test_txfs_history.c \
	tests/unit/test_txfs_keep.c \
	tests/unit/test_txfs_moments.c \
	tests/unit/test_txfs_older.c \
	tests/unit/test_txfs_place.c \
	tests/unit/test_txfs_publish.c \
	tests/unit/test_txfs_recover.c \
	tests/unit/test_txfs_revert.c \
	tests/unit/test_txfs_revert_refused.c \
	tests/unit/test_txfs_second_cut.c \
	tests/unit/test_txfs_strays.c \
	tests/unit/test_txfs_steady.c \
	tests/unit/test_txfs_sums.c \
	tests/unit/test_txfs_superseded.c \
	tests/unit/test_txfs_undo.c
tests_unit_unit_publish_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS)
tests_unit_unit_publish_LDADD = libtx_sim.la $(UNIT_FS_LIBS) $(CRITERION_LIBS)
