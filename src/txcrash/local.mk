# SPDX-License-Identifier: MIT
# The crash laboratory: breaks programs (ours among them) and reports what became of them.
bin_PROGRAMS += txcrash
txcrash_SOURCES = \
	src/txcrash/txcrash_main.c \
	src/txcrash/report.c \
	src/txcrash/report.h \
	src/txcrash/report_internal.h \
	src/txcrash/report_text.c \
	src/txcrash/sim_cmd.c \
	src/txcrash/txcrash.h
# `txcrash sim` is the simulator of tests/sim around the library's own layers.
txcrash_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
txcrash_LDADD = libtx_swarm.la libtx_sim.la libtx_store.la libtx_fs.la libtx_reg.la libtx_ktm.la \
	libtx_log.la libtx_io.la libtx_base.la $(TXKIT_BASE_LIBS)
