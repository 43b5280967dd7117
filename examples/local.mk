# SPDX-License-Identifier: MIT
# Built by make, never installed. An example is two lines:
#   noinst_PROGRAMS += examples/hello
#   examples_hello_LDADD = libtxkit.la
# and, when it has more than hello.c: examples_hello_SOURCES = ...
