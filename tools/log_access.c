#include "tools/log_access.h"

#include <unistd.h>

#include "tools/node.h"

enum cairn_rc cairn_log_access_open(const struct cairn_config *config, const char *domain_folder,
                                    struct cairn_log_access *access, struct cairn_err *err)
{
    *access = (struct cairn_log_access){.log = NULL};
    enum cairn_log_level level = CAIRN_LOG_INFO;
    enum cairn_rc rc =
        cairn_log_level_parse(cairn_slice_str(cairn_config_text(config, "log-level")), &level);
    if (rc != CAIRN_OK) {
        return CAIRN_FAIL(err, rc, "--log-level is none");
    }
    access->log = cairn_log_new(STDERR_FILENO, level, cairn_clock_system());
    if (access->log == NULL) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "out of memory");
    }
    rc = cairn_domain_load(domain_folder, &access->domain, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    const char *data = cairn_config_text(config, "data");
    struct cairn_store_options options = {
        .data_folder = data,
        .log = cairn_config_text(config, "log"),
        .domain = cairn_domain_name(access->domain),
        .clock = cairn_clock_system(),
        .log_lines = access->log,
    };
    rc = cairn_store_open(&options, &access->store, err);
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, rc, "there is no log in %s; name the data folder with --data", data);
    }
    access->projector = (struct cairn_projector_options){
        .domain = access->domain,
        .store = access->store,
        .data_folder = data,
        .lua = cairn_node_lua_limits(config),
        .clock = cairn_clock_system(),
        .log = access->log,
    };
    return rc;
}

void cairn_log_access_close(struct cairn_log_access *access)
{
    cairn_store_close(access->store);
    cairn_domain_free(access->domain);
    cairn_log_free(access->log);
    *access = (struct cairn_log_access){.log = NULL};
}
