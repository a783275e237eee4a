/* cmocka wants these first, in this order. */
#ifndef CAIRN_TESTS_SUPPORT_CM_H
#define CAIRN_TESTS_SUPPORT_CM_H
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

/* A test that arms fault points: what ships has none, so there it is skipped and says so. */
#ifdef CAIRN_FAULTS
#define skip_without_faults() ((void)0)
#else
#define skip_without_faults()                                                                      \
    do {                                                                                           \
        print_message("SKIPPED: this build has no fault points\n");                                \
        skip();                                                                                    \
    } while (0)
#endif

/* A call that must succeed; on failure the error's text is shown. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        enum cairn_rc cm_rc_ = (call);                                                             \
        if (cm_rc_ != CAIRN_OK) {                                                                  \
            fail_msg("%s: %s: %s", #call, cairn_err_info(cm_rc_)->name, (err)->text);              \
        }                                                                                          \
    } while (0)

#endif
