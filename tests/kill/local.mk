# SPDX-License-Identifier: MIT
# What the checks of killed programs ask; scripts/main-job uses it.
noinst_PROGRAMS += tests/kill/state_of
tests_kill_state_of_LDADD = libtxkit.la $(XXHASH_LIBS)
tests_kill_state_of_LDFLAGS = $(AM_LDFLAGS) -static

# A program of several threads, for the tests of txcrash kill.
check_PROGRAMS += tests/kill/four_threads

# Hostile and large reports, for the tests of their forms.
check_PROGRAMS += tests/kill/report_sample
tests_kill_report_sample_SOURCES = \
	tests/kill/report_sample.c \
	src/txcrash/report.c \
	src/txcrash/report_html.c \
	src/txcrash/report_json.c \
	src/txcrash/report_text.c
tests_kill_report_sample_CPPFLAGS = $(AM_CPPFLAGS) -Isrc/txcrash
tests_kill_report_sample_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_kill_report_sample_LDADD = $(JANSSON_LIBS)
src/txcrash/tests_kill_report_sample-report_html.$(OBJEXT): src/txcrash/report_page.inc
