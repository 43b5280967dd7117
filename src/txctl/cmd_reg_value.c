/* SPDX-License-Identifier: MIT */
/* reg get, reg set, reg unset: one value, for scripts. */
#include <errno.h>
#include <string.h>

#include "txctl/commands.h"
#include "txctl/reg_text.h"

/* "Software\App: Version" for the error line. */
static void name_value(struct txctl_context *context, const char *key, const char *name)
{
    AUTO_TEXT text = name[0] != '\0' ? txctl_text("%s: %s", key, name) : txctl_copy(key);
    txctl_subject(context, text);
}

static void print_value(const struct txctl_context *context, const char *key, const char *name,
                        uint32_t type, const struct tx_buf *data)
{
    if (context->globals.json) {
        json_t *object = txctl_json_new();
        json_t *value = txctl_reg_json(name, type, data->data, data->size);
        json_object_set_new(object, "key", txctl_json_name(key));
        json_object_update(object, value);
        json_decref(value);
        txctl_json_print(object);
        return;
    }
    AUTO_TEXT text = txctl_reg_format(type, data->data, data->size, TXCTL_REG_PLAIN);
    bool escape = txctl_stdout_is_terminal() && !context->globals.null_ends;
    for (char *line = text; line;) {
        char *next = strchr(line, '\n');
        size_t length = next ? (size_t)(next - line) : strlen(line);
        txctl_put_escaped(stdout, line, length, escape ? TXCTL_ESCAPE_LINE : TXCTL_RAW);
        putchar(next ? '\n' : txctl_line_end(context));
        line = next ? next + 1 : NULL;
    }
}

static enum tx_status run_get(struct txctl_context *context,
                              const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    uint32_t type = 0;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    AUTO_BUF data = TX_BUF_INIT;
    const char *name = arguments->count > 1 ? arguments->values[1] : "";
    name_value(context, key, name);
    TRY(txctl_txn(context, &txn, err));
    TRY(txreg_get(txn, key, name, &type, &data, err));
    if (txctl_has(arguments, "raw")) {
        fwrite(data.data ? data.data : (const uint8_t *)"", 1, data.size, stdout);
    } else {
        print_value(context, key, name, type, &data);
    }
    return TX_OK;
}

static const struct txctl_option get_options[] = {
    {"raw", 0, NULL, "the exact bytes"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_get = {
    .group = "Registry",
    .verb = "reg get",
    .usage = "KEY [NAME] [--raw]",
    .summary = "print one value (without NAME: the default value)",
    .example = "version=$(txctl reg get Software/App Version)",
    .options = get_options,
    .flags = TXCTL_READS,
    .count_min = 1,
    .count_max = 2,
    .run = run_get,
};

static enum tx_status read_file(const char *name, struct txctl_bytes *bytes, struct tx_error *err)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    AUTO_TEXT chunk = txctl_alloc(65536);
    size_t count = 0;
    AUTO_TEXT escaped = txctl_escaped(name);
    if (!file) {
        return tx_error_os(err, errno, "open \"%s\"", escaped);
    }
    enum tx_status status = TX_OK;
    while (status == TX_OK && (count = fread(chunk, 1, 65536, file)) > 0) {
        txctl_bytes_add(bytes, chunk, count);
        if (bytes->size > TXREG_VALUE_SIZE_MAX) {
            status = tx_error_set(err, TX_ELIMIT, "\"%s\": more than %u bytes", escaped,
                                  TXREG_VALUE_SIZE_MAX);
        }
    }
    if (status == TX_OK && ferror(file)) {
        status = tx_error_os(err, EIO, "read \"%s\"", escaped);
    }
    if (file != stdin) {
        fclose(file); /* only read from */
    }
    return status;
}

/* Lines of the file, each an element; a newline at the very end is no empty element. */
static enum tx_status parse_lines(char *text, struct txctl_bytes *bytes, struct tx_error *err)
{
    while (*text != '\0') {
        char *stop = strchr(text, '\n');
        size_t length = stop ? (size_t)(stop - text) : strlen(text);
        TRY(txctl_utf16_of(text, length, bytes, err));
        txctl_bytes_add16(bytes, 0);
        text += length + (stop != NULL);
    }
    txctl_bytes_add16(bytes, 0);
    return TX_OK;
}

/* Of a file: types that are texts take its text, numbers its digits, the others its bytes. */
static enum tx_status data_of_file(const char *name, uint32_t type, struct txctl_bytes *bytes,
                                   struct tx_error *err)
{
    bool is_number = type == TXREG_DWORD || type == TXREG_DWORD_BE || type == TXREG_QWORD;
    bool is_text = txctl_reg_is_text_type(type) || type == TXREG_LINK || type == TXREG_MULTI_SZ;
    AUTO_BYTES file = {0};
    TRY(read_file(name, is_text || is_number ? &file : bytes, err));
    if (!is_text && !is_number) {
        return TX_OK;
    }
    txctl_bytes_add(&file, "", 1);
    char *text = (char *)file.data;
    if (strlen(text) + 1 != file.size) {
        return txctl_usage(err, "the file holds a NUL byte; --raw takes its bytes as they are");
    }
    if (type == TXREG_MULTI_SZ) {
        return parse_lines(text, bytes, err);
    }
    if (is_number) {
        text[strcspn(text, "\r\n")] = '\0';
    }
    return txctl_reg_parse(type, &text, 1, bytes, err);
}

static enum tx_status data_of_arguments(const struct txctl_arguments *arguments, uint32_t type,
                                        struct txctl_bytes *bytes, struct tx_error *err)
{
    const char *file = txctl_given(arguments, "data-file");
    bool raw = txctl_has(arguments, "raw");
    char *const *texts = arguments->values + 3;
    int count = arguments->count - 3;
    if (file && count > 0) {
        return txctl_usage(err, "DATA or --data-file, not both");
    }
    if (file) {
        return raw ? read_file(file, bytes, err) : data_of_file(file, type, bytes, err);
    }
    return txctl_reg_parse(raw ? TXREG_BINARY : type, texts, count, bytes, err);
}

/* --if-absent, --if LSN: conditions on what is there. */
static enum tx_status check_conditions(const struct txctl_arguments *arguments,
                                       struct ktm_txn *txn, const char *key, const char *name,
                                       struct tx_error *err)
{
    const char *revision = txctl_given(arguments, "if");
    struct txreg_key_info info;
    uint64_t wanted = 0;
    uint32_t type = 0;
    AUTO_BUF data = TX_BUF_INIT;
    if (revision) {
        TRY(txctl_number(revision, &wanted, err));
        TRY(txreg_query(txn, key, &info, err));
        if (info.revision != wanted) {
            return tx_error_set(err, TX_ECONFLICT, "conflict: the key's revision is %llu, not %s",
                                (unsigned long long)info.revision, revision);
        }
    }
    if (txctl_has(arguments, "if-absent")) {
        enum tx_status status = txreg_get(txn, key, name, &type, &data, err);
        if (status != TX_ENOTFOUND) {
            return status == TX_OK ? tx_error_set(err, TX_ECONFLICT, "conflict: it exists already")
                                   : status;
        }
    }
    return TX_OK;
}

static enum tx_status run_set(struct txctl_context *context,
                              const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    uint32_t type = 0;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    AUTO_BYTES bytes = {0};
    const char *name = arguments->values[1];
    name_value(context, key, name);
    TRY(txctl_reg_type(arguments->values[2], &type, err));
    TRY(data_of_arguments(arguments, type, &bytes, err));
    TRY(txctl_txn(context, &txn, err));
    TRY(check_conditions(arguments, txn, key, name, err));
    if (key[0] != '\0') {
        TRY(txreg_create(txn, key, NULL, NULL, err));
    }
    return txreg_set(txn, key, name, type, bytes.data ? bytes.data : (const uint8_t *)"",
                     bytes.size, err);
}

static const struct txctl_option set_options[] = {
    {"raw", 0, NULL, "DATA is hexadecimal: the exact bytes, whatever the type"},
    {"data-file", 0, "F", "data from a file (-: stdin)"},
    {"if-absent", 0, NULL, "fail (4) when the value exists"},
    {"if", 0, "LSN", "fail (4) when the key's revision is another one"},
    {NULL, 0, NULL, NULL},
};

const struct txctl_command txctl_reg_set = {
    .group = "Registry",
    .verb = "reg set",
    .usage = "[OPTION...] KEY NAME TYPE [DATA...]",
    .summary = "set one value; makes the key when it is missing",
    .example = "txctl reg set Software/App Paths multi-sz /usr/bin /opt/bin",
    .options = set_options,
    .flags = TXCTL_CHANGES,
    .count_min = 3,
    .count_max = TXCTL_ANY_COUNT,
    .run = run_set,
};

static enum tx_status run_unset(struct txctl_context *context,
                                const struct txctl_arguments *arguments, struct tx_error *err)
{
    struct ktm_txn *txn = NULL;
    AUTO_TEXT key = txctl_reg_path(arguments->values[0]);
    name_value(context, key, arguments->values[1]);
    TRY(txctl_txn(context, &txn, err));
    return txreg_unset(txn, key, arguments->values[1], err);
}

const struct txctl_command txctl_reg_unset = {
    .group = "Registry",
    .verb = "reg unset",
    .usage = "KEY NAME",
    .summary = "remove one value",
    .example = "txctl reg unset Software/App Version",
    .flags = TXCTL_CHANGES,
    .count_min = 2,
    .count_max = 2,
    .run = run_unset,
};
