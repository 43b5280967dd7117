/* SPDX-License-Identifier: MIT */
/* The tables and numbers of the document are those of the code. */
#include "reg_fixture.h"

#include <stdio.h>

static char doc[256 * 1024];

static bool load(const char *name)
{
    char path[512];
    const char *source = getenv("srcdir");
    (void)snprintf(path, sizeof(path), "%s/docs/%s", source != NULL ? source : ".", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    size_t size = fread(doc, 1, sizeof(doc) - 1, file);
    doc[size] = 0;
    (void)fclose(file);
    return true;
}

/* The document as it is now, or after it has been merged into the one of all formats. */
static void setup(void)
{
    cr_assert(load("format-registry.md") || load("format.md"));
}

TestSuite(txreg_format_doc, .init = setup);

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

Test(txreg_format_doc, tables_are_those_of_the_code)
{
    expect_table("page header", reg_page_fields);
    expect_table("root slot", reg_slot_fields);
    expect_table("registry state", reg_state_fields);
    expect_table("key header", reg_header_fields);
    expect_table("subkey", reg_child_fields);
    expect_table("registry entry", reg_entry_fields);
}

static void expect_number(const char *format, unsigned number)
{
    char text[128];
    (void)snprintf(text, sizeof(text), format, number);
    cr_assert_not_null(strstr(doc, text), "%s", text);
}

Test(txreg_format_doc, numbers_are_those_of_the_code)
{
    expect_number("takes at most %u bytes", REG_CELL_MAX);
    expect_number("a key at most %u.", REG_KEY_MAX);
    expect_number("(level 1 to %u)", REG_LEVEL_MAX);
    expect_number("does not use; at most %u.", REG_SLOT_FREE_MAX);
    expect_number("folded and packed, at most %u bytes", REG_SHORT_NAME_MAX);
    expect_number("Data of more than %u bytes", REG_INLINE_MAX);
    expect_number("*data* pages of %u bytes", REG_DATA_ROOM);
    expect_number("references to them, %u per page", REG_LIST_ROOM);
    expect_number("of class, UTF-8, at most %u.", TXREG_CLASS_MAX);
    expect_number("after at most %u steps", TXREG_DEPTH_MAX);
    expect_number("at byte %u the state", REG_PAGE_HEAD + 24);
}
