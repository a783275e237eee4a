#include "projector/repeat.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define FIRST_NS (30 * INT64_C(1000000000))
#define MAX_NS   (3600 * INT64_C(1000000000))

bool cairn_repeat_is_due(struct cairn_repeat *repeat, const char *text, int64_t now_ns)
{
    assert(text != NULL && text[0] != '\0');
    if (strncmp(repeat->said, text, sizeof(repeat->said) - 1) != 0) {
        (void)snprintf(repeat->said, sizeof(repeat->said), "%s", text);
        repeat->pause_ns = FIRST_NS;
    } else if (now_ns < repeat->next_ns) {
        return false;
    } else {
        repeat->pause_ns = repeat->pause_ns * 2 > MAX_NS ? MAX_NS : repeat->pause_ns * 2;
    }
    repeat->next_ns = now_ns + repeat->pause_ns;
    return true;
}

void cairn_repeat_end(struct cairn_repeat *repeat)
{
    repeat->said[0] = '\0';
}
