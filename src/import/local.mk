# SPDX-License-Identifier: MIT
# Directories and archives as transactions.
noinst_LTLIBRARIES += libtx_import.la
libtxkit_layers += libtx_import.la
pkginclude_HEADERS += include/txkit/import.h
libtx_import_la_SOURCES =
libtx_import_la_CFLAGS = $(AM_CFLAGS) $(LIBARCHIVE_CFLAGS)
