#include "tools/node.h"
#include "tools/verbs.h"

static int serve(const struct cairn_config *config, unsigned roles, struct cairn_err *err)
{
    return cairn_node_run(config, roles, cairn_config_operand(config, 0), err) == CAIRN_OK ? 0 : 1;
}

int cairn_verb_serve(const struct cairn_config *config, struct cairn_err *err)
{
    return serve(config, CAIRN_ROLE_COMMAND | CAIRN_ROLE_PROJECTOR | CAIRN_ROLE_QUERY, err);
}

int cairn_verb_command(const struct cairn_config *config, struct cairn_err *err)
{
    return serve(config, CAIRN_ROLE_COMMAND, err);
}

int cairn_verb_projector(const struct cairn_config *config, struct cairn_err *err)
{
    return serve(config, CAIRN_ROLE_PROJECTOR, err);
}

int cairn_verb_query(const struct cairn_config *config, struct cairn_err *err)
{
    return serve(config, CAIRN_ROLE_QUERY, err);
}
