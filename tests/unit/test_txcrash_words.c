/* SPDX-License-Identifier: MIT */
/* Lists of calls, samples of them, and words as a shell reads them back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "txcrash/kill.h"
#include "txcrash/shell_words.h"

void kill_die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

/* "3,4,5,9" of a list, "none" when it is refused. */
static void assert_list(const char *text, const char *wanted)
{
    char found[256] = "none";
    size_t count = 0;
    size_t size = 0;
    unsigned long *numbers = kill_numbers_parse(text, &count);
    for (size_t i = 0; numbers && i < count; i++) {
        size +=
            (size_t)snprintf(found + size, sizeof found - size, "%s%lu", i ? "," : "", numbers[i]);
    }
    cr_expect_str_eq(found, wanted, "\"%s\" is %s, not %s", text, found, wanted);
    free(numbers);
}

Test(txcrash_words, lists_are_numbers_and_ranges)
{
    assert_list("1", "1");
    assert_list("3-5,9", "3,4,5,9");
    assert_list("9,3,9", "9,3,9");
    assert_list("7-7", "7");
}

Test(txcrash_words, what_is_no_list_is_refused)
{
    const char *wrong[] = {"",          ",",   "0",    "1,",   ",1",    "a",
                           "1-",        "5-3", "1--2", "-1",   "1 ",    " 1",
                           "1;2",       "+1",  "0-3",  "1,,2", "1-2-3", "18446744073709551615",
                           "1-99999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_list(wrong[i], "none");
    }
}

Test(txcrash_words, neighbours_join_into_ranges)
{
    char list[64] = "";
    const unsigned long numbers[] = {1, 2, 3, 9, 10, 12, 11, 12};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        cr_expect(kill_numbers_append(list, sizeof list, numbers[i]));
    }
    cr_expect_str_eq(list, "1-3,9-10,12,11-12");
    assert_list(list, "1,2,3,9,10,12,11,12");
}

Test(txcrash_words, a_list_that_is_full_stays_as_it_was)
{
    char list[8] = "10,20";
    cr_expect_not(kill_numbers_append(list, sizeof list, 30));
    cr_expect_str_eq(list, "10,20");
    cr_expect(kill_numbers_append(list, sizeof list, 3)); /* seven characters and the end */
    cr_expect_str_eq(list, "10,20,3");
}

Test(txcrash_words, a_sample_has_no_number_twice)
{
    for (unsigned long seed = 0; seed < 50; seed++) {
        size_t count = 20;
        unsigned long *numbers = kill_numbers_draw(&count, 100, seed);
        cr_assert_eq(count, 20);
        for (size_t i = 0; i < count; i++) {
            cr_assert(numbers[i] >= 1 && numbers[i] <= 100);
            cr_assert(i == 0 || numbers[i] > numbers[i - 1]);
        }
        free(numbers);
    }
}

Test(txcrash_words, a_sample_larger_than_the_run_is_all_of_it)
{
    size_t count = 20;
    unsigned long *numbers = kill_numbers_draw(&count, 3, 1);
    cr_assert_eq(count, 3);
    cr_expect(numbers[0] == 1 && numbers[1] == 2 && numbers[2] == 3);
    free(numbers);
}

/* Each number comes up about as often as any other. */
Test(txcrash_words, samples_reach_every_number)
{
    unsigned hits[11] = {0};
    for (unsigned long seed = 0; seed < 2000; seed++) {
        size_t count = 2;
        unsigned long *numbers = kill_numbers_draw(&count, 10, seed);
        hits[numbers[0]]++;
        hits[numbers[1]]++;
        free(numbers);
    }
    for (unsigned number = 1; number <= 10; number++) {
        cr_expect(hits[number] > 250 && hits[number] < 550, "%u: %u", number, hits[number]);
    }
}

/* What bash makes of the printed word is the word. */
static void assert_word(const char *word)
{
    char command[512] = "exec bash -c 'eval \"printf %s $0\"' ";
    char *printed = NULL;
    char *quoted = NULL;
    size_t size = 0;
    size_t quoted_size = 0;
    char found[256] = "";
    FILE *to = open_memstream(&printed, &size);
    shell_word_print(to, word);
    fclose(to);
    for (const char *at = printed; *at; at++) {
        cr_expect((unsigned char)*at >= 0x20 && *at != 0x7f, "a control in %s", printed);
    }
    to = open_memstream(&quoted, &quoted_size);
    shell_word_print(to, printed);
    fclose(to);
    snprintf(command + strlen(command), sizeof command - strlen(command), "%s", quoted);
    FILE *shell = popen(command, "r");
    found[fread(found, 1, sizeof found - 1, shell)] = '\0';
    cr_expect_eq(pclose(shell), 0);
    cr_expect_str_eq(found, word, "%s was read as \"%s\"", printed, found);
    free(printed);
    free(quoted);
}

Test(txcrash_words, a_shell_reads_words_back)
{
    const char *words[] = {
        "plain", "",         "a b",      "it's", "\"",          "$HOME `id` $(id)",
        "\\",    "*",        "~",        "a\nb", "\033[31mred", "it's \t\\ \"x\"",
        "\x7f",  "\xc3\xa4", "\xff\x01", "-n",   "#",           "a;b|c&d>e<f",
        "{dir}", "!"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_word(words[i]);
    }
}
