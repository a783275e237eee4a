#include "tools/log_access.h"

#include "tools/log_open.h"
#include "tools/node.h"

enum cairn_rc cairn_log_access_open(const struct cairn_config *config, const char *domain_folder,
                                    struct cairn_log_access *access, struct cairn_err *err)
{
    *access = (struct cairn_log_access){.store = NULL};
    enum cairn_rc rc = cairn_base_open(config, domain_folder, &access->base, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    access->domain = access->base.domain;
    const char *data = cairn_config_text(config, "data");
    struct cairn_log_open open = {.config = config,
                                  .domain = access->domain,
                                  .log = access->base.log,
                                  .kind = CAIRN_LOG_READ};
    rc = cairn_database_init(&access->database, config, err);
    rc = rc == CAIRN_OK ? cairn_log_open(&open, &access->store, err) : rc;
    if (rc == CAIRN_ENOENT) {
        return CAIRN_FAIL(err, rc, "there is no log in %s; name the data folder with --data", data);
    }
    if (rc != CAIRN_OK) {
        return rc;
    }
    access->projector = (struct cairn_projector_options){
        .domain = access->domain,
        .store = access->store,
        .data_folder = data,
        .postgres = cairn_database_uri(&access->database),
        .lua = cairn_node_lua_limits(config),
        .clock = cairn_clock_system(),
        .log = access->base.log,
    };
    return CAIRN_OK;
}

void cairn_log_access_close(struct cairn_log_access *access)
{
    cairn_store_close(access->store);
    cairn_database_fini(&access->database);
    cairn_base_close(&access->base);
    *access = (struct cairn_log_access){.store = NULL};
}
