/* SPDX-License-Identifier: MIT */
/* Names as sources give them, and what was seen under them. */
#include <string.h>
#include <sys/stat.h>

#include "import/import_internal.h"

enum tx_status import_path_clean(const struct import_sink *sink, const char *path,
                                 struct tx_buf *clean, struct tx_error *err)
{
    if (path[0] == '/') {
        return tx_error_set(err, TX_EESCAPE, "\"%s\": absolute path in the source", path);
    }
    tx_buf_clear(clean);
    TX_TRY(tx_buf_append_text(clean, sink->prefix, err));
    const char *part = path;
    while (*part != '\0') {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') {
            return tx_error_set(err, TX_EESCAPE, "\"%s\": climbs out of the source", path);
        }
        if (length > 0 && !(length == 1 && part[0] == '.')) {
            if (clean->size > 0) {
                TX_TRY(tx_buf_append(clean, "/", 1, err));
            }
            TX_TRY(tx_buf_append(clean, part, length, err));
        }
        part += length;
        part += strspn(part, "/");
    }
    return tx_buf_append(clean, "", 1, err);
}

static enum import_seen seen_at(const struct import_sink *sink, const char *clean, size_t length)
{
    return (enum import_seen)(uintptr_t)tx_map_get(&sink->seen, clean, length);
}

/* An entry below a link that the same source brought would write wherever that link points. */
static enum tx_status path_refuse_linked(const struct import_sink *sink, const char *clean,
                                         struct tx_error *err)
{
    for (const char *slash = strchr(clean, '/'); slash; slash = strchr(slash + 1, '/')) {
        enum import_seen seen = seen_at(sink, clean, (size_t)(slash - clean));
        if (seen != 0 && seen != IMPORT_SEEN_DIRECTORY) {
            return tx_error_set(err, TX_EESCAPE,
                                "\"%s\": the source has it below something that is no directory",
                                clean);
        }
    }
    return TX_OK;
}

enum tx_status import_path_note(struct import_sink *sink, const char *clean, uint32_t mode,
                                struct tx_error *err)
{
    size_t length = strlen(clean);
    enum import_seen now = S_ISDIR(mode)   ? IMPORT_SEEN_DIRECTORY
                           : S_ISLNK(mode) ? IMPORT_SEEN_SYMLINK
                                           : IMPORT_SEEN_OTHER;
    enum import_seen before = seen_at(sink, clean, length);
    TX_TRY(path_refuse_linked(sink, clean, err));
    if (before != 0 && (before != IMPORT_SEEN_DIRECTORY || now != IMPORT_SEEN_DIRECTORY)) {
        return tx_error_set(err, TX_EEXIST, "\"%s\": twice in the source", clean);
    }
    return tx_map_set(&sink->seen, clean, length, (void *)(uintptr_t)now, err);
}
