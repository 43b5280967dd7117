/* SPDX-License-Identifier: MIT */
/*
 * What people and programs write for txctl: scripts of exec, data of registry values, registry
 * paths, sizes, times, modes, ids. Input: 1 byte, which parser; then the text.
 *
 * Promises: words quoted again are the same words; data shown and read again are the same bytes;
 * JSON holds all bytes; what is printed cannot move the cursor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fuzz/fuzz.h"
#include "txctl/reg_text.h"
#include "txctl/txn_id.h"

enum parser {
    PARSE_SCRIPT,
    PARSE_DATA,
    PARSE_BYTES,
    PARSE_PATH,
    PARSE_SMALL,
    PARSE_ESCAPE,
    PARSE_ARGUMENTS,
    PARSERS,
};

static struct tx_error err;

static void release_text(char **text)
{
    free(*text);
}
#define OWN_TEXT __attribute__((cleanup(release_text))) char *

static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_EXPECT(text != NULL, "the harness has no memory");
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* --- Scripts --- */

struct words {
    char **items;
    int count;
};

static enum tx_status read_words(FILE *script, unsigned *line, struct words *words)
{
    unsigned start = 0;
    unsigned before = *line;
    words->items = NULL;
    words->count = 0;
    enum tx_status status =
        txctl_read_words(script, line, &start, &words->items, &words->count, &err);
    FUZZ_EXPECT(status != TX_OK || *line >= before, "lines run backwards");
    FUZZ_EXPECT(status != TX_OK || words->count == 0 || (start > before && start <= *line + 1),
                "a command of line %u between %u and %u", start, before, *line);
    return status;
}

/* As ' ... ', with \' for a quote itself. */
static void quote(FILE *out, const struct words *words)
{
    for (int i = 0; i < words->count; i++) {
        fputs(i > 0 ? " '" : "'", out);
        for (const char *c = words->items[i]; *c != '\0'; c++) {
            fputs(*c == '\'' ? "'\\''" : "", out);
            if (*c != '\'') {
                putc(*c, out);
            }
        }
        putc('\'', out);
    }
    putc('\n', out);
}

static void expect_same_words(const struct words *words)
{
    struct words again;
    unsigned line = 0;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    quote(out, words);
    fclose(out);
    FILE *script = fmemopen(text, size, "r");
    FUZZ_MUST(read_words(script, &line, &again), &err);
    FUZZ_EXPECT(again.count == words->count, "%d words, quoted %d", words->count, again.count);
    for (int i = 0; i < again.count; i++) {
        FUZZ_EXPECT(strcmp(again.items[i], words->items[i]) == 0, "word %d is another", i);
    }
    txctl_words_free(again.items, again.count);
    fclose(script);
    free(text);
}

static void try_script(const uint8_t *data, size_t size)
{
    struct words words = {.count = 1};
    unsigned line = 0;
    FILE *script = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
    while (script != NULL && words.count > 0 && read_words(script, &line, &words) == TX_OK) {
        if (words.count > 0) {
            expect_same_words(&words);
        }
        txctl_words_free(words.items, words.count);
    }
    if (script != NULL) {
        fclose(script);
    }
}

/* --- Registry data --- */

static const uint32_t kinds[] = {TXREG_SZ,       TXREG_EXPAND_SZ, TXREG_MULTI_SZ, TXREG_DWORD,
                                 TXREG_DWORD_BE, TXREG_QWORD,     TXREG_BINARY,   TXREG_LINK,
                                 TXREG_NONE,     0x1234};

/* Whether the text that shows these bytes says all of them. */
static bool is_exact(uint32_t type, const struct txctl_bytes *bytes)
{
    if (txctl_reg_is_text_type(type)) {
        return txctl_reg_is_whole_text(bytes->data, bytes->size);
    }
    if (type == TXREG_DWORD || type == TXREG_DWORD_BE || type == TXREG_QWORD) {
        return bytes->size == (type == TXREG_QWORD ? 8 : 4); /* else shown as it is, in hex */
    }
    return type != TXREG_MULTI_SZ && type != TXREG_LINK;
}

static void expect_same_data(uint32_t type, const struct txctl_bytes *bytes)
{
    struct txctl_bytes again = {NULL, 0};
    OWN_TEXT plain = txctl_reg_format(type, bytes->data, bytes->size, TXCTL_REG_PLAIN);
    OWN_TEXT query = txctl_reg_format(type, bytes->data, bytes->size, TXCTL_REG_QUERY);
    FUZZ_EXPECT(query != NULL, "nothing to show");
    if (!is_exact(type, bytes)) {
        return;
    }
    FUZZ_MUST(txctl_reg_parse(type, &plain, 1, &again, &err), &err);
    FUZZ_EXPECT(again.size == bytes->size &&
                    (again.size == 0 || memcmp(again.data, bytes->data, again.size) == 0),
                "type %u: \"%s\" stands for other bytes", type, plain);
    txctl_bytes_release(&again);
}

static void expect_json(uint32_t type, const struct txctl_bytes *bytes)
{
    json_t *object = txctl_reg_json("name", type, bytes->data, bytes->size);
    size_t size = 0;
    uint8_t *hex = NULL;
    const char *digits = json_string_value(json_object_get(object, "hex"));
    FUZZ_EXPECT(digits != NULL, "no bytes in JSON");
    hex = txctl_hex_decode(digits, strlen(digits), &size);
    FUZZ_EXPECT(size == bytes->size && (size == 0 || memcmp(hex, bytes->data, size) == 0),
                "other bytes in JSON");
    OWN_TEXT dumped = json_dumps(object, JSON_COMPACT);
    json_t *loaded = dumped != NULL ? json_loads(dumped, 0, NULL) : NULL;
    FUZZ_EXPECT(loaded != NULL && json_equal(loaded, object), "JSON that is none");
    json_decref(loaded);
    json_decref(object);
    free(hex);
}

static void try_bytes(uint32_t type, const struct txctl_bytes *bytes)
{
    expect_same_data(type, bytes);
    expect_json(type, bytes);
}

static void try_data(const uint8_t *data, size_t size)
{
    struct txctl_bytes bytes = {NULL, 0};
    struct fuzz_feed feed = {data, size};
    uint32_t type = kinds[fuzz_take8(&feed) % (sizeof kinds / sizeof *kinds)];
    OWN_TEXT text = text_of(feed.data, feed.left);
    if (txctl_reg_parse(type, &text, 1, &bytes, &err) == TX_OK) {
        try_bytes(type, &bytes);
    }
    txctl_bytes_release(&bytes);
}

/* --- The rest --- */

static void try_path(const uint8_t *data, size_t size)
{
    OWN_TEXT text = text_of(data, size);
    OWN_TEXT path = txctl_reg_path(text);
    FUZZ_EXPECT(strlen(path) <= strlen(text), "a path grows");
    OWN_TEXT joined = txctl_reg_join(path, "name");
    FUZZ_EXPECT(strlen(joined) >= 4, "joined to nothing");
}

static void try_time(const char *text)
{
    int64_t ns;
    int64_t again;
    char shown[TXCTL_TIME_TEXT];
    if (txctl_time(text, &ns, &err) != TX_OK || strcmp(text, "now") == 0) {
        return;
    }
    (void)txctl_time_text(ns, shown);
    OWN_TEXT exact = strdup(txctl_time_rfc3339(ns, shown));
    FUZZ_EXPECT(txctl_time(exact, &again, &err) == TX_OK && again == ns,
                "\"%s\" is %lld ns, shown as \"%s\"", text, (long long)ns, exact);
}

static void try_small(const uint8_t *data, size_t size)
{
    OWN_TEXT text = text_of(data, size);
    struct ktm_id id;
    struct ktm_id id_again;
    char shown[KTM_ID_TEXT_SIZE];
    char mode_text[TXCTL_MODE_TEXT];
    uint64_t number;
    uint32_t small;
    (void)(txctl_size(text, &number, &err) == TX_OK);
    (void)(txctl_number(text, &number, &err) == TX_OK);
    (void)(txctl_seconds(text, &small, &err) == TX_OK);
    (void)(txctl_reg_type(text, &small, &err) == TX_OK);
    if (txctl_mode(text, 0100644, &small, &err) == TX_OK) {
        FUZZ_EXPECT(small <= 0177777, "mode %o", small);
        (void)txctl_mode_text(small, mode_text);
    }
    if (ktm_id_parse(text, &id, &err) == TX_OK) {
        ktm_id_format(&id, shown);
        FUZZ_MUST(ktm_id_parse(shown, &id_again, &err), &err);
        FUZZ_EXPECT(id.epoch == id_again.epoch && id.sequence == id_again.sequence, "%s", shown);
    }
    try_time(text);
}

static void try_escape(const uint8_t *data, size_t size)
{
    char *text = NULL;
    size_t shown = 0;
    FILE *out = open_memstream(&text, &shown);
    txctl_put_escaped(out, (const char *)data, size, TXCTL_ESCAPE);
    fclose(out);
    FUZZ_EXPECT(txctl_is_utf8(text, shown), "escaped, and no UTF-8");
    for (size_t i = 0; i < shown; i++) {
        FUZZ_EXPECT((unsigned char)text[i] >= 0x20 && text[i] != 0x7f, "control character %u",
                    text[i]);
    }
    free(text);
}

/* --- Arguments: a table of commands in the place of txctl's (main.c) --- */

static const struct txctl_option put_options[] = {
    {"mode", 'm', "MODE", ""}, {"parents", 'p', NULL, ""}, {NULL, 0, NULL, NULL}};
static const struct txctl_command put = {.verb = "put", .options = put_options, .count_max = 3};
static const struct txctl_command reg_get = {.verb = "reg get", .count_max = 2};
static const struct txctl_command later = {.verb = "later", .flags = TXCTL_LATER};
const struct txctl_command *const txctl_commands[] = {&put, &reg_get, &later, NULL};

/* A word a line. No word is lost: each is an option, an option's value, the verb or a value. */
static void try_arguments(const uint8_t *data, size_t size)
{
    OWN_TEXT text = text_of(data, size);
    struct txctl_globals globals = {.store = NULL};
    struct txctl_arguments arguments;
    char *words[64];
    char *rest = text;
    int count = 0;
    while (count < 64 && (words[count] = strsep(&rest, "\n")) != NULL) {
        count++;
    }
    if (txctl_parse(&globals, count, words, &arguments, &err) == TX_OK) {
        FUZZ_EXPECT(arguments.count <= count, "%d values of %d words", arguments.count, count);
        FUZZ_EXPECT(arguments.count == 0 || arguments.command != NULL, "values of no command");
        const char *mode = arguments.command == &put ? txctl_given(&arguments, "mode") : NULL;
        FUZZ_EXPECT(mode == NULL || strlen(mode) <= size, "an option's value from elsewhere");
    }
    txctl_arguments_release(&arguments);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return;
    }
    struct txctl_bytes bytes = {(uint8_t *)(uintptr_t)(data + 2), size > 1 ? size - 2 : 0};
    switch ((enum parser)(data[0] % PARSERS)) {
    case PARSE_SCRIPT:
        try_script(data + 1, size - 1);
        break;
    case PARSE_DATA:
        try_data(data + 1, size - 1);
        break;
    case PARSE_BYTES:
        if (size > 1) {
            try_bytes(kinds[data[1] % (sizeof kinds / sizeof *kinds)], &bytes);
        }
        break;
    case PARSE_PATH:
        try_path(data + 1, size - 1);
        break;
    case PARSE_SMALL:
        try_small(data + 1, size - 1);
        break;
    case PARSE_ARGUMENTS:
        try_arguments(data + 1, size - 1);
        break;
    default:
        try_escape(data + 1, size - 1);
    }
}
