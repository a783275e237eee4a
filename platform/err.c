#include "platform/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct cairn_err_info infos[] = {
#define X(code, slug, retry, status, title) {#code, slug, title, CAIRN_RETRY_##retry, status},
    CAIRN_ERR_TABLE(X)
#undef X
};

int cairn_err_count(void)
{
    return (int)(sizeof(infos) / sizeof(infos[0]));
}

const struct cairn_err_info *cairn_err_info(enum cairn_rc rc)
{
    assert((int)rc >= 0 && (int)rc < cairn_err_count());
    return &infos[rc];
}

enum cairn_rc cairn_err_from_os(int os)
{
    switch (os) {
    case ENOSPC:
    case EDQUOT:
        return CAIRN_EFULL;
    case ENOENT:
        return CAIRN_ENOENT;
    case EEXIST:
        return CAIRN_EEXIST;
    case ENOMEM:
        return CAIRN_ENOMEM;
    default:
        return CAIRN_EIO;
    }
}

/* A text that was cut may end inside a UTF-8 sequence: what is begun and not whole goes, so that
 * the text stays valid where its parts were. */
static void mend_end(char *text, size_t size)
{
    size_t tails = 0;
    while (tails < 3 && tails < size && ((unsigned char)text[size - 1 - tails] & 0xC0) == 0x80) {
        tails++;
    }
    if (tails == size) {
        return;
    }
    unsigned char lead = (unsigned char)text[size - 1 - tails];
    size_t wanted = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (tails < wanted) {
        text[size - 1 - tails] = '\0';
    }
}

/* Appends ": <text of os>" where there is room. */
static void append_os(struct cairn_err *err, int os)
{
    size_t used = strlen(err->text);
    char text[96];
    const char *name = strerror_r(os, text, sizeof(text));
    (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", name);
}

enum cairn_rc cairn_err_set_at(struct cairn_err *err, enum cairn_rc rc, int os, const char *file,
                               int line, const char *format, ...)
{
    assert(rc != CAIRN_OK);
    if (err == NULL) {
        return rc;
    }
    err->rc = rc;
    err->os = os;
    err->file = file;
    err->line = line;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (os != 0) {
        append_os(err, os);
    }
    mend_end(err->text, strlen(err->text));
    return rc;
}

enum cairn_rc cairn_err_wrap(struct cairn_err *err, enum cairn_rc rc, const char *format, ...)
{
    assert(rc != CAIRN_OK);
    if (err == NULL) {
        return rc;
    }
    char front[CAIRN_ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int printed = vsnprintf(front, sizeof(front) - 2, format, args);
    va_end(args);
    size_t used = printed < 0 ? 0 : strnlen(front, sizeof(front) - 3);
    front[used++] = ':';
    front[used++] = ' ';
    size_t kept = strnlen(err->text, sizeof(err->text) - 1);
    if (kept > sizeof(err->text) - 1 - used) {
        kept = sizeof(err->text) - 1 - used;
    }
    memmove(err->text + used, err->text, kept);
    memcpy(err->text, front, used);
    err->text[used + kept] = '\0';
    mend_end(err->text, used + kept);
    err->rc = rc;
    return rc;
}
