/* SPDX-License-Identifier: MIT */
/* The tables of the document are those of the code. */
#include "unit/log_fixture.h"

#include <stdlib.h>

static char doc[64 * 1024];

static bool load(const char *name)
{
    char path[512];
    const char *source = getenv("srcdir");
    (void)snprintf(path, sizeof(path), "%s/docs/%s", source ? source : ".", name);
    FILE *file = fopen(path, "r");
    if (!file) {
        return false;
    }
    size_t size = fread(doc, 1, sizeof(doc) - 1, file);
    doc[size] = '\0';
    (void)fclose(file);
    return true;
}

/* The document as it is now, or after it has been merged into the one of all formats. */
static void setup(void)
{
    cr_assert(load("format-log.md") || load("format.md"));
}

TestSuite(txlog_format_doc, .init = setup);

static void expect_table(const char *title, const struct tx_field *fields)
{
    char line[512];
    (void)snprintf(line, sizeof(line), "<!-- table %s -->\n", title);
    const char *at = strstr(doc, line);
    cr_assert_not_null(at, "table \"%s\"", title);
    at += strlen(line);
    for (int i = 0; i < 2; i++) { /* two lines of heading */
        at = strchr(at, '\n') + 1;
    }
    unsigned offset = 0;
    for (; fields->name != NULL; offset += fields->width, fields++) {
        (void)snprintf(line, sizeof(line), "| %u | %u | %s | %s |\n", offset, fields->width,
                       fields->name, fields->text);
        cr_assert_eq(strncmp(at, line, strlen(line)), 0, "wanted: %s", line);
        at += strlen(line);
    }
    cr_assert_neq(*at, '|', "table \"%s\" is too long", title);
}

Test(txlog_format_doc, tables_are_those_of_the_code)
{
    expect_table("control slot", control_fields);
    expect_table("segment header", segment_fields);
    expect_table("record header", frame_fields);
    expect_table("epoch record", epoch_fields);
}

Test(txlog_format_doc, every_row_of_the_decision_table_is_there)
{
#define NAME_OF(name, opens, text) {#name, opens},
    static const struct {
        const char *name;
        bool opens;
    } verdicts[] = {SCAN_VERDICTS(NAME_OF)};
#undef NAME_OF
    for (size_t i = 0; i < SCAN_VERDICT_COUNT; i++) {
        char row[64];
        (void)snprintf(row, sizeof(row), "| %s |", verdicts[i].name + strlen("SCAN_"));
        for (char *c = row; *c != '\0'; c++) {
            *c = *c == '_' ? ' ' : *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        }
        const char *at = strstr(doc, row);
        cr_assert_not_null(at, "%s", row);
        const char *end = strchr(at, '\n');
        const char *refuses = strstr(at, "refuse");
        cr_assert_eq(refuses != NULL && refuses < end, !verdicts[i].opens, "%s", row);
    }
}
