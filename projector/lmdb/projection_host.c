/* What a view's script calls: rows of the batch, looked up once, changed in its write-set. */
#include <assert.h>

#include "platform/utf8.h"
#include "projector/lmdb/projection_int.h"
#include "schemas/msgpack.h"

static enum cairn_rc world_failed(struct cairn_projection *projection, enum cairn_rc rc,
                                  struct cairn_err *err)
{
    projection->fault = rc;
    projection->fault_err = *err;
    return rc;
}

/* The entry of the key in argument 1. */
static enum cairn_rc key_entry(struct cairn_projection *projection, struct cairn_lua_frame *frame,
                               struct cairn_write **ret_entry, struct cairn_err *err)
{
    struct cairn_slice key;
    if (projection->arena == NULL) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "rows can be used in a handler only");
    }
    if (cairn_lua_frame_text(frame, 1, &key, err) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the key must be a string");
    }
    if (key.size == 0 || key.size > CAIRN_VIEW_KEY_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the key has %zu bytes, allowed are 1 to %d", key.size,
                          CAIRN_VIEW_KEY_BYTES_MAX);
    }
    if (!cairn_utf8_is_valid(key)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the key is not UTF-8");
    }
    enum cairn_rc rc = cairn_writeset_entry(&projection->writes, key, ret_entry);
    if (rc == CAIRN_ETOOBIG) {
        return CAIRN_FAIL(err, rc, "the command touches more than %u rows", CAIRN_WRITES_MAX);
    }
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "touch a row");
        return world_failed(projection, rc, err);
    }
    return CAIRN_OK;
}

static enum cairn_rc note_change(struct cairn_projection *projection, struct cairn_write *entry,
                                 struct cairn_err *err)
{
    if (cairn_writeset_note(&projection->writes, entry) != CAIRN_OK) {
        return world_failed(projection, CAIRN_FAIL(err, CAIRN_ENOMEM, "touch a row"), err);
    }
    return CAIRN_OK;
}

/* Look the stored row up, once a batch. */
static enum cairn_rc load_entry(struct cairn_projection *projection, struct cairn_write *entry,
                                struct cairn_err *err)
{
    enum cairn_rc rc =
        projection->reader.get(projection->reader.self, entry->key, &entry->old, err);
    if (rc == CAIRN_ENOENT) {
        entry->old_state = CAIRN_OLD_ABSENT;
        return CAIRN_OK;
    }
    if (rc == CAIRN_OK) {
        rc = cairn_msgpack_read(entry->old, CAIRN_MSGPACK_TRUSTED, projection->arena, &entry->value,
                                NULL, err);
        rc = rc == CAIRN_EMALFORMED ? cairn_err_wrap(err, CAIRN_ECORRUPT, "a stored row") : rc;
    }
    if (rc != CAIRN_OK) {
        return world_failed(projection, rc, err);
    }
    entry->old_state = CAIRN_OLD_PRESENT;
    entry->present = true;
    return CAIRN_OK;
}

static enum cairn_rc host_get(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct cairn_projection *projection = self;
    struct cairn_write *entry = NULL;
    enum cairn_rc rc = key_entry(projection, frame, &entry, err);
    assert(rc != CAIRN_OK || entry != NULL);
    if (rc == CAIRN_OK && entry->old_state == CAIRN_OLD_UNKNOWN && !entry->dirty) {
        rc = load_entry(projection, entry, err);
    }
    if (rc != CAIRN_OK || !entry->present) {
        return rc; /* no result is nil */
    }
    return cairn_lua_frame_return(frame, &entry->value, err);
}

/* Bytes that the value takes packed, at most; stops counting behind CAIRN_VIEW_ROW_BYTES_MAX. */
static size_t packed_bound(const struct cairn_value *value)
{
    size_t size = 9;
    if (value->type == CAIRN_STRING) {
        return size + value->count;
    }
    for (uint32_t i = 0; value->type == CAIRN_ARRAY && i < value->count; i++) {
        size += packed_bound(&value->as.items[i]);
        if (size > CAIRN_VIEW_ROW_BYTES_MAX) {
            break;
        }
    }
    for (uint32_t i = 0; value->type == CAIRN_MAP && i < value->count; i++) {
        size += 5 + value->as.members[i].key.count + packed_bound(&value->as.members[i].value);
        if (size > CAIRN_VIEW_ROW_BYTES_MAX) {
            break;
        }
    }
    return size;
}

static enum cairn_rc host_put(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct cairn_projection *projection = self;
    struct cairn_write *entry = NULL;
    struct cairn_value document;
    enum cairn_rc rc = key_entry(projection, frame, &entry, err);
    assert(rc != CAIRN_OK || entry != NULL);
    if (rc == CAIRN_OK) {
        rc = cairn_lua_frame_value(frame, 2, projection->arena, &document, err);
    }
    if (rc == CAIRN_ENOMEM) {
        return world_failed(projection, rc, err);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (document.type != CAIRN_MAP) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a row must be a table with string keys, not %s",
                          cairn_value_type_name(&document));
    }
    if (packed_bound(&document) > CAIRN_VIEW_ROW_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a row is larger than %u bytes",
                          CAIRN_VIEW_ROW_BYTES_MAX);
    }
    rc = note_change(projection, entry, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    entry->value = document;
    entry->present = true;
    entry->dirty = true;
    return CAIRN_OK;
}

static enum cairn_rc host_delete(void *self, struct cairn_lua_frame *frame, struct cairn_err *err)
{
    struct cairn_projection *projection = self;
    struct cairn_write *entry = NULL;
    enum cairn_rc rc = key_entry(projection, frame, &entry, err);
    assert(rc != CAIRN_OK || entry != NULL);
    if (rc == CAIRN_OK) {
        rc = note_change(projection, entry, err);
    }
    if (rc == CAIRN_OK) {
        entry->present = false;
        entry->dirty = true;
    }
    return rc;
}

enum cairn_rc cairn_projection_register(struct cairn_projection *projection, struct cairn_err *err)
{
    static const struct {
        const char *name;
        cairn_lua_host_fn fn;
    } functions[] = {{"get", host_get}, {"put", host_put}, {"delete", host_delete}};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && rc == CAIRN_OK; i++) {
        rc = cairn_lua_register(projection->lua, "store", functions[i].name, functions[i].fn,
                                projection, err);
    }
    return rc;
}
