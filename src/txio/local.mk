# SPDX-License-Identifier: MIT
# The seam to the operating system.
noinst_LTLIBRARIES += libtx_io.la
libtxkit_layers += libtx_io.la
pkginclude_HEADERS += include/txkit/io.h
libtx_io_la_SOURCES = \
	src/txio/helpers.c \
	src/txio/pair.c \
	src/txio/posix.c \
	src/txio/posix_attr.c \
	src/txio/posix_file.c \
	src/txio/posix_lock.c \
	src/txio/posix_name.c \
	src/txio/posix_path.c \
	src/txio/remove_tree.c \
	src/txio/wrappers.c \
	src/txio/txio_internal.h
