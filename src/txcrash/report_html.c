/* SPDX-License-Identifier: MIT */
/*
 * A report as one page that needs nothing else. The page is written as what it is, in
 * report_page.html, .css, .js and report_page_ui.js, which the build turns into texts of C; here
 * the parts are put in their places.
 */
#include <string.h>

#include "report_internal.h"

#include "report_page.inc" /* report_page_html, _css, _js, _ui_js */

/* JSON inside a script element: a "<" can only stand in a text, where it may as well be written by
 * number. Then nothing can end the element, or begin a comment in it. */
static void print_data(const char *json, FILE *to)
{
    for (; *json; json++) {
        if (*json == '<') {
            fputs("\\u003c", to);
        } else {
            fputc(*json, to);
        }
    }
}

/* Prints up to a mark and answers what follows it. */
static const char *print_until(const char *page, const char *mark, FILE *to)
{
    const char *end = strstr(page, mark);
    fwrite(page, 1, (size_t)(end - page), to);
    return end + strlen(mark);
}

void report_print_html(const char *json, FILE *to)
{
    const char *rest = print_until(report_page_html, "@css@\n", to);
    fputs(report_page_css, to);
    rest = print_until(rest, "@data@", to);
    print_data(json, to);
    rest = print_until(rest, "@js@\n", to);
    fputs(report_page_js, to);
    rest = print_until(rest, "@ui@\n", to);
    fputs(report_page_ui_js, to);
    fputs(rest, to);
}
