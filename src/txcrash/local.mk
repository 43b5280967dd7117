# SPDX-License-Identifier: MIT
# The crash laboratory: breaks programs (ours among them) and reports what became of them.
bin_PROGRAMS += txcrash
txcrash_SOURCES = \
	src/txcrash/txcrash_main.c \
	src/txcrash/report.c \
	src/txcrash/report.h \
	src/txcrash/report_internal.h \
	src/txcrash/report_text.c \
	src/txcrash/txcrash.h
