#include "platform/config.h"

#include <assert.h>

#include "platform/config_int.h"
#include "platform/mem.h"

/* Everything a configuration holds, texts of all sources together. */
#define ARENA_MAX ((size_t)1024 * 1024)

static size_t index_of(const struct cairn_config *config, const char *name)
{
    const struct cairn_config_row *row =
        cairn_config_find(config->rows, config->row_count, cairn_slice_str(name));
    assert(row != NULL);
    return (size_t)(row - config->rows);
}

enum cairn_rc cairn_config_new(const struct cairn_config_input *input,
                               struct cairn_config **ret_config, struct cairn_err *err)
{
    assert(input->rows != NULL && input->row_count > 0);
    assert(input->argc >= 0);
    struct cairn_config *config = cairn_mem_zalloc(1, sizeof(*config));
    if (config == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "configuration");
    }
    config->arena.max = ARENA_MAX;
    config->rows = input->rows;
    config->row_count = input->row_count;
    config->verb = input->verb;
    config->values = cairn_arena_zalloc(&config->arena, input->row_count, sizeof(*config->values));
    config->operands =
        cairn_arena_zalloc(&config->arena, (size_t)input->argc + 1, sizeof(*config->operands));
    enum cairn_rc rc = CAIRN_OK;
    if (config->values == NULL || config->operands == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "configuration");
    } else {
        rc = cairn_config_apply(config, input, err);
    }
    if (rc != CAIRN_OK) {
        cairn_config_free(config);
        return rc;
    }
    *ret_config = config;
    return CAIRN_OK;
}

void cairn_config_free(struct cairn_config *config)
{
    if (config == NULL) {
        return;
    }
    cairn_arena_fini(&config->arena);
    cairn_mem_free(config);
}

const char *cairn_config_text(const struct cairn_config *config, const char *name)
{
    return config->values[index_of(config, name)].text;
}

uint64_t cairn_config_uint(const struct cairn_config *config, const char *name)
{
    size_t index = index_of(config, name);
    assert(config->rows[index].type != CAIRN_CONFIG_TEXT);
    return config->values[index].number;
}

bool cairn_config_bool(const struct cairn_config *config, const char *name)
{
    size_t index = index_of(config, name);
    assert(config->rows[index].type == CAIRN_CONFIG_BOOL);
    return config->values[index].number != 0;
}

enum cairn_config_source cairn_config_source_of(const struct cairn_config *config, const char *name)
{
    return config->values[index_of(config, name)].source;
}

size_t cairn_config_operand_count(const struct cairn_config *config)
{
    return config->operand_count;
}

const char *cairn_config_operand(const struct cairn_config *config, size_t index)
{
    assert(index < config->operand_count);
    return config->operands[index];
}

bool cairn_config_wants_help(const struct cairn_config *config)
{
    return config->wants_help;
}
