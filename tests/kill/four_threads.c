/* SPDX-License-Identifier: MIT */
/*
 * For the tests of txcrash kill: four threads replace four files, then one of them, not the first,
 * becomes another program.
 *
 *     four_threads DIRECTORY PROGRAM [ARGUMENT...]
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 4

static const char *directory;
static char **program;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *replace(void *arg)
{
    char draft[4096];
    char path[4096];
    snprintf(draft, sizeof draft, "%s/draft%d", directory, *(int *)arg);
    snprintf(path, sizeof path, "%s/file%d", directory, *(int *)arg);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, "new\n", 4) != 4 || close(fd) != 0 || rename(draft, path) != 0) {
        die(path);
    }
    return NULL;
}

static void *become(void *arg)
{
    (void)arg;
    execvp(program[0], program);
    die(program[0]);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS], last;
    int numbers[THREADS];
    if (argc < 3) {
        fprintf(stderr, "usage: four_threads DIRECTORY PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    directory = argv[1];
    program = argv + 2;
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, replace, &numbers[i]) != 0) {
            die("thread");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    if (pthread_create(&last, NULL, become, NULL) != 0) {
        die("thread");
    }
    pthread_join(last, NULL); /* never comes back: the other program takes this thread too */
    return 1;
}
