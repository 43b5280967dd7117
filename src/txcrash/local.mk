# SPDX-License-Identifier: MIT
# The crash laboratory: breaks programs (ours among them) and reports what became of them.
bin_PROGRAMS += txcrash
txcrash_SOURCES = \
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
	src/txcrash/report_internal.h \
	src/txcrash/report_text.c \
	src/txcrash/shell_words.c \
	src/txcrash/shell_words.h \
	src/txcrash/txcrash.h \
	src/txcrash/txcrash_main.c

# The names of system calls are those of the machine that we compile for.
BUILT_SOURCES += src/txcrash/kill_call_names.inc
CLEANFILES += src/txcrash/kill_call_names.inc
src/txcrash/kill_call_names.inc: src/txcrash/local.mk
	$(AM_V_GEN)$(MKDIR_P) src/txcrash && \
	echo '#include <sys/syscall.h>' | $(CC) $(CPPFLAGS) $(CFLAGS) -E -dM -x c - | \
	LC_ALL=C sort | sed -n -e '/__NR_\(arch_specific_\)*syscalls* /d' \
	  -e 's/^#define __NR_\([a-z0-9_]*\) .*/    [__NR_\1] = "\1",/p' > $@.tmp && \
	test -s $@.tmp && mv $@.tmp $@
src/txcrash/kill_calls.$(OBJEXT): src/txcrash/kill_call_names.inc
