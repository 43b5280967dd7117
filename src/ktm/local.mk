# SPDX-License-Identifier: MIT
# Transactions.
noinst_LTLIBRARIES += libtx_ktm.la
libtxkit_layers += libtx_ktm.la
pkginclude_HEADERS += include/txkit/ktm.h
libtx_ktm_la_SOURCES =
