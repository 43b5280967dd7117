# SPDX-License-Identifier: MIT
# The seam to the operating system.
noinst_LTLIBRARIES += libtx_io.la
libtxkit_layers += libtx_io.la
pkginclude_HEADERS += include/txkit/io.h
libtx_io_la_SOURCES =
