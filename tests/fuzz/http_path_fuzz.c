/* Request targets: whatever the bytes, decoding ends, stays inside its limits and yields UTF-8
 * without zero bytes. Path and query are split at the first '?', as civetweb does. */
#include <stdlib.h>

#include "platform/http_int.h"
#include "platform/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct cairn_slice text)
{
    if (!cairn_utf8_is_valid(text) || cairn_slice_find(text, '\0') != text.size) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = 1u << 20};
    struct cairn_slice target = cairn_slice_of((const char *)data, size);
    size_t at = cairn_slice_find(target, '?');
    struct cairn_err err;
    struct cairn_http_path path;
    if (cairn_http_path_split(cairn_slice_of(target.data, at), &arena, &path, &err) == CAIRN_OK) {
        if (path.count == 0 || path.count > CAIRN_HTTP_SEGMENTS_MAX) {
            abort();
        }
        for (size_t i = 0; i < path.count; i++) {
            check(path.segments[i]);
        }
    }
    if (at < size) {
        const struct cairn_http_param *params = NULL;
        size_t count = 0;
        struct cairn_slice query = cairn_slice_of(target.data + at + 1, size - at - 1);
        if (cairn_http_query_split(query, &arena, &params, &count, &err) == CAIRN_OK) {
            for (size_t i = 0; i < count; i++) {
                check(params[i].name);
                check(params[i].value);
            }
        }
    }
    cairn_arena_fini(&arena);
    return 0;
}
