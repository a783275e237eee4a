/* Replay of views in PostgreSQL: replay_store.h over the SQL store. */
#include "projector/replay_sql.h"

const struct cairn_replay_store cairn_replay_sql = {.rebuild = NULL};
