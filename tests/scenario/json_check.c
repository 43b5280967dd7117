/* SPDX-License-Identifier: MIT */
/*
 * Checks what txctl --json printed: every line of stdin must be one JSON object with "schema": 1.
 *
 *     json_check [PATH...]
 *
 * Prints what stands at each PATH ("changes.0.path") of each line: texts as they are, everything
 * else as JSON. Exit 1 when a line is not valid, 2 when a PATH leads nowhere.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *value, const char *name)
{
    char *end = NULL;
    unsigned long index = strtoul(name, &end, 10);
    return json_is_array(value) && *name != '\0' && *end == '\0' ? json_array_get(value, index)
                                                                 : json_object_get(value, name);
}

static json_t *find(json_t *value, const char *path)
{
    char *copy = strdup(path);
    char *rest = copy;
    char *name;
    while (value && (name = strsep(&rest, "."))) {
        value = step(value, name);
    }
    free(copy);
    return value;
}

static int print_path(json_t *object, const char *path)
{
    json_t *value = find(object, path);
    if (!value) {
        fprintf(stderr, "json_check: nothing at %s\n", path);
        return 2;
    }
    if (json_is_string(value)) {
        puts(json_string_value(value));
    } else {
        json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
    }
    return 0;
}

static int check_line(const char *line, size_t size, int count, char **paths)
{
    json_error_t error;
    int code = 0;
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object) || json_integer_value(json_object_get(object, "schema")) != 1) {
        fprintf(stderr, "json_check: %s: %.*s\n", object ? "no object of schema 1" : error.text,
                (int)size, line);
        json_decref(object);
        return 1;
    }
    for (int i = 0; i < count && code == 0; i++) {
        code = print_path(object, paths[i]);
    }
    json_decref(object);
    return code;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int code = 0;
    int lines = 0;
    while (code == 0 && (size = getline(&line, &room, stdin)) >= 0) {
        code = check_line(line, (size_t)size, argc - 1, argv + 1);
        lines++;
    }
    free(line);
    if (lines == 0) {
        fprintf(stderr, "json_check: nothing to read\n");
    }
    return lines == 0 ? 1 : code;
}
