# SPDX-License-Identifier: MIT
# Lowest layer: errors, codec, buffers, maps, hashing, allocation, cleanup.
noinst_LTLIBRARIES += libtx_base.la
libtxkit_layers += libtx_base.la
pkginclude_HEADERS += include/txkit/error.h
libtx_base_la_SOURCES = \
	src/base/alloc.h \
	src/base/buf.h \
	src/base/cleanup.h \
	src/base/codec.h \
	src/base/hash.h \
	src/base/invariant.h \
	src/base/map.h \
	src/base/text.h
