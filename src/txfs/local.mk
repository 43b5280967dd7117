# SPDX-License-Identifier: MIT
# The files resource manager.
noinst_LTLIBRARIES += libtx_fs.la
libtxkit_layers += libtx_fs.la
pkginclude_HEADERS += include/txkit/fs.h
libtx_fs_la_SOURCES = \
	src/txfs/txfs_internal.h \
	src/txfs/open_file.h \
	src/txfs/overlay.h \
	src/txfs/parcel.h \
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
	src/txfs/parcel.c \
	src/txfs/path.c \
	src/txfs/resolve.c \
	src/txfs/validate.c \
	src/txfs/view.c

# Publishing: carrying out commits, recovery, the steady point, old versions.
libtx_fs_la_SOURCES += \
	src/txfs/converge.h \
	src/txfs/past.h \
	src/txfs/publish_internal.h \
	src/txfs/publish_steps.h \
	src/txfs/revert.h \
	src/txfs/kept_walk.h \
	src/txfs/undo_changes.h \
	src/txfs/undo_formats.h \
	src/txfs/unsteady.h \
	src/txfs/converge.c \
	src/txfs/converge_audit.c \
	src/txfs/converge_find.c \
	src/txfs/converge_judge.c \
	src/txfs/converge_model.c \
	src/txfs/converge_place.c \
	src/txfs/converge_settle.c \
	src/txfs/keep.c \
	src/txfs/kept_walk.c \
	src/txfs/object_attr.c \
	src/txfs/object_content.c \
	src/txfs/past.c \
	src/txfs/place.c \
	src/txfs/publish_amend.c \
	src/txfs/publish_steps.c \
	src/txfs/publisher.c \
	src/txfs/revert_names.c \
	src/txfs/revert_restore.c \
	src/txfs/revert_verify.c \
	src/txfs/saved.c \
	src/txfs/saved_read.c \
	src/txfs/slot.c \
	src/txfs/steady.c \
	src/txfs/steady_mark.c \
	src/txfs/steps.c \
	src/txfs/sums.c \
	src/txfs/superseded.c \
	src/txfs/superseded_amended.c \
	src/txfs/superseded_below.c \
	src/txfs/txfs_check.c \
	src/txfs/txfs_foreign.c \
	src/txfs/txfs_history.c \
	src/txfs/txfs_recover.c \
	src/txfs/txfs_redo.c \
	src/txfs/txfs_revert.c \
	src/txfs/txfs_trim.c \
	src/txfs/undo_changes.c \
	src/txfs/undo_changes_read.c \
	src/txfs/undo_formats.c \
	src/txfs/undo_others.c
