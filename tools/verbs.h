/* The verbs of the command line. Each takes its parsed configuration and returns the exit status:
 * 0, 1 (it failed, err says why in one line; err->text empty when everything was said already), or
 * 2 (wrong usage). */
#ifndef CAIRN_TOOLS_VERBS_H
#define CAIRN_TOOLS_VERBS_H

#include "tools/options.h"

int cairn_verb_serve(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_command(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_projector(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_query(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_check(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_send(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_replay(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_parked(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_verify(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_events(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_topics(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_migrate(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_config(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_man(const struct cairn_config *config, struct cairn_err *err);
int cairn_verb_version(const struct cairn_config *config, struct cairn_err *err);

#endif
