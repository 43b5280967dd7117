# SPDX-License-Identifier: MIT
# The crash laboratory: breaks programs (ours among them) and reports what became of them.
bin_PROGRAMS += txcrash
txcrash_SOURCES = \
	src/txcrash/txcrash_main.c \
	$(powercut_sources) \
	src/txcrash/report.c \
	src/txcrash/report.h \
	src/txcrash/report_internal.h \
	src/txcrash/report_text.c \
	src/txcrash/txcrash.h
txcrash_LDADD = $(XXHASH_LIBS)

# Cutting the power; tests of its parts are linked with these too.
powercut_sources = \
	src/txcrash/powercut_chaos.c \
	src/txcrash/powercut_choice.c \
	src/txcrash/powercut_cmd.c \
	src/txcrash/powercut_disk.c \
	src/txcrash/powercut_export.c \
	src/txcrash/powercut_fs.c \
	src/txcrash/powercut_fuse.c \
	src/txcrash/powercut_image.c \
	src/txcrash/powercut_internal.h \
	src/txcrash/powercut_judge.c \
	src/txcrash/powercut_lab.c \
	src/txcrash/powercut_log.c \
	src/txcrash/powercut_loop.c \
	src/txcrash/powercut_nested.c \
	src/txcrash/powercut_options.c \
	src/txcrash/powercut_record.c \
	src/txcrash/powercut_seen.c \
	src/txcrash/powercut_shrink.c \
	src/txcrash/powercut_spawn.c \
	src/txcrash/powercut_states.c \
	src/txcrash/powercut_text.c \
	src/txcrash/powercut_workers.c
