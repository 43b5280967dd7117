# SPDX-License-Identifier: MIT
# Directories and archives as transactions.
noinst_LTLIBRARIES += libtx_import.la
libtxkit_layers += libtx_import.la
pkginclude_HEADERS += include/txkit/import.h
libtx_import_la_SOURCES = \
	src/import/from_archive.c \
	src/import/from_directory.c \
	src/import/import_content.c \
	src/import/import_entry.c \
	src/import/import_internal.h \
	src/import/import_mirror.c \
	src/import/import_path.c
libtx_import_la_CFLAGS = $(AM_CFLAGS) $(LIBARCHIVE_CFLAGS)
