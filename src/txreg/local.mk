# SPDX-License-Identifier: MIT
# The registry resource manager.
noinst_LTLIBRARIES += libtx_reg.la
libtxkit_layers += libtx_reg.la
pkginclude_HEADERS += include/txkit/reg.h
libtx_reg_la_SOURCES = \
	src/txreg/free_search.c \
	src/txreg/key_path.c \
	src/txreg/overflow.c \
	src/txreg/page_cache.c \
	src/txreg/page_edit.c \
	src/txreg/page_items.c \
	src/txreg/page_ring.c \
	src/txreg/reg_apply.c \
	src/txreg/reg_check.c \
	src/txreg/reg_check.h \
	src/txreg/reg_check_keys.c \
	src/txreg/reg_check_slots.c \
	src/txreg/reg_delete.c \
	src/txreg/reg_entry.c \
	src/txreg/reg_enum.c \
	src/txreg/reg_image.c \
	src/txreg/reg_ops.c \
	src/txreg/reg_overlay.c \
	src/txreg/reg_page.c \
	src/txreg/reg_prepare.c \
	src/txreg/reg_record.c \
	src/txreg/reg_redo.c \
	src/txreg/reg_revert.c \
	src/txreg/reg_rm.c \
	src/txreg/reg_table.c \
	src/txreg/reg_text.c \
	src/txreg/reg_touch.c \
	src/txreg/reg_values.c \
	src/txreg/reg_view.c \
	src/txreg/root_slot.c \
	src/txreg/tree_cursor.c \
	src/txreg/tree_finish.c \
	src/txreg/tree_read.c \
	src/txreg/tree_shape.c \
	src/txreg/tree_write.c \
	src/txreg/tree_write.h \
	src/txreg/txreg_internal.h \
	src/txreg/txreg_page.h \
	src/txreg/txreg_view.h
