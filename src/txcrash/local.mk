# SPDX-License-Identifier: MIT
# The crash laboratory: breaks programs (ours among them) and reports what became of them.
bin_PROGRAMS += txcrash
txcrash_SOURCES = \
	$(powercut_sources) \
	src/txcrash/kill.h \
	src/txcrash/kill_calls.c \
	src/txcrash/kill_command.c \
	src/txcrash/kill_copy.c \
	src/txcrash/kill_filter.c \
	src/txcrash/kill_numbers.c \
	src/txcrash/kill_options.c \
	src/txcrash/kill_report.c \
	src/txcrash/kill_shell.c \
	src/txcrash/kill_trace.c \
	src/txcrash/kill_work.c \
	src/txcrash/report.c \
	src/txcrash/report.h \
	src/txcrash/report_html.c \
	src/txcrash/report_internal.h \
	src/txcrash/report_json.c \
	src/txcrash/report_text.c \
	src/txcrash/sim_cmd.c \
	src/txcrash/sim_options.c \
	src/txcrash/sim_options.h \
	src/txcrash/shell_words.c \
	src/txcrash/shell_words.h \
	src/txcrash/temporary.c \
	src/txcrash/txcrash.h \
	src/txcrash/txcrash_main.c

# `txcrash sim` is the simulator of tests/sim around the library's own layers.
txcrash_CPPFLAGS = $(AM_CPPFLAGS) -Isrc/txcrash -I$(top_srcdir)/tests
txcrash_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
txcrash_LDADD = libtx_swarm.la libtx_sim.la libtx_store.la libtx_fs.la libtx_reg.la libtx_ktm.la \
	libtx_log.la libtx_io.la libtx_base.la $(JANSSON_LIBS) $(TXKIT_BASE_LIBS)

# The names of system calls are those of the machine that we compile for.
BUILT_SOURCES += src/txcrash/kill_call_names.inc
CLEANFILES += src/txcrash/kill_call_names.inc
src/txcrash/kill_call_names.inc: src/txcrash/local.mk
	$(AM_V_GEN)$(MKDIR_P) src/txcrash && \
	echo '#include <sys/syscall.h>' | $(CC) $(CPPFLAGS) $(CFLAGS) -E -dM -x c - | \
	LC_ALL=C sort | sed -n -e '/__NR_\(arch_specific_\)*syscalls* /d' \
	  -e 's/^#define __NR_\([a-z0-9_]*\) .*/    [__NR_\1] = "\1",/p' > $@.tmp && \
	test -s $@.tmp && mv $@.tmp $@
src/txcrash/txcrash-kill_calls.$(OBJEXT): src/txcrash/kill_call_names.inc

# The page of a report, as texts of C.
report_page = src/txcrash/report_page.html src/txcrash/report_page.css \
	src/txcrash/report_page.js src/txcrash/report_page_ui.js
EXTRA_DIST += $(report_page)
BUILT_SOURCES += src/txcrash/report_page.inc
CLEANFILES += src/txcrash/report_page.inc
src/txcrash/report_page.inc: $(report_page)
	$(AM_V_GEN)$(MKDIR_P) src/txcrash && for part in .html .css .js _ui.js; do \
	  echo "static const char report_page$$(echo $$part | tr . _)[] ="; \
	  sed -e 's/[\\"]/\\&/g' -e 's/.*/    "&\\n"/' "$(srcdir)/src/txcrash/report_page$$part"; \
	  echo '    ;'; \
	done > $@.tmp && mv $@.tmp $@
src/txcrash/txcrash-report_html.$(OBJEXT): src/txcrash/report_page.inc

# Cutting the power. The first part makes disks and states; its test is linked with it alone.
powercut_core_sources = \
	src/txcrash/powercut_choice.c \
	src/txcrash/powercut_disk.c \
	src/txcrash/powercut_fs.c \
	src/txcrash/powercut_fuse.c \
	src/txcrash/powercut_image.c \
	src/txcrash/powercut_judge.c \
	src/txcrash/powercut_lab.c \
	src/txcrash/powercut_log.c \
	src/txcrash/powercut_loop.c \
	src/txcrash/powercut_seen.c \
	src/txcrash/powercut_spawn.c \
	src/txcrash/powercut_states.c \
	src/txcrash/powercut_text.c \
	src/txcrash/powercut_internal.h
powercut_sources = $(powercut_core_sources) \
	src/txcrash/powercut_chaos.c \
	src/txcrash/powercut_cmd.c \
	src/txcrash/powercut_export.c \
	src/txcrash/powercut_nested.c \
	src/txcrash/powercut_options.c \
	src/txcrash/powercut_record.c \
	src/txcrash/powercut_shrink.c \
	src/txcrash/powercut_workers.c
