/* Replay of views in LMDB. */
#ifndef CAIRN_PROJECTOR_LMDB_REPLAY_H
#define CAIRN_PROJECTOR_LMDB_REPLAY_H

#include "projector/replay_store.h"

extern const struct cairn_replay_store cairn_replay_lmdb;

#endif
