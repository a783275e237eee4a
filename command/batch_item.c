#include "command/batch_item.h"

#include <assert.h>

#include "command/fingerprint.h"

/* The members an item may have, in the order that requests usually write them. */
enum part { PART_AGGREGATE, PART_ID, PART_COMMAND, PART_DATA, PART_KEY, PART_EXPECTED, PART_COUNT };

static const struct {
    const char *name;
    enum cairn_value_type type;
    bool needed;
} known_parts[PART_COUNT] = {
    [PART_AGGREGATE] = {"aggregate", CAIRN_STRING, true},
    [PART_ID] = {"id", CAIRN_STRING, true},
    [PART_COMMAND] = {"command", CAIRN_STRING, true},
    [PART_DATA] = {"data", CAIRN_NULL, false}, /* of any type: its schema says which */
    [PART_KEY] = {"key", CAIRN_STRING, false},
    [PART_EXPECTED] = {"expected", CAIRN_INT, false},
};

/* What no item that leaves `data` out needs to say. */
static const struct cairn_value no_data = {.type = CAIRN_MAP};

static int find_part(struct cairn_slice name)
{
    for (int part = 0; part < PART_COUNT; part++) {
        if (cairn_slice_is(name, known_parts[part].name)) {
            return part;
        }
    }
    return -1;
}

/* Sort the members into parts[PART_COUNT]. */
static enum cairn_rc sort_members(const struct cairn_value *item, const struct cairn_value **parts,
                                  struct cairn_err *err)
{
    if (item->type != CAIRN_MAP) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a command is an object, not %s",
                          cairn_value_type_name(item));
    }
    for (uint32_t i = 0; i < item->count; i++) {
        const struct cairn_member *member = &item->as.members[i];
        int part = find_part(cairn_value_slice(&member->key));
        if (part < 0) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "unknown member \"%.*s\"",
                              CAIRN_SLICE_ARG(cairn_value_slice(&member->key)));
        }
        if (part != PART_DATA && member->value.type != known_parts[part].type) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "\"%s\" must be %s", known_parts[part].name,
                              part == PART_EXPECTED ? "a version" : "a string");
        }
        parts[part] = &member->value;
    }
    for (int part = 0; part < PART_COUNT; part++) {
        if (known_parts[part].needed && parts[part] == NULL) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "\"%s\" is missing", known_parts[part].name);
        }
    }
    return CAIRN_OK;
}

static enum cairn_rc find_command(struct cairn_batch_reader *reader, struct cairn_slice aggregate,
                                  struct cairn_slice name,
                                  const struct cairn_domain_command **ret_command,
                                  struct cairn_err *err)
{
    const struct cairn_domain_command *last = reader->last;
    if (last == NULL || !cairn_slice_equal(last->name, name) ||
        !cairn_slice_equal(last->aggregate, aggregate)) {
        enum cairn_rc rc = cairn_request_find(reader->domain, aggregate, name, &last, err);
        if (rc != CAIRN_OK) {
            return rc;
        }
        reader->last = last;
    }
    *ret_command = last;
    return CAIRN_OK;
}

/* Key and expected version, both optional. */
static enum cairn_rc read_conditions(const struct cairn_value *const *parts,
                                     struct cairn_command *command, struct cairn_err *err)
{
    command->expected = CAIRN_EXPECT_ANY;
    if (parts[PART_EXPECTED] != NULL) {
        command->expected = parts[PART_EXPECTED]->as.integer;
        if (command->expected < 0) {
            return CAIRN_FAIL(err, CAIRN_EINVAL, "\"expected\" must be a version");
        }
    }
    if (parts[PART_KEY] != NULL) {
        command->key = cairn_value_slice(parts[PART_KEY]);
        return cairn_request_check_key(command->key, err);
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_batch_read_item(struct cairn_batch_reader *reader,
                                    const struct cairn_value *item, struct cairn_arena *arena,
                                    struct cairn_command *ret_command,
                                    struct cairn_fault_report *report)
{
    assert(reader->domain != NULL);
    const struct cairn_value *parts[PART_COUNT] = {NULL};
    struct cairn_command command = {.data = &no_data};
    struct cairn_err *err = &report->err;
    report->extra = cairn_value_null();
    enum cairn_rc rc = sort_members(item, parts, err);
    if (rc == CAIRN_OK) {
        assert(parts[PART_AGGREGATE] != NULL && parts[PART_COMMAND] != NULL);
        rc = find_command(reader, cairn_value_slice(parts[PART_AGGREGATE]),
                          cairn_value_slice(parts[PART_COMMAND]), &command.command, err);
    }
    if (rc == CAIRN_OK) {
        assert(parts[PART_ID] != NULL);
        command.id = cairn_value_slice(parts[PART_ID]);
        rc = cairn_request_check_id(command.id, err);
    }
    if (rc == CAIRN_OK) {
        rc = read_conditions(parts, &command, err);
    }
    if (rc == CAIRN_OK && parts[PART_DATA] != NULL) {
        command.data = parts[PART_DATA];
    }
    if (rc == CAIRN_OK) {
        rc = cairn_request_check(command.command, command.data, arena, report);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    if (command.key.size > 0) {
        cairn_command_fingerprint(command.command->aggregate, command.id, command.command->name,
                                  command.data, command.fingerprint);
    }
    *ret_command = command;
    return CAIRN_OK;
}

enum cairn_rc cairn_batch_read_line(struct cairn_batch_reader *reader, struct cairn_slice line,
                                    struct cairn_arena *arena, struct cairn_command *ret_command,
                                    struct cairn_fault_report *report)
{
    struct cairn_value *item = cairn_arena_alloc(arena, sizeof(*item));
    report->extra = cairn_value_null();
    if (item == NULL) {
        return CAIRN_FAIL(&report->err, CAIRN_ENOMEM, "no memory for a command");
    }
    enum cairn_rc rc = cairn_request_parse(line, CAIRN_FORM_JSON, arena, item, report);
    return rc == CAIRN_OK ? cairn_batch_read_item(reader, item, arena, ret_command, report) : rc;
}
