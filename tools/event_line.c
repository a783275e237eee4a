#include "tools/event_line.h"

#include "platform/json.h"

enum cairn_rc cairn_event_line(const struct cairn_domain *domain, struct cairn_upcaster *upcaster,
                               const struct cairn_event *event, struct cairn_arena *arena,
                               struct cairn_buf *out, struct cairn_err *err)
{
    struct cairn_value data;
    struct cairn_value cloudevent;
    enum cairn_rc rc = cairn_upcaster_data(upcaster, event, arena, &data, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const char *position = cairn_arena_printf(arena, "%u:%llu", (unsigned)event->partition,
                                              (unsigned long long)event->offset);
    if (position == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    rc = cairn_event_cloudevent(event, cairn_domain_name(domain), &data, cairn_slice_str(position),
                                arena, &cloudevent);
    rc = rc == CAIRN_OK ? cairn_json_write(&cloudevent, out) : rc;
    rc = rc == CAIRN_OK ? cairn_buf_append_byte(out, '\n') : rc;
    return rc == CAIRN_OK
               ? CAIRN_OK
               : CAIRN_FAIL(err, rc, "cannot print event %llu", (unsigned long long)event->offset);
}
