/* A folder of a test's own, under $TMPDIR where that is short enough, else under /tmp. */
#ifndef CAIRN_TESTS_SUPPORT_FOLDER_H
#define CAIRN_TESTS_SUPPORT_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/file.h"

#include "tests/support/cm.h"

enum { TEST_FOLDER_BASE_MAX = 30, TEST_FOLDER_SIZE = 64 };

/* Makes it; out[size], size >= TEST_FOLDER_SIZE, gets its path. what: up to 16 letters for people.
 */
static inline void test_folder_make(char *out, size_t size, const char *what)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > TEST_FOLDER_BASE_MAX) {
        base = "/tmp";
    }
    int used = snprintf(out, size, "%s/cairn-%s-XXXXXX", base, what);
    assert_true(used > 0 && (size_t)used < size);
    assert_non_null(mkdtemp(out));
}

/* A file of this text in a folder, which is made when it is missing. */
static inline void test_folder_write(const char *folder, const char *name, const char *text)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_err err;
    assert_ok(cairn_file_make_folder(folder, &err), &err);
    assert_int_equal(cairn_file_join(path, folder, name), CAIRN_OK);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void test_folder_remove(const char *path)
{
    struct cairn_err err;
    assert_ok(cairn_file_remove_tree(path, &err), &err);
}

#endif
