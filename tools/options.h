/* The one table of flags, and the verbs that know them. */
#ifndef CAIRN_TOOLS_OPTIONS_H
#define CAIRN_TOOLS_OPTIONS_H

#include "platform/config.h"

/* verb, operands, what it does in one line */
#define CAIRN_VERB_TABLE(X)                                                                        \
    X(serve, "DOMAIN", "command, projector and query in one process, on one port")                 \
    X(command, "DOMAIN", "the command API alone")                                                  \
    X(projector, "DOMAIN", "the projector alone: follows the log and keeps the views")             \
    X(query, "DOMAIN", "the query API alone")                                                      \
    X(check, "DOMAIN", "validates a domain folder and runs its specs")                             \
    X(send, "FILE", "posts commands, one JSON object a line, and sums up the answers")             \
    X(replay, "VIEW DOMAIN", "rebuilds a view beside the live one and switches")                   \
    X(parked, "ACTION DOMAIN", "lists streams that a view could not apply, tries or drops them")   \
    X(verify, "DOMAIN", "checks the whole log, and the views against it")                          \
    X(migrate, "DOMAIN", "moves every event of one log into another, and compares")                \
    X(events, "DOMAIN", "prints events, one CloudEvent a line")                                    \
    X(topics, "ACTION DOMAIN", "makes the topics of a domain on Kafka, or checks them")            \
    X(config, "", "prints the configuration in force and where each value came from")              \
    X(man, "VERB", "prints the man page of a verb, as roff")                                       \
    X(version, "", "prints the version")

enum cairn_verb {
#define X(name, operands, text) CAIRN_VERB_##name,
    CAIRN_VERB_TABLE(X)
#undef X
        CAIRN_VERB_COUNT
};

#define CAIRN_VERB_BIT(name) (1u << CAIRN_VERB_##name)

struct cairn_verb_info {
    const char *name;
    const char *operands; /* "VIEW DOMAIN" */
    const char *text;     /* one line */
};

const struct cairn_verb_info *cairn_verb_info(enum cairn_verb verb);
/* The description of --help and of the man page: a paragraph. */
const char *cairn_verb_about(enum cairn_verb verb);
/* Does the verb serve, so that what serving processes print and do is said in its help? */
bool cairn_verb_serves(enum cairn_verb verb);
size_t cairn_verb_operand_count(enum cairn_verb verb);
/* False when there is no such verb. */
bool cairn_verb_find(const char *name, enum cairn_verb *ret_verb);

const struct cairn_config_row *cairn_options(size_t *ret_count);

#endif
