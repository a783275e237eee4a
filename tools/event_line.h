/* An event as a line of CloudEvents JSON. */
#ifndef CAIRN_TOOLS_EVENT_LINE_H
#define CAIRN_TOOLS_EVENT_LINE_H

#include "schemas/domain.h"

/* Append the event, lifted to its current version, and a newline. What it takes on the way lies in
 * arena. errors: those of cairn_upcaster_data; ETOOBIG, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_event_line(const struct cairn_domain *domain,
                                                struct cairn_upcaster *upcaster,
                                                const struct cairn_event *event,
                                                struct cairn_arena *arena, struct cairn_buf *out,
                                                struct cairn_err *err);

#endif
