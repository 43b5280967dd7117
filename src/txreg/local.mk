# SPDX-License-Identifier: MIT
# The registry resource manager.
noinst_LTLIBRARIES += libtx_reg.la
libtxkit_layers += libtx_reg.la
pkginclude_HEADERS += include/txkit/reg.h
libtx_reg_la_SOURCES =
