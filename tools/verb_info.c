#include <stdio.h>

#include "tools/help.h"
#include "tools/verbs.h"

#define TEXT_BYTES_MAX (256u * 1024u)

/* Prints what was rendered, or says why it could not be. Frees out. */
static int print(struct cairn_buf *out, enum cairn_rc rc, struct cairn_err *err)
{
    int status = 0;
    if (rc != CAIRN_OK) {
        (void)CAIRN_FAIL(err, rc, "cannot print: %s", cairn_err_info(rc)->title);
        status = 1;
    } else if (fwrite(out->data, 1, out->size, stdout) != out->size || fflush(stdout) != 0) {
        (void)CAIRN_FAIL(err, CAIRN_EIO, "cannot write to standard output");
        status = 1;
    }
    cairn_buf_fini(out);
    return status;
}

int cairn_verb_config(const struct cairn_config *config, struct cairn_err *err)
{
    struct cairn_buf out = {.max = TEXT_BYTES_MAX};
    enum cairn_rc rc = cairn_config_bool(config, "reference") ? cairn_help_reference(&out)
                                                              : cairn_config_print(config, &out);
    return print(&out, rc, err);
}

int cairn_verb_man(const struct cairn_config *config, struct cairn_err *err)
{
    enum cairn_verb verb = CAIRN_VERB_serve;
    const char *name = cairn_config_operand(config, 0);
    if (!cairn_verb_find(name, &verb)) {
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "there is no verb `%s`; cairn --help lists them", name);
        return 2;
    }
    struct cairn_buf out = {.max = TEXT_BYTES_MAX};
    enum cairn_rc rc = cairn_help_man(verb, &out);
    return print(&out, rc, err);
}

int cairn_verb_version(const struct cairn_config *config, struct cairn_err *err)
{
    (void)config;
    struct cairn_buf out = {.max = TEXT_BYTES_MAX};
    enum cairn_rc rc = cairn_buf_append_str(&out, "cairn " CAIRN_VERSION "\n");
    return print(&out, rc, err);
}
