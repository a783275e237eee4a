#include "command/fingerprint.h"

#include <assert.h>

void cairn_command_fingerprint(struct cairn_slice aggregate, struct cairn_slice id,
                               struct cairn_slice command, const struct cairn_value *data,
                               unsigned char ret_fingerprint[16])
{
    assert(aggregate.size > 0 && id.size > 0);
    assert(command.size > 0 && data != NULL);
    /* An array keeps the four apart: no choice of names can make one command look like another. */
    const struct cairn_value parts[] = {
        cairn_value_string(aggregate),
        cairn_value_string(id),
        cairn_value_string(command),
        *data,
    };
    const struct cairn_value whole = {
        .type = CAIRN_ARRAY,
        .count = sizeof(parts) / sizeof(parts[0]),
        .as = {.items = parts},
    };
    cairn_value_fingerprint(&whole, ret_fingerprint);
}
