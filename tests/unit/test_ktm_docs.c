/* SPDX-License-Identifier: MIT */
/* docs/protocol.md lists every `Crash here:` of src/ktm with a test that exists; the tables of
 * docs/format-ktm.md are those of the code. */
#include <dirent.h>

#include "ktm_fixture.h"

static char *load(const char *path)
{
    char name[1024];
    const char *source = getenv("srcdir");
    (void)snprintf(name, sizeof name, "%s/%s", source ? source : ".", path);
    FILE *file = fopen(name, "r");
    cr_assert_not_null(file, "%s", name);
    char *text = calloc(1, 256 * 1024);
    cr_assert_not_null(text);
    cr_assert_lt(fread(text, 1, 256 * 1024 - 1, file), 256 * 1024 - 1);
    (void)fclose(file);
    return text;
}

/* The comment from `at` to its end, lines joined. */
static void comment_of(const char *at, char out[600])
{
    size_t size = 0;
    while (strncmp(at, "*/", 2) != 0 && size < 599) {
        if (*at == '\n') {
            at += strspn(at, "\n *");
            out[size++] = ' ';
        } else {
            out[size++] = *at++;
        }
    }
    while (size > 0 && out[size - 1] == ' ') {
        size--;
    }
    out[size] = '\0';
}

static unsigned crashes_listed(const char *path, const char *doc)
{
    static const char words[] = "Crash here";
    char *source = load(path), sentence[600];
    unsigned count = 0;
    for (const char *at = strstr(source, words); at; at = strstr(at + 1, words)) {
        const char *from = at + strlen(words);
        comment_of(from + strspn(from, ": "), sentence);
        cr_expect_not_null(strstr(doc, sentence), "%s: docs/protocol.md lacks \"%s\"", path,
                           sentence);
        count++;
    }
    free(source);
    return count;
}

static const char *source_path(const char *path)
{
    static char name[1024];
    const char *source = getenv("srcdir");
    (void)snprintf(name, sizeof name, "%s/%s", source ? source : ".", path);
    return name;
}

Test(ktm_docs, every_crash_is_listed)
{
    char *doc = load("docs/protocol.md");
    unsigned listed = 0;
    DIR *dir = opendir(source_path("src/ktm"));
    cr_assert_not_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[400];
        size_t size = strlen(entry->d_name);
        if (size > 2 && strcmp(entry->d_name + size - 2, ".c") == 0) {
            (void)snprintf(path, sizeof path, "src/ktm/%s", entry->d_name);
            listed += crashes_listed(path, doc);
        }
    }
    (void)closedir(dir);
    cr_expect_gt(listed, 10);
    free(doc);
}

Test(ktm_docs, tests_that_are_named_exist)
{
    char *doc = load("docs/protocol.md");
    unsigned named = 0;
    for (const char *at = strstr(doc, "ktm_"); at; at = strstr(at + 1, "ktm_")) {
        char suite[64], test[128], path[128], wanted[256];
        if (sscanf(at, "%63[a-z_]::%127[a-z_0-9]", suite, test) != 2) {
            continue;
        }
        (void)snprintf(path, sizeof path, "tests/unit/test_%s.c", suite);
        (void)snprintf(wanted, sizeof wanted, "Test(%s, %s", suite, test);
        char *source = load(path);
        cr_expect_not_null(strstr(source, wanted), "%s", wanted);
        free(source);
        named++;
    }
    cr_expect_gt(named, 15);
    free(doc);
}

static void expect_table(const char *doc, const char *title, const struct tx_field *fields)
{
    char line[512];
    (void)snprintf(line, sizeof line, "<!-- table %s -->\n", title);
    const char *at = strstr(doc, line);
    cr_assert_not_null(at, "table \"%s\"", title);
    at += strlen(line);
    for (int i = 0; i < 2; i++) { /* two lines of heading */
        at = strchr(at, '\n') + 1;
    }
    unsigned offset = 0;
    for (; fields->name; offset += fields->width, fields++) {
        (void)snprintf(line, sizeof line, "| %u | %u | %s | %s |\n", offset, fields->width,
                       fields->name, fields->text);
        cr_assert_eq(strncmp(at, line, strlen(line)), 0, "wanted: %s", line);
        at += strlen(line);
    }
    cr_assert_neq(*at, '|', "table \"%s\" is too long", title);
}

Test(ktm_docs, tables_are_those_of_the_code)
{
    char *doc = load("docs/format-ktm.md");
    expect_table(doc, "transaction header", ktm_header_fields);
    expect_table(doc, "decision", ktm_decision_fields);
    expect_table(doc, "entry header", ktm_entry_fields);
    expect_table(doc, "changes seal", ktm_changes_seal_fields);
    free(doc);
}
