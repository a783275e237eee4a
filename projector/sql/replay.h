/* Replay of views in PostgreSQL. */
#ifndef CAIRN_PROJECTOR_SQL_REPLAY_H
#define CAIRN_PROJECTOR_SQL_REPLAY_H

#include "projector/replay_store.h"

extern const struct cairn_replay_store cairn_replay_sql;

#endif
