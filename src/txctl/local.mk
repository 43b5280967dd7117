# SPDX-License-Identifier: MIT
# The command. Sees the library only through include/txkit.
bin_PROGRAMS += txctl
txctl_SOURCES =
txctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
txctl_LDADD = libtxkit.la $(JANSSON_LIBS)
