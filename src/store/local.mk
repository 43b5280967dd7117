# SPDX-License-Identifier: MIT
# Opening a store: the only layer that knows all resource managers.
noinst_LTLIBRARIES += libtx_store.la
libtxkit_layers += libtx_store.la
pkginclude_HEADERS += include/txkit/store.h include/txkit/txkit.h
libtx_store_la_SOURCES = \
	src/store/init.c \
	src/store/locate.c \
	src/store/open.c \
	src/store/settings.c \
	src/store/store_check.c \
	src/store/store_history.c \
	src/store/store_internal.h \
	src/store/store_shared.c \
	src/store/wire.c
