/* SPDX-License-Identifier: MIT */
/* completion: scripts for the shell's completion, made from the table of commands. */
#include <string.h>

#include "txctl/commands.h"

/* The commands' first words, each once. */
static void put_words(const char *separator)
{
    const char *last = "";
    size_t last_size = 0;
    for (size_t i = 0; txctl_commands[i]; i++) {
        const char *verb = txctl_commands[i]->verb;
        size_t size = strcspn(verb, " ");
        bool again = size == last_size && strncmp(verb, last, size) == 0;
        if ((txctl_commands[i]->flags & TXCTL_LATER) == 0 && !again) {
            printf("%.*s%s", (int)size, verb, separator);
            last = verb;
            last_size = size;
        }
    }
}

static void put_second_words(const char *first, const char *separator)
{
    size_t size = strlen(first);
    for (size_t i = 0; txctl_commands[i]; i++) {
        const char *verb = txctl_commands[i]->verb;
        if (strncmp(verb, first, size) == 0 && verb[size] == ' ' &&
            (txctl_commands[i]->flags & TXCTL_LATER) == 0) {
            printf("%s%s", verb + size + 1, separator);
        }
    }
}

static void put_options(const struct txctl_option *options, const char *separator)
{
    for (const struct txctl_option *option = options; option && option->name; option++) {
        printf("--%s%s", option->name, separator);
    }
}

/* bash: which words fit depends on the command before; PATHs complete as files of the root. */
static void print_bash(void)
{
    fputs("# bash completion for txctl\n"
          "_txctl() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} verb= i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        --store | --root | --tx | --lock-timeout | --color) ((i++)) ;;\n"
          "        -*) ;;\n"
          "        *)\n"
          "            verb+=${verb:+ }${COMP_WORDS[i]}\n"
          "            [[ $verb == reg || $verb == log ]] || break\n"
          "            ;;\n"
          "        esac\n"
          "    done\n"
          "    local words='", stdout);
    put_options(txctl_global_options, " ");
    fputs("'\n    case $verb in\n    '') words+='", stdout);
    put_words(" ");
    fputs("' ;;\n    reg) words+='", stdout);
    put_second_words("reg", " ");
    fputs("' ;;\n    log) words+='", stdout);
    put_second_words("log", " ");
    fputs("' ;;\n    help) words+='", stdout);
    put_words(" ");
    fputs("' ;;\n", stdout);
    for (size_t i = 0; txctl_commands[i]; i++) {
        if (txctl_commands[i]->options && (txctl_commands[i]->flags & TXCTL_LATER) == 0) {
            printf("    '%s') words+=' ", txctl_commands[i]->verb);
            put_options(txctl_commands[i]->options, " ");
            fputs("' ;;\n", stdout);
        }
    }
    fputs("    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "    [[ -z $verb || $cur == -* ]] || COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
          "}\n"
          "complete -o filenames -F _txctl txctl\n", stdout);
}

static void print_zsh(void)
{
    fputs("#compdef txctl\n"
          "autoload -U +X bashcompinit && bashcompinit\n", stdout);
    print_bash();
}

static void print_fish(void)
{
    fputs("# fish completion for txctl\n", stdout);
    for (const struct txctl_option *option = txctl_global_options; option->name; option++) {
        printf("complete -c txctl -l %s -d \"%s\"%s\n", option->name, option->text,
               option->argument ? " -r" : "");
    }
    for (size_t i = 0; txctl_commands[i]; i++) {
        const struct txctl_command *command = txctl_commands[i];
        const char *space = strchr(command->verb, ' ');
        if ((command->flags & TXCTL_LATER) != 0) {
            continue;
        }
        if (space) {
            printf("complete -c txctl -n '__fish_seen_subcommand_from %.*s' -a %s -d \"%s\"\n",
                   (int)(space - command->verb), command->verb, space + 1, command->summary);
        } else {
            printf("complete -c txctl -n __fish_use_subcommand -a %s -d \"%s\"\n", command->verb,
                   command->summary);
        }
    }
    fputs("complete -c txctl -n __fish_use_subcommand -a 'reg log'\n", stdout);
}

static enum tx_status run_completion(struct txctl_context *context,
                                     const struct txctl_arguments *arguments, struct tx_error *err)
{
    const char *shell = arguments->values[0];
    txctl_subject(context, shell);
    if (strcmp(shell, "bash") == 0) {
        print_bash();
    } else if (strcmp(shell, "zsh") == 0) {
        print_zsh();
    } else if (strcmp(shell, "fish") == 0) {
        print_fish();
    } else {
        return txctl_usage(err, "bash, zsh or fish");
    }
    return TX_OK;
}

const struct txctl_command txctl_completion = {
    .group = "About",
    .verb = "completion",
    .usage = "bash|zsh|fish",
    .summary = "print what the shell completes txctl with",
    .example = "source <(txctl completion bash)",
    .flags = TXCTL_NO_SCRIPT,
    .count_min = 1,
    .count_max = 1,
    .run = run_completion,
};
