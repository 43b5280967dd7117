# SPDX-License-Identifier: MIT
# The log.
noinst_LTLIBRARIES += libtx_log.la
libtxkit_layers += libtx_log.la
pkginclude_HEADERS += include/txkit/log.h
libtx_log_la_SOURCES =
