# SPDX-License-Identifier: MIT
# Fuzzers, see README.md. `make check` links them with fuzz_driver.c; configured with
# --enable-fuzzers (clang), they are libFuzzer's.
fuzzers = \
	tests/fuzz/fuzz_archive \
	tests/fuzz/fuzz_log \
	tests/fuzz/fuzz_record \
	tests/fuzz/fuzz_store \
	tests/fuzz/fuzz_text
check_PROGRAMS += $(fuzzers)
TESTS += $(fuzzers)

if FUZZERS
fuzz_driver =
fuzz_link_flags = $(AM_LDFLAGS) -fsanitize=fuzzer
else
fuzz_driver = tests/fuzz/fuzz_driver.c
fuzz_link_flags = $(AM_LDFLAGS)
endif
fuzz_common = tests/fuzz/fuzz.h tests/fuzz/fuzz_support.c $(fuzz_driver)
fuzz_disks = tests/fuzz/fuzz_disk.h tests/fuzz/fuzz_disk.c tests/fuzz/fuzz_seal.c

tests_fuzz_fuzz_log_SOURCES = tests/fuzz/fuzz_log.c $(fuzz_disks) $(fuzz_common)
tests_fuzz_fuzz_log_LDADD = libtx_sim.la $(UNIT_STORE_LIBS)
tests_fuzz_fuzz_log_LDFLAGS = $(fuzz_link_flags)

tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c $(fuzz_common)
tests_fuzz_fuzz_record_LDADD = $(UNIT_STORE_LIBS)
tests_fuzz_fuzz_record_LDFLAGS = $(fuzz_link_flags)

tests_fuzz_fuzz_store_SOURCES = tests/fuzz/fuzz_store.c $(fuzz_disks) $(fuzz_common) \
	tests/sim/crash_state.c
tests_fuzz_fuzz_store_LDADD = libtx_sim.la $(UNIT_STORE_LIBS)
tests_fuzz_fuzz_store_LDFLAGS = $(fuzz_link_flags)

tests_fuzz_fuzz_archive_SOURCES = tests/fuzz/fuzz_archive.c $(fuzz_disks) $(fuzz_common) \
	tests/sim/crash_state.c
tests_fuzz_fuzz_archive_LDADD = libtx_sim.la $(UNIT_IMPORT_LIBS)
tests_fuzz_fuzz_archive_LDFLAGS = $(fuzz_link_flags)

# The parsers of txctl, which is no library.
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c $(fuzz_common) \
	src/txctl/arguments.c \
	src/txctl/base64.c \
	src/txctl/complain.c \
	src/txctl/memory.c \
	src/txctl/mode_text.c \
	src/txctl/names.c \
	src/txctl/number_text.c \
	src/txctl/print.c \
	src/txctl/quote.c \
	src/txctl/reg_data.c \
	src/txctl/reg_path.c \
	src/txctl/reg_utf.c \
	src/txctl/time_text.c
tests_fuzz_fuzz_text_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_text_LDADD = $(UNIT_STORE_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_text_LDFLAGS = $(fuzz_link_flags)

# Build all of them with clang, apart from this build, and run each for FUZZ_SECONDS.
FUZZ_SECONDS = 30
fuzz:
	bash $(srcdir)/tests/fuzz/run_fuzzers.sh "$(abs_top_srcdir)" "$(abs_top_builddir)/fuzz" \
	  $(FUZZ_SECONDS)
.PHONY: fuzz

EXTRA_DIST += tests/fuzz/README.md tests/fuzz/run_fuzzers.sh tests/fuzz/corpus
