/* Lines of a batch: whatever comes in, a line is a command of the catalogue whose data has passed
 * its schema, or a fault that a client can be told. */
#include "command/batch_item.h"
#include "command/reply.h"
#include "platform/file.h"
#include "platform/json.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 8192 };

/* The domain is loaded once and kept: a fuzzer has no end at which to free it. */
static const struct cairn_domain *domain_once(void)
{
    static struct cairn_domain *domain;
    if (domain == NULL) {
        /* Beside this source, wherever the fuzzer is run from. */
        static const char here[] = __FILE__;
        static const char there[] = "../../examples/bank";
        char folder[CAIRN_PATH_MAX];
        struct cairn_err err;
        const char *slash = strrchr(here, '/');
        assert(slash != NULL && sizeof(here) + sizeof(there) < sizeof(folder));
        size_t size = (size_t)(slash - here) + 1;
        memcpy(folder, here, size);
        memcpy(folder + size, there, sizeof(there));
        enum cairn_rc rc = cairn_domain_load(folder, &domain, &err);
        assert(rc == CAIRN_OK);
    }
    return domain;
}

static void check_command(const struct cairn_command *command, struct cairn_arena *arena)
{
    struct cairn_fault_report report;
    assert(command->command != NULL && command->data != NULL);
    assert(cairn_id_is_valid(command->id));
    assert(command->key.size == 0 || cairn_key_is_valid(command->key));
    assert(command->expected >= CAIRN_EXPECT_ANY);
    enum cairn_rc rc = cairn_request_check(command->command, command->data, arena, &report);
    assert(rc == CAIRN_OK);
}

/* A fault must come out as a document that is valid JSON. */
static void check_fault(const struct cairn_fault_report *report, struct cairn_arena *arena)
{
    struct cairn_value problem;
    struct cairn_value again;
    struct cairn_err err;
    struct cairn_buf out = {.max = 1u << 20};
    enum cairn_rc rc = cairn_reply_problem(report, arena, &problem);
    assert(rc == CAIRN_OK);
    rc = cairn_json_write(&problem, &out);
    assert(rc == CAIRN_OK);
    rc = cairn_json_read(cairn_buf_slice(&out), arena, &again, NULL, &err);
    assert(rc == CAIRN_OK);
    const struct cairn_value *status = cairn_value_at(&again, "status");
    assert(status != NULL && status->as.integer >= 400 && status->as.integer < 500);
    cairn_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cairn_arena arena = {.max = 64u << 20};
    if (size > INPUT_MAX) {
        return 0;
    }
    struct cairn_batch_reader reader = {.domain = domain_once()};
    struct cairn_slice rest = cairn_slice_of((const char *)data, size);
    while (rest.size > 0) {
        struct cairn_command command;
        struct cairn_fault_report report;
        size_t line = cairn_slice_find(rest, '\n');
        cairn_arena_reset(&arena);
        enum cairn_rc rc = cairn_batch_read_line(&reader, cairn_slice_of(rest.data, line), &arena,
                                                 &command, &report);
        if (rc == CAIRN_OK) {
            check_command(&command, &arena);
        } else {
            assert(rc == report.err.rc);
            check_fault(&report, &arena);
        }
        line += line < rest.size;
        rest = cairn_slice_of(rest.data + line, rest.size - line);
    }
    return 0;
}
