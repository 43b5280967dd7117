# SPDX-License-Identifier: MIT
# Lowest layer: errors, codec, buffers, maps, hashing, allocation, cleanup.
noinst_LTLIBRARIES += libtx_base.la
libtxkit_layers += libtx_base.la
pkginclude_HEADERS += include/txkit/error.h include/txkit/memory.h
libtx_base_la_SOURCES = \
	src/base/alloc.c \
	src/base/alloc.h \
	src/base/base_internal.h \
	src/base/buf.c \
	src/base/buf.h \
	src/base/cleanup.h \
	src/base/codec.c \
	src/base/codec.h \
	src/base/error.c \
	src/base/escape.c \
	src/base/hash.c \
	src/base/hash.h \
	src/base/invariant.c \
	src/base/invariant.h \
	src/base/map.c \
	src/base/map.h \
	src/base/mutant.h \
	src/base/text.c \
	src/base/text.h \
	src/base/upcase_table.c \
	src/base/version.c
