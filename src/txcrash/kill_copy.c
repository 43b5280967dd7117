/* SPDX-License-Identifier: MIT */
/* The copy of the template that one job works on, and the words that name it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

char *kill_format(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0) {
        kill_die("memory");
    }
    return text;
}

/* Every {dir} and {acks} of a text becomes a path. */
static char *fill_in(const struct kill_copy *copy, const char *text)
{
    char *filled = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&filled, &size);
    if (!to) {
        kill_die("memory");
    }
    while (*text) {
        if (strncmp(text, "{dir}", 5) == 0) {
            fputs(copy->dir, to);
            text += 5;
        } else if (strncmp(text, "{acks}", 6) == 0) {
            fputs(copy->acks, to);
            text += 6;
        } else {
            fputc(*text++, to);
        }
    }
    if (fclose(to) != 0) {
        kill_die("memory");
    }
    return filled;
}

/* Run a program that has nothing to say when all is well. */
static void run(const char *what, char *const argv[])
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            kill_die(what);
        }
    }
    if (pid < 0 || status != 0) {
        fprintf(stderr, "txcrash kill: %s: %s failed\n", what, argv[0]);
        exit(1);
    }
}

static void remove_tree(const char *path)
{
    char *remove[] = {"rm", "-rf", "--", (char *)path, NULL};
    run(path, remove);
}

void kill_copy_init(struct kill_copy *copy, const struct kill_plan *plan, unsigned job)
{
    size_t count = 0;
    *copy = (struct kill_copy){.plan = plan};
    copy->home = kill_format("%s/job%u", plan->area, job);
    copy->dir = kill_format("%s/dir", copy->home);
    copy->acks = kill_format("%s/acks", copy->home);
    copy->errors = kill_format("%s/errors", copy->home);
    if (mkdir(copy->home, 0700) != 0 || setenv("TXCRASH_DIR", copy->dir, 1) != 0 ||
        setenv("TXCRASH_ACK", copy->acks, 1) != 0) {
        kill_die(copy->home);
    }
    while (plan->command[count]) {
        count++;
    }
    copy->argv = calloc(count + 1, sizeof *copy->argv);
    if (!copy->argv) {
        kill_die("memory");
    }
    for (size_t i = 0; i < count; i++) {
        copy->argv[i] = fill_in(copy, plan->command[i]);
    }
    copy->setup = plan->setup ? fill_in(copy, plan->setup) : NULL;
    copy->recover = plan->recover ? fill_in(copy, plan->recover) : NULL;
    copy->check = fill_in(copy, plan->check);
}

void kill_copy_release(struct kill_copy *copy)
{
    remove_tree(copy->home);
    for (size_t i = 0; copy->argv[i]; i++) {
        free(copy->argv[i]);
    }
    free(copy->argv);
    free(copy->setup);
    free(copy->recover);
    free(copy->check);
    free(copy->home);
    free(copy->dir);
    free(copy->acks);
    free(copy->errors);
}

/* What the user wants done to each copy; it has to work. */
static void set_up(const struct kill_copy *copy)
{
    struct kill_answer answer;
    char words[64];
    if (!copy->setup) {
        return;
    }
    kill_shell(copy->setup, copy->plan->timeout_s, &answer);
    if (answer.status != 0 || answer.timed_out) {
        kill_status_words(answer.status, answer.timed_out, words, sizeof words);
        fprintf(stderr, "txcrash kill: setup: %s: %s\n", words, answer.last);
        exit(1);
    }
}

void kill_copy_renew(struct kill_copy *copy)
{
    remove_tree(copy->dir);
    if (copy->plan->template_dir) {
        char *from = (char *)copy->plan->template_dir;
        char *argv[] = {"cp", "-a", "--", from, copy->dir, NULL};
        run("copy the template", argv);
    } else if (mkdir(copy->dir, 0755) != 0) {
        kill_die(copy->dir);
    }
    set_up(copy);
}

void kill_copy_forget_acks(struct kill_copy *copy)
{
    int fd = open(copy->acks, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        kill_die(copy->acks);
    }
    close(fd);
}

void kill_copy_keep(struct kill_copy *copy, unsigned long number, char *image, size_t size)
{
    *image = '\0';
    if (!copy->plan->keep) {
        return;
    }
    char *name = kill_format("%s/call-%lu", copy->plan->keep, number);
    char *argv[] = {"cp", "-aT", "--", copy->dir, name, NULL};
    remove_tree(name);
    run("keep what was convicted", argv);
    snprintf(image, size, "%s", name);
    free(name);
}
