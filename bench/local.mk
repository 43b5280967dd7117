# SPDX-License-Identifier: MIT
# Benchmarks are built by `make bench` only. A benchmark is three lines, of which the second stands
# between `if HAVE_SQLITE` and `endif` when it compares with SQLite:
#   EXTRA_PROGRAMS += bench/bench_commit
#   benchmarks += bench/bench_commit
#   bench_bench_commit_LDADD = libtxkit.la
benchmarks =

bench: all
	test -z "$(benchmarks)" || $(MAKE) $(AM_MAKEFLAGS) $(benchmarks)
.PHONY: bench
CLEANFILES += $(benchmarks)
