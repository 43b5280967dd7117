# SPDX-License-Identifier: MIT
# The files resource manager.
noinst_LTLIBRARIES += libtx_fs.la
libtxkit_layers += libtx_fs.la
pkginclude_HEADERS += include/txkit/fs.h
libtx_fs_la_SOURCES =
