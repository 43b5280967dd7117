# SPDX-License-Identifier: MIT
# Benchmarks are built by `make bench` only; scripts/run-bench runs them and prints Markdown.
benchmarks = bench/bench_install
EXTRA_PROGRAMS += bench/bench_install
bench_bench_install_SOURCES = bench/bench.c bench/bench.h bench/bench_install.c
bench_bench_install_LDADD = libtxkit.la

EXTRA_PROGRAMS += bench/bench_commit bench/bench_registry
bench_bench_commit_SOURCES = bench/bench.c bench/bench.h bench/bench_commit.c
bench_bench_commit_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
bench_bench_commit_LDADD = libtxkit.la $(SQLITE_LIBS) -lpthread
bench_bench_registry_SOURCES = bench/bench.c bench/bench.h bench/bench_registry.c
bench_bench_registry_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
bench_bench_registry_LDADD = libtxkit.la $(SQLITE_LIBS)
if HAVE_SQLITE
benchmarks += bench/bench_commit bench/bench_registry
endif

bench: all
	test -z "$(benchmarks)" || $(MAKE) $(AM_MAKEFLAGS) $(benchmarks)
.PHONY: bench
CLEANFILES += $(benchmarks)
