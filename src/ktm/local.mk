# SPDX-License-Identifier: MIT
# Transactions.
noinst_LTLIBRARIES += libtx_ktm.la
libtxkit_layers += libtx_ktm.la
pkginclude_HEADERS += include/txkit/ktm.h
libtx_ktm_la_SOURCES = \
	src/ktm/barrier.c \
	src/ktm/change_set.c \
	src/ktm/checkpoint.c \
	src/ktm/commit.c \
	src/ktm/commit_walk.c \
	src/ktm/conflict.c \
	src/ktm/detached.c \
	src/ktm/hold.c \
	src/ktm/ktm.c \
	src/ktm/ktm_internal.h \
	src/ktm/ktm_shared.h \
	src/ktm/order.c \
	src/ktm/prepared.c \
	src/ktm/prepared_table.c \
	src/ktm/process_slot.c \
	src/ktm/publish.c \
	src/ktm/record_describe.c \
	src/ktm/recover.c \
	src/ktm/run.c \
	src/ktm/salvage.c \
	src/ktm/savepoint.c \
	src/ktm/snapshot.c \
	src/ktm/staging.c \
	src/ktm/state.c \
	src/ktm/sweep.c \
	src/ktm/txn.c \
	src/ktm/txn_id.c \
	src/ktm/txn_info.c \
	src/ktm/txn_list.c \
	src/ktm/txn_record.c \
	src/ktm/txn_record.h \
	src/ktm/vote.c
