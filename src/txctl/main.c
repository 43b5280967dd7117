/* SPDX-License-Identifier: MIT */
/* txctl: the table of commands, and the way from the words of the command line to an exit code. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#include "txctl/commands.h"
#include "txctl/print.h"

const struct txctl_command *const txctl_commands[] = {
    &txctl_init, &txctl_info, &txctl_check, &txctl_recover, &txctl_checkpoint, &txctl_settings,
    &txctl_backup, &txctl_restore,
    &txctl_begin, &txctl_commit, &txctl_prepare, &txctl_rollback, &txctl_savepoint,
    &txctl_list, &txctl_show, &txctl_diff, &txctl_exec,
    &txctl_history, &txctl_revert, &txctl_log_dump, &txctl_log_verify,
    &txctl_put, &txctl_get, &txctl_cat, &txctl_edit, &txctl_import, &txctl_apply,
    &txctl_cp, &txctl_mv, &txctl_rm, &txctl_mkdir, &txctl_rmdir, &txctl_ln,
    &txctl_truncate, &txctl_chmod, &txctl_chown, &txctl_touch, &txctl_setfattr,
    &txctl_ls, &txctl_stat, &txctl_tree,
    &txctl_reg_get, &txctl_reg_set, &txctl_reg_unset, &txctl_reg_create, &txctl_reg_delete,
    &txctl_reg_list, &txctl_reg_query, &txctl_reg_info, &txctl_reg_rename, &txctl_reg_export,
    &txctl_reg_add, &txctl_reg_copy, &txctl_reg_compare, &txctl_reg_link, &txctl_reg_readlink,
    &txctl_reg_find, &txctl_reg_move, &txctl_reg_increment, &txctl_reg_sd, &txctl_reg_import,
    &txctl_reg_save, &txctl_reg_load, &txctl_reg_unload, &txctl_reg_diff, &txctl_reg_watch,
    &txctl_help, &txctl_version, &txctl_completion,
    NULL,
};

/* --help and --version in any place, and no command at all. */
static enum tx_status run_globals(struct txctl_context *context, struct txctl_arguments *arguments,
                                  struct tx_error *err)
{
    const struct txctl_command *command = arguments->command;
    if (context->globals.version) {
        arguments->command = &txctl_version;
        arguments->count = 0;
    } else if (context->globals.help) {
        arguments->values[0] = (char *)(command ? command->verb : ""); /* read only */
        arguments->count = command ? 1 : 0;
        arguments->command = &txctl_help;
    } else if (!command) {
        return txctl_usage(err, "which command? try: txctl help");
    }
    return TX_OK;
}

static enum tx_status run(struct txctl_context *context, struct txctl_arguments *arguments,
                          struct tx_error *err)
{
    const char *tx = getenv("TXKIT_TX");
    TRY(run_globals(context, arguments, err));
    if (!context->globals.tx && tx && tx[0] != '\0') {
        context->globals.tx = tx;
    }
    enum tx_status status = txctl_run(context, arguments, err);
    return txctl_end(context, status, err);
}

int main(int argc, char **argv)
{
    struct txctl_context context = {0};
    struct txctl_arguments arguments = {0};
    struct tx_error err = {0};
    setlocale(LC_CTYPE, "");
    /* A reader that leaves early (head) must not end us in the middle of a transaction. */
    signal(SIGPIPE, SIG_IGN);
    enum tx_status status =
        txctl_parse(&context.globals, argc - 1, argv + 1, &arguments, &err);
    if (status == TX_OK) {
        status = run(&context, &arguments, &err);
    } else {
        context.command = arguments.command;
    }
    enum txctl_exit code = txctl_exit_code(status, &err);
    bool reader_left = false;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        reader_left = errno == EPIPE;
        if (!reader_left) {
            fprintf(stderr, "txctl: standard output: %s\n", strerror(errno));
        }
        code = code == TXCTL_EXIT_DONE ? TXCTL_EXIT_FAILED : code;
    }
    if (status != TX_OK && !(reader_left && err.os_errno == EPIPE)) {
        txctl_complain(&context, status, &err);
    }
    txctl_arguments_release(&arguments);
    free(context.subject);
    free(context.kept_file);
    free(context.result_text);
    return (int)code;
}
