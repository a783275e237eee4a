#include "platform/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/bytes.h"
#include "platform/file.h"
#include "platform/utf8.h"

#include "tests/support/cm.h"

static void every_code_has_a_name_a_slug_and_a_status_that_fits_its_retry_class(void **state)
{
    (void)state;
    for (int rc = 1; rc < cairn_err_count(); rc++) {
        const struct cairn_err_info *info = cairn_err_info((enum cairn_rc)rc);
        assert_memory_equal(info->name, "CAIRN_E", 7);
        assert_true(strspn(info->slug, "abcdefghijklmnopqrstuvwxyz-") == strlen(info->slug));
        assert_true(info->status >= 400 && info->status <= 599);
        assert_true(info->title[0] != '\0');
        /* A client that may try again later must be told so by the status alone. */
        if (info->retry == CAIRN_RETRY_LATER) {
            assert_true(info->status == 429 || info->status == 503);
        }
        for (int other = 1; other < rc; other++) {
            assert_string_not_equal(info->slug, cairn_err_info((enum cairn_rc)other)->slug);
        }
    }
    assert_int_equal(cairn_err_info(CAIRN_OK)->status, 200);
}

/* docs/reference/errors.md is written by hand around rows that must be these. */
static void the_reference_page_has_exactly_the_rows_of_the_table(void **state)
{
    (void)state;
    static const char *const retries[] = {
        [CAIRN_RETRY_NEVER] = "no", [CAIRN_RETRY_LATER] = "later", [CAIRN_RETRY_FRESH] = "fresh"};
    struct cairn_buf page = {.max = 1 << 20};
    struct cairn_err err;
    assert_ok(cairn_file_read(CAIRN_SOURCE_DIR "/docs/reference/errors.md", &page, &err), &err);
    assert_int_equal(cairn_buf_append_byte(&page, '\0'), CAIRN_OK);
    for (int rc = 1; rc < cairn_err_count(); rc++) {
        const struct cairn_err_info *info = cairn_err_info((enum cairn_rc)rc);
        char row[256];
        (void)snprintf(row, sizeof(row), "\n| `%s` | %d | %s | %s |\n", info->slug, info->status,
                       retries[info->retry], info->title);
        if (strstr(page.data, row) == NULL) {
            fail_msg("docs/reference/errors.md lacks the row%s", row);
        }
    }
    int rows = 0;
    for (const char *at = page.data; (at = strstr(at, "\n| `")) != NULL; at++) {
        rows++;
    }
    assert_int_equal(rows, cairn_err_count() - 1);
    cairn_buf_fini(&page);
}

static void fail_fills_all_of_an_error(void **state)
{
    (void)state;
    struct cairn_err err;
    memset(&err, 0x55, sizeof(err));
    int line = __LINE__ + 1;
    assert_int_equal(CAIRN_FAIL(&err, CAIRN_EBUSY, "queue %s has %d", "in", 7), CAIRN_EBUSY);
    assert_int_equal(err.rc, CAIRN_EBUSY);
    assert_int_equal(err.os, 0);
    assert_int_equal(err.line, line);
    assert_non_null(strstr(err.file, "err_test.c"));
    assert_string_equal(err.text, "queue in has 7");
}

static void the_systems_error_gives_code_and_reason(void **state)
{
    (void)state;
    static const struct {
        int os;
        enum cairn_rc rc;
    } cases[] = {{ENOSPC, CAIRN_EFULL},  {EDQUOT, CAIRN_EFULL},  {ENOENT, CAIRN_ENOENT},
                 {EEXIST, CAIRN_EEXIST}, {ENOMEM, CAIRN_ENOMEM}, {EIO, CAIRN_EIO},
                 {EBADF, CAIRN_EIO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cairn_err err;
        assert_int_equal(CAIRN_FAIL_OS(&err, cases[i].os, "write x"), cases[i].rc);
        assert_int_equal(err.os, cases[i].os);
        assert_memory_equal(err.text, "write x: ", 9);
        assert_true(strlen(err.text) > 9);
    }
}

static void errno_is_evaluated_before_anything_changes_it(void **state)
{
    (void)state;
    struct cairn_err err;
    errno = ENOSPC;
    assert_int_equal(CAIRN_FAIL_OS(&err, errno, "write %s", "x"), CAIRN_EFULL);
    assert_string_equal(err.text, "write x: No space left on device");
}

static void wrap_puts_context_in_front_and_keeps_the_cause(void **state)
{
    (void)state;
    struct cairn_err err;
    (void)CAIRN_FAIL_OS(&err, ENOSPC, "write");
    int line = err.line;
    assert_int_equal(cairn_err_wrap(&err, CAIRN_EIO, "view %s", "balances"), CAIRN_EIO);
    assert_string_equal(err.text, "view balances: write: No space left on device");
    assert_int_equal(err.rc, CAIRN_EIO);
    assert_int_equal(err.os, ENOSPC);
    assert_int_equal(err.line, line);
}

static void no_error_to_fill_is_fine(void **state)
{
    (void)state;
    assert_int_equal(CAIRN_FAIL(NULL, CAIRN_EIO, "x"), CAIRN_EIO);
    assert_int_equal(CAIRN_FAIL_OS(NULL, ENOSPC, "x"), CAIRN_EFULL);
    assert_int_equal(cairn_err_wrap(NULL, CAIRN_EIO, "x"), CAIRN_EIO);
}

static void long_texts_are_cut_and_stay_valid_utf8(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t unit = 0; unit < 4; unit++) {
        char text[800];
        size_t size = strlen(units[unit]);
        size_t used = 0;
        while (used + size < sizeof(text)) {
            memcpy(text + used, units[unit], size);
            used += size;
        }
        text[used] = '\0';
        for (int pad = 0; pad < 5; pad++) {
            struct cairn_err err;
            (void)CAIRN_FAIL(&err, CAIRN_EIO, "%.*s%s", pad, "....", text);
            assert_true(strlen(err.text) >= CAIRN_ERR_TEXT_MAX - 5);
            assert_true(cairn_utf8_is_valid(cairn_slice_str(err.text)));
            (void)CAIRN_FAIL(&err, CAIRN_EIO, "%.300s", text);
            (void)cairn_err_wrap(&err, CAIRN_EIO, "%.*s%.100s", pad, "....", text);
            assert_true(strlen(err.text) <= CAIRN_ERR_TEXT_MAX - 1);
            (void)cairn_err_wrap(&err, CAIRN_EIO, "%s", text);
            assert_true(strlen(err.text) <= CAIRN_ERR_TEXT_MAX - 1);
        }
    }
}

static void wrapping_for_ever_keeps_the_newest_context(void **state)
{
    (void)state;
    struct cairn_err err;
    (void)CAIRN_FAIL(&err, CAIRN_EIO, "cause");
    for (int i = 0; i < 200; i++) {
        char wanted[32];
        (void)snprintf(wanted, sizeof(wanted), "step %d: ", i);
        (void)cairn_err_wrap(&err, CAIRN_EIO, "step %d", i);
        assert_memory_equal(err.text, wanted, strlen(wanted));
        assert_true(strlen(err.text) < CAIRN_ERR_TEXT_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_a_slug_and_a_status_that_fits_its_retry_class),
        cmocka_unit_test(the_reference_page_has_exactly_the_rows_of_the_table),
        cmocka_unit_test(fail_fills_all_of_an_error),
        cmocka_unit_test(the_systems_error_gives_code_and_reason),
        cmocka_unit_test(errno_is_evaluated_before_anything_changes_it),
        cmocka_unit_test(wrap_puts_context_in_front_and_keeps_the_cause),
        cmocka_unit_test(no_error_to_fill_is_fine),
        cmocka_unit_test(long_texts_are_cut_and_stay_valid_utf8),
        cmocka_unit_test(wrapping_for_ever_keeps_the_newest_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
