/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <txkit/error.h>

const char *tx_status_name(enum tx_status status)
{
    switch (status) {
#define TX_STATUS_NAME(name, number, text)                                                         \
    case name:                                                                                     \
        return #name;
        TX_STATUS_LIST(TX_STATUS_NAME)
#undef TX_STATUS_NAME
    }
    return "TX_?";
}

const char *tx_status_text(enum tx_status status)
{
    switch (status) {
#define TX_STATUS_TEXT(name, number, text)                                                         \
    case name:                                                                                     \
        return text;
        TX_STATUS_LIST(TX_STATUS_TEXT)
#undef TX_STATUS_TEXT
    }
    return "unknown status";
}

/* End a text that was cut at `length`, at least 3, before a UTF-8 character that did not fit as a
 * whole. */
static size_t cut_text(char *text, size_t length)
{
    size_t start = length;
    while (length - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if ((unsigned char)text[start - 1] >= 0xC0) {
        unsigned char lead = (unsigned char)text[start - 1];
        size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (length - (start - 1) < need) {
            length = start - 1;
        }
    }
    text[length] = '\0';
    return length;
}

/* Format into `size` bytes, NUL included, and return the length of what is there. */
static size_t format_text(char *text, size_t size, const char *format, va_list args)
{
    int wanted = vsnprintf(text, size, format, args);
    if (wanted < 0) {
        text[0] = '\0';
        return 0;
    }
    return (size_t)wanted < size ? (size_t)wanted : cut_text(text, size - 1);
}

/* Append to a text of `length` bytes in a buffer of TX_ERROR_TEXT_SIZE; return the new length. */
static size_t add_text(char *text, size_t length, const char *more)
{
    size_t room = TX_ERROR_TEXT_SIZE - 1 - length;
    size_t size = strlen(more);
    if (size <= room) {
        memcpy(text + length, more, size + 1);
        return length + size;
    }
    memcpy(text + length, more, room);
    return cut_text(text, length + room);
}

enum tx_status tx_error_set(struct tx_error *err, enum tx_status status, const char *format, ...)
{
    if (err == NULL) {
        return status;
    }
    /* By way of a local text, because the arguments may point into the old one. */
    char text[TX_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    size_t length = format_text(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->text, text, length + 1);
    err->status = status;
    err->os_errno = 0;
    return status;
}

static enum tx_status status_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return TX_ENOSPC;
    case ENOENT:
        return TX_ENOTFOUND;
    case EEXIST:
        return TX_EEXIST;
    case ENOTDIR:
        return TX_ENOTDIR;
    case EISDIR:
        return TX_EISDIR;
    case ENOTEMPTY:
        return TX_ENOTEMPTY;
    case EACCES:
    case EPERM:
        return TX_EPERM;
    case EXDEV:
        return TX_EXDEV;
    case EROFS:
        return TX_EREADONLY;
    case ENOMEM:
        return TX_ENOMEM;
    case EINVAL:
        return TX_EINVAL;
    case EOPNOTSUPP:
        return TX_ENOTSUP;
    case ENAMETOOLONG:
    case EFBIG:
    case EMFILE:
    case ENFILE:
        return TX_ELIMIT;
    default:
        return TX_EIO;
    }
}

enum tx_status tx_error_os(struct tx_error *err, int os_errno, const char *format, ...)
{
    enum tx_status status = status_of_errno(os_errno);
    if (err == NULL) {
        return status;
    }
    char buffer[128];
    const char *reason = strerror_r(os_errno, buffer, sizeof(buffer));
    /* The reason matters more than the end of long words: room is kept for it. */
    size_t kept = strnlen(reason, 198) + 2;
    char text[TX_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    size_t length = format_text(text, sizeof(text) - kept, format, args);
    va_end(args);
    length = add_text(text, length, ": ");
    length = add_text(text, length, reason);
    memcpy(err->text, text, length + 1);
    err->status = status;
    err->os_errno = os_errno;
    return status;
}

enum tx_status tx_error_prefix(struct tx_error *err, const char *format, ...)
{
    if (err == NULL) {
        return TX_EINVAL;
    }
    char text[TX_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    size_t length = format_text(text, sizeof(text), format, args);
    va_end(args);
    length = add_text(text, length, ": ");
    length = add_text(text, length, err->text);
    memcpy(err->text, text, length + 1);
    return err->status;
}
