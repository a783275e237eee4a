/* Configuration's insides, for config*.c alone. */
#ifndef CAIRN_PLATFORM_CONFIG_INT_H
#define CAIRN_PLATFORM_CONFIG_INT_H

#include "platform/config.h"

/* Longest name of a row, and of what is compared with one. */
#define CAIRN_CONFIG_NAME_MAX 64

struct cairn_config_value {
    const char *text;   /* as given, NUL-ended, in the arena or static; NULL: unset */
    uint64_t number;    /* of UINT; bytes; milliseconds; 0 or 1 of BOOL; index of CHOICE */
    const char *origin; /* "--data", "CAIRN_DATA", "FILE:3"; NULL for a default */
    enum cairn_config_source source;
};

struct cairn_config {
    struct cairn_arena arena; /* owns all texts */
    const struct cairn_config_row *rows;
    size_t row_count;
    unsigned verb;
    struct cairn_config_value *values; /* one a row */
    const char **operands;
    size_t operand_count;
    bool wants_help;
};

/* Read text as a value of row. EINVAL with "<place>: <what is wrong and what is allowed>". */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_read_value(const struct cairn_config_row *row,
                                                       const char *place, const char *text,
                                                       uint64_t *ret_number, struct cairn_err *err);
/* The row called name, NULL when there is none. */
const struct cairn_config_row *cairn_config_find(const struct cairn_config_row *rows, size_t count,
                                                 struct cairn_slice name);
/* The name of a row of the verb (any row when verb is 0) that name may have meant; NULL: none is
 * near. */
const char *cairn_config_near(const struct cairn_config_row *rows, size_t count, unsigned verb,
                              struct cairn_slice name);
/* Fill the values of a fresh configuration from the defaults, the file, the environment and the
 * flags; later ones overwrite earlier ones. EINVAL, ENOMEM, EIO. */
CAIRN_MUST_CHECK enum cairn_rc cairn_config_apply(struct cairn_config *config,
                                                  const struct cairn_config_input *input,
                                                  struct cairn_err *err);
/* "idle-timeout" -> "CAIRN_IDLE_TIMEOUT". */
#define CAIRN_CONFIG_ENV_MAX (CAIRN_CONFIG_NAME_MAX + 8)
void cairn_config_env_name(const char *name, char out[CAIRN_CONFIG_ENV_MAX]);

#endif
