#include "tools/base.h"

#include <assert.h>
#include <unistd.h>

enum cairn_rc cairn_base_open(const struct cairn_config *config, const char *domain_folder,
                              struct cairn_base *base, struct cairn_err *err)
{
    enum cairn_log_level level = CAIRN_LOG_INFO;
    enum cairn_rc rc =
        cairn_log_level_parse(cairn_slice_str(cairn_config_text(config, "log-level")), &level);
    assert(rc == CAIRN_OK); /* the option table allows no other */
    (void)rc;
    *base = (struct cairn_base){.log = cairn_log_new(STDERR_FILENO, level, cairn_clock_system())};
    if (base->log == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory at start");
    }
    return cairn_domain_load(domain_folder, &base->domain, err);
}

void cairn_base_close(struct cairn_base *base)
{
    cairn_domain_free(base->domain);
    cairn_log_free(base->log);
    *base = (struct cairn_base){.log = NULL};
}
