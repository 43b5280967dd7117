# SPDX-License-Identifier: MIT
# The files resource manager.
noinst_LTLIBRARIES += libtx_fs.la
libtxkit_layers += libtx_fs.la
pkginclude_HEADERS += include/txkit/fs.h
libtx_fs_la_SOURCES = \
	src/txfs/txfs_internal.h \
	src/txfs/open_file.h \
	src/txfs/overlay.h \
	src/txfs/prepare_internal.h \
	src/txfs/base.c \
	src/txfs/change.c \
	src/txfs/dir.c \
	src/txfs/draft.c \
	src/txfs/draft_extents.c \
	src/txfs/entry.c \
	src/txfs/entry_describe.c \
	src/txfs/entry_parts.c \
	src/txfs/file.c \
	src/txfs/file_emit.c \
	src/txfs/file_registry.c \
	src/txfs/files_rm.c \
	src/txfs/fs_conflict.c \
	src/txfs/fs_prepare.c \
	src/txfs/layer.c \
	src/txfs/lookup.c \
	src/txfs/object_read.c \
	src/txfs/op_attr.c \
	src/txfs/op_make.c \
	src/txfs/op_remove.c \
	src/txfs/op_rename.c \
	src/txfs/op_xattr.c \
	src/txfs/overlay_index.c \
	src/txfs/path.c \
	src/txfs/resolve.c \
	src/txfs/validate.c \
	src/txfs/view.c
