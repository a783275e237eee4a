#include "projector/settle.h"

enum cairn_rc cairn_settle_all(struct cairn_parked *rows, size_t count, cairn_settle_try_fn try_row,
                               void *self, struct cairn_err *err)
{
    size_t before = SIZE_MAX;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && count > 0 && count < before) {
        size_t left = 0;
        before = count;
        for (size_t i = 0; rc == CAIRN_OK && i < before; i++) {
            bool done = false;
            rc = try_row(self, &rows[i], &done, err);
            if (!done) {
                rows[left++] = rows[i];
            }
        }
        count = left;
    }
    return rc;
}
