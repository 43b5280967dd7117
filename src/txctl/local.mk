# SPDX-License-Identifier: MIT
# The command. Sees the library only through include/txkit.
bin_PROGRAMS += txctl
txctl_SOURCES = \
	src/txctl/arguments.c \
	src/txctl/base64.c \
	src/txctl/changes.c \
	src/txctl/changes.h \
	src/txctl/changes_json.c \
	src/txctl/cmd_attr.c \
	src/txctl/cmd_begin.c \
	src/txctl/cmd_check.c \
	src/txctl/cmd_commit.c \
	src/txctl/cmd_completion.c \
	src/txctl/cmd_cp.c \
	src/txctl/cmd_diff.c \
	src/txctl/cmd_edit.c \
	src/txctl/cmd_exec.c \
	src/txctl/cmd_help.c \
	src/txctl/cmd_history.c \
	src/txctl/cmd_import.c \
	src/txctl/cmd_info.c \
	src/txctl/cmd_init.c \
	src/txctl/cmd_later.c \
	src/txctl/cmd_list.c \
	src/txctl/cmd_log.c \
	src/txctl/cmd_ls.c \
	src/txctl/cmd_mv.c \
	src/txctl/cmd_put.c \
	src/txctl/cmd_reg_export.c \
	src/txctl/cmd_reg_key.c \
	src/txctl/cmd_reg_query.c \
	src/txctl/cmd_reg_value.c \
	src/txctl/cmd_rm.c \
	src/txctl/cmd_settings.c \
	src/txctl/cmd_show.c \
	src/txctl/cmd_stat.c \
	src/txctl/cmd_tree.c \
	src/txctl/cmd_truncate.c \
	src/txctl/commands.h \
	src/txctl/complain.c \
	src/txctl/context.c \
	src/txctl/exit_codes.h \
	src/txctl/file_copy.c \
	src/txctl/line_diff.c \
	src/txctl/main.c \
	src/txctl/memory.c \
	src/txctl/mode_text.c \
	src/txctl/names.c \
	src/txctl/number_text.c \
	src/txctl/object.c \
	src/txctl/object.h \
	src/txctl/print.c \
	src/txctl/print.h \
	src/txctl/print_changes.c \
	src/txctl/progress.c \
	src/txctl/quote.c \
	src/txctl/reg5_text.c \
	src/txctl/reg_data.c \
	src/txctl/reg_export.h \
	src/txctl/reg_json.c \
	src/txctl/reg_path.c \
	src/txctl/reg_text.h \
	src/txctl/reg_utf.c \
	src/txctl/reg_walk.c \
	src/txctl/settings_text.h \
	src/txctl/time_text.c \
	src/txctl/txctl_internal.h \
	src/txctl/txn_id.h
txctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
txctl_LDADD = libtxkit.la $(JANSSON_LIBS)
