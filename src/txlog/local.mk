# SPDX-License-Identifier: MIT
# The log.
noinst_LTLIBRARIES += libtx_log.la
libtxkit_layers += libtx_log.la
pkginclude_HEADERS += include/txkit/log.h
libtx_log_la_SOURCES = \
	src/txlog/append.c \
	src/txlog/append_write.c \
	src/txlog/control.c \
	src/txlog/force.c \
	src/txlog/frame.c \
	src/txlog/log_create.c \
	src/txlog/log_describe.c \
	src/txlog/log_format.h \
	src/txlog/log_open.c \
	src/txlog/log_read.c \
	src/txlog/log_recover.c \
	src/txlog/log_rest.c \
	src/txlog/log_scan.c \
	src/txlog/log_scan.h \
	src/txlog/log_trim.c \
	src/txlog/log_verify.c \
	src/txlog/log_walk.c \
	src/txlog/log_window.c \
	src/txlog/proof.c \
	src/txlog/recover_tail.c \
	src/txlog/reserve.c \
	src/txlog/segment.c \
	src/txlog/segment_files.c \
	src/txlog/segment_list.c \
	src/txlog/segment_table.c \
	src/txlog/spare.c \
	src/txlog/txlog_internal.h
